//! The submitter with nodes that fail, lie or limit, and with chains that take blocks back.

use chain::{
    provider::At,
    submitter::{Outlets, Report, RoundError},
};

use crate::{
    outbox::{CALM, HASTY, Store, disputed, finalized, obligation},
    relay::{Mood, Relay},
    world::World,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_limits_or_hangs_costs_time_and_loses_nothing() {
    let mut world = World::start().await;
    let channel = disputed(&world).await;
    let relay = Relay::before(&world.http, Mood::Honest).await;
    world.rpc = relay.rpc().await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    let health = submitter.health();
    for (failures, mood) in [(1, Mood::Limits), (2, Mood::Hangs), (3, Mood::Limits)] {
        relay.set(mood);
        let error = store.round(&mut submitter).await.unwrap_err();
        assert!(matches!(&error, RoundError::Rpc(_)), "{error}");
        assert!(matches!(error.retry(), chain::error::Retry::Later(_)), "{error}");
        assert_eq!(health.borrow().failures, failures);
    }
    relay.set(Mood::Honest);
    store.round(&mut submitter).await.unwrap();
    assert_eq!(health.borrow().failures, 0);
    assert_eq!(store.sent().len(), 1);
    // It goes away again between the sending and the block.
    relay.set(Mood::Limits);
    assert!(store.round(&mut submitter).await.is_err());
    world.mine(1).await;
    relay.set(Mood::Honest);
    finalized(&store.finish(&world, &mut submitter).await);
    assert_eq!(store.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_endpoint_takes_what_the_first_one_keeps_to_itself() {
    let mut reading = World::start().await;
    let channel = disputed(&reading).await;
    let black_hole = Relay::before(&reading.http, Mood::Keeps).await;
    reading.rpc = black_hole.rpc().await;
    let honest = Relay::before(&reading.http, Mood::Honest).await;
    let down = Relay::before(&reading.http, Mood::Limits).await;
    let mut store = Store::with(obligation("override", reading.override_call(channel, 9, 900)));
    let outlets =
        Outlets { public: vec![down.rpc().await, honest.rpc().await], private: Vec::new() };
    let mut submitter = store.submitter_with(&reading, CALM, outlets);
    store.round(&mut submitter).await.unwrap();
    assert_eq!((black_hole.taken().len(), honest.taken().len()), (1, 1));
    reading.rpc = honest.rpc().await;
    let pending = reading.nonce(&reading.tower, At::Pending).await;
    assert_eq!(pending, reading.nonce(&reading.tower, At::Latest).await + 1);
    reading.mine(1).await;
    finalized(&store.finish(&reading, &mut submitter).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_simulation_calls_nothing_back() {
    let mut world = World::start().await;
    let channel = disputed(&world).await;
    let relay = Relay::before(&world.http, Mood::Honest).await;
    world.rpc = relay.rpc().await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, HASTY);
    store.round(&mut submitter).await.unwrap();
    relay.set(Mood::Refuses);
    store.round(&mut submitter).await.unwrap();
    assert!(store.reports.iter().any(|report| matches!(report, Report::Refused(_))));
    relay.set(Mood::Honest);
    let cancelled = |report: &Report| matches!(report, Report::Sending(attempt) if attempt.cancel);
    assert!(!store.reports.iter().any(cancelled), "{:?}", store.reports);
    world.mine(1).await;
    finalized(&store.finish(&world, &mut submitter).await);
}

/// The dispute goes with its block: the override has nothing to correct, waits, and is sent once the dispute is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_removes_the_dispute_ends_nothing() {
    let world = World::start().await;
    let channel = world.open(1).await;
    world.stop_mining().await;
    let dispute = world.dispute_call(channel, 1, 4, 100).await;
    let sent = world.hub.submit(Some(dispute.to), dispute.data, dispute.value).await.unwrap();
    world.mine(1).await;
    assert!(world.rpc.receipt(sent).await.unwrap().unwrap().success);
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    assert_eq!(store.sent().len(), 1);
    world.control("anvil_dropTransaction", serde_json::json!([store.sent()[0]])).await;
    world.reorganise(1).await;
    let again = world.dispute_call(channel, 1, 4, 100).await;
    // Some chains give the transaction back to the pool.
    let _ = world.hub.submit(Some(again.to), again.data, again.value).await;
    world.mine(1).await;
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    let standing = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(standing.corrector, Some(world.tower.account.address()), "{receipt:?}");
}

/// The override goes with its block, and the deadline comes nearer meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_removes_the_override_is_answered_in_the_next_block() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    world.mine(3).await;
    store.round(&mut submitter).await.unwrap();
    world.reorganise(3).await;
    // The machine stops at the worst time.
    let mut submitter = store.submitter(&world, CALM);
    for _ in 0..2 {
        store.round(&mut submitter).await.unwrap();
        world.mine(1).await;
    }
    let standing = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(standing.corrector, Some(world.tower.account.address()));
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert_eq!(store.sent().len(), 1, "{receipt:?}");
}
