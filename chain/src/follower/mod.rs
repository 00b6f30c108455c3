//! Follows the vault: exactly once, in order, through reorganisations and restarts.
//!
//! [`Follower::next`] waits for the next [`Batch`]; the caller stores its conclusions and `batch.cursor` in one
//! transaction and calls [`Follower::acknowledge`]. Polling always works; on a websocket new heads wake it earlier.
//! What the nodes say is checked (`reader`); a node that fails or is caught is demoted and another one asked. Trouble is
//! waited out inside, with growing pauses, and shown in [`Health`]; only what no waiting can cure is returned.
//!
//! A block that cannot be verified is never passed: with [`Verify::Full`] on a chain whose receipts we cannot encode
//! the follower stands still, alarms ([`Alarm::Halted`]) and tries again until somebody changes the configuration.
//!
//! **Invariant:** a batch that was not acknowledged is delivered again, also after a restart from the stored cursor.

mod core;
mod error;
mod health;
mod question;
mod range;
mod reader;
#[cfg(test)]
mod sim;

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime},
};

use alloy::pubsub::Subscription;
use alloy_primitives::Address;
use tokio::sync::{broadcast, watch};

pub use self::{
    core::{Batch, Limits, Tip},
    error::FollowError,
    health::{Alarm, ClockBounds, Health},
};
use self::{
    core::{Core, Step},
    question::Ask,
    reader::Reader,
};
use crate::{
    backoff,
    cursor::Cursor,
    error::{Retry, RpcError},
    provider::{At, Header, Rpc},
    verify::{Verify, VerifyError},
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
    /// How much of what nodes say is checked.
    pub verify: Verify,
    /// How often to look when nothing wakes us.
    pub poll_interval: Duration,
    /// Bounds.
    pub limits: Limits,
    /// When the clock is alarmed.
    pub clock: ClockBounds,
}

/// Looks that may fail to fit together in a row, as the chain moves, before the follower pauses between them. A range
/// that is refused down to one block takes as many.
const AGAIN_MAX: u32 = 14;

/// Reads the vault's events.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    config: FollowConfig,
    core: Core,
    heads: Option<Subscription<serde_json::Value>>,
    health: watch::Sender<Health>,
    failures: u32,
    /// Looks in a row that did not fit together.
    again: u32,
}

