//! What spreads a node's envelopes besides the towers that it asks for receipts: the tower around it, or gossip.
//!
//! Gossip is best effort and tells nobody what became of a message, and a tower in the same process shares the node's disk. So
//! neither protects anything by itself; both let towers that the node does not know hold its newest state early.
//!
//! **Invariant:** a node in the towers' gossip only speaks: it follows no topic, answers nothing, and no tower counts it as one.

use std::sync::Arc;

use gossip::{Handle, Identity, Network, Place, TakesNothing};
use protocol::Domain;
use protocol::network::wire::Topic;
use protocol::network::{Shard, ShardSet};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Job;

/// Towers that a node looks for: each gets a message at once and forwards it, so a few that are run by different people do.
const PEERS_TARGET: usize = 8;
/// Connections in all: room for those that are on their way out.
const CONNECTIONS_MAX: u32 = 24;

/// Where envelopes go besides the towers of the list.
#[derive(Debug, Clone, Default)]
pub enum Spread {
    /// Nowhere.
    #[default]
    Nowhere,
    /// To the HTTP intake of the tower that this node is part of, which publishes what it takes. Its receipts do not count: it
    /// is lost with the same disk.
    Tower(String),
    /// To the towers' gossip, which is joined at these places; each ends in the tower's name.
    Gossip(Vec<Place>),
}

/// Why envelopes cannot be carried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpreadError {
    /// The client for towers.
    #[error("the client for towers cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The towers' network.
    #[error("the towers' network cannot be joined: {0}")]
    Network(#[from] gossip::StartError),
}

/// Speaks in the towers' gossip; does nothing until it is run.
#[derive(Debug)]
pub struct Herald {
    network: Network<TakesNothing>,
    voice: Voice,
}

#[derive(Debug)]
struct Voice {
    handle: Handle,
    domain: Domain,
    jobs: mpsc::Receiver<Job>,
}

/// Joins the gossip of the towers of a vault, under a name that is made anew each time: nothing ties it to the node's link.
pub(super) fn network(
    bootstrap: &[Place],
    domain: Domain,
    jobs: mpsc::Receiver<Job>,
) -> Result<Herald, gossip::StartError> {
    let mut config = gossip::Config::new(domain);
    config.shards = ShardSet::NONE;
    config.reconciles = false;
    config.bootstrap = bootstrap.to_vec();
    config.limits.peers_target = PEERS_TARGET;
    config.limits.connections_max = CONNECTIONS_MAX;
    // It listens nowhere.
    config.limits.inbound_max = 0;
    let (handle, network) = Network::open(config, &Identity::ephemeral(), Arc::new(TakesNothing))?;
    Ok(Herald { network, voice: Voice { handle, domain, jobs } })
}

impl Herald {
    /// Speaks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let Self { network, mut voice } = self;
        tokio::join!(network.run(stop.clone()), async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = voice.speak() => {}
            }
        });
    }
}

impl Voice {
    async fn speak(&mut self) {
        while let Some(job) = self.jobs.recv().await {
            let Job::Publish(envelope, _channel) = job else { continue };
            let topic = Topic::Backups(self.domain, Shard::of(envelope.header().channel_id));
            if let Err(error) = self.handle.publish(topic, envelope.to_bytes()) {
                tracing::debug!(%error, "an envelope is not published: the towers are handed it all the same");
            }
        }
    }
}
