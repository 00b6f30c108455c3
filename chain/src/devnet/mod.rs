//! The embedded settlement layer: an Ethereum chain in this process, behind a real JSON-RPC server.
//!
//! revm executes, alloy's types encode, axum serves HTTP and WebSocket on one loopback port. alloy, `cast` and ethers
//! work against it as against any node; anvil's control methods (`evm_mine`, `anvil_reorg`, ..) steer it.
//!
//! ```text
//!   DevnetConfig -> Devnet::start -> DevnetHandle { http_url, ws_url, accounts, mine, advance_time, shutdown }
//!                        |
//!                        +-- task "rpc":   axum -> rpc -> Node (state, blocks, pool, clock)
//!                        +-- task "miner": a block whenever the period is over
//! ```
//!
//! # What is real
//! Signatures, nonces, balances, fees (EIP-1559, moving with every block), gas (EIP-7623 floor, EIP-7825 cap, EIP-170
//! and EIP-3860 sizes), pool rules and their wording (geth's), block hashes and all four roots (transactions, receipts,
//! state: Merkle Patricia tries; logs: bloom), strictly growing timestamps, reorganisations with `removed` logs.
//!
//! # What is not
//! There is no consensus and no peer: whoever runs it decides. No blobs (type 3 is refused), no withdrawals, no system
//! contracts of EIP-4788, 2935, 7002 and 7251, no traces, no `eth_getProof`. `finalized` is a number of blocks. The
//! pending block has no state root. State lives in memory and is gone at the end.
//!
//! **Invariant:** nothing a client does can hold up mining for longer than one call's gas allows, and no client is
//! waited for.
//!
//! **Invariant:** without `allow_remote` it listens on loopback only: the keys of its accounts are public.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alloy_primitives::{Address, U256};
use tokio::{net::TcpListener, task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

mod accounts;
mod assemble;
mod blocks;
mod clock;
mod config;
mod error;
mod events;
mod executor;
mod node;
mod pool;
mod rpc;
mod state;

pub use accounts::{DevAccount, MNEMONIC, derive as dev_accounts};
pub use config::{ACCOUNTS_MAX, BENEFICIARY, DevnetConfig, Hardfork, Limits, Mining};
pub use error::{DevnetError, PoolError, Shortfall};

use node::Node;
use rpc::Shared;

/// How long [`DevnetHandle::shutdown`] waits for open requests.
const GRACE: Duration = Duration::from_secs(2);

/// Starts embedded chains.
#[derive(Debug)]
#[non_exhaustive]
pub struct Devnet;

impl Devnet {
    /// Starts a chain and its server. When this returns, requests are answered.
    ///
    /// # Errors
    /// [`DevnetError::Config`] for a configuration that cannot work, [`DevnetError::Bind`] for a port that is taken.
    pub async fn start(config: DevnetConfig) -> Result<DevnetHandle, DevnetError> {
        config.validate()?;
        let address = SocketAddr::new(config.host, config.port);
        let bind = |source| DevnetError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let chain_id = config.chain_id;
        let (accounts, node) = tokio::task::spawn_blocking(move || {
            let accounts = accounts::derive(config.accounts)?;
            Ok::<_, DevnetError>((accounts.clone(), Node::new(config, accounts)))
        })
        .await
        .map_err(|_ended| DevnetError::Stopped)??;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(node, stop.clone()));
        let mut tasks = JoinSet::new();
        let server = axum::serve(listener, rpc::router(Arc::clone(&shared)))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move {
            if let Err(error) = server.await {
                warn!(%error, "devnet rpc server ended");
            }
            "rpc"
        });
        tasks.spawn(run_miner(Arc::clone(&shared), stop.clone()));
        info!(%address, chain_id, "devnet started");
        Ok(DevnetHandle { address, chain_id, accounts, shared, stop, tasks })
    }
}

/// Makes blocks on time, until stopped.
async fn run_miner(shared: Arc<Shared>, stop: CancellationToken) -> &'static str {
    let mut mode = shared.mining();
    loop {
        let mining = *mode.borrow_and_update();
        let mut period = match mining {
            Mining::Every { millis } => {
                let every = Duration::from_millis(millis);
                let mut period = time::interval_at(time::Instant::now() + every, every);
                period.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
                Some(period)
            }
            Mining::Instant | Mining::Manual => None,
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return "miner",
                changed = mode.changed() => {
                    if changed.is_err() {
                        return "miner";
                    }
                    break;
                }
                () = tick(period.as_mut()) => {
                    let shared = Arc::clone(&shared);
                    let mined = tokio::task::spawn_blocking(move || shared.write().map(|mut node| node.mine())).await;
                    if !matches!(mined, Ok(Ok(_))) {
                        warn!("devnet miner ended: the chain has stopped");
                        return "miner";
                    }
                }
            }
        }
    }
}

