//! Rows of older layouts, moved to the present tables when such a file is opened.
//!
//! | from | to | |
//! |---|---|---|
//! | `backups-2`; `backups-3`, `identities-1` | `backups-4`, `heads-1` | nonce, id and identity stand apart, the header is left out |
//! | `channels-1` | `channels-2` | binary instead of JSON |
//! | `receipts-1` | `receipts-2` | binary instead of JSON |
//! | `receipts-2`, up to layout 4 | | a tower's own are made again when they are asked for |
//!
//! A row of a backup that cannot be read is kept as it is in `aside-1`, said in the log and counted
//! ([`crate::Store::set_aside`]): one backup less is no reason to be without a tower. A channel's row that cannot be read ends the
//! opening: a tower that does not know a channel would not watch it, and the chain tells it all channels again.
//!
//! **Invariant:** moved and removed in the transaction that writes the new layout's number: a file is of one layout.

use alloy_primitives::B256;
use protocol::{ChannelId, Domain, Nonce, Role};
use redb::{ReadableTable, Table, TableDefinition, TableHandle as _, WriteTransaction};

use crate::backups::Slot;
use crate::error::StoreError;
use crate::heads::{self, Heads};
use crate::kept::{self, Times};
use crate::rows::{ChannelRow, ReceiptRow};
use crate::schema::{ASIDE, BACKUPS, CHANNELS, Facts, HEADS, RECEIPTS};
use crate::{json, receipts, terms};

type Backups<'a> = TableDefinition<'a, (u64, u8), &'static [u8]>;
const BACKUPS_2: Backups<'_> = TableDefinition::new("backups-2");
const BACKUPS_3: Backups<'_> = TableDefinition::new("backups-3");
const IDENTITIES_1: TableDefinition<'_, u64, [u8; 32]> = TableDefinition::new("identities-1");
const CHANNELS_1: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("channels-1");
const RECEIPTS_1: TableDefinition<'_, (u64, u8, [u8; 20]), &[u8]> =
    TableDefinition::new("receipts-1");

/// Moves what there is to move; nothing, in a file of the present layout.
pub(crate) fn run(transaction: &WriteTransaction, facts: &Facts) -> Result<(), StoreError> {
    // Opening a table to write makes it, so it is looked for by its name.
    let names = transaction.list_tables()?.map(|table| table.name().to_owned());
    let names: Vec<String> = names.collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has("identities-1") {
        identities(transaction)?;
    }
    for (name, table) in [("backups-2", BACKUPS_2), ("backups-3", BACKUPS_3)] {
        if has(name) {
            backups(transaction, facts, table)?;
        }
    }
    if has("receipts-1") {
        receipts(transaction)?;
    }
    if has("channels-1") {
        channels(transaction, facts)?;
        let own = |(_channel, _role, tower): (u64, u8, [u8; 20]), _row: &[u8]| {
            tower != facts.account.into_array()
        };
        transaction.open_table(RECEIPTS)?.retain(own)?;
    }
    Ok(())
}

fn identities(transaction: &WriteTransaction) -> Result<(), StoreError> {
    {
        let from = transaction.open_table(IDENTITIES_1)?;
        let mut to = transaction.open_table(HEADS)?;
        for entry in from.iter()? {
            let (channel, identity) = entry?;
            let heads = Heads::empty(B256::from(identity.value()));
            to.insert(channel.value(), heads.encode().as_slice())?;
        }
    }
    transaction.delete_table(IDENTITIES_1)?;
    Ok(())
}

/// A row of `backups-2` or `backups-3`: nonce, id, in the former the identity, stored at, window start, window nonce,
/// envelope.
struct Old<'a> {
    nonce: Nonce,
    id: B256,
    identity: Option<B256>,
    times: Times,
    envelope: &'a [u8],
}

