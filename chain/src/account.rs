//! An account that pays and signs: an EVM key that does not print, or one that another process holds.

mod external;
mod typed;

use std::{sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::{eip2718::Encodable2718 as _, eip2930::AccessList},
    network::TxSignerSync as _,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use protocol::backup::{Receipt, ReceiptError, SignedReceipt};

pub use external::SignerError;
pub use typed::Typed;
pub(crate) use typed::{account as account_word, number, word};

use crate::fees::Fees;
use external::External;

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Zero, or not below the group's order.
    #[error("these 32 bytes are no secp256k1 key")]
    NotAKey,
    /// The signing operation failed.
    #[error("the key does not sign")]
    Signing,
    /// The key is elsewhere, and its signer is shown messages, not digests.
    #[error("an account with its key elsewhere signs no bare digests")]
    Bare,
    /// The key is elsewhere, and its signer has not signed.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

impl AccountError {
    /// Whether asking again may help.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Signer(_))
    }
}

/// Where the key is.
#[derive(Clone)]
enum Holder {
    Here(PrivateKeySigner),
    Elsewhere(Arc<External>),
}

/// An EVM account. A key that is here is wiped when the last clone is dropped, and never printed.
#[derive(Clone)]
pub struct Account {
    holder: Holder,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Account {
    /// The account of a secret key.
    ///
    /// # Errors
    /// When the bytes are no key.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, AccountError> {
        let signer = PrivateKeySigner::from_bytes(&B256::from(*secret))
            .map_err(|_not_a_key| AccountError::NotAKey)?;
        Ok(Self { holder: Holder::Here(signer) })
    }

    /// The account `address`, whose key a signer at `url` holds (JSON-RPC over HTTP: Clef, web3signer, a node). Each signature
    /// is waited for up to `patience`: a person may have to agree. Nothing is asked yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn elsewhere(url: &str, address: Address, patience: Duration) -> Result<Self, SignerError> {
        let external = External::new(url, address, patience)?;
        Ok(Self { holder: Holder::Elsewhere(Arc::new(external)) })
    }

    /// Whether the key is here, or its signer answers and holds it.
    ///
    /// # Errors
    /// [`SignerError`]: it may be better later.
    pub async fn probe(&self) -> Result<(), SignerError> {
        match &self.holder {
            Holder::Here(_) => Ok(()),
            Holder::Elsewhere(external) => external.dialect().await.map(|_| ()),
        }
    }

    /// The account's address.
    pub fn address(&self) -> Address {
        match &self.holder {
            Holder::Here(signer) => signer.address(),
            Holder::Elsewhere(external) => external.address(),
        }
    }

    /// Whether signatures come from another process, and so take time.
    pub const fn is_elsewhere(&self) -> bool {
        matches!(self.holder, Holder::Elsewhere(_))
    }

    /// Signs a 32-byte digest: r, s (low) and v (27 or 28), 65 bytes, as contracts take it.
    ///
    /// # Errors
    /// When the key is elsewhere ([`Self::sign_typed`] asks there).
    pub fn sign_digest(&self, digest: &B256) -> Result<Bytes, AccountError> {
        let Holder::Here(signer) = &self.holder else { return Err(AccountError::Bare) };
        let signature = signer.sign_hash_sync(digest).map_err(|_failed| AccountError::Signing)?;
        Ok(Bytes::from(signature.normalized_s().as_bytes().to_vec()))
    }

    /// Signs a message by EIP-712, as [`Self::sign_digest`], wherever the key is.
    ///
    /// # Errors
    /// When a signer elsewhere does not sign, or signs something else.
    pub async fn sign_typed(&self, typed: &Typed) -> Result<Bytes, AccountError> {
        match &self.holder {
            Holder::Here(_) => self.sign_digest(&typed.digest()),
            Holder::Elsewhere(external) => Ok(external.sign_typed(typed).await?),
        }
    }

    /// Signs a tower's receipt; the same receipt gives the same bytes again.
    ///
    /// # Errors
    /// When the receipt names another tower, or the key is elsewhere: a tower signs too many to ask for each.
    pub fn sign_receipt(&self, receipt: Receipt) -> Result<SignedReceipt, ReceiptError> {
        match &self.holder {
            Holder::Here(signer) => receipt.sign(signer.credential()),
            Holder::Elsewhere(_) => Err(ReceiptError::OtherSigner(self.address())),
        }
    }

    /// Signs a transaction of the chain `chain_id`: its hash and its bytes. A key that is here gives the same bytes for the
    /// same transaction again (RFC 6979), so only its fields need to be kept.
    ///
    /// # Errors
    /// When a signer elsewhere does not sign, or signs something else.
    pub async fn sign(
        &self,
        chain_id: u64,
        transaction: Transaction,
    ) -> Result<(B256, Bytes), AccountError> {
        let mut raw = TxEip1559 {
            chain_id,
            nonce: transaction.nonce,
            gas_limit: transaction.gas_limit,
            max_fee_per_gas: transaction.fees.max_fee,
            max_priority_fee_per_gas: transaction.fees.priority_fee,
            to: transaction.to.map_or(TxKind::Create, TxKind::Call),
            value: transaction.value,
            access_list: AccessList::default(),
            input: transaction.data,
        };
        let signer = match &self.holder {
            Holder::Here(signer) => signer,
            Holder::Elsewhere(external) => return Ok(external.sign_transaction(&raw).await?),
        };
        let signature =
            signer.sign_transaction_sync(&mut raw).map_err(|_failed| AccountError::Signing)?;
        let envelope = TxEnvelope::from(raw.into_signed(signature));
        Ok((*envelope.tx_hash(), envelope.encoded_2718().into()))
    }
}

/// A transaction before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its place among the account's transactions.
    pub nonce: u64,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// What it bids.
    pub fees: Fees,
    /// The receiver; none creates a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Calldata, or the code of the new contract.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_shows_in_debug_output() {
        let account = Account::from_bytes(&[0x42; 32]).unwrap();
        assert!(!format!("{account:?}").contains("4242424242"));
    }

    #[test]
    fn zero_is_no_key() {
        assert!(matches!(Account::from_bytes(&[0; 32]), Err(AccountError::NotAKey)));
        assert!(matches!(Account::from_bytes(&[0xff; 32]), Err(AccountError::NotAKey)));
    }
}
