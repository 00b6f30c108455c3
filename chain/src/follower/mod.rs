//! Follows the vault: exactly once, in order, through reorganisations and restarts.
//!
//! [`Follower::next`] waits for the next [`Batch`]; the caller stores its conclusions and `batch.cursor` in one
//! transaction and calls [`Follower::acknowledge`]. Polling always works; on a websocket new heads wake it earlier.
//! Trouble with the node is waited out inside, with growing pauses, and shown in [`Health`]; only what no waiting can
//! cure is returned.
//!
//! **Invariant:** a batch that was not acknowledged is delivered again, also after a restart from the stored cursor.

mod core;
mod range;

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use alloy::pubsub::Subscription;
use alloy_primitives::Address;
use tokio::sync::{broadcast, watch};

use self::core::{Answer, Ask, Core, Step};
pub use self::core::{Batch, FollowError, Limits, Tip};
use crate::{
    backoff,
    cursor::Cursor,
    error::{Retry, RpcError},
    provider::{At, Header, Rpc},
};

/// How a chain says that a block is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// By its `finalized` tag.
    Tag,
    /// It does not; this many blocks on top count as final. There is no default: it is the operator's judgement of the
    /// chain.
    Depth(u64),
}

/// What to follow, and how.
#[derive(Debug, Clone, Copy)]
pub struct FollowConfig {
    /// The vault.
    pub vipe: Address,
    /// The block that holds the vault's creation, where reading starts when there is no cursor.
    pub start_block: u64,
    /// How this chain says that a block is final.
    pub finality: Finality,
    /// How often to look when nothing wakes us.
    pub poll_interval: Duration,
    /// Bounds.
    pub limits: Limits,
}

/// How the follower fares; for health pages and alarms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// The node's newest block and how far the chain is final.
    pub tip: Option<Tip>,
    /// Height up to which everything is read and acknowledged.
    pub position: u64,
    /// Blocks between the position and the node's newest block.
    pub behind: u64,
    /// Failed questions since the last success.
    pub failures: u32,
    /// The last failure; none after a success.
    pub last_error: Option<RpcError>,
}

/// Reads the vault's events from one node.
#[derive(Debug)]
pub struct Follower {
    rpc: Rpc,
    config: FollowConfig,
    core: Core,
    heads: Option<Subscription<serde_json::Value>>,
    health: watch::Sender<Health>,
    failures: u32,
}

