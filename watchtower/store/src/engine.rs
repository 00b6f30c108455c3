//! The database, one writer thread, and a reply only after the commit.
//!
//! ```text
//! callers --jobs--> queue (bounded) --> writer thread: begin, run up to BATCH_MAX jobs, commit --replies--> callers
//! readers ------------------------------------> a snapshot, without troubling the writer
//! ```
//!
//! Batching comes for free: while one commit runs, the next batch gathers. Under load ([`SIBLINGS`], [`CROWD`]) the writer gives it
//! a moment more: a commit costs as much for one job as for many. Who is alone never waits. A job decides and writes inside the same
//! transaction, so a check and the record that it protects cannot be torn apart.
//!
//! **Invariant:** no job is answered with success before the transaction that holds its writes is on disk.
//! **Invariant:** a job that is refused has written nothing.
//! **Invariant:** after the disk was full the database is opened again from the last commit; after a failed sync it
//! is never trusted again in this process; nor is a file of which something does not read as it was written.

use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use crate::ahead::Ahead;
use crate::backend::{Storage, Trouble};
use crate::error::StoreError;
use crate::job::{Job, Typed};
use crate::node::Tables;
use crate::opening::{self, Opened};
use crate::scrub::{Scrub, Scrubbed};

/// The most jobs that share one commit: enough to hide the cost of the sync and to share the upper pages of the trees,
/// small enough that a failure answers a bounded number of callers.
pub(crate) const BATCH_MAX: usize = 1_024;

/// So many jobs in one commit show that more are on their way.
const SIBLINGS: usize = 4;
/// So many show that the processor is what everybody waits for.
const CROWD: usize = 16;
/// So many jobs wait for no more.
const ENOUGH: usize = 64;
/// How long a commit waits for more jobs under load: less than a sync takes on most disks.
const GATHER: Duration = Duration::from_millis(2);
/// How long in a crowd, which waits longer than this for its turn anyway.
const GATHER_CROWD: Duration = Duration::from_millis(6);

/// How much of the file the engine keeps in memory unless told otherwise, in bytes. The operating system keeps what else there
/// is room for; more here saves a copy now and then.
pub const CACHE_BYTES: usize = 32 << 20;

/// One commit, or an attempt at one.
#[derive(Debug)]
pub struct Commit<'a> {
    /// How long it took, with the sync.
    pub took: Duration,
    /// How many writes shared it; 1 to 1,024.
    pub writes: usize,
    /// How it ended, for all of them.
    pub outcome: &'a Result<(), StoreError>,
}

