//! The whole reading side, from transport to batches, against a chain that reorganises between any two requests and nodes
//! that fail and lie; compared with what is on the chain.

mod chain;
mod node;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use self::{
    chain::{CHAIN_ID, DEPTH, MockChain, VIPE},
    node::{ALL, Fault, MockNode, World},
};
use super::{Batch, ClockBounds, Finality, FollowConfig, Follower, Limits};
use crate::{
    cursor::{BlockId, Cursor},
    events::ChainEvent,
    provider::Rpc,
    verify::Verify,
};

/// Who is asked.
#[derive(Debug, Clone, Copy)]
struct Plan {
    verify: Verify,
    /// For each node: one request in so many meets one of these faults.
    nodes: &'static [(u32, &'static [Fault])],
    quorum: usize,
}

/// How long the caller waits for a batch, mostly.
const PATIENCE: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(500);

fn config(verify: Verify) -> FollowConfig {
    FollowConfig {
        vipe: VIPE,
        start_block: 1,
        finality: Finality::Tag,
        verify,
        poll_interval: Duration::from_millis(1),
        limits: Limits { reorg_depth: DEPTH, range_blocks_max: 9 },
        clock: ClockBounds::default(),
    }
}

/// What a database would keep.
struct Reader {
    stored: Option<String>,
    have: Vec<ChainEvent>,
    seed: u64,
}

impl Reader {
    fn store(&mut self, batch: &Batch) {
        for gone in &batch.removed {
            let last = self.have.pop();
            assert_eq!(last.as_ref(), Some(gone), "seed {}: taken back, never given", self.seed);
        }
        self.have.extend(batch.added.iter().cloned());
        self.stored = Some(serde_json::to_string(&batch.cursor).unwrap());
    }

    async fn open(&self, rpc: &Rpc, verify: Verify) -> Follower {
        loop {
            let cursor: Option<Cursor> =
                self.stored.as_deref().map(|text| serde_json::from_str(text).unwrap());
            // Whoever starts a tower tries again as well.
            match Follower::open(rpc.clone(), config(verify), cursor).await {
                Ok(follower) => return follower,
                Err(_trouble) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

async fn run(seed: u64, plan: Plan) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut chain = MockChain::new(StdRng::seed_from_u64(!seed));
    for _ in 0..random.gen_range(0..60) {
        chain.mine();
    }
    let trouble = random.gen_range(50..300);
    let world = Arc::new(Mutex::new(World { chain, trouble }));
    let client = |(one_in, faults): &(u32, &'static [Fault])| {
        let node = MockNode { world: Arc::clone(&world), one_in: *one_in, faults };
        ("mock", node.client())
    };
    let rpc = Rpc::over(plan.nodes.iter().map(client).collect(), plan.quorum, REQUEST_TIMEOUT);
    rpc.expect_chain(CHAIN_ID);
    let mut reader = Reader { stored: None, have: Vec::new(), seed };
    let mut follower = reader.open(&rpc, plan.verify).await;
    let mut idle = 0_u32;
    // It ends when the chain stands and nothing more comes.
    while idle < 3 {
        let done = stands_at(&world, follower.cursor().position());
        // Now and then the caller gives up in the middle of a look.
        let patience = match random.gen_range(0..4) {
            0 => Duration::from_millis(random.gen_range(1..40)),
            _ if done => Duration::from_millis(30),
            _ => PATIENCE,
        };
        let Ok(next) = tokio::time::timeout(patience, follower.next()).await else {
            idle = if done { idle + 1 } else { 0 };
            continue;
        };
        idle = 0;
        let batch = next.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        match random.gen_range(0..10) {
            // Crashed before storing: the same comes again.
            0 => follower = reader.open(&rpc, plan.verify).await,
            // Crashed after storing, before acknowledging.
            1 => {
                reader.store(&batch);
                follower = reader.open(&rpc, plan.verify).await;
            }
            _ => {
                reader.store(&batch);
                follower.acknowledge();
            }
        }
        check(seed, &world, &reader);
    }
    let world = world.lock().unwrap();
    assert_eq!(reader.have, world.chain.oracle(u64::MAX), "seed {seed}");
}

/// Whether the chain stands and ends at `position`. A chain that became shorter and stands gets a few more blocks, as every
/// chain does.
fn stands_at(world: &Mutex<World>, position: BlockId) -> bool {
    let mut world = world.lock().unwrap();
    if world.trouble > 0 {
        return false;
    }
    if world.chain.head().number < position.number {
        (0..=DEPTH).for_each(|_| world.chain.mine());
    }
    world.chain.head() == position
}

fn check(seed: u64, world: &Mutex<World>, reader: &Reader) {
    let Some(stored) = &reader.stored else { return };
    let position = serde_json::from_str::<Cursor>(stored).unwrap().position();
    let world = world.lock().unwrap();
    if world.chain.blocks.iter().any(|block| block.id() == position) {
        assert_eq!(reader.have, world.chain.oracle(position.number), "seed {seed}");
    }
}

/// How many runs wait for each other's pauses at the same time.
const AT_ONCE: usize = 48;

async fn run_all(seeds: std::ops::Range<u64>, plan: Plan) {
    futures::stream::iter(seeds.map(|seed| run(seed, plan)))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_chain_reorganises_between_any_two_requests() {
    for verify in [Verify::Full, Verify::Bloom, Verify::Off] {
        let plan = Plan { verify, nodes: &[(1, &[])], quorum: 1 };
        run_all(0..1_000, plan).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_only_node_fails_and_lies_as_well() {
    let plan = Plan { verify: Verify::Full, nodes: &[(8, &ALL)], quorum: 1 };
    run_all(10_000..11_000, plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_with_an_honest_node_and_two_that_always_do_wrong() {
    const LIARS: &[Fault] = &[Fault::EmptyLogs, Fault::EmptyBloom, Fault::LyingLogs];
    const BROKEN: &[Fault] = &[Fault::TimeOut, Fault::RateLimited, Fault::Garbage, Fault::Stale];
    let nodes: &[(u32, &[Fault])] = &[(1, LIARS), (1, BROKEN), (1, &[])];
    run_all(20_000..20_250, Plan { verify: Verify::Full, nodes, quorum: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_two_of_three_must_agree_and_one_is_wrong_now_and_then() {
    let nodes: &[(u32, &[Fault])] = &[(4, &ALL), (1, &[]), (30, &ALL)];
    run_all(30_000..30_250, Plan { verify: Verify::Full, nodes, quorum: 2 }).await;
}
