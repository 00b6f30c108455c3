//! The parts of the reconciliation's messages: prefixes of the key space, fingerprints, rows.

use core::fmt;

use alloy_primitives::B256;

use super::super::WireError;
use super::super::codec::{Writer, ascending, read_count_or_none, read_shard, read_slot, read_u16};
use super::{LIMIT_MAX, ROWS_MAX};
use crate::{
    backup::Header,
    encoding::{DecodeError, Reader},
    ids::Nonce,
    network::slot::{Shard, Slot, SlotKey},
};

/// Chance that the asking tower puts into every fingerprint of one session. Known only after all envelopes are made, it
/// lets eight bytes of a digest stand for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSalt(pub [u8; 16]);

/// Eight bytes that stand for what lies under a prefix, in one session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 8]);

impl Fingerprint {
    /// Bytes of a fingerprint.
    pub const LEN: usize = 8;
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fingerprint({:016x})", u64::from_be_bytes(self.0))
    }
}

/// The first 16 bytes of an envelope's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 16]);

impl Tag {
    /// The tag of an envelope's id.
    #[must_use]
    pub fn of(id: &B256) -> Self {
        let mut tag = [0; 16];
        for (to, from) in tag.iter_mut().zip(id) {
            *to = *from;
        }
        Self(tag)
    }
}

/// A part of one shard's key space: all keys that begin with the same hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    // The order of the fields is the order of prefixes: a whole before its parts.
    shard: Shard,
    bits: u64,
    depth: u8,
}

impl Prefix {
    /// Bytes of an encoded prefix: shard, depth, 7 bytes of position.
    pub const LEN: usize = 1 + 1 + 7;
    /// The most digits. Under twelve lie at most 8 slots of a shard, so nobody ever needs to look deeper.
    pub const DEPTH_MAX: u8 = 12;
    /// Into how many parts one more digit divides a prefix.
    pub const FANOUT: u8 = 16;

    /// Everything in a shard.
    #[must_use]
    pub const fn root(shard: Shard) -> Self {
        Self { shard, bits: 0, depth: 0 }
    }

    /// This prefix and one more digit, of which the low four bits count. None at [`Prefix::DEPTH_MAX`].
    #[must_use]
    pub fn child(self, digit: u8) -> Option<Self> {
        if self.depth >= Self::DEPTH_MAX {
            return None;
        }
        let depth = self.depth.saturating_add(1);
        let digit = u64::from(digit % Self::FANOUT);
        Some(Self { depth, bits: self.bits | digit.wrapping_shl(shift(depth)), ..self })
    }

    /// The prefix without its last digit.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(Self { depth, bits: self.bits & !rest(depth), ..self })
    }

    /// Where it begins in the order of all keys of all shards.
    #[must_use]
    pub const fn start(self) -> (Shard, u64) {
        (self.shard, self.bits)
    }

    /// The shard.
    #[must_use]
    pub const fn shard(self) -> Shard {
        self.shard
    }

    /// How many digits it has.
    #[must_use]
    pub const fn depth(self) -> u8 {
        self.depth
    }

    /// The smallest key bits under it. The digits are on top; the rest is zero.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.bits
    }

    /// The greatest key bits under it.
    #[must_use]
    pub fn last(self) -> u64 {
        self.bits | rest(self.depth)
    }

    /// Whether a key lies under it.
    #[must_use]
    pub fn covers(self, key: SlotKey) -> bool {
        key.shard() == self.shard && key.bits() & !rest(self.depth) == self.bits
    }

    /// Whether everything under it comes after everything under `other`.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        (self.shard, self.bits) > (other.shard, other.last())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let shard = read_shard(reader)?;
        let depth = reader.byte()?;
        let [p0, p1, p2, p3, p4, p5, p6] = reader.take()?;
        let bits = u64::from_be_bytes([p0, p1, p2, p3, p4, p5, p6, 0]);
        if depth > Self::DEPTH_MAX || bits & rest(depth) != 0 {
            return Err(WireError::Contradiction);
        }
        Ok(Self { shard, bits, depth })
    }

    pub(super) fn write(self, out: Writer) -> Writer {
        let [position @ .., _role] = self.bits.to_be_bytes();
        out.byte(self.shard.get()).byte(self.depth).bytes(&position)
    }
}

/// How far the last of `depth` digits lies from the low end.
fn shift(depth: u8) -> u32 {
    64_u32.saturating_sub(u32::from(depth).saturating_mul(4))
}

/// The bits below `depth` digits.
fn rest(depth: u8) -> u64 {
    u64::MAX.checked_shr(u32::from(depth).saturating_mul(4)).unwrap_or(0)
}

/// The fingerprints of a prefix's sixteen parts; an empty part has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Children([Option<Fingerprint>; 16]);

impl Children {
    /// The most bytes of encoded children.
    pub const LEN_MAX: usize = 2 + 16 * Fingerprint::LEN;

    /// The children, digit 0 first.
    #[must_use]
    pub const fn new(children: [Option<Fingerprint>; 16]) -> Self {
        Self(children)
    }

