//! What a payment is: who pays whom how much, and the id that follows from it.
//!
//! The id is Poseidon(tag, domain (3), payer, payee, amount (2), fee (2), sequence, reference (5), part, parts): whoever
//! knows the terms knows the id, and nobody can find other terms for it. It is unique because a payer never uses a
//! sequence twice.
//!
//! **Invariant:** [`Terms`] pay something, to another channel than their own, and the debit fits an amount.

use serde::{Deserialize, Serialize};

use crate::{
    encoding::{DecodeError, Reader, bytes32_elements},
    hash::poseidon,
    ids::{Amount, ChannelId, Domain, Sequence},
    tags,
    zksc::PaymentId,
};

/// The most parts of one payment. More would be a payment that the channels are too small for.
pub const PARTS_MAX: u16 = 1_024;

/// Millionths in one.
const MILLION: u128 = 1_000_000;

/// Why terms are no payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// Nothing would be paid.
    #[error("the payment is of nothing")]
    Nothing,
    /// Payer and payee are one channel.
    #[error("payer and payee are the same channel")]
    SameChannel,
    /// Amount and fee together are no amount.
    #[error("amount and fee exceed every balance")]
    TooLarge,
    /// Parts are 1 to [`PARTS_MAX`], and a part is below their number.
    #[error("part {part} of {parts} does not exist")]
    Part {
        /// The part, counted from 0.
        part: u16,
        /// How many there are.
        parts: u16,
    },
    /// The limits leave nothing to pay with, or the payment needs more than [`PARTS_MAX`] parts.
    #[error("the channels' limits split the payment into too many parts")]
    TooManyParts,
}

/// The terms of one payment, or of one part of a larger one. Both channels are of one vault and one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TermsFields", into = "TermsFields")]
pub struct Terms {
    fields: TermsFields,
    id: PaymentId,
}

/// The fields of [`Terms`]; nothing is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsFields {
    /// The vault of both channels.
    pub domain: Domain,
    /// Whose participant pays.
    pub payer: ChannelId,
    /// Whose participant is paid.
    pub payee: ChannelId,
    /// What the payee gets, in base units.
    pub amount: Amount,
    /// What the hub keeps, in base units.
    pub fee: Amount,
    /// The payment's place among the payer's.
    pub sequence: Sequence,
    /// The payee's own reference, as its invoice gives it; 32 random bytes where there is none.
    pub reference: [u8; 32],
    /// Which part of a larger payment, from 0.
    pub part: u16,
    /// How many parts it has.
    pub parts: u16,
}

impl TryFrom<TermsFields> for Terms {
    type Error = TermsError;

    fn try_from(fields: TermsFields) -> Result<Self, TermsError> {
        let TermsFields { payer, payee, amount, fee, part, parts, .. } = fields;
        if amount == Amount::ZERO {
            return Err(TermsError::Nothing);
        }
        if payer == payee {
            return Err(TermsError::SameChannel);
        }
        if amount.checked_add(fee).is_none() {
            return Err(TermsError::TooLarge);
        }
        if part >= parts || parts > PARTS_MAX {
            return Err(TermsError::Part { part, parts });
        }
        Ok(Self { id: id(&fields), fields })
    }
}

impl From<Terms> for TermsFields {
    fn from(terms: Terms) -> Self {
        terms.fields
    }
}

fn id(fields: &TermsFields) -> PaymentId {
    let small = |value: u16| plonky2_field::types::Field::from_canonical_u64(u64::from(value));
    let [d0, d1, d2] = fields.domain.limbs();
    let [a0, a1] = fields.amount.limbs();
    let [f0, f1] = fields.fee.limbs();
    let [r0, r1, r2, r3, r4] = bytes32_elements(&fields.reference);
    let (payer, payee) = (fields.payer.element(), fields.payee.element());
    let (sequence, part, parts) =
        (fields.sequence.element(), small(fields.part), small(fields.parts));
    let digest = poseidon(
        tags::PAYMENT,
        [d0, d1, d2, payer, payee, a0, a1, f0, f1, sequence, r0, r1, r2, r3, r4, part, parts],
    );
    PaymentId(digest.to_bytes())
}

impl Terms {
    /// Bytes of encoded terms.
    pub const LEN: usize = 21 + 8 + 8 + 16 + 16 + 8 + 32 + 2 + 2;

