//! A network of replicas in one thread, from a seed: real envelopes, real admission, real reconciliation; only transport,
//! clock and disk are pretended. While faults last, messages are lost, the network splits, replicas restart empty and
//! owners sign twice. Once they stop, all replicas must come to hold the same, and nothing less than any of them held.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use super::{
    admission::{Gate, GateLimits, Looked, Next, Offer, Place, Source, Step, Stored, Verdict},
    placement,
    reconcile::{Answer, Index, Session, SessionLimits, SyncNext, envelopes, respond},
    slot::{Shard, ShardSet, SlotKey},
    wire::{RawEnvelope, Row, SyncRequest, SyncResponse, SyncSalt},
};
use crate::{
    backup::{Envelope, Order, UnverifiedEnvelope},
    ids::{Domain, Role},
    testing::{Pair, account},
};

mod scenarios;

/// Milliseconds between two reconciliations of one replica.
const SYNC_EVERY_MS: u64 = 5_000;
/// Milliseconds between two steps of the simulation.
const STEP_MS: u64 = 100;

/// What happens while faults last, in percent.
#[derive(Debug, Clone, Copy)]
struct Faults {
    loss: u64,
    /// In each second: that the network splits in two, or heals.
    split: u64,
    /// In each second: that some replica restarts empty.
    wipe: u64,
    /// Of each update: that its owner signs a second state with the same nonce.
    twice: u64,
}

/// A scenario.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    seed: u64,
    replicas: usize,
    channels: u64,
    /// Replicas that keep a shard; none: all of them.
    replication: Option<usize>,
    /// Seconds with updates and faults.
    seconds: u64,
    faults: Faults,
}

struct Replica {
    gate: Gate<usize>,
    index: Index,
    store: BTreeMap<SlotKey, Envelope>,
    kept: ShardSet,
    conflicts: u64,
}

impl Replica {
    fn new(domain: Domain, kept: ShardSet) -> Self {
        Self {
            gate: Gate::new(domain, kept, GateLimits::default()),
            index: Index::new(kept),
            store: BTreeMap::new(),
            kept,
            conflicts: 0,
        }
    }

    /// Admission, as a driver would do it.
    fn offer(&mut self, world: &World, from: usize, source: Source, bytes: &[u8]) -> Verdict {
        let store = &self.store;
        let step = self.gate.offer(&Offer { from, source, bytes }, world.now_ms, |slot| Looked {
            head: 1,
            final_head: 1,
            place: Place::Live {
                channel: Box::new(world.pairs[&slot.channel_id.get()].channel),
                held: store.get(&slot.key()).map(|held| (held.header().nonce, *held.id())),
            },
        });
        match step {
            Step::Done(verdict) => verdict,
            Step::Verify(pending) => match self.gate.verified(pending.verify()) {
                Next::Done(verdict) => verdict,
                Next::Store(envelope) => {
                    let slot = envelope.header().slot();
                    let stored = self.store(*envelope);
                    self.gate.stored(slot, stored, world.now_ms)
                }
            },
        }
    }

    /// The slot rule, as a store would do it.
    fn store(&mut self, envelope: Envelope) -> Stored {
        let header = *envelope.header();
        let key = header.slot().key();
        let stored = match self.store.get(&key).map(|held| (envelope.order(held), held)) {
            None | Some((Order::Newer, _)) => Stored::New,
            Some((Order::Same, _)) => Stored::Same,
            Some((Order::Older, held)) => Stored::Older { held: held.header().nonce },
            Some((Order::Conflict { replaces }, _)) => {
                self.conflicts += 1;
                Stored::Conflict { nonce: header.nonce, offered_won: replaces }
            }
        };
        if matches!(stored, Stored::New | Stored::Conflict { offered_won: true, .. }) {
            assert!(self.index.put(Row::of(&header, envelope.id())), "the index follows the store");
            self.store.insert(key, envelope);
        }
        stored
    }

    fn answer(&mut self, domain: Domain, request: &SyncRequest) -> SyncResponse {
        match respond(&mut self.index, domain, request) {
            Answer::Now(response) => response,
            Answer::Read(slots) => {
                let held = slots.iter().filter_map(|slot| self.store.get(&slot.key()));
                envelopes(held.map(RawEnvelope::from))
            }
        }
    }

    fn ids(&self) -> Vec<(SlotKey, [u8; 32])> {
        self.store.iter().map(|(key, envelope)| (*key, envelope.id().0)).collect()
    }
}

