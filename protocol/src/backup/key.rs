//! The dispute key: what opens a channel's backups.
//!
//! Both parties derive it from their own secret and the chain: `HKDF-SHA256(Diffie-Hellman point, salt of the opening,
//! "vrc dispute key v1")`. The chain keeps its Keccak-256, and the opening of a dispute reveals it.

use core::fmt;

use alloy_primitives::{B256, keccak256};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    ids::Role,
    schnorr::{KeyError, PublicKey, SecretKey},
    zksc::Channel,
};

const INFO: &[u8] = b"vrc dispute key v1";

/// Why there is no dispute key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisputeKeyError {
    /// The two channel keys share no point.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// HKDF refused the length; it never does for 32 bytes.
    #[error("the key derivation refused its length")]
    Derivation,
    /// The channel registered the hash of another key.
    #[error("the channel's dispute hash is of another key")]
    OtherHash,
}

/// The key of a channel's backups. Does not print; overwritten when dropped.
#[derive(Clone)]
pub struct DisputeKey(Zeroizing<[u8; 32]>);

impl DisputeKey {
    /// Derives the key from one party's secret, the other's public key and the salt that the opening emits.
    ///
    /// # Errors
    /// [`DisputeKeyError::Key`] when the keys share no point.
    pub fn derive(
        secret: &SecretKey,
        other: &PublicKey,
        salt: &B256,
    ) -> Result<Self, DisputeKeyError> {
        let point = secret.diffie_hellman(other)?;
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(salt.as_slice()), point.as_bytes())
            .expand(INFO, key.as_mut_slice())
            .map_err(|_length| DisputeKeyError::Derivation)?;
        Ok(Self(key))
    }

    /// The key of `channel`, restored by the party `role` from its secret.
    ///
    /// # Errors
    /// [`DisputeKeyError::OtherHash`] when the channel registered another key: do not consent to it.
    pub fn of(channel: &Channel, role: Role, secret: &SecretKey) -> Result<Self, DisputeKeyError> {
        let other = &channel.party(role.other()).channel_key;
        let key = Self::derive(secret, other, &channel.terms().salt)?;
        key.matches(channel).then_some(key).ok_or(DisputeKeyError::OtherHash)
    }

    /// The key that a dispute revealed, or that a party kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the opening of a dispute: this reveals the key to everybody.
    #[must_use]
    pub fn reveal(&self) -> &[u8; 32] {
        &self.0
    }

    /// Keccak-256 of the key: what `open` registers.
    #[must_use]
    pub fn hash(&self) -> B256 {
        keccak256(self.0.as_slice())
    }

    /// Whether this is the key that the channel registered.
    #[must_use]
    pub fn matches(&self, channel: &Channel) -> bool {
        self.hash() == channel.terms().dispute_hash
    }
}

impl fmt::Debug for DisputeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DisputeKey(..)")
    }
}