    /// The fingerprints by digit; none for an empty part.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Option<Fingerprint>)> {
        (0..Prefix::FANOUT).zip(self.0)
    }

    /// At least one part is not empty: nobody speaks of an empty prefix like this.
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let bitmap = read_u16(reader)?;
        if bitmap == 0 {
            return Err(WireError::Count { limit: 16, got: 0 });
        }
        let mut children = [None; 16];
        for (digit, child) in (0_u32..).zip(&mut children) {
            if bitmap.wrapping_shr(digit) & 1 == 1 {
                *child = Some(Fingerprint(reader.take()?));
            }
        }
        Ok(Self(children))
    }

    fn write(&self, out: Writer) -> Writer {
        let bitmap = (0_u32..)
            .zip(&self.0)
            .filter(|(_, child)| child.is_some())
            .fold(0_u16, |bitmap, (digit, _)| bitmap | 1_u16.wrapping_shl(digit));
        self.0.iter().flatten().fold(out.u16(bitmap), |out, child| out.bytes(&child.0))
    }
}

/// What a tower holds in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The slot.
    pub slot: Slot,
    /// The nonce of the envelope in it.
    pub nonce: Nonce,
    /// The beginning of the envelope's id.
    pub tag: Tag,
}

impl Row {
    /// Bytes of an encoded row.
    pub const LEN: usize = Slot::LEN + 8 + 16;

    /// The row of an envelope with this header and id.
    #[must_use]
    pub fn of(header: &Header, id: &B256) -> Self {
        Self { slot: header.slot(), nonce: header.nonce, tag: Tag::of(id) }
    }

    /// Whether this is kept where `other` is held in the same slot: a greater nonce, or the same with a smaller id.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        (self.nonce, core::cmp::Reverse(self.tag)) > (other.nonce, core::cmp::Reverse(other.tag))
    }
}

/// One part of a [`super::SyncRequest::Compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// "These are mine under this prefix: tell me of the parts that differ."
    Node(Prefix, Children),
    /// "Tell me of this prefix: all rows if they are at most so many (1 to [`ROWS_MAX`]), else its children."
    Ask(Prefix, u16),
}

const NODE: u8 = 1;
const ASK: u8 = 2;
const ROWS: u8 = 2;

impl Part {
    /// The most bytes of an encoded part.
    pub const LEN_MAX: usize = 1 + Prefix::LEN + Children::LEN_MAX;

    /// The prefix that it is about.
    #[must_use]
    pub const fn prefix(&self) -> Prefix {
        match self {
            Self::Node(prefix, _) | Self::Ask(prefix, _) => *prefix,
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let kind = reader.byte()?;
        let prefix = Prefix::read(reader)?;
        match kind {
            NODE if prefix.depth == Prefix::DEPTH_MAX => Err(WireError::Contradiction),
            NODE => Ok(Self::Node(prefix, Children::read(reader)?)),
            ASK => match read_u16(reader)? {
                0 => Err(WireError::Contradiction),
                limit if limit > LIMIT_MAX => Err(WireError::Contradiction),
                limit => Ok(Self::Ask(prefix, limit)),
            },
            other => Err(DecodeError::Kind(other).into()),
        }
    }

    pub(super) fn write(&self, out: Writer) -> Writer {
        match self {
            Self::Node(prefix, children) => children.write(prefix.write(out.byte(NODE))),
            Self::Ask(prefix, limit) => prefix.write(out.byte(ASK)).u16(*limit),
        }
    }
}

/// What an answer tells of one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Too many rows: the fingerprints of its parts.
    Node(Prefix, Children),
    /// All rows under it, strictly ascending by [`Slot::key`].
    Rows(Prefix, Vec<Row>),
}

impl Found {
    /// The prefix that it is about.
    #[must_use]
    pub const fn prefix(&self) -> Prefix {
        match self {
            Self::Node(prefix, _) | Self::Rows(prefix, _) => *prefix,
        }
    }

    /// Bytes of its encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let body = match self {
            Self::Node(_, children) => {
                2_usize.saturating_add(children.0.iter().flatten().count().saturating_mul(8))
            }
            Self::Rows(_, rows) => 2_usize.saturating_add(rows.len().saturating_mul(Row::LEN)),
        };
        body.saturating_add(1).saturating_add(Prefix::LEN)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let kind = reader.byte()?;
        let prefix = Prefix::read(reader)?;
        match kind {
            NODE if prefix.depth == Prefix::DEPTH_MAX => Err(WireError::Contradiction),
            NODE => Ok(Self::Node(prefix, Children::read(reader)?)),
            ROWS => Ok(Self::Rows(prefix, read_rows(reader, prefix)?)),
            other => Err(DecodeError::Kind(other).into()),
        }
    }

    pub(super) fn write(&self, out: Writer) -> Writer {
        match self {
            Self::Node(prefix, children) => children.write(prefix.write(out.byte(NODE))),
            Self::Rows(prefix, rows) => {
                prefix.write(out.byte(ROWS)).list(rows, ROWS_MAX, |out, row| {
                    out.slot(row.slot).nonce(row.nonce).bytes(&row.tag.0)
                })
            }
        }
    }
}

fn read_rows(reader: &mut Reader<'_>, prefix: Prefix) -> Result<Vec<Row>, WireError> {
    let count = read_count_or_none(reader, ROWS_MAX)?;
    let mut rows = Vec::with_capacity(count);
    let mut last: Option<SlotKey> = None;
    for _ in 0..count {
        let slot = read_slot(reader)?;
        if !prefix.covers(slot.key()) {
            return Err(WireError::Contradiction);
        }
        ascending(&mut last, slot.key())?;
        rows.push(Row { slot, nonce: reader.nonce()?, tag: Tag(reader.take()?) });
    }
    Ok(rows)
}