/// What hears of commits, on the writer's thread: it must be quick.
pub(crate) type Observer = Box<dyn Fn(&Commit<'_>) + Send + Sync>;

/// What the file is right now.
enum State {
    Open(Database),
    /// Closed after a full disk; opened again by the next batch.
    Closed(StoreError),
    /// A sync failed: for good.
    Failed(StoreError),
}

/// The database and the way to open it again.
pub(crate) struct Engine {
    /// Reads what nobody asked for yet, after a start that did not verify the whole file. Ends before the database is closed.
    scrub: Option<Scrub>,
    storage: Box<dyn Storage>,
    cache_bytes: usize,
    state: RwLock<State>,
    trouble: Arc<Trouble>,
    observer: OnceLock<Observer>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("storage", &self.storage).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the database. After a clean stop every page is compared with its sum when it is read, and the rest of them soon
    /// after the start; after any other end, or without sums, the checksum of every page is verified before this returns.
    pub(crate) fn open(storage: Box<dyn Storage>, cache_bytes: usize) -> Result<Self, StoreError> {
        let ahead = storage.file().and_then(|path| Ahead::begin(&path));
        let Opened { database, trouble, unread } = opening::open(storage.as_ref(), cache_bytes)?;
        let scrub = unread.and_then(|unread| Scrub::begin(unread, Arc::clone(&trouble), ahead));
        let state = RwLock::new(State::Open(database));
        Ok(Self { scrub, storage, cache_bytes, state, trouble, observer: OnceLock::new() })
    }

    /// How far the comparison of all pages has come; none if they were verified before the start.
    pub(crate) fn scrubbed(&self) -> Option<Scrubbed> {
        self.scrub.as_ref().map(Scrub::progress)
    }

    fn lock(&self) -> RwLockReadGuard<'_, State> {
        // The state is replaced as a whole, so a panic elsewhere cannot have left it half written.
        self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Reads from a snapshot.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*self.lock() {
            State::Open(database) => {
                let read = || read(&database.begin_read()?);
                read().map_err(|error| self.trouble.classify(error))
            }
            State::Closed(error) | State::Failed(error) => Err(error.clone()),
        }
    }

    /// Whether requests can succeed; the reason when not.
    pub(crate) fn health(&self) -> Result<(), StoreError> {
        match &*self.lock() {
            State::Open(_) => self.trouble.damage().map_or(Ok(()), Err),
            State::Closed(error) | State::Failed(error) => Err(error.clone()),
        }
    }

    /// Runs `write` in one transaction and commits it durably.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.reopen_if_closed()?;
        let outcome = match &*self.lock() {
            State::Open(database) => commit(database, write),
            State::Closed(error) | State::Failed(error) => return Err(error.clone()),
        };
        outcome.map_err(|error| self.after_failure(error))
    }

    fn reopen_if_closed(&self) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let State::Closed(_) = &*state {
            match opening::again(self.storage.as_ref(), self.cache_bytes, &self.trouble) {
                Ok(database) => {
                    tracing::info!("the store resumes");
                    *state = State::Open(database);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes the database out of use when the failure touched the disk.
    fn after_failure(&self, error: StoreError) -> StoreError {
        let mut state = self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let error = self.trouble.classify(error);
        match error {
            StoreError::DiskFull => {
                *state = State::Closed(StoreError::DiskFull);
                // At once, so that readers go on while the disk is full.
                if let Ok(database) =
                    opening::again(self.storage.as_ref(), self.cache_bytes, &self.trouble)
                {
                    *state = State::Open(database);
                }
            }
            StoreError::DiskFailed { .. } | StoreError::Corrupt { .. } => {
                *state = State::Failed(error.clone());
            }
            _ => {}
        }
        error
    }

    /// Hears of every commit from now on; only the first observer is kept.
    pub(crate) fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    /// Runs a batch and answers everyone in it.
    fn run_batch(&self, mut jobs: Vec<Box<dyn Job>>) {
        let started = Instant::now();
        let outcome = self.write(|transaction| {
            let mut tables = Tables::default();
            jobs.iter_mut().try_for_each(|job| job.run(transaction, &mut tables))
        });
        if let Err(error) = &outcome {
            tracing::error!(%error, jobs = jobs.len(), "a batch was not stored; its callers were told");
        }
        if let Some(observer) = self.observer.get() {
            observer(&Commit { took: started.elapsed(), writes: jobs.len(), outcome: &outcome });
        }
        for job in jobs {
            job.answer(outcome.clone());
        }
    }
}

fn commit<T>(
    database: &Database,
    write: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut transaction = database.begin_write()?;
    // The default, said aloud: `commit` returns after the sync.
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|error| StoreError::Database(Arc::new(redb::Error::from(error))))?;
    let value = match write(&transaction) {
        Ok(value) => value,
        Err(error) => {
            // A failed abort changes nothing: nothing was committed, and the error is already on its way.
            let _ = transaction.abort();
            return Err(error);
        }
    };
    transaction.commit()?;
    Ok(value)
}

/// Waits a moment for more jobs, after a commit of so many.
fn gather(queue: &mut mpsc::Receiver<Box<dyn Job>>, batch: &mut Vec<Box<dyn Job>>, before: usize) {
    // On a thread of its own; waking up early does no harm.
    std::thread::park_timeout(if before < CROWD { GATHER } else { GATHER_CROWD });
    while batch.len() < BATCH_MAX
        && let Ok(job) = queue.try_recv()
    {
        batch.push(job);
    }
}

/// The queue to the writer, and the thread to wait for at the end.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer thread.
    pub(crate) fn start(engine: Arc<Engine>) -> Result<Self, StoreError> {
        let (jobs, mut queue) = mpsc::channel::<Box<dyn Job>>(BATCH_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let (mut batch, mut before) = (Vec::with_capacity(BATCH_MAX), 0);
                while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
                    if before >= SIBLINGS && batch.len() < ENOUGH {
                        gather(&mut queue, &mut batch, before);
                    }
                    before = batch.len();
                    engine.run_batch(std::mem::take(&mut batch));
                }
            })
            .map_err(|error| StoreError::from(redb::Error::Io(error)))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// How many changes wait, and how many can.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let waiting = |jobs: &mpsc::Sender<_>| BATCH_MAX.saturating_sub(jobs.capacity());
        (self.jobs.as_ref().map_or(0, waiting), BATCH_MAX)
    }

    /// Hands a change to the writer and waits until it is on disk.
    ///
    /// Not cancel-safe in one sense only: once queued, the change is stored even when the caller stops waiting.
    pub(crate) async fn submit<T, F>(&self, apply: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit_then(apply, || ()).await
    }

    /// [`Writer::submit`], and `after` runs on the writer's thread once it is known how the commit ended, before anybody is
    /// told, and even when the caller stopped waiting.
    pub(crate) async fn submit_then<T, F, A>(&self, apply: F, after: A) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<T, StoreError> + Send + 'static,
        A: FnOnce() + Send + 'static,
    {
        // It opens what it needs: nothing else may have it open.
        let apply = move |transaction: &WriteTransaction, tables: &mut Tables<'_>| {
            tables.close();
            apply(transaction)
        };
        self.enqueue(apply, after).await?.await.map_err(|_gone| StoreError::Stopped)?
    }

    /// Hands a change to the writer; the answer comes once it is on disk. Changes are stored in the order of their handing
    /// over. It finds the node's tables as the changes before it left them.
    pub(crate) async fn enqueue<T, F, A>(
        &self,
        apply: F,
        after: A,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError>
    where
        T: Send + 'static,
        F: for<'txn> FnOnce(&'txn WriteTransaction, &mut Tables<'txn>) -> Result<T, StoreError>
            + Send
            + 'static,
        A: FnOnce() + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Typed { apply: Some(apply), outcome: None, after, reply };
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        jobs.send(Box::new(job)).await.map_err(|_closed| StoreError::Stopped)?;
        Ok(answer)
    }
}

impl Drop for Writer {
    /// Lets the queue run dry and waits for the last commit, so that the file is free when the last handle is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}
