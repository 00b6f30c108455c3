//! Transports under the behaviour: QUIC and TCP with Noise, Yamux and DNS; or channels inside the process.

use std::time::Duration;

use libp2p::core::transport::MemoryTransport;
use libp2p::core::upgrade::Version;
use libp2p::metrics::Registry;
use libp2p::swarm::Config as SwarmConfig;
use libp2p::{Swarm, SwarmBuilder, Transport as _, noise, yamux};

use crate::behaviour::{
    Behaviour, QUIC_CONNECTION_DATA, QUIC_STREAM_DATA, STREAMS_MAX, build as behaviour, setup,
};
use crate::config::{Carrier, Config, Reachable};
use crate::error::StartError;
use crate::fresh_port;
use crate::identity::Identity;

/// A connection that carries nothing is closed after this time. Long, because dialling again costs more than keeping.
const IDLE: Duration = Duration::from_secs(300);

/// Handshakes that take longer are given up: half-open connections hold a place no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Streams of a connection that may be negotiating at a time.
const NEGOTIATING_MAX: usize = 32;

fn muxer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    config
}

fn quic(mut config: libp2p::quic::Config) -> libp2p::quic::Config {
    config.max_stream_data = QUIC_STREAM_DATA;
    config.max_connection_data = QUIC_CONNECTION_DATA;
    config.max_concurrent_stream_limit = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
    config.handshake_timeout = HANDSHAKE;
    config
}

fn settings(config: SwarmConfig) -> SwarmConfig {
    config.with_idle_connection_timeout(IDLE).with_max_negotiating_inbound_streams(NEGOTIATING_MAX)
}

/// Builds the swarm and opens its ports. Must be called inside a runtime.
///
/// # Errors
/// [`StartError::Listen`] and [`StartError::Setup`].
pub(crate) fn build(
    config: &Config,
    identity: &Identity,
    registry: &mut Registry,
) -> Result<Swarm<Behaviour>, StartError> {
    let builder = SwarmBuilder::with_existing_identity(identity.0.clone()).with_tokio();
    let mut swarm = match config.carrier {
        Carrier::Sockets => builder
            .with_quic_config(quic)
            .with_other_transport(|key| {
                let transport = fresh_port::tcp()
                    .upgrade(Version::V1Lazy)
                    .authenticate(noise::Config::new(key)?)
                    .multiplex(muxer());
                Ok(transport)
            })
            .map_err(setup)?
            .with_dns()
            .map_err(setup)?
            .with_relay_client(noise::Config::new, muxer)
            .map_err(setup)?
            .with_behaviour(|key, relay| {
                behaviour(config, key, relay, registry).map_err(Into::into)
            })
            .map_err(setup)?
            .with_swarm_config(settings)
            .with_connection_timeout(HANDSHAKE)
            .build(),
        Carrier::Memory => builder
            .with_other_transport(|key| {
                let security = noise::Config::new(key)?;
                let transport = MemoryTransport::default()
                    .upgrade(Version::V1)
                    .authenticate(security)
                    .multiplex(muxer());
                Ok(transport)
            })
            .map_err(setup)?
            .with_relay_client(noise::Config::new, muxer)
            .map_err(setup)?
            .with_behaviour(|key, relay| {
                behaviour(config, key, relay, registry).map_err(Into::into)
            })
            .map_err(setup)?
            .with_swarm_config(settings)
            .with_connection_timeout(HANDSHAKE)
            .build(),
    };
    for place in &config.listen {
        let failed = |reason: String| StartError::Listen { place: place.clone(), reason };
        swarm.listen_on(place.0.clone()).map_err(|error| failed(error.to_string()))?;
        if config.reachable == Reachable::Yes && !is_wildcard(place) {
            swarm.add_external_address(place.0.clone());
        }
    }
    for place in &config.external {
        swarm.add_external_address(place.0.clone());
    }
    Ok(swarm)
}

/// Whether a listening address is no address to be reached at: any interface, or any port.
fn is_wildcard(place: &crate::names::Place) -> bool {
    use libp2p::multiaddr::Protocol::{Ip4, Ip6, Memory, Tcp, Udp};
    place.0.iter().any(|part| match part {
        Ip4(ip) => ip.is_unspecified(),
        Ip6(ip) => ip.is_unspecified(),
        Tcp(port) | Udp(port) => port == 0,
        Memory(port) => port == 0,
        _ => false,
    })
}
