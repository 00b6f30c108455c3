//! How the database is opened: at once after a clean stop, else with every page verified.
//!
//! ```text
//!   sums of this very file? --yes--> open; each page is compared when it is read (`sums`); the rest by the scrub
//!          | no                        | something that this needs is damaged
//!          v                           v
//!   open with the checksum of every page verified, and what a crash left mended
//! ```
//!
//! **Invariant:** no page is followed that was not compared with what was written, by the engine or with its sum.

use std::sync::Arc;

use redb::{Database, DatabaseError, StorageBackend};

use crate::backend::{Storage, Trouble, Watched};
use crate::error::StoreError;
use crate::sums::{Sums, SumsFile};

/// A database that was opened.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) trouble: Arc<Trouble>,
    /// What was not read of it yet; none when every page was verified.
    pub(crate) unread: Option<Unread>,
}

/// A disk, and what its pages must read as.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) disk: Arc<dyn StorageBackend>,
    pub(crate) sums: Arc<Sums>,
}

/// Opens it in the quickest way that is sound.
pub(crate) fn open(storage: &dyn Storage, cache_bytes: usize) -> Result<Opened, StoreError> {
    let kept = storage.keeps_sums_beside().map(|path| SumsFile::beside(&path));
    if let Some(file) = &kept
        && let Some(opened) = at_once(storage, cache_bytes, file)?
    {
        return Ok(opened);
    }
    let trouble = Arc::new(Trouble::new(storage.path()));
    let disk: Arc<dyn StorageBackend> = Arc::from(storage.open()?);
    let sums = Arc::new(Sums::default());
    let database = build(Unread { disk, sums }, cache_bytes, &trouble, (kept, true))?;
    Ok(Opened { database, trouble, unread: None })
}

/// Opens it once more after the disk was full: what came of that is verified.
pub(crate) fn again(
    storage: &dyn Storage,
    cache_bytes: usize,
    trouble: &Arc<Trouble>,
) -> Result<Database, StoreError> {
    trouble.reset();
    let disk: Arc<dyn StorageBackend> = Arc::from(storage.open()?);
    let sums = Arc::new(Sums::default());
    build(Unread { disk, sums }, cache_bytes, trouble, (None, true))
}

/// Opens it without a look at pages that nobody asks for; none if there are no sums for that, or what it needs is damaged.
fn at_once(
    storage: &dyn Storage,
    cache_bytes: usize,
    file: &SumsFile,
) -> Result<Option<Opened>, StoreError> {
    let trouble = Arc::new(Trouble::new(storage.path()));
    let disk: Arc<dyn StorageBackend> = Arc::from(storage.open()?);
    let Some(known) = file.read(disk.as_ref()) else { return Ok(None) };
    let sums = Arc::new(Sums::new(known));
    let parts = Unread { disk: Arc::clone(&disk), sums: Arc::clone(&sums) };
    match build(parts, cache_bytes, &trouble, (Some(file.clone()), false)) {
        Ok(database) => Ok(Some(Opened { database, trouble, unread: Some(Unread { disk, sums }) })),
        Err(in_use @ StoreError::InUse { .. }) => Err(in_use),
        Err(error) => {
            tracing::warn!(%error, "the store is not as it was left: the whole file is verified");
            Ok(None)
        }
    }
}

fn build(
    Unread { disk, sums }: Unread,
    cache_bytes: usize,
    trouble: &Arc<Trouble>,
    (kept, verify): (Option<SumsFile>, bool),
) -> Result<Database, StoreError> {
    let path = trouble.path();
    let length = disk.len().map_err(|error| StoreError::from(redb::Error::Io(error)))?;
    sums.resize(length);
    let backend = Watched::new(disk, Arc::clone(trouble), sums, kept);
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .set_check_integrity_on_open(verify)
        .create_with_backend(backend)
        .map_err(|error| trouble.classify(open_error(path, error)))?;
    trouble.opened();
    Ok(database)
}

fn open_error(path: std::path::PathBuf, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
        DatabaseError::Storage(redb::StorageError::Io(io))
            if matches!(
                io.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::Corrupt { path, detail: io.to_string() }
        }
        DatabaseError::Storage(redb::StorageError::Corrupted(detail)) => {
            StoreError::Corrupt { path, detail }
        }
        DatabaseError::UpgradeRequired(version) => {
            StoreError::Corrupt { path, detail: format!("file format {version}") }
        }
        DatabaseError::RepairAborted => {
            StoreError::Corrupt { path, detail: "the repair was aborted".to_owned() }
        }
        other => StoreError::from(other),
    }
}
