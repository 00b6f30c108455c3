//! What a tower speaks: the composition of libp2p's behaviours, with every parameter that is not the library's default.

use std::time::Duration;

use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentityTransform, MessageAuthenticity, MessageId, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::metrics::Registry;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, autonat, connection_limits, dcutr, identify, kad, mdns,
    memory_connection_limits, ping, relay,
};
use protocol::network::ShardSet;
use protocol::network::wire::{
    BACKUP_PROTOCOL, BACKUP_REQUEST_MAX, BACKUP_RESPONSE_MAX, GOSSIP_MAX, SYNC_PROTOCOL,
    SYNC_REQUEST_MAX, SYNC_RESPONSE_MAX, Topic, message_id,
};

use crate::codec::{Codec, Wire};
use crate::config::{Config, Limits, Reachable};
use crate::error::StartError;
use crate::limits::PerIp;
use crate::scoring;

/// Time between the router's housekeepings.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Heartbeats that the router remembers messages: a verdict after that forwards nothing.
const HISTORY: usize = 12;

/// A verdict must be in within this time; two heartbeats less than the router's memory.
pub(crate) const VERDICT_WITHIN: Duration = Duration::from_secs(10);

/// For how long a message that comes again is recognised by its id. An envelope circulates for seconds; afterwards its
/// nonce shows that it is old.
const DUPLICATES: Duration = Duration::from_secs(120);

/// Room around a message's data: topic name and protobuf framing.
const GOSSIP_FRAME: usize = 128;

/// Bytes of one frame of the router. The first one, which names all 66 topics, has 5 KiB; and the library compares with
/// it whatever its stream has buffered, which is 8 KiB and a frame. Single messages have the tighter bound of their topic.
const GOSSIP_RPC_MAX: usize = 32 * 1_024;

/// Messages that may wait for a slow peer's stream. More are dropped, and reconciliation brings them: 300 KiB.
const GOSSIP_QUEUE: usize = 512;

/// Data that a peer may make us keep on one QUIC stream, and on one connection, in bytes. The largest answer is 64 KiB.
pub(crate) const QUIC_STREAM_DATA: u32 = 256 * 1_024;
pub(crate) const QUIC_CONNECTION_DATA: u32 = 1_024 * 1_024;

/// Streams that a peer may open on one connection, over TCP or QUIC.
pub(crate) const STREAMS_MAX: usize = 128;

pub(crate) const BACKUP: Wire = Wire {
    name: BACKUP_PROTOCOL,
    request_max: BACKUP_REQUEST_MAX,
    response_max: BACKUP_RESPONSE_MAX,
};

pub(crate) const SYNC: Wire =
    Wire { name: SYNC_PROTOCOL, request_max: SYNC_REQUEST_MAX, response_max: SYNC_RESPONSE_MAX };

/// The gossip router with our filter.
pub(crate) type Router = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Everything that a tower speaks. The first ones refuse connections before the others know of them.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// Banned peers.
    pub(crate) bans: allow_block_list::Behaviour<BlockedPeers>,
    /// Connections in all, inbound, unfinished, and of one peer.
    pub(crate) connections: connection_limits::Behaviour,
    /// Connections of one IP address.
    pub(crate) per_ip: PerIp,
    /// No new connections when memory is short.
    pub(crate) memory: memory_connection_limits::Behaviour,
    /// Who a peer is, and where it listens.
    pub(crate) identify: identify::Behaviour,
    /// Whether a peer still answers.
    pub(crate) ping: ping::Behaviour,
    /// Finds towers.
    pub(crate) kad: kad::Behaviour<kad::store::MemoryStore>,
    /// Spreads envelopes, alerts and announcements.
    pub(crate) gossip: Router,
    /// Takes and serves single envelopes.
    pub(crate) backup: request_response::Behaviour<Codec>,
    /// Reconciles replicas.
    pub(crate) sync: request_response::Behaviour<Codec>,
    /// Asks others whether we can be reached.
    pub(crate) autonat: autonat::v2::client::Behaviour,
    /// Tells others whether they can be reached.
    pub(crate) autonat_server: Toggle<autonat::v2::server::Behaviour>,
    /// Is reached through others.
    pub(crate) relay: relay::client::Behaviour,
    /// Carries others' connections.
    pub(crate) relay_server: Toggle<relay::Behaviour>,
    /// Turns a relayed connection into a direct one.
    pub(crate) dcutr: dcutr::Behaviour,
    /// Finds towers on the local network.
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
}

pub(crate) fn setup(error: impl std::fmt::Display) -> StartError {
    StartError::Setup(error.to_string())
}

