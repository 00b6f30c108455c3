//! Why a record is not taken over, and why a round ends early.

use super::CALLDATA_BYTES_MAX;
use super::record::RECORD_VERSION;
use crate::{
    account::AccountError,
    error::{Retry, RpcError},
};

/// Why a record can never be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It would fit no pool.
    #[error("calldata of {bytes} bytes is more than the {CALLDATA_BYTES_MAX} that nodes take")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It was written by another version of this program.
    #[error("the stored record has version {found}, this program reads {RECORD_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
}

/// Why a round ended early. Nothing is lost: the next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError<E> {
    /// The chain could not be looked at.
    #[error(transparent)]
    Rpc(RpcError),
    /// A record could not be stored, so nothing after it was done. Call [`super::Submitter::restart`] and hand over what
    /// is stored.
    #[error("a record could not be stored: {0}")]
    Store(E),
    /// The account does not sign.
    #[error(transparent)]
    Account(AccountError),
    /// An earlier round could not store a record.
    #[error("an earlier record could not be stored: start again from what is stored")]
    Abandoned,
}

impl<E> RoundError<E> {
    /// Whether the next round may succeed as things are. A node that fails for good may be replaced by another, so
    /// trouble with a node never ends an obligation.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Rpc(error) => error.retry(),
            // Not before the restart that the variant asks for.
            Self::Store(_) | Self::Abandoned | Self::Account(_) => Retry::Never,
        }
    }
}