impl Follower {
    /// Starts from `cursor`, or from the block before the vault's creation.
    ///
    /// # Errors
    /// When the nodes do not answer or agree, or have no block before the vault's creation.
    pub async fn open(
        rpc: Rpc,
        config: FollowConfig,
        cursor: Option<Cursor>,
    ) -> Result<Self, RpcError> {
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => {
                let number = config.start_block.saturating_sub(1);
                let found = rpc.agreed_header(number, config.verify).await?;
                let found = found.ok_or_else(|| RpcError::Malformed {
                    method: "eth_getBlockByNumber".to_owned(),
                    reason: format!(
                        "the node has no block {number}, where the vault's history starts"
                    ),
                })?;
                Cursor::at(found.header.id)
            }
        };
        let core = Core::new(config.vipe, config.limits, cursor);
        let (health, _) = watch::channel(Health::default());
        let reader = Reader::new(rpc, config.vipe, config.finality, config.verify);
        Ok(Self { reader, config, core, heads: None, health, failures: 0, again: 0 })
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
                Step::Again => {
                    self.again = self.again.saturating_add(1);
                    if self.again > AGAIN_MAX {
                        tokio::time::sleep(pause(self.again - AGAIN_MAX)).await;
                    }
                    self.core.begin()
                }
                Step::Idle(tip) => {
                    self.report(tip);
                    self.wait_for_head().await;
                    self.core.begin()
                }
                Step::Ask(ask) => match self.reader.put(ask).await {
                    Ok(answer) => match self.core.answer(answer) {
                        Ok(step) => step,
                        Err(error) => {
                            let error = self.judge(error).await?;
                            self.wait_out(ask, error).await;
                            self.core.begin()
                        }
                    },
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

    /// Whether an answer that does not fit is the node's fault, which another node or time can cure, or ours to stop on.
    async fn judge(&self, error: FollowError) -> Result<RpcError, FollowError> {
        let rpc = &self.reader.rpc;
        match error {
            FollowError::ReorgTooDeep { oldest }
                if rpc.anybody_has(oldest, self.config.verify).await =>
            {
                let reason = VerifyError::Inconsistent("a chain without the blocks that were read");
                Ok(RpcError::Unverified { endpoint: rpc.endpoint().to_owned(), reason })
            }
            FollowError::Inconsistent(what) => {
                Ok(rpc.best().blame(VerifyError::Inconsistent(what)))
            }
            // What the chain itself committed to is no event of ours: the wrong contract is read.
            FollowError::Decode(error) if self.config.verify != Verify::Full => {
                tracing::warn!(%error, "a log of the vault does not decode; it is not verified and may be invented");
                let reason = VerifyError::Inconsistent("a log that is no event of the vault");
                Ok(rpc.best().blame(reason))
            }
            error => Err(error),
        }
    }

    fn report(&mut self, tip: Tip) {
        (self.failures, self.again) = (0, 0);
        let position = self.core.cursor().position().number;
        let behind = tip.head.id.number.saturating_sub(position);
        let scoreboard = self.reader.rpc.scoreboard();
        let mut alarms = health::clock_alarms(&tip, self.config.clock, now_s());
        alarms.extend(health::endpoint_alarms(&scoreboard));
        self.publish(Health {
            tip: Some(tip),
            position,
            behind,
            failures: 0,
            last_error: None,
            alarms,
            scoreboard,
        });
    }

    /// Publishes, and says each alarm once when it comes up.
    fn publish(&self, health: Health) {
        let before = self.health.send_replace(health);
        for alarm in &self.health.borrow().alarms {
            let kind = std::mem::discriminant(alarm);
            if !before.alarms.iter().any(|old| std::mem::discriminant(old) == kind) {
                tracing::warn!(%alarm, "the chain watch needs somebody to look at it");
            }
        }
    }

    /// Waits for the poll interval or, where there is a subscription, for a new head.
    async fn wait_for_head(&mut self) {
        if self.heads.is_none() {
            // Without it polling goes on, so a failure here is no trouble.
            self.heads = self.reader.rpc.heads().await.ok().flatten();
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
        let failures = self.failures;
        let mut wait = pause(failures);
        if let Retry::Later(Some(asked)) = error.retry() {
            wait = wait.max(asked.min(RETRY_AFTER_MAX));
        }
        // A node that failed or lied is demoted for a while, so this cannot go round and round.
        if is_one_nodes_fault(&error) && self.reader.rpc.has_another() {
            wait = Duration::ZERO;
        }
        tracing::warn!(%error, ?ask, failures, pause_ms = wait.as_millis(), "the node did not answer the follower");
        let mut health = self.health.borrow().clone();
        health.scoreboard = self.reader.rpc.scoreboard();
        health.alarms = health::endpoint_alarms(&health.scoreboard).collect();
        if let Some(tip) = &health.tip {
            health.alarms.extend(health::clock_alarms(tip, self.config.clock, now_s()));
        }
        if health::halts(&error) {
            health.alarms.push(Alarm::Halted(error.clone()));
        }
        (health.failures, health.last_error) = (failures, Some(error));
        self.publish(health);
        tokio::time::sleep(wait).await;
    }
}

/// The longest pause that a node can impose on us: a minute is a small part of any dispute window.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

fn pause(failures: u32) -> Duration {
    backoff::wait(failures, RandomState::new().hash_one(failures))
}

fn now_s() -> u64 {
    // A clock before 1970 is reported as one that is far behind.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether the scoreboard holds it against one node.
fn is_one_nodes_fault(error: &RpcError) -> bool {
    match error {
        RpcError::Unverified { reason, .. } => reason.is_lie(),
        RpcError::Unreachable { .. }
        | RpcError::TimedOut { .. }
        | RpcError::RateLimited { .. }
        | RpcError::Malformed { .. } => true,
        _ => false,
    }
}

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
