//! A virtual node: what a participant and a counterparty (a hub) run.
//!
//! ```text
//!    person, bot --HTTP (token)--> api --+                     +--> towers (backups, receipts)
//!    other nodes --libp2p--> link -------+--> driver --turns--> store (redb: durable before anything leaves)
//!    chain --> follower (verified) ------+                     +--> sender --> chain
//! ```
//!
//! `protocol` decides (the handshake, payments, exits, coverage, restore); this crate carries out. [`Node::start`] builds the
//! parts, [`Node::tasks`] hands out their futures to whoever names and stops them.
//!
//! **Invariant:** nothing leaves the machine before the turn that explains it is durable.
//! **Invariant:** nothing is signed while the node's own view of the chain is stale.
//!
//! What is not there yet, and says so where it is asked for: consents of accounts that are contracts, more than one asset for
//! each node, a channel closed by consent *during* a dispute.

pub mod api;
mod book;
mod driver;
pub mod error;
pub mod invite;
pub mod keys;
#[cfg(test)]
mod kill;
mod notary;
pub mod policy;
mod prove;
mod rows;
mod sender;
mod text;
mod towers;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chain::cursor::Cursor;
use chain::follower::{FollowConfig, Follower};
use chain::provider::Rpc;
use chain::submitter::Submitter;
use gossip::link::{LinkConfig, LinkLoop};
use protocol::Role;
use store::Store;
use tokio::sync::{mpsc, watch as channel};

pub use driver::{After, Command, Request, Site};
use driver::{Driver, Inputs, Parts};
use error::NodeError;
use keys::Keys;
pub use notary::Notary;
use policy::Policy;
pub use prove::Prover;
pub use rows::RowError;
pub use sender::Sender;
pub use text::TextError;
pub use towers::{Herald, Spread, SpreadError, Worker};
pub use watch::Watch;

/// Requests of people that may wait; beyond it they are told to come again.
const REQUESTS_MAX: usize = 256;

/// What a node is made of.
#[derive(Debug)]
pub struct Setup {
    /// Participant, or counterparty of many.
    pub role: Role,
    /// The contracts.
    pub site: Site,
    /// The keys.
    pub keys: Keys,
    /// What the person decided.
    pub policy: Policy,
    /// The open store, of this account.
    pub store: Store,
    /// The chain's nodes.
    pub rpc: Rpc,
    /// How the chain is followed.
    pub follow: FollowConfig,
    /// Sends for this account; with no obligations yet.
    pub submitter: Submitter,
    /// How often the sender looks.
    pub interval: Duration,
    /// The most that gas may cost, in wei.
    pub gas_price_max: u128,
    /// Where to listen for other nodes.
    pub link: LinkConfig,
    /// The towers' addresses (`http://host:port`).
    pub towers: Vec<String>,
    /// What spreads backups besides them.
    pub spread: Spread,
    /// Where the circuit is kept.
    pub circuit: PathBuf,
}

