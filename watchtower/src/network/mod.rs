//! The tower's side of the network between towers.
//!
//! ```text
//!   gossip's desk --> intake --> admission --> store      (what others send; the same admission as over HTTP)
//!   HTTP intake ----> link ----> gossip                   (new envelopes go out)
//!   node -----------> disputes -> alert, and a search for envelopes of a dispute that was just opened
//!   alerts ---------> looks ----> follower, told to look now
//!   towers ---------> announcements, the directory, which shards are kept
//!   sync -----------> other towers' answers --> admission (what this tower missed)
//! ```
//!
//! **Invariant:** nothing in the node, the prover or the submitter waits for the network. What goes to it is tried, not
//! awaited; when it is sick the tower watches its chain and races as before.
//! **Invariant:** when any of its tasks ends, by a bug for one, the tower goes on without the network and says so.
//! **Invariant:** what other towers say never decides anything: envelopes are verified, alerts say where to look.

mod alerts;
mod answers;
mod disputes;
mod intake;
mod looks;
mod replica;
mod report;
mod seek;
mod sync;
mod towers;

use std::path::Path;
use std::sync::Arc;

use chain::account::Account;
use chain::calls::Vipe;
use chain::follower::Health;
use chain::provider::Rpc;
use gossip::{Config, Handle, Identity, IdentityError, Network, Reachable};
use protocol::Domain;
use protocol::network::placement::Selection;
use protocol::network::wire::Topic;
use protocol::network::{Shard, ShardSet};
use store::Store;
use tokio::sync::{Notify, mpsc, watch};

use crate::admission::Admission;
use crate::config::{ConfigError, NetworkConfig};
use crate::tasks::{Stage, Tasks};

pub use alerts::AlertCounts;
pub use replica::Replica;
pub use sync::SyncCounts;

pub(crate) use disputes::{NOTES_MAX, Note};

use alerts::Alerts;
use answers::Answers;
use disputes::Teller;
use intake::TowerIntake;
use looks::Looker;
use seek::Seeker;
use sync::Syncer;
use towers::{Herald, Towers};

/// Peers with budgets of their own, for each kind of request; further ones share one.
const PEERS_MAX: usize = 4_096;

/// After how many milliseconds a failure of ours is worth another try.
const RETRY_MS: u64 = 1_000;

/// Why the network does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The network itself.
    #[error(transparent)]
    Start(#[from] gossip::StartError),
}

/// What the rest of the tower holds of the network.
#[derive(Debug, Clone)]
pub struct Link {
    handle: Handle,
    domain: Domain,
    alerts: Arc<Alerts>,
    sync: Arc<SyncCounts>,
    towers: Arc<Towers>,
    replica: Arc<Replica>,
}

impl Link {
    /// The network itself.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What was counted about alerts.
    #[must_use]
    pub fn alerts(&self) -> &AlertCounts {
        self.alerts.counts()
    }

    /// What was counted about reconciliation.
    #[must_use]
    pub fn sync(&self) -> &SyncCounts {
        &self.sync
    }

    /// The accounts of the towers that are connected now, as far as they announced themselves. Never waits.
    pub(crate) fn met(&self) -> Vec<protocol::Address> {
        self.towers.among(&self.handle.towers())
    }

    /// An account was paid for an override on this chain: such towers stay listed.
    pub(crate) fn paid(&self, tower: protocol::Address) {
        self.towers.paid(tower);
    }

    /// Towers that are listed, this one included; and of the shards that are kept here, the fewest copies among them.
    pub(crate) fn listed(&self) -> (usize, usize) {
        (self.towers.len(), self.towers.copies_min(self.replica.kept()))
    }

    /// The shards that are kept.
    pub(crate) fn kept(&self) -> ShardSet {
        self.replica.kept()
    }

    /// Sends an envelope to other towers, if the network has room for it; otherwise reconciliation carries it.
    pub fn publish(&self, channel_id: protocol::ChannelId, envelope: Vec<u8>) {
        let topic = Topic::Backups(self.domain, Shard::of(channel_id));
        if let Err(error) = self.handle.publish(topic, envelope) {
            tracing::debug!(%error, "an envelope is left to reconciliation");
        }
    }
}

