//! Replicas become equal after any schedule of faults: what is lost by gossip, reconciliation brings.

use std::sync::atomic::Ordering;
use std::time::Instant;

use protocol::Role;
use protocol::network::reconcile::SyncEnd;
use protocol::testing::derived;

use crate::world::{Setup, Tower, envelope_of, memory};

const TOWERS: usize = 4;
const CHANNELS: u64 = 24;
const STEPS: u64 = 120;

/// Numbers that a seed determines.
struct Draw {
    seed: u64,
    at: u64,
}

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.at += 1;
        let bytes = derived(self.seed ^ (self.at << 20), "schedule").0;
        u64::from_be_bytes(bytes[..8].try_into().unwrap()) % bound
    }

    fn tower(&mut self) -> usize {
        usize::try_from(self.below(TOWERS as u64)).unwrap()
    }
}

struct Network {
    towers: Vec<Tower>,
    nonces: Vec<u64>,
    started: u8,
    bytes: u64,
    sessions: u64,
}

impl Network {
    async fn start() -> Self {
        let mut network = Self {
            towers: Vec::new(),
            nonces: vec![0; usize::try_from(CHANNELS * 2).unwrap()],
            started: 0,
            bytes: 0,
            sessions: 0,
        };
        for _ in 0..TOWERS {
            let tower = network.fresh().await;
            network.towers.push(tower);
        }
        for tower in &network.towers {
            tower.meets(TOWERS - 1).await;
        }
        network
    }

    /// A tower with an empty store and a new name.
    async fn fresh(&mut self) -> Tower {
        let mut setup = Setup::new(self.started, &memory());
        setup.channels = CHANNELS;
        self.started += 1;
        let others: Vec<_> = self.towers.iter().map(|tower| tower.place.clone()).collect();
        Tower::start(setup, &others).await
    }

    /// An owner hands a newer envelope to one tower; now and then, two that differ to two towers.
    async fn update(&mut self, draw: &mut Draw) {
        let slot = draw.below(CHANNELS * 2);
        let role = if slot.is_multiple_of(2) { Role::Participant } else { Role::Counterparty };
        let nonce = &mut self.nonces[usize::try_from(slot).unwrap()];
        *nonce += 1;
        let (channel, nonce) = (1 + slot / 2, *nonce);
        for balance in 10..=10 + u128::from(draw.below(10) == 0) {
            let (to, via) = (draw.tower(), draw.tower());
            if to != via {
                let sent = envelope_of(channel, role, nonce, balance);
                let to = self.towers[to].handle.me();
                // A tower that just started may be out of reach: then this envelope reaches nobody.
                let _ = self.towers[via].handle.submit(to, &sent, 0).await;
            }
        }
    }

    /// Two towers on one side, two on the other: neither gossip nor sessions pass.
    fn part(&self, draw: &mut Draw) {
        let first = draw.below(TOWERS as u64 - 1) + 1;
        let side = |at: usize| at == 0 || at as u64 == first;
        for (at, tower) in self.towers.iter().enumerate() {
            let beyond =
                self.towers.iter().enumerate().filter(|(other, _)| side(*other) != side(at));
            *tower.desk.beyond.lock().unwrap() = beyond.map(|(_, t)| t.handle.me()).collect();
        }
    }

    fn heal(&self) {
        for tower in &self.towers {
            tower.desk.beyond.lock().unwrap().clear();
            tower.desk.loss.store(0, Ordering::Relaxed);
        }
    }

    async fn restart_empty(&mut self, at: usize) {
        self.towers.remove(at).stop().await;
        let tower = self.fresh().await;
        tower.meets(1).await;
        self.towers.insert(at, tower);
    }

    async fn session(&mut self, asking: usize, answering: usize, salt: u64) -> Option<SyncEnd> {
        let asked = self.towers[answering].handle.me();
        let tower = &self.towers[asking];
        let (end, report) = tower.desk.reconcile(&tower.handle, asked, salt).await.ok()?;
        self.bytes += report.bytes_in + report.bytes_out;
        self.sessions += 1;
        Some(end)
    }

    fn are_equal(&self) -> bool {
        let first = self.towers[0].desk.content();
        self.towers.iter().all(|tower| tower.desk.content() == first)
    }

    /// The best of what any tower holds, slot by slot.
    fn best(&self) -> Vec<(store::Slot, Vec<u8>)> {
        let mut best = std::collections::BTreeMap::new();
        for tower in &self.towers {
            for (slot, bytes) in tower.desk.content() {
                let rank = |bytes: &[u8]| {
                    let read = protocol::backup::UnverifiedEnvelope::from_bytes(bytes).unwrap();
                    (read.header().nonce, std::cmp::Reverse(read.id()))
                };
                let kept = best.entry(slot).or_insert_with(|| bytes.clone());
                if rank(&bytes) > rank(kept) {
                    *kept = bytes;
                }
            }
        }
        best.into_iter().collect()
    }
}

async fn replicas_converge(seed: u64) {
    let mut draw = Draw { seed, at: 0 };
    let mut network = Network::start().await;
    let mut restarts = 0;
    for step in 0..STEPS {
        match draw.below(30) {
            0 => network.part(&mut draw),
            1 => network.heal(),
            2 => {
                let loss = u32::try_from(draw.below(100)).unwrap();
                network.towers[draw.tower()].desk.loss.store(loss, Ordering::Relaxed);
            }
            3 if restarts < 3 => {
                restarts += 1;
                network.restart_empty(draw.tower()).await;
            }
            4 => {
                let (asking, answering) = (draw.tower(), draw.tower());
                if asking != answering {
                    let _ = network.session(asking, answering, seed ^ step).await;
                }
            }
            _ => network.update(&mut draw).await,
        }
    }
    network.heal();
    let best = network.best();
    let was_equal = network.are_equal();
    let (bytes, sessions, start) = (network.bytes, network.sessions, Instant::now());
    // Each asks every other one once: what the timer does in a while.
    for asking in 0..TOWERS {
        for answering in (0..TOWERS).filter(|other| *other != asking) {
            let end = network.session(asking, answering, seed ^ 1_000).await;
            assert_eq!(end, Some(SyncEnd::Complete), "seed {seed}");
        }
    }
    println!(
        "seed {seed}: {} slots, {restarts} restarts empty, equal before: {was_equal}; equal after {} sessions, {} bytes, {:?}",
        best.len(),
        network.sessions - sessions,
        network.bytes - bytes,
        start.elapsed(),
    );
    assert!(network.are_equal(), "seed {seed}");
    assert_eq!(network.towers[0].desk.content(), best, "seed {seed}: something was lost");
    for tower in &network.towers {
        assert!(tower.desk.index_is_in_step(), "seed {seed}");
    }
}

/// `CONVERGENCE_SEEDS=100 cargo nextest run --release -p gossip schedule` runs a hundred; the gate runs four.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_equal_after_any_schedule_of_loss_partitions_and_empty_restarts() {
    let seeds = std::env::var("CONVERGENCE_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 1..=seeds.unwrap_or(4) {
        replicas_converge(seed).await;
    }
}
