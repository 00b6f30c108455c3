//! The write-ahead of signatures: what protects a node's own money from the node.
//!
//! A state is recorded before its signature leaves the machine. A second, different state at the same nonce is refused,
//! crash or no crash, because the check and the record are one transaction. Old rows are dropped; their nonces are then
//! below a floor under which nothing is ever signed again.
//!
//! **Invariant:** for each (channel, nonce) at most one digest is ever recorded.

use alloy_primitives::{B256, Bytes};
use protocol::{ChannelId, Nonce};
use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::json;
use crate::schema::{FLOORS, STATES, STOPS};

/// Newest states kept for each channel. A node needs the last final one and one outstanding; the rest is for people.
pub const STATES_KEPT: u64 = 16;

/// A state that this node signed, or is about to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRow {
    /// The state's nonce.
    pub nonce: Nonce,
    /// The state's digest: what is signed.
    pub digest: B256,
    /// Everything needed to answer again with the same bytes; opaque here.
    pub payload: Bytes,
}

/// The answer to a permission to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Recorded now: sign and send.
    New,
    /// The same state was recorded before: send what was sent then.
    Same(SignedRow),
}

/// The tables of the write-ahead, opened once for everything that a job signs.
pub(crate) struct Tables<'txn> {
    stops: Table<'txn, u64, &'static str>,
    floors: Table<'txn, u64, u64>,
    states: Table<'txn, (u64, u64), &'static [u8]>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            stops: transaction.open_table(STOPS)?,
            floors: transaction.open_table(FLOORS)?,
            states: transaction.open_table(STATES)?,
        })
    }

    fn floor(&self, channel: u64) -> Result<u64, StoreError> {
        Ok(self.floors.get(channel)?.map_or(0, |found| found.value()))
    }

    /// Whether this state may be signed; what is held of it, if it was recorded before. Writes nothing.
    pub(crate) fn check(
        &self,
        channel_id: ChannelId,
        row: &SignedRow,
    ) -> Result<Option<SignedRow>, StoreError> {
        let (channel, nonce) = (channel_id.get(), row.nonce.get());
        if let Some(reason) = self.stops.get(channel)? {
            let reason = reason.value().to_owned();
            return Err(StoreError::SigningStopped { channel_id: channel, reason });
        }
        let floor = self.floor(channel)?;
        if nonce < floor {
            return Err(StoreError::BelowFloor { channel_id: channel, floor, nonce });
        }
        let held: Option<SignedRow> = self
            .states
            .get((channel, nonce))?
            .map(|found| json::decode("states-1", found.value()))
            .transpose()?;
        match held {
            Some(held) if held.digest != row.digest => {
                let (held, offered) = (held.digest, row.digest);
                Err(StoreError::AlreadySigned { channel_id: channel, nonce, held, offered })
            }
            held => Ok(held),
        }
    }

    /// Records a state that was checked in this transaction and is not held yet.
    pub(crate) fn write(
        &mut self,
        channel_id: ChannelId,
        row: &SignedRow,
    ) -> Result<(), StoreError> {
        let (channel, nonce) = (channel_id.get(), row.nonce.get());
        let floor = self.floor(channel)?;
        let encoded = json::encode("states-1", row)?;
        self.states.insert((channel, nonce), encoded.as_slice())?;
        let new_floor = nonce.saturating_sub(STATES_KEPT);
        if new_floor > floor {
            self.states.retain_in((channel, 0)..(channel, new_floor), |_key, _row| false)?;
            self.floors.insert(channel, new_floor)?;
        }
        Ok(())
    }
}

pub(crate) fn record(
    transaction: &WriteTransaction,
    channel_id: ChannelId,
    row: &SignedRow,
) -> Result<Recorded, StoreError> {
    let mut tables = Tables::open(transaction)?;
    if let Some(held) = tables.check(channel_id, row)? {
        return Ok(Recorded::Same(held));
    }
    tables.write(channel_id, row)?;
    Ok(Recorded::New)
}

/// Replaces the payload of a recorded state (the other party's signatures came back). The digest cannot change.
pub(crate) fn amend(
    transaction: &WriteTransaction,
    channel_id: ChannelId,
    row: &SignedRow,
) -> Result<(), StoreError> {
    let (channel, nonce) = (channel_id.get(), row.nonce.get());
    let mut states = transaction.open_table(STATES)?;
    let held: Option<SignedRow> = states
        .get((channel, nonce))?
        .map(|found| json::decode("states-1", found.value()))
        .transpose()?;
    let Some(held) = held else {
        return Err(StoreError::row("states-1", format!("nothing is recorded at nonce {nonce}")));
    };
    if held.digest != row.digest {
        let (held, offered) = (held.digest, row.digest);
        return Err(StoreError::AlreadySigned { channel_id: channel, nonce, held, offered });
    }
    let encoded = json::encode("states-1", row)?;
    states.insert((channel, nonce), encoded.as_slice())?;
    Ok(())
}

pub(crate) fn list(
    transaction: &ReadTransaction,
    channel_id: ChannelId,
) -> Result<Vec<SignedRow>, StoreError> {
    let table = transaction.open_table(STATES)?;
    let channel = channel_id.get();
    let mut found = Vec::new();
    for entry in table.range((channel, 0)..=(channel, u64::MAX))? {
        found.push(json::decode("states-1", entry?.1.value())?);
    }
    Ok(found)
}

pub(crate) fn stop(
    transaction: &WriteTransaction,
    channel_id: ChannelId,
    reason: &str,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(STOPS)?;
    if table.get(channel_id.get())?.is_none() {
        table.insert(channel_id.get(), reason)?;
    }
    Ok(())
}

pub(crate) fn stopped(
    transaction: &ReadTransaction,
    channel_id: ChannelId,
) -> Result<Option<String>, StoreError> {
    let table = transaction.open_table(STOPS)?;
    Ok(table.get(channel_id.get())?.map(|found| found.value().to_owned()))
}
