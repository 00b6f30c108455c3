//! One withdrawal by consent, or the end of a dispute by consent, in which the hub or the participant is killed at one of its
//! durable writes, before or after it, alone or with the other, and comes back. The chain executes it once it was ordered there,
//! and is told again to whoever died before it had heard.
//!
//! After every such crash: the withdrawal took place once, both ends go on from its nonce with what is left; the dispute ended with
//! what was agreed; and nobody signed two consents under one number or two states at one nonce (`hall` reads every frame).

use alloy_primitives::{B256, U256};
use chain::cursor::BlockId;
use chain::events::{ChainEvent, CloseAnnounced, Event, LedgerAppended, Settled, Withdrawn};
use protocol::testing::{amount, nonce};
use protocol::{EscrowVersion, Role};
use serde_json::Value;
use tempfile::TempDir;

use super::crash::{Fate, is_expected, play_all, play_out, start_all};
use super::hall::Hall;
use super::machine::Machine;
use super::world::{SIDE, id, keys, own};
use crate::book::{Dispute, Own, Standing};
use crate::driver::Command;
use crate::kill::KillSwitch;

const TAKEN: u128 = 1_000;
/// Fewer durable writes than either party makes for one withdrawal would show that the switch does not work.
const WRITES_MIN: u64 = 3;

/// What is agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreed {
    Withdrawal,
    EndOfDispute,
}

impl Agreed {
    fn order(self) -> Command {
        let (channel, key) = (None, Some("rent".to_owned()));
        match self {
            Self::Withdrawal => Command::Withdraw { channel, amount: amount(TAKEN), key },
            Self::EndOfDispute => Command::Close { channel },
        }
    }

    /// How the name of the errand begins that brings it to the chain.
    const fn errand(self) -> &'static str {
        match self {
            Self::Withdrawal => "withdraw channel 1 consent 0",
            Self::EndOfDispute => "close channel 1 consent 0",
        }
    }

    /// The channel as it stands before.
    fn before(self, own: Own) -> Own {
        if self == Self::Withdrawal {
            return own;
        }
        let dispute = Some(Dispute {
            disputer: own.opened.participant,
            epoch: 1,
            nonce: nonce(0),
            claim: amount(SIDE),
            peak: amount(SIDE),
            deadline: 1_000_000,
            agreed: None,
        });
        Own { standing: Standing::Disputed, dispute, dispute_final: dispute, ..own }
    }

    /// The chain executes it: what it tells a node that has not heard of it.
    async fn execute(self, machine: &Machine) {
        let Some(Ok(shown)) = machine.ask(Command::Channels).await else { return };
        let channel = &shown["channels"][0];
        match self {
            Self::Withdrawal if channel["version"] == 2 => machine.see(withdrawn()).await,
            Self::EndOfDispute if channel["dispute"]["agreed"].is_null() => {
                machine.see(announced()).await;
            }
            Self::EndOfDispute
                if channel["standing"] == "disputed"
                    && has_order(machine, "settle channel 1 dispute 1").await =>
            {
                machine.see(settled()).await;
            }
            _ => {}
        }
    }

    /// Whether it took place, for both.
    async fn is_over(self, all: &[Machine]) -> bool {
        let [hub, alice] = all else { return false };
        match self {
            Self::Withdrawal => {
                let (hub, alice) = (hub.standings().await, alice.standings().await);
                hub.get(&1) == Some(&(1, SIDE)) && alice.get(&1) == Some(&(1, SIDE - TAKEN))
            }
            Self::EndOfDispute => {
                has_order(alice, "collect asset of channel 1").await
                    && is_paid(alice).await
                    && is_paid(hub).await
            }
        }
    }
}

