//! An account that pays and signs: an EVM key that does not print.

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::{eip2718::Encodable2718 as _, eip2930::AccessList},
    network::TxSignerSync as _,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use protocol::backup::{Receipt, ReceiptError, SignedReceipt};

use crate::fees::Fees;

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Zero, or not below the group's order.
    #[error("these 32 bytes are no secp256k1 key")]
    NotAKey,
    /// The signing operation failed.
    #[error("the key does not sign")]
    Signing,
}

/// An EVM account with its key. The key is wiped when the last clone is dropped, and never printed.
#[derive(Clone)]
pub struct Account {
    signer: PrivateKeySigner,
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
        Ok(Self { signer })
    }

    /// The account's address.
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs a 32-byte digest: r, s (low) and v (27 or 28), 65 bytes, as contracts take it.
    ///
    /// # Errors
    /// When the key does not sign, which no valid key does.
    pub fn sign_digest(&self, digest: &B256) -> Result<Bytes, AccountError> {
        let signature =
            self.signer.sign_hash_sync(digest).map_err(|_failed| AccountError::Signing)?;
        Ok(Bytes::from(signature.normalized_s().as_bytes().to_vec()))
    }

    /// Signs a tower's receipt; the same receipt gives the same bytes again.
    ///
    /// # Errors
    /// When the receipt names another tower.
    pub fn sign_receipt(&self, receipt: Receipt) -> Result<SignedReceipt, ReceiptError> {
        receipt.sign(self.signer.credential())
    }

    /// Signs a transaction of the chain `chain_id`: its hash and its bytes. The same transaction gives the same bytes
    /// again (RFC 6979), so only its fields need to be kept.
    ///
    /// # Errors
    /// When the key does not sign, which no valid key does.
    pub fn sign(
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
        let signature =
            self.signer.sign_transaction_sync(&mut raw).map_err(|_failed| AccountError::Signing)?;
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
