//! What the nodes tell each other about payments, beside the handshake: fixed widths, a format byte and a kind byte first.
//!
//! Every message may be lost, repeated and reordered: it asks for what the other side may answer again.

use super::{receipt::SignedReceipt, terms::Terms};
use crate::{
    encoding::{DecodeError, Reader},
    ids::Sequence,
    zksc::PaymentId,
};

const FORMAT: u8 = 1;

/// Why a payment does not take place.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The hub has no live channel with the payee, or not of this vault and asset.
    #[error("the hub does not serve the payee")]
    UnknownPayee,
    /// The fee is below the hub's.
    #[error("the fee is too small")]
    Fee,
    /// The amount is outside the hub's limits for one payment.
    #[error("the amount is outside the hub's limits")]
    Amount,
    /// The payer has as much under way as the hub allows.
    #[error("the payer's limit of what is under way is reached")]
    Limit,
    /// The payee's escrow cannot hold the credit.
    #[error("the hub lacks liquidity towards the payee")]
    Liquidity,
    /// The sequence was used.
    #[error("the sequence was used before")]
    Past,
    /// The debit did not come in time, or does not fit what was accepted.
    #[error("the debit is not the accepted one")]
    Debit,
    /// The hub's history of the channel differs.
    #[error("the hub's history of the channel differs")]
    History,
    /// A channel is being ended, or the payer's debit was lost in a dispute.
    #[error("a channel of the payment is being ended")]
    Ending,
    /// The payee could not be reached in time.
    #[error("the payee could not be reached in time")]
    Unreachable,
    /// The payment came back unused: the payer was credited again.
    #[error("the payment was paid back")]
    PaidBack,
    /// The debit is not backed now: not final, not protected, or below a dispute. It passes: the hub offers again.
    #[error("the debit is not backed now")]
    NotBacked,
    /// The payment was credited before: this payee has forgotten it.
    #[error("the payment was credited before")]
    Credited,
    /// The person took the order back, or an earlier attempt of it was debited after all.
    #[error("the order was taken back, or an earlier attempt of it was debited after all")]
    Cancelled,
}

impl Reason {
    const ALL: [Self; 14] = [
        Self::UnknownPayee,
        Self::Fee,
        Self::Amount,
        Self::Limit,
        Self::Liquidity,
        Self::Past,
        Self::Debit,
        Self::History,
        Self::Ending,
        Self::Unreachable,
        Self::PaidBack,
        Self::NotBacked,
        Self::Credited,
        Self::Cancelled,
    ];

    fn byte(self) -> u8 {
        let at = Self::ALL.iter().position(|reason| *reason == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    }

    fn of(byte: u8) -> Result<Self, DecodeError> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(DecodeError::Kind(byte))
    }
}

/// One message about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Payer to hub: may I, and how does it stand? Repeated until the payment has ended.
    Request(Terms),
    /// Hub to payer: propose the debit.
    Accepted(PaymentId),
    /// Hub to payer: not taken, and nothing debited. `next` is the least sequence that the hub has not seen.
    Refused {
        /// The payment.
        payment: PaymentId,
        /// Why.
        reason: Reason,
        /// The least sequence that is free.
        next: Sequence,
    },
    /// Hub to payer: the payment cannot be credited; propose a credit of the debited amount with the same id.
    PayBack(Terms),
    /// Hub to payee: the debit is final and protected; propose the credit.
    Offer(Terms),
    /// Payee to hub, hub to payer: the payment reached the payee.
    Receipt(SignedReceipt),
    /// Hub to payee: the receipt is durable here.
    ReceiptKept(PaymentId),
    /// Payer to hub: the payment has ended here; forget it.
    Done(PaymentId),
    /// Hub to payer: the credit is final; the payee has given no receipt yet. The hub's word alone: it ends nothing.
    Credited(PaymentId),
}

impl Message {
    /// Bytes of the longest message.
    pub const MAX_LEN: usize = 2 + Terms::LEN;

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Request(terms) => (1, terms.to_bytes()),
            Self::Accepted(payment) => (2, payment.0.to_vec()),
            Self::Refused { payment, reason, next } => {
                let next = next.get().to_be_bytes();
                (3, [payment.0.as_slice(), &[reason.byte()], &next].concat())
            }
            Self::PayBack(terms) => (4, terms.to_bytes()),
            Self::Offer(terms) => (5, terms.to_bytes()),
            Self::Receipt(SignedReceipt { payment, signature }) => {
                (6, [payment.0.as_slice(), &signature.to_bytes()].concat())
            }
            Self::ReceiptKept(payment) => (7, payment.0.to_vec()),
            Self::Done(payment) => (8, payment.0.to_vec()),
            Self::Credited(payment) => (9, payment.0.to_vec()),
        };
        [&[FORMAT, kind], body.as_slice()].concat()
    }

    /// Reads what [`Message::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, bytes.len().min(Self::MAX_LEN))?;
        match reader.byte()? {
            FORMAT => {}
            other => return Err(DecodeError::Version(other)),
        }
        let message = match reader.byte()? {
            1 => Self::Request(Terms::read(&mut reader)?),
            2 => Self::Accepted(PaymentId(reader.take()?)),
            3 => Self::Refused {
                payment: PaymentId(reader.take()?),
                reason: Reason::of(reader.byte()?)?,
                next: Sequence::try_from(u64::from_be_bytes(reader.take()?))?,
            },
            4 => Self::PayBack(Terms::read(&mut reader)?),
            5 => Self::Offer(Terms::read(&mut reader)?),
            6 => {
                let payment = PaymentId(reader.take()?);
                Self::Receipt(SignedReceipt { payment, signature: reader.signature()? })
            }
            7 => Self::ReceiptKept(PaymentId(reader.take()?)),
            8 => Self::Done(PaymentId(reader.take()?)),
            9 => Self::Credited(PaymentId(reader.take()?)),
            other => return Err(DecodeError::Kind(other)),
        };
        reader.finish()?;
        Ok(message)
    }
}
