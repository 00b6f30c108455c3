//! What a network is started with. Every bound has its default and the reason for it here.

use std::path::PathBuf;
use std::time::Duration;

use protocol::Domain;
use protocol::network::ShardSet;

use crate::names::Place;

/// What carries connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carrier {
    /// QUIC and TCP.
    #[default]
    Sockets,
    /// Channels inside this process (`/memory/<n>`), with the same security and framing as TCP: for simulations.
    Memory,
}

/// Whether others can open connections to this tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reachable {
    /// Ask other towers (`AutoNAT`), and use relays and hole punching meanwhile.
    #[default]
    Ask,
    /// The operator knows that the listening addresses are reachable: a server, a local network, a devnet.
    Yes,
}

/// What a network is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The vault whose towers are looked for.
    pub domain: Domain,
    /// The shards whose topics are followed.
    pub shards: ShardSet,
    /// Where to listen. Empty: outbound connections only.
    pub listen: Vec<Place>,
    /// Addresses under which others reach this tower, when they are known.
    pub external: Vec<Place>,
    /// Towers to begin with; several, run by different people, make an eclipse harder.
    pub bootstrap: Vec<Place>,
    /// Where the address book is kept. None: it is not kept.
    pub book: Option<PathBuf>,
    /// Whether others can open connections to this tower.
    pub reachable: Reachable,
    /// Carry connections for towers behind NAT.
    pub relay_server: bool,
    /// Look for towers on the local network. Tells everybody there that a tower runs here.
    pub mdns: bool,
    /// Answer reconciliation, as towers do. A node that only hands over its own backups does not, and no tower counts it as one.
    pub reconciles: bool,
    /// What carries connections.
    pub carrier: Carrier,
    /// The bounds.
    pub limits: Limits,
}

impl Config {
    /// A network of one vault, listening nowhere, knowing nobody.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            shards: ShardSet::ALL,
            listen: Vec::new(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            book: None,
            reachable: Reachable::default(),
            relay_server: false,
            mdns: false,
            reconciles: true,
            carrier: Carrier::default(),
            limits: Limits::default(),
        }
    }
}

/// The bounds of the network, and what happens there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Connections in all. More are refused. A mesh needs a dozen; the rest serve nodes that submit.
    pub connections_max: u32,
    /// Inbound connections. More are refused; the places left belong to connections that we open, so that strangers
    /// never hold all of them.
    pub inbound_max: u32,
    /// Connections that are being opened from outside. More are refused.
    pub pending_inbound_max: u32,
    /// Connections to one peer. Two: both sides may dial at once.
    pub per_peer_max: u32,
    /// Inbound connections from one IP address (IPv6: one /64), and peers on one address before their score falls.
    pub per_ip_max: usize,
    /// Peers that we look for by ourselves. Below it, known ones are dialled.
    pub peers_target: usize,
    /// Requests of one peer, and envelopes gossiped by it, that may wait for the tower. More are turned away.
    pub waiting_per_peer: usize,
    /// Of those, how many of one peer are worked on at a time.
    pub working_per_peer: usize,
    /// How many are worked on at a time in all. Alerts have places of their own.
    pub working_max: usize,
    /// Streams of requests that a peer may have open on a connection. More are dropped.
    pub streams_per_connection: usize,
    /// The most time for a request, both ways. A slow reader loses its stream then.
    pub request_timeout: Duration,
    /// Bytes that the process may use before new connections are refused; none means 85 % of the machine's memory.
    pub memory_max: Option<usize>,
    /// How long a peer with too many provable faults is banned.
    pub ban: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 192,
            inbound_max: 128,
            pending_inbound_max: 64,
            per_peer_max: 2,
            per_ip_max: 8,
            peers_target: 16,
            waiting_per_peer: 128,
            working_per_peer: 32,
            working_max: 256,
            streams_per_connection: 16,
            request_timeout: Duration::from_secs(10),
            memory_max: None,
            ban: Duration::from_secs(3_600),
        }
    }
}
