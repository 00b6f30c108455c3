//! A peer that keeps to no rule: raw bytes on any protocol, a gossip router that checks nothing.

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::transport::MemoryTransport;
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{self, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, Transport as _, noise, tcp, yamux,
};
use protocol::network::ShardSet;
use protocol::network::wire::{BACKUP_PROTOCOL, Topic, message_id};

use crate::world::{SOON, domain};

/// Writes a request as it is, without a length, and never reads an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Raw;

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        std::future::pending().await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await?;
        io.flush().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gossip: gossipsub::Behaviour,
    pub(crate) backup: request_response::Behaviour<Raw>,
    pub(crate) router: request_response::Behaviour<Raw>,
}

fn raw(protocol: &'static str) -> request_response::Behaviour<Raw> {
    let settings =
        request_response::Config::default().with_request_timeout(Duration::from_secs(60));
    let protocol = StreamProtocol::new(protocol);
    request_response::Behaviour::new([(protocol, ProtocolSupport::Outbound)], settings)
}

fn behaviour() -> Behaviour {
    let settings = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::None)
        .message_id_fn(|message| {
            MessageId::from(message_id(message.topic.as_str(), &message.data).to_vec())
        })
        .max_transmit_size(1 << 20)
        .validate_messages()
        .build()
        .unwrap();
    Behaviour {
        gossip: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, settings).unwrap(),
        backup: raw(BACKUP_PROTOCOL),
        router: raw("/meshsub/1.1.0"),
    }
}

/// A hostile peer.
pub(crate) struct Hostile {
    pub(crate) swarm: Swarm<Behaviour>,
}

impl Hostile {
    pub(crate) fn in_process() -> Self {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_other_transport(|key| {
                let security = noise::Config::new(key)?;
                Ok(MemoryTransport::default()
                    .upgrade(Version::V1)
                    .authenticate(security)
                    .multiplex(yamux::Config::default()))
            })
            .unwrap()
            .with_behaviour(|_| behaviour())
            .unwrap()
            .with_swarm_config(|config| {
                config.with_idle_connection_timeout(Duration::from_secs(60))
            })
            .build();
        Self { swarm }
    }

    pub(crate) fn over_tcp() -> Self {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| behaviour())
            .unwrap()
            .with_swarm_config(|config| {
                config.with_idle_connection_timeout(Duration::from_secs(60))
            })
            .build();
        Self { swarm }
    }

    pub(crate) fn me(&self) -> gossip::Peer {
        self.swarm.local_peer_id().to_string().parse().unwrap()
    }

    /// Connects; false if the other side refuses.
    pub(crate) async fn connect(&mut self, place: &gossip::Place) -> bool {
        let address: Multiaddr = place.to_string().parse().unwrap();
        self.swarm.dial(address).unwrap();
        let outcome = tokio::time::timeout(SOON, async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => return true,
                    SwarmEvent::OutgoingConnectionError { .. } => return false,
                    _ => {}
                }
            }
        });
        outcome.await.unwrap()
    }

    /// Waits until the victim's subscriptions are known.
    pub(crate) async fn learn_topics(&mut self) {
        let learnt = tokio::time::timeout(SOON, async {
            loop {
                let event = self.swarm.select_next_some().await;
                if let SwarmEvent::Behaviour(BehaviourEvent::Gossip(
                    gossipsub::Event::Subscribed { .. },
                )) = event
                {
                    return;
                }
            }
        });
        learnt.await.unwrap();
    }

    /// Lets the swarm run. True if a connection was closed meanwhile.
    pub(crate) async fn go_on(&mut self, time: Duration) -> bool {
        let mut closed = false;
        let _ = tokio::time::timeout(time, async {
            loop {
                if let SwarmEvent::ConnectionClosed { .. } = self.swarm.select_next_some().await {
                    closed = true;
                }
            }
        })
        .await;
        closed
    }

    pub(crate) fn victim(&self) -> PeerId {
        *self.swarm.connected_peers().next().unwrap()
    }

    pub(crate) fn publish(&mut self, topic: &str, bytes: Vec<u8>) {
        let topic = gossipsub::TopicHash::from_raw(topic);
        // A full queue is what a flood ends in.
        let _ = self.swarm.behaviour_mut().gossip.publish(topic, bytes);
    }

    /// Follows every topic of backups, and forwards nothing: its router is asked for a verdict that never comes.
    pub(crate) fn follow_everything(&mut self) {
        for topic in Topic::of(domain(), ShardSet::ALL) {
            let topic = gossipsub::IdentTopic::new(topic.to_string());
            self.swarm.behaviour_mut().gossip.subscribe(&topic).unwrap();
        }
    }

    /// Writes bytes on a new stream of `/vrc/backup/1`.
    pub(crate) fn write_backup(&mut self, bytes: Vec<u8>) {
        let victim = self.victim();
        self.swarm.behaviour_mut().backup.send_request(&victim, bytes);
    }

    /// Writes bytes on a new stream of the gossip router.
    pub(crate) fn write_router(&mut self, bytes: Vec<u8>) {
        let victim = self.victim();
        self.swarm.behaviour_mut().router.send_request(&victim, bytes);
    }
}
