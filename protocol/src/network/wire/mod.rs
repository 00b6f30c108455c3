//! What travels between towers, and between nodes and towers: bytes, and what they say.
//!
//! Fixed widths, big endian, a version byte first. On a stream each message follows its length, four bytes big endian;
//! a gossip message is the bytes alone. One request and one answer use one stream.
//!
//! | where | request, gossip message | answer |
//! |---|---|---|
//! | topic `backups` | the envelope's own bytes ([`RawEnvelope`]) | |
//! | topic `alerts` | [`UnverifiedAlert`] | |
//! | topic `towers` | [`UnverifiedAnnouncement`] | |
//! | `/vrc/backup/1` | [`BackupRequest`] | [`BackupResponse`] |
//! | `/vrc/sync/1` | [`SyncRequest`] | [`SyncResponse`] |
//!
//! **Invariant:** whatever decodes has exactly one encoding, the one that encodes it again.
//!
//! **Invariant:** a list's length is checked against its limit before memory for it is taken.

use alloy_primitives::{Address, B256, Keccak256, Signature};

use crate::{backup::Envelope, encoding::DecodeError};

mod alert;
mod announcement;
mod backup;
mod codec;
mod receipt;
mod refusal;
mod sync;
mod topic;

pub use alert::{Alert, SignedAlert, UnverifiedAlert};
pub use announcement::{Announcement, NodeKey, SignedAnnouncement, UnverifiedAnnouncement};
pub use backup::{
    BACKUP_REQUEST_MAX, BACKUP_RESPONSE_MAX, BackupRequest, BackupResponse, STATUS_SLOTS_MAX,
    TOWERS_PAGE_MAX,
};
pub use receipt::UnverifiedReceipt;
pub use refusal::Refusal;
pub use sync::{
    Children, Fingerprint, Found, PARTS_MAX, Part, Prefix, ROWS_MAX, Row, SYNC_REQUEST_MAX,
    SYNC_RESPONSE_MAX, SyncRequest, SyncResponse, SyncSalt, Tag, WANT_MAX,
};
pub use topic::{Topic, TopicError};

/// The version that every message of this module starts with.
pub const VERSION: u8 = 1;

/// The protocol that takes and serves backups.
pub const BACKUP_PROTOCOL: &str = "/vrc/backup/1";
/// The protocol that reconciles replicas.
pub const SYNC_PROTOCOL: &str = "/vrc/sync/1";

/// Bytes of the length in front of a message on a stream.
pub const FRAME_LEN: usize = 4;

/// The longest gossip message, in bytes: an envelope. Alerts and announcements are shorter.
pub const GOSSIP_MAX: usize = Envelope::LEN;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It is longer than any message of its kind.
    #[error("{got} bytes where at most {limit} are allowed")]
    Oversize {
        /// The most there may be.
        limit: usize,
        /// How many there were, or were announced.
        got: usize,
    },
    /// A list has more entries than allowed, or none where there must be one.
    #[error("a list of {got} entries where 1 to {limit} are allowed")]
    Count {
        /// The most there may be.
        limit: usize,
        /// How many were announced.
        got: usize,
    },
    /// The entries of a list are not in strictly ascending order.
    #[error("a list is out of order, or names something twice")]
    Order,
    /// A field contradicts another.
    #[error("a field contradicts another one")]
    Contradiction,
    /// A field is malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Why a signed message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The account's signature is malformed, or its s is in the upper half.
    #[error("the account's signature is malformed")]
    Malformed,
    /// Somebody else than the named account signed.
    #[error("signed by {found}, not by {named}")]
    OtherSigner {
        /// The account in the message.
        named: Address,
        /// Whose signature it is.
        found: Address,
    },
    /// The node key's signature is not of this message.
    #[error("the node key has not signed this")]
    NodeKey,
}

/// How many bytes follow a frame's length, if `limit` allows them: look before allocating.
///
/// # Errors
/// [`WireError::Oversize`].
pub fn frame_len(prefix: [u8; FRAME_LEN], limit: usize) -> Result<usize, WireError> {
    let got = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if got > limit { Err(WireError::Oversize { limit, got }) } else { Ok(got) }
}

/// The length in front of `message`.
///
/// # Errors
/// [`WireError::Oversize`] for a message of 2^32 bytes or more. No message of this module is.
pub fn frame_prefix(message: &[u8]) -> Result<[u8; FRAME_LEN], WireError> {
    u32::try_from(message.len())
        .map(u32::to_be_bytes)
        .map_err(|_too_long| WireError::Oversize { limit: usize::MAX, got: message.len() })
}

/// The id of a gossip message: the first 20 bytes of Keccak-256 of the topic's name, a zero byte and the data. Nobody can
/// make two messages with one id, and the same message from two towers is one.
#[must_use]
pub fn message_id(topic: &str, data: &[u8]) -> [u8; 20] {
    let mut hasher = Keccak256::new();
    hasher.update(topic.as_bytes());
    hasher.update([0]);
    hasher.update(data);
    let mut id = [0; 20];
    for (to, from) in id.iter_mut().zip(hasher.finalize()) {
        *to = from;
    }
    id
}

/// Bytes as long as an envelope; nothing else about them is known. What topics of backups carry.
#[derive(Clone, PartialEq, Eq)]
pub struct RawEnvelope(Box<[u8; Envelope::LEN]>);

impl RawEnvelope {
    /// Bytes of an envelope.
    pub const LEN: usize = Envelope::LEN;

    /// Takes bytes of the right length.
    ///
    /// # Errors
    /// [`DecodeError::Length`], before anything is copied.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = DecodeError::Length { expected: Self::LEN, got: bytes.len() };
        if bytes.len() == Self::LEN {
            bytes.to_vec().try_into().map(Self).map_err(|_other_length| wrong)
        } else {
            Err(wrong)
        }
    }

    /// The bytes, for decoding and for forwarding unchanged.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Envelope::LEN] {
        &self.0
    }
}

impl core::fmt::Debug for RawEnvelope {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [version, ..] = *self.0;
        write!(out, "RawEnvelope(format {version}, {} bytes)", Self::LEN)
    }
}

impl From<&Envelope> for RawEnvelope {
    fn from(envelope: &Envelope) -> Self {
        let mut bytes = Box::new([0; Envelope::LEN]);
        for (to, from) in bytes.iter_mut().zip(envelope.to_bytes()) {
            *to = from;
        }
        Self(bytes)
    }
}

/// Checks that `account` made this signature (EIP-2098, low s) of `hash`.
fn check_account(hash: &B256, signature: &[u8; 64], account: Address) -> Result<(), SignerError> {
    let signature = Signature::from_erc2098(signature);
    // One signature, one encoding: the upper half of s would be a second.
    if signature.normalize_s().is_some() {
        return Err(SignerError::Malformed);
    }
    let found = signature
        .recover_address_from_prehash(hash)
        .map_err(|_unrecoverable| SignerError::Malformed)?;
    if found == account { Ok(()) } else { Err(SignerError::OtherSigner { named: account, found }) }
}

/// A wallet's signature in 64 bytes.
fn compact(signature: &Signature) -> Result<[u8; 64], SignerError> {
    if signature.normalize_s().is_some() {
        return Err(SignerError::Malformed);
    }
    Ok(signature.as_erc2098())
}

#[cfg(test)]
mod tests;
