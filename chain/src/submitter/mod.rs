//! Takes what must come to pass on chain to a final block.
//!
//! The caller makes a [`Record`] of an [`Obligation`], stores it, and gives it to the [`Submitter`]; then it calls
//! [`Submitter::round`] on every new head (and now and then without one). Each round looks at the chain and does what
//! `core` decides; every change of a record is handed to `persist` and must be durable before the round goes on. After a
//! crash the stored records are given to [`Submitter::new`] and nothing is lost or done twice.
//!
//! At most [`OBLIGATIONS_MAX`] are open here; a more urgent one displaces the least urgent of which nothing was sent, and
//! what does not fit waits in the caller's outbox ([`Admission`]). What is guaranteed, and the fee curve in numbers:
//! docs/spec/submitter.md.
//!
//! The account's key should serve this submitter alone. A transaction sent elsewhere with the same key is noticed, told
//! ([`SubmitHealth::foreign`]) and survived, but costs time.

mod ask;
mod core;
mod error;
mod health;
mod message;
mod plan;
mod record;
mod sign;

use std::collections::VecDeque;

use alloy_primitives::U256;
use tokio::sync::watch;

pub use self::{
    ask::Outlets,
    error::{AddError, RoundError},
    health::{Backlog, SubmitHealth, Treasury},
    message::{ForeignSpend, Patience, Report},
    record::{
        Attempt, Obligation, ObligationId, Outcome, RANK_SLOT_S, RECORD_VERSION, Rank, Record,
        Stage, Standing,
    },
};
use self::{
    ask::now_ms,
    core::Core,
    message::{Effect, Event},
};
use crate::{account::Account, follower::Finality, provider::Rpc};

/// The largest calldata of an obligation, in bytes: what nodes take into their pools, less the rest of a transaction.
pub const CALLDATA_BYTES_MAX: usize = 128 * 1024 - 1024;
/// The most obligations at once: a mass exit is worked off by deadline and value, the rest waits with the caller.
pub const OBLIGATIONS_MAX: usize = 1024;
/// The most effects of one round: each obligation has a handful, so more means a fault of ours.
const EFFECTS_MAX: usize = OBLIGATIONS_MAX * 16;
/// With nothing to do the account is looked at this often, in milliseconds: for its balance, and for strangers.
const IDLE_LOOK_MS: u64 = 60_000;

/// How a submitter works.
#[derive(Debug, Clone, Copy)]
pub struct SubmitConfig {
    /// The chain, as transactions are signed for it.
    pub chain_id: u64,
    /// How this chain says that a block is final.
    pub finality: Finality,
    /// When to raise bids and to send again.
    pub patience: Patience,
    /// The balance below which a person is told, in wei.
    pub balance_min: U256,
}

/// What became of a record that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is worked on; or it was already, or it has ended.
    Taken,
    /// It is worked on instead of this one, which is idle and must be handed over again when there is room.
    Displaced(ObligationId),
    /// There is no room; hand it over again when there is.
    Full,
}

/// Sends and watches the transactions of one account.
#[derive(Debug)]
pub struct Submitter {
    rpc: Rpc,
    outlets: Outlets,
    account: Account,
    config: SubmitConfig,
    core: Core,
    health: watch::Sender<SubmitHealth>,
    looked_ms: u64,
    abandoned: bool,
    elsewhere: sign::Elsewhere,
}

impl Submitter {
    /// Goes on with the records that were stored for this account. Sends through `rpc` alone; see [`Self::with_outlets`].
    pub fn new(rpc: Rpc, account: Account, config: SubmitConfig) -> Self {
        let core = new_core(&account, &config, &Outlets::default());
        let (health, _) = watch::channel(SubmitHealth::default());
        let (outlets, looked_ms, abandoned) = (Outlets::default(), 0, false);
        let elsewhere = sign::Elsewhere::default();
        Self { rpc, outlets, account, config, core, health, looked_ms, abandoned, elsewhere }
    }

    /// Sends to these as well: before any record is added.
    #[must_use]
    pub fn with_outlets(mut self, outlets: Outlets) -> Self {
        self.core = new_core(&self.account, &self.config, &outlets);
        self.outlets = outlets;
        self
    }

    /// Forgets everything: to start again from what is stored.
    pub fn restart(&mut self) {
        self.core = new_core(&self.account, &self.config, &self.outlets);
        self.abandoned = false;
        self.looked_ms = 0;
    }

