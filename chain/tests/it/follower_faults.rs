//! The follower behind a proxy that breaks a real node's answers, alone and among others.

use std::time::Duration;

use chain::{
    follower::{Alarm, ClockBounds, FollowConfig, Follower, Limits},
    provider::{Endpoint, Rpc, Standing, startup},
    verify::Verify,
};

use crate::{
    follower::{Reader, config},
    proxy::{Fault, FaultProxy, Faults},
    world::{CHAIN_ID, World},
};

const LIMITS: Limits = Limits { reorg_depth: 8, range_blocks_max: 10 };

fn endpoint(url: &str) -> Endpoint {
    Endpoint { request_timeout: Duration::from_millis(400), ..Endpoint::new(url) }
}

async fn through(proxy: &FaultProxy) -> Rpc {
    let rpc = Rpc::connect(&endpoint(&proxy.url)).await.unwrap();
    rpc.expect_chain(CHAIN_ID);
    rpc
}

/// What an undisturbed reader reads.
async fn truth(world: &World) -> Reader {
    let mut reader = Reader::default();
    let mut follower =
        Follower::open(world.rpc.clone(), config(world, LIMITS), None).await.unwrap();
    reader.read(world, &mut follower).await;
    reader
}

/// A world with some history, of which the beginning is read in ranges.
async fn with_history() -> World {
    let world = World::start().await;
    let channel = world.open(1).await;
    world.mine(20).await;
    world.hub.send(&world.dispute_call(channel, 1, 4, 100).await).await.unwrap();
    world.tower.send(&world.override_call(channel, 9, 900)).await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_only_node_loses_or_doubles_an_event() {
    let world = with_history().await;
    let truth = truth(&world).await;
    let faults = [
        Fault::TimeOut,
        Fault::RateLimited,
        Fault::ServerError,
        Fault::Truncated,
        Fault::NoBatches,
        Fault::NoBlockReceipts,
        Fault::EmptyLogs,
        Fault::EmptyBloom,
        Fault::LyingLogs,
        Fault::StaleHead(3),
        Fault::WrongChain(5),
    ];
    for seed in 0..6 {
        let proxy = FaultProxy::start(&world.http, seed).await;
        proxy.set(Faults { sometimes: faults.to_vec(), one_in: 6, always: Vec::new() });
        let rpc = through(&proxy).await;
        let mut follower = loop {
            if let Ok(follower) = Follower::open(rpc.clone(), config(&world, LIMITS), None).await {
                break follower;
            }
        };
        let mut reader = Reader::default();
        reader.read_patiently(&world, &mut follower, Duration::from_secs(60)).await;
        assert_eq!(reader.events, truth.events, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_batches_and_block_receipts_is_read_all_the_same() {
    let world = with_history().await;
    let truth = truth(&world).await;
    let proxy = FaultProxy::start(&world.http, 1).await;
    let always = vec![Fault::NoBatches, Fault::NoBlockReceipts];
    proxy.set(Faults { always, ..Faults::default() });
    let rpc = through(&proxy).await;
    let mut follower = Follower::open(rpc, config(&world, LIMITS), None).await.unwrap();
    let mut reader = Reader::default();
    reader.read(&world, &mut follower).await;
    assert_eq!(reader.events, truth.events);
    assert!(proxy.asked("eth_getTransactionReceipt") > 0);
    assert_eq!(follower.health().borrow().failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hides_logs_is_not_believed_and_nothing_is_read_past_them() {
    let world = with_history().await;
    let truth = truth(&world).await;
    let first = truth.events[0].block.number;
    for fault in [Fault::EmptyLogs, Fault::LyingLogs, Fault::EmptyBloom, Fault::HardFork] {
        let proxy = FaultProxy::start(&world.http, 1).await;
        let mut follower =
            Follower::open(through(&proxy).await, config(&world, LIMITS), None).await.unwrap();
        proxy.always(fault);
        let waited = loop {
            let next = tokio::time::timeout(Duration::from_millis(700), follower.next()).await;
            match next {
                // Before the vault's first event there is nothing to hide.
                Ok(Ok(batch)) if batch.to < first && batch.added.is_empty() => {
                    follower.acknowledge();
                }
                other => break other,
            }
        };
        assert!(waited.is_err(), "{fault:?}: {waited:?}");
        let health = follower.health().borrow().clone();
        assert!(
            health.alarms.iter().any(|alarm| matches!(alarm, Alarm::Halted(_))),
            "{fault:?}: {health:?}"
        );
        let told: Vec<_> = health.alarms.iter().map(ToString::to_string).collect();
        let upgrade = told.iter().any(|alarm| alarm.contains("install a version of this program"));
        assert_eq!(upgrade, fault == Fault::HardFork, "{told:?}");
        assert_eq!(health.scoreboard.endpoints[0].standing, Standing::Lying);
        proxy.heal();
        let mut reader = Reader::default();
        reader.read_patiently(&world, &mut follower, Duration::from_secs(30)).await;
        assert_eq!(reader.events, truth.events, "{fault:?}");
        assert_eq!(follower.health().borrow().last_error, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_nodes_a_liar_and_a_dead_one_are_demoted_and_cost_no_time() {
    let world = with_history().await;
    let truth = truth(&world).await;
    let liar = FaultProxy::start(&world.http, 1).await;
    liar.always(Fault::EmptyLogs);
    let endpoints = [endpoint(&liar.url), endpoint("http://127.0.0.1:9"), endpoint(&world.http)];
    let rpc = Rpc::connect_all(&endpoints, 1).unwrap();
    rpc.expect_chain(CHAIN_ID);
    let mut follower = Follower::open(rpc.clone(), config(&world, LIMITS), None).await.unwrap();
    let mut reader = Reader::default();
    reader.read(&world, &mut follower).await;
    assert_eq!(reader.events, truth.events);
    let scores = rpc.scoreboard().endpoints;
    assert!(scores[0].lies > 0 && scores[0].standing == Standing::Lying, "{scores:?}");
    assert!(scores[1].failures > 0 && scores[1].requests == scores[1].failures, "{scores:?}");
    assert_eq!((scores[2].standing, scores[2].failures), (Standing::Good, 0));
    let alarms = follower.health().borrow().alarms.clone();
    assert!(
        matches!(&alarms[..], [Alarm::Endpoint { standing: Standing::Lying, .. }]),
        "{alarms:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_quorum_a_block_is_read_when_enough_nodes_have_it() {
    let world = with_history().await;
    let behind = FaultProxy::start(&world.http, 1).await;
    behind.always(Fault::StaleHead(2));
    let endpoints = [endpoint(&world.http), endpoint(&behind.url)];
    let rpc = Rpc::connect_all(&endpoints, 2).unwrap();
    rpc.expect_chain(CHAIN_ID);
    let mut follower = Follower::open(rpc.clone(), config(&world, LIMITS), None).await.unwrap();
    let head = world.head().await;
    let mut reader = Reader::default();
    while reader.position() != Some(head - 2) {
        reader.next(&mut follower).await;
    }
    let waited = tokio::time::timeout(Duration::from_millis(500), follower.next()).await;
    assert!(waited.is_err(), "one node alone is not enough: {waited:?}");
    behind.heal();
    reader.read(&world, &mut follower).await;
    assert_eq!(reader.events, truth(&world).await.events);
    assert!(Rpc::connect_all(&endpoints, 3).is_err(), "three of two");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_changes_its_chain_is_refused_at_the_start_and_dropped_while_running() {
    let world = with_history().await;
    let now = world.rpc.head().await.unwrap().timestamp;
    let proxy = FaultProxy::start(&world.http, 1).await;
    let expected = startup::Expectations {
        chain_id: CHAIN_ID,
        head_age_max: None,
        clock_skew_max: None,
        contracts: Vec::new(),
        account: None,
    };
    proxy.always(Fault::WrongChain(5));
    let rpc = Rpc::connect_all(&[endpoint(&world.http), endpoint(&proxy.url)], 1).unwrap();
    let error = startup::check(&rpc, &expected, now).await.unwrap_err();
    assert_eq!(error, startup::StartupError::WrongChain { expected: CHAIN_ID, found: 5 });

    let rpc = Rpc::connect(&endpoint(&proxy.url)).await.unwrap();
    rpc.expect_chain(CHAIN_ID);
    let mut follower = Follower::open(rpc.clone(), config(&world, LIMITS), None).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(400), follower.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(rpc.scoreboard().endpoints[0].standing, Standing::WrongChain);
    assert!(rpc.head().await.is_err(), "nobody else uses it either");
    proxy.heal();
    Reader::default().read_patiently(&world, &mut follower, Duration::from_secs(30)).await;
}

/// A node that is cut off, or was left behind, goes on answering: with the same newest block, ever older.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stays_behind_is_alarmed_while_running_until_it_has_caught_up() {
    let world = World::start().await;
    world.stop_mining().await;
    let head_age_max = Some(Duration::from_secs(2));
    let bounds = ClockBounds { head_age_max, skew_max: None };
    let watchful = FollowConfig {
        clock: bounds,
        poll_interval: Duration::from_millis(100),
        ..config(&world, LIMITS)
    };
    let mut follower = Follower::open(world.rpc.clone(), watchful, None).await.unwrap();
    let mut reader = Reader::default();
    reader.read(&world, &mut follower).await;
    assert_eq!(follower.health().borrow().alarms, [], "a new block");

    let mut health = follower.health();
    let old = |health: &chain::follower::Health| {
        matches!(&health.alarms[..], [Alarm::HeadOld { age_s: 3.., allowed_s: 2 }])
    };
    {
        let waiting = follower.next();
        tokio::pin!(waiting);
        // A block is a second after the one before at least: a dozen of them at once are ahead of the clock for as long.
        let alarmed = tokio::time::timeout(Duration::from_secs(60), health.wait_for(old));
        tokio::select! {
            batch = &mut waiting => panic!("there is no block: {batch:?}"),
            alarmed = alarmed => assert!(alarmed.expect("it is alarmed").is_ok()),
        }
    }
    world.mine(1).await;
    reader.read(&world, &mut follower).await;
    assert_eq!(follower.health().borrow().alarms, [], "and the alarm is over with the next block");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_alarmed_while_running() {
    let world = with_history().await;
    // The chain's clock is moved an hour into our future.
    world.pass(3_600).await;
    world.mine(1).await;
    let skew_max = Some(Duration::from_secs(60));
    let bounds = ClockBounds { head_age_max: None, skew_max };
    let watchful = FollowConfig { clock: bounds, verify: Verify::Full, ..config(&world, LIMITS) };
    let mut follower = Follower::open(world.rpc.clone(), watchful, None).await.unwrap();
    Reader::default().read(&world, &mut follower).await;
    let alarms = follower.health().borrow().alarms.clone();
    assert!(matches!(&alarms[..], [Alarm::ClockBehind { .. }]), "{alarms:?}");
}
