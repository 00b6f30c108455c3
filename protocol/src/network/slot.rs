//! Slots, their order, and the shards that they fall into.
//!
//! Channel ids are consecutive numbers. Multiplied by an odd constant modulo 2^56 they become *positions*: every channel
//! has its own, and consecutive channels lie far apart, evenly. Slots are ordered by position, then by role; the low six
//! bits of the position are the shard. Nobody chooses a channel id, so nobody chooses a position.
//!
//! **Invariant:** [`SlotKey`] and [`Slot`] are the same set: each key is the key of exactly one slot.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    encoding::DecodeError,
    ids::{ChannelId, LIMB_BITS, Role},
};

/// How many shards there are: fixed for this version of the network, because topics carry their numbers.
pub const SHARDS: u8 = 64;

/// 2^56 divided by the golden ratio, made odd: multiples of it are spread most evenly.
const SPREAD: u64 = 0x009e_3779_b97f_4a7d;
/// The inverse of [`SPREAD`] modulo 2^56.
const GATHER: u64 = 0x0031_42d3_2a1b_fed5;
/// Positions are below 2^56, as channel ids are.
const POSITION_MASK: u64 = (1 << LIMB_BITS) - 1;

/// A part of the key space: below [`SHARDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Shard(u8);

/// No shard has this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("shard {0} is not below {SHARDS}")]
pub struct NoShard(pub u8);

impl Shard {
    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// The shard that a channel falls into: the low six bits of its position.
    #[must_use]
    pub fn of(channel_id: ChannelId) -> Self {
        let [.., low] = position(channel_id).to_be_bytes();
        Self(low % SHARDS)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Shard {
    type Error = NoShard;

    fn try_from(number: u8) -> Result<Self, NoShard> {
        if number < SHARDS { Ok(Self(number)) } else { Err(NoShard(number)) }
    }
}

impl From<Shard> for u8 {
    fn from(shard: Shard) -> Self {
        shard.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A set of shards: bit `s` of the integer is shard `s`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShardSet(u64);

impl ShardSet {
    /// No shard.
    pub const NONE: Self = Self(0);
    /// Every shard.
    pub const ALL: Self = Self(u64::MAX);

    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `shard` is in it.
    #[must_use]
    pub fn contains(self, shard: Shard) -> bool {
        self.0.wrapping_shr(u32::from(shard.0)) & 1 == 1
    }

    /// The set with `shard`.
    #[must_use]
    pub fn with(self, shard: Shard) -> Self {
        Self(self.0 | 1_u64.wrapping_shl(u32::from(shard.0)))
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// How many shards.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every shard of this set is in `other`.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The shards, in order.
    pub fn iter(self) -> impl Iterator<Item = Shard> {
        Shard::all().filter(move |shard| self.contains(*shard))
    }
}

impl FromIterator<Shard> for ShardSet {
    fn from_iter<I: IntoIterator<Item = Shard>>(shards: I) -> Self {
        shards.into_iter().fold(Self::NONE, Self::with)
    }
}

/// One of a channel's two places for a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The channel.
    pub channel_id: ChannelId,
    /// Whose backup it is.
    pub role: Role,
}

impl Slot {
    /// Bytes of an encoded slot.
    pub const LEN: usize = 9;

    /// Where the slot stands in the order of all slots.
    #[must_use]
    pub fn key(self) -> SlotKey {
        SlotKey((position(self.channel_id) << 8) | u64::from(self.role.to_byte()))
    }

    /// The shard that it falls into.
    #[must_use]
    pub fn shard(self) -> Shard {
        Shard::of(self.channel_id)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.channel_id, self.role)
    }
}

/// A slot's place in the order of all slots: 56 bits of position, then the role's byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey(u64);

impl SlotKey {
    /// The 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The key with these bits; some are no slot's.
    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The slot that stands here.
    ///
    /// # Errors
    /// [`DecodeError::Id`] for a key that no slot has. [`Slot::key`] makes none.
    pub fn slot(self) -> Result<Slot, DecodeError> {
        let [.., role] = self.0.to_be_bytes();
        let channel = (self.0 >> 8).wrapping_mul(GATHER) & POSITION_MASK;
        Ok(Slot { channel_id: ChannelId::try_from(channel)?, role: Role::try_from(role)? })
    }

    /// The shard of the slot that stands here.
    #[must_use]
    pub fn shard(self) -> Shard {
        let [.., low, _role] = self.0.to_be_bytes();
        Shard(low % SHARDS)
    }
}

/// Where a channel lies in the key space: below 2^56, and no other channel lies there.
fn position(channel_id: ChannelId) -> u64 {
    channel_id.get().wrapping_mul(SPREAD) & POSITION_MASK
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(id: u64) -> ChannelId {
        ChannelId::try_from(id).unwrap()
    }

    #[test]
    fn consecutive_channels_fill_the_shards_evenly() {
        let mut counts = [0_u32; SHARDS as usize];
        for id in 1..=64_000 {
            counts[usize::from(Shard::of(channel(id)).get())] += 1;
        }
        assert_eq!(counts, [1_000; SHARDS as usize]);
    }

    #[test]
    fn consecutive_channels_of_one_shard_fill_the_key_space_evenly() {
        let mut counts = [0_u32; 16];
        for id in (1..).filter(|id| Shard::of(channel(*id)).get() == 5).take(16_000) {
            let slot = Slot { channel_id: channel(id), role: Role::Participant };
            counts[(slot.key().bits() >> 60) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (950..=1_050).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_set_knows_its_shards() {
        let set: ShardSet = [0, 5, 63].map(|s| Shard::try_from(s).unwrap()).into_iter().collect();
        assert_eq!(set.iter().map(Shard::get).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!((set.len(), ShardSet::ALL.len()), (3, 64));
        assert!(set.is_within(ShardSet::ALL) && !ShardSet::ALL.is_within(set));
        assert_eq!(Shard::try_from(SHARDS), Err(NoShard(64)));
    }

    proptest! {
        #[test]
        fn a_key_is_the_key_of_one_slot(id in 1_u64..1 << 56, role in prop::sample::select(Role::BOTH.to_vec())) {
            let slot = Slot { channel_id: channel(id), role };
            prop_assert_eq!(slot.key().slot(), Ok(slot));
            prop_assert_eq!(slot.key().shard(), slot.shard());
        }

        #[test]
        fn bits_that_are_no_key_are_refused_or_are_one(bits: u64) {
            if let Ok(slot) = SlotKey(bits).slot() {
                prop_assert_eq!(slot.key().bits(), bits);
            }
        }
    }
}
