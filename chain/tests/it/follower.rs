//! The follower on a chain.

use std::time::Duration;

use chain::{
    cursor::Cursor,
    events::{ChainEvent, Event},
    follower::{Batch, ClockBounds, FollowConfig, Follower, Limits},
    provider::{Endpoint, Rpc},
    verify::Verify,
};

use crate::world::{FINALITY, World};

pub(crate) fn config(world: &World, limits: Limits) -> FollowConfig {
    FollowConfig {
        vipe: world.vipe.address,
        start_block: world.deployment.start_block,
        finality: FINALITY,
        verify: Verify::Full,
        poll_interval: Duration::from_millis(20),
        limits,
        clock: ClockBounds::default(),
    }
}

/// A caller that keeps what a database would keep.
#[derive(Default)]
pub(crate) struct Reader {
    cursor: Option<String>,
    pub(crate) events: Vec<ChainEvent>,
}

impl Reader {
    /// What a restart begins with.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor.as_deref().map(|text| serde_json::from_str(text).unwrap())
    }

    fn store(&mut self, batch: &Batch) {
        for gone in &batch.removed {
            assert_eq!(self.events.pop().as_ref(), Some(gone));
        }
        self.events.extend(batch.added.clone());
        self.cursor = Some(serde_json::to_string(&batch.cursor).unwrap());
    }

    /// Reads up to the newest block; returns the batches.
    pub(crate) async fn read(&mut self, world: &World, follower: &mut Follower) -> Vec<Batch> {
        self.read_patiently(world, follower, Duration::from_secs(10)).await
    }

    /// As [`Self::read`], with this long for a batch.
    pub(crate) async fn read_patiently(
        &mut self,
        world: &World,
        follower: &mut Follower,
        patience: Duration,
    ) -> Vec<Batch> {
        let head = world.rpc.head().await.unwrap().id;
        let mut batches = Vec::new();
        while self.cursor().is_none_or(|cursor| cursor.position() != head) {
            let next = tokio::time::timeout(patience, follower.next()).await;
            let batch = next.expect("a batch comes").unwrap();
            self.store(&batch);
            follower.acknowledge();
            batches.push(batch);
        }
        batches
    }
}

