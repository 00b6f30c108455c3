//! The loop that owns the link's swarm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::upgrade::Version;
use libp2p::request_response::{self, Event, Message, ProtocolSupport, ResponseChannel};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts};
use libp2p::{PeerId, Swarm, SwarmBuilder, Transport as _, noise, ping, yamux};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::inbound::{Inbound, Waiting};
use super::outbound::Outbound;
use super::{CHANNEL_PROTOCOL, Command, LinkConfig, LinkEvent, REQUEST_MAX, batch};
use crate::behaviour::setup;
use crate::codec::{Codec, Frame, Wire};
use crate::error::StartError;
use crate::fresh_port;
use crate::identity::Identity;
use crate::limits::{PerIp, home};
use crate::names::{Peer, Place};

/// How often lost peers that are to be kept are dialled.
const REDIAL_EVERY: Duration = Duration::from_secs(1);
/// A connection that carries nothing is kept as long: the peers of a channel stay connected.
const IDLE: Duration = Duration::from_secs(24 * 3_600);
/// Handshakes that take longer are given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Peers that this node dials again and again.
const KEPT_MAX: usize = 1_024;
/// Requests of one peer at a time: one is all that an honest one has.
const STREAMS_PER_PEER: usize = 4;

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    per_ip: PerIp,
    ping: ping::Behaviour,
    channel: request_response::Behaviour<Codec>,
}

/// The loop; does nothing until it is run.
pub struct LinkLoop {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<LinkEvent>,
    places: Arc<watch::Sender<Vec<Place>>>,
    outbound: Outbound,
    kept: BTreeMap<PeerId, Place>,
    inbound: Inbound<ResponseChannel<Vec<u8>>>,
    /// What came out of `inbound` and found no room.
    held: Option<LinkEvent>,
}

impl std::fmt::Debug for LinkLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkLoop")
    }
}

type Ends = (mpsc::Receiver<Command>, mpsc::Sender<LinkEvent>, Arc<watch::Sender<Vec<Place>>>);

fn behaviour(config: &LinkConfig) -> Behaviour {
    let wire = Wire { name: CHANNEL_PROTOCOL, request_max: REQUEST_MAX, response_max: 0 };
    let settings = request_response::Config::default()
        .with_request_timeout(config.request_timeout)
        .with_max_concurrent_streams(STREAMS_PER_PEER);
    let limits = ConnectionLimits::default()
        .with_max_established(Some(config.peers_max.get().saturating_mul(2)))
        .with_max_pending_incoming(Some(256))
        .with_max_established_per_peer(Some(2));
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        per_ip: PerIp::beyond_loopback(config.per_ip_max.get()),
        ping: ping::Behaviour::default(),
        channel: request_response::Behaviour::with_codec(
            Codec,
            [(wire, ProtocolSupport::Full)],
            settings,
        ),
    }
}

impl LinkLoop {
    pub(super) fn new(
        config: &LinkConfig,
        identity: &Identity,
        (commands, events, places): Ends,
    ) -> Result<Self, StartError> {
        let mut swarm = SwarmBuilder::with_existing_identity(identity.0.clone())
            .with_tokio()
            .with_quic()
            .with_other_transport(|key| {
                let transport = fresh_port::tcp()
                    .upgrade(Version::V1Lazy)
                    .authenticate(noise::Config::new(key)?)
                    .multiplex(yamux::Config::default());
                Ok(transport)
            })
            .map_err(setup)?
            .with_dns()
            .map_err(setup)?
            .with_behaviour(|_key| behaviour(config))
            .map_err(setup)?
            .with_swarm_config(|settings| settings.with_idle_connection_timeout(IDLE))
            .with_connection_timeout(HANDSHAKE)
            .build();
        for place in &config.listen {
            let failed = |reason: String| StartError::Listen { place: place.clone(), reason };
            swarm.listen_on(place.0.clone()).map_err(|error| failed(error.to_string()))?;
        }
        let (outbound, kept) = (Outbound::default(), BTreeMap::new());
        let inbound = Inbound::new();
        Ok(Self { swarm, commands, events, places, outbound, kept, inbound, held: None })
    }

