//! What a hub keeps of its payments and lanes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Amount, ChannelId, Nonce, Role, Sequence},
    payment::{
        history::History,
        message::Reason,
        note::{Answer, Commitment},
        receipt::SignedReceipt,
        terms::Terms,
        wallet::record::{from_hex, to_hex},
    },
    zksc::{Channel, PaymentId, handshake},
};

/// How far a payment has come at the hub.
///
/// ```text
///   Admitted -> DebitSigned -> Debited -> CreditSigned -> Credited -> (Done: forgotten)
///      |                         |  ^          | the payee's channel settled without it
///      v expired: forgotten      v  |          v
///                            PayingBack -> PayBackSigned -> PaidBack -> (Done: forgotten)
///   any that is not over -- a channel went past the record --> Unclear
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubStage {
    /// The payee's room is reserved; nothing is signed.
    Admitted,
    /// The debit is signed by the hub alone.
    DebitSigned,
    /// The debit is final; the hub owes.
    Debited,
    /// The credit is signed by the hub alone; it cannot be paid back any more, unless the channel settles without it.
    CreditSigned,
    /// The credit is final.
    Credited,
    /// The payment shall be paid back; it will never be credited.
    PayingBack,
    /// The credit that pays back is signed by the hub alone.
    PayBackSigned,
    /// It was paid back.
    PaidBack,
    /// The payer's channel settled without the debit: nothing is owed.
    Void,
    /// One of its channels went past what is on record here: what became of it is not known, and nothing is signed for it any
    /// more. For a person to clear up; the payee's receipt or the payer's word that it is done ends it.
    Unclear,
}

impl HubStage {
    /// Whether nothing will be signed for the payment any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Credited | Self::PaidBack | Self::Void | Self::Unclear)
    }
}

/// One payment at the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubPayment {
    /// What is paid to whom.
    pub terms: Terms,
    /// How far it has come.
    pub stage: HubStage,
    /// Why it is paid back.
    pub reason: Option<Reason>,
    /// The nonce of the debit, once it is signed.
    pub debit: Option<Nonce>,
    /// The nonce of the credit or of the paying back, once it is signed.
    pub credit: Option<Nonce>,
    /// The credit or the paying back, once it is final: the hub's answer to a debt note.
    pub shown: Option<Commitment>,
    /// The payee's signed word.
    pub receipt: Option<SignedReceipt>,
}

impl HubPayment {
    /// What quits the hub of a debt note of this payment.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        match (self.stage, self.receipt, &self.shown) {
            (HubStage::PaidBack, _, Some(shown)) => Some(Answer::PaidBack(Box::new(shown.clone()))),
            (HubStage::Credited, Some(receipt), _) => Some(Answer::Receipt(receipt)),
            (HubStage::Credited, None, Some(shown)) => {
                Some(Answer::Credit(Box::new(shown.clone())))
            }
            _ => None,
        }
    }

    /// What the payee's escrow must still hold for it.
    pub(super) const fn reserved_for_payee(&self) -> Amount {
        match self.stage {
            HubStage::Admitted
            | HubStage::DebitSigned
            | HubStage::Debited
            | HubStage::CreditSigned => self.terms.fields().amount,
            _ => Amount::ZERO,
        }
    }

    /// What the payer's escrow must still hold, in case it is paid back.
    pub(super) fn reserved_for_payer(&self) -> Amount {
        match self.stage {
            HubStage::Debited
            | HubStage::CreditSigned
            | HubStage::PayingBack
            | HubStage::PayBackSigned => self.terms.debit(),
            _ => Amount::ZERO,
        }
    }
}

/// What a hub keeps of one channel beside its payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRecord {
    /// The end of the handshake.
    pub handshake: handshake::Record,
    /// The channel's history.
    pub history: History,
    /// The greatest sequence that the participant used.
    pub last: Option<Sequence>,
}

impl LaneRecord {
    /// The record of a new channel.
    #[must_use]
    pub fn new(channel: &Channel) -> Self {
        let handshake = handshake::Record::new(Role::Counterparty, channel);
        Self { handshake, history: History::default(), last: None }
    }

    /// As it is stored.
    #[must_use]
    pub fn stored(&self) -> StoredLane {
        let Self { handshake, history, last } = self;
        StoredLane { handshake: handshake.to_bytes(), history: history.clone(), last: *last }
    }
}

/// A lane's record as it lies on the disk; nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredLane {
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    handshake: Vec<u8>,
    history: History,
    last: Option<Sequence>,
}

impl StoredLane {
    /// Checks every signature of the handshake's part again.
    ///
    /// # Errors
    /// [`handshake::RecordError`].
    pub fn verify(self, channel: &Channel) -> Result<LaneRecord, handshake::RecordError> {
        let role = Role::Counterparty;
        let handshake = handshake::Record::from_bytes(&self.handshake, role, channel)?;
        Ok(LaneRecord { handshake, history: self.history, last: self.last })
    }
}

/// What one event changed: written in one piece.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The lanes that changed.
    pub lanes: BTreeMap<ChannelId, StoredLane>,
    /// The payments that changed; none for one that is forgotten.
    pub payments: BTreeMap<PaymentId, Option<HubPayment>>,
    /// Of those that are forgotten, the ones that moved nothing: they need not be archived.
    #[serde(default)]
    pub dropped: BTreeSet<PaymentId>,
}