/// Hub and alice: not started.
async fn world(agreed: Agreed) -> (TempDir, [Machine; 2]) {
    let (folder, met) = (tempfile::tempdir().unwrap(), Some(Hall::default()));
    let (hub, alice) = (keys(9, Role::Counterparty), keys(1, Role::Participant));
    let channels = [agreed.before(own(1, &alice, &hub))];
    let hub = Machine::new(&folder.path().join("hub"), hub, &channels, met.clone()).await;
    let alice = Machine::new(&folder.path().join("alice"), alice, &channels, met).await;
    alice.introduce(&hub).await;
    (folder, [hub, alice])
}

async fn has_order(machine: &Machine, prefix: &str) -> bool {
    let Some(Ok(status)) = machine.ask(Command::Status).await else { return false };
    let is_it = |order: &Value| order["name"].as_str().unwrap().starts_with(prefix);
    status["orders"].as_array().unwrap().iter().any(is_it)
}

async fn is_paid(machine: &Machine) -> bool {
    let Some(Ok(shown)) = machine.ask(Command::Channels).await else { return false };
    let channel = &shown["channels"][0];
    channel["standing"] == "over" && channel["paid"][0] == SIDE.to_string()
}

fn block(events: Vec<Event>) -> Vec<ChainEvent> {
    let block = BlockId { number: 1, hash: B256::ZERO };
    let at = |(index, event)| ChainEvent { block, transaction: B256::ZERO, index, event };
    (1..).zip(events).map(at).collect()
}

fn withdrawn() -> Vec<ChainEvent> {
    let side = i128::try_from(SIDE).unwrap();
    let appended = LedgerAppended {
        channel: id(1),
        version: EscrowVersion::try_from(3).unwrap(),
        participant: side - i128::try_from(TAKEN).unwrap(),
        vip: side,
    };
    let withdrawn = Withdrawn {
        channel: id(1),
        seq: 0,
        nonce: nonce(1),
        version: EscrowVersion::try_from(2).unwrap(),
        balance: amount(SIDE),
        to_participant: amount(TAKEN),
        to_vip: amount(0),
    };
    block(vec![Event::LedgerAppended(appended), Event::Withdrawn(withdrawn)])
}

fn announced() -> Vec<ChainEvent> {
    block(vec![Event::CloseAnnounced(CloseAnnounced {
        channel: id(1),
        seq: 0,
        epoch: 1,
        to_participant: amount(SIDE),
        to_vip: amount(SIDE),
        deadline: 1,
    })])
}

fn settled() -> Vec<ChainEvent> {
    block(vec![Event::Settled(Settled {
        channel: id(1),
        to_participant: amount(SIDE),
        to_vip: amount(SIDE),
        slash: amount(0),
        corrector: None,
        fee: U256::ZERO,
        bond_returned: U256::ZERO,
    })])
}

/// Plays it; whether the victim died.
async fn play(agreed: Agreed, fate: Fate, switch: KillSwitch) -> bool {
    let (_folder, mut all) = world(agreed).await;
    start_all(&mut all, fate, &switch).await;
    let played = play_out(&mut all, (fate, &switch), async |all, round| {
        // The same order, again and again: it is carried out once.
        if let Some(Err(error)) = all[1].ask(agreed.order()).await {
            assert!(is_expected(&error), "{error}");
        }
        if has_order(&all[1], agreed.errand()).await {
            for machine in all.iter() {
                agreed.execute(machine).await;
            }
        }
        if round.more {
            all[fate.victim].see(Vec::new()).await;
        }
        agreed.is_over(all).await
    });
    played.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_a_withdrawal_consents_once() {
    play_all(0, WRITES_MIN, |fate, switch| play(Agreed::Withdrawal, fate, switch)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_a_withdrawal_is_paid_out_once() {
    play_all(1, WRITES_MIN, |fate, switch| play(Agreed::Withdrawal, fate, switch)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_a_close_in_a_dispute_ends_it_as_agreed() {
    play_all(0, WRITES_MIN, |fate, switch| play(Agreed::EndOfDispute, fate, switch)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_a_close_in_a_dispute_ends_it_as_agreed() {
    play_all(1, WRITES_MIN, |fate, switch| play(Agreed::EndOfDispute, fate, switch)).await;
}