impl<'a> Old<'a> {
    fn read(row: &'a [u8], has_identity: bool) -> Result<Self, StoreError> {
        let wrong = |error: &dyn std::fmt::Display| StoreError::row("backups-3", error);
        let short = || wrong(&format!("{} bytes", row.len()));
        let mut rest = row;
        let number = |rest: &mut &'a [u8]| -> Result<u64, StoreError> {
            let (number, after) = rest.split_first_chunk::<8>().ok_or_else(short)?;
            *rest = after;
            Ok(u64::from_be_bytes(*number))
        };
        let hash = |rest: &mut &'a [u8]| -> Result<B256, StoreError> {
            let (hash, after) = rest.split_first_chunk::<32>().ok_or_else(short)?;
            *rest = after;
            Ok(B256::from(*hash))
        };
        let nonce = Nonce::try_from(number(&mut rest)?).map_err(|error| wrong(&error))?;
        let id = hash(&mut rest)?;
        let identity = if has_identity { Some(hash(&mut rest)?) } else { None };
        let (stored_at_ms, window_start_ms) = (number(&mut rest)?, number(&mut rest)?);
        let window_nonce = Nonce::try_from(number(&mut rest)?).map_err(|error| wrong(&error))?;
        let times = Times { stored_at_ms, window_start_ms, window_nonce };
        Ok(Self { nonce, id, identity, times, envelope: rest })
    }
}

/// Where rows of backups go.
struct Moving<'t> {
    domain: Domain,
    to: Table<'t, (u64, u8), &'static [u8]>,
    heads: Table<'t, u64, &'static [u8]>,
}

impl Moving<'_> {
    /// Moves one row; false if it is left over from a channel that is no longer the one under this id.
    fn take(&mut self, (channel, role): (u64, u8), old: &Old<'_>) -> Result<bool, StoreError> {
        let channel_id = heads::channel_of(channel)?;
        let role = Role::try_from(role).map_err(|error| StoreError::row("backups-3", error))?;
        let standing = match (heads::of(&self.heads, channel_id)?, old.identity) {
            (Some(standing), Some(identity)) if standing.identity != identity => return Ok(false),
            (Some(standing), _) => standing,
            (None, Some(identity)) => Heads::empty(identity),
            (None, None) => {
                let nobody = format!("a backup of channel {channel}, and no channel");
                return Err(StoreError::row("identities-1", nobody));
            }
        };
        let slot = Slot { channel_id, role };
        let row = kept::encode(self.domain, slot, old.nonce, old.times, old.envelope);
        self.to.insert(slot.key(), row.as_slice())?;
        let row = standing.with(role, (old.nonce, old.id)).encode();
        self.heads.insert(channel, row.as_slice())?;
        Ok(true)
    }
}

/// A row that cannot be read is one backup, which its owner and other towers have as well: it is kept aside as it is, and the
/// others are moved.
fn backups(
    transaction: &WriteTransaction,
    facts: &Facts,
    old: Backups<'_>,
) -> Result<(), StoreError> {
    let has_identity = old.name() == "backups-2";
    let (mut moved, mut aside) = (0_u64, 0_u64);
    {
        let from = transaction.open_table(old)?;
        let to = transaction.open_table(BACKUPS)?;
        let heads = transaction.open_table(HEADS)?;
        let mut moving = Moving { domain: facts.domain(), to, heads };
        for entry in from.iter()? {
            let (key, row) = entry?;
            let (key, row) = (key.value(), row.value());
            match Old::read(row, has_identity).and_then(|old| moving.take(key, &old)) {
                Ok(true) => moved = moved.saturating_add(1),
                Ok(false) => {}
                Err(error @ StoreError::Row { .. }) => {
                    tracing::error!(channel = key.0, role = key.1, %error, "a backup cannot be moved to the present layout: it is kept aside");
                    let (channel, role) = key;
                    let mut table = transaction.open_table(ASIDE)?;
                    table.insert((old.name(), channel, role), row)?;
                    aside = aside.saturating_add(1);
                }
                Err(error) => return Err(error),
            }
        }
    }
    transaction.delete_table(old)?;
    tracing::info!(moved, aside, "backups were moved to the present layout");
    Ok(())
}

fn channels(transaction: &WriteTransaction, facts: &Facts) -> Result<(), StoreError> {
    {
        let from = transaction.open_table(CHANNELS_1)?;
        let mut to = transaction.open_table(CHANNELS)?;
        for entry in from.iter()? {
            let (channel, row) = entry?;
            let row: ChannelRow = json::decode("channels-1", row.value())?;
            let known = ChannelId::try_from(channel.value()).is_ok_and(|id| id == row.channel.id());
            if !known {
                let other = format!("channel {} under {}", row.channel.id(), channel.value());
                return Err(StoreError::row("channels-1", other));
            }
            to.insert(channel.value(), terms::encode(facts, &row).as_slice())?;
        }
    }
    transaction.delete_table(CHANNELS_1)?;
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
