//! What a reorganisation may do to a dispute, with the real contracts: each case leaves the reader with exactly the events
//! of the chain that won. anvil tells nobody of removed logs, so nothing here relies on being told.

use chain::{
    events::Event,
    follower::{Follower, Limits},
    provider::At,
};
use protocol::ids::ChannelId;

use crate::{
    follower::{Reader, config},
    world::{DISPUTE_WINDOW_S, World},
};

const LIMITS: Limits = Limits { reorg_depth: 16, range_blocks_max: 10 };

/// What the reader concludes about the channel's dispute.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    disputes: usize,
    overrides: usize,
    settled: usize,
}

fn seen(reader: &Reader) -> Seen {
    let count = |matches: fn(&Event) -> bool| {
        reader.events.iter().filter(|event| matches(&event.event)).count()
    };
    Seen {
        disputes: count(|event| matches!(event, Event::DisputeOpened(_))),
        overrides: count(|event| matches!(event, Event::Overridden(_))),
        settled: count(|event| matches!(event, Event::Settled(_))),
    }
}

/// A channel, a reader that has read everything, and blocks that come on demand.
async fn start() -> (World, ChannelId, Reader, Follower) {
    let world = World::start().await;
    let channel = world.open(1).await;
    world.mine(3).await;
    world.stop_mining().await;
    let mut follower =
        Follower::open(world.rpc.clone(), config(&world, LIMITS), None).await.unwrap();
    let mut reader = Reader::default();
    reader.read(&world, &mut follower).await;
    (world, channel, reader, follower)
}

async fn dispute(world: &World, channel: ChannelId) {
    let call = world.dispute_call(channel, 1, 4, 100).await;
    world.hub.submit(Some(call.to), call.data, call.value).await.unwrap();
    world.mine(1).await;
}

async fn correct(world: &World, channel: ChannelId) {
    let call = world.override_call(channel, 9, 900);
    world.tower.submit(Some(call.to), call.data, call.value).await.unwrap();
    world.mine(1).await;
}

/// Replaces blocks and mines one; what a chain returns to its pool is mined again there, what it drops is not. The reader
/// is held against the chain itself either way.
async fn replace(world: &World, depth: u64, reader: &mut Reader, follower: &mut Follower) -> Seen {
    world.reorganise(depth).await;
    world.mine(1).await;
    reader.read(world, follower).await;
    let mut fresh = Reader::default();
    let mut again = Follower::open(world.rpc.clone(), config(world, LIMITS), None).await.unwrap();
    fresh.read(world, &mut again).await;
    assert_eq!(reader.events, fresh.events, "as if it had read the winning chain alone");
    seen(reader)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_dispute_is_taken_back_and_may_come_again() {
    let (world, channel, mut reader, mut follower) = Box::pin(start()).await;
    dispute(&world, channel).await;
    reader.read(&world, &mut follower).await;
    assert_eq!(seen(&reader).disputes, 1);
    let after = replace(&world, 1, &mut reader, &mut follower).await;
    if after.disputes == 0 {
        dispute(&world, channel).await;
        reader.read(&world, &mut follower).await;
    }
    assert_eq!(seen(&reader), Seen { disputes: 1, overrides: 0, settled: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_override_leaves_its_dispute() {
    let (world, channel, mut reader, mut follower) = Box::pin(start()).await;
    dispute(&world, channel).await;
    correct(&world, channel).await;
    reader.read(&world, &mut follower).await;
    assert_eq!(seen(&reader).overrides, 1);
    let after = replace(&world, 1, &mut reader, &mut follower).await;
    assert_eq!(after.disputes, 1, "the dispute was not touched");
    if after.overrides == 0 {
        correct(&world, channel).await;
        reader.read(&world, &mut follower).await;
    }
    assert_eq!(seen(&reader), Seen { disputes: 1, overrides: 1, settled: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_and_its_override_are_removed_together_newest_first() {
    let (world, channel, mut reader, mut follower) = Box::pin(start()).await;
    dispute(&world, channel).await;
    correct(&world, channel).await;
    reader.read(&world, &mut follower).await;
    assert_eq!(seen(&reader), Seen { disputes: 1, overrides: 1, settled: 0 });
    // The reader asserts the order in which events are taken back.
    let after = replace(&world, 2, &mut reader, &mut follower).await;
    assert!(after.overrides <= after.disputes, "no override without its dispute: {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_across_the_deadline_takes_the_settlement_back_and_leaves_the_dispute() {
    let (world, channel, mut reader, mut follower) = Box::pin(start()).await;
    dispute(&world, channel).await;
    correct(&world, channel).await;
    world.pass(2 * DISPUTE_WINDOW_S).await;
    world.mine(1).await;
    let call = world.vipe.settle(channel);
    world.tower.submit(Some(call.to), call.data, call.value).await.unwrap();
    world.mine(1).await;
    reader.read(&world, &mut follower).await;
    assert_eq!(seen(&reader), Seen { disputes: 1, overrides: 1, settled: 1 });
    let after = replace(&world, 2, &mut reader, &mut follower).await;
    assert_eq!((after.disputes, after.overrides), (1, 1));
    let view = world.vipe.channel(&world.rpc, channel, At::Latest).await.unwrap();
    let settled = usize::from(view.status == chain::calls::Status::Settled);
    assert_eq!(after.settled, settled, "what the reader concludes is what the vault says");
}
