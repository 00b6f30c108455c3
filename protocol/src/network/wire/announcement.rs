//! An announcement: which account is a tower, behind which node key, and what it keeps.
//!
//! Two signatures tie the two names together: the account (which signs receipts) says "this node is mine", the node key
//! (which libp2p authenticates on every connection) says "I serve this account". So nobody can announce another's node
//! as its own or its own node as another's.
//!
//! **Invariant:** a [`SignedAnnouncement`] is signed by both.

use core::fmt;

use alloy_primitives::{Address, B256, FixedBytes, Signature};
use alloy_sol_types::{SolStruct as _, eip712_domain};

use super::codec::{Writer, open, read_address, read_shards, read_u64};
use super::{SignerError, VERSION, WireError, check_account, compact};
use crate::{encoding::Reader, ids::Domain, network::slot::ShardSet};

mod typed {
    alloy_sol_types::sol! {
        /// The typed data that a tower's account signs.
        struct Announcement {
            bytes21 domain;
            address tower;
            bytes32 nodeKey;
            uint64 shards;
            uint64 software;
            uint64 issuedAt;
            uint64 expiresAt;
        }
    }
}

/// What the node key signs is this text, then the 32 bytes of [`Announcement::signing_hash`].
const NODE_CONTEXT: &[u8; 24] = b"vrc tower announcement 1";

/// A tower's libp2p identity: an Ed25519 public key. No other kind of key is a tower's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

impl NodeKey {
    /// What every peer id of an Ed25519 key starts with: identity multihash of 36 bytes, a protobuf of key type 1 and 32
    /// bytes of key.
    const PEER_ID_HEAD: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

    /// The bytes of the libp2p peer id.
    #[must_use]
    pub fn peer_id(&self) -> [u8; 38] {
        let mut id = [0; 38];
        for (to, from) in id.iter_mut().zip(Self::PEER_ID_HEAD.into_iter().chain(self.0)) {
            *to = from;
        }
        id
    }

    /// The key in a libp2p peer id, if it is one of an Ed25519 key.
    #[must_use]
    pub fn from_peer_id(bytes: &[u8]) -> Option<Self> {
        bytes.strip_prefix(&Self::PEER_ID_HEAD)?.try_into().ok().map(Self)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NodeKey({})", B256::from(self.0))
    }
}

/// What a tower says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The vault.
    pub domain: Domain,
    /// The account that signs the tower's receipts.
    pub tower: Address,
    /// The node that serves it.
    pub node_key: NodeKey,
    /// The shards that it keeps.
    pub shards: ShardSet,
    /// Its software: major, minor and patch, 16 bits each from the top, then 16 zero bits. Told, never trusted.
    pub software: u64,
    /// When it was said, in seconds since 1970. The newest of an account counts.
    pub issued_at: u64,
    /// From when on it counts no more, in seconds since 1970.
    pub expires_at: u64,
}

impl Announcement {
    /// The longest that an announcement may count, in seconds: a tower that is gone is forgotten after a day.
    pub const VALIDITY_MAX: u64 = 86_400;

    /// What the tower's account signs: EIP-712, domain `{ name: "VRC Tower", version: "1" }`.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        let typed = typed::Announcement {
            domain: FixedBytes(*self.domain.as_bytes()),
            tower: self.tower,
            nodeKey: B256::from(self.node_key.0),
            shards: self.shards.bits(),
            software: self.software,
            issuedAt: self.issued_at,
            expiresAt: self.expires_at,
        };
        typed.eip712_signing_hash(&eip712_domain! {
            name: "VRC Tower",
            version: "1",
        })
    }

    /// What the node key signs, with Ed25519.
    #[must_use]
    pub fn node_message(&self) -> [u8; 56] {
        let mut message = [0; 56];
        let fields = NODE_CONTEXT.iter().copied().chain(self.signing_hash());
        for (to, from) in message.iter_mut().zip(fields) {
            *to = from;
        }
        message
    }

    /// The announcement with both signatures: the account's of [`Announcement::signing_hash`], the node key's of
    /// [`Announcement::node_message`].
    ///
    /// # Errors
    /// [`SignerError`], as [`UnverifiedAnnouncement::verify`].
    pub fn signed(
        self,
        account_signature: &Signature,
        node_signature: [u8; 64],
        verify_node: impl FnOnce(&NodeKey, &[u8], &[u8; 64]) -> bool,
    ) -> Result<SignedAnnouncement, SignerError> {
        let account_signature = compact(account_signature)?;
        UnverifiedAnnouncement { announcement: self, account_signature, node_signature }
            .verify(verify_node)
    }
}

