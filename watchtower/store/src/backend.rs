//! The storage under the database, watched for what went wrong.
//!
//! A failed `sync` leaves the operating system free to forget the dirty pages, so the file may afterwards read
//! differently from what the disk holds. The engine reports such an error like any other; this wrapper remembers
//! that it was a sync, and the writer then refuses to go on.
//!
//! A full disk is waited out. But the engine names the cause of a failure only once, to whoever met it; everything after that
//! fails for "a previous error". This wrapper remembers that the cause was a full disk.
//!
//! **Invariant:** after a failed sync no request is ever answered with success.

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::error::{StoreError, is_full};

/// What went wrong under the database.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// A sync failed: for good.
    sync_failed: AtomicBool,
    /// No space was left, since the database was opened last.
    full: AtomicBool,
}

impl Trouble {
    /// The database is about to be opened: what is full shows anew.
    pub(crate) fn reset(&self) {
        self.full.store(false, Ordering::SeqCst);
    }

    /// The error, by its cause.
    pub(crate) fn classify(&self, error: StoreError) -> StoreError {
        match error {
            failed if self.sync_failed.load(Ordering::SeqCst) && !failed.is_refusal() => {
                StoreError::DiskFailed { detail: failed.to_string() }
            }
            StoreError::DiskFailed { .. } if self.full.load(Ordering::SeqCst) => {
                StoreError::DiskFull
            }
            other => other,
        }
    }

    fn note(&self, error: &io::Error) {
        if is_full(error) {
            self.full.store(true, Ordering::SeqCst);
        }
    }
}

/// Where the bytes live: a file, or what a test puts in its place.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Opens the bytes. Called at start, and again after the disk was full.
    ///
    /// # Errors
    /// When the file cannot be opened.
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError>;
    /// The name for messages.
    fn path(&self) -> PathBuf;
    /// The file to be read ahead while it is opened, if it is one.
    fn file(&self) -> Option<PathBuf> {
        None
    }
}

/// A file on disk.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
}

impl FileStorage {
    /// The file at `path`, made when it does not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Storage for FileStorage {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(|error| StoreError::from(redb::Error::Io(error)))?;
        Ok(Box::new(FileBackend::new(file)?))
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}

/// Passes everything through and remembers what failed.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Box<dyn StorageBackend>,
    trouble: Arc<Trouble>,
}

impl Watched {
    pub(crate) fn new(inner: Box<dyn StorageBackend>, trouble: Arc<Trouble>) -> Self {
        Self { inner, trouble }
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len).inspect_err(|error| self.trouble.note(error))
    }

    fn sync_data(&self) -> io::Result<()> {
        let failed = |_error: &io::Error| self.trouble.sync_failed.store(true, Ordering::SeqCst);
        self.inner.sync_data().inspect_err(failed)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data).inspect_err(|error| self.trouble.note(error))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
