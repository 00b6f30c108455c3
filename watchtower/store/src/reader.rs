//! What is read of the chain's side: from a snapshot, without troubling the writer.

use std::sync::Arc;

use protocol::ChannelId;
use redb::ReadableTable;

use crate::error::StoreError;
use crate::rows::{ChannelRow, CursorRow, DisputeId, DisputeRow, JournalRow, LedgerRow, ProofRow};
use crate::{Store, change, json, schema, terms};

impl Store {
    /// How far the chain has been read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cursor(&self) -> Result<Option<CursorRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::CURSOR)?;
            let row = table.get(change::CHAIN_CURSOR)?;
            row.map(|row| json::decode("cursor-1", row.value())).transpose()
        })
    }

    /// What the chain says of a channel. Those that were asked for lately are kept decoded.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn channel(&self, channel_id: ChannelId) -> Result<Option<ChannelRow>, StoreError> {
        Ok(self.channel_shared(channel_id)?.map(|row| row.as_ref().clone()))
    }

    /// [`Store::channel`] without a copy.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn channel_shared(
        &self,
        channel_id: ChannelId,
    ) -> Result<Option<Arc<ChannelRow>>, StoreError> {
        let channel = channel_id.get();
        let mark = match self.channels.get(channel) {
            // A store that cannot be read says so, whatever is in memory.
            Ok(row) => return self.engine.health().map(|()| Some(row)),
            Err(mark) => mark,
        };
        let row: Option<ChannelRow> = self.engine.read(|transaction| {
            let table = transaction.open_table(schema::CHANNELS)?;
            let row = table.get(channel)?;
            row.map(|row| terms::decode(&self.facts, channel_id, row.value())).transpose()
        })?;
        let row = row.map(Arc::new);
        if let Some(row) = &row {
            self.channels.put(mark, channel, Arc::clone(row));
        }
        Ok(row)
    }

    /// The first `limit` channels in order of their ids.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn channels(&self, limit: usize) -> Result<Vec<ChannelRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::CHANNELS)?;
            let mut found = Vec::new();
            for entry in table.iter()?.take(limit) {
                let (channel, row) = entry?;
                let channel_id = ChannelId::try_from(channel.value())
                    .map_err(|error| StoreError::row("channels-2", error))?;
                found.push(terms::decode(&self.facts, channel_id, row.value())?);
            }
            Ok(found)
        })
    }

    /// Channels that ended, each with the block that ended it, whose backups are not forgotten yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn endings(&self) -> Result<Vec<(ChannelId, u64)>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::ENDINGS)?;
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (channel, block) = entry?;
                let channel = ChannelId::try_from(channel.value())
                    .map_err(|error| StoreError::row("endings-1", error))?;
                found.push((channel, block.value()));
            }
            Ok(found)
        })
    }

    /// All versions of a channel's ledger but the empty one, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ledger(&self, channel_id: ChannelId) -> Result<Vec<LedgerRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::LEDGERS)?;
            let channel = channel_id.get();
            let mut found = Vec::new();
            for entry in table.range((channel, 0)..=(channel, u64::MAX))? {
                let (key, sums) = entry?;
                found.push(change::ledger_row(channel_id, key.value().1, sums.value())?);
            }
            Ok(found)
        })
    }

    /// One dispute.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dispute(&self, id: DisputeId) -> Result<Option<DisputeRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::DISPUTES)?;
            let row = table.get(change::key(id))?;
            row.map(|row| json::decode("disputes-1", row.value())).transpose()
        })
    }

    /// All disputes in order of channel and epoch.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn disputes(&self, limit: usize) -> Result<Vec<DisputeRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::DISPUTES)?;
            let mut found = Vec::new();
            for entry in table.iter()?.take(limit) {
                found.push(json::decode("disputes-1", entry?.1.value())?);
            }
            Ok(found)
        })
    }

    /// A channel's disputes, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn disputes_of(&self, channel_id: ChannelId) -> Result<Vec<DisputeRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::DISPUTES)?;
            let channel = channel_id.get();
            let mut found = Vec::new();
            for entry in table.range((channel, 0)..=(channel, u64::MAX))? {
                found.push(json::decode("disputes-1", entry?.1.value())?);
            }
            Ok(found)
        })
    }

    /// A dispute's proof, once there is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn proof(&self, id: DisputeId) -> Result<Option<ProofRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::PROOFS)?;
            let row = table.get(change::key(id))?;
            row.map(|row| json::decode("proofs-1", row.value())).transpose()
        })
    }

    /// A dispute's history, oldest step first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn journal(&self, id: DisputeId) -> Result<Vec<JournalRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::JOURNAL)?;
            let (channel, epoch) = change::key(id);
            let mut found = Vec::new();
            for entry in table.range((channel, epoch, 0)..=(channel, epoch, u64::MAX))? {
                found.push(json::decode("journal-1", entry?.1.value())?);
            }
            Ok(found)
        })
    }

    /// All obligations that have not ended, by name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn outbox(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::OUTBOX)?;
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (name, body) = entry?;
                found.push((name.value().to_owned(), body.value().to_vec()));
            }
            Ok(found)
        })
    }

    /// The names of all obligations that have not ended: cheap beside their bodies, which hold proofs.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn outbox_names(&self) -> Result<Vec<String>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::OUTBOX)?;
            let mut found = Vec::new();
            for entry in table.iter()? {
                found.push(entry?.0.value().to_owned());
            }
            Ok(found)
        })
    }

    /// The obligation with this name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn outbox_row(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::OUTBOX)?;
            Ok(table.get(name)?.map(|body| body.value().to_vec()))
        })
    }
}
