//! Receipts: signed promises for what is on disk.
//!
//! A receipt follows from what the slot holds, from the time in eighths of its validity ([`Receipt::until`]) and from the
//! account's key, which signs deterministically. So none is kept: whoever asks again gets the same bytes, made anew for
//! less than reading and checking stored ones would cost, and an upsert is one commit.

use alloy_primitives::B256;
use protocol::Nonce;
use protocol::backup::{Header, Receipt, ReceiptError, SignedReceipt};
use protocol::network::Slot;
use store::StoreError;

use super::{Admission, stored_slot};

/// Why there is no receipt. The envelope is stored all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptFailure {
    /// The disk.
    #[error("the slot cannot be read")]
    Store(#[from] StoreError),
    /// The account's key does not sign.
    #[error("the receipt is not signed")]
    Receipt(#[from] ReceiptError),
}

impl Admission {
    /// The promise for an envelope that was stored, by what it says openly.
    ///
    /// # Errors
    /// See [`ReceiptFailure`].
    pub fn receipt_for(&self, header: &Header, id: B256) -> Result<SignedReceipt, ReceiptFailure> {
        self.sign(header.slot(), header.nonce, id)
    }

    /// The promise for what the slot holds; none if it holds nothing.
    ///
    /// # Errors
    /// See [`ReceiptFailure`].
    pub fn receipt(&self, slot: Slot) -> Result<Option<SignedReceipt>, ReceiptFailure> {
        let Some(held) = self.store.held(stored_slot(slot))? else { return Ok(None) };
        self.sign(slot, held.nonce, held.id).map(Some)
    }

    fn sign(&self, slot: Slot, nonce: Nonce, id: B256) -> Result<SignedReceipt, ReceiptFailure> {
        let facts = self.store.facts();
        let receipt = Receipt {
            chain_id: facts.chain_id,
            vipe: facts.vipe,
            channel_id: slot.channel_id,
            role: slot.role,
            nonce,
            envelope_id: id,
            tower: self.account.address(),
            until: Receipt::until(crate::clock::now_s(), self.receipt_validity.as_secs()),
        };
        Ok(self.account.sign_receipt(receipt)?)
    }
}
