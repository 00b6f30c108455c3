//! How a simulated call ends when it does not succeed.

use alloy_primitives::Bytes;

use crate::error::{CODE_REVERTED, Retry, RpcError};

/// Why a simulated call gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The contract refused: the same call fails until the chain's state changes.
    #[error("the call reverts{}", if data.is_empty() { String::new() } else { format!(" with {data}") })]
    Reverted {
        /// The encoded custom error, possibly empty.
        data: Bytes,
    },
    /// The node gave no answer; says nothing about the call.
    #[error(transparent)]
    Rpc(RpcError),
}

impl CallError {
    /// Whether the same call may give a result later. A revert is the contract's answer to the state as it is.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Reverted { .. } => Retry::Never,
            Self::Rpc(error) => error.retry(),
        }
    }
}

impl From<RpcError> for CallError {
    /// Nodes report a revert under different codes. What counts as one: the code 3, or revert data that came along,
    /// or the words of a revert. Everything else is taken as the node's trouble, which is never a verdict.
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Refused { code, data, message, .. }
                if code == CODE_REVERTED
                    || data.as_ref().is_some_and(|data| !data.is_empty())
                    || message.contains("execution reverted") =>
            {
                Self::Reverted { data: data.unwrap_or_default() }
            }
            other => Self::Rpc(other),
        }
    }
}