/// Builds the behaviour.
pub(crate) fn build(
    config: &Config,
    key: &Keypair,
    relay: relay::client::Behaviour,
    registry: &mut Registry,
) -> Result<Behaviour, StartError> {
    let me = key.public().to_peer_id();
    let limits = &config.limits;
    let yes = config.reachable == Reachable::Yes;
    // Who speaks it inbound is a tower to the others.
    let sync = match config.reconciles {
        true => ProtocolSupport::Full,
        false => ProtocolSupport::Outbound,
    };
    let mdns = config.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), me));
    Ok(Behaviour {
        bans: allow_block_list::Behaviour::default(),
        connections: connection_limits::Behaviour::new(
            connection_limits::ConnectionLimits::default()
                .with_max_pending_incoming(Some(limits.pending_inbound_max))
                .with_max_pending_outgoing(Some(limits.connections_max))
                .with_max_established_incoming(Some(limits.inbound_max))
                .with_max_established(Some(limits.connections_max))
                .with_max_established_per_peer(Some(limits.per_peer_max)),
        ),
        per_ip: PerIp::new(limits.per_ip_max),
        memory: match limits.memory_max {
            Some(bytes) => memory_connection_limits::Behaviour::with_max_bytes(bytes),
            None => memory_connection_limits::Behaviour::with_max_percentage(0.85),
        },
        identify: identify::Behaviour::new(
            identify::Config::new("/vrc/1".to_owned(), key.public())
                .with_agent_version(concat!("vrc-tower/", env!("CARGO_PKG_VERSION")).to_owned())
                // Small: addresses are kept by the address book and by Kademlia.
                .with_cache_size(64),
        ),
        ping: ping::Behaviour::default(),
        kad: kademlia(config, key)?,
        gossip: router(config, registry)?,
        backup: requests(BACKUP, limits, ProtocolSupport::Full),
        sync: requests(SYNC, limits, sync),
        autonat: autonat::v2::client::Behaviour::default(),
        autonat_server: Toggle::from(yes.then(autonat::v2::server::Behaviour::default)),
        relay,
        relay_server: Toggle::from(
            config.relay_server.then(|| relay::Behaviour::new(me, relay::Config::default())),
        ),
        dcutr: dcutr::Behaviour::new(me),
        mdns: Toggle::from(mdns.transpose().map_err(setup)?),
    })
}

/// One table for each vault: towers of other vaults are of no use, and must not fill it.
fn kademlia(
    config: &Config,
    key: &Keypair,
) -> Result<kad::Behaviour<kad::store::MemoryStore>, StartError> {
    let me = key.public().to_peer_id();
    let digits = config.domain.to_string();
    let digits = digits.strip_prefix("0x").unwrap_or(&digits);
    let name = StreamProtocol::try_from_owned(format!("/vrc/{digits}/kad/1")).map_err(setup)?;
    let mut settings = kad::Config::new(name);
    settings
        // Nobody stores anything here; the table is for finding peers.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        // Answers from several independent paths: one liar does not decide what is found.
        .disjoint_query_paths(true)
        .set_query_timeout(Duration::from_secs(30))
        .set_periodic_bootstrap_interval(Some(Duration::from_secs(300)));
    let store = kad::store::MemoryStore::with_config(
        me,
        kad::store::MemoryStoreConfig {
            max_records: 0,
            max_provided_keys: 0,
            ..kad::store::MemoryStoreConfig::default()
        },
    );
    let mut table = kad::Behaviour::with_config(me, store, settings);
    if config.reachable == Reachable::Yes {
        table.set_mode(Some(kad::Mode::Server));
    }
    Ok(table)
}

/// The gossip router. Messages carry no author (StrictNoSign): what they say is signed by channel keys and accounts, and
/// their ids are hashes of their content, so that one message from two towers is one message.
fn router(config: &Config, registry: &mut Registry) -> Result<Router, StartError> {
    let all = || {
        Topic::of(config.domain, ShardSet::ALL)
            .map(|topic| gossipsub::TopicHash::from_raw(topic.to_string()))
    };
    let mut settings = ConfigBuilder::default();
    for topic in all() {
        settings.max_transmit_size_for_topic(GOSSIP_MAX + GOSSIP_FRAME, topic);
    }
    let settings = settings
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            MessageId::from(message_id(message.topic.as_str(), &message.data).to_vec())
        })
        .heartbeat_interval(HEARTBEAT)
        .history_length(HISTORY)
        .history_gossip(3)
        .duplicate_cache_time(DUPLICATES)
        .max_transmit_size(GOSSIP_RPC_MAX)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .max_publish_messages(256)
        // Own messages go to every peer that listens, not to the mesh alone: an eclipsed mesh cannot keep an alert back.
        // What a tower publishes itself is what it was handed directly, 565 bytes each; the rest is forwarded in the mesh.
        .flood_publish(true)
        .mesh_n_low(5)
        .mesh_n(8)
        .mesh_n_high(12)
        .mesh_outbound_min(3)
        // Peer exchange needs signed records, which this router does not check.
        .prune_peers(0)
        // All our messages are below the size where saying "do not send" is cheaper than receiving twice.
        .idontwant_message_size_threshold(usize::MAX)
        .build()
        .map_err(setup)?;
    // The filter takes every topic of the vault: peers may follow shards that we do not.
    let mut router = gossipsub::Behaviour::new_with_subscription_filter(
        MessageAuthenticity::Anonymous,
        settings,
        WhitelistSubscriptionFilter(all().collect()),
    )
    .map_err(setup)?
    .with_metrics(
        registry.sub_registry_with_prefix("libp2p_router"),
        gossipsub::MetricsConfig::default(),
    );
    let topics = || Topic::of(config.domain, config.shards);
    router
        .with_peer_score(scoring::params(topics(), config.limits.per_ip_max), scoring::thresholds())
        .map_err(setup)?;
    for topic in topics() {
        router.subscribe(&gossipsub::IdentTopic::new(topic.to_string())).map_err(setup)?;
    }
    Ok(router)
}

fn requests(
    wire: Wire,
    limits: &Limits,
    support: ProtocolSupport,
) -> request_response::Behaviour<Codec> {
    let settings = request_response::Config::default()
        .with_request_timeout(limits.request_timeout)
        .with_max_concurrent_streams(limits.streams_per_connection);
    request_response::Behaviour::with_codec(Codec, [(wire, support)], settings)
}
