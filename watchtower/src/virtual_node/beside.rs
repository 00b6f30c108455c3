//! A tower and a node in one process, each of which goes on when the other one fails.
//!
//! ```text
//!   signal --> both stop, each in its own order
//!   a part fails --> said, and started again after a pause that doubles up to a minute; the other part notices nothing
//! ```
//!
//! They share the process, its runtime, the chain's endpoints and the circuit's file; nothing else: folders, accounts, stores,
//! tasks and listeners are each part's own.
//!
//! **Invariant:** no failure or panic of one part's tasks stops the other part.
//! **Invariant:** when [`Both::run`] returns, no task of either part runs.

use std::time::Duration;

use chain::account::Account;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Plan;
use crate::config::Config;
use crate::error::CommandError;
use crate::service::Tower;
use crate::tasks::TaskError;

/// The pause before a part is started again; it doubles with each failure.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause; a part that ran for longer than this begins with the first one again.
const PAUSE_MOST: Duration = Duration::from_secs(60);

/// A running tower and the node that belongs beside it.
#[derive(Debug)]
pub struct Both {
    /// The tower, already up.
    pub tower: Tower,
    /// With what it is started again.
    pub config: Config,
    /// The tower's account.
    pub account: Account,
    /// The node.
    pub node: Plan,
}

impl Both {
    /// Runs both until told to stop; a second signal aborts.
    ///
    /// # Errors
    /// When a part had to be aborted, or the keeping of one has a bug.
    pub async fn run(self, signals: &mut mpsc::Receiver<()>) -> Result<(), CommandError> {
        let Self { tower, mut config, account, node } = self;
        // A tower that comes again comes where the node looks for it.
        config.http.listen = tower.address();
        let node = node.around(tower.address());
        let stop = CancellationToken::new();
        let mut parts = JoinSet::new();
        let span = |name| tracing::info_span!("part", name);
        let towers = keep_tower((tower, config.clone(), account), stop.clone());
        parts.spawn(towers.instrument(span("tower")));
        parts.spawn(keep_node(config, node, stop.clone()).instrument(span("node")));
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                ended = parts.join_next() => match ended {
                    None => return outcome.map_err(CommandError::Task),
                    Some(ended) if ended.is_err() || !stop.is_cancelled() => {
                        // Keepers end when they are told to; one that does not has a bug.
                        outcome = Err(TaskError::Ended("a part's keeper"));
                        stop.cancel();
                    }
                    Some(_) => {}
                },
                Some(()) = signals.recv() => {
                    if stop.is_cancelled() {
                        parts.shutdown().await;
                        return Err(TaskError::Aborted { names: vec!["tower", "node"] }.into());
                    }
                    stop.cancel();
                }
            }
        }
    }
}

async fn keep_tower((tower, config, account): (Tower, Config, Account), stop: CancellationToken) {
    let mut up = Some(tower);
    let mut pauses = Pauses::default();
    loop {
        let began = Instant::now();
        let tower = match up.take() {
            Some(tower) => Ok(tower),
            None => tokio::select! {
                () = stop.cancelled() => return,
                tower = Box::pin(Tower::start(&config, account.clone())) => tower,
            },
        };
        let outcome = match tower {
            Ok(tower) => tower.run_until(&stop).await.map_err(CommandError::from),
            Err(error) => Err(error.into()),
        };
        if !pauses.after(began, outcome, &stop).await {
            return;
        }
    }
}

async fn keep_node(config: Config, plan: Plan, stop: CancellationToken) {
    let mut pauses = Pauses::default();
    loop {
        let began = Instant::now();
        let node = tokio::select! {
            () = stop.cancelled() => return,
            node = Box::pin(super::start(&config, plan.clone())) => node,
        };
        let outcome = match node {
            Ok(tasks) => {
                let ran = tasks.run_until(&stop, config.shutdown.grace).await;
                ran.map_err(CommandError::from)
            }
            Err(error) => Err(error),
        };
        if !pauses.after(began, outcome, &stop).await {
            return;
        }
    }
}

/// How long a part that failed is left alone.
#[derive(Debug)]
struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(PAUSE_FIRST)
    }
}

impl Pauses {
    /// Whether the part is to be started again, after the pause.
    async fn after(
        &mut self,
        began: Instant,
        outcome: Result<(), CommandError>,
        stop: &CancellationToken,
    ) -> bool {
        if let Err(error) = outcome {
            let words = crate::error::chain_of(&error);
            tracing::error!(error = words, "this part failed; the other one goes on");
        }
        if stop.is_cancelled() {
            return false;
        }
        if began.elapsed() > PAUSE_MOST {
            self.0 = PAUSE_FIRST;
        }
        let pause = self.0;
        self.0 = pause.saturating_mul(2).min(PAUSE_MOST);
        tracing::warn!(pause_s = pause.as_secs(), "it is started again after a pause");
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}