    /// The fields.
    #[must_use]
    pub const fn fields(&self) -> &TermsFields {
        &self.fields
    }

    /// The payment's id.
    #[must_use]
    pub const fn id(&self) -> PaymentId {
        self.id
    }

    /// What the payer is debited: amount and fee.
    #[must_use]
    pub fn debit(&self) -> Amount {
        // The constructor checked the sum.
        self.fields.amount.checked_add(self.fields.fee).unwrap_or(Amount::MAX)
    }

    /// The encoding: fixed widths, big endian, in the order of the fields.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = &self.fields;
        let mut out = Vec::with_capacity(Self::LEN);
        out.extend(fields.domain.as_bytes());
        out.extend(fields.payer.get().to_be_bytes());
        out.extend(fields.payee.get().to_be_bytes());
        out.extend(fields.amount.get().to_be_bytes());
        out.extend(fields.fee.get().to_be_bytes());
        out.extend(fields.sequence.get().to_be_bytes());
        out.extend(fields.reference);
        out.extend(fields.part.to_be_bytes());
        out.extend(fields.parts.to_be_bytes());
        out
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let fields = TermsFields {
            domain: reader.domain()?,
            payer: reader.channel_id()?,
            payee: reader.channel_id()?,
            amount: reader.amount()?,
            fee: reader.amount()?,
            sequence: Sequence::try_from(u64::from_be_bytes(reader.take()?))?,
            reference: reader.take()?,
            part: u16::from_be_bytes(reader.take()?),
            parts: u16::from_be_bytes(reader.take()?),
        };
        Self::try_from(fields).map_err(|_no_payment| DecodeError::Shape)
    }
}

/// What a hub asks for a payment; nothing, where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeePolicy {
    /// For every payment or part, in base units.
    pub base: Amount,
    /// Of the amount, in millionths; more than a million counts as a million.
    pub millionths: u32,
}

impl FeePolicy {
    /// Payments for nothing.
    pub const FREE: Self = Self { base: Amount::ZERO, millionths: 0 };

    /// The fee of `amount`, rounded up; none when it is no amount.
    #[must_use]
    pub fn fee(&self, amount: Amount) -> Option<Amount> {
        let rate = u128::from(self.millionths).min(MILLION);
        // In two steps, because 2^112 times a million does not fit.
        let whole = amount.get().checked_div(MILLION)?.checked_mul(rate)?;
        let rest = amount.get().checked_rem(MILLION)?.checked_mul(rate)?.div_ceil(MILLION);
        let share = whole.checked_add(rest)?;
        Amount::try_from(share).ok()?.checked_add(self.base)
    }
}

/// Splits `total` into amounts whose debit (with its fee) is at most `debit_max` and which are at most `credit_max`: all
/// as large as they may be, and the rest last. They are paid one after another.
///
/// # Errors
/// [`TermsError::Nothing`] and [`TermsError::TooManyParts`].
pub fn split(
    total: Amount,
    policy: &FeePolicy,
    debit_max: Amount,
    credit_max: Amount,
) -> Result<Vec<Amount>, TermsError> {
    if total == Amount::ZERO {
        return Err(TermsError::Nothing);
    }
    let most = part_max(policy, debit_max, credit_max);
    let (mut rest, mut parts) = (total, Vec::new());
    while rest > Amount::ZERO {
        let part = rest.min(most);
        if part == Amount::ZERO || parts.len() >= usize::from(PARTS_MAX) {
            return Err(TermsError::TooManyParts);
        }
        parts.push(part);
        rest = rest.checked_sub(part).unwrap_or(Amount::ZERO);
    }
    Ok(parts)
}

/// The largest amount that is at most `credit_max` and whose debit is at most `debit_max`; a fee never falls as the
/// amount grows, so halving finds it.
fn part_max(policy: &FeePolicy, debit_max: Amount, credit_max: Amount) -> Amount {
    let fits = |amount: Amount| {
        policy
            .fee(amount)
            .and_then(|fee| amount.checked_add(fee))
            .is_some_and(|debit| debit <= debit_max)
    };
    let (mut low, mut high) = (0, credit_max.get());
    while low < high {
        // The middle, rounded up.
        let middle = low.midpoint(high).max(low.saturating_add(1));
        if Amount::try_from(middle).is_ok_and(fits) {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    Amount::try_from(low).unwrap_or(Amount::ZERO)
}
