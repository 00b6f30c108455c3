//! Reading and writing the fields that messages share.

use alloy_primitives::{Address, B256};

use super::{VERSION, WireError};
use crate::{
    encoding::{DecodeError, Reader},
    ids::{Amount, ChannelId, Domain, Nonce, Role},
    network::slot::{Shard, ShardSet, Slot, SlotKey},
};

/// Starts reading a message of at most `limit` bytes: its version is checked here.
pub(super) fn open(bytes: &[u8], limit: usize) -> Result<Reader<'_>, WireError> {
    if bytes.len() > limit {
        return Err(WireError::Oversize { limit, got: bytes.len() });
    }
    let mut reader = Reader::new(bytes, bytes.len())?;
    match reader.byte()? {
        VERSION => Ok(reader),
        other => Err(DecodeError::Version(other).into()),
    }
}

pub(super) fn read_u16(reader: &mut Reader<'_>) -> Result<u16, WireError> {
    Ok(reader.take().map(u16::from_be_bytes)?)
}

pub(super) fn read_u64(reader: &mut Reader<'_>) -> Result<u64, WireError> {
    Ok(reader.take().map(u64::from_be_bytes)?)
}

pub(super) fn read_address(reader: &mut Reader<'_>) -> Result<Address, WireError> {
    Ok(reader.take::<20>().map(Address::from)?)
}

pub(super) fn read_word(reader: &mut Reader<'_>) -> Result<B256, WireError> {
    Ok(reader.take::<32>().map(B256::from)?)
}

pub(super) fn read_shards(reader: &mut Reader<'_>) -> Result<ShardSet, WireError> {
    read_u64(reader).map(ShardSet::from_bits)
}

pub(super) fn read_shard(reader: &mut Reader<'_>) -> Result<Shard, WireError> {
    Shard::try_from(reader.byte()?).map_err(|_no_shard| WireError::Contradiction)
}

pub(super) fn read_slot(reader: &mut Reader<'_>) -> Result<Slot, WireError> {
    Ok(Slot { channel_id: reader.channel_id()?, role: reader.role()? })
}

/// A list's length: 1 to `limit`.
pub(super) fn read_count(reader: &mut Reader<'_>, limit: usize) -> Result<usize, WireError> {
    match read_count_or_none(reader, limit)? {
        0 => Err(WireError::Count { limit, got: 0 }),
        count => Ok(count),
    }
}

/// A list's length: 0 to `limit`.
pub(super) fn read_count_or_none(
    reader: &mut Reader<'_>,
    limit: usize,
) -> Result<usize, WireError> {
    let got = usize::from(read_u16(reader)?);
    if got > limit { Err(WireError::Count { limit, got }) } else { Ok(got) }
}

/// Slots in strictly ascending order of their keys.
pub(super) fn read_slots(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<Slot>, WireError> {
    let count = read_count(reader, limit)?;
    let mut slots = Vec::with_capacity(count);
    let mut last: Option<SlotKey> = None;
    for _ in 0..count {
        let slot = read_slot(reader)?;
        ascending(&mut last, slot.key())?;
        slots.push(slot);
    }
    Ok(slots)
}

/// Keeps a list strictly ascending.
pub(super) fn ascending<T: Ord>(last: &mut Option<T>, next: T) -> Result<(), WireError> {
    if last.as_ref().is_some_and(|last| *last >= next) {
        return Err(WireError::Order);
    }
    *last = Some(next);
    Ok(())
}

/// A message under construction. A list longer than its limit is a caller's bug: it is cut to the limit, so that what is
/// written can always be read.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A message that starts with the version.
    pub(super) fn new() -> Self {
        Self(vec![VERSION])
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn byte(self, byte: u8) -> Self {
        self.bytes(&[byte])
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn domain(self, domain: &Domain) -> Self {
        self.bytes(domain.as_bytes())
    }

    pub(super) fn channel(self, channel_id: ChannelId) -> Self {
        self.u64(channel_id.get())
    }

    pub(super) fn role(self, role: Role) -> Self {
        self.byte(role.to_byte())
    }

    pub(super) fn nonce(self, nonce: Nonce) -> Self {
        self.u64(nonce.get())
    }

    pub(super) fn amount(self, amount: Amount) -> Self {
        self.bytes(&amount.get().to_be_bytes())
    }

    pub(super) fn slot(self, slot: Slot) -> Self {
        self.channel(slot.channel_id).role(slot.role)
    }

    /// A list of at most `limit` entries: its length, then each entry.
    pub(super) fn list<T>(
        self,
        entries: &[T],
        limit: usize,
        each: impl Fn(Self, &T) -> Self,
    ) -> Self {
        let cut = entries.iter().take(limit.min(usize::from(u16::MAX)));
        let count = u16::try_from(cut.len()).unwrap_or(u16::MAX);
        cut.fold(self.u16(count), each)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
