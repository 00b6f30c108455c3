//! How the store fares, in figures: for metrics.

use redb::ReadableTableMetadata as _;

use crate::engine::Commit;
use crate::error::StoreError;
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
