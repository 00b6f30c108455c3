//! Tables, their versions, and the facts that a file never changes.
//!
//! A table's name ends in the version of its rows. A program that changes a row makes a new table and a function that
//! moves the rows; it never guesses at old bytes. Keys are integers in the engine's own order, so a range of keys is a
//! channel's rows in order. Rows that people may want to read are JSON; rows of the hot path are fixed binary.

use alloy_primitives::Address;
use protocol::Domain;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::error::StoreError;

/// The layout of this program: the set of tables below. Raised when a table appears, disappears or changes.
pub const LAYOUT: u64 = 5;

/// The first layout whose rows are moved to the present one when such a file is opened ([`crate::moves`]).
const LAYOUT_MOVED: u64 = 2;

/// name -> value, as text.
pub(crate) const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts-1");
/// (channel, role) -> newest envelope ([`crate::kept`]).
pub(crate) const BACKUPS: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("backups-4");
/// channel -> identity of the channel that stands under this id or stood there last, and what its slots hold ([`crate::heads`]).
pub(crate) const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads-1");
/// (channel, role) -> two envelopes at one nonce.
pub(crate) const EVIDENCE: TableDefinition<'_, (u64, u8), &[u8]> =
    TableDefinition::new("evidence-1");
/// channel -> the block that ended it; there until its backups are forgotten.
pub(crate) const ENDINGS: TableDefinition<'_, u64, u64> = TableDefinition::new("endings-1");
/// channel -> what the chain says of it ([`crate::terms`]).
pub(crate) const CHANNELS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("channels-2");
/// (channel, version) -> the two sums of the ledger.
pub(crate) const LEDGERS: TableDefinition<'_, (u64, u64), &[u8]> =
    TableDefinition::new("ledgers-1");
/// name -> how far the chain has been read.
pub(crate) const CURSOR: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cursor-1");
/// (channel, epoch) -> life of a dispute.
pub(crate) const DISPUTES: TableDefinition<'_, (u64, u64), &[u8]> =
    TableDefinition::new("disputes-1");
/// (channel, epoch) -> proven statement and its proof.
pub(crate) const PROOFS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("proofs-1");
/// obligation -> what must reach the chain, and every transaction sent for it.
pub(crate) const OUTBOX: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("outbox-1");
/// (channel, epoch, sequence) -> one step of a dispute's history.
pub(crate) const JOURNAL: TableDefinition<'_, (u64, u64, u64), &[u8]> =
    TableDefinition::new("journal-1");
/// (channel, nonce) -> what this node signed, written before the signature leaves.
pub(crate) const STATES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("states-1");
/// channel -> the smallest nonce that may still be signed.
pub(crate) const FLOORS: TableDefinition<'_, u64, u64> = TableDefinition::new("floors-1");
/// channel -> why nothing more is signed.
pub(crate) const STOPS: TableDefinition<'_, u64, &str> = TableDefinition::new("stops-1");
/// (channel, role, tower) -> newest receipt.
pub(crate) const RECEIPTS: TableDefinition<'_, (u64, u8, [u8; 20]), &[u8]> =
    TableDefinition::new("receipts-2");

/// (former table, channel, role) -> a row that could not be moved, as it was ([`crate::moves`]). Made when there is one.
pub(crate) const ASIDE: TableDefinition<'_, (&str, u64, u8), &[u8]> =
    TableDefinition::new("aside-1");

/// What a file belongs to. Stored when it is made, compared whenever it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The chain's id.
    pub chain_id: u64,
    /// The vault.
    pub vipe: Address,
    /// The account that acts for this tower: reward and gas are its own.
    pub account: Address,
}

impl Facts {
    /// The domain of all states in this file.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::derive(self.chain_id, self.vipe)
    }

    fn named(&self) -> [(&'static str, String); 4] {
        [
            ("chain id", self.chain_id.to_string()),
            ("vault", self.vipe.to_string()),
            ("domain", self.domain().to_string()),
            ("account", self.account.to_string()),
        ]
    }
}

/// Writes the facts into a new file, or compares them with those of an old one; makes every table.
pub(crate) fn establish(transaction: &WriteTransaction, facts: &Facts) -> Result<(), StoreError> {
    {
        let mut table = transaction.open_table(FACTS)?;
        let layout = table.get("layout")?.map(|found| found.value().to_owned());
        check_layout(layout, LAYOUT_MOVED)?;
        for (name, value) in facts.named() {
            let stored = table.get(name)?.map(|found| found.value().to_owned());
            match stored {
                Some(stored) if stored != value => {
                    return Err(StoreError::WrongFact { fact: name, stored, configured: value });
                }
                Some(_same) => {}
                None => {
                    table.insert(name, value.as_str())?;
                }
            }
        }
        table.insert("layout", LAYOUT.to_string().as_str())?;
    }
    transaction.open_table(BACKUPS)?;
    transaction.open_table(HEADS)?;
    transaction.open_table(EVIDENCE)?;
    transaction.open_table(ENDINGS)?;
    transaction.open_table(CHANNELS)?;
    transaction.open_table(LEDGERS)?;
    transaction.open_table(CURSOR)?;
    transaction.open_table(DISPUTES)?;
    transaction.open_table(PROOFS)?;
    transaction.open_table(OUTBOX)?;
    transaction.open_table(JOURNAL)?;
    transaction.open_table(STATES)?;
    transaction.open_table(FLOORS)?;
    transaction.open_table(STOPS)?;
    transaction.open_table(RECEIPTS)?;
    crate::node::establish(transaction)?;
    crate::moves::run(transaction, facts)
}

/// Reads the facts of an existing file.
pub(crate) fn read(transaction: &ReadTransaction) -> Result<Facts, StoreError> {
    let table = transaction.open_table(FACTS)?;
    let fact = |name: &'static str| -> Result<String, StoreError> {
        let found =
            table.get(name)?.ok_or_else(|| StoreError::row("facts-1", format!("no {name}")))?;
        Ok(found.value().to_owned())
    };
    // Looking changes nothing, so rows of an older layout are not moved here.
    check_layout(Some(fact("layout")?), LAYOUT)?;
    let wrong = |error: &dyn std::fmt::Display| StoreError::row("facts-1", error);
    Ok(Facts {
        chain_id: fact("chain id")?.parse().map_err(|error| wrong(&error))?,
        vipe: fact("vault")?.parse().map_err(|error| wrong(&error))?,
        account: fact("account")?.parse().map_err(|error| wrong(&error))?,
    })
}

fn check_layout(stored: Option<String>, oldest: u64) -> Result<(), StoreError> {
    let Some(text) = stored else { return Ok(()) };
    let found = text.parse().map_err(|error| StoreError::row("facts-1", error))?;
    if (oldest..=LAYOUT).contains(&found) {
        Ok(())
    } else {
        Err(StoreError::UnknownLayout { found, known: LAYOUT })
    }
}
