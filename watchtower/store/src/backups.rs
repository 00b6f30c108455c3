//! The slot rule: one envelope for each (channel, role), whatever the number of updates.
//!
//! A greater nonce replaces, at most [`JumpLimit::per_hour`] nonces an hour; at an equal nonce the smaller id wins, so
//! that all towers converge; the two ids are kept as evidence that their signer signed twice.
//!
//! **Invariant:** the comparison and the write are one transaction.
//! **Invariant:** a slot's nonce never falls, as long as the channel is the same.
//! **Invariant:** a slot holds nothing of another channel than the one that stands under its id: after a reorganisation the id
//! may be another channel's. A channel that comes back as it was finds its backups where they were, because their receipts
//! still promise them.

use alloy_primitives::{B256, Bytes};
use protocol::{ChannelId, Nonce, Role};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::json;
use crate::schema::{BACKUPS, EVIDENCE, IDENTITIES, PROOFS, RECEIPTS};

/// Bytes before the envelope in a row: nonce, id, stored at, window start, window nonce. Whose backup it is stands beside the
/// channel's id, once for both slots.
const HEAD_BYTES: usize = 8 + 32 + 8 + 8 + 8;

/// Milliseconds of the window in which the jump is measured.
const WINDOW_MS: u64 = 3_600_000;

/// One of a channel's two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The channel.
    pub channel_id: ChannelId,
    /// Whose backup it is.
    pub role: Role,
}

impl Slot {
    pub(crate) fn key(self) -> (u64, u8) {
        (self.channel_id.get(), self.role.to_byte())
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.channel_id, self.role)
    }
}

/// How far a slot's nonce may rise in an hour. Stops a signer from burning its own slot by one absurd nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JumpLimit {
    /// Nonces in an hour, counted from the nonce at the window's start.
    pub per_hour: u64,
}

/// An envelope in its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The nonce in the envelope's header.
    pub nonce: Nonce,
    /// Keccak-256 of the envelope without its signature.
    pub id: B256,
    /// Of the channel that it was admitted for, see [`crate::ChannelRow::identity`].
    pub identity: B256,
    /// Unix milliseconds.
    pub stored_at_ms: u64,
    /// The whole envelope.
    pub envelope: Vec<u8>,
}

/// What became of an offered envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is in the slot now.
    Stored {
        /// The nonce it replaced.
        replaced: Option<Nonce>,
    },
    /// The very same envelope was there already.
    Same,
    /// The slot holds a greater nonce.
    Older {
        /// That nonce.
        held: Nonce,
    },
    /// Another envelope of the same nonce; both are kept as evidence, the smaller id is served.
    Conflict {
        /// The id that the slot serves now.
        serves: B256,
        /// Whether the offered one is the served one.
        offered_won: bool,
    },
    /// Another channel stands under this id by now than the one that the envelope was admitted for.
    OtherChannel,
    /// The nonce rises faster than allowed.
    TooFast {
        /// The greatest nonce that would be taken now.
        allowed: u64,
        /// When the window starts anew, Unix milliseconds.
        retry_at_ms: u64,
    },
}

/// Two envelopes of one slot at one nonce: proof that the key holder signed twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The nonce that both share.
    pub nonce: Nonce,
    /// The envelope with the smaller id.
    pub smaller: Bytes,
    /// The other.
    pub greater: Bytes,
    /// Unix milliseconds.
    pub seen_at_ms: u64,
}

struct Held {
    backup: Backup,
    window_start_ms: u64,
    window_nonce: u64,
}

fn encode(held: &Held) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEAD_BYTES + held.backup.envelope.len());
    row.extend_from_slice(&held.backup.nonce.get().to_be_bytes());
    row.extend_from_slice(held.backup.id.as_slice());
    row.extend_from_slice(&held.backup.stored_at_ms.to_be_bytes());
    row.extend_from_slice(&held.window_start_ms.to_be_bytes());
    row.extend_from_slice(&held.window_nonce.to_be_bytes());
    row.extend_from_slice(&held.backup.envelope);
    row
}

