//! A close by consent on a real chain, of a channel with a state that both signed, in which the hub or the participant is killed at
//! one of its durable writes, driver's and sender's, before or after it, alone or with the other, and comes back.
//!
//! After every such crash: the channel was closed once, on one pair of terms, both were paid what the state says, what is due has
//! come home, and nobody signed another state or another close (`hall` reads every frame).

use chain::calls::Status;
use protocol::Role;
use protocol::testing::amount;
use protocol::zksc::Channel;
use serde_json::{Value, json};

use super::crash::{Fate, is_expected, play_all, play_out, start_all};
use super::ground::MUCH;
use super::machine::Machine;
use super::town::{ALICE, HUB, Town};
use super::world::{SIDE, id, keys, policy, signed, terms};
use crate::driver::Command;
use crate::kill::KillSwitch;

/// What the participant has won.
const WON: u128 = 300;
/// Fewer durable writes than either party makes for one close would show that the switch does not work.
const WRITES_MIN: u64 = 6;

async fn is_closed(machine: &Machine) -> bool {
    let (all, status) = (machine.channels().await, machine.status().await);
    let paid = json!([(SIDE + WON).to_string(), (SIDE - WON).to_string()]);
    let is_it = |one: &Value| (&one["standing"], &one["paid"]) == (&json!("over"), &paid);
    all.first().is_some_and(is_it) && status["orders"].as_array().is_some_and(Vec::is_empty)
}

/// Plays it; whether the victim died.
async fn play(fate: Fate, switch: KillSwitch) -> bool {
    let (town, mut all) = Town::found().await;
    let channel = town.open().await;
    let state = signed(&channel, (&town.alice, &town.hub), (5, 2), SIDE + WON);
    all[HUB].put(town.holding(Role::Counterparty, &channel, &state)).await;
    all[ALICE].put(town.holding(Role::Participant, &channel, &state)).await;
    let bob = keys(2, Role::Participant);
    let site = town.ground.site(Role::Participant);
    let known = Channel::try_from(terms(&site, (2, policy().hub.rate), &bob, &town.hub)).unwrap();
    all[ALICE].know(&[known]).await;
    all[ALICE].introduce(&all[HUB]).await;
    start_all(&mut all, fate, &switch).await;
    let mut is_ordered = false;
    let played = play_out(&mut all, (fate, &switch), async |all, round| {
        town.ground.go_on(round.wants_block()).await;
        if !is_ordered {
            match all[ALICE].ask(Command::Close { channel: None }).await {
                // What was answered is on record: it needs no second order.
                Some(Ok(_)) => is_ordered = true,
                Some(Err(error)) => assert!(is_expected(&error), "{error}"),
                None => {}
            }
        }
        if is_ordered {
            let (to, amount) = ("2".to_owned(), Some(amount(1)));
            let pay = Command::Pay { channel: Some(id(1)), to, amount, key: None };
            let paid = all[ALICE].ask(pay).await;
            assert!(!matches!(paid, Some(Ok(_))), "{fate:?}: {paid:?} after the close was agreed");
        }
        is_closed(&all[HUB]).await && is_closed(&all[ALICE]).await
    });
    let died = played.await;
    let account = town.alice.account.address();
    assert_eq!(town.ground.channel(id(1)).await.status, Status::Settled, "{fate:?}");
    assert_eq!(town.ground.money(account).await, MUCH + WON, "{fate:?}: it has come home");
    assert_eq!(town.ground.credit(account).await.0, 0, "{fate:?}");
    assert_eq!(town.ground.pool_money().await, MUCH - WON, "{fate:?}");
    assert_eq!(town.hall.closes().len(), 1, "{fate:?}");
    assert!(town.hall.nonces(id(1)).iter().all(|nonce| *nonce == 5), "{fate:?}: a new state");
    died
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_a_close_consents_once() {
    play_all(HUB, WRITES_MIN, play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_a_close_is_paid_out_once() {
    play_all(ALICE, WRITES_MIN, play).await;
}
