//! Finding towers and keeping enough of them: bootstrap peers, the address book, Kademlia, the local network, relays.
//!
//! Several sources, because whoever controls the only one controls whom we meet. While fewer peers are connected than
//! wanted, a few candidates are dialled at a time, each at most once in a while.

use std::collections::HashMap;
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, identify, mdns, relay};
use tokio::time::Instant;

use super::{EventLoop, now_s};
use crate::config::{Config, Reachable};
use crate::intake::Intake;
use crate::names::{Place, Reach, bare, is_relayed, peer_of};

/// Ticks between two looks for more peers.
const LOOK_EVERY: u64 = 3;

/// Ticks between two random walks through Kademlia while peers are missing.
const WALK_EVERY: u64 = 30;

/// Peers dialled in one look.
const DIALS_MAX: usize = 4;

/// A peer that did not answer is left alone for this time at first, and for twice the time after each further failure: a
/// dial that chance made fail must not cost a tower its only bootstrap peer for long.
const BACK_OFF_FIRST: Duration = Duration::from_secs(2);

/// The longest time that a peer which does not answer is left alone.
const BACK_OFF_MOST: Duration = Duration::from_secs(60);

/// Peers in back-off that are remembered; more are tried again early.
const BACK_OFF_MAX: usize = 1_024;

/// Addresses that we take from what a peer says of itself.
const TOLD_MAX: usize = 8;

/// Relays through which we listen at a time.
const RELAYS_MAX: usize = 2;

/// How long a peer is left alone.
#[derive(Debug, Clone, Copy)]
struct BackOff {
    until: Instant,
    pause: Duration,
}

/// The state of the search.
#[derive(Debug)]
pub(super) struct Discovery {
    bootstrap: Vec<Place>,
    backing_off: HashMap<PeerId, BackOff>,
    relays: HashMap<ListenerId, PeerId>,
}

impl Discovery {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            bootstrap: config.bootstrap.clone(),
            backing_off: HashMap::new(),
            relays: HashMap::new(),
        }
    }

    /// A dial failed. Those of Kademlia, which come in bursts, do not make the pause of a peer that is left alone longer.
    pub(super) fn failed(&mut self, peer: PeerId, now: Instant) {
        if !self.may_dial(&peer, now) {
            return;
        }
        if self.backing_off.len() >= BACK_OFF_MAX {
            self.backing_off.clear();
        }
        let before = self.backing_off.get(&peer).map(|back_off| back_off.pause);
        let pause = before.map_or(BACK_OFF_FIRST, |pause| (pause * 2).min(BACK_OFF_MOST));
        self.backing_off.insert(peer, BackOff { until: now + pause, pause });
    }

    fn met(&mut self, peer: &PeerId) {
        self.backing_off.remove(peer);
    }

    pub(super) fn relay_closed(&mut self, listener: ListenerId) {
        self.relays.remove(&listener);
    }

    fn may_dial(&self, peer: &PeerId, now: Instant) -> bool {
        self.backing_off.get(peer).is_none_or(|back_off| now >= back_off.until)
    }
}

impl<N: Intake> EventLoop<N> {
    /// The first attempts, right at the start.
    pub(super) fn begin(&mut self) {
        for (peer, addresses) in self.book.known() {
            for address in addresses {
                self.swarm.behaviour_mut().kad.add_address(&peer, address);
            }
        }
        for place in self.discovery.bootstrap.clone() {
            if let Some(peer) = peer_of(&place.0) {
                self.swarm.behaviour_mut().kad.add_address(&peer, bare(&place.0));
            }
            self.dial_place(&place);
        }
    }