    /// Does nothing more until [`Self::restart`].
    pub const fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// Takes over a record that the caller has stored. One that has ended, or whose name is known, changes nothing.
    ///
    /// # Errors
    /// When it can never be taken; see [`AddError`].
    pub fn add(&mut self, record: Record) -> Result<Admission, AddError> {
        let bytes = record.obligation.call.data.len();
        if record.version != RECORD_VERSION {
            return Err(AddError::Version { found: record.version });
        }
        if bytes > CALLDATA_BYTES_MAX {
            return Err(AddError::TooLarge { bytes });
        }
        // What was sent once must be watched, whatever the number.
        let must = !record.is_idle() || record.outcome().is_some();
        let known = self.core.knows(record.obligation.id);
        if must || known || self.core.len() < OBLIGATIONS_MAX {
            self.core.add(record);
            return Ok(Admission::Taken);
        }
        let Some(displaced) = self.core.displace(record.rank()) else { return Ok(Admission::Full) };
        self.core.add(record);
        Ok(Admission::Displaced(displaced))
    }

    /// How many more records would be taken without displacing another.
    pub fn room(&self) -> usize {
        OBLIGATIONS_MAX.saturating_sub(self.core.len())
    }

    /// Sets a new deadline, such as when an override extended a window. Store the record that is returned.
    pub fn set_deadline(&mut self, id: ObligationId, deadline: Option<u64>) -> Option<Record> {
        self.core.set_deadline(id, deadline)
    }

    /// What has not ended.
    pub fn open(&self) -> impl Iterator<Item = &Record> {
        self.core.records()
    }

    /// The account that sends.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// How it fares, for health checks and metrics.
    pub fn health(&self) -> watch::Receiver<SubmitHealth> {
        self.health.subscribe()
    }

    /// Tells what waits with the caller, for [`SubmitHealth::treasury`].
    pub fn note_backlog(&self, backlog: Backlog) {
        self.health.send_if_modified(|health| {
            let changed = health.backlog != backlog;
            health.backlog = backlog;
            changed
        });
    }

    /// Looks at the chain once and does what follows. `persist` must return after the record is durable: only then the
    /// transaction in it is sent. What happened is added to `reports`, also when the round ends early.
    ///
    /// Not cancel-safe in the middle of `persist`: drop it only to stop, and start again from what is stored.
    ///
    /// # Errors
    /// See [`RoundError`].
    pub async fn round<E, F: Future<Output = Result<(), E>>>(
        &mut self,
        mut persist: impl FnMut(Record) -> F,
        reports: &mut Vec<(ObligationId, Report)>,
    ) -> Result<(), RoundError<E>> {
        if self.abandoned {
            return Err(RoundError::Abandoned);
        }
        if self.core.len() == 0 && now_ms().saturating_sub(self.looked_ms) < IDLE_LOOK_MS {
            return Ok(());
        }
        let view = match self.view().await {
            Ok(view) => view,
            Err(error) => {
                self.note_failure(&error);
                return Err(RoundError::Rpc(error));
            }
        };
        self.looked_ms = view.now_ms;
        let mut todo: VecDeque<Effect> = self.core.handle(Event::Round(Box::new(view))).into();
        for _ in 0..EFFECTS_MAX {
            let Some(effect) = todo.pop_front() else { break };
            let event = match effect {
                Effect::Persist(record) => {
                    if let Err(error) = persist(*record).await {
                        self.abandoned = true;
                        return Err(RoundError::Store(error));
                    }
                    None
                }
                Effect::Report { id, report } => {
                    tracing::info!(%id, ?report, "obligation");
                    reports.push((id, report));
                    None
                }
                other => self.ask(other).await.map_err(RoundError::Account)?,
            };
            let effects = event.map(|event| self.core.handle(event)).unwrap_or_default();
            for effect in effects.into_iter().rev() {
                todo.push_front(effect);
            }
        }
        self.note_round(&view);
        Ok(())
    }
}

/// Without relays there is nothing private.
fn new_core(account: &Account, config: &SubmitConfig, outlets: &Outlets) -> Core {
    let mut patience = config.patience;
    if outlets.private.is_empty() {
        patience.private_percent = 0;
    }
    Core::new(account.address(), patience)
}
