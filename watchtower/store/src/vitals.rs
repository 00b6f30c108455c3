//! How the store fares, in figures: for metrics.

use redb::ReadableTableMetadata as _;

use crate::engine::Commit;
use crate::error::StoreError;
use crate::scrub::Scrubbed;
use crate::{Store, schema};

/// How much there is. Counting takes no longer for more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Channels that the chain ever named.
    pub channels: u64,
    /// Slots with a backup.
    pub backups: u64,
    /// Disputes, closed ones included.
    pub disputes: u64,
    /// Obligations that have not ended.
    pub outbox: u64,
}

impl Store {
    /// How many rows there are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sizes(&self) -> Result<Sizes, StoreError> {
        self.engine.read(|transaction| {
            Ok(Sizes {
                channels: transaction.open_table(schema::CHANNELS)?.len()?,
                backups: transaction.open_table(schema::BACKUPS)?.len()?,
                disputes: transaction.open_table(schema::DISPUTES)?.len()?,
                outbox: transaction.open_table(schema::OUTBOX)?.len()?,
            })
        })
    }

    /// Backups of an older layout that could not be read, and are kept as they were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn set_aside(&self) -> Result<u64, StoreError> {
        self.engine.read(|transaction| match transaction.open_table(schema::ASIDE) {
            Ok(table) => Ok(table.len()?),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
            Err(error) => Err(error.into()),
        })
    }

    /// How far the comparison of all pages with what was written has come; none if the start verified all of them.
    #[must_use]
    pub fn scrubbed(&self) -> Option<Scrubbed> {
        self.engine.scrubbed()
    }

    /// How many writes wait for the writer, and how many can.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.writer.waiting()
    }

    /// Hears of every commit from now on, on the writer's thread: it must be quick. Only the first observer is kept.
    pub fn observe(&self, observer: impl Fn(&Commit<'_>) + Send + Sync + 'static) {
        self.engine.observe(Box::new(observer));
    }
}
