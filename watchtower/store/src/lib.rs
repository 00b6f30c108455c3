//! The durable store of a tower and of a node.
//!
//! One file, one writer thread, batched commits, and an answer only after the commit. Readers see a snapshot and trouble
//! nobody. The rows are shapes; the rules of the network are in `protocol`, except the four that a transaction must
//! enforce itself: which envelope a slot keeps ([`Store::offer_backup`]), that no two states are signed at one nonce
//! ([`Store::record_signature`]), that no backup passes to another channel with the id ([`Change::Channel`]), and that the
//! cursor moves together with the effects of what was read ([`Store::commit`]).
//!
//! **Invariant:** what was acknowledged is there after a crash at any instant.
//! **Invariant:** a check and the record that it protects are one transaction.
//! **Invariant:** a file of another chain, vault, account or layout is refused, with both values.
//!
//! Known gap: a disk that silently returns old bytes for a whole, consistent file (a restored snapshot) is not noticed
//! here; nodes restore from towers before they sign, towers read the chain again from the older cursor.

mod ahead;
mod backend;
mod backups;
mod cache;
mod change;
mod engine;
mod error;
mod heads;
mod job;
mod json;
mod kept;
mod moves;
mod node;
mod opening;
mod reader;
mod receipts;
mod rows;
mod schema;
mod scrub;
mod signing;
mod size;
mod sums;
mod terms;
mod vitals;

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::B256;
use protocol::{ChannelId, Domain, Nonce};

pub use backend::{FileStorage, Storage};
pub use backups::{Backup, Evidence, JumpLimit, Slot, Verdict};
pub use change::{Change, JOURNAL_MAX};
pub use engine::{CACHE_BYTES, Commit};
pub use error::StoreError;
pub use heads::Held;
pub use node::{NodeChange, NodeRow, NodeTable, Turn};
pub use rows::{
    AccountRow, ChannelRow, ChannelStatus, CursorRow, DisputeId, DisputeRow, JournalRow, LedgerRow,
    OpeningRow, ProofRow, ReceiptRow,
};
pub use schema::{Facts, LAYOUT};
pub use scrub::Scrubbed;
pub use signing::{Recorded, STATES_KEPT, SignedRow};
pub use size::TableSize;
pub use vitals::Sizes;

use backups::Target;
use engine::{Engine, Writer};

/// A cheap handle; clones share one writer. The file is free once the last clone is gone.
#[derive(Debug, Clone)]
pub struct Store {
    // Dropped before the engine, so that the last commit finds an open file.
    writer: Arc<Writer>,
    engine: Arc<Engine>,
    channels: Arc<cache::Channels>,
    facts: Facts,
    domain: Domain,
}

impl Store {
    /// Opens the file at `path`, or makes it, and compares the facts. After a clean stop every page is compared with what was
    /// written when it is read first, else all of them are verified before this returns.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Corrupt`], [`StoreError::WrongFact`], [`StoreError::UnknownLayout`],
    /// [`StoreError::DiskFull`], [`StoreError::DiskFailed`].
    pub fn open(path: impl AsRef<Path>, facts: Facts) -> Result<Self, StoreError> {
        Self::open_cached(path, facts, CACHE_BYTES)
    }