/// What all replicas share: the chain, and the network between them.
struct World {
    now_ms: u64,
    pairs: BTreeMap<u64, Pair>,
    domain: Domain,
    /// Which side of the split each replica is on.
    side: Vec<bool>,
    split: bool,
    loss: u64,
    rng: ChaCha8Rng,
}

impl World {
    fn chance(&mut self, percent: u64) -> bool {
        self.rng.next_u64() % 100 < percent
    }

    fn below(&mut self, end: usize) -> usize {
        (self.rng.next_u64() % end as u64) as usize
    }

    fn passes(&mut self, from: usize, to: usize) -> bool {
        let cut = self.split && self.side[from] != self.side[to];
        let lost = self.chance(self.loss);
        !cut && !lost
    }
}

/// What it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    published: u64,
    conflicts: u64,
    wiped: u64,
    gossip_bytes: u64,
    sync_bytes: u64,
    sync_requests: u64,
    /// Seconds and sessions from the last fault until all replicas were equal.
    healed_s: u64,
    healed_sessions: u64,
    healed_bytes: u64,
}

struct Network {
    scenario: Scenario,
    world: World,
    replicas: Vec<Replica>,
    next_nonce: BTreeMap<(u64, Role), u64>,
    told: Told,
}

impl Network {
    fn new(scenario: Scenario) -> Self {
        let vipe = account(scenario.seed, "vipe");
        let pairs: BTreeMap<u64, Pair> = (1..=scenario.channels)
            .map(|id| (id, Pair::in_vault(scenario.seed * 1_000 + id, 31_337, vipe, id)))
            .collect();
        let domain = pairs[&1].channel.domain();
        let towers: Vec<_> =
            (0..scenario.replicas).map(|at| account(at as u64, "replica")).collect();
        let kept = |me| match scenario.replication {
            None => ShardSet::ALL,
            Some(count) => placement::Selection::Placed.shards(domain, me, &towers, count),
        };
        let replicas = towers.iter().map(|me| Replica::new(domain, kept(*me))).collect();
        let world = World {
            now_ms: 0,
            pairs,
            domain,
            side: vec![false; scenario.replicas],
            split: false,
            loss: scenario.faults.loss,
            rng: ChaCha8Rng::seed_from_u64(scenario.seed),
        };
        Self { scenario, world, replicas, next_nonce: BTreeMap::new(), told: Told::default() }
    }

    /// An owner signs a state and hands it to some replica.
    fn publish(&mut self) {
        let channel = 1 + self.world.rng.next_u64() % self.scenario.channels;
        let role = Role::BOTH[self.world.below(2)];
        let nonce = self.next_nonce.entry((channel, role)).or_insert(0);
        *nonce += 1;
        let nonce = *nonce;
        let versions = if self.world.chance(self.scenario.faults.twice) { 2 } else { 1 };
        for version in 0..versions {
            let pair = &self.world.pairs[&channel];
            let state = pair.final_state(nonce, 500 + version);
            let bytes = pair.seal(role, &state).to_bytes();
            let to = self.world.below(self.replicas.len());
            self.told.published += 1;
            self.gossip(to, Source::Submit { seen_at: 1 }, &bytes);
        }
    }

    /// Floods an envelope from one replica: whoever accepts it passes it on to every other replica of its shard.
    fn gossip(&mut self, first: usize, source: Source, bytes: &[u8]) {
        let header = *UnverifiedEnvelope::from_bytes(bytes).unwrap().header();
        let shard = Shard::of(header.channel_id);
        let mut queue = vec![(first, first, source)];
        while let Some((from, to, source)) = queue.pop() {
            let verdict = self.replicas[to].offer(&self.world, from, source, bytes);
            assert!(!matches!(verdict, Verdict::Reject(_)), "nobody is to blame: {verdict:?}");
            if verdict != Verdict::Accept {
                continue;
            }
            for next in 0..self.replicas.len() {
                if next == to || !self.replicas[next].kept.contains(shard) {
                    continue;
                }
                self.told.gossip_bytes += bytes.len() as u64;
                if self.world.passes(to, next) {
                    queue.push((to, next, Source::Gossip(shard)));
                }
            }
        }
    }

