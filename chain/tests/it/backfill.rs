//! How fast history is read and verified: the figure is printed, and a floor is held.

use std::time::{Duration, Instant};

use chain::{
    follower::{FollowConfig, Follower, Limits},
    verify::Verify,
};

use crate::{
    follower::{Reader, config},
    proxy::{Fault, FaultProxy},
    world::World,
};

/// Blocks without anything of ours, as most are.
const BLOCKS: u64 = 4_000;
/// What is asked of a local node, in blocks a second.
const FLOOR: f64 = 1_000.0;

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_and_verified_at_a_thousand_blocks_a_second() {
    let world = World::start().await;
    world.open(1).await;
    world.control("anvil_mine", serde_json::json!([BLOCKS, 1])).await;
    for verify in [Verify::Full, Verify::Bloom, Verify::Off] {
        let config = FollowConfig { verify, ..config(&world, Limits::default()) };
        let mut follower = Follower::open(world.rpc.clone(), config, None).await.unwrap();
        let mut reader = Reader::default();
        let started = Instant::now();
        reader.read(&world, &mut follower).await;
        let rate = f64::from(u32::try_from(BLOCKS).unwrap()) / started.elapsed().as_secs_f64();
        let kind = if std::env::var("ANVIL").is_ok() { "anvil" } else { "the embedded chain" };
        #[allow(clippy::print_stderr, reason = "the figure is what this test is for")]
        {
            eprintln!("back-fill against {kind}, verify {verify:?}: {rate:.0} blocks/s");
        }
        assert!(!reader.events.is_empty());
        assert!(rate > FLOOR, "{rate:.0} blocks/s");
    }
}

/// How far away a provider's node is.
const AWAY: Duration = Duration::from_millis(20);
/// Blocks that may still be reorganised, as after a restart of ten minutes on an L1.
const NEWEST: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_blocks_are_read_a_few_at_once_from_a_node_that_is_far_away() {
    let world = World::start().await;
    world.open(1).await;
    let mut reader = Reader::default();
    let mut follower =
        Follower::open(world.rpc.clone(), config(&world, Limits::default()), None).await.unwrap();
    reader.read(&world, &mut follower).await;
    let proxy = FaultProxy::start(&world.http, 1).await;
    proxy.always(Fault::Slow(AWAY));
    for verify in [Verify::Full, Verify::Bloom, Verify::Off] {
        world.control("anvil_mine", serde_json::json!([NEWEST, 1])).await;
        let rpc = proxy.rpc(Duration::from_secs(5)).await;
        let config = FollowConfig { verify, ..config(&world, Limits::default()) };
        let mut follower = Follower::open(rpc, config, reader.cursor()).await.unwrap();
        let started = Instant::now();
        let batches = reader.read(&world, &mut follower).await;
        let (took, rounds) = (started.elapsed(), batches.len());
        #[allow(clippy::print_stderr, reason = "the figure is what this test is for")]
        {
            eprintln!(
                "{NEWEST} newest blocks from {AWAY:?} away, verify {verify:?}: {took:?} in {rounds} batches"
            );
        }
        // One after another they would take three answers each: three seconds.
        assert!(rounds <= 4, "{rounds} batches");
        assert!(took < AWAY * 3 * u32::try_from(NEWEST).unwrap() / 2, "{took:?}");
    }
}
