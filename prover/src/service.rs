//! Proving on threads of its own: a bounded queue ordered by deadline, one proof at a time on all of its threads.
//!
//! ```text
//! ProverService::prove(job) --> queue (earliest deadline first, bounded) --> worker --> rayon pool of `threads`
//!          ^ future                                                             |
//!          +-------------------------- oneshot <--------------------------------+
//! ```
//!
//! A proof uses every thread of the pool, so proving two at once would make both late: the one with the earlier deadline goes
//! first. No async runtime is blocked, and none is needed. A panic inside Plonky2 ends its job, not the service.
//!
//! **Invariant:** a proof that is handed out verifies natively.
//! **Invariant:** every accepted job is answered: with a proof, an error, or [`ProveError::Cancelled`] when the service stops.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::error::ProveError;
use crate::zksc::{LiveState, LiveStateCircuit, LiveStateProof};

/// Jobs that wait at most, unless configured otherwise. With a proof in two seconds, the last of them is done in about four
/// minutes, well within any response window; who has more to do batches, or asks again.
pub const QUEUE_CAPACITY: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// How a service is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProverConfig {
    /// Threads of the pool that one proof runs on.
    pub threads: NonZeroUsize,
    /// Jobs that may wait.
    pub queue_capacity: NonZeroUsize,
}

impl Default for ProverConfig {
    /// One thread for each processor.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            queue_capacity: QUEUE_CAPACITY,
        }
    }
}

/// A proof to be made.
#[derive(Clone, Copy, Debug)]
pub struct ProofJob {
    /// What is proven.
    pub live: LiveState,
    /// When the proof stops being useful. It orders the queue; a job that misses it is proven all the same.
    pub deadline: Instant,
}

type Answer = Result<LiveStateProof, ProveError>;

struct Waiting {
    live: LiveState,
    answer: oneshot::Sender<Answer>,
}

/// Jobs by deadline, then by arrival.
#[derive(Default)]
struct Queue {
    jobs: BTreeMap<(Instant, u64), Waiting>,
    arrivals: u64,
    stopped: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done under this lock, so a panic elsewhere does not make its contents wrong.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, or none when the service stops.
    fn next(&self) -> Option<Waiting> {
        let mut queue = self.queue();
        loop {
            if queue.stopped {
                return None;
            }
            match queue.jobs.pop_first() {
                Some((_, waiting)) if waiting.answer.is_closed() => {}
                Some((_, waiting)) => return Some(waiting),
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// A running prover. Dropping it finishes the current proof and cancels the rest.
pub struct ProverService {
    shared: Arc<Shared>,
    circuit: Arc<LiveStateCircuit>,
    worker: Option<JoinHandle<()>>,
}

impl core::fmt::Debug for ProverService {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ProverService").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl ProverService {
    /// Starts the threads, and completes the circuit's data in the background if it was loaded.
    ///
    /// # Errors
    /// [`ProveError::Threads`].
    pub fn start(circuit: Arc<LiveStateCircuit>, config: ProverConfig) -> Result<Self, ProveError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.threads.get())
            .thread_name(|index| format!("prover-{index}"))
            .build()
            .map_err(|error| ProveError::Threads { message: error.to_string() })?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            capacity: config.queue_capacity.get(),
        });
        let worker = std::thread::Builder::new()
            .name("prover".to_owned())
            .spawn({
                let (shared, circuit) = (Arc::clone(&shared), Arc::clone(&circuit));
                move || work(&shared, &circuit, &pool)
            })
            .map_err(|error| ProveError::Threads { message: error.to_string() })?;
        Ok(Self { shared, circuit, worker: Some(worker) })
    }

    /// The circuit, for verification.
    #[must_use]
    pub const fn circuit(&self) -> &Arc<LiveStateCircuit> {
        &self.circuit
    }

    /// Jobs that somebody still waits for.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue().jobs.values().filter(|waiting| !waiting.answer.is_closed()).count()
    }

    /// Proves, when it is this job's turn.
    ///
    /// Cancel-safe: dropping the future takes the job out of the queue; a proof that has begun is finished and thrown away.
    ///
    /// # Errors
    /// [`ProveError`]; at once when nothing can be proven or the queue is full.
    pub async fn prove(&self, job: ProofJob) -> Answer {
        self.submit(job)?.await.unwrap_or(Err(ProveError::Cancelled))
    }

    /// Puts a job into the queue; the answer comes through the receiver.
    ///
    /// # Errors
    /// [`ProveError::NotLive`], [`ProveError::QueueFull`], or [`ProveError::Cancelled`] when the service has stopped.
    pub fn submit(&self, job: ProofJob) -> Result<oneshot::Receiver<Answer>, ProveError> {
        job.live.check()?;
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.shared.queue();
        if queue.stopped {
            return Err(ProveError::Cancelled);
        }
        if queue.jobs.len() >= self.shared.capacity {
            queue.jobs.retain(|_, waiting| !waiting.answer.is_closed());
        }
        if queue.jobs.len() >= self.shared.capacity {
            return Err(ProveError::QueueFull { capacity: self.shared.capacity });
        }
        let arrival = queue.arrivals;
        queue.arrivals = arrival.wrapping_add(1);
        queue.jobs.insert((job.deadline, arrival), Waiting { live: job.live, answer });
        drop(queue);
        self.shared.changed.notify_one();
        Ok(receiver)
    }

    /// Takes no more jobs and cancels those that wait. The current one is finished.
    pub fn stop(&self) {
        let cancelled = {
            let mut queue = self.shared.queue();
            queue.stopped = true;
            core::mem::take(&mut queue.jobs)
        };
        self.shared.changed.notify_all();
        for waiting in cancelled.into_values() {
            // Nobody may be waiting any more.
            let _ = waiting.answer.send(Err(ProveError::Cancelled));
        }
    }
}

impl Drop for ProverService {
    fn drop(&mut self) {
        self.stop();
        if let Some(worker) = self.worker.take() {
            // The worker catches panics; if it ended otherwise, there is nothing left to stop.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared, circuit: &LiveStateCircuit, pool: &ThreadPool) {
    // What goes wrong here comes back as the error of the first job.
    if let Err(error) = caught(|| pool.install(|| circuit.complete().map_err(ProveError::from))) {
        tracing::error!(%error, "the circuit's data cannot be completed");
    }
    while let Some(Waiting { live, answer }) = shared.next() {
        let begun = Instant::now();
        let proof = caught(|| pool.install(|| circuit.prove(&live)));
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &proof {
            Ok(proof) => tracing::info!(took_ms, bytes = proof.bytes.len(), "proved"),
            Err(error) => tracing::warn!(took_ms, %error, "not proved"),
        }
        // Nobody may be waiting any more.
        let _ = answer.send(proof);
    }
}

/// Runs `run`, a panic of which becomes an error.
fn caught<T>(run: impl FnOnce() -> Result<T, ProveError>) -> Result<T, ProveError> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(ProveError::Panicked { message: message(panic.as_ref()) }))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests;
