//! The submitter with nodes that fail, lie or limit.

use std::time::Duration;

use chain::{
    provider::At,
    submitter::{Outlets, Report, RoundError},
};

use crate::{
    outbox::{CALM, HASTY, Store, disputed, finalized, obligation},
    proxy::{Fault, FaultProxy},
    world::World,
};

/// How long a request to a proxy may take.
const PATIENCE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_limits_or_hangs_costs_time_and_loses_nothing() {
    let mut world = World::start().await;
    let channel = disputed(&world).await;
    let relay = FaultProxy::start(&world.http, 1).await;
    world.rpc = relay.rpc(PATIENCE).await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    let health = submitter.health();
    for (failures, fault) in [(1, Fault::RateLimited), (2, Fault::TimeOut), (3, Fault::RateLimited)]
    {
        relay.always(fault);
        let error = store.round(&mut submitter).await.unwrap_err();
        assert!(matches!(&error, RoundError::Rpc(_)), "{error}");
        assert!(matches!(error.retry(), chain::error::Retry::Later(_)), "{error}");
        assert_eq!(health.borrow().failures, failures);
    }
    relay.heal();
    store.round(&mut submitter).await.unwrap();
    assert_eq!(health.borrow().failures, 0);
    assert_eq!(store.sent().len(), 1);
    // It goes away again between the sending and the block.
    relay.always(Fault::RateLimited);
    assert!(store.round(&mut submitter).await.is_err());
    world.mine(1).await;
    relay.heal();
    finalized(&store.finish(&world, &mut submitter).await);
    assert_eq!(store.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_endpoint_takes_what_the_first_one_keeps_to_itself() {
    let mut reading = World::start().await;
    let channel = disputed(&reading).await;
    let black_hole = FaultProxy::with(&reading.http, Fault::Keeps).await;
    reading.rpc = black_hole.rpc(PATIENCE).await;
    let honest = FaultProxy::start(&reading.http, 1).await;
    let down = FaultProxy::with(&reading.http, Fault::RateLimited).await;
    let mut store = Store::with(obligation("override", reading.override_call(channel, 9, 900)));
    let outlets = Outlets {
        public: vec![down.rpc(PATIENCE).await, honest.rpc(PATIENCE).await],
        private: Vec::new(),
    };
    let mut submitter = store.submitter_with(&reading, CALM, outlets);
    store.round(&mut submitter).await.unwrap();
    assert_eq!((black_hole.taken().len(), honest.taken().len()), (1, 1));
    reading.rpc = honest.rpc(PATIENCE).await;
    let pending = reading.nonce(&reading.tower, At::Pending).await;
    assert_eq!(pending, reading.nonce(&reading.tower, At::Latest).await + 1);
    reading.mine(1).await;
    finalized(&store.finish(&reading, &mut submitter).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_simulation_calls_nothing_back() {
    let mut world = World::start().await;
    let channel = disputed(&world).await;
    let relay = FaultProxy::start(&world.http, 1).await;
    world.rpc = relay.rpc(PATIENCE).await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, HASTY);
    store.round(&mut submitter).await.unwrap();
    relay.always(Fault::Refuses);
    store.round(&mut submitter).await.unwrap();
    assert!(store.reports.iter().any(|report| matches!(report, Report::Refused(_))));
    relay.heal();
    let cancelled = |report: &Report| matches!(report, Report::Sending(attempt) if attempt.cancel);
    assert!(!store.reports.iter().any(cancelled), "{:?}", store.reports);
    world.mine(1).await;
    finalized(&store.finish(&world, &mut submitter).await);
}
