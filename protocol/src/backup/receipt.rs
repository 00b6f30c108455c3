//! A tower's receipt: its signed word that it holds an envelope, given only once it is durable.
//!
//! EIP-712, domain `{ name: "VRC Tower", version: "1", chainId }`; the vault is a field of the struct, because a tower
//! signs for many.
//!
//! **Invariant:** a [`SignedReceipt`] is signed by the tower that it names.

use alloy_primitives::{Address, B256, Signature, aliases::U56};
use alloy_sol_types::{SolStruct as _, eip712_domain};
use k256::ecdsa::SigningKey;
use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use crate::ids::{ChannelId, Nonce, Role};

mod typed {
    alloy_sol_types::sol! {
        /// The typed data that a tower signs.
        struct Receipt {
            address vipe;
            uint56 channelId;
            uint8 role;
            uint56 nonce;
            bytes32 envelopeId;
            address tower;
            uint64 until;
        }
    }
}

/// Why a receipt is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The signature is malformed, or its s is in the upper half.
    #[error("the receipt's signature is malformed")]
    Malformed,
    /// Somebody else than the named tower signed.
    #[error("the receipt is signed by {0}, not by the tower that it names")]
    OtherSigner(Address),
    /// The receipt is for another envelope.
    #[error("the receipt is for another envelope")]
    OtherEnvelope,
}

/// What a tower promises: to hold this envelope, or a newer one of the slot, until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The settlement layer's chain id.
    pub chain_id: u64,
    /// The vault.
    pub vipe: Address,
    /// The channel.
    pub channel_id: ChannelId,
    /// Whose slot.
    pub role: Role,
    /// The envelope's nonce.
    pub nonce: Nonce,
    /// The envelope's id.
    pub envelope_id: B256,
    /// The tower's account.
    pub tower: Address,
    /// Until when, in seconds since 1970.
    pub until: u64,
}

impl Receipt {
    /// The receipt for an envelope of the vault `vipe`.
    #[must_use]
    pub fn new(
        envelope: &Envelope,
        chain_id: u64,
        vipe: Address,
        tower: Address,
        until: u64,
    ) -> Self {
        let header = envelope.header();
        Self {
            chain_id,
            vipe,
            channel_id: header.channel_id,
            role: header.role,
            nonce: header.nonce,
            envelope_id: *envelope.id(),
            tower,
            until,
        }
    }

    /// What the tower's account signs.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        let typed = typed::Receipt {
            vipe: self.vipe,
            channelId: U56::from(self.channel_id.get()),
            role: self.role.to_byte(),
            nonce: U56::from(self.nonce.get()),
            envelopeId: self.envelope_id,
            tower: self.tower,
            until: self.until,
        };
        typed.eip712_signing_hash(&eip712_domain! {
            name: "VRC Tower",
            version: "1",
            chain_id: self.chain_id,
        })
    }

    /// Until when a receipt that is asked for at `now` holds, both in seconds: for `validity` at least and an eighth of it
    /// more at most. Everybody who asks within the same eighth gets the same answer, so that a receipt can be made again
    /// instead of kept.
    #[must_use]
    pub const fn until(now: u64, validity: u64) -> u64 {
        let step = if validity < 8 { 1 } else { validity / 8 };
        now.saturating_add(validity).div_ceil(step).saturating_mul(step)
    }

    /// Signs with the tower's account key, deterministically (RFC 6979): the same receipt again is the same bytes again.
    ///
    /// The address is the key's own, so nothing is recovered from what was just signed.
    ///
    /// # Errors
    /// [`ReceiptError::OtherSigner`] when the key is not that of `tower`; [`ReceiptError::Malformed`] with a chance of 2^-127.
    pub fn sign(self, key: &SigningKey) -> Result<SignedReceipt, ReceiptError> {
        let signer = Address::from_public_key(key.verifying_key());
        if signer != self.tower {
            return Err(ReceiptError::OtherSigner(signer));
        }
        let (signature, recovery) = key
            .sign_prehash_recoverable(self.signing_hash().as_slice())
            .map_err(|_refused| ReceiptError::Malformed)?;
        // k256 signs with a low s; an r that is not the whole x-coordinate has no compact form.
        if recovery.is_x_reduced() || signature.normalize_s().is_some() {
            return Err(ReceiptError::Malformed);
        }
        let signature = Signature::from_signature_and_parity(signature, recovery.is_y_odd());
        Ok(SignedReceipt { receipt: self, signature: signature.as_erc2098().into() })
    }

    /// The receipt with a signature that a wallet or another signer made of [`Receipt::signing_hash`].
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] and [`ReceiptError::OtherSigner`].
    pub fn signed(self, signature: Signature) -> Result<SignedReceipt, ReceiptError> {
        // One signature, one encoding: the upper half of s would be a second.
        if signature.normalize_s().is_some() {
            return Err(ReceiptError::Malformed);
        }
        let signer = signature
            .recover_address_from_prehash(&self.signing_hash())
            .map_err(|_unrecoverable| ReceiptError::Malformed)?;
        if signer != self.tower {
            return Err(ReceiptError::OtherSigner(signer));
        }
        Ok(SignedReceipt { receipt: self, signature: signature.as_erc2098().into() })
    }
}

/// A receipt as it travels; nothing is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Wire {
    receipt: Receipt,
    signature: alloy_primitives::B512,
}

/// A receipt and the signature of the tower that it names. Reading one checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct SignedReceipt {
    receipt: Receipt,
    signature: alloy_primitives::B512,
}

impl TryFrom<Wire> for SignedReceipt {
    type Error = ReceiptError;

    fn try_from(wire: Wire) -> Result<Self, ReceiptError> {
        wire.receipt.signed(Signature::from_erc2098(wire.signature.as_slice()))
    }
}

impl From<SignedReceipt> for Wire {
    fn from(SignedReceipt { receipt, signature }: SignedReceipt) -> Self {
        Self { receipt, signature }
    }
}

impl SignedReceipt {
    /// What the tower promised.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The signature in the compact form of EIP-2098.
    #[must_use]
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature.0
    }

    /// Checks that the receipt is for this envelope, in this vault.
    ///
    /// # Errors
    /// [`ReceiptError::OtherEnvelope`].
    pub fn covers(
        &self,
        envelope: &Envelope,
        chain_id: u64,
        vipe: Address,
    ) -> Result<(), ReceiptError> {
        let Receipt { tower, until, .. } = self.receipt;
        if Receipt::new(envelope, chain_id, vipe, tower, until) == self.receipt {
            Ok(())
        } else {
            Err(ReceiptError::OtherEnvelope)
        }
    }
}
