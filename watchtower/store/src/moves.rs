//! Rows of older layouts, moved to the present tables when such a file is opened.
//!
//! | from | to | |
//! |---|---|---|
//! | `backups-2` | `backups-3`, `identities-1` | the identity of the channel stands once for both slots, beside the channel's id |
//! | `receipts-1` | `receipts-2` | binary instead of JSON |
//!
//! **Invariant:** moved and removed in the transaction that writes the new layout's number: a file is of one layout.

use redb::{ReadableTable, TableDefinition, TableHandle as _, WriteTransaction};

use crate::error::StoreError;
use crate::rows::ReceiptRow;
use crate::schema::{BACKUPS, IDENTITIES, RECEIPTS};
use crate::{json, receipts};

const BACKUPS_2: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("backups-2");
const RECEIPTS_1: TableDefinition<'_, (u64, u8, [u8; 20]), &[u8]> =
    TableDefinition::new("receipts-1");

/// Where the identity stood in a row of `backups-2`, after nonce and id.
const IDENTITY_AT: usize = 8 + 32;

/// Moves what there is to move; nothing, in a file of the present layout.
pub(crate) fn run(transaction: &WriteTransaction) -> Result<(), StoreError> {
    // Opening a table to write makes it, so it is looked for by its name.
    let names = transaction.list_tables()?.map(|table| table.name().to_owned());
    let names: Vec<String> = names.collect();
    if names.iter().any(|name| name == "backups-2") {
        backups(transaction)?;
    }
    if names.iter().any(|name| name == "receipts-1") {
        receipts(transaction)?;
    }
    Ok(())
}

fn backups(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut moved = 0_u64;
    {
        let from = transaction.open_table(BACKUPS_2)?;
        let mut to = transaction.open_table(BACKUPS)?;
        let mut identities = transaction.open_table(IDENTITIES)?;
        for entry in from.iter()? {
            let (key, row) = entry?;
            let row = row.value();
            let short = || StoreError::row("backups-2", format!("{} bytes", row.len()));
            let (head, rest) = row.split_at_checked(IDENTITY_AT).ok_or_else(short)?;
            let (identity, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
            let (channel, role) = key.value();
            let standing = identities.get(channel)?.map(|stands| stands.value());
            match standing {
                // Left over from a channel that is no longer the one under this id.
                Some(standing) if standing != *identity => continue,
                Some(_same) => {}
                None => {
                    identities.insert(channel, *identity)?;
                }
            }
            to.insert((channel, role), [head, rest].concat().as_slice())?;
            moved = moved.saturating_add(1);
        }
    }
    transaction.delete_table(BACKUPS_2)?;
    tracing::info!(moved, "backups were moved to the present layout");
    Ok(())
}

fn receipts(transaction: &WriteTransaction) -> Result<(), StoreError> {
    {
        let from = transaction.open_table(RECEIPTS_1)?;
        let mut to = transaction.open_table(RECEIPTS)?;
        for entry in from.iter()? {
            let (key, row) = entry?;
            let receipt: ReceiptRow = json::decode("receipts-1", row.value())?;
            to.insert(key.value(), receipts::encode(&receipt).as_slice())?;
        }
    }
    transaction.delete_table(RECEIPTS_1)?;
    Ok(())
}
