//! How fast history is read and verified: the figure is printed, and a floor is held.

use std::time::Instant;

use chain::{
    follower::{FollowConfig, Follower, Limits},
    verify::Verify,
};

use crate::{
    follower::{Reader, config},
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
