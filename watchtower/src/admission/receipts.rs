//! Receipts: signed promises for what is on disk.

use alloy_primitives::{B256, Bytes, Signature};
use chain::account::AccountError;
use protocol::Nonce;
use protocol::backup::{Header, Receipt, ReceiptError, SignedReceipt};
use protocol::network::Slot;
use store::{ReceiptRow, StoreError};

use super::{Admission, stored_slot};

/// Why there is no receipt. The envelope is stored all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptFailure {
    /// The disk.
    #[error("the receipt is not on disk")]
    Store(#[from] StoreError),
    /// The account's key does not sign.
    #[error("the receipt is not signed")]
    Account(#[from] AccountError),
    /// The signature is none.
    #[error("the receipt's signature is malformed")]
    Signature(#[from] alloy_primitives::SignatureError),
    /// The signature is another account's.
    #[error("the receipt is not this tower's")]
    Receipt(#[from] ReceiptError),
}

impl Admission {
    /// The promise for an envelope that was stored, by what it says openly.
    ///
    /// # Errors
    /// See [`ReceiptFailure`].
    pub async fn receipt_for(
        &self,
        header: &Header,
        id: B256,
    ) -> Result<SignedReceipt, ReceiptFailure> {
        let slot = header.slot();
        match self.known(slot, id)? {
            Some(known) => Ok(known),
            None => self.sign(slot, header.nonce, id).await,
        }
    }

    /// The promise for what the slot holds; none if it holds nothing. One that was signed before is given again while at
    /// least half of its time is left.
    ///
    /// # Errors
    /// See [`ReceiptFailure`].
    pub async fn receipt(&self, slot: Slot) -> Result<Option<SignedReceipt>, ReceiptFailure> {
        let Some(held) = self.store.backup(stored_slot(slot))? else { return Ok(None) };
        if let Some(known) = self.known(slot, held.id)? {
            return Ok(Some(known));
        }
        self.sign(slot, held.nonce, held.id).await.map(Some)
    }

    /// Whether [`Admission::receipt`] would sign nothing new for this slot.
    ///
    /// # Errors
    /// See [`ReceiptFailure`].
    pub fn has_receipt(&self, slot: Slot) -> Result<bool, ReceiptFailure> {
        match self.store.backup(stored_slot(slot))? {
            None => Ok(true),
            Some(held) => Ok(self.known(slot, held.id)?.is_some()),
        }
    }

    fn known(&self, slot: Slot, id: B256) -> Result<Option<SignedReceipt>, ReceiptFailure> {
        let row = self.store.receipt(stored_slot(slot), self.account.address())?;
        let enough = crate::clock::now_s().saturating_add(self.receipt_validity.as_secs() / 2);
        let Some(row) = row.filter(|row| row.envelope_id == id && row.until >= enough) else {
            return Ok(None);
        };
        let signature: Option<&[u8; 64]> = row.signature.as_ref().try_into().ok();
        let Some(signature) = signature else { return Ok(None) };
        let receipt = self.promise(slot, row.nonce, id, row.until);
        Ok(receipt.signed(Signature::from_erc2098(signature)).ok())
    }

    fn promise(&self, slot: Slot, nonce: Nonce, id: B256, until: u64) -> Receipt {
        let facts = self.store.facts();
        Receipt {
            chain_id: facts.chain_id,
            vipe: facts.vipe,
            channel_id: slot.channel_id,
            role: slot.role,
            nonce,
            envelope_id: id,
            tower: self.account.address(),
            until,
        }
    }

    async fn sign(
        &self,
        slot: Slot,
        nonce: Nonce,
        id: B256,
    ) -> Result<SignedReceipt, ReceiptFailure> {
        let until = crate::clock::now_s().saturating_add(self.receipt_validity.as_secs());
        let receipt = self.promise(slot, nonce, id, until);
        let bytes = self.account.sign_digest(&receipt.signing_hash())?;
        let signed = receipt.signed(Signature::from_raw(&bytes)?)?;
        let signature = Bytes::copy_from_slice(signed.signature());
        let row = ReceiptRow { nonce, envelope_id: id, until, signature };
        self.store.put_receipt(stored_slot(slot), self.account.address(), row).await?;
        Ok(signed)
    }
}
