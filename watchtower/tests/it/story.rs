//! A stale dispute, from the event to the reward.

use alloy_primitives::{Address, Bytes, U256};
use protocol::Role;
use protocol::testing::Pair;
use protocol::zksc::FinalState;
use prover::zksc::{LiveState, LiveStateCircuit};
use serde_json::Value;

use crate::world::{Running, SIDE, WINDOW_S, World};

pub(crate) fn steps(life: &Value) -> Vec<&str> {
    life["journal"].as_array().unwrap().iter().map(|line| line["step"].as_str().unwrap()).collect()
}

/// A proof of `state` by the program's own prover, for the good of `beneficiary`.
async fn proof_of(pair: &Pair, state: &FinalState, beneficiary: Address) -> Bytes {
    let live = LiveState::new(state, &pair.channel, beneficiary);
    let prove = move || LiveStateCircuit::build().unwrap().prove(&live).unwrap().bytes;
    tokio::task::spawn_blocking(prove).await.unwrap().into()
}

/// In this order, with anything between.
pub(crate) fn assert_in_order(steps: &[&str], wanted: &[&str]) {
    let mut rest = steps.iter();
    for step in wanted {
        assert!(rest.any(|found| found == step), "{step} is missing or out of order in {steps:?}");
    }
}

/// Waits for so many overrides of this tower, turns the clock beyond the deadline, and waits for the end.
pub(crate) async fn rescued(world: &World, tower: &Running, channel: &str, times: usize) -> Value {
    let path = format!("/v1/disputes/{channel}");
    let overridden = |_, lives: &Value| {
        let known = lives[0]["journal"].is_array();
        known && steps(&lives[0]).iter().filter(|step| **step == "overridden").count() >= times
    };
    tower.wait(&path, 120, overridden).await;
    world.pass_window();
    closed(tower, channel).await
}

async fn closed(tower: &Running, channel: &str) -> Value {
    let path = format!("/v1/disputes/{channel}");
    let lives = tower
        .wait(&path, 120, |status, lives| status == 200 && lives[0]["dispute"]["closed"] == true)
        .await;
    lives[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_dispute_is_overridden_settled_and_collected_and_every_step_is_in_the_journal() {
    // Every part is real here: the verifier on chain is the one that the circuit generates.
    let world = World::start_real(WINDOW_S).await;
    let pair = world.open(1).await;
    let channel = pair.channel.id();
    let tower = world.start_tower().await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;

    // The live state gives the participant nearly everything; the stale one left it little.
    let (stale, live) = (pair.final_state(3, 100), pair.final_state(1_000, 2 * SIDE - 100));
    let envelope = pair.seal(Role::Participant, &live);
    let (status, taken) = tower.back_up(&envelope.to_bytes()).await;
    assert_eq!(status, 200, "{taken}");
    let before = world.balance(world.tower.address()).await;
    let proof = proof_of(&pair, &stale, world.hub.account.address()).await;
    world.dispute_with(&pair, &stale, proof).await;

    let life = rescued(&world, &tower, &channel.to_string(), 1).await;
    let dispute = &life["dispute"];
    assert_eq!(dispute["outcome"]["outcome"], "won", "{life:#}");
    let order = [
        "seen",
        "opened",
        "decided",
        "proving",
        "proved",
        "queued",
        "sent",
        "overridden",
        "due",
        "queued",
        "sent",
        "settled",
        "won",
        "queued",
        "sent",
        "final",
        "closed",
    ];
    assert_in_order(&steps(&life), &order);
    assert!(dispute["account"]["gas_used"].as_u64().unwrap() > 2_000_000, "{dispute:#}");
    assert!(dispute["account"]["proof_bytes"].as_u64().unwrap() > 10_000, "{dispute:#}");

    // The victim is whole and more: the whole claim that was struck down is slashed.
    let victim = world.credit(world.participant.account.address()).await;
    assert!(victim >= U256::from(2 * SIDE - 100), "{victim}");
    let after = world.balance(world.tower.address()).await;
    assert!(after > before, "the tower was paid: {before} before, {after} after");

    // What ended for good is forgotten, and not taken again.
    let (status, answer) = tower.get(&format!("/v1/backups/{channel}/participant")).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &Value::from("nothing")), "{answer}");
    let (status, answer) = tower.back_up(&envelope.to_bytes()).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &Value::from("not_live")), "{answer}");
    assert_eq!(tower.get("/v1/status").await.1["backups"]["slots"], 0);
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_dispute_is_left_alone() {
    let world = World::start(20).await;
    let pair = world.open(2).await;
    let tower = world.start_tower().await;
    tower.caught_up(&world).await;
    let live = pair.final_state(9, 500);
    let (status, taken) = tower.back_up(&pair.seal(Role::Participant, &live).to_bytes()).await;
    assert_eq!(status, 200, "{taken}");
    world.dispute(&pair, &live).await;
    let path = format!("/v1/disputes/{}", pair.channel.id());
    let verdict = |lives: &Value| lives[0]["dispute"]["record"]["verdict"]["verdict"].clone();
    tower.wait(&path, 30, |_, lives| verdict(lives) == "not_newer").await;
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_that_is_stopped_in_the_middle_goes_on_where_it_was() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(3).await;
    let channel = pair.channel.id();
    let tower = world.start_tower().await;
    tower.caught_up(&world).await;
    let (stale, live) = (pair.final_state(3, 100), pair.final_state(40, SIDE));
    let (status, taken) = tower.back_up(&pair.seal(Role::Participant, &live).to_bytes()).await;
    assert_eq!(status, 200, "{taken}");
    world.dispute(&pair, &stale).await;
    let path = format!("/v1/disputes/{channel}");
    tower
        .wait(&path, 60, |_, lives| {
            lives[0]["journal"].as_array().is_some_and(|lines| lines.len() > 1)
        })
        .await;
    tower.stop().await.unwrap();

    let tower = world.start_tower().await;
    let life = rescued(&world, &tower, &channel.to_string(), 1).await;
    assert_eq!(life["dispute"]["outcome"]["outcome"], "won", "{life:#}");
    assert_in_order(&steps(&life), &["seen", "resumed", "overridden", "settled", "closed"]);
    tower.stop().await.unwrap();
}
