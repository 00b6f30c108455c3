//! The opening of a channel on a real chain, in which the hub or the participant is killed at one of its durable writes, driver's
//! and sender's, before or after it, alone or with the other, and comes back. And the same where the hub offers and never accepts,
//! and the participant takes its deposit back.
//!
//! After every such crash: one channel is open, with what was asked for in it, and both can use it, at once or after the pause of one
//! that was not there when it began to live; or what was paid in has
//! come home, and another channel can be opened.

use alloy_primitives::B256;
use chain::calls::Status;
use gossip::link::LinkEvent;
use protocol::Role;
use protocol::schnorr::keys_digest;
use protocol::testing::{HEDGE, amount};
use protocol::vnode::link::{Ask, Frame, Offer};
use protocol::zksc::possession;
use serde_json::Value;
use tokio::task::JoinSet;

use super::crash::{Fate, is_expected, play_all, play_fates, play_out, start_all};
use super::ground::MUCH;
use super::hall::Hall;
use super::machine::Machine;
use super::town::{ALICE, HUB, Town};
use super::world::{SIDE, id, policy};
use crate::driver::{Command, HOLD_AFTER_RESTORE_S};
use crate::keys::Keys;
use crate::kill::KillSwitch;

/// Fewer durable writes than any of these stories has would show that the switch does not work.
const WRITES_MIN: u64 = 12;

fn open(hub: &str, deposit: u128) -> Command {
    Command::Open { invitation: hub.to_owned(), deposit: amount(deposit), another: false }
}

/// Orders an opening; what names it. None while the node is dead, or cannot do it now.
async fn order(alice: &Machine, command: Command) -> Option<String> {
    match alice.ask(command).await? {
        Ok(shown) => Some(shown["dispute_hash"].as_str().unwrap().to_owned()),
        Err(error) => {
            assert!(is_expected(&error), "{error}");
            None
        }
    }
}

/// An order that was answered is on record: the same one again is the same opening.
fn keep(named: &mut Option<String>, hash: Option<String>) {
    if let Some(hash) = hash {
        assert_eq!(*named.get_or_insert(hash.clone()), hash, "the order was carried out twice");
    }
}

fn is_idle(status: &Value) -> bool {
    status["orders"].as_array().is_some_and(Vec::is_empty)
}

/// Whether the channel lives here and has a record, and whether it is paused: a node that was not there when it began to live does
/// not know that nothing was signed on it.
async fn is_live(machine: &Machine) -> Option<bool> {
    let (all, status) = (machine.channels().await, machine.status().await);
    assert!(all.len() <= 1, "{all:?}");
    let one = all.first()?;
    let shown = (&one["standing"], &one["nonce"], &one["connected"]);
    let lives = shown == (&"live".into(), &0.into(), &true.into());
    (lives && is_idle(&status)).then(|| one["held"] == true)
}

/// Plays an opening; whether the victim died.
async fn opened(fate: Fate, switch: KillSwitch) -> bool {
    let (town, mut all) = Town::found().await;
    let invitation = all[HUB].invitation().to_string();
    for machine in &mut all {
        let mut impatient = policy();
        // Two that restore at once know nothing that they could tell each other.
        impatient.backup.restore_wait_ms = 100;
        machine.with_towers(Vec::new(), impatient);
    }
    start_all(&mut all, fate, &switch).await;
    let mut named = None;
    let played = play_out(&mut all, (fate, &switch), async |all, round| {
        town.ground.go_on(round.wants_block()).await;
        keep(&mut named, order(&all[ALICE], open(&invitation, SIDE)).await);
        let [Some(hub), Some(alice)] = [is_live(&all[HUB]).await, is_live(&all[ALICE]).await]
        else {
            return false;
        };
        if hub || alice {
            // Until the pause has begun, which is counted from the chain's head, and is over.
            town.ground.pass(HOLD_AFTER_RESTORE_S + 1).await;
            return false;
        }
        let status = all[ALICE].status().await;
        let openings = status["openings"].as_array().cloned().unwrap_or_default();
        openings.len() == 1 && openings[0]["stage"] == "live"
    });
    let died = played.await;
    let channel = town.ground.channel(id(1)).await;
    let named = named.unwrap().parse::<B256>().unwrap();
    assert_eq!((channel.status, channel.dispute_hash), (Status::Live, named), "{fate:?}");
    assert_eq!(channel.version.get(), 2, "{fate:?}: one deposit, one allocation");
    assert_eq!(town.ground.channel(id(2)).await.status, Status::None, "{fate:?}: opened once");
    assert_eq!(town.ground.money(town.alice.account.address()).await, MUCH - SIDE, "{fate:?}");
    assert_eq!(town.ground.pool_money().await, MUCH - SIDE, "{fate:?}");
    died
}

