//! What stands under a channel's id, and the head of each of its slots: all that a comparison needs, apart from the envelopes.
//!
//! A million channels have a gigabyte of backups and 120 megabytes of heads. A start, a look before admission and
//! the slot rule read only these.
//!
//! A row is the channel's identity (32 bytes), then for each slot that holds something: one integer of 64 bits, the role in
//! its top byte and the nonce below it, and the envelope's id (32 bytes); participant first.
//!
//! **Invariant:** a slot has a head exactly if it has a row among the backups: both are written in one transaction.

use alloy_primitives::B256;
use protocol::{ChannelId, Nonce, Role};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use crate::backups::Slot;
use crate::error::StoreError;
use crate::schema::HEADS;

const TABLE: &str = "heads-1";

/// Bits of a nonce below the role's byte.
const NONCE_BITS: u32 = 56;

/// What a slot holds, without the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The nonce in the envelope's header.
    pub nonce: Nonce,
    /// Keccak-256 of the envelope without its signature.
    pub id: B256,
    /// Of the channel that it was admitted for, see [`crate::ChannelRow::identity`].
    pub identity: B256,
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Of the channel that stands under this id, or stood there last.
    pub(crate) identity: B256,
    participant: Option<(Nonce, B256)>,
    counterparty: Option<(Nonce, B256)>,
}

impl Heads {
    /// A channel of which nothing is held.
    pub(crate) const fn empty(identity: B256) -> Self {
        Self { identity, participant: None, counterparty: None }
    }

    /// What the slot of this role holds.
    pub(crate) const fn get(&self, role: Role) -> Option<(Nonce, B256)> {
        match role {
            Role::Participant => self.participant,
            Role::Counterparty => self.counterparty,
        }
    }

    /// The same with another head for this role.
    pub(crate) const fn with(mut self, role: Role, head: (Nonce, B256)) -> Self {
        match role {
            Role::Participant => self.participant = Some(head),
            Role::Counterparty => self.counterparty = Some(head),
        }
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = self.identity.to_vec();
        for role in Role::BOTH {
            if let Some((nonce, id)) = self.get(role) {
                let role = u64::from(role.to_byte()).wrapping_shl(NONCE_BITS);
                row.extend_from_slice(&(role | nonce.get()).to_be_bytes());
                row.extend_from_slice(id.as_slice());
            }
        }
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let wrong = || StoreError::row(TABLE, format!("{} bytes", row.len()));
        let (identity, mut rest) = row.split_first_chunk::<32>().ok_or_else(wrong)?;
        let mut heads = Self::empty(B256::from(*identity));
        while !rest.is_empty() {
            let (number, after) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
            let (id, after) = after.split_first_chunk::<32>().ok_or_else(wrong)?;
            let [role, ..] = *number;
            let nonce = u64::from_be_bytes(*number) & ((1 << NONCE_BITS) - 1);
            let role = Role::try_from(role).map_err(|error| StoreError::row(TABLE, error))?;
            let nonce = Nonce::try_from(nonce).map_err(|error| StoreError::row(TABLE, error))?;
            heads = heads.with(role, (nonce, B256::from(*id)));
            rest = after;
        }
        Ok(heads)
    }
}

pub(crate) fn channel_of(channel: u64) -> Result<ChannelId, StoreError> {
    ChannelId::try_from(channel).map_err(|error| StoreError::row(TABLE, error))
}

/// The row of a channel.
pub(crate) fn of(
    table: &impl ReadableTable<u64, &'static [u8]>,
    channel_id: ChannelId,
) -> Result<Option<Heads>, StoreError> {
    let row = table.get(channel_id.get())?;
    row.map(|row| Heads::decode(row.value())).transpose()
}

/// What a slot holds.
pub(crate) fn get(transaction: &ReadTransaction, slot: Slot) -> Result<Option<Held>, StoreError> {
    let table: ReadOnlyTable<u64, &[u8]> = transaction.open_table(HEADS)?;
    let Some(heads) = of(&table, slot.channel_id)? else { return Ok(None) };
    let identity = heads.identity;
    Ok(heads.get(slot.role).map(|(nonce, id)| Held { nonce, id, identity }))
}

/// What every slot holds, in order of channel and role.
pub(crate) fn each(
    transaction: &ReadTransaction,
    visit: &mut dyn FnMut(Slot, Nonce, B256),
) -> Result<(), StoreError> {
    let table = transaction.open_table(HEADS)?;
    for entry in table.iter()? {
        let (channel, row) = entry?;
        let (channel_id, heads) = (channel_of(channel.value())?, Heads::decode(row.value())?);
        for role in Role::BOTH {
            if let Some((nonce, id)) = heads.get(role) {
                visit(Slot { channel_id, role }, nonce, id);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let nonce = |number: u64| Nonce::try_from(number).unwrap();
        let none = Heads::empty(B256::repeat_byte(7));
        let one = none.with(Role::Counterparty, (Nonce::MAX, B256::repeat_byte(2)));
        let both = one.with(Role::Participant, (nonce(5), B256::repeat_byte(1)));
        for (heads, bytes) in [(none, 32), (one, 72), (both, 112)] {
            let row = heads.encode();
            assert_eq!((Heads::decode(&row).unwrap(), row.len()), (heads, bytes));
            assert!(Heads::decode(&row[..row.len() - 1]).is_err());
        }
        let mut wrong = both.encode();
        wrong[32] = 2;
        assert!(Heads::decode(&wrong).is_err(), "no such role");
    }
}