fn decode(row: &[u8], identity: B256) -> Result<Held, StoreError> {
    let short = || StoreError::row("backups-3", format!("{} bytes", row.len()));
    let (head, envelope) = row.split_at_checked(HEAD_BYTES).ok_or_else(short)?;
    let number = |at: usize| {
        head.get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_be_bytes)
            .ok_or_else(short)
    };
    let nonce = Nonce::try_from(number(0)?).map_err(|error| StoreError::row("backups-3", error))?;
    let hash = |at: usize| head.get(at..at + 32).ok_or_else(short).map(B256::from_slice);
    let (id, stored_at_ms) = (hash(8)?, number(40)?);
    Ok(Held {
        backup: Backup { nonce, id, identity, stored_at_ms, envelope: envelope.to_vec() },
        window_start_ms: number(48)?,
        window_nonce: number(56)?,
    })
}

/// Nonce and id alone.
fn decode_head(row: &[u8]) -> Result<(Nonce, B256), StoreError> {
    let short = || StoreError::row("backups-3", format!("{} bytes", row.len()));
    let (nonce, rest) = row.split_first_chunk::<8>().ok_or_else(short)?;
    let (id, _rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
    let nonce = Nonce::try_from(u64::from_be_bytes(*nonce))
        .map_err(|error| StoreError::row("backups-3", error))?;
    Ok((nonce, B256::from(*id)))
}

fn slot_of((channel, role): (u64, u8)) -> Result<Slot, StoreError> {
    Ok(Slot {
        channel_id: ChannelId::try_from(channel)
            .map_err(|error| StoreError::row("backups-3", error))?,
        role: Role::try_from(role).map_err(|error| StoreError::row("backups-3", error))?,
    })
}

/// Compares with the slot and records, in the caller's transaction.
pub(crate) fn offer(
    transaction: &WriteTransaction,
    slot: Slot,
    offered: Backup,
    limit: JumpLimit,
) -> Result<Verdict, StoreError> {
    let identity = offered.identity;
    let mut stands = transaction.open_table(IDENTITIES)?;
    let standing = stands.get(slot.channel_id.get())?.map(|stands| stands.value());
    match standing {
        Some(standing) if standing != identity => return Ok(Verdict::OtherChannel),
        Some(_same) => {}
        // The first to speak of this channel.
        None => {
            stands.insert(slot.channel_id.get(), identity.0)?;
        }
    }
    let mut table = transaction.open_table(BACKUPS)?;
    let held = table.get(slot.key())?.map(|row| decode(row.value(), identity)).transpose()?;
    let Some(held) = held else {
        let first = Held {
            window_start_ms: offered.stored_at_ms,
            window_nonce: offered.nonce.get(),
            backup: offered,
        };
        table.insert(slot.key(), encode(&first).as_slice())?;
        return Ok(Verdict::Stored { replaced: None });
    };
    if offered.nonce < held.backup.nonce {
        return Ok(Verdict::Older { held: held.backup.nonce });
    }
    if offered.nonce == held.backup.nonce {
        if offered.id == held.backup.id {
            return Ok(Verdict::Same);
        }
        return settle_conflict(transaction, &mut table, slot, &held, offered);
    }
    let (window_start_ms, window_nonce) =
        if offered.stored_at_ms.saturating_sub(held.window_start_ms) >= WINDOW_MS {
            (offered.stored_at_ms, held.backup.nonce.get())
        } else {
            (held.window_start_ms, held.window_nonce)
        };
    let allowed = window_nonce.saturating_add(limit.per_hour);
    if offered.nonce.get() > allowed {
        let retry_at_ms = window_start_ms.saturating_add(WINDOW_MS);
        return Ok(Verdict::TooFast { allowed, retry_at_ms });
    }
    let replaced = Some(held.backup.nonce);
    let newer = Held { backup: offered, window_start_ms, window_nonce };
    table.insert(slot.key(), encode(&newer).as_slice())?;
    Ok(Verdict::Stored { replaced })
}

/// A channel stands under this id. If it is another one than before, what was held and proven for that one goes.
pub(crate) fn move_in(
    transaction: &WriteTransaction,
    channel_id: ChannelId,
    identity: B256,
) -> Result<(), StoreError> {
    let id = channel_id.get();
    let before = transaction.open_table(IDENTITIES)?.insert(id, identity.0)?.map(|row| row.value());
    if before.is_none_or(|before| before == identity) {
        return Ok(());
    }
    for role in Role::BOTH {
        let slot = Slot { channel_id, role };
        let dropped = transaction.open_table(BACKUPS)?.remove(slot.key())?.is_some();
        transaction.open_table(EVIDENCE)?.remove(slot.key())?;
        if dropped {
            tracing::warn!(%slot, "another channel has this id now: the backup of the former one is dropped");
        }
    }
    transaction.open_table(PROOFS)?.retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
    Ok(())
}

/// Forgets both slots of a channel: envelopes, evidence and receipts.
pub(crate) fn forget(
    transaction: &WriteTransaction,
    channel_id: ChannelId,
) -> Result<(), StoreError> {
    for role in Role::BOTH {
        let slot = Slot { channel_id, role };
        let (channel, role) = slot.key();
        transaction.open_table(BACKUPS)?.remove(slot.key())?;
        transaction.open_table(EVIDENCE)?.remove(slot.key())?;
        let towers = (channel, role, [0; 20])..=(channel, role, [u8::MAX; 20]);
        transaction.open_table(RECEIPTS)?.retain_in(towers, |_, _| false)?;
    }
    Ok(())
}

/// Keeps both envelopes, serves the smaller id.
fn settle_conflict(
    transaction: &WriteTransaction,
    table: &mut redb::Table<'_, (u64, u8), &'static [u8]>,
    slot: Slot,
    held: &Held,
    offered: Backup,
) -> Result<Verdict, StoreError> {
    let offered_won = offered.id < held.backup.id;
    let (smaller, greater) =
        if offered_won { (&offered, &held.backup) } else { (&held.backup, &offered) };
    let evidence = Evidence {
        nonce: offered.nonce,
        smaller: smaller.envelope.clone().into(),
        greater: greater.envelope.clone().into(),
        seen_at_ms: offered.stored_at_ms,
    };
    let serves = smaller.id;
    let row = json::encode("evidence-1", &evidence)?;
    transaction.open_table(EVIDENCE)?.insert(slot.key(), row.as_slice())?;
    if offered_won {
        let winner = Held { backup: offered, ..*held };
        table.insert(slot.key(), encode(&winner).as_slice())?;
    }
    Ok(Verdict::Conflict { serves, offered_won })
}

pub(crate) fn get(transaction: &ReadTransaction, slot: Slot) -> Result<Option<Backup>, StoreError> {
    let table = transaction.open_table(BACKUPS)?;
    let Some(row) = table.get(slot.key())? else { return Ok(None) };
    let identities = transaction.open_table(IDENTITIES)?;
    Ok(Some(decode(row.value(), identity_of(&identities, slot)?)?.backup))
}

/// Of the channel that stands under a slot's id: what is in the slot is that one's.
fn identity_of(
    identities: &impl ReadableTable<u64, [u8; 32]>,
    slot: Slot,
) -> Result<B256, StoreError> {
    let stands = identities.get(slot.channel_id.get())?;
    let nobody = || StoreError::row("identities-1", format!("a backup of {slot}, and no channel"));
    stands.map(|stands| B256::from(stands.value())).ok_or_else(nobody)
}

pub(crate) fn list(
    transaction: &ReadTransaction,
    limit: usize,
) -> Result<Vec<(Slot, Backup)>, StoreError> {
    let table = transaction.open_table(BACKUPS)?;
    let identities = transaction.open_table(IDENTITIES)?;
    let mut found = Vec::new();
    for entry in table.iter()?.take(limit) {
        let (key, row) = entry?;
        let slot = slot_of(key.value())?;
        found.push((slot, decode(row.value(), identity_of(&identities, slot)?)?.backup));
    }
    Ok(found)
}

/// What every slot holds, without the envelopes.
pub(crate) fn each(
    transaction: &ReadTransaction,
    visit: &mut dyn FnMut(Slot, Nonce, B256),
) -> Result<(), StoreError> {
    let table = transaction.open_table(BACKUPS)?;
    for entry in table.iter()? {
        let (key, row) = entry?;
        let (nonce, id) = decode_head(row.value())?;
        visit(slot_of(key.value())?, nonce, id);
    }
    Ok(())
}

pub(crate) fn evidence(
    transaction: &ReadTransaction,
    slot: Slot,
) -> Result<Option<Evidence>, StoreError> {
    let table = transaction.open_table(EVIDENCE)?;
    let row = table.get(slot.key())?;
    row.map(|row| json::decode("evidence-1", row.value())).transpose()
}
