//! Names of peers and of places, so that no type of the network library leaves this crate.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// A tower or a node on the network: the hash of its identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub(crate) PeerId);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Peer {
    /// The peer whose name these bytes are, as announcements carry it.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NameError> {
        let failed = |_error| NameError { text: format!("{bytes:?}"), wanted: "peer id" };
        PeerId::from_bytes(bytes).map(Self).map_err(failed)
    }

    /// The bytes of the name.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.to_bytes()
    }
}

/// What is not a name of a peer or a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {wanted}")]
pub struct NameError {
    text: String,
    wanted: &'static str,
}

impl FromStr for Peer {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let failed = |_error| NameError { text: text.to_owned(), wanted: "peer id" };
        text.parse().map(Self).map_err(failed)
    }
}

/// Where a peer listens, for example `/ip4/192.0.2.1/udp/9000/quic-v1/p2p/12D3Koo...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place(pub(crate) Multiaddr);

impl Place {
    /// The peer that it names, if it names one.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        peer_of(&self.0).map(Peer)
    }

    /// The same place with `peer` as the one that must answer there.
    #[must_use]
    pub fn with_peer(&self, peer: Peer) -> Self {
        Self(bare(&self.0).with(Protocol::P2p(peer.0)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Place {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let failed = |_error| NameError { text: text.to_owned(), wanted: "multiaddress" };
        text.parse().map(Self).map_err(failed)
    }
}

/// The peer that an address ends with.
pub(crate) fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address without the peer at its end.
pub(crate) fn bare(address: &Multiaddr) -> Multiaddr {
    let mut bare = address.clone();
    if peer_of(address).is_some() {
        bare.pop();
    }
    bare
}

/// The IP address that an address begins with.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    }
}

/// Whether an address leads through a relay.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// How far an address reaches. A peer that we see at a far address must not send us to nearer ones: they are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// This process.
    Process,
    /// This machine.
    Machine,
    /// A local network.
    Local,
    /// The internet, or a name.
    World,
}

impl Reach {
    /// The reach of an address; a relayed one reaches as far as its relay.
    pub(crate) fn of(address: &Multiaddr) -> Self {
        match address.iter().next() {
            Some(Protocol::Memory(_)) => Self::Process,
            Some(Protocol::Ip4(ip)) if ip.is_loopback() || ip.is_unspecified() => Self::Machine,
            Some(Protocol::Ip6(ip)) if ip.is_loopback() || ip.is_unspecified() => Self::Machine,
            Some(Protocol::Ip4(ip)) if ip.is_private() || ip.is_link_local() => Self::Local,
            Some(Protocol::Ip6(ip)) if ip.is_unique_local() || ip.is_unicast_link_local() => {
                Self::Local
            }
            _ => Self::World,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_prints_what_it_parses() {
        let text = "/ip4/192.0.2.1/udp/9000/quic-v1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        let place: Place = text.parse().unwrap();
        assert_eq!(place.to_string(), text);
        assert_eq!(
            place.peer().unwrap().to_string(),
            "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        );
        assert_eq!(place.with_peer(place.peer().unwrap()), place);
    }

    #[test]
    fn malicious_names_are_refused() {
        for text in ["", "/", "ip4/1.2.3.4", "/ip4/1.2.3.4.5/tcp/1", "/ip4/1.2.3.4/tcp/99999"] {
            let parsed = text.parse::<Place>();
            assert!(parsed.is_err() || parsed.unwrap().0.is_empty(), "{text:?}");
        }
        assert!("not-a-peer".parse::<Peer>().is_err());
    }

    #[test]
    fn an_address_reaches_as_far_as_its_first_part() {
        assert_eq!(Reach::of(&address("/memory/1")), Reach::Process);
        assert_eq!(Reach::of(&address("/ip4/127.0.0.1/tcp/1")), Reach::Machine);
        assert_eq!(Reach::of(&address("/ip4/0.0.0.0/tcp/1")), Reach::Machine);
        assert_eq!(Reach::of(&address("/ip6/::1/tcp/1")), Reach::Machine);
        assert_eq!(Reach::of(&address("/ip4/10.0.0.1/tcp/1")), Reach::Local);
        assert_eq!(Reach::of(&address("/ip6/fd00::1/tcp/1")), Reach::Local);
        assert_eq!(Reach::of(&address("/ip4/192.0.2.1/tcp/1")), Reach::World);
        assert_eq!(Reach::of(&address("/dns4/tower.example/tcp/1")), Reach::World);
    }

    #[test]
    fn a_mapped_address_counts_as_the_one_that_it_maps() {
        assert_eq!(ip_of(&address("/ip6/::ffff:10.0.0.1/tcp/1")), "10.0.0.1".parse().ok());
    }
}
