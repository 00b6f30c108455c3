//! What the tower tells Prometheus: hooks for what happens, and a look at what is, once a scrape.
//!
//! ```text
//!   node, submitter, store, http --hooks--> Recorder --+
//!   follower, submitter, store (health) --scrape------>+--> GET /metrics
//! ```
//!
//! **Invariant:** a hook never waits and never fails; figures are for people, nothing in the tower depends on them but
//! `/healthz`, which says whether the node's loop goes round.

mod disputes;
mod network;
mod page;
mod queues;
mod scrape;
mod steps;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use metrics::{Metrics, MetricsError, RaceClock, Release, StoreEnd, Task};
use store::{Commit, Store, StoreError};

pub(crate) use disputes::{is_unanswered, window};
pub(crate) use page::{page, timed};
pub(crate) use queues::Depth;
pub(crate) use scrape::{disk_of, set_chain};
pub(crate) use steps::step_of;

/// How long the node's loop may stand still before the process counts as hanging: more than any answer that it waits for.
const NODE_IDLE_MAX: Duration = Duration::from_secs(300);

/// What is remembered between hooks and scrapes.
#[derive(Debug, Default)]
struct Memory {
    race: RaceClock,
    bids: steps::Bids,
    dues: scrape::Dues,
    beats: BTreeMap<Task, Instant>,
}

/// Writes figures down. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    metrics: Arc<Metrics>,
    memory: Arc<Mutex<Memory>>,
    queues: Arc<Mutex<queues::Probes>>,
}

impl Recorder {
    /// With nothing recorded yet.
    ///
    /// # Errors
    /// When the metrics are inconsistent: a bug.
    pub fn new() -> Result<Self, MetricsError> {
        let metrics = Arc::new(Metrics::new()?);
        metrics.build.info.of(Release).set_flag(true);
        metrics.build.started.set_count(crate::clock::now_s());
        Ok(Self { metrics, memory: Arc::default(), queues: Arc::default() })
    }

    /// The figures themselves.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Figures that a panic left half written are still figures.
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A task's loop goes round.
    pub(crate) fn beat(&self, task: Task) {
        self.memory().beats.insert(task, Instant::now());
    }

    /// How long a task's loop stands still; none for one that never said that it goes round.
    pub(crate) fn idle(&self, task: Task) -> Option<Duration> {
        self.memory().beats.get(&task).map(Instant::elapsed)
    }

    /// How long the node's loop stands still, if that is longer than it ever should.
    pub(crate) fn hangs(&self) -> Option<Duration> {
        self.idle(Task::Node).filter(|idle| *idle > NODE_IDLE_MAX)
    }

    /// What the configuration wants the account to have at least, in gwei.
    pub(crate) fn wants(&self, gwei: u64) {
        let least = alloy_primitives::U256::from(gwei)
            .saturating_mul(alloy_primitives::U256::from(crate::config::WEI_PER_GWEI));
        self.metrics.account.least.set(steps::wei(least));
    }

    /// The tasks that were started.
    pub(crate) fn tasks(&self, names: impl Iterator<Item = &'static str>) {
        self.running(names, true);
    }

    /// Those of them that ended by themselves.
    pub(crate) fn ended(&self, names: impl Iterator<Item = &'static str>) {
        self.running(names, false);
    }

    fn running(&self, names: impl Iterator<Item = &'static str>, runs: bool) {
        for name in names {
            let task = Task::named(&name.replace('-', "_")).unwrap_or(Task::Other);
            self.metrics.tasks.running.of(task).set_flag(runs);
        }
    }

    /// Hears of the store's commits, and of its queue.
    pub(crate) fn watch_store(&self, store: &Store) {
        let metrics = Arc::clone(&self.metrics);
        store.observe(move |commit: &Commit<'_>| {
            metrics.storage.commit.observe(commit.took.as_secs_f64());
            metrics.storage.batch.observe(count(commit.writes));
            let end = match commit.outcome {
                Ok(()) => StoreEnd::Done,
                Err(StoreError::DiskFull) => StoreEnd::Full,
                Err(_) => StoreEnd::Failed,
            };
            metrics.storage.commits.of(end).inc();
        });
    }
}

/// A number of things; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests;
