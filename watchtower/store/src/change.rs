//! Changes that belong together: one `commit`, one transaction.
//!
//! The cursor moves in the same transaction as the effects of the block's events; a dispute's row changes in the same
//! transaction as the journal line that says so and the obligation that follows from it.

use protocol::{ChannelId, EscrowVersion};
use redb::{ReadableTable, WriteTransaction};

use crate::backups;
use crate::error::StoreError;
use crate::rows::{ChannelRow, CursorRow, DisputeId, DisputeRow, JournalRow, LedgerRow, ProofRow};
use crate::schema::{CHANNELS, CURSOR, DISPUTES, ENDINGS, Facts, JOURNAL, LEDGERS, OUTBOX, PROOFS};
use crate::{json, terms};

/// The one cursor of a tower.
pub(crate) const CHAIN_CURSOR: &str = "chain";

/// Steps kept for one dispute: a hundred times what a healthy one writes. Beyond it steps are dropped, not rows.
pub const JOURNAL_MAX: u64 = 2_000;

/// One of the writes of a [`crate::Store::commit`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The chain was read up to here.
    Cursor(CursorRow),
    /// What the chain says of a channel.
    Channel(Box<ChannelRow>),
    /// A channel left the chain in a reorganisation. Its backups stay: mostly it comes back. If another channel takes the id,
    /// that [`Change::Channel`] drops them.
    ForgetChannel(ChannelId),
    /// A channel was paid out in this block: its backups may be forgotten once that is final.
    Ended(ChannelId, u64),
    /// The block that paid a channel out left the chain in a reorganisation.
    NotEnded(ChannelId),
    /// Forget what is held for a channel that ended for good: backups, evidence and receipts.
    ForgetBackups(ChannelId),
    /// A version of a channel's ledger.
    Ledger(LedgerRow),
    /// A version of a channel's ledger left the chain in a reorganisation.
    ForgetLedger(ChannelId, EscrowVersion),
    /// A dispute's life went on.
    Dispute(Box<DisputeRow>),
    /// A proof is ready.
    Proof(Box<ProofRow>),
    /// Add a step to a dispute's history.
    Journal(DisputeId, Box<JournalRow>),
    /// An obligation, as its owner encodes it, under its name.
    Outbox {
        /// The obligation's name.
        name: String,
        /// Its encoding.
        body: Vec<u8>,
    },
    /// An obligation has ended.
    OutboxDone {
        /// The obligation's name.
        name: String,
    },
}

impl Change {
    /// The channel whose row it changes, if it changes one.
    pub(crate) fn channel(&self) -> Option<u64> {
        match self {
            Self::Channel(row) => Some(row.channel.id().get()),
            Self::ForgetChannel(channel_id) => Some(channel_id.get()),
            _ => None,
        }
    }
}

/// Carries out one change in the caller's transaction.
pub(crate) fn apply(
    transaction: &WriteTransaction,
    facts: &Facts,
    change: &Change,
) -> Result<(), StoreError> {
    match change {
        Change::Cursor(row) => {
            let row = json::encode("cursor-1", row)?;
            transaction.open_table(CURSOR)?.insert(CHAIN_CURSOR, row.as_slice())?;
        }
        Change::Channel(channel) => {
            let row = terms::encode(facts, channel);
            let mut table = transaction.open_table(CHANNELS)?;
            table.insert(channel.channel.id().get(), row.as_slice())?;
            backups::move_in(transaction, channel.channel.id(), channel.identity())?;
        }
        Change::ForgetChannel(channel_id) => {
            transaction.open_table(CHANNELS)?.remove(channel_id.get())?;
        }
        Change::Ended(channel_id, block) => {
            transaction.open_table(ENDINGS)?.insert(channel_id.get(), block)?;
        }
        Change::NotEnded(channel_id) => {
            transaction.open_table(ENDINGS)?.remove(channel_id.get())?;
        }
        Change::ForgetBackups(channel_id) => {
            backups::forget(transaction, *channel_id)?;
            transaction.open_table(ENDINGS)?.remove(channel_id.get())?;
        }
        Change::Ledger(row) => {
            let mut sums = [0; 32];
            let (participant, vip) = sums.split_at_mut(16);
            participant.copy_from_slice(&row.participant.to_be_bytes());
            vip.copy_from_slice(&row.vip.to_be_bytes());
            let mut table = transaction.open_table(LEDGERS)?;
            table.insert((row.channel_id.get(), row.version.get()), sums.as_slice())?;
        }
        Change::ForgetLedger(channel_id, version) => {
            transaction.open_table(LEDGERS)?.remove((channel_id.get(), version.get()))?;
        }
        Change::Dispute(dispute) => {
            let row = json::encode("disputes-1", dispute)?;
            transaction.open_table(DISPUTES)?.insert(key(dispute.id), row.as_slice())?;
        }
        Change::Proof(proof) => {
            let row = json::encode("proofs-1", proof)?;
            transaction.open_table(PROOFS)?.insert(key(proof.id), row.as_slice())?;
        }
        Change::Journal(id, step) => append(transaction, *id, step)?,
        Change::Outbox { name, body } => {
            transaction.open_table(OUTBOX)?.insert(name.as_str(), body.as_slice())?;
        }
        Change::OutboxDone { name } => {
            transaction.open_table(OUTBOX)?.remove(name.as_str())?;
        }
    }
    Ok(())
}

/// Reads the sums of one ledger version back.
pub(crate) fn ledger_row(
    channel_id: ChannelId,
    version: u64,
    sums: &[u8],
) -> Result<LedgerRow, StoreError> {
    let wrong = || StoreError::row("ledgers-1", format!("{} bytes", sums.len()));
    let (participant, vip) = sums.split_at_checked(16).ok_or_else(wrong)?;
    Ok(LedgerRow {
        channel_id,
        version: EscrowVersion::try_from(version)
            .map_err(|error| StoreError::row("ledgers-1", error))?,
        participant: i128::from_be_bytes(participant.try_into().map_err(|_length| wrong())?),
        vip: i128::from_be_bytes(vip.try_into().map_err(|_length| wrong())?),
    })
}

pub(crate) fn key(id: DisputeId) -> (u64, u64) {
    (id.channel_id.get(), id.epoch)
}

fn append(
    transaction: &WriteTransaction,
    id: DisputeId,
    step: &JournalRow,
) -> Result<(), StoreError> {
    let (channel, epoch) = key(id);
    let row = json::encode("journal-1", step)?;
    let mut table = transaction.open_table(JOURNAL)?;
    let next = {
        let mut steps = table.range((channel, epoch, 0)..=(channel, epoch, u64::MAX))?;
        match steps.next_back().transpose()? {
            Some((last, _row)) => last.value().2.saturating_add(1),
            None => 0,
        }
    };
    if next >= JOURNAL_MAX {
        tracing::warn!(dispute = %id, step = step.step, "the history is full: step not kept");
        return Ok(());
    }
    table.insert((channel, epoch, next), row.as_slice())?;
    Ok(())
}