/// What claims to be a tower's announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedAnnouncement {
    announcement: Announcement,
    account_signature: [u8; 64],
    node_signature: [u8; 64],
}

impl UnverifiedAnnouncement {
    /// Bytes of an encoded announcement.
    pub const LEN: usize = 1 + 21 + 20 + 32 + 8 + 8 + 8 + 8 + 64 + 64;

    /// Reads an encoded announcement.
    ///
    /// # Errors
    /// [`WireError`] for anything but one canonical encoding; [`WireError::Contradiction`] if it expires before it is
    /// issued, or counts longer than [`Announcement::VALIDITY_MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = open(bytes, Self::LEN)?;
        let announcement = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(announcement)
    }

    /// Reads what follows the version byte.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let announcement = Announcement {
            domain: reader.domain()?,
            tower: read_address(reader)?,
            node_key: NodeKey(reader.take()?),
            shards: read_shards(reader)?,
            software: read_u64(reader)?,
            issued_at: read_u64(reader)?,
            expires_at: read_u64(reader)?,
        };
        let validity = announcement.expires_at.checked_sub(announcement.issued_at);
        if validity.is_none_or(|seconds| seconds == 0 || seconds > Announcement::VALIDITY_MAX) {
            return Err(WireError::Contradiction);
        }
        Ok(Self { announcement, account_signature: reader.take()?, node_signature: reader.take()? })
    }

    pub(super) fn write(&self, out: Writer) -> Writer {
        let Announcement { domain, tower, node_key, shards, software, issued_at, expires_at } =
            self.announcement;
        out.domain(&domain)
            .bytes(tower.as_slice())
            .bytes(&node_key.0)
            .u64(shards.bits())
            .u64(software)
            .u64(issued_at)
            .u64(expires_at)
            .bytes(&self.account_signature)
            .bytes(&self.node_signature)
    }

    /// What it claims.
    #[must_use]
    pub const fn claims(&self) -> &Announcement {
        &self.announcement
    }

    /// Checks the account's signature, and lets `verify_node` check the node key's: Ed25519 of the message under the key.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn verify(
        self,
        verify_node: impl FnOnce(&NodeKey, &[u8], &[u8; 64]) -> bool,
    ) -> Result<SignedAnnouncement, SignerError> {
        let announcement = &self.announcement;
        check_account(&announcement.signing_hash(), &self.account_signature, announcement.tower)?;
        if verify_node(&announcement.node_key, &announcement.node_message(), &self.node_signature) {
            Ok(SignedAnnouncement(self))
        } else {
            Err(SignerError::NodeKey)
        }
    }
}

/// An announcement, signed by the account and by the node that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedAnnouncement(UnverifiedAnnouncement);

impl SignedAnnouncement {
    /// What the tower says.
    #[must_use]
    pub const fn announcement(&self) -> &Announcement {
        &self.0.announcement
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.write(Writer::new()).finish()
    }
}

impl From<SignedAnnouncement> for UnverifiedAnnouncement {
    fn from(signed: SignedAnnouncement) -> Self {
        signed.0
    }
}

const _: () = assert!(VERSION == 1, "the node key's context names the version");