impl Follower {
    /// Starts from `cursor`, or from the block before the vault's creation.
    ///
    /// # Errors
    /// When the node does not answer, or has no block before the vault's creation.
    pub async fn open(
        rpc: Rpc,
        config: FollowConfig,
        cursor: Option<Cursor>,
    ) -> Result<Self, RpcError> {
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => {
                let number = config.start_block.saturating_sub(1);
                let header =
                    rpc.header(At::Number(number)).await?.ok_or_else(|| RpcError::Malformed {
                        method: "eth_getBlockByNumber".to_owned(),
                        reason: format!(
                            "the node has no block {number}, where the vault's history starts"
                        ),
                    })?;
                Cursor::at(header.id)
            }
        };
        let core = Core::new(config.vipe, config.limits, cursor);
        let (health, _) = watch::channel(Health::default());
        Ok(Self { rpc, config, core, heads: None, health, failures: 0 })
    }

    /// Shows how the follower fares, also while [`Self::next`] waits.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// The last acknowledged cursor.
    pub fn cursor(&self) -> &Cursor {
        self.core.cursor()
    }

    /// Waits for the next batch. Until it is acknowledged the same one comes again. Cancel-safe: dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// When waiting cannot help; see [`FollowError`].
    pub async fn next(&mut self) -> Result<Batch, FollowError> {
        let mut step = self.core.begin();
        loop {
            step = match step {
                Step::Deliver(batch) => {
                    self.report(batch.tip);
                    return Ok(*batch);
                }
                Step::Again => self.core.begin(),
                Step::Idle(tip) => {
                    self.report(tip);
                    self.wait_for_head().await;
                    self.core.begin()
                }
                Step::Ask(ask) => match self.put(ask).await {
                    Ok(answer) => self.core.answer(answer)?,
                    Err(error) => {
                        self.wait_out(ask, error).await;
                        self.core.begin()
                    }
                },
            };
        }
    }

    /// Moves on behind the batch delivered last. Call it after the batch's cursor is durable.
    pub fn acknowledge(&mut self) {
        self.core.acknowledge();
        let position = self.core.cursor().position().number;
        self.health.send_modify(|health| {
            health.position = position;
            health.behind = health.tip.map_or(0, |tip| tip.head.id.number.saturating_sub(position));
        });
    }

    async fn put(&self, ask: Ask) -> Result<Answer, RpcError> {
        let vipe = self.config.vipe;
        match ask {
            Ask::Head => {
                let head = self.rpc.head().await?;
                let finalized = self.finalized(&head).await?;
                Ok(Answer::Head(Tip { head, finalized }))
            }
            Ask::Header(number) => Ok(Answer::Header(self.rpc.header(At::Number(number)).await?)),
            Ask::LogsOfBlock(block) => match self.rpc.logs_of_block(vipe, block.hash).await {
                Ok(logs) => Ok(Answer::Logs(Some(logs))),
                // Nodes word it differently when a block is gone. Looking again decides: if it is gone the head has
                // changed, if not the question is asked once more.
                Err(RpcError::Refused { .. }) if !self.has(block.number, block.hash).await? => {
                    Ok(Answer::Logs(None))
                }
                Err(error) => Err(error),
            },
            Ask::LogsOfRange { from, to } => match self.rpc.logs_of_range(vipe, from, to).await {
                Ok(logs) => Ok(Answer::Logs(Some(logs))),
                Err(RpcError::Refused { .. } | RpcError::TimedOut { .. }) if from < to => {
                    Ok(Answer::RangeRefused)
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn has(&self, number: u64, hash: alloy_primitives::B256) -> Result<bool, RpcError> {
        Ok(self.rpc.header(At::Number(number)).await?.is_some_and(|header| header.id.hash == hash))
    }

    async fn finalized(&self, head: &Header) -> Result<Option<u64>, RpcError> {
        finalized(&self.rpc, self.config.finality, head)
            .await
            .map(|found| found.map(|header| header.id.number))
    }

    fn report(&mut self, tip: Tip) {
        self.failures = 0;
        let position = self.core.cursor().position().number;
        let behind = tip.head.id.number.saturating_sub(position);
        self.health.send_replace(Health {
            tip: Some(tip),
            position,
            behind,
            failures: 0,
            last_error: None,
        });
    }

    /// Waits for the poll interval or, where there is a subscription, for a new head.
    async fn wait_for_head(&mut self) {
        if self.heads.is_none() {
            // Without it polling goes on, so a failure here is no trouble.
            self.heads = self.rpc.heads().await.ok().flatten();
        }
        let poll = tokio::time::sleep(self.config.poll_interval);
        let Some(heads) = &mut self.heads else { return poll.await };
        tokio::select! {
            () = poll => {}
            head = heads.recv() => {
                if matches!(head, Err(broadcast::error::RecvError::Closed)) {
                    self.heads = None;
                }
            }
        }
    }

    async fn wait_out(&mut self, ask: Ask, error: RpcError) {
        self.failures = self.failures.saturating_add(1);
        let (failures, seed) = (self.failures, RandomState::new().hash_one(self.failures));
        let mut pause = backoff::wait(failures, seed);
        if let Retry::Later(Some(asked)) = error.retry() {
            pause = pause.max(asked.min(RETRY_AFTER_MAX));
        }
        tracing::warn!(%error, ?ask, failures, pause_ms = pause.as_millis(), "the node did not answer the follower");
        self.health.send_modify(|health| {
            health.failures = failures;
            health.last_error = Some(error);
        });
        tokio::time::sleep(pause).await;
    }
}

/// The longest pause that a node can impose on us: a minute is a small part of any dispute window.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// The newest final block under `head`, as the chain or the operator defines it; none while there is none.
pub(crate) async fn finalized(
    rpc: &Rpc,
    finality: Finality,
    head: &Header,
) -> Result<Option<Header>, RpcError> {
    match finality {
        Finality::Tag => rpc.header(At::Finalized).await,
        Finality::Depth(depth) => match head.id.number.checked_sub(depth) {
            Some(number) => rpc.header(At::Number(number)).await,
            None => Ok(None),
        },
    }
}
