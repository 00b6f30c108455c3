//! Why the store could not do as asked.

use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::B256;

/// Everything that can go wrong between a caller and the disk.
///
/// Clonable, because one failed commit answers every caller whose change shared it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the file open.
    #[error(
        "the store {path} is in use by another process: stop that one first, or give this one its own data directory"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a store, or its content fails its checksums.
    #[error(
        "the store {path} is damaged ({detail}): put it aside, restore a copy or start with an empty directory; backups return from their owners and disputes from the chain"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file belongs to another deployment.
    #[error(
        "the store was made for another {fact}: it holds {stored}, the configuration says {configured}; use that configuration, or another data directory"
    )]
    WrongFact {
        /// Which of the immutable facts differs.
        fact: &'static str,
        /// The value in the file.
        stored: String,
        /// The value that was asked for.
        configured: String,
    },
    /// The file was written by a program with another layout.
    #[error(
        "the store has layout {found}, this program knows layout {known}: use the program that wrote it, or, if it is an older one, let a tower of this program open it once"
    )]
    UnknownLayout {
        /// The layout in the file.
        found: u64,
        /// The one layout of this program.
        known: u64,
    },
    /// No space is left. Nothing of what was asked became durable; ask again when there is space.
    #[error(
        "the disk is full: nothing was stored; free some space and the store resumes by itself"
    )]
    DiskFull,
    /// The disk failed to make a write durable. What the disk now holds is unknown until the file is read again,
    /// so this store answers nothing more.
    #[error(
        "the disk failed ({detail}): stop, check the disk, start again; everything acknowledged before is kept"
    )]
    DiskFailed {
        /// What the operating system said.
        detail: String,
    },
    /// The database engine refused or failed.
    #[error("the store's database failed")]
    Database(#[source] Arc<redb::Error>),
    /// A row cannot be read back: it was written by a newer program, or damaged.
    #[error("a row of table {table} cannot be read: {detail}")]
    Row {
        /// The table.
        table: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// Another state was already signed at this nonce. The refusal that protects a node's money.
    #[error(
        "channel {channel_id} already signed {held} at nonce {nonce}: refusing to sign {offered}"
    )]
    AlreadySigned {
        /// The channel.
        channel_id: u64,
        /// The nonce that both share.
        nonce: u64,
        /// The digest on record.
        held: B256,
        /// The digest that was offered.
        offered: B256,
    },
    /// The nonce is below what is still on record, so nothing can tell whether it was signed before.
    #[error(
        "channel {channel_id} signs nothing below nonce {floor} any more: refusing nonce {nonce}"
    )]
    BelowFloor {
        /// The channel.
        channel_id: u64,
        /// The smallest nonce that may still be signed.
        floor: u64,
        /// The nonce that was offered.
        nonce: u64,
    },
    /// A row that changes depend on cannot be read: none of them is stored, nor what others handed in at that moment.
    #[error("nothing was stored: a row of table {table} cannot be read: {detail}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The node decided to exit, or saw a dispute: it signs nothing more on this channel.
    #[error("channel {channel_id} has stopped signing: {reason}")]
    SigningStopped {
        /// The channel.
        channel_id: u64,
        /// Why, in words.
        reason: String,
    },
    /// The writer has ended, so nothing more can become durable.
    #[error("the store has stopped")]
    Stopped,
}

impl StoreError {
    /// Whether this is the answer to one request, and the store itself is well.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::AlreadySigned { .. }
                | Self::BelowFloor { .. }
                | Self::SigningStopped { .. }
                | Self::Row { .. }
        )
    }

    /// Whether the same request may succeed later without a person doing anything to the store.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::DiskFull)
    }

    /// For changes that are stored together or not at all: an unreadable row ends their transaction.
    pub(crate) fn for_all(self) -> Self {
        match self {
            Self::Row { table, detail } => Self::Damaged { table, detail },
            other => other,
        }
    }

    pub(crate) fn row(table: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Row { table, detail: error.to_string() }
    }
}

/// Sorts what the engine says into what a caller can act on.
impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(io) if is_full(&io) => Self::DiskFull,
            redb::Error::Io(io) => Self::DiskFailed { detail: io.to_string() },
            redb::Error::PreviousIo => Self::DiskFailed { detail: error.to_string() },
            other => Self::Database(Arc::new(other)),
        }
    }
}

macro_rules! from_engine {
    ($($error:ty),+) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::from(redb::Error::from(error))
            }
        }
    )+};
}
from_engine!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError
);

/// Whether an I/O error says that no space is left, rather than that the device failed.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
