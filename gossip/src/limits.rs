//! How many connections one IP address may open, as a behaviour of the swarm.
//!
//! libp2p bounds connections in all and for each peer; peer ids cost nothing, so one machine could take every place. An
//! IPv6 subscriber has a /64, so that counts as one address.
//!
//! **Invariant:** at most `per_ip_max` inbound connections of one address exist at a time, the unfinished ones included.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::names::ip_of;

/// An address has as many connections as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{ip} has {max} connections already")]
pub(crate) struct TooMany {
    ip: IpAddr,
    max: usize,
}

/// Counts inbound connections by address.
#[derive(Debug)]
pub(crate) struct PerIp {
    max: usize,
    /// This machine's own connections are not counted.
    spares_loopback: bool,
    of: HashMap<ConnectionId, IpAddr>,
    count: HashMap<IpAddr, usize>,
}

/// What counts as one address.
fn group(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// Where a peer of another machine comes from, as one address.
pub(crate) fn home(remote: &Multiaddr) -> Option<IpAddr> {
    ip_of(remote).filter(|ip| !ip.is_loopback()).map(group)
}

impl PerIp {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, spares_loopback: false, of: HashMap::new(), count: HashMap::new() }
    }

    /// The same, but that processes of this machine may open any number.
    pub(crate) fn beyond_loopback(max: usize) -> Self {
        Self { spares_loopback: true, ..Self::new(max) }
    }

    fn take(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), TooMany> {
        let Some(ip) = ip_of(remote) else { return Ok(()) };
        if self.spares_loopback && ip.is_loopback() {
            return Ok(());
        }
        let ip = group(ip);
        let count = self.count.entry(ip).or_default();
        if *count >= self.max {
            return Err(TooMany { ip, max: self.max });
        }
        *count += 1;
        self.of.insert(connection, ip);
        Ok(())
    }

    fn release(&mut self, connection: ConnectionId) {
        let Some(ip) = self.of.remove(&connection) else { return };
        if let Some(count) = self.count.get_mut(&ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.count.remove(&ip);
            }
        }
    }
}

impl NetworkBehaviour for PerIp {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.take(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _remote: &Multiaddr,
        _role: Endpoint,
        _port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.release(closed.connection_id),
            FromSwarm::ListenFailure(failure) => self.release(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        _connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        _context: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let mut limits = PerIp::new(2);
        let one = address("/ip4/192.0.2.1/tcp/1");
        let [a, b, c, d] = [1, 2, 3, 4].map(ConnectionId::new_unchecked);
        assert!(limits.take(a, &one).is_ok());
        assert!(limits.take(b, &one).is_ok());
        assert!(limits.take(c, &one).is_err());
        assert!(limits.take(c, &address("/ip4/192.0.2.2/tcp/1")).is_ok());
        limits.release(a);
        limits.release(a);
        assert!(limits.take(d, &one).is_ok());
        for connection in [b, c, d] {
            limits.release(connection);
        }
        assert!(limits.count.is_empty() && limits.of.is_empty());
    }

    #[test]
    fn this_machine_is_spared_where_that_is_wanted_and_nobody_else() {
        let mut limits = PerIp::beyond_loopback(1);
        let [a, b, c, d] = [1, 2, 3, 4].map(ConnectionId::new_unchecked);
        assert!(limits.take(a, &address("/ip4/127.0.0.1/tcp/1")).is_ok());
        assert!(limits.take(b, &address("/ip4/127.0.0.1/tcp/1")).is_ok());
        assert!(limits.take(c, &address("/ip4/192.0.2.1/tcp/1")).is_ok());
        assert!(limits.take(d, &address("/ip4/192.0.2.1/tcp/1")).is_err());
    }

    #[test]
    fn a_whole_ipv6_subscriber_is_one_address() {
        let mut limits = PerIp::new(1);
        let [a, b, c] = [1, 2, 3].map(ConnectionId::new_unchecked);
        assert!(limits.take(a, &address("/ip6/2001:db8::1/tcp/1")).is_ok());
        assert!(limits.take(b, &address("/ip6/2001:db8::ffff:1/udp/2/quic-v1")).is_err());
        assert!(limits.take(c, &address("/ip6/2001:db8:0:1::1/tcp/1")).is_ok());
    }
}