/// The next tick; never without a period.
async fn tick(period: Option<&mut time::Interval>) {
    match period {
        Some(period) => {
            period.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// A running chain. Dropping it stops the chain without waiting; [`Self::shutdown`] waits.
#[derive(Debug)]
pub struct DevnetHandle {
    address: SocketAddr,
    chain_id: u64,
    accounts: Vec<DevAccount>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<&'static str>,
}

impl DevnetHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL for JSON-RPC over HTTP.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// URL for JSON-RPC over WebSocket, on the same port.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The funded accounts, with their public keys to everybody's money: see [`DevAccount`].
    pub fn accounts(&self) -> &[DevAccount] {
        &self.accounts
    }

    /// Number and timestamp (seconds since 1970) of the newest block.
    ///
    /// # Errors
    /// [`DevnetError::Stopped`].
    pub fn latest(&self) -> Result<(u64, u64), DevnetError> {
        let node = self.shared.read()?;
        let head = node.blocks.head();
        Ok((head.number(), head.header.timestamp))
    }

    /// Makes `count` blocks now, whatever the mining mode is. Returns the newest block's number.
    ///
    /// # Errors
    /// [`DevnetError::Bound`] above [`Limits::mine`], [`DevnetError::Stopped`].
    pub async fn mine(&self, count: u64) -> Result<u64, DevnetError> {
        self.with_node(move |node| {
            let bound = node.config.limits.mine;
            if count > bound {
                return Err(DevnetError::Bound { what: "blocks", requested: count, bound });
            }
            for _ in 0..count {
                node.mine();
            }
            Ok(node.blocks.head().number())
        })
        .await
    }

    /// Gives the next block this timestamp (seconds since 1970); time flows on from there.
    ///
    /// # Errors
    /// [`DevnetError::TimeNotAfter`] if it is not after the newest block's, [`DevnetError::Bound`] after the year 9999.
    pub fn set_time(&self, timestamp: u64) -> Result<(), DevnetError> {
        let mut node = self.shared.write()?;
        let parent = node.blocks.head().header.timestamp;
        node.touch();
        node.clock.set_next(timestamp, parent)
    }

    /// Moves the clock forward. The next block shows it; no block is made.
    ///
    /// # Errors
    /// [`DevnetError::Bound`] if it leads past the year 9999.
    pub fn advance_time(&self, seconds: u64) -> Result<(), DevnetError> {
        let mut node = self.shared.write()?;
        let parent = node.blocks.head().header.timestamp;
        node.touch();
        node.clock.advance(seconds, parent).map(|_offset| ())
    }

    /// Sets an account's balance, in wei.
    ///
    /// # Errors
    /// [`DevnetError::Stopped`].
    pub fn set_balance(&self, address: Address, wei: U256) -> Result<(), DevnetError> {
        self.shared.write()?.edit_account(address, |info| info.balance = wei);
        Ok(())
    }

    /// Changes when blocks are made.
    ///
    /// # Errors
    /// [`DevnetError::Stopped`].
    pub fn set_mining(&self, mining: Mining) -> Result<(), DevnetError> {
        self.shared.set_mining(mining)
    }

    /// Replaces the newest `depth` blocks by empty ones at the same heights. Their transactions return to the pool,
    /// subscribers get `removed` logs and the new heads.
    ///
    /// # Errors
    /// [`DevnetError::BelowFinalized`] if it would revert a final block.
    pub async fn reorganise(&self, depth: u64) -> Result<(), DevnetError> {
        self.with_node(move |node| node.reorganise(depth, std::collections::BTreeMap::new())).await
    }

    /// Stops the server and the miner, and waits for open requests, but no longer than two seconds.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let ended = time::timeout(GRACE, async {
            while let Some(task) = self.tasks.join_next().await {
                debug!(?task, "devnet task ended");
            }
        })
        .await;
        if ended.is_err() {
            self.tasks.shutdown().await;
        }
        info!(address = %self.address, "devnet stopped");
    }

    async fn with_node<T, F>(&self, work: F) -> Result<T, DevnetError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Node) -> Result<T, DevnetError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&mut *shared.write()?))
            .await
            .map_err(|_ended| DevnetError::Stopped)?
    }
}

impl Drop for DevnetHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.abort_all();
    }
}
