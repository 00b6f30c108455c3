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

use std::cmp::Ordering;

use alloy_primitives::{B256, Bytes};
use protocol::{ChannelId, Domain, Nonce, Role};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::heads::{self, Heads};
use crate::json;
use crate::kept::{self, Times};
use crate::schema::{BACKUPS, EVIDENCE, HEADS, PROOFS, RECEIPTS};

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

/// Where an offer goes: the vault of the file, and the slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) domain: Domain,
    pub(crate) slot: Slot,
}

/// Compares with the slot and records, in the caller's transaction.
pub(crate) fn offer(
    transaction: &WriteTransaction,
    target: Target,
    offered: &Backup,
    limit: JumpLimit,
) -> Result<Verdict, StoreError> {
    let Target { slot, .. } = target;
    let mut heads = transaction.open_table(HEADS)?;
    let standing = heads::of(&heads, slot.channel_id)?;
    // The first to speak of this channel, if there is nothing.
    let standing = standing.unwrap_or(Heads::empty(offered.identity));
    if standing.identity != offered.identity {
        return Ok(Verdict::OtherChannel);
    }
    let mut place = Place { target, standing, heads: &mut heads };
    let Some((nonce, id)) = standing.get(slot.role) else {
        let first = Times {
            stored_at_ms: offered.stored_at_ms,
            window_start_ms: offered.stored_at_ms,
            window_nonce: offered.nonce,
        };
        place.put(transaction, offered, first)?;
        return Ok(Verdict::Stored { replaced: None });
    };
    match offered.nonce.cmp(&nonce) {
        Ordering::Less => Ok(Verdict::Older { held: nonce }),
        Ordering::Equal if offered.id == id => Ok(Verdict::Same),
        Ordering::Equal => place.settle_conflict(transaction, id, offered),
        Ordering::Greater => {
            let before = place.times(transaction)?;
            match window(before, nonce, offered, limit) {
                Ok(times) => {
                    place.put(transaction, offered, times)?;
                    Ok(Verdict::Stored { replaced: Some(nonce) })
                }
                Err(too_fast) => Ok(too_fast),
            }
        }
    }
}

/// The window that a rise from `held` falls into, if it may rise so far.
fn window(
    before: Times,
    held: Nonce,
    offered: &Backup,
    limit: JumpLimit,
) -> Result<Times, Verdict> {
    let stored_at_ms = offered.stored_at_ms;
    let fresh = stored_at_ms.saturating_sub(before.window_start_ms) >= WINDOW_MS;
    let (window_start_ms, window_nonce) =
        if fresh { (stored_at_ms, held) } else { (before.window_start_ms, before.window_nonce) };
    let allowed = window_nonce.get().saturating_add(limit.per_hour);
    if offered.nonce.get() > allowed {
        let retry_at_ms = window_start_ms.saturating_add(WINDOW_MS);
        return Err(Verdict::TooFast { allowed, retry_at_ms });
    }
    Ok(Times { stored_at_ms, window_start_ms, window_nonce })
}

/// A slot in the middle of an offer.
struct Place<'a, 't> {
    target: Target,
    standing: Heads,
    heads: &'a mut redb::Table<'t, u64, &'static [u8]>,
}

impl Place<'_, '_> {
    fn times(&self, transaction: &WriteTransaction) -> Result<Times, StoreError> {
        let table = transaction.open_table(BACKUPS)?;
        let row = table.get(self.target.slot.key())?;
        let row = row.ok_or_else(|| no_row(self.target.slot))?;
        kept::times(row.value())
    }

    /// The envelope and its head.
    fn put(
        &mut self,
        transaction: &WriteTransaction,
        backup: &Backup,
        times: Times,
    ) -> Result<(), StoreError> {
        let Target { domain, slot } = self.target;
        let row = kept::encode(domain, slot, backup.nonce, times, &backup.envelope);
        transaction.open_table(BACKUPS)?.insert(slot.key(), row.as_slice())?;
        let heads = self.standing.with(slot.role, (backup.nonce, backup.id)).encode();
        self.heads.insert(slot.channel_id.get(), heads.as_slice())?;
        Ok(())
    }

