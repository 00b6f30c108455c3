//! A link without sockets, for tests of what is above it: whoever holds the [`Wire`] carries out what the node asks for.

use tokio::sync::{mpsc, watch};

use super::{COMMANDS_MAX, Command, LinkHandle};
use crate::names::{Peer, Place};

/// What a node asked of its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Send a frame to a peer.
    Send(Peer, Vec<u8>),
    /// Stay connected with the peer at this place.
    Keep(Place),
    /// Close the connections with a peer.
    Leave(Peer),
}

/// Where a node's requests come out.
#[derive(Debug)]
pub struct Wire(mpsc::Receiver<Command>);

impl Wire {
    /// The next request; none once every handle is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Asked> {
        Some(match self.0.recv().await? {
            Command::Send(peer, frame) => Asked::Send(peer, frame),
            Command::Keep(place) => Asked::Keep(place),
            Command::Leave(peer) => Asked::Leave(peer),
        })
    }
}

/// The end of a node of this name that listens at `places`, and its wire.
#[must_use]
pub fn handle(me: Peer, places: Vec<Place>) -> (LinkHandle, Wire) {
    let (commands, asked) = mpsc::channel(COMMANDS_MAX);
    let (_show, places) = watch::channel(places);
    (LinkHandle { me, commands, places }, Wire(asked))
}
