//! The storage under the database, watched for what went wrong.
//!
//! A failed `sync` leaves the operating system free to forget the dirty pages, so the file may afterwards read
//! differently from what the disk holds. The engine reports such an error like any other; this wrapper remembers
//! that it was a sync, and the writer then refuses to go on.
//!
//! A page that does not read as it was written is an error before the engine sees it ([`crate::sums`]): the engine would follow it.
//! This wrapper remembers that, and which page, because the engine says "a previous error" to everybody who comes later.
//!
//! A full disk is waited out. But the engine names the cause of a failure only once, to whoever met it; everything after that
//! fails for "a previous error". This wrapper remembers that the cause was a full disk.
//!
//! **Invariant:** after a failed sync no request is ever answered with success.
//! **Invariant:** sums are kept for the next start only if nothing went wrong since this one.

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::error::{StoreError, is_full};
use crate::sums::{Sums, SumsFile};

/// What went wrong under the database.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The store's name for messages.
    path: PathBuf,
    /// A sync failed: for good.
    sync_failed: AtomicBool,
    /// No space was left, since the database was opened last.
    full: AtomicBool,
    /// Something failed: what the disk holds may not be what the sums say.
    doubted: AtomicBool,
    /// The scrub found a page that does not read as it was written.
    page_doubted: AtomicBool,
    /// The database was opened. Until then nothing was compared.
    opened: AtomicBool,
    /// What does not read as it was written, the first time: for good.
    damage: OnceLock<String>,
}

impl Trouble {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            sync_failed: AtomicBool::new(false),
            full: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            page_doubted: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            damage: OnceLock::new(),
        }
    }

    /// The database is about to be opened: what is full shows anew.
    pub(crate) fn reset(&self) {
        self.full.store(false, Ordering::SeqCst);
    }

    /// That something which was asked for does not read as it was written, if that happened.
    pub(crate) fn damage(&self) -> Option<StoreError> {
        let corrupt = |detail: &String| StoreError::Corrupt {
            path: self.path.clone(),
            detail: detail.clone(),
        };
        self.damage.get().map(corrupt)
    }

    /// The store's name for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The database is open.
    pub(crate) fn opened(&self) {
        self.opened.store(true, Ordering::SeqCst);
    }

    /// Something failed.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::SeqCst);
    }

    /// Whether something failed.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::SeqCst)
    }

    /// A page that nobody asked for is damaged.
    pub(crate) fn doubt_page(&self) {
        self.page_doubted.store(true, Ordering::SeqCst);
    }

    /// Whether the next start may rely on the sums, instead of verifying the whole file.
    pub(crate) fn may_keep_sums(&self) -> bool {
        let doubted = self.is_doubted() || self.page_doubted.load(Ordering::SeqCst);
        self.opened.load(Ordering::SeqCst) && !doubted
    }

    /// The error, by its cause.
    pub(crate) fn classify(&self, error: StoreError) -> StoreError {
        if !error.is_refusal()
            && let Some(damage) = self.damage()
        {
            return damage;
        }
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
        self.doubt();
        if is_full(error) {
            self.full.store(true, Ordering::SeqCst);
        }
    }

    fn note_read(&self, error: &io::Error) {
        self.doubt();
        if error.kind() == io::ErrorKind::InvalidData {
            tracing::error!(store = %self.path.display(), %error, "the store is damaged: stop, check the disk, put the file aside");
            let _first = self.damage.set(error.to_string());
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
    /// The store beside whose file the sums of its pages are kept from a clean stop to the next start, if they are.
    fn keeps_sums_beside(&self) -> Option<PathBuf> {
        None
    }
}

/// A file on disk.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    is_final: bool,
}

impl FileStorage {
    /// The file at `path`, made when it does not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, is_final: true }
    }

    /// The same under a name that it will not keep.
    pub(crate) fn unfinished(path: PathBuf) -> Self {
        Self { path, is_final: false }
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

    fn keeps_sums_beside(&self) -> Option<PathBuf> {
        self.is_final.then(|| self.path.clone())
    }
}

/// Passes everything through, compares what is read, and remembers what failed.
#[derive(Debug)]
pub(crate) struct Watched {
    disk: Arc<dyn StorageBackend>,
    trouble: Arc<Trouble>,
    sums: Arc<Sums>,
    /// Where the sums are kept for the next start.
    kept: Option<SumsFile>,
}

impl Watched {
    pub(crate) fn new(
        disk: Arc<dyn StorageBackend>,
        trouble: Arc<Trouble>,
        sums: Arc<Sums>,
        kept: Option<SumsFile>,
    ) -> Self {
        Self { disk, trouble, sums, kept }
    }

    /// For the next start. Without them it verifies the whole file, so that failing costs time and nothing else.
    fn keep_sums(&self) {
        if !self.trouble.may_keep_sums() {
            return;
        }
        if let Some(kept) = &self.kept
            && let Err(error) = kept.write(self.disk.as_ref(), &self.sums)
        {
            tracing::warn!(%error, "the sums of the store's pages are not kept: the next start verifies the whole file");
        }
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let failed = |error: &io::Error| self.trouble.note_read(error);
        self.sums.read(self.disk.as_ref(), offset, out).inspect_err(failed)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len).inspect_err(|error| self.trouble.note(error))?;
        self.sums.resize(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let failed = |error: &io::Error| {
            self.trouble.note(error);
            self.trouble.sync_failed.store(true, Ordering::SeqCst);
        };
        self.disk.sync_data().inspect_err(failed)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.sums.forget(offset, data.len());
        self.disk.write(offset, data).inspect_err(|error| self.trouble.note(error))?;
        self.sums.learn(offset, data);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.keep_sums();
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}
