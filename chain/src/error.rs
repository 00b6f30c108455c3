//! What can go wrong between us and a node, and what to do about it.
//!
//! Every error says whether trying again can help ([`RpcError::retry`]) and what a person should do
//! ([`RpcError::advice`]). Addresses of nodes are shown without path, query and credentials, because providers put
//! their access keys there.

use std::time::Duration;

use alloy_primitives::Bytes;

use crate::verify::VerifyError;

/// Whether a failed request is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request may succeed later; wait at least this long if a time is given.
    Later(Option<Duration>),
    /// The same request will fail again until somebody changes something.
    Never,
}

/// Why a request to a node gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The configured address cannot be used at all.
    #[error("the node's address is not usable: {reason}")]
    Address {
        /// What is wrong with it, without repeating it (it may carry a key).
        reason: String,
    },
    /// No node can be spoken to from this machine, whatever its address.
    #[error("this machine cannot speak HTTP to any node: {reason}")]
    Machine {
        /// What is missing.
        reason: String,
    },
    /// No connection, or it broke.
    #[error("cannot reach the node at {endpoint}: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// What the transport said.
        reason: String,
    },
    /// The node took too long.
    #[error("the node at {endpoint} did not answer {method} within {} ms", after.as_millis())]
    TimedOut {
        /// Scheme, host and port.
        endpoint: String,
        /// The JSON-RPC method.
        method: String,
        /// How long we waited.
        after: Duration,
    },
    /// The node asks for fewer requests.
    #[error("the node at {endpoint} limits our requests")]
    RateLimited {
        /// Scheme, host and port.
        endpoint: String,
        /// How long it wants us to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// The node understood the request and refused it.
    #[error("the node refused {method}: {message} (code {code})")]
    Refused {
        /// The JSON-RPC method.
        method: String,
        /// The JSON-RPC error code.
        code: i64,
        /// The node's words, shortened to [`MESSAGE_BYTES_MAX`].
        message: String,
        /// Revert data, when the node sent some.
        data: Option<Bytes>,
    },
    /// The node answered something that is no answer.
    #[error("the node's answer to {method} cannot be read: {reason}")]
    Malformed {
        /// The JSON-RPC method.
        method: String,
        /// What did not fit.
        reason: String,
    },
    /// The node's answer was held against the chain and is wrong, or cannot be checked.
    #[error("what the node at {endpoint} says is not believed: {reason}")]
    Unverified {
        /// Scheme, host and port.
        endpoint: String,
        /// What did not fit.
        reason: VerifyError,
    },
    /// The node is on another chain than it was, or than it should be.
    #[error("the node at {endpoint} is on chain {found}, not on {expected}")]
    WrongChain {
        /// Scheme, host and port.
        endpoint: String,
        /// Our chain.
        expected: u64,
        /// Its chain.
        found: u64,
    },
    /// Too few nodes see the same block.
    #[error("only {agreeing} of the nodes agree on {what}, {needed} are needed")]
    NoQuorum {
        /// What is not agreed on.
        what: String,
        /// How many see the same.
        agreeing: usize,
        /// How many must.
        needed: usize,
    },
}

/// The most that is kept of a node's error message: it ends up in logs and records.
pub const MESSAGE_BYTES_MAX: usize = 300;

/// JSON-RPC: the method does not exist.
pub(crate) const CODE_METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC: the parameters are wrong.
const CODE_INVALID_PARAMS: i64 = -32602;
/// Ethereum: execution reverted.
pub(crate) const CODE_REVERTED: i64 = 3;

impl RpcError {
    /// Whether the same request may succeed later.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Address { .. } | Self::Machine { .. } => Retry::Never,
            Self::Refused { code, .. } => match *code {
                CODE_METHOD_NOT_FOUND | CODE_INVALID_PARAMS | CODE_REVERTED => Retry::Never,
                _ => Retry::Later(None),
            },
            Self::RateLimited { retry_after, .. } => Retry::Later(*retry_after),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Malformed { .. }
            | Self::Unverified { .. }
            | Self::WrongChain { .. }
            | Self::NoQuorum { .. } => Retry::Later(None),
        }
    }

    /// What a person can do about it, in one sentence.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Address { .. } => {
                "give an address like http://127.0.0.1:8545 or wss://node.example/key"
            }
            Self::Machine { .. } => {
                "install the certificates of the operating system (Debian: the package ca-certificates)"
            }
            Self::Unreachable { .. } => "check that the node runs and that its address is right",
            Self::TimedOut { .. } => "check the node's load, or allow more time per request",
            Self::RateLimited { .. } => {
                "use a node of your own, or a plan that allows more requests"
            }
            Self::Refused { .. } => {
                "see the node's message; an execution client from 2025 or later is needed"
            }
            Self::Malformed { .. } => {
                "check that the address is that of an Ethereum execution client"
            }
            Self::Unverified { reason: VerifyError::UnknownReceiptType { .. }, .. } => {
                "set chain.verify to \"bloom\" and use several nodes: receipts of this chain cannot be hashed again"
            }
            Self::Unverified { reason: VerifyError::UnknownHeaderField { .. }, .. } => {
                "if all nodes say so it is a hard fork: install a version of this program that knows it; until then set chain.verify to \"off\", with several endpoints of different operators and chain.quorum of at least 2"
            }
            Self::Unverified { .. } => {
                "use another node; if all of them do, the chain's headers may have changed: look for a new version"
            }
            Self::WrongChain { .. } => "point the configuration to nodes of the configured chain",
            Self::NoQuorum { .. } => {
                "wait for the nodes to agree; if they do not, find out which one is right"
            }
        }
    }
}

/// Shortens what a stranger's machine said, on a character boundary.
pub(crate) fn shortened(message: &str) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let mut end = MESSAGE_BYTES_MAX;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let message = "\u{e9}".repeat(MESSAGE_BYTES_MAX);
        let short = shortened(&message);
        assert!(short.len() <= MESSAGE_BYTES_MAX && message.starts_with(&short));
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn a_revert_is_not_retried_and_a_silent_node_is() {
        let refused = |code| RpcError::Refused {
            method: "eth_call".to_owned(),
            code,
            message: String::new(),
            data: None,
        };
        assert_eq!(refused(CODE_REVERTED).retry(), Retry::Never);
        assert_eq!(refused(-32000).retry(), Retry::Later(None));
        let silent = RpcError::TimedOut {
            endpoint: "http://127.0.0.1".to_owned(),
            method: "eth_call".to_owned(),
            after: Duration::from_secs(1),
        };
        assert_eq!(silent.retry(), Retry::Later(None));
    }
}
