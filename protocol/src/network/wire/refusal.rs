//! Why a tower does not do what it was asked: one code byte and two numbers, 17 bytes.

use super::WireError;
use super::codec::{Writer, read_u64};
use crate::{
    encoding::{DecodeError, Reader},
    ids::Nonce,
};

/// A refusal. Times are spans, because clocks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no envelope, or one with nonce 0.
    #[error("malformed")]
    Malformed,
    /// The tower serves another vault.
    #[error("of another vault")]
    OtherDomain,
    /// The tower's chain has no such channel, as of the block `head` that it has read. A sender that saw the channel in a
    /// later block tries again.
    #[error("unknown channel at block {head}")]
    UnknownChannel {
        /// The newest block that the tower has read.
        head: u64,
    },
    /// The channel is settled, closed or not yet accepted.
    #[error("the channel is not live")]
    NotLive,
    /// The signature is not that of the role's channel key.
    #[error("the signature is not that of the role's channel key")]
    BadSignature,
    /// The slot holds a greater nonce.
    #[error("older than nonce {held}, which is held")]
    Older {
        /// The nonce held.
        held: Nonce,
    },
    /// The slot holds another envelope of this nonce, with a smaller id. Both are kept as evidence.
    #[error("another envelope with nonce {nonce} and a smaller id is held")]
    Conflict {
        /// The nonce of both.
        nonce: Nonce,
    },
    /// The slot's nonce rises too fast.
    #[error("nonces up to {allowed} are taken now; more in {retry_after_ms} ms")]
    TooFast {
        /// The greatest nonce that is taken now.
        allowed: Nonce,
        /// Milliseconds until the limit is measured anew.
        retry_after_ms: u64,
    },
    /// The sender, the channel or the tower as a whole has had its share for now.
    #[error("busy; try again in {retry_after_ms} ms")]
    Busy {
        /// Milliseconds until it is worth trying again.
        retry_after_ms: u64,
    },
    /// The tower does not keep the channel's shard.
    #[error("the tower does not keep this shard")]
    NotKept,
    /// The tower could not make it durable. Nothing was promised.
    #[error("the tower failed; try again in {retry_after_ms} ms")]
    Failed {
        /// Milliseconds until it is worth trying again.
        retry_after_ms: u64,
    },
}

impl Refusal {
    /// Bytes of an encoded refusal.
    pub const LEN: usize = 17;

    /// After how many milliseconds the same request may succeed; none if it never will.
    #[must_use]
    pub const fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::TooFast { retry_after_ms, .. }
            | Self::Busy { retry_after_ms }
            | Self::Failed { retry_after_ms } => Some(*retry_after_ms),
            // The next block may bring the channel.
            Self::UnknownChannel { .. } => Some(12_000),
            Self::Malformed
            | Self::OtherDomain
            | Self::NotLive
            | Self::BadSignature
            | Self::Older { .. }
            | Self::Conflict { .. }
            | Self::NotKept => None,
        }
    }

    pub(super) fn write(&self, out: Writer) -> Writer {
        let (code, first, second) = match *self {
            Self::Malformed => (1, 0, 0),
            Self::OtherDomain => (2, 0, 0),
            Self::UnknownChannel { head } => (3, head, 0),
            Self::NotLive => (4, 0, 0),
            Self::BadSignature => (5, 0, 0),
            Self::Older { held } => (6, held.get(), 0),
            Self::Conflict { nonce } => (7, nonce.get(), 0),
            Self::TooFast { allowed, retry_after_ms } => (8, allowed.get(), retry_after_ms),
            Self::Busy { retry_after_ms } => (9, 0, retry_after_ms),
            Self::NotKept => (10, 0, 0),
            Self::Failed { retry_after_ms } => (11, 0, retry_after_ms),
        };
        out.byte(code).u64(first).u64(second)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let code = reader.byte()?;
        let (first, second) = (read_u64(reader)?, read_u64(reader)?);
        let nonce =
            || Nonce::try_from(first).map_err(|error| WireError::from(DecodeError::Id(error)));
        let refusal = match code {
            1 => Self::Malformed,
            2 => Self::OtherDomain,
            3 => Self::UnknownChannel { head: first },
            4 => Self::NotLive,
            5 => Self::BadSignature,
            6 => Self::Older { held: nonce()? },
            7 => Self::Conflict { nonce: nonce()? },
            8 => Self::TooFast { allowed: nonce()?, retry_after_ms: second },
            9 => Self::Busy { retry_after_ms: second },
            10 => Self::NotKept,
            11 => Self::Failed { retry_after_ms: second },
            other => return Err(DecodeError::Kind(other).into()),
        };
        let unused = match refusal {
            Self::UnknownChannel { .. } | Self::Older { .. } | Self::Conflict { .. } => second,
            Self::TooFast { .. } => 0,
            Self::Busy { .. } | Self::Failed { .. } => first,
            _ => first | second,
        };
        if unused == 0 { Ok(refusal) } else { Err(DecodeError::Shape.into()) }
    }
}