fn names(events: &[ChainEvent]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match &event.event {
            Event::ChannelOpened(_) => "opened",
            Event::Accepted { .. } => "accepted",
            Event::LedgerAppended(_) => "ledger",
            Event::DisputeOpened(_) => "dispute",
            Event::Overridden(_) => "override",
            Event::Settled(_) => "settled",
            Event::AssetCredited { .. } => "asset",
            Event::EtherCredited { .. } => "ether",
            Event::EtherClaimed { .. } => "ether claimed",
            _ => "another",
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_a_channel_arrives_once_and_in_order() {
    let world = World::start().await;
    let channel = world.open(1).await;
    // Far enough that the beginning is read in ranges.
    world.mine(40).await;
    world.hub.send(&world.dispute_call(channel, 1, 4, 100).await).await.unwrap();
    world.tower.send(&world.override_call(channel, 9, 900)).await.unwrap();
    let limits = Limits { reorg_depth: 16, range_blocks_max: 10 };
    let mut reader = Reader::default();
    let mut follower =
        Follower::open(world.rpc.clone(), config(&world, limits), None).await.unwrap();
    let batches = reader.read(&world, &mut follower).await;
    assert!(batches.iter().any(|batch| batch.to > batch.from), "ranges are used");
    drop(follower);

    // Restart from the stored cursor, and go on.
    world.pass(2 * crate::world::DISPUTE_WINDOW_S).await;
    // Nodes simulate at the newest block's time.
    world.mine(1).await;
    world.tower.send(&world.vipe.settle(channel)).await.unwrap();
    world.tower.send(&world.vipe.claim_ether(world.tower.account.address())).await.unwrap();
    let mut follower =
        Follower::open(world.rpc.clone(), config(&world, limits), reader.cursor()).await.unwrap();
    reader.read(&world, &mut follower).await;
    // The tower's override leaves the hub nothing: it is credited no asset.
    let expected = [
        "opened",
        "ledger",
        "accepted",
        "ledger",
        "dispute",
        "ether",
        "ether",
        "ether",
        "override",
        "settled",
        "asset",
        "ether",
        "ether",
        "ether claimed",
    ];
    assert_eq!(names(&reader.events), expected);
    let health = follower.health().borrow().clone();
    assert_eq!((health.behind, health.failures), (0, 0));
    assert!(health.tip.unwrap().finalized.unwrap() < world.head().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganised_dispute_is_taken_back_and_given_again_also_across_a_restart() {
    let world = World::start().await;
    let channel = world.open(1).await;
    let limits = Limits { reorg_depth: 16, range_blocks_max: 10 };
    let mut reader = Reader::default();
    let mut follower =
        Follower::open(world.rpc.clone(), config(&world, limits), None).await.unwrap();
    world.stop_mining().await;
    for restarted in [false, true] {
        let call = world.dispute_call(channel, 1, 4, 100).await;
        if !restarted {
            world.hub.submit(Some(call.to), call.data, call.value).await.unwrap();
            world.mine(1).await;
        }
        world.mine(2).await;
        reader.read(&world, &mut follower).await;
        assert_eq!(names(&reader.events).iter().filter(|name| **name == "dispute").count(), 1);
        let before = reader
            .events
            .iter()
            .find(|event| matches!(event.event, Event::DisputeOpened(_)))
            .cloned()
            .unwrap();
        if restarted {
            follower = Follower::open(world.rpc.clone(), config(&world, limits), reader.cursor())
                .await
                .unwrap();
        }
        world.reorganise(world.head().await - before.block.number + 1).await;
        world.mine(1).await;
        let batches = reader.read(&world, &mut follower).await;
        assert!(batches[0].removed.contains(&before), "what was given is taken back: {batches:?}");
        // Some chains return its transaction to the pool, some drop it: then it is sent again.
        if !names(&reader.events).contains(&"dispute") {
            let call = world.dispute_call(channel, 1, 4, 100).await;
            world.hub.submit(Some(call.to), call.data, call.value).await.unwrap();
            world.mine(1).await;
            reader.read(&world, &mut follower).await;
        }
        let after = reader
            .events
            .iter()
            .find(|event| matches!(event.event, Event::DisputeOpened(_)))
            .unwrap();
        assert_ne!(after.block, before.block);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_websocket_a_new_head_wakes_the_follower() {
    let world = World::start().await;
    let rpc = Rpc::connect(&Endpoint::new(&*world.ws)).await.unwrap();
    let slow = FollowConfig {
        poll_interval: Duration::from_secs(3_600),
        ..config(&world, Limits::default())
    };
    let mut follower = Follower::open(rpc, slow, None).await.unwrap();
    let mut reader = Reader::default();
    reader.read(&world, &mut follower).await;
    let started = std::time::Instant::now();
    let (mined, ()) = tokio::join!(reader.next(&mut follower), async {
        // By then it waits.
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.mine(1).await;
    });
    assert_eq!(mined, world.head().await);
    assert!(started.elapsed() < Duration::from_secs(5));
}

impl Reader {
    /// The height up to which it has read.
    pub(crate) fn position(&self) -> Option<u64> {
        self.cursor().map(|cursor| cursor.position().number)
    }

    pub(crate) async fn next(&mut self, follower: &mut Follower) -> u64 {
        let batch = tokio::time::timeout(Duration::from_secs(10), follower.next()).await;
        let batch = batch.expect("woken").unwrap();
        self.store(&batch);
        follower.acknowledge();
        batch.to
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_acknowledged_comes_again() {
    let world = World::start().await;
    let mut follower =
        Follower::open(world.rpc.clone(), config(&world, Limits::default()), None).await.unwrap();
    let first = follower.next().await.unwrap();
    assert_eq!(follower.next().await.unwrap(), first);
    follower.acknowledge();
    world.mine(1).await;
    let second = follower.next().await.unwrap();
    assert_eq!(second.from, first.to + 1);
}