    /// Keeps both envelopes, serves the smaller id.
    fn settle_conflict(
        &mut self,
        transaction: &WriteTransaction,
        held_id: B256,
        offered: &Backup,
    ) -> Result<Verdict, StoreError> {
        let Target { domain, slot } = self.target;
        let (times, held) = {
            let table = transaction.open_table(BACKUPS)?;
            let row = table.get(slot.key())?.ok_or_else(|| no_row(slot))?;
            let (_stored_at, held) = kept::decode(domain, slot, offered.nonce, row.value())?;
            (kept::times(row.value())?, held)
        };
        let offered_won = offered.id < held_id;
        let (smaller, greater) =
            if offered_won { (&offered.envelope, &held) } else { (&held, &offered.envelope) };
        let evidence = Evidence {
            nonce: offered.nonce,
            smaller: smaller.clone().into(),
            greater: greater.clone().into(),
            seen_at_ms: offered.stored_at_ms,
        };
        let row = json::encode("evidence-1", &evidence)?;
        transaction.open_table(EVIDENCE)?.insert(slot.key(), row.as_slice())?;
        if offered_won {
            let times = Times { stored_at_ms: offered.stored_at_ms, ..times };
            self.put(transaction, offered, times)?;
        }
        let serves = if offered_won { offered.id } else { held_id };
        Ok(Verdict::Conflict { serves, offered_won })
    }
}

fn no_row(slot: Slot) -> StoreError {
    StoreError::row("backups-4", format!("a head of {slot}, and no backup"))
}

/// A channel stands under this id. If it is another one than before, what was held and proven for that one goes.
pub(crate) fn move_in(
    transaction: &WriteTransaction,
    channel_id: ChannelId,
    identity: B256,
) -> Result<(), StoreError> {
    let id = channel_id.get();
    let mut heads = transaction.open_table(HEADS)?;
    let before = heads::of(&heads, channel_id)?;
    if before.is_some_and(|before| before.identity == identity) {
        return Ok(());
    }
    heads.insert(id, Heads::empty(identity).encode().as_slice())?;
    if before.is_none() {
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
    let mut heads = transaction.open_table(HEADS)?;
    if let Some(standing) = heads::of(&heads, channel_id)? {
        let empty = Heads::empty(standing.identity).encode();
        heads.insert(channel_id.get(), empty.as_slice())?;
    }
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

pub(crate) fn get(
    transaction: &ReadTransaction,
    target: Target,
) -> Result<Option<Backup>, StoreError> {
    let heads = transaction.open_table(HEADS)?;
    let Some(heads) = heads::of(&heads, target.slot.channel_id)? else { return Ok(None) };
    if heads.get(target.slot.role).is_none() {
        return Ok(None);
    }
    read(&transaction.open_table(BACKUPS)?, target, &heads)
}

/// The backup of a slot whose channel has these heads.
fn read(
    table: &impl ReadableTable<(u64, u8), &'static [u8]>,
    Target { domain, slot }: Target,
    heads: &Heads,
) -> Result<Option<Backup>, StoreError> {
    let Some((nonce, id)) = heads.get(slot.role) else { return Ok(None) };
    let row = table.get(slot.key())?.ok_or_else(|| no_row(slot))?;
    let (stored_at_ms, envelope) = kept::decode(domain, slot, nonce, row.value())?;
    Ok(Some(Backup { nonce, id, identity: heads.identity, stored_at_ms, envelope }))
}

pub(crate) fn list(
    transaction: &ReadTransaction,
    domain: Domain,
    limit: usize,
) -> Result<Vec<(Slot, Backup)>, StoreError> {
    let backups = transaction.open_table(BACKUPS)?;
    let mut found = Vec::new();
    for entry in transaction.open_table(HEADS)?.iter()? {
        let (channel, row) = entry?;
        let (channel_id, heads) =
            (heads::channel_of(channel.value())?, Heads::decode(row.value())?);
        for role in Role::BOTH {
            if found.len() >= limit {
                return Ok(found);
            }
            let slot = Slot { channel_id, role };
            let backup = read(&backups, Target { domain, slot }, &heads)?;
            found.extend(backup.map(|backup| (slot, backup)));
        }
    }
    Ok(found)
}

pub(crate) fn evidence(
    transaction: &ReadTransaction,
    slot: Slot,
) -> Result<Option<Evidence>, StoreError> {
    let table = transaction.open_table(EVIDENCE)?;
    let row = table.get(slot.key())?;
    row.map(|row| json::decode("evidence-1", row.value())).transpose()
}
