//! Reorganisations through the whole tower: what it saw and what it did is taken back, and comes again or does not.

use protocol::Role;
use protocol::testing::Pair;
use serde_json::{Value, json};

use crate::story::{assert_in_order, rescued, steps};
use crate::world::{Running, SIDE, WINDOW_S, World};

/// A tower that holds the live state of a channel, and the stale state to dispute with.
async fn guarded(seed: u64) -> (World, Pair, Running) {
    let world = World::start_shaky(WINDOW_S).await;
    let pair = world.open(seed).await;
    let tower = world.start_tower().await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let live = pair.final_state(40, SIDE);
    let (status, taken) = tower.back_up(&pair.seal(Role::Participant, &live).to_bytes()).await;
    assert_eq!(status, 200, "{taken}");
    (world, pair, tower)
}

/// Waits for this step; the line of the journal.
async fn step(tower: &Running, channel: &str, wanted: &str) -> Value {
    let path = format!("/v1/disputes/{channel}");
    let has = |_, lives: &Value| steps_of(lives).contains(&wanted);
    let lives = tower.wait(&path, 120, has).await;
    let lines = lives[0]["journal"].as_array().unwrap();
    lines.iter().rfind(|line| line["step"] == wanted).unwrap().clone()
}

fn steps_of(lives: &Value) -> Vec<&str> {
    if lives[0]["journal"].is_array() { steps(&lives[0]) } else { Vec::new() }
}

fn count(life: &Value, step: &str) -> usize {
    steps(life).iter().filter(|found| **found == step).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_taken_back_and_comes_again_is_overridden() {
    let (world, pair, tower) = Box::pin(guarded(11)).await;
    let channel = pair.channel.id().to_string();
    let receipt = world.dispute(&pair, &pair.final_state(3, 100)).await;
    step(&tower, &channel, "seen").await;
    world.take_back_from(receipt.block.number).await;

    let life = rescued(&world, &tower, &channel, 1).await;
    assert_in_order(&steps(&life), &["seen", "vanished", "seen", "overridden", "settled", "won"]);
    assert_eq!(life["dispute"]["outcome"]["outcome"], "won", "{life:#}");
    assert_eq!(life["dispute"]["vanished"], false, "{life:#}");
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_taken_back_for_good_is_let_go() {
    let (world, pair, tower) = Box::pin(guarded(12)).await;
    let channel = pair.channel.id().to_string();
    let receipt = world.dispute(&pair, &pair.final_state(3, 100)).await;
    step(&tower, &channel, "seen").await;
    world.take_back_for_good(receipt.block.number).await;
    step(&tower, &channel, "vanished").await;
    tower.caught_up(&world).await;

    let (_, lives) = tower.get(&format!("/v1/disputes/{channel}")).await;
    let dispute = &lives[0]["dispute"];
    assert_eq!((&dispute["vanished"], &dispute["closed"]), (&json!(true), &json!(true)));
    // The channel is as it was: its owner can back up, and the next dispute is answered.
    let newer = pair.seal(Role::Participant, &pair.final_state(41, SIDE));
    assert_eq!(tower.back_up(&newer.to_bytes()).await.0, 200);
    world.dispute(&pair, &pair.final_state(4, 100)).await;
    let life = rescued(&world, &tower, &channel, 1).await;
    assert_eq!(life["dispute"]["outcome"]["outcome"], "won", "{life:#}");
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_is_taken_back_is_brought_again_and_paid_once() {
    for for_good in [false, true] {
        let (world, pair, tower) = Box::pin(guarded(13)).await;
        let channel = pair.channel.id().to_string();
        let before = world.balance(world.tower.address()).await;
        world.dispute(&pair, &pair.final_state(3, 100)).await;
        let line = step(&tower, &channel, "overridden").await;
        let block = line["block"].as_u64().unwrap();
        if for_good {
            world.take_back_for_good(block).await;
        } else {
            world.take_back_from(block).await;
        }

        let life = rescued(&world, &tower, &channel, 2).await;
        let order = ["overridden", "override_removed", "overridden", "settled", "won", "closed"];
        assert_in_order(&steps(&life), &order);
        assert_eq!(count(&life, "settled"), 1, "{life:#}");
        let dispute = &life["dispute"];
        assert_eq!(dispute["outcome"]["outcome"], "won", "{life:#}");
        let after = world.balance(world.tower.address()).await;
        assert!(after > before, "{before} before, {after} after");
        let wei =
            |value: &Value| value.as_str().unwrap().parse::<alloy_primitives::U256>().unwrap();
        let (reward, fee) = (wei(&dispute["record"]["reward"]), wei(&dispute["record"]["fee"]));
        assert_eq!(wei(&dispute["account"]["collected_wei"]), reward + fee);
        assert_eq!(wei(&dispute["outcome"]["reward"]), reward, "counted once: {life:#}");
        tower.stop().await.unwrap();
    }
}
