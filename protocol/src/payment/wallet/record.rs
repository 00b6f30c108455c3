//! What a participant keeps of its payments, in one durable record with its end of the handshake.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::hex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    ids::{Amount, Role, Sequence},
    payment::{
        history::History,
        message::Reason,
        note::{Commitment, DebtNote},
        receipt::SignedReceipt,
        terms::Terms,
    },
    zksc::{Channel, PaymentId, handshake},
};

/// Which side of a payment this wallet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It pays.
    Outgoing,
    /// It is paid.
    Incoming,
}

/// How far a payment has come, as a person sees it.
///
/// ```text
///   payer: Proposed -> Debited -> Protected -> Received        payee: Protected -> Credited -> Received
///             |            \________\___ Owed _/ (by time)                   \__ Refused
///             +-> Refused <-- paid back
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Payer: asked for; nothing is debited.
    Proposed,
    /// Payer: the debit is final; the hub owes.
    Debited,
    /// The debit is final and backed up; the payee sees the payment on its way from here on.
    Protected,
    /// Payee: the credit is final, but not backed up yet: not to be relied on.
    Credited,
    /// The credit is final and backed up. The payer has the payee's signed word for it.
    Received,
    /// It does not take place; nothing is debited, or the debit was paid back. The reason is beside it.
    Refused,
    /// Payer: debited, and not credited in time or not before the channel ended: export the debt note.
    Owed,
    /// The channel went past what is on record here: what became of the payment is not known, and nothing more is asked for it.
    /// For a person to clear up; a receipt, or the hub's paying back, still ends it.
    Unclear,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// What is paid to whom.
    pub terms: Terms,
    /// Payer: the payee's channel, as this node found it on the chain.
    pub payee: Option<Channel>,
    /// Which side this wallet is.
    pub direction: Direction,
    /// How far it has come; never [`Stage::Owed`], which time makes.
    pub stage: Stage,
    /// Why it was refused, or is not admitted yet.
    pub reason: Option<Reason>,
    /// Payer: the hub said that it takes the debit, so that one may have been proposed; of one that was refused after a start, that
    /// it may have said so before.
    pub accepted: bool,
    /// Payer: the hub offers to pay back.
    pub pay_back: bool,
    /// Payer: the debit, once it is final.
    pub debit: Option<Commitment>,
    /// The credit (payee) or the credit that paid back (payer), once it is final.
    pub credit: Option<Commitment>,
    /// The payee's signed word.
    pub receipt: Option<SignedReceipt>,
    /// Payee: the hub keeps the receipt.
    pub receipt_kept: bool,
    /// Its place among those that have ended, from 1; none while it has not.
    pub closed: Option<u64>,
}

impl Payment {
    pub(super) const fn new(terms: Terms, direction: Direction, stage: Stage) -> Self {
        Self {
            terms,
            payee: None,
            direction,
            stage,
            reason: None,
            accepted: false,
            pay_back: false,
            debit: None,
            credit: None,
            receipt: None,
            receipt_kept: false,
            closed: None,
        }
    }

    /// Payer: what the hub holds of it, unsecured.
    #[must_use]
    pub fn in_flight(&self) -> Amount {
        let held = matches!(self.stage, Stage::Debited | Stage::Protected);
        if held && self.direction == Direction::Outgoing {
            self.terms.debit()
        } else {
            Amount::ZERO
        }
    }

    /// Payer: the hub has said that it does not know the payee, and is asked again.
    #[must_use]
    pub fn waits_for_payee(&self) -> bool {
        self.stage == Stage::Proposed && self.reason == Some(Reason::UnknownPayee)
    }

    /// Whether it may be forgotten whole: it moved nothing, and no order of this wallet's stands behind it.
    pub(super) const fn is_idle_talk(&self) -> bool {
        matches!(self.direction, Direction::Incoming) && self.credit.is_none()
    }

    /// What proves the debt, once the debit is final.
    #[must_use]
    pub fn note(&self) -> Option<DebtNote> {
        let debit = self.debit.clone()?;
        Some(DebtNote { terms: self.terms, debit })
    }
}

/// What the payments of one channel have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The channel's history.
    pub history: History,
    /// The next payment's sequence.
    pub sequence: Sequence,
    /// How many payments have ended.
    pub closed: u64,
}

/// All payments of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// What they have in common.
    pub head: Head,
    /// The payments that have not ended, and the newest of those that have.
    pub payments: BTreeMap<PaymentId, Payment>,
}

/// Ended payments kept for a person to see and for late messages; the driver may archive every one.
pub const ENDED_MAX: usize = 1_024;

impl Book {
    /// The book of a new channel.
    #[must_use]
    pub fn new() -> Self {
        let head = Head { history: History::default(), sequence: Sequence::MIN, closed: 0 };
        Self { head, payments: BTreeMap::new() }
    }

    /// What the hub holds of all payments, unsecured.
    #[must_use]
    pub fn in_flight(&self) -> Amount {
        self.payments
            .values()
            .fold(Amount::ZERO, |sum, one| sum.checked_add(one.in_flight()).unwrap_or(Amount::MAX))
    }

    /// How many payments have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.payments.values().filter(|one| one.closed.is_none()).count()
    }

    /// Payments that ended so long ago that they are no longer kept.
    pub(super) fn outdated(&self) -> Vec<PaymentId> {
        let kept = u64::try_from(ENDED_MAX).unwrap_or(u64::MAX);
        let floor = self.head.closed.saturating_sub(kept);
        if floor == 0 {
            return Vec::new();
        }
        let old = |one: &Payment| one.closed.is_some_and(|place| place <= floor);
        self.payments.iter().filter(|(_, one)| old(one)).map(|(id, _)| *id).collect()
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

/// A participant's whole durable record of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The end of the handshake.
    pub handshake: handshake::Record,
    /// The payments.
    pub book: Book,
}

impl Record {
    /// The record of a new channel.
    #[must_use]
    pub fn new(channel: &Channel) -> Self {
        let handshake = handshake::Record::new(Role::Participant, channel);
        Self { handshake, book: Book::new() }
    }
}

/// What one event changed: written in one piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The handshake's record, encoded.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub handshake: Vec<u8>,
    /// What the payments have in common.
    pub head: Head,
    /// The payments that changed; none for one that is forgotten.
    pub payments: BTreeMap<PaymentId, Option<Payment>>,
    /// Of those that are forgotten, the ones that moved nothing and that nobody ordered: they need not be archived.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped: BTreeSet<PaymentId>,
}

impl Batch {
    /// Puts this batch over `record`. Every signature in the handshake's part is checked again.
    ///
    /// # Errors
    /// [`handshake::RecordError`].
    pub fn apply(
        self,
        record: &mut Record,
        channel: &Channel,
    ) -> Result<(), handshake::RecordError> {
        let role = Role::Participant;
        record.handshake = handshake::Record::from_bytes(&self.handshake, role, channel)?;
        record.book.head = self.head;
        for (id, payment) in self.payments {
            match payment {
                Some(payment) => record.book.payments.insert(id, payment),
                None => record.book.payments.remove(&id),
            };
        }
        Ok(())
    }
}

pub(in crate::payment) fn to_hex<S: Serializer>(
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&hex::display(bytes))
}

pub(in crate::payment) fn from_hex<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
}