/// What the network is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) account: Account,
    pub(crate) admission: Arc<Admission>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) follower: watch::Receiver<Health>,
    /// Makes the follower look now.
    pub(crate) nudge: Arc<Notify>,
    pub(crate) rpc: Rpc,
    pub(crate) vipe: Vipe,
    /// Disputes that the node read.
    pub(crate) notes: mpsc::Receiver<Note>,
}

/// Sets the network up and starts its tasks, if one is wanted.
///
/// # Errors
/// See [`NetworkError`].
pub(crate) fn start(
    config: &NetworkConfig,
    data_dir: &Path,
    parts: Parts,
    tasks: &mut Tasks,
) -> Result<Option<Link>, NetworkError> {
    if !config.is_wanted() {
        return Ok(None);
    }
    let Parts { store, account, admission, replica, follower, nudge, rpc, vipe, notes } = parts;
    let domain = store.facts().domain();
    let identity = Identity::load_or_create(&data_dir.join(&config.identity))?;
    let settings = settings(config, data_dir, domain, &replica)?;
    let named = settings.bootstrap.iter().filter_map(gossip::Place::peer);
    let towers = Arc::new(Towers::new(domain, named));
    let alerts = Arc::new(Alerts::new(store.clone(), follower.clone(), Arc::clone(&towers)));
    let sync = Arc::new(SyncCounts::default());
    let answers = Answers::new(store.clone(), Arc::clone(&replica), Arc::clone(&sync));
    let intake = TowerIntake::new(
        store.clone(),
        Arc::clone(&admission),
        answers,
        Arc::clone(&alerts),
        Arc::clone(&towers),
    );
    let (handle, network) = Network::open(settings, &identity, Arc::new(intake))?;
    tracing::info!(peer = %handle.me(), "this tower's name on the network");
    tasks.spawn_apart(Stage::Network, "network", |stop| async move {
        network.run(stop).await;
        Ok(())
    });
    let syncer = Syncer {
        handle: handle.clone(),
        domain,
        admission: Arc::clone(&admission),
        replica: Arc::clone(&replica),
        counts: Arc::clone(&sync),
        interval: config.sync_interval,
    };
    tasks.spawn_apart(Stage::Network, "network-sync", |stop| syncer.run(stop));
    let herald = Herald {
        towers: Arc::clone(&towers),
        handle: handle.clone(),
        identity,
        account: account.clone(),
        store: store.clone(),
        admission: Arc::clone(&admission),
        replica: Arc::clone(&replica),
        selection: config.selection()?,
    };
    tasks.spawn_apart(Stage::Network, "network-towers", |stop| herald.run(stop));
    let seeker = Seeker { handle: handle.clone(), domain, admission };
    let teller = Teller { seeker: seeker.clone(), account, alerts: Arc::clone(&alerts) };
    tasks.spawn_apart(Stage::Network, "network-disputes", |stop| teller.run(stop, notes));
    let looker = Looker { alerts: Arc::clone(&alerts), store, rpc, vipe, follower, nudge, seeker };
    tasks.spawn_apart(Stage::Network, "network-looks", |stop| looker.run(stop));
    Ok(Some(Link { handle, domain, alerts, sync, towers, replica }))
}

fn settings(
    config: &NetworkConfig,
    data_dir: &Path,
    domain: Domain,
    replica: &Replica,
) -> Result<Config, ConfigError> {
    let mut settings = Config::new(domain);
    // What is placed here may change, and topics do not: what is not kept is not taken.
    let placed = matches!(config.selection()?, Selection::Placed);
    settings.shards = if placed { ShardSet::ALL } else { replica.kept() };
    settings.listen = NetworkConfig::places("network.listen", &config.listen)?;
    settings.external = NetworkConfig::places("network.external", &config.external)?;
    settings.bootstrap = NetworkConfig::places("network.bootstrap", &config.bootstrap)?;
    settings.book = Some(data_dir.join("peers.txt"));
    settings.reachable = if config.reachable { Reachable::Yes } else { Reachable::Ask };
    settings.relay_server = config.relay_server;
    settings.mdns = config.mdns;
    settings.limits.peers_target = config.peers_target;
    settings.limits.connections_max = config.connections_max;
    // Places that strangers cannot take are ours to fill.
    settings.limits.inbound_max = config.connections_max / 3 * 2;
    settings.limits.per_ip_max = config.per_ip_max;
    Ok(settings)
}
