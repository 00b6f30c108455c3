//! What can go wrong at the network's boundary.

use std::io;
use std::path::PathBuf;

use crate::names::{Peer, Place};

/// Why a network does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {place}: {reason}")]
    Listen {
        /// The address.
        place: Place,
        /// Why not.
        reason: String,
    },
    /// The address book cannot be read.
    #[error("the address book {} cannot be read", path.display())]
    Book {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The library refuses a setting, or the system lacks something.
    #[error("the network cannot be set up: {0}")]
    Setup(String),
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many requests wait already, or the same peer has its share of them.
    #[error("too many requests are open")]
    Busy,
    /// No connection to the peer.
    #[error("{0} cannot be reached")]
    Unreachable(Peer),
    /// No answer in time. The peer may have done what was asked.
    #[error("{0} did not answer in time")]
    TimedOut(Peer),
    /// The connection ended, or the peer does not do this. It may have done what was asked.
    #[error("{peer} did not answer: {reason}")]
    Failed {
        /// The peer.
        peer: Peer,
        /// What happened.
        reason: String,
    },
    /// The answer does not decode, or does not belong to the question.
    #[error("{peer} answered nonsense: {reason}")]
    Nonsense {
        /// The peer.
        peer: Peer,
        /// What is wrong.
        reason: String,
    },
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

/// Why something is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The network is too busy; reconciliation carries it later.
    #[error("the network is busy")]
    Busy,
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}
