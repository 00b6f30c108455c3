//! `watchtower monitor`: watches the vault alone, and alarms when a dispute goes unanswered, whoever should have answered.
//!
//! Independent of any tower: no account, no store, no prover, nothing is sent to the chain. It reads the chain anew at every
//! start. With the addresses of towers it fetches what they hold of a disputed channel, opens it with the key that the dispute
//! reveals, and so knows whether the dispute is stale; without any it alarms for every dispute that nobody overrides.
//!
//! ```text
//!   follower --batches--> Watch --alarms--> log, metrics, webhook
//!                          ^ states
//!   towers (HTTP) ---------+
//! ```
//!
//! **Invariant:** what a tower serves is verified like any envelope: a tower that lies can hide a state, and invent none.

mod alarm;
mod serve;
mod towers;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use chain::follower::Follower;
use metrics::MonitorMetrics;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::service::StartError;
use crate::tasks::{Stage, TaskError, TaskFailure, Tasks};

pub(crate) use alarm::Teller;
pub(crate) use towers::TowerClients;

use watch::Watch;

/// How often disputes are looked at when no block comes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a monitor is told besides the configuration.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Towers to fetch backups from: `http://host:port`.
    pub towers: Vec<String>,
    /// Where alarms are posted.
    pub webhook: Option<String>,
}

/// Runs until told to stop.
///
/// # Errors
/// When it does not start, or a part fails.
pub async fn run(
    config: &Config,
    options: &Options,
    signals: &mut mpsc::Receiver<()>,
) -> Result<(), MonitorError> {
    let metrics = Arc::new(MonitorMetrics::new().map_err(StartError::from)?);
    let client = reqwest::Client::builder().build().map_err(|error| StartError::System {
        what: "cannot make an HTTP client: are the operating system's certificates there?"
            .to_owned(),
        source: std::io::Error::other(error),
    })?;
    let (rpc, vault, rules) = crate::service::check_vault(config).await?;
    let following = crate::service::following(config, vault.vipe);
    let follower =
        Follower::open(rpc, following, None).await.map_err(|error| StartError::Rpc { error })?;
    let listener = crate::http::listen(config.http.listen).await.map_err(|source| {
        StartError::System { what: format!("cannot listen on {}", config.http.listen), source }
    })?;
    let health = follower.health();
    let mut tasks = Tasks::default();
    let page = Arc::clone(&metrics);
    tasks.spawn(Stage::Http, "http", |stop| serve::run(stop, listener, page, health));
    let monitor = Monitor {
        watch: Watch::new(vault, rules),
        towers: TowerClients::new(&options.towers, client.clone()),
        teller: Teller::new(options.webhook.clone(), client, Arc::clone(&metrics)),
        metrics,
    };
    tasks.spawn(Stage::Watch, "monitor", |stop| monitor.run(stop, follower));
    tracing::info!(vipe = %vault.vipe, chain_id = vault.chain_id, towers = options.towers.len(), listen = %config.http.listen, "the monitor watches");
    tasks.run(signals, config.shutdown.grace).await?;
    Ok(())
}

/// Why a monitor ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A part failed.
    #[error(transparent)]
    Task(#[from] TaskError),
}

struct Monitor {
    watch: Watch,
    towers: TowerClients,
    teller: Teller,
    metrics: Arc<MonitorMetrics>,
}

impl Monitor {
    async fn run(
        mut self,
        stop: CancellationToken,
        mut follower: Follower,
    ) -> Result<(), TaskFailure> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = follower.next() => {
                    self.watch.apply(&batch?);
                    follower.acknowledge();
                }
                _ = look.tick() => self.look().await,
            }
        }
    }

    /// Fetches what towers hold of open disputes, judges them, and tells what is new.
    async fn look(&mut self) {
        for wanted in self.watch.wanted() {
            let states = self.towers.states(&wanted).await;
            self.watch.learn(wanted.id, states);
        }
        self.metrics.monitor.towers.set_count(self.towers.answering());
        let figures = self.watch.figures();
        self.metrics.monitor.open.set_count(figures.open);
        self.metrics.monitor.unanswered.set_count(figures.unanswered);
        self.metrics.monitor.part.set(figures.part);
        for alarm in self.watch.alarms() {
            self.teller.tell(&alarm).await;
        }
    }
}