    /// [`Store::open`] with so many bytes of the file kept in memory, instead of [`CACHE_BYTES`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_cached(
        path: impl AsRef<Path>,
        facts: Facts,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if !path.exists() {
            create(path, &facts)?;
        }
        Self::on(Box::new(FileStorage::new(path.to_owned())), facts, cache_bytes)
    }

    /// Opens an existing file for looking at, whatever it belongs to.
    ///
    /// # Errors
    /// As [`Store::open`], but for the facts; [`StoreError::Row`] when it has none.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let storage = Box::new(FileStorage::new(path.as_ref().to_owned()));
        let engine = Arc::new(Engine::open(storage, CACHE_BYTES)?);
        let facts = engine.read(schema::read)?;
        let writer = Arc::new(Writer::start(Arc::clone(&engine))?);
        Ok(Self { writer, engine, channels: Arc::default(), facts, domain: facts.domain() })
    }

    /// [`Store::open`] on other storage: how tests make a disk fail.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(storage: Box<dyn Storage>, facts: Facts) -> Result<Self, StoreError> {
        Self::on(storage, facts, CACHE_BYTES)
    }

    fn on(storage: Box<dyn Storage>, facts: Facts, cache_bytes: usize) -> Result<Self, StoreError> {
        let engine = Arc::new(Engine::open(storage, cache_bytes)?);
        engine.write(|transaction| schema::establish(transaction, &facts))?;
        let writer = Arc::new(Writer::start(Arc::clone(&engine))?);
        Ok(Self { writer, engine, channels: Arc::default(), facts, domain: facts.domain() })
    }

    /// What the file belongs to.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// Whether requests can succeed.
    ///
    /// # Errors
    /// The reason why they cannot.
    pub fn health(&self) -> Result<(), StoreError> {
        self.engine.health()
    }

    /// Stores all changes, or none.
    ///
    /// # Errors
    /// When the disk is full or fails; then none of the changes is stored.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changed: Vec<u64> = changes.iter().filter_map(Change::channel).collect();
        let channels = Arc::clone(&self.channels);
        let facts = self.facts;
        let apply = move |transaction: &redb::WriteTransaction| {
            let mut changes = changes.iter();
            changes
                .try_for_each(|change| change::apply(transaction, &facts, change))
                .map_err(StoreError::for_all)
        };
        self.writer.submit_then(apply, move || channels.forget(&changed)).await
    }

    /// Offers an envelope to its slot. The caller has verified it; this decides whether it is the one to keep.
    ///
    /// # Errors
    /// When the disk is full or fails; then the slot is as it was.
    pub async fn offer_backup(
        &self,
        slot: Slot,
        offered: Backup,
        limit: JumpLimit,
    ) -> Result<Verdict, StoreError> {
        let target = self.target(slot);
        self.writer
            .submit(move |transaction| backups::offer(transaction, target, &offered, limit))
            .await
    }

    /// The envelope in a slot.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn backup(&self, slot: Slot) -> Result<Option<Backup>, StoreError> {
        self.engine.read(|transaction| backups::get(transaction, self.target(slot)))
    }

    /// What a slot holds, without the envelope: a fraction of the cost.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn held(&self, slot: Slot) -> Result<Option<Held>, StoreError> {
        self.engine.read(|transaction| heads::get(transaction, slot))
    }

    fn target(&self, slot: Slot) -> Target {
        Target { domain: self.domain, slot }
    }

    /// The first `limit` slots in order of channel and role.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn backups(&self, limit: usize) -> Result<Vec<(Slot, Backup)>, StoreError> {
        self.engine.read(|transaction| backups::list(transaction, self.domain, limit))
    }

    /// Shows what every slot holds: nonce and id, in order of channel and role. One snapshot, nothing kept in memory.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn each_backup(&self, mut visit: impl FnMut(Slot, Nonce, B256)) -> Result<(), StoreError> {
        self.engine.read(|transaction| heads::each(transaction, &mut visit))
    }

    /// Two envelopes of a slot at one nonce, if its owner ever signed two.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn evidence(&self, slot: Slot) -> Result<Option<Evidence>, StoreError> {
        self.engine.read(|transaction| backups::evidence(transaction, slot))
    }

    /// Asks for permission to sign: the state is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::AlreadySigned`] for a second, different state at a nonce; [`StoreError::BelowFloor`];
    /// [`StoreError::SigningStopped`]; or the disk.
    pub async fn record_signature(
        &self,
        channel_id: ChannelId,
        row: SignedRow,
    ) -> Result<Recorded, StoreError> {
        self.writer.submit(move |transaction| signing::record(transaction, channel_id, &row)).await
    }

    /// Replaces the payload of a recorded state; the digest must be the same.
    ///
    /// # Errors
    /// [`StoreError::AlreadySigned`] for another digest, [`StoreError::Row`] when nothing is recorded, or the disk.
    pub async fn amend_signature(
        &self,
        channel_id: ChannelId,
        row: SignedRow,
    ) -> Result<(), StoreError> {
        self.writer.submit(move |transaction| signing::amend(transaction, channel_id, &row)).await
    }

    /// Ends signing on a channel, for good.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub async fn stop_signing(
        &self,
        channel_id: ChannelId,
        reason: String,
    ) -> Result<(), StoreError> {
        self.writer.submit(move |transaction| signing::stop(transaction, channel_id, &reason)).await
    }

    /// Why a channel signs nothing more, if it does not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn signing_stopped(&self, channel_id: ChannelId) -> Result<Option<String>, StoreError> {
        self.engine.read(|transaction| signing::stopped(transaction, channel_id))
    }

    /// The newest states on record, in order of their nonces; at most [`STATES_KEPT`] and one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn signed_states(&self, channel_id: ChannelId) -> Result<Vec<SignedRow>, StoreError> {
        self.engine.read(|transaction| signing::list(transaction, channel_id))
    }
}

/// Makes a whole file under another name and moves it into place, so that a power cut leaves a store or none.
fn create(path: &Path, facts: &Facts) -> Result<(), StoreError> {
    let failed = |error| StoreError::from(redb::Error::Io(error));
    let unfinished = path.with_extension("unfinished");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let engine = Engine::open(Box::new(FileStorage::unfinished(unfinished.clone())), CACHE_BYTES)?;
    engine.write(|transaction| schema::establish(transaction, facts))?;
    drop(engine);
    std::fs::rename(&unfinished, path).map_err(failed)?;
    // The directory holds the name; without this the file may be gone after a power cut.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = std::fs::File::open(directory.unwrap_or(Path::new("."))).map_err(failed)?;
    directory.sync_all().map_err(failed)
}
