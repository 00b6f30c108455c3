//! What the tables take on disk.

use redb::{ReadableTableMetadata as _, TableHandle as _};

use crate::Store;
use crate::error::StoreError;

/// One table's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// Its name; ends in the version of its rows.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of keys and values.
    pub stored_bytes: u64,
    /// Bytes of what the engine keeps to find them.
    pub metadata_bytes: u64,
    /// Bytes of its pages that hold nothing.
    pub fragmented_bytes: u64,
}

impl Store {
    /// What every table takes, in order of their names. Reads every page of them: not for every day.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tables(&self) -> Result<Vec<TableSize>, StoreError> {
        self.engine.read(|transaction| {
            let mut sizes = Vec::new();
            for handle in transaction.list_tables()? {
                let name = handle.name().to_owned();
                let table = transaction.open_untyped_table(handle)?;
                let stats = table.stats()?;
                sizes.push(TableSize {
                    name,
                    rows: table.len()?,
                    stored_bytes: stats.stored_bytes(),
                    metadata_bytes: stats.metadata_bytes(),
                    fragmented_bytes: stats.fragmented_bytes(),
                });
            }
            sizes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(sizes)
        })
    }
}
