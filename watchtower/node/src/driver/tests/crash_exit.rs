//! An exit by dispute on a real chain, with the checkpoint, which needs no proof, in which the participant that leaves is killed at
//! one of its durable writes, driver's and sender's, from the order to the collection, before or after it, alone or with the hub,
//! and comes back.
//!
//! After every such crash: one dispute was opened and settled, and everything that is due, base units and ether, has come home.

use chain::calls::Status;
use serde_json::Value;

use super::crash::{Fate, is_expected, play_all, play_out, start_all};
use super::ground::{MUCH, WINDOW_S};
use super::machine::Machine;
use super::town::{ALICE, HUB, Town};
use super::world::id;
use crate::driver::Command;
use crate::kill::KillSwitch;

/// Fewer durable writes than one exit has would show that the switch does not work.
const WRITES_MIN: u64 = 20;
/// After so many rounds a block comes that nobody sent anything for.
const STILL_ROUNDS: u32 = 100;

async fn is_over(machine: &Machine) -> bool {
    let (all, status) = (machine.channels().await, machine.status().await);
    all.first().is_some_and(|one| one["standing"] == "over")
        && status["orders"].as_array().is_some_and(Vec::is_empty)
}

/// Plays it; whether the victim died.
async fn play(fate: Fate, switch: KillSwitch) -> bool {
    let (town, mut all) = Town::found().await;
    let channel = town.open().await;
    all[HUB].put(vec![crate::rows::new_lane(&channel).unwrap()]).await;
    all[ALICE].put(vec![crate::rows::new_wallet(&channel).unwrap()]).await;
    all[ALICE].introduce(&all[HUB]).await;
    start_all(&mut all, fate, &switch).await;
    let (mut is_ordered, mut is_past, mut rounds) = (false, false, 0_u32);
    let account = town.alice.account.address();
    let played = play_out(&mut all, (fate, &switch), async |all, round| {
        // A chain goes on: what it refuses is given up once a later block that is final refuses it as well.
        rounds += 1;
        town.ground.go_on(round.wants_block() || rounds.is_multiple_of(STILL_ROUNDS)).await;
        if !is_ordered {
            match all[ALICE].ask(Command::Exit { channel: None, now: true }).await {
                // What was answered is on record: it needs no second order.
                Some(Ok(shown)) => is_ordered = shown["step"] != Value::Null,
                Some(Err(error)) => assert!(is_expected(&error), "{error}"),
                None => {}
            }
        }
        if !is_past && town.ground.channel(id(1)).await.status == Status::Disputed {
            is_past = true;
            // The chain's clock runs ahead of the one that is moved: a second at least for each block.
            town.ground.pass(2 * WINDOW_S).await;
        }
        let home = town.ground.money(account).await == MUCH;
        home && town.ground.credit(account).await == (0, 0)
            && is_over(&all[HUB]).await
            && is_over(&all[ALICE]).await
    });
    let died = played.await;
    let channel = town.ground.channel(id(1)).await;
    assert_eq!((channel.status, channel.epoch), (Status::Settled, 1), "{fate:?}: one dispute");
    assert_eq!(town.ground.pool_money().await, MUCH, "{fate:?}");
    assert!(town.hall.nonces(id(1)).is_empty(), "{fate:?}: nothing was signed");
    died
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_an_exit_is_paid_what_is_due() {
    play_all(ALICE, WRITES_MIN, play).await;
}
