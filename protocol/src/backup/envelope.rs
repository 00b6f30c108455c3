//! The envelope of a backup: its bytes, its id, who may write it and which of two is kept.
//!
//! Fixed widths, big endian: version (1 byte), domain (21), channel (8), role (1), nonce (8), ciphertext, signature (56).
//!
//! **Invariant:** an [`Envelope`] is signed by the channel key that the chain has for its role. Only [`UnverifiedEnvelope::admit`]
//! and sealing make one.

use core::cmp::Ordering;

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::{
    encoding::{DecodeError, Reader, bytes32_elements},
    hash::{Digest, poseidon},
    ids::{ChannelId, Domain, Nonce, Role},
    network::Slot,
    schnorr::{SecretKey, Signature, SignatureError, Tag},
    tags,
    zksc::Channel,
};

/// The format that this code writes and reads.
const FORMAT: u8 = 1;

/// Bytes of a plaintext: a final state, then zeros. One length for every state, so that the size tells nothing.
pub(super) const PLAINTEXT_LEN: usize = 384;
/// Bytes of the initialisation vector in front of a ciphertext.
pub(super) const IV_LEN: usize = 24;
/// Bytes of a ciphertext: the vector, the encrypted plaintext and the authenticator.
pub(super) const CIPHERTEXT_LEN: usize = IV_LEN + PLAINTEXT_LEN + 16;

/// Why an envelope is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// The envelope belongs to another vault.
    #[error("the envelope is of another vault")]
    OtherDomain,
    /// The envelope belongs to another channel.
    #[error("the envelope is of another channel")]
    OtherChannel,
    /// Nothing signed has nonce 0.
    #[error("nonce 0 is never backed up")]
    NonceZero,
    /// The signature is not that of the role's channel key.
    #[error("envelope: {0}")]
    Signature(#[from] SignatureError),
    /// The nonce rises faster than a slot may rise.
    #[error(
        "nonce {nonce} is more than {limit} above {anchor}, where this slot stood within the hour"
    )]
    TooFast {
        /// Where the slot stood.
        anchor: Nonce,
        /// The envelope's nonce.
        nonce: Nonce,
        /// The most by which a slot may rise in an hour.
        limit: u64,
    },
}

/// What an envelope says openly; authenticated with the ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The vault.
    pub domain: Domain,
    /// The channel.
    pub channel_id: ChannelId,
    /// Whose slot it is.
    pub role: Role,
    /// The nonce of the state inside, says the writer.
    pub nonce: Nonce,
}

impl Header {
    /// Bytes of an encoded header, the format's version included.
    pub const LEN: usize = 1 + 21 + 8 + 1 + 8;

    /// The slot that it belongs to.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        Slot { channel_id: self.channel_id, role: self.role }
    }

    /// The encoding, which is also the ciphertext's associated data.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let fields = core::iter::once(FORMAT)
            .chain(self.domain.as_bytes().iter().copied())
            .chain(self.channel_id.get().to_be_bytes())
            .chain(core::iter::once(self.role.to_byte()))
            .chain(self.nonce.get().to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.byte()? {
            FORMAT => {}
            other => return Err(DecodeError::Version(other)),
        }
        Ok(Self {
            domain: reader.domain()?,
            channel_id: reader.channel_id()?,
            role: reader.role()?,
            nonce: reader.nonce()?,
        })
    }
}

/// What claims to be an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedEnvelope {
    header: Header,
    ciphertext: [u8; CIPHERTEXT_LEN],
    signature: Signature,
}

impl UnverifiedEnvelope {
    /// Reads an encoded envelope.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Envelope::LEN)?;
        let header = Header::read(&mut reader)?;
        let ciphertext = reader.take()?;
        let signature = reader.signature()?;
        reader.finish()?;
        Ok(Self { header, ciphertext, signature })
    }

    /// What it says openly: which channel to look up before [`UnverifiedEnvelope::admit`].
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The id that it would have: Keccak-256 of all fields but the signature.
    #[must_use]
    pub fn id(&self) -> B256 {
        id(&self.header, &self.ciphertext)
    }

    /// Checks the place and the signature against the channel that the chain has.
    ///
    /// # Errors
    /// [`AdmitError`], but never [`AdmitError::TooFast`], which [`SlotRate`] gives.
    pub fn admit(self, channel: &Channel) -> Result<Envelope, AdmitError> {
        let Self { header, ciphertext, signature } = self;
        check_place(&header, channel)?;
        let id = id(&header, &ciphertext);
        let key = &channel.party(header.role).channel_key;
        key.verify(Tag::Envelope, &signed_digest(&id), &signature)?;
        Ok(Envelope { header, ciphertext, signature, id })
    }
}

