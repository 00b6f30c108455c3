//! Receipts: the signed promises that a node was given, kept as evidence with its turns ([`crate::NodeChange::Receipt`]): one for
//! each slot and tower, the newest. A tower keeps none of its own. Fixed binary.

use alloy_primitives::{Address, B256, Bytes};
use protocol::Nonce;
use redb::WriteTransaction;

use crate::backups::Slot;
use crate::error::StoreError;
use crate::rows::ReceiptRow;
use crate::{Store, schema};

/// Bytes before the signature: nonce, envelope id, until.
const HEAD_BYTES: usize = 8 + 32 + 8;

pub(crate) fn encode(receipt: &ReceiptRow) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEAD_BYTES.saturating_add(receipt.signature.len()));
    row.extend_from_slice(&receipt.nonce.get().to_be_bytes());
    row.extend_from_slice(receipt.envelope_id.as_slice());
    row.extend_from_slice(&receipt.until.to_be_bytes());
    row.extend_from_slice(&receipt.signature);
    row
}

fn decode(row: &[u8]) -> Result<ReceiptRow, StoreError> {
    let short = || StoreError::row("receipts-2", format!("{} bytes", row.len()));
    let (nonce, rest) = row.split_first_chunk::<8>().ok_or_else(short)?;
    let (envelope_id, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
    let (until, signature) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    Ok(ReceiptRow {
        nonce: Nonce::try_from(u64::from_be_bytes(*nonce))
            .map_err(|error| StoreError::row("receipts-2", error))?,
        envelope_id: B256::from(*envelope_id),
        until: u64::from_be_bytes(*until),
        signature: Bytes::copy_from_slice(signature),
    })
}

pub(crate) fn put(
    transaction: &WriteTransaction,
    slot: Slot,
    tower: Address,
    receipt: &ReceiptRow,
) -> Result<(), StoreError> {
    let (channel, role) = slot.key();
    let mut table = transaction.open_table(schema::RECEIPTS)?;
    table.insert((channel, role, tower.into_array()), encode(receipt).as_slice())?;
    Ok(())
}

impl Store {
    /// The newest receipt of `tower` for a slot.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn receipt(&self, slot: Slot, tower: Address) -> Result<Option<ReceiptRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(schema::RECEIPTS)?;
            let (channel, role) = slot.key();
            let row = table.get((channel, role, tower.into_array()))?;
            row.map(|row| decode(row.value())).transpose()
        })
    }
}
