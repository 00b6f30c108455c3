//! Why a node does not go on, and why it does not do what it was asked for.

use protocol::payment::{hub::HubError, wallet::PayError};
use protocol::zksc::handshake::Refusal;
use store::StoreError;

use crate::rows::RowError;

/// Why a node stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The store. What was not stored was not sent either; the next start goes on from what was.
    #[error("the store: {0}; nothing that was not stored has left this machine")]
    Store(#[from] StoreError),
    /// A row.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A wallet cannot go on from its record.
    #[error("channel's wallet: {0}")]
    Wallet(#[from] PayError),
    /// A hub cannot go on from its records.
    #[error("hub: {0}")]
    Hub(#[from] HubError),
    /// The network.
    #[error(transparent)]
    Network(#[from] gossip::StartError),
    /// The channel's dispute key is not the one that the chain has the hash of.
    #[error("the seed does not belong to channel {0}: its keys are not those on the chain")]
    OtherSeed(protocol::ChannelId),
    /// The restored state cannot be gone on from.
    #[error("channel {channel} cannot go on from its restored state: {reason}")]
    Restore {
        /// The channel.
        channel: protocol::ChannelId,
        /// Why.
        reason: String,
    },
    /// Another part of the node has ended.
    #[error("a part of the node has ended: {0}")]
    Gone(&'static str),
}

/// Why a request is not done. Nothing has changed then, unless the message says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// For machines.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl std::fmt::Display) -> Self {
        Self { status, code, message: message.to_string() }
    }

    /// What was sent makes no sense.
    pub(crate) fn bad(message: impl std::fmt::Display) -> Self {
        Self::new(400, "bad_request", message)
    }

    /// There is no such thing.
    pub(crate) fn missing(message: impl std::fmt::Display) -> Self {
        Self::new(404, "not_found", message)
    }

    /// The payee's channel is not on the chain that this node follows, or not final there yet.
    pub(crate) fn no_payee(payee: protocol::ChannelId) -> Self {
        let words = "the chain that this node follows has no usable channel";
        Self::new(404, "no_payee", format!("{words} {payee}, as far as it is final"))
    }

    /// It makes sense, and cannot be done as things stand.
    pub(crate) fn refused(message: impl std::fmt::Display) -> Self {
        Self::new(409, "refused", message)
    }

    /// It makes sense, and can be done soon, without anybody's doing: ask again.
    pub(crate) fn not_now(message: impl std::fmt::Display) -> Self {
        Self::new(409, "not_now", message)
    }

    /// This node has another role.
    pub(crate) fn role(message: impl std::fmt::Display) -> Self {
        Self::new(409, "other_role", message)
    }

    /// Not now.
    pub(crate) fn busy(message: impl std::fmt::Display) -> Self {
        Self::new(503, "busy", message)
    }
}

impl From<PayError> for ApiError {
    fn from(error: PayError) -> Self {
        match error {
            PayError::Terms(_) => Self::bad(error),
            PayError::Handshake(Refusal::Busy) => Self::not_now(error),
            _ => Self::refused(error),
        }
    }
}

/// A failed write stops the node; whoever asked is told to ask again.
impl From<&NodeError> for ApiError {
    fn from(error: &NodeError) -> Self {
        Self::new(503, "stopping", error)
    }
}
