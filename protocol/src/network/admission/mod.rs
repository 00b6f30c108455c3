//! Admission: what is stored and forwarded, decided before it costs anything.
//!
//! ```text
//!   bytes -> size -> decode -> domain -> shard -> channel live -> role's key -> rate -> [signature] -> [store: nonce]
//!              |        |         |        |           |              |          |          |               |
//!            Reject   Reject   Reject   Ignore      Ignore*         Reject     Ignore     Reject     Accept / Ignore
//! ```
//!
//! Cheapest first. The signature is the driver's to check, off its network task and in batches; the nonce is compared in
//! the store's transaction. Both report back and get the verdict.
//!
//! Only a fault that the sender could not have made honestly costs it score: it is a [`Fault`]. A channel that this tower
//! does not know (*) may be newer than what it has read: that is ignored, unless the sender named a block that this
//! tower's final chain has passed.
//!
//! **Invariant:** whatever strangers can make grow has a capacity, and what happens there is counted.

mod alert;
mod bucket;
mod gate;

pub use alert::{AlertDesk, AlertLimits, AlertStep, AlertView, Heard, Look, Looks};
pub use bucket::{BucketStats, Buckets, Rate};
pub use gate::{
    Gate, GateLimits, Looked, Next, Offer, Pending, Place, Source, Step, Stored, Verified,
};

use crate::{ids::Nonce, network::wire::Refusal};

/// What becomes of something offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is new and sound: it is stored, and is forwarded.
    Accept,
    /// It is not wanted, and nobody is to blame.
    Ignore(Ignored),
    /// The sender is to blame.
    Reject(Fault),
}

impl Verdict {
    /// A name for counters, from a closed set.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Ignore(reason) => reason.label(),
            Self::Reject(fault) => fault.label(),
        }
    }

    /// What a submitter is told; none if it gets a receipt, which it does for what is held already, too.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match *self {
            Self::Accept | Self::Ignore(Ignored::Same) => None,
            Self::Ignore(reason) => Some(reason.refusal()),
            Self::Reject(fault) => Some(fault.refusal()),
        }
    }
}

/// Why something is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// This tower does not keep the shard.
    NotKept,
    /// The channel is unknown here, as of this block.
    Unknown {
        /// The newest block read.
        head: u64,
    },
    /// The channel is settled, closed or not yet accepted.
    NotLive,
    /// The sender has had its share for now.
    SenderBusy {
        /// Milliseconds until one more is taken.
        retry_after_ms: u64,
    },
    /// The slot has had its share for now, whoever sends.
    SlotBusy {
        /// Milliseconds until one more is taken.
        retry_after_ms: u64,
    },
    /// Too many signatures wait to be checked.
    Overloaded,
    /// The slot holds a greater nonce.
    Older {
        /// The nonce held.
        held: Nonce,
    },
    /// The very same is held, or was heard.
    Same,
    /// Another envelope of this nonce with a smaller id is held. Both are evidence.
    ConflictLost {
        /// The nonce of both.
        nonce: Nonce,
    },
    /// The nonce rises too fast.
    TooFast {
        /// The greatest nonce taken now.
        allowed: Nonce,
        /// Milliseconds until the limit is measured anew.
        retry_after_ms: u64,
    },
    /// It is too old, or from the future.
    Untimely,
    /// This tower's store failed.
    Failed,
}

/// After how many milliseconds a tower that is overloaded or failed is worth another try.
const RETRY_MS: u64 = 1_000;

impl Ignored {
    const fn label(&self) -> &'static str {
        match self {
            Self::NotKept => "not_kept",
            Self::Unknown { .. } => "unknown_channel",
            Self::NotLive => "not_live",
            Self::SenderBusy { .. } => "sender_busy",
            Self::SlotBusy { .. } => "slot_busy",
            Self::Overloaded => "overloaded",
            Self::Older { .. } => "older",
            Self::Same => "same",
            Self::ConflictLost { .. } => "conflict_lost",
            Self::TooFast { .. } => "too_fast",
            Self::Untimely => "untimely",
            Self::Failed => "failed",
        }
    }

    const fn refusal(self) -> Refusal {
        match self {
            Self::NotKept => Refusal::NotKept,
            Self::Unknown { head } => Refusal::UnknownChannel { head },
            Self::NotLive | Self::Untimely => Refusal::NotLive,
            Self::SenderBusy { retry_after_ms } | Self::SlotBusy { retry_after_ms } => {
                Refusal::Busy { retry_after_ms }
            }
            Self::Overloaded | Self::Same => Refusal::Busy { retry_after_ms: RETRY_MS },
            Self::Older { held } => Refusal::Older { held },
            Self::ConflictLost { nonce } => Refusal::Conflict { nonce },
            Self::TooFast { allowed, retry_after_ms } => {
                Refusal::TooFast { allowed, retry_after_ms }
            }
            Self::Failed => Refusal::Failed { retry_after_ms: RETRY_MS },
        }
    }
}

/// What no honest sender does: it validates before it forwards, as this tower does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Not the length that everything of its kind has.
    Size,
    /// Not a canonical encoding, or of an unknown version.
    Malformed,
    /// Of another vault.
    OtherDomain,
    /// On the topic of another shard.
    OtherShard,
    /// Nonce 0, which nothing signed has.
    NonceZero,
    /// The sender says that a block had the channel; the final chain has passed it and has none.
    FalseClaim,
    /// Not signed by the role's channel key, or not by the account that it names.
    Signature,
}

impl Fault {
    const fn label(&self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Malformed => "malformed",
            Self::OtherDomain => "other_domain",
            Self::OtherShard => "other_shard",
            Self::NonceZero => "nonce_zero",
            Self::FalseClaim => "false_claim",
            Self::Signature => "signature",
        }
    }

    const fn refusal(self) -> Refusal {
        match self {
            Self::Size | Self::Malformed | Self::NonceZero | Self::OtherShard => Refusal::Malformed,
            Self::OtherDomain => Refusal::OtherDomain,
            Self::FalseClaim => Refusal::NotLive,
            Self::Signature => Refusal::BadSignature,
        }
    }

    /// How much it weighs, 1 to 10. A signature that does not verify cost work, and takes malice or a broken sender; a
    /// false claim about the chain can come from a sender whose own endpoint lies to it.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Self::FalseClaim => 1,
            Self::Size | Self::Malformed | Self::OtherDomain | Self::OtherShard => 5,
            Self::NonceZero | Self::Signature => 10,
        }
    }
}

#[cfg(test)]
mod tests;
