//! Why the follower cannot go on.

use crate::{cursor::BlockId, error::Retry, events::DecodeError};

/// Why the follower cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The chain was reorganised below everything that we remember.
    #[error(
        "the chain was reorganised below block {oldest}, deeper than we can follow: read it again from an older block"
    )]
    ReorgTooDeep {
        /// The oldest block remembered.
        oldest: BlockId,
    },
    /// A log of the vault is no event of the protocol.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The node answered something that was not asked. The follower itself waits this out; it is never returned by
    /// [`super::Follower::next`].
    #[error("the node's answer does not fit the question: {0}")]
    Inconsistent(&'static str),
}

impl FollowError {
    /// Whether the follower may go on later by itself. What [`super::Follower::next`] returns never does: it has waited
    /// already for as long as waiting could help.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Inconsistent(_) => Retry::Later(None),
            Self::ReorgTooDeep { .. } | Self::Decode(_) => Retry::Never,
        }
    }
}
