//! The submitter with nodes that fail, lie or limit.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use chain::{
    provider::At,
    submitter::{Outcome, Outlets, Report, RoundError},
};

use crate::{
    outbox::{CALM, HASTY, Store, disputed, finalized, obligation},
    proxy::{Fault, FaultProxy, Faults},
    world::{CHAIN_ID, World},
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

/// One request in eight meets a fault, drawn from a seed, and the program is stopped now and then.
#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_only_node_loses_or_doubles_an_obligation() {
    const FAULTS: [Fault; 8] = [
        Fault::TimeOut,
        Fault::RateLimited,
        Fault::ServerError,
        Fault::Truncated,
        Fault::EmptyLogs,
        Fault::StaleHead(3),
        Fault::WrongChain(5),
        Fault::Refuses,
    ];
    const SEEDS: u64 = 6;
    let mut world = World::start().await;
    let direct = world.rpc.clone();
    let mut channels = Vec::new();
    for seed in 0..SEEDS {
        let channel = world.open(seed).await;
        world.hub.send(&world.dispute_call(channel, seed, 4, 100).await).await.unwrap();
        channels.push((seed, channel));
    }
    world.stop_mining().await;
    let mut failed_rounds = 0;
    for (seed, channel) in channels {
        let proxy = FaultProxy::start(&world.http, seed).await;
        proxy.set(Faults { sometimes: FAULTS.to_vec(), one_in: 8, always: Vec::new() });
        let wanted = obligation("override", world.override_call(channel, 9, 900));
        let max_cost = wanted.max_cost;
        let before = world.balance(&world.tower).await;
        let mut store = Store::with(wanted);
        world.rpc = proxy.rpc(PATIENCE).await;
        world.rpc.expect_chain(CHAIN_ID);
        let (outcome, failed) = through_faults(&world, &mut store).await;
        failed_rounds += failed;
        world.rpc = direct.clone();

        let receipt = finalized(&outcome);
        let known = world.rpc.receipt(receipt.hash).await.unwrap();
        assert_eq!(known, Some(receipt), "seed {seed}: it is there");
        let standing = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
        let tower = world.tower.account.address();
        assert_eq!((standing.corrector, standing.nonce.get()), (Some(tower), 9), "seed {seed}");
        assert_eq!(overrides(&world, &store.sent()).await, 1, "seed {seed}: {:?}", store.reports);
        let spent = before - world.balance(&world.tower).await;
        assert!(spent > U256::ZERO && spent <= max_cost, "seed {seed}: {spent}");
    }
    assert!(failed_rounds > 0, "no fault was met");
}

/// Rounds with a block after each, and a restart from the store after every ninth, until the obligation has ended; and how many
/// rounds could not look at the chain.
async fn through_faults(world: &World, store: &mut Store) -> (Outcome, u64) {
    let mut submitter = store.submitter(world, CALM);
    let mut failed = 0;
    for round in 1..=400 {
        match store.round(&mut submitter).await {
            Ok(()) => {}
            Err(RoundError::Rpc(_)) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        if let Some(Report::Ended(outcome)) = store.reports.last() {
            assert_eq!(submitter.open().count(), 0);
            return (outcome.clone(), failed);
        }
        world.mine(1).await;
        if round % 9 == 0 {
            submitter = store.submitter(world, CALM);
        }
    }
    panic!("does not end: {:?}", store.reports);
}

/// How many of these transactions are in a block and no mere transfers, whether the vault took them or not.
async fn overrides(world: &World, sent: &[B256]) -> usize {
    let mut distinct = sent.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut count = 0;
    for hash in distinct {
        let receipt = world.rpc.receipt(hash).await.unwrap();
        count += usize::from(receipt.is_some_and(|receipt| receipt.gas_used > 21_000));
    }
    count
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
