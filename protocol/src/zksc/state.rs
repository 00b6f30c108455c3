//! The state of a channel: what both parties sign, and what a dispute pays.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    F,
    encoding::{DecodeError, Reader},
    hash::{Digest, element_to_bytes, poseidon},
    ids::{Amount, ChannelId, Domain, EscrowVersion, Nonce},
    session::SessionState,
    tags,
};

/// An application's commitment inside a state: four field elements, opaque to the channel. It MUST hide what it
/// commits to, because a dispute shows the state to every tower.
pub type AppRoot = [F; 4];

/// A state of a channel, signed or not.
///
/// The counterparty's claim is not stored: it is `escrow(version) - balance`, so the state is backed one to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The vault that the state is valid in.
    pub domain: Domain,
    /// The channel.
    pub channel_id: ChannelId,
    /// The state's place in the channel's history.
    pub nonce: Nonce,
    /// The version of the escrow that the state spends from.
    pub version: EscrowVersion,
    /// The participant's balance, in base units.
    pub balance: Amount,
    /// The application's commitment.
    pub app_root: AppRoot,
}

impl State {
    /// Bytes of an encoded state.
    pub const LEN: usize = 21 + 8 + 8 + 8 + 16 + 32;

    /// The state that every channel starts from: nothing signed, nothing owned.
    #[must_use]
    pub fn genesis(domain: Domain, channel_id: ChannelId) -> Self {
        Self {
            domain,
            channel_id,
            nonce: Nonce::ZERO,
            version: EscrowVersion::ZERO,
            balance: Amount::ZERO,
            app_root: AppRoot::default(),
        }
    }

    /// The twelve elements that are hashed: domain (3 limbs), channel, nonce, version, balance (2 limbs), app root (4).
    #[must_use]
    pub fn elements(&self) -> [F; 12] {
        let [d0, d1, d2] = self.domain.limbs();
        let [b0, b1] = self.balance.limbs();
        let [a0, a1, a2, a3] = self.app_root;
        let (channel, nonce) = (self.channel_id.element(), self.nonce.element());
        [d0, d1, d2, channel, nonce, self.version.element(), b0, b1, a0, a1, a2, a3]
    }

    /// What both session keys sign: the part of the state that the chain reads.
    #[must_use]
    pub const fn session(&self) -> SessionState {
        let Self { channel_id, nonce, version, balance, .. } = *self;
        SessionState { channel_id, nonce, version, balance }
    }

    /// What both channel keys sign: Poseidon of the tag and the twelve elements.
    #[must_use]
    pub fn digest(&self) -> Digest {
        poseidon(tags::STATE, self.elements())
    }

    /// The encoding: domain, channel, nonce, version (8 bytes each), balance (16), app root (32); big endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let fields = self
            .domain
            .as_bytes()
            .iter()
            .copied()
            .chain(self.channel_id.get().to_be_bytes())
            .chain(self.nonce.get().to_be_bytes())
            .chain(self.version.get().to_be_bytes())
            .chain(self.balance.get().to_be_bytes())
            .chain(self.app_root.into_iter().flat_map(element_to_bytes));
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// Reads what [`State::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`] for another length, a number out of range or an element that is not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Self::LEN)?;
        let state = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(state)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            domain: reader.domain()?,
            channel_id: reader.channel_id()?,
            nonce: reader.nonce()?,
            version: reader.version()?,
            balance: reader.amount()?,
            app_root: reader.elements()?,
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel_id, nonce, version, balance, .. } = self;
        write!(out, "channel {channel_id}, nonce {nonce}, version {version}, balance {balance}")
    }
}

/// The encoding as hexadecimal digits.
impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&alloy_primitives::hex::display(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = alloy_primitives::hex::decode(text).map_err(de::Error::custom)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}