    /// One replica reconciles with another, chosen by chance. A lost message ends the session.
    fn sync(&mut self, asking: usize) {
        let answering = self.world.below(self.replicas.len());
        if answering == asking {
            return;
        }
        let mut salt = [0; 16];
        self.world.rng.fill_bytes(&mut salt);
        let domain = self.world.domain;
        let index = &mut self.replicas[asking].index;
        let limits = SessionLimits::default();
        let (mut session, mut request) =
            Session::start(index, domain, ShardSet::ALL, SyncSalt(salt), limits);
        loop {
            self.told.sync_bytes += request.to_bytes().len() as u64;
            self.told.sync_requests += 1;
            if !self.world.passes(asking, answering) {
                return;
            }
            let response = self.replicas[answering].answer(domain, &request).to_bytes();
            self.told.sync_bytes += response.len() as u64;
            if !self.world.passes(answering, asking) {
                return;
            }
            let index = &mut self.replicas[asking].index;
            let progress = session.answered(index, &response).unwrap();
            for envelope in progress.envelopes {
                let replica = &mut self.replicas[asking];
                let bytes = envelope.as_bytes();
                let verdict = replica.offer(&self.world, answering, Source::Sync, bytes);
                assert!(!matches!(verdict, Verdict::Reject(_)), "{verdict:?}");
            }
            match progress.next {
                SyncNext::Send(next) => request = next,
                SyncNext::Done(_) => return,
            }
        }
    }

    fn fail(&mut self) {
        let faults = self.scenario.faults;
        if self.world.chance(faults.split) {
            self.world.split = !self.world.split;
            for at in 0..self.replicas.len() {
                self.world.side[at] = self.world.chance(50);
            }
        }
        if self.world.chance(faults.wipe) {
            let at = self.world.below(self.replicas.len());
            let kept = self.replicas[at].kept;
            let conflicts = self.replicas[at].conflicts;
            self.replicas[at] = Replica::new(self.world.domain, kept);
            self.replicas[at].conflicts = conflicts;
            self.told.wiped += 1;
        }
    }

    /// The best envelope of every slot that any replica holds.
    fn best(&self) -> BTreeMap<SlotKey, Envelope> {
        let mut best = BTreeMap::<SlotKey, Envelope>::new();
        for (key, envelope) in self.replicas.iter().flat_map(|replica| &replica.store) {
            if best.get(key).is_none_or(|held| envelope.order(held).replaces()) {
                best.insert(*key, envelope.clone());
            }
        }
        best
    }

    /// Whether every replica holds exactly the best of every slot that it keeps.
    fn is_healed(&self, best: &BTreeMap<SlotKey, Envelope>) -> bool {
        self.replicas.iter().all(|replica| {
            let expected: Vec<(SlotKey, [u8; 32])> = best
                .iter()
                .filter(|(key, _)| replica.kept.contains(key.shard()))
                .map(|(key, envelope)| (*key, envelope.id().0))
                .collect();
            replica.ids() == expected
        })
    }

    fn run(mut self) -> (Told, Vec<Replica>) {
        let replicas = self.replicas.len() as u64;
        for step in 0..self.scenario.seconds * 1_000 / STEP_MS {
            self.step(step);
            self.publish();
            if step.is_multiple_of(1_000 / STEP_MS) {
                self.fail();
            }
        }
        // Faults and updates stop.
        self.world.split = false;
        self.world.loss = 0;
        let best = self.best();
        let before = self.told.sync_bytes;
        let start = self.world.now_ms;
        let first = start / STEP_MS;
        for step in first.. {
            if self.is_healed(&best) {
                break;
            }
            assert!(self.world.now_ms - start < 600_000, "not equal after ten minutes");
            self.step(step);
        }
        self.told.healed_s = (self.world.now_ms - start).div_ceil(1_000);
        self.told.healed_sessions = (self.world.now_ms - start) * replicas / SYNC_EVERY_MS;
        self.told.healed_bytes = self.told.sync_bytes - before;
        self.told.conflicts = self.replicas.iter().map(|replica| replica.conflicts).sum();
        (self.told, self.replicas)
    }

    /// Time goes on; replicas reconcile in turn.
    fn step(&mut self, step: u64) {
        self.world.now_ms += STEP_MS;
        let every = SYNC_EVERY_MS / STEP_MS;
        for at in 0..self.replicas.len() {
            if (step + at as u64 * 7).is_multiple_of(every) {
                self.sync(at);
            }
        }
    }
}

/// All slots that any replica holds.
fn slots(replicas: &[Replica]) -> BTreeSet<SlotKey> {
    replicas.iter().flat_map(|replica| replica.store.keys().copied()).collect()
}
