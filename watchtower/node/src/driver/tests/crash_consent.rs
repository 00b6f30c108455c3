//! One withdrawal by consent, in which the hub or the participant is killed at one of its durable writes, before or after it,
//! alone or with the other, and comes back. The chain executes it once it was ordered there, and is told again to whoever died
//! before it had heard.
//!
//! After every such crash: the withdrawal took place once, both ends go on from its nonce with what is left, and nobody signed two
//! consents under one number or two states at one nonce (`hall` reads every frame).

use alloy_primitives::B256;
use chain::cursor::BlockId;
use chain::events::{ChainEvent, Event, LedgerAppended, Withdrawn};
use protocol::testing::{amount, nonce};
use protocol::{EscrowVersion, Role};
use serde_json::Value;
use tempfile::TempDir;

use super::crash::{Fate, play_all, revive};
use super::hall::Hall;
use super::world::{Machine, SIDE, id, keys, own};
use crate::driver::{Command, KillSwitch};

const TAKEN: u128 = 1_000;
/// Fewer durable writes than either party makes for one withdrawal would show that the switch does not work.
const WRITES_MIN: u64 = 3;

fn withdraw() -> Command {
    Command::Withdraw { channel: None, amount: amount(TAKEN), key: Some("rent".to_owned()) }
}

/// Hub and alice: not started.
async fn world() -> (TempDir, [Machine; 2]) {
    let (folder, met) = (tempfile::tempdir().unwrap(), Some(Hall::default()));
    let (hub, alice) = (keys(9, Role::Counterparty), keys(1, Role::Participant));
    let channels = [own(1, &alice, &hub)];
    let hub = Machine::new(&folder.path().join("hub"), hub, &channels, met.clone()).await;
    let alice = Machine::new(&folder.path().join("alice"), alice, &channels, met).await;
    alice.introduce(&hub).await;
    (folder, [hub, alice])
}

/// Whether both have signed and the order is on its way to the chain.
async fn is_ordered(alice: &Machine) -> bool {
    let Some(Ok(status)) = alice.ask(Command::Status).await else { return false };
    let is_it =
        |order: &Value| order["name"].as_str().unwrap().starts_with("withdraw channel 1 consent 0");
    status["orders"].as_array().unwrap().iter().any(is_it)
}

/// The chain executes it: told to a node that has not heard of it.
async fn execute(machine: &Machine) {
    let Some(Ok(shown)) = machine.ask(Command::Channels).await else { return };
    if shown["channels"][0]["version"] != 2 {
        return;
    }
    let block = BlockId { number: 1, hash: B256::ZERO };
    let at = |index, event| ChainEvent { block, transaction: B256::ZERO, index, event };
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
    machine
        .see(vec![at(1, Event::LedgerAppended(appended)), at(2, Event::Withdrawn(withdrawn))])
        .await;
}

async fn agree([hub, alice]: &[Machine; 2]) -> bool {
    let (hub, alice) = (hub.standings().await, alice.standings().await);
    hub.get(&1) == Some(&(1, SIDE)) && alice.get(&1) == Some(&(1, SIDE - TAKEN))
}

/// Plays it; whether the victim came to that write.
async fn play(fate: Fate, switch: KillSwitch) -> bool {
    let (_folder, mut all) = world().await;
    for (at, machine) in all.iter_mut().enumerate() {
        machine.start((at == fate.victim).then(|| switch.clone())).await;
    }
    let (mut crashes, mut is_over) = (0, false);
    for _ in 0..1_500 {
        crashes += u32::from(revive(&mut all, fate).await);
        // The same order, again and again: it is carried out once.
        if let Some(Err(error)) = all[1].ask(withdraw()).await {
            assert!([404, 409, 503].contains(&error.status), "{error}");
        }
        if is_ordered(&all[1]).await {
            for machine in &all {
                execute(machine).await;
            }
        }
        is_over = agree(&all).await;
        if is_over {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(is_over, "{fate:?}: not executed, or the ends do not agree");
    for machine in &mut all {
        // One that reaches its write only now has nothing more to show.
        let error = machine.kill().await;
        assert!(error.is_none() || crashes == 0, "{fate:?}: {error:?}");
    }
    assert!(crashes <= 1, "{fate:?}: it dies once");
    crashes == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_a_withdrawal_consents_once() {
    play_all(0, WRITES_MIN, play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_a_withdrawal_is_paid_out_once() {
    play_all(1, WRITES_MIN, play).await;
}