/// A node that is set up and does nothing until its tasks run.
#[derive(Debug)]
pub struct Node {
    driver: Driver,
    inputs: Inputs,
    around: Rest,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// What is stored, or the network.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The policy makes no sense.
    #[error(transparent)]
    Policy(#[from] policy::PolicyError),
    /// The chain's nodes.
    #[error("{0}")]
    Rpc(#[from] chain::error::RpcError),
    /// The metrics.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] metrics::MetricsError),
    /// What carries backups.
    #[error(transparent)]
    Towers(#[from] SpreadError),
}

impl Node {
    /// Sets a node up: reads what is stored, opens the ports. Must be called inside a runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        setup.policy.validate()?;
        let cursor = stored_cursor(&setup.store).map_err(NodeError::from)?;
        let follower = Follower::open(setup.rpc.clone(), setup.follow, cursor).await?;
        let (handle, link_events, link) =
            gossip::link::open(&setup.link, &setup.keys.identity).map_err(NodeError::from)?;
        let domain = protocol::Domain::derive(setup.site.chain_id, setup.site.vipe);
        let towers::Started { towers, workers, herald, answers } =
            towers::start(&setup.towers, &setup.spread, domain)?;
        // One batch at a time: the next is read when this one is durable.
        let (driver, batches) = mpsc::channel(1);
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let ((outbox, wake), (told, sent)) = (channel::channel(0), mpsc::channel(1));
        let (prove, jobs) = mpsc::channel(prove::JOBS_MAX);
        let (say_proven, proven) = mpsc::channel(prove::JOBS_MAX);
        let prover = Prover {
            folder: setup.circuit,
            rpc: setup.rpc.clone(),
            vipe: setup.site.vipe,
            account: setup.keys.account.address(),
            jobs,
            proven: say_proven,
        };
        let metrics = Arc::new(metrics::NodeMetrics::new()?);
        let sender = Sender {
            submitter: setup.submitter,
            store: setup.store.clone(),
            interval: setup.interval,
            metrics: Arc::clone(&metrics),
            wake,
            told,
            #[cfg(test)]
            kill: None,
        };
        let (sign, to_sign) = mpsc::channel(notary::JOBS_MAX);
        let (check, to_check) = mpsc::channel(notary::JOBS_MAX);
        let (tell, from_outside) = mpsc::channel(notary::JOBS_MAX);
        let (account, rpc) = (setup.keys.account.clone(), setup.rpc.clone());
        let Site { vipe: vault, vip, .. } = setup.site;
        let notary = Notary { account, rpc, vault, to_sign, to_check, told: tell };
        let watch = Watch { follower, rpc: setup.rpc.clone(), vip, driver };
        let driver = Driver::load(Parts {
            role: setup.role,
            site: setup.site,
            keys: setup.keys,
            policy: setup.policy,
            store: setup.store,
            link: handle,
            towers,
            outbox,
            prove,
            sign,
            check,
            gas_price_max: setup.gas_price_max,
            metrics: Arc::clone(&metrics),
            #[cfg(test)]
            kill: None,
        })?;
        let inputs = Inputs {
            link: link_events,
            batches,
            requests: asked,
            towers: answers,
            sent,
            proven,
            told: from_outside,
        };
        let around =
            Rest { link, watch, sender, prover, notary, workers, herald, requests, metrics };
        Ok(Self { driver, inputs, around })
    }

    /// Takes the node apart into its tasks: the driver's future factory, and the rest by their fields.
    #[must_use]
    pub fn tasks(self) -> (Running, Rest) {
        let Self { driver, inputs, around } = self;
        (Running { driver, inputs }, around)
    }
}

/// The driver, ready to run.
#[derive(Debug)]
pub struct Running {
    driver: Driver,
    inputs: Inputs,
}

impl Running {
    /// Runs until told to stop.
    ///
    /// # Errors
    /// [`NodeError`]: the node must be started again.
    pub async fn run(self, stop: tokio_util::sync::CancellationToken) -> Result<(), NodeError> {
        Box::pin(self.driver.run(stop, self.inputs)).await
    }
}

/// Everything around the driver.
#[derive(Debug)]
pub struct Rest {
    /// Links to other nodes.
    pub link: LinkLoop,
    /// Reads the chain.
    pub watch: Watch,
    /// Sends to the chain.
    pub sender: Sender,
    /// Proves own states.
    pub prover: Prover,
    /// Asks outside: for the account's consents, where its key is elsewhere, and about others' accounts.
    pub notary: Notary,
    /// One for each tower.
    pub workers: Vec<Worker>,
    /// Speaks in the towers' gossip, where that is wanted.
    pub herald: Option<Herald>,
    /// Where requests go in.
    pub requests: mpsc::Sender<Request>,
    /// What it tells Prometheus.
    pub metrics: Arc<metrics::NodeMetrics>,
}

fn stored_cursor(store: &Store) -> Result<Option<Cursor>, RowError> {
    let Some(row) = store.cursor()? else { return Ok(None) };
    Ok(Some(serde_json::from_str(&row.state)?))
}