fn check_place(header: &Header, channel: &Channel) -> Result<(), AdmitError> {
    if header.domain != channel.domain() {
        return Err(AdmitError::OtherDomain);
    }
    if header.channel_id != channel.id() {
        return Err(AdmitError::OtherChannel);
    }
    if header.nonce == Nonce::ZERO {
        return Err(AdmitError::NonceZero);
    }
    Ok(())
}

fn id(header: &Header, ciphertext: &[u8; CIPHERTEXT_LEN]) -> B256 {
    keccak256([header.to_bytes().as_slice(), ciphertext].concat())
}

/// What an envelope's signature is of: Poseidon of the id's five limbs under a tag of its own.
fn signed_digest(id: &B256) -> Digest {
    poseidon(tags::ENVELOPE, bytes32_elements(&id.0))
}

/// A backup in its slot, signed by the slot's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    header: Header,
    ciphertext: [u8; CIPHERTEXT_LEN],
    signature: Signature,
    id: B256,
}

impl Envelope {
    /// Bytes of an encoded envelope; every envelope has as many.
    pub const LEN: usize = Header::LEN + CIPHERTEXT_LEN + Signature::LEN;

    pub(super) fn sign(
        header: Header,
        ciphertext: [u8; CIPHERTEXT_LEN],
        secret: &SecretKey,
        hedge: &[u8; 32],
    ) -> Self {
        let id = id(&header, &ciphertext);
        let signature = secret.sign(Tag::Envelope, &signed_digest(&id), hedge);
        Self { header, ciphertext, signature, id }
    }

    /// What it says openly.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The vector, the encrypted state and its authenticator.
    pub(super) const fn ciphertext(&self) -> &[u8; CIPHERTEXT_LEN] {
        &self.ciphertext
    }

    /// Keccak-256 of all fields but the signature.
    #[must_use]
    pub const fn id(&self) -> &B256 {
        &self.id
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.header.to_bytes().as_slice(), &self.ciphertext, &self.signature.to_bytes()].concat()
    }

    /// How this envelope stands to the one that its slot holds. Envelopes of different slots are not comparable, and
    /// the caller keeps slots apart by [`Header`].
    #[must_use]
    pub fn order(&self, stored: &Self) -> Order {
        match self.header.nonce.cmp(&stored.header.nonce) {
            Ordering::Greater => Order::Newer,
            Ordering::Less => Order::Older,
            Ordering::Equal => match self.id.cmp(&stored.id) {
                Ordering::Equal => Order::Same,
                Ordering::Less => Order::Conflict { replaces: true },
                Ordering::Greater => Order::Conflict { replaces: false },
            },
        }
    }
}

/// How an envelope stands to the one in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// A greater nonce: it replaces the stored one.
    Newer,
    /// A smaller nonce: ignore it.
    Older,
    /// The same envelope, perhaps with another valid signature: nothing to do.
    Same,
    /// Another id at the same nonce: evidence that the owner made two. The smaller id is kept, everywhere.
    Conflict {
        /// Whether this one is kept instead of the stored one.
        replaces: bool,
    },
}

impl Order {
    /// Whether the slot must hold the new envelope now.
    #[must_use]
    pub const fn replaces(self) -> bool {
        matches!(self, Self::Newer | Self::Conflict { replaces: true })
    }
}

/// Seconds of the period that a slot's rise is measured over.
const RATE_PERIOD: u64 = 3_600;

/// How fast one slot's nonce rises: it keeps an owner's mistake (or thief) from blocking the slot for ever with one
/// envelope of a huge nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRate {
    anchor: Nonce,
    since: u64,
}

impl SlotRate {
    /// The slot held `nonce` at `now`, in seconds.
    #[must_use]
    pub const fn new(nonce: Nonce, now: u64) -> Self {
        Self { anchor: nonce, since: now }
    }

    /// Lets the slot go from `stored` to `nonce` at `now`, if within the hour it rises by at most `max_jump`.
    ///
    /// # Errors
    /// [`AdmitError::TooFast`]; the measure is unchanged then.
    pub fn rise(
        &mut self,
        stored: Nonce,
        nonce: Nonce,
        max_jump: u64,
        now: u64,
    ) -> Result<(), AdmitError> {
        let fresh = now.saturating_sub(self.since) >= RATE_PERIOD;
        let measure = if fresh { Self::new(stored, now) } else { *self };
        if nonce.get().saturating_sub(measure.anchor.get()) > max_jump {
            return Err(AdmitError::TooFast { anchor: measure.anchor, nonce, limit: max_jump });
        }
        *self = measure;
        Ok(())
    }
}