    pub(super) fn dial_place(&mut self, place: &Place) {
        let options = match peer_of(&place.0) {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![bare(&place.0)])
                .build(),
            None => DialOpts::unknown_peer_id().address(place.0.clone()).build(),
        };
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(%place, %error, "not dialled");
        }
    }

    /// Looks for more peers when some are missing.
    pub(super) fn discover(&mut self) {
        let missing = self.config.limits.peers_target.saturating_sub(self.connected.len());
        if missing == 0 || !self.ticks.is_multiple_of(LOOK_EVERY) {
            return;
        }
        if self.ticks.is_multiple_of(WALK_EVERY) {
            self.swarm.behaviour_mut().kad.get_closest_peers(PeerId::random());
        }
        let unmet: Vec<Place> = self
            .discovery
            .bootstrap
            .iter()
            .filter(|place| match peer_of(&place.0) {
                Some(peer) => !self.connected.contains_key(&peer),
                None => self.connected.is_empty(),
            })
            .cloned()
            .collect();
        for place in unmet {
            if peer_of(&place.0).is_none_or(|peer| self.discovery.may_dial(&peer, Instant::now())) {
                self.dial_place(&place);
            }
        }
        for (peer, addresses) in self.candidates(missing.min(DIALS_MAX)) {
            let options = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses)
                // Kademlia may know more of them.
                .extend_addresses_through_behaviour()
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "not dialled");
                self.discovery.failed(peer, Instant::now());
            }
        }
    }

    /// Known peers that are not connected, from the book and from Kademlia.
    fn candidates(&mut self, count: usize) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut known = self.book.known();
        for bucket in self.swarm.behaviour_mut().kad.kbuckets() {
            for entry in bucket.iter() {
                let peer = *entry.node.key.preimage();
                known.push((peer, entry.node.value.iter().cloned().collect()));
            }
        }
        let me = *self.swarm.local_peer_id();
        let (connected, discovery, now) = (&self.connected, &self.discovery, Instant::now());
        known.retain(|(peer, _)| {
            *peer != me && !connected.contains_key(peer) && discovery.may_dial(peer, now)
        });
        known.truncate(count);
        known
    }

    pub(super) fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        self.connected.entry(peer).or_default();
        self.discovery.met(&peer);
        if let ConnectedPoint::Dialer { address, .. } = endpoint
            && !is_relayed(address)
        {
            self.book.seen(peer, address, now_s());
        }
        tracing::debug!(%peer, ?endpoint, "connected");
    }

    pub(super) fn on_listening(&self, address: &Multiaddr) {
        let place = Place(address.clone().with(Protocol::P2p(*self.swarm.local_peer_id())));
        tracing::info!(%place, "the network listens");
    }

    /// A peer says who it is and where it listens. It is believed as far as it costs us a failed dial: addresses nearer
    /// than the one where we see it are not for us.
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id: _, peer_id: peer, info } = event else {
            return;
        };
        let Some(known) = self.connected.get_mut(&peer) else { return };
        let speaks = |wanted: &str| info.protocols.iter().any(|name| name.as_ref() == wanted);
        known.tower = speaks(crate::behaviour::SYNC.name);
        known.agent = info.agent_version.chars().filter(char::is_ascii_graphic).take(64).collect();
        self.show_towers();
        let seen_at = Reach::of(&info.observed_addr);
        let kad = self.swarm.behaviour().kad.protocol_names().to_vec();
        let routes = info.protocols.iter().any(|name| kad.contains(name));
        if routes {
            let told = info.listen_addrs.iter().filter(|address| Reach::of(address) >= seen_at);
            for address in told.take(TOLD_MAX) {
                self.swarm.behaviour_mut().kad.add_address(&peer, bare(address));
            }
        }
        if speaks(relay::HOP_PROTOCOL_NAME.as_ref()) {
            self.listen_through(peer);
        }
    }

    /// Reserves a place at a relay, while nobody outside can reach us directly.
    fn listen_through(&mut self, relay: PeerId) {
        let needed = self.config.reachable == Reachable::Ask
            && !self.config.listen.is_empty()
            && self.swarm.external_addresses().next().is_none();
        let relays = &self.discovery.relays;
        if !needed || relays.len() >= RELAYS_MAX || relays.values().any(|used| *used == relay) {
            return;
        }
        let Some(address) = self.book.addresses(&relay).into_iter().next() else { return };
        let through = address.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit);
        match self.swarm.listen_on(through) {
            Ok(listener) => {
                tracing::info!(%relay, "listening through a relay");
                self.discovery.relays.insert(listener, relay);
            }
            Err(error) => tracing::debug!(%relay, %error, "no relay"),
        }
    }

    pub(super) fn on_mdns(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        for (peer, address) in found {
            if self.connected.len() < self.config.limits.peers_target {
                let place = Place(bare(&address).with(Protocol::P2p(peer)));
                self.dial_place(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_does_not_answer_is_tried_again_soon_and_then_ever_later() {
        let (backing_off, relays) = (HashMap::new(), HashMap::new());
        let mut discovery = Discovery { bootstrap: Vec::new(), backing_off, relays };
        let (peer, mut now) = (PeerId::random(), Instant::now());
        for pause in [2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
            assert!(discovery.may_dial(&peer, now));
            discovery.failed(peer, now);
            let almost = now + pause - Duration::from_millis(1);
            discovery.failed(peer, almost);
            assert!(!discovery.may_dial(&peer, almost));
            now += pause;
        }
        discovery.met(&peer);
        discovery.failed(peer, now);
        assert!(discovery.may_dial(&peer, now + BACK_OFF_FIRST));
    }
}
