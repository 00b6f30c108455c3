//! Connections between the nodes of a channel: a small swarm beside the towers' one, with one protocol and no gossip.
//!
//! ```text
//!   node --LinkHandle (bounded, never waits)--> loop (owns the swarm) <--Noise over QUIC or TCP--> other nodes
//!   node <--LinkEvent (bounded)----------------'
//! ```
//!
//! Frames to one peer leave in order and share a request: while one is answered, the next ones gather. A request is
//! answered once its frames are in the node's queue; at the bound of that queue the answer, and with it the peer, waits.
//!
//! At the bounds: frames beyond [`WAITING_MAX`] for one peer are dropped, as are those for a peer that is not connected
//! (the machines above repeat what is not answered); a request beyond [`REQUEST_MAX`] bytes is refused unread, as is one of a peer
//! whose own line is full (`inbound`); peers beyond [`LinkConfig::peers_max`], and connections of one address beyond
//! [`LinkConfig::per_ip_max`], are not let in. A peer that answers no ping is let go, and dialled again if it is to be kept.
//!
//! **Invariant:** whoever calls the handle never waits for the network.
//! **Invariant:** no peer takes another's place in the node's queue.
//! **Invariant:** a frame comes from the peer that it is said to come from: Noise proves the peer's key.

mod batch;
mod inbound;
mod outbound;
mod run;
#[cfg(feature = "testing")]
pub mod testing;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use libp2p::identity::Keypair;
use tokio::sync::{mpsc, watch};

use crate::error::StartError;
use crate::identity::Identity;
use crate::names::{Peer, Place};

pub use run::LinkLoop;

/// The protocol's name.
pub const CHANNEL_PROTOCOL: &str = "/vrc/channel/1";
/// Most bytes of one request: many frames, or a few of the longest.
pub const REQUEST_MAX: usize = 64 * 1024;
/// Frames that may wait for one peer.
pub const WAITING_MAX: usize = 1_024;
/// Events that may wait for the node; beyond it each peer has a line of its own.
const EVENTS_MAX: usize = 1_024;
/// Commands that may wait for the loop.
const COMMANDS_MAX: usize = 4_096;

/// How nodes are linked.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Where to listen; nothing for a node that only dials.
    pub listen: Vec<Place>,
    /// Where others reach it, if that is another address than those it listens at: behind a router, or under a name. Shown first.
    pub announce: Vec<Place>,
    /// Peers at a time.
    pub peers_max: NonZeroU32,
    /// Connections that one address may open at a time (an IPv6 /64 counts as one); this machine's own may open any number.
    pub per_ip_max: NonZeroUsize,
    /// How long a request may go without an answer.
    pub request_timeout: Duration,
}

impl Default for LinkConfig {
    /// No listening, 4,096 peers, 64 connections of an address, 10 seconds.
    fn default() -> Self {
        let peers_max = NonZeroU32::MIN.saturating_add(4_095);
        let per_ip_max = NonZeroUsize::MIN.saturating_add(63);
        let request_timeout = Duration::from_secs(10);
        Self { listen: Vec::new(), announce: Vec::new(), peers_max, per_ip_max, request_timeout }
    }
}

/// What the node hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A peer is connected.
    Up(Peer),
    /// Where a connected peer comes from, if it is another machine: an address, or an IPv6 subscriber's /64.
    Home(Peer, std::net::IpAddr),
    /// A peer is gone. What was on its way to it may be lost.
    Down(Peer),
    /// A frame of a peer.
    Frame(Peer, Vec<u8>),
}

/// What the loop is told.
#[derive(Debug)]
enum Command {
    Send(Peer, Vec<u8>),
    Keep(Place),
    Leave(Peer),
}

/// Why a frame is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Too much waits for the loop.
    #[error("too much waits to be sent")]
    Busy,
    /// The loop has ended.
    #[error("the link has stopped")]
    Stopped,
    /// A frame longer than a request may be.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// The address names no peer, so nobody could be held to it.
    #[error("the address does not end with /p2p/ and the peer's name")]
    NoPeer,
}

/// The node's end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LinkHandle {
    me: Peer,
    commands: mpsc::Sender<Command>,
    places: watch::Receiver<Vec<Place>>,
}

impl LinkHandle {
    /// Who this node is on the network.
    #[must_use]
    pub const fn me(&self) -> Peer {
        self.me
    }

    /// Sends a frame when the peer is connected, in order with those before; else it is dropped.
    ///
    /// # Errors
    /// [`LinkError`]; nothing is sent then.
    pub fn send(&self, peer: Peer, frame: Vec<u8>) -> Result<(), LinkError> {
        if frame.len() > batch::FRAME_MAX {
            return Err(LinkError::TooLong(frame.len()));
        }
        self.tell(Command::Send(peer, frame))
    }

    /// Dials a peer now, and again whenever the connection is lost.
    ///
    /// # Errors
    /// [`LinkError::NoPeer`] when the address names none, [`LinkError::Busy`], [`LinkError::Stopped`].
    pub fn keep(&self, place: Place) -> Result<(), LinkError> {
        if place.peer().is_none() {
            return Err(LinkError::NoPeer);
        }
        self.tell(Command::Keep(place))
    }

    /// Closes the connections with a peer: it says nothing that can be used.
    ///
    /// # Errors
    /// [`LinkError::Busy`], [`LinkError::Stopped`].
    pub fn leave(&self, peer: Peer) -> Result<(), LinkError> {
        self.tell(Command::Leave(peer))
    }

    fn tell(&self, command: Command) -> Result<(), LinkError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LinkError::Busy,
            mpsc::error::TrySendError::Closed(_) => LinkError::Stopped,
        })
    }

    /// Where this node listens, with its name at the end; fills as the ports open.
    #[must_use]
    pub fn places(&self) -> watch::Receiver<Vec<Place>> {
        self.places.clone()
    }
}

impl Identity {
    /// The identity of 32 secret bytes: always the same one, so that a seed restores it.
    ///
    /// # Errors
    /// [`StartError::Setup`] for bytes that are no key; ed25519 has none.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, StartError> {
        let mut bytes = *secret;
        Keypair::ed25519_from_bytes(&mut bytes)
            .map(Self)
            .map_err(|error| StartError::Setup(error.to_string()))
    }
}

/// Sets a link up and opens its ports. Must be called inside a runtime.
///
/// # Errors
/// See [`StartError`].
pub fn open(
    config: &LinkConfig,
    identity: &Identity,
) -> Result<(LinkHandle, mpsc::Receiver<LinkEvent>, LinkLoop), StartError> {
    let (commands, to_do) = mpsc::channel(COMMANDS_MAX);
    let (events, heard) = mpsc::channel(EVENTS_MAX);
    let announced = config.announce.iter().map(|place| place.with_peer(identity.peer())).collect();
    let (show, places) = watch::channel(announced);
    let running = LinkLoop::new(config, identity, (to_do, events, Arc::new(show)))?;
    Ok((LinkHandle { me: identity.peer(), commands, places }, heard, running))
}