/// A hub that offers every channel with a whole deposit and accepts none.
async fn offer_only(hub: Keys, hall: Hall) {
    let me = hub.identity.peer();
    let (link, mut events, wire) = hall.join(me);
    let mut carried = JoinSet::new();
    carried.spawn(hall.serve(me, wire));
    let key = hub.signer.channel_key();
    while let Some(event) = events.recv().await {
        let LinkEvent::Frame(peer, bytes) = event else { continue };
        let Ok(Frame::Ask(ask)) = Frame::from_bytes(&bytes) else { continue };
        let Ask { key: theirs, deposit, .. } = *ask;
        if deposit != amount(SIDE) {
            continue;
        }
        let digest = keys_digest(&theirs, key.public_key()).unwrap();
        let offer = Offer {
            keys_digest: B256::new(digest.to_bytes()),
            possession: possession::prove(Role::Counterparty, key, &digest, &HEDGE),
            allocation: deposit,
            max_update: deposit,
        };
        link.send(peer, Frame::Offer(Box::new(offer)).to_bytes()).unwrap();
    }
}

/// Plays an opening that is never accepted and taken back; whether the victim died.
async fn taken_back(fate: Fate, switch: KillSwitch) -> bool {
    let (town, mut all) = Town::found().await;
    let invitation = all[HUB].invitation().to_string();
    let alice = &mut all[ALICE..];
    let fate = Fate { victim: 0, ..fate };
    let mut hub = JoinSet::new();
    hub.spawn(offer_only(town.hub.clone(), town.hall.clone()));
    start_all(alice, fate, &switch).await;
    let (mut first, mut second, mut gives_up) = (None, None, false);
    let played = play_out(alice, (fate, &switch), async |all, round| {
        town.ground.go_on(round.wants_block()).await;
        let channels = all[0].channels().await;
        let standing = channels.first().map_or(Value::Null, |one| one["standing"].clone());
        if !gives_up {
            keep(&mut first, order(&all[0], open(&invitation, SIDE)).await);
        }
        if standing == "open" {
            gives_up = true;
            if let Some(Err(error)) = all[0].ask(Command::Cancel { channel: id(1) }).await {
                assert!(is_expected(&error), "{error}");
            }
        }
        let home = town.ground.money(town.alice.account.address()).await == MUCH;
        if standing != "cancelled" || !home || !is_idle(&all[0].status().await) {
            return false;
        }
        // It is over, so another one may be opened; the hub does not answer.
        keep(&mut second, order(&all[0], open(&invitation, SIDE + 1)).await);
        second.is_some()
    });
    let died = played.await;
    assert_ne!(first, second, "{fate:?}: what was taken back is over");
    assert_eq!(town.ground.channel(id(1)).await.status, Status::Cancelled, "{fate:?}");
    assert_eq!(town.ground.channel(id(2)).await.status, Status::None, "{fate:?}: opened once");
    died
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_an_opening_accepts_once() {
    play_all(HUB, WRITES_MIN, opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_an_opening_pays_in_once() {
    play_all(ALICE, WRITES_MIN, opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_gets_an_unaccepted_deposit_back() {
    // There is nobody else.
    play_fates(ALICE, WRITES_MIN, &[false], taken_back).await;
}
