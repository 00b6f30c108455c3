//! The payee's signed word that a payment reached it: what ends the payer's claim on the hub without showing a balance.
//!
//! Schnorr under a tag of its own, over Poseidon(tag, payment (5)); the id commits to the terms, so one signature serves
//! one payment of one payee.
//!
//! **Invariant:** a wallet signs a receipt only when its own credit is final and protected.

use serde::{Deserialize, Serialize};

use super::wire;
use crate::{
    encoding::bytes32_elements,
    hash::{Digest, poseidon},
    ids::Role,
    schnorr::{SecretKey, Signature, SignatureError, Tag, Verify},
    tags,
    zksc::{Channel, PaymentId},
};

/// A receipt; whether the signature is the payee's, [`SignedReceipt::verify`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReceipt {
    /// The payment.
    pub payment: PaymentId,
    /// The signature by the payee's channel key.
    #[serde(with = "wire::signature")]
    pub signature: Signature,
}

fn digest(payment: &PaymentId) -> Digest {
    poseidon(tags::RECEIPT, bytes32_elements(&payment.0))
}

impl SignedReceipt {
    /// The payee says that the payment reached it. `hedge` is 32 fresh random bytes.
    #[must_use]
    pub fn sign(payment: PaymentId, key: &SecretKey, hedge: &[u8; 32]) -> Self {
        Self { payment, signature: key.sign(Tag::Receipt, &digest(&payment), hedge) }
    }

    /// Checks the signature against the payee's channel.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, payee: &Channel) -> Result<(), SignatureError> {
        self.verify_by(&payee.party(Role::Participant).channel_key)
    }

    /// [`SignedReceipt::verify`] with the payee's key, made ready by the caller.
    pub(super) fn verify_by(&self, key: &impl Verify) -> Result<(), SignatureError> {
        key.verify(Tag::Receipt, &digest(&self.payment), &self.signature)
    }
}