    /// Runs until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut redial = tokio::time::interval(REDIAL_EVERY);
        loop {
            let events = self.events.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Ok(place) = events.reserve(), if self.held.is_some() || !self.inbound.is_empty() => {
                    drop(place);
                    self.drain();
                }
                Some(command) = self.commands.recv() => self.on_command(command),
                // Before what others send, which may never end.
                peer = self.outbound.gathered() => self.send(&peer),
                event = self.swarm.select_next_some() => self.on_event(event),
                _ = redial.tick() => self.redial(),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Send(peer, frame) => {
                if !self.outbound.push(&peer.0, frame) {
                    tracing::debug!(%peer, "a frame was dropped: the peer is not connected, or does not keep up");
                }
                self.send(&peer.0);
            }
            Command::Keep(place) => {
                let Some(peer) = place.peer() else { return };
                if self.kept.len() < KEPT_MAX || self.kept.contains_key(&peer.0) {
                    self.kept.insert(peer.0, place);
                    self.redial();
                }
            }
            Command::Leave(peer) => {
                // One that is gone already has left.
                let _ = self.swarm.disconnect_peer_id(peer.0);
            }
        }
    }

    /// Dials the peers that are to be kept and are not connected.
    fn redial(&mut self) {
        for (peer, place) in &self.kept {
            if self.swarm.is_connected(peer) {
                continue;
            }
            // Does nothing while a dial of this peer is under way.
            let options = DialOpts::peer_id(*peer).addresses(vec![place.0.clone()]).build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "not dialled");
            }
        }
    }

    fn send(&mut self, peer: &PeerId) {
        if let Some(bytes) = self.outbound.next(peer) {
            self.swarm.behaviour_mut().channel.send_request(peer, Frame::Whole(bytes));
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                let place = Place(address).with_peer(Peer(*self.swarm.local_peer_id()));
                tracing::info!(%place, "nodes may dial");
                self.places.send_modify(|places| places.push(place));
            }
            SwarmEvent::ConnectionEstablished { peer_id, num_established, endpoint, .. }
                if num_established.get() == 1 =>
            {
                self.outbound.up(peer_id);
                self.tell(peer_id, LinkEvent::Up(Peer(peer_id)));
                if let Some(ip) = home(endpoint.get_remote_address()) {
                    self.tell(peer_id, LinkEvent::Home(Peer(peer_id), ip));
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.outbound.down(&peer_id);
                self.tell(peer_id, LinkEvent::Down(Peer(peer_id)));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(error),
            })) => {
                // The other end is gone without a word: without this it would count as connected for as long as TCP likes.
                tracing::debug!(%peer, %error, "no answer to a ping: the connection is closed");
                self.swarm.close_connection(connection);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Channel(event)) => self.on_channel(event),
            _ => {}
        }
    }

    fn on_channel(&mut self, event: Event<Frame, Vec<u8>>) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                self.on_request(peer, request, channel);
            }
            Event::Message { peer, message: Message::Response { .. }, .. } => {
                self.outbound.answered(&peer);
                self.send(&peer);
            }
            Event::OutboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "frames were lost");
                self.outbound.answered(&peer);
                self.send(&peer);
            }
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    /// The answer is held back until the node's queue had room for every frame: a peer that sends too fast waits.
    fn on_request(&mut self, peer: PeerId, request: Frame, channel: ResponseChannel<Vec<u8>>) {
        let (frames, bytes) = match request {
            Frame::Whole(bytes) => (batch::unpack(&bytes), bytes.len()),
            Frame::TooLong => (None, 0),
        };
        let Some(frames) = frames else {
            tracing::debug!(%peer, "a request is no batch of frames: disconnected");
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        };
        if !self.inbound.has_room(&peer, frames.len(), bytes) {
            // Dropping the channel tells the peer that nothing was taken.
            return;
        }
        for frame in frames {
            self.inbound.push(peer, Waiting::Event(LinkEvent::Frame(Peer(peer), frame)));
        }
        self.inbound.push(peer, Waiting::Answer(channel));
        self.drain();
    }

    fn tell(&mut self, peer: PeerId, event: LinkEvent) {
        self.inbound.push(peer, Waiting::Event(event));
        self.drain();
    }

    /// Hands over what there is room for: of each peer in order, of all in turns.
    fn drain(&mut self) {
        loop {
            let next = match self.held.take() {
                Some(event) => Some(Waiting::Event(event)),
                None => self.inbound.pop(),
            };
            match next {
                None => return,
                Some(Waiting::Event(event)) => match self.events.try_send(event) {
                    Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                    Err(mpsc::error::TrySendError::Full(event)) => {
                        self.held = Some(event);
                        return;
                    }
                },
                Some(Waiting::Answer(channel)) => {
                    // A peer that is gone needs no answer.
                    let _ = self.swarm.behaviour_mut().channel.send_response(channel, Vec::new());
                }
            }
        }
    }
}
