//! Verified durable upserts: every check of the gate, the signature, the slot rule in its transaction, the index, and a
//! receipt that is on disk before it counts as given.
//!
//! ```text
//!   offers --> gate (looks at the store) --batches--> threads that verify --> store --> index, receipt --> acknowledged
//! ```

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k256::ecdsa::SigningKey;
use protocol::backup::{Envelope, Receipt, SignedReceipt};
use protocol::network::admission::{
    Gate, GateLimits, Ignored, Looked, Next, Offer, Pending, Place, Source, Step, Stored, Verdict,
    Verified,
};
use protocol::network::reconcile::Index;
use protocol::network::wire::Row;
use protocol::network::{ShardSet, Slot};
use protocol::testing::Pair;
use protocol::{Address, Role};
use store::{Backup, Store};
use tokio::sync::{mpsc, oneshot};

use crate::fill::{FIRST, NO_LIMIT};
use crate::{SEED, facts, key, pair, processor_time, scattered, vipe};

/// Upserts of one run.
const COUNT: u64 = 20_000;

/// Envelopes of one sender: within what the gate gives each at once.
const OF_SENDER: u64 = 1_000;

/// Signatures in one batch, as in a tower.
const BATCH_MAX: usize = 64;

type Job = (Box<Pending<u64>>, oneshot::Sender<Verified<u64>>);

struct Tower {
    store: Store,
    index: Mutex<Index>,
    gate: Mutex<Gate<u64>>,
    jobs: mpsc::Sender<Job>,
    account: Address,
    key: SigningKey,
    began: Instant,
}

/// One thread that checks signatures, a batch at a time.
fn verifier(jobs: Arc<Mutex<mpsc::Receiver<Job>>>) {
    std::thread::spawn(move || {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let count = jobs.lock().unwrap().blocking_recv_many(&mut batch, BATCH_MAX);
            if count == 0 {
                return;
            }
            for (pending, answer) in batch.drain(..) {
                let _ = answer.send(pending.verify());
            }
        }
    });
}

