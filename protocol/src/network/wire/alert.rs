//! An alert: a tower saw a dispute opened on chain and tells the others, some of whom may be blind just now.
//!
//! The tower signs it with its account, so that a budget can be kept for each signer and nobody can speak for another.
//! It is a hint to look, and nothing else: whoever receives it asks its chain, and prefers other endpoints if its own
//! does not answer; it may fetch both envelopes ahead. It opens no envelope (an alert carries no dispute key), decides,
//! proves and sends nothing because of it.
//!
//! **Invariant:** a [`SignedAlert`] is signed by the tower that it names.

use alloy_primitives::{
    Address, B256, FixedBytes, Signature,
    aliases::{U56, U112},
};
use alloy_sol_types::{SolStruct as _, eip712_domain};

use super::codec::{Writer, open, read_address, read_u64, read_word};
use super::{SignerError, WireError, check_account, compact};
use crate::ids::{Amount, ChannelId, Domain, Nonce};

mod typed {
    alloy_sol_types::sol! {
        /// The typed data that a tower signs. `domain` names the chain and the vault.
        struct Alert {
            bytes21 domain;
            uint56 channelId;
            uint64 epoch;
            uint56 nonce;
            uint112 claim;
            uint64 deadline;
            uint64 blockNumber;
            bytes32 blockHash;
            bytes32 transactionHash;
            address tower;
            uint64 issuedAt;
        }
    }
}

/// What a tower says it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert {
    /// The vault.
    pub domain: Domain,
    /// The channel.
    pub channel_id: ChannelId,
    /// Which dispute of the channel.
    pub epoch: u64,
    /// The nonce that it was opened with.
    pub nonce: Nonce,
    /// What the disputer claims, in base units.
    pub claim: Amount,
    /// When the window ends, in the chain's seconds.
    pub deadline: u64,
    /// The block that opened it.
    pub block_number: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// The transaction that opened it.
    pub transaction: B256,
    /// The tower's account.
    pub tower: Address,
    /// When the tower said it, in seconds since 1970.
    pub issued_at: u64,
}

impl Alert {
    /// What the tower's account signs: EIP-712, domain `{ name: "VRC Tower", version: "1" }`.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        let typed = typed::Alert {
            domain: FixedBytes(*self.domain.as_bytes()),
            channelId: U56::from(self.channel_id.get()),
            epoch: self.epoch,
            nonce: U56::from(self.nonce.get()),
            claim: U112::from(self.claim.get()),
            deadline: self.deadline,
            blockNumber: self.block_number,
            blockHash: self.block_hash,
            transactionHash: self.transaction,
            tower: self.tower,
            issuedAt: self.issued_at,
        };
        typed.eip712_signing_hash(&eip712_domain! {
            name: "VRC Tower",
            version: "1",
        })
    }

    /// The alert with a signature that the tower's account made of [`Alert::signing_hash`].
    ///
    /// # Errors
    /// [`SignerError::Malformed`] and [`SignerError::OtherSigner`].
    pub fn signed(self, signature: &Signature) -> Result<SignedAlert, SignerError> {
        UnverifiedAlert { alert: self, signature: compact(signature)? }.verify()
    }
}

/// What claims to be a tower's alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedAlert {
    alert: Alert,
    signature: [u8; 64],
}

impl UnverifiedAlert {
    /// Bytes of an encoded alert.
    pub const LEN: usize = 1 + 21 + 8 + 8 + 8 + 16 + 8 + 8 + 32 + 32 + 20 + 8 + 64;

    /// Reads an encoded alert.
    ///
    /// # Errors
    /// [`WireError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = open(bytes, Self::LEN)?;
        let alert = Alert {
            domain: reader.domain()?,
            channel_id: reader.channel_id()?,
            epoch: read_u64(&mut reader)?,
            nonce: reader.nonce()?,
            claim: reader.amount()?,
            deadline: read_u64(&mut reader)?,
            block_number: read_u64(&mut reader)?,
            block_hash: read_word(&mut reader)?,
            transaction: read_word(&mut reader)?,
            tower: read_address(&mut reader)?,
            issued_at: read_u64(&mut reader)?,
        };
        let signature = reader.take()?;
        reader.finish()?;
        Ok(Self { alert, signature })
    }

    /// What it claims.
    #[must_use]
    pub const fn claims(&self) -> &Alert {
        &self.alert
    }

    /// Checks that the named tower signed.
    ///
    /// # Errors
    /// [`SignerError::Malformed`] and [`SignerError::OtherSigner`].
    pub fn verify(self) -> Result<SignedAlert, SignerError> {
        check_account(&self.alert.signing_hash(), &self.signature, self.alert.tower)?;
        Ok(SignedAlert { alert: self.alert, signature: self.signature })
    }
}

/// An alert, signed by the tower that it names. It is no evidence of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedAlert {
    alert: Alert,
    signature: [u8; 64],
}

impl SignedAlert {
    /// What the tower says.
    #[must_use]
    pub const fn alert(&self) -> &Alert {
        &self.alert
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let alert = &self.alert;
        Writer::new()
            .domain(&alert.domain)
            .channel(alert.channel_id)
            .u64(alert.epoch)
            .nonce(alert.nonce)
            .amount(alert.claim)
            .u64(alert.deadline)
            .u64(alert.block_number)
            .bytes(alert.block_hash.as_slice())
            .bytes(alert.transaction.as_slice())
            .bytes(alert.tower.as_slice())
            .u64(alert.issued_at)
            .bytes(&self.signature)
            .finish()
    }
}
