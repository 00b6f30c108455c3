//! Builds the parts of a tower in order, names their tasks, and stops them in order.
//!
//! ```text
//!   start: configuration -> store -> node of the chain (checked) -> circuit -> follower -> tasks -> listening
//!   stop:  http -> network -> chain watch, admission -> node -> prover -> submitter -> store
//! ```
//!
//! **Invariant:** a tower that started has checked that the node is on its chain, that vault and verifier there have the code
//! that the deployment file says, that the vault is the one that its domain says, that its store is of the same vault and account, and that the account can pay.

pub(crate) mod checks;
mod intake;
pub(crate) mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chain::account::Account;
use chain::calls::ReadError;
use chain::cursor::Cursor;
use chain::error::RpcError;
use chain::follower::Follower;
use chain::pending::{PendingWatch, Rival};
use chain::provider::Rpc;
use chain::provider::startup::StartupError;
use protocol::{Address, Domain};
use store::{Facts, Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use self::checks::check_vault;
use self::checks::{Checked, check_chain};
use self::intake::{Healths, World};
pub(crate) use self::settings::following;
use self::settings::{policy, recorder, submitter};
use crate::config::{Config, ConfigError, WEI_PER_GWEI};
use crate::driver::foresight::{Desk, Foresight};
use crate::driver::life::Terms;
use crate::driver::node::{Inputs, Node, Parts};
use crate::driver::notices::notices;
use crate::driver::prove::{self, Prove};
use crate::driver::race::Race;
use crate::driver::{submit, watch as chain_watch};
use crate::http::{self, Bounds};
use crate::network::NetworkError;
use crate::tasks::{Stage, TaskError, Tasks};

/// Reports of the submitter that may wait for the node: a handful for each of its obligations.
const REPORTS_MAX: usize = 1_024;

/// Overrides of others in the pool that may wait for the node; further ones are not waited for.
const RIVALS_MAX: usize = 256;

/// Why a tower does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node of the chain is not reached.
    #[error("{error}; {}", error.advice())]
    Rpc {
        /// What happened.
        error: RpcError,
    },
    /// The node, the vault or the account is not what it should be.
    #[error("{error}; {}", error.advice())]
    Chain {
        /// What was found.
        error: StartupError,
    },
    /// The contract at the vault's address does not answer like a vault.
    #[error(
        "the contract at {vipe} does not answer like a vault; check chain.vipe or the deployment file"
    )]
    NoVault {
        /// The address.
        vipe: Address,
        /// What it answered.
        #[source]
        source: ReadError,
    },
    /// The contract at the vault's address is a vault of another domain.
    #[error(
        "the vault at {vipe} says its domain is {found}, this chain and address make {expected}"
    )]
    OtherDomain {
        /// The address.
        vipe: Address,
        /// From chain id and address.
        expected: Domain,
        /// What it says.
        found: Domain,
    },
    /// The vault has rules that no vault may have.
    #[error(
        "no tower can help in this vault, by its rules: {0}; check chain.vipe, or use a vault with other rules"
    )]
    Rules(String),
    /// The stored position cannot be read.
    #[error(
        "the stored position on the chain cannot be read: {0}; the store is of another version"
    )]
    Cursor(String),
    /// The network between towers.
    #[error("the network between towers does not start")]
    Network(#[from] NetworkError),
    /// The metrics.
    #[error("the metrics cannot be set up")]
    Metrics(#[from] metrics::MetricsError),
    /// The prover does not start.
    #[error("the prover does not start: {0}")]
    Prover(String),
    /// Something of the operating system.
    #[error("{what}")]
    System {
        /// What was wanted.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A running tower.
#[derive(Debug)]
pub struct Tower {
    address: SocketAddr,
    account: Address,
    tasks: Tasks,
    grace: Duration,
}

impl Tower {
    /// Builds and starts everything. Returns once HTTP answers; `/readyz` says when the chain is read and the prover warm.
    ///
    /// # Errors
    /// See [`StartError`]; nothing keeps running then.
    pub async fn start(config: &Config, account: Account) -> Result<Self, StartError> {
        let path = config.store_path();
        let cache = config.store.cache_bytes();
        Self::start_with(config, account, |facts| Store::open_cached(path, facts, cache)).await
    }

    /// [`Tower::start`] with a store that is opened in another way: how tests make a disk fail.
    ///
    /// # Errors
    /// As [`Tower::start`].
    pub async fn start_with(
        config: &Config,
        account: Account,
        open: impl FnOnce(Facts) -> Result<Store, StoreError>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let checked = check_chain(config, account.address()).await?;
        let system = |what: String| move |source| StartError::System { what, source };
        std::fs::create_dir_all(&config.data_dir)
            .map_err(system(format!("cannot make {}", config.data_dir.display())))?;
        let vault = checked.vault;
        let facts =
            Facts { chain_id: vault.chain_id, vipe: vault.vipe, account: account.address() };
        let store = open(facts)?;
        let listener = http::listen(config.http.listen).await.map_err(system(format!(
            "cannot listen on {}: choose another address with http.listen",
            config.http.listen
        )))?;
        let address =
            listener.local_addr().map_err(system("the listener has no address".to_owned()))?;
        let mut tasks = Tasks::default();
        let prover = prove::start(config, &mut tasks)?;
        spawn(config, &account, (checked, store, prover, listener), &mut tasks).await?;
        tracing::info!(
            %address, account = %account.address(), vipe = %vault.vipe, chain_id = vault.chain_id, "the tower runs"
        );
        let grace = config.shutdown.grace;
        Ok(Self { address, account: account.address(), tasks, grace })
    }

    /// Where HTTP answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account that pays and is paid.
    #[must_use]
    pub fn account(&self) -> Address {
        self.account
    }

    /// Ends one of the tower's tasks at once, as a bug in it would: for drills of what the tower says and does then.
    #[must_use]
    pub fn abort_handle(&self, task: &str) -> Option<tokio::task::AbortHandle> {
        self.tasks.abort_handle(task)
    }

    /// Runs until a signal comes or a part fails, then stops everything in order. A second signal aborts.
    ///
    /// # Errors
    /// What failed, or what did not stop.
    pub async fn run(self, signals: &mut mpsc::Receiver<()>) -> Result<(), TaskError> {
        let outcome = self.tasks.run(signals, self.grace).await;
        tracing::info!("the tower has stopped");
        outcome
    }

    /// [`Tower::run`] until a token says so.
    ///
    /// # Errors
    /// As [`Tower::run`].
    pub async fn run_until(self, stop: &CancellationToken) -> Result<(), TaskError> {
        let outcome = self.tasks.run_until(stop, self.grace).await;
        tracing::info!("the tower has stopped");
        outcome
    }
}

fn read_cursor(store: &Store) -> Result<Option<Cursor>, StartError> {
    let Some(row) = store.cursor()? else { return Ok(None) };
    serde_json::from_str(&row.state)
        .map(Some)
        .map_err(|error| StartError::Cursor(error.to_string()))
}

/// Where proofs made ahead lie and, where that is wanted, the task that watches what waits to be mined and makes them; other
/// towers' overrides that wait come out.
fn look_ahead(
    config: &Config,
    (rpc, store, account): (&Rpc, &Store, Address),
    (prove, heads): (&Prove, watch::Receiver<u64>),
    tasks: &mut Tasks,
) -> (Arc<Desk>, mpsc::Receiver<Rival>) {
    let (to_node, rivals) = mpsc::channel(RIVALS_MAX);
    if !config.chain.watch_pending {
        return (Desk::new(None), rivals);
    }
    let interval = config.chain.poll_interval;
    let (watch, hints, counters) = PendingWatch::new(rpc.clone(), store.facts().vipe, interval);
    let watch = watch.with_rivals(to_node);
    let desk = Desk::new(Some(counters));
    let foresight = Foresight {
        desk: Arc::clone(&desk),
        store: store.clone(),
        beneficiary: account,
        prove: Arc::clone(prove),
        heads,
    };
    tasks.spawn(Stage::Watch, "pending-watch", |stop| foresight.run(stop, (watch, hints)));
    (desk, rivals)
}

fn bounds(config: &Config) -> Bounds {
    Bounds { requests_max: config.http.requests_max, request_timeout: config.http.request_timeout }
}

async fn spawn(
    config: &Config,
    account: &Account,
    (checked, store, prover, listener): (Checked, Store, prove::Started, tokio::net::TcpListener),
    tasks: &mut Tasks,
) -> Result<(), StartError> {
    let Checked { rpc, vipe, vault, rules } = checked;
    let follow = following(config, vault.vipe);
    let finality = follow.finality;
    let follower = Follower::open(rpc.clone(), follow, read_cursor(&store)?);
    let follower = follower.await.map_err(|error| StartError::Rpc { error })?;
    // One batch at a time: the next is read when this one is durable.
    let (to_node, batches) = mpsc::channel(1);
    let (tell, told) = mpsc::channel(REPORTS_MAX);
    let (notices, heard, shown) = notices();
    let (outbox, wake) = watch::channel(0);
    let (heads, new_heads) = watch::channel(0);
    let (set_deadline, deadlines) = mpsc::channel(submit::DEADLINES_MAX);
    let submitter = submitter(config, account, &rpc, (vault.chain_id, finality)).await?;
    let recorder = recorder(config, &store, &prover)?;
    recorder.watch_queues(&to_node, &tell, &set_deadline, notices.channel());
    let world = World { store: store.clone(), rpc: rpc.clone(), vipe, follower: follower.health() };
    let intake = intake::start(config, account, world, notices, tasks)?;
    let race = intake
        .link
        .clone()
        .map(|link| Race::new(link, config.decision.race_slot, rules.dispute_window));
    let whose = (&rpc, &store, account.address());
    let (desk, rivals) = look_ahead(config, whose, (&prover.prove, heads.subscribe()), tasks);
    let healths = Healths::new(&follower, &submitter, prover.ready, &desk, tasks);
    let shared = intake.shared(config, &store, &recorder, healths);
    let bounds = bounds(config);
    tasks.spawn(Stage::Http, "http", |stop| http::run(stop, listener, shared, bounds));
    tasks.spawn(Stage::Watch, "chain-watch", |stop| {
        chain_watch::run(stop, follower, to_node, intake.nudge)
    });
    let terms = Terms { beneficiary: account.address(), policy: policy(config), rules };
    let node = Node::new(Parts {
        store: store.clone(),
        vault,
        vipe,
        rpc: rpc.clone(),
        terms,
        collect_to: config.account.collect_to.unwrap_or(account.address()),
        override_gas: config.decision.override_gas,
        gas_price_max: u128::from(config.fees.gas_price_max_gwei) * u128::from(WEI_PER_GWEI),
        prove: desk.before(prover.prove),
        recorder: recorder.clone(),
        outbox,
        heads,
        deadlines: set_deadline,
        notes: intake.notes,
        race,
        replica: intake.replica,
        shown,
    });
    tasks
        .spawn(Stage::Node, "node", |stop| node.run(stop, Inputs { batches, told, heard, rivals }));
    let interval = config.chain.poll_interval;
    let parts =
        submit::Parts { submitter, store: store.clone(), interval, recorder: recorder.clone() };
    let ends = submit::Ends { wake, heads: new_heads, deadlines, told: tell };
    tasks.spawn(Stage::Submitter, "submitter", |stop| submit::run(stop, parts, ends));
    keep_open(store, tasks);
    recorder.tasks(tasks.names());
    Ok(())
}

/// The last one to stop keeps the store open for all the others.
fn keep_open(store: Store, tasks: &mut Tasks) {
    tasks.spawn(Stage::Store, "store", |stop| async move {
        stop.cancelled().await;
        drop(store);
        Ok(())
    });
}