impl Tower {
    fn open(path: &Path) -> Arc<Self> {
        let (store, index) = crate::start(path, "for upserts");
        let domain = store.facts().domain();
        let (jobs, waiting) = mpsc::channel(4_096);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            verifier(Arc::clone(&waiting));
        }
        Arc::new(Self {
            store,
            index: Mutex::new(index),
            gate: Mutex::new(Gate::new(domain, ShardSet::ALL, GateLimits::default())),
            jobs,
            account: facts().account,
            key: key(),
            began: Instant::now(),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// All of it; when it returns true, the receipt is on disk. False: turned away, because too many signatures wait.
    async fn upsert(&self, from: u64, bytes: &[u8]) -> bool {
        let mut identity = protocol::B256::ZERO;
        let source = Source::Submit { seen_at: 0 };
        let step = {
            let looked = |slot: Slot| {
                let row = self.store.channel_shared(slot.channel_id).unwrap().unwrap();
                identity = row.identity();
                let held = self.store.held(stored(slot)).unwrap();
                let held = held.map(|held| (held.nonce, held.id));
                let place = Place::Live { channel: Box::new(row.channel), held };
                Looked { head: 7, final_head: 7, place }
            };
            let offer = Offer { from, source, bytes };
            self.gate.lock().unwrap().offer(&offer, self.now_ms(), looked)
        };
        let pending = match step {
            Step::Verify(pending) => pending,
            Step::Done(Verdict::Ignore(Ignored::Overloaded)) => return false,
            Step::Done(other) => panic!("{other:?}"),
        };
        let (answer, verified) = oneshot::channel();
        self.jobs.send((pending, answer)).await.unwrap();
        let verified = verified.await.unwrap();
        let next = self.gate.lock().unwrap().verified(verified);
        let Next::Store(envelope) = next else { panic!("{next:?}") };
        self.keep(&envelope, identity).await;
        black_box(self.promise(&envelope));
        true
    }

    async fn keep(&self, envelope: &Envelope, identity: protocol::B256) {
        let header = envelope.header();
        let backup = Backup {
            nonce: header.nonce,
            id: *envelope.id(),
            identity,
            stored_at_ms: 1_700_000_002_000,
            envelope: envelope.to_bytes(),
        };
        let kept = self.store.offer_backup(stored(header.slot()), backup, NO_LIMIT).await.unwrap();
        assert!(matches!(kept, store::Verdict::Stored { .. }), "{kept:?}");
        self.index.lock().unwrap().put(Row::of(header, envelope.id()));
        let verdict = self.gate.lock().unwrap().stored(header.slot(), Stored::New, self.now_ms());
        assert_eq!(verdict, Verdict::Accept);
    }

    fn promise(&self, envelope: &Envelope) -> SignedReceipt {
        let until = Receipt::until(1_900_000_000, 86_400);
        Receipt::new(envelope, 31_337, vipe(), self.account, until).sign(&self.key).unwrap()
    }
}

fn stored(slot: Slot) -> store::Slot {
    store::Slot { channel_id: slot.channel_id, role: slot.role }
}

/// Envelopes for slots all over the store, each with a nonce that no run before had.
fn envelopes(tower: &Tower, channels: u64, count: u64) -> Vec<Vec<u8>> {
    let base = Pair::new(SEED);
    let of = |n: u64| {
        let channel = 1 + scattered(n * 7 + 3, channels);
        let role = if n.is_multiple_of(2) { Role::Participant } else { Role::Counterparty };
        let slot = store::Slot { channel_id: channel.try_into().unwrap(), role };
        let held = tower.store.held(slot).unwrap().map_or(FIRST, |held| held.nonce.get());
        let pair = pair(&base, channel);
        pair.seal(role, &pair.final_state(held + 1, 10)).to_bytes()
    };
    (0..count.min(channels)).map(of).collect()
}

fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}

fn tell(what: &str, outcomes: Vec<Option<Duration>>, took: Duration, busy: Duration) {
    let offered = outcomes.len();
    let mut times: Vec<Duration> = outcomes.into_iter().flatten().collect();
    let count = times.len();
    println!(
        "upserts, {what}: {:.0} a second; acknowledged after p50 {:.1} ms, p99 {:.1} ms ({count} in {:.2} s, {} turned away; {:.0} us of a processor each)",
        count as f64 / took.as_secs_f64(),
        percentile(&mut times, 0.5),
        percentile(&mut times, 0.99),
        took.as_secs_f64(),
        offered - count,
        busy.as_secs_f64() * 1e6 / count as f64,
    );
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// As fast as it goes, with 512 under way.
pub(crate) fn flood(path: &Path, channels: u64, what: &str) {
    let tower = Tower::open(path);
    let all = envelopes(&tower, channels, COUNT);
    let (begun, busy) = (Instant::now(), processor_time());
    let outcomes = runtime().block_on(async {
        use futures::StreamExt as _;
        let upserts = all.iter().zip(0_u64..).map(|(bytes, n)| {
            let tower = &tower;
            async move {
                let begun = Instant::now();
                tower.upsert(n / OF_SENDER, bytes).await.then(|| begun.elapsed())
            }
        });
        futures::stream::iter(upserts).buffer_unordered(512).collect::<Vec<_>>().await
    });
    tell(&format!("flood, {what}"), outcomes, begun.elapsed(), processor_time() - busy);
}

/// One each `period`, for as long as the envelopes last. Times count from when each was due.
pub(crate) fn paced(path: &Path, channels: u64, period: Duration) {
    let tower = Tower::open(path);
    let count = COUNT.min((8.0 / period.as_secs_f64()) as u64);
    let all = envelopes(&tower, channels, count);
    let (begun, busy) = (Instant::now(), processor_time());
    let outcomes = runtime().block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for (bytes, n) in all.iter().cloned().zip(0_u64..) {
            let due = begun + period * u32::try_from(n).unwrap();
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            let tower = Arc::clone(&tower);
            running.spawn(async move {
                tower.upsert(n / OF_SENDER, &bytes).await.then(|| due.elapsed())
            });
        }
        running.join_all().await
    });
    let what = format!("{:.0} a second, two cores", 1.0 / period.as_secs_f64());
    tell(&what, outcomes, begun.elapsed(), processor_time() - busy);
}
