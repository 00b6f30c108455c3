//! What must reach the chain: errands of a few calls one after another, each an obligation of the submitter's.
//!
//! ```text
//!   driver --turn: errand and its first obligation--> store <--outbox-- sender --> chain
//!   driver <--a name: look into the store------------'
//! ```
//!
//! **Invariant:** the outbox is the only way in, so what was wanted before a crash is wanted after it, once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{U256, keccak256};
use chain::calls::Call;
use chain::submitter::{
    Admission, Obligation, ObligationId, Outcome, Record, RoundError, Stage, Submitter,
};
use metrics::NodeMetrics;
use serde::{Deserialize, Serialize};
use store::{Change, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::NodeError;
use crate::rows::RowError;

/// Gas of one call beyond which something is wrong: an exit with its proof takes 2.2 million.
const GAS_MAX: u64 = 4_000_000;

/// One call of an errand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The call.
    pub(crate) call: Call,
    /// Whether the contract itself refuses it a second time.
    pub(crate) repeat_safe: bool,
    /// Of use only before this time of the chain, in seconds.
    pub(crate) deadline: Option<u64>,
}

/// How an errand stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Another errand that lets the vault take tokens is under way: allowances are set, not added up.
    Waiting,
    /// Under way.
    Running,
    /// The last call is in a final block.
    Done,
    /// A call was refused or ran out of time, as of a final block.
    Failed(String),
}

/// Calls that are made one after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Errand {
    /// Names it: the same name is never begun twice.
    pub(crate) name: String,
    /// The calls.
    pub(crate) steps: Vec<Step>,
    /// Which one is under way.
    pub(crate) at: usize,
    /// How it stands.
    pub(crate) state: State,
    /// It sets an allowance.
    #[serde(default)]
    pub(crate) approves: bool,
    /// How often it has failed and was begun again: each time its obligations are others.
    #[serde(default)]
    pub(crate) tries: u32,
    /// When it ended, in seconds since 1970.
    #[serde(default)]
    pub(crate) ended_s: Option<u64>,
}

impl Errand {
    pub(crate) fn new(name: String, steps: Vec<Step>) -> Self {
        let (state, approves, tries, ended_s) = (State::Running, false, 0, None);
        Self { name, steps, at: 0, state, approves, tries, ended_s }
    }

    /// The same, of calls that set an allowance first.
    pub(crate) fn approving(mut self) -> Self {
        self.approves = true;
        self
    }

    /// Whether it is over.
    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.state, State::Done | State::Failed(_))
    }

    /// Whether it failed.
    pub(crate) const fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed(_))
    }

    /// The name of the obligation of a step.
    fn id(&self, at: usize) -> ObligationId {
        let at = u64::try_from(at).unwrap_or(u64::MAX).to_be_bytes();
        let mut bytes = [b"node errand".as_slice(), self.name.as_bytes(), &at].concat();
        if self.tries > 0 {
            bytes.extend(self.tries.to_be_bytes());
        }
        ObligationId(keccak256(bytes))
    }

    /// The obligation of the step that is under way.
    pub(crate) fn obligation(&self, gas_price_max: u128) -> Option<Obligation> {
        let step = self.steps.get(self.at)?;
        Some(Obligation {
            id: self.id(self.at),
            call: step.call.clone(),
            not_before: None,
            deadline: step.deadline,
            gas_hint: None,
            max_cost: U256::from(GAS_MAX) * U256::from(gas_price_max),
            repeat_safe: step.repeat_safe,
        })
    }

    /// The obligations whose rows are no longer wanted once the errand has ended.
    pub(crate) fn rows(&self) -> impl Iterator<Item = String> {
        (0..self.steps.len()).map(|at| self.id(at).to_string())
    }

    /// Goes on if the step's obligation has. True if anything changed.
    pub(crate) fn look(&mut self, store: &Store) -> Result<bool, RowError> {
        if self.state != State::Running {
            return Ok(false);
        }
        let Some(record) = row(store, self.id(self.at))? else { return Ok(false) };
        let last = self.at.saturating_add(1) >= self.steps.len();
        match record.stage {
            Stage::Ended(Outcome::Finalized { receipt }) if receipt.success => {
                if last {
                    self.state = State::Done;
                } else {
                    self.at = self.at.saturating_add(1);
                }
                Ok(true)
            }
            // The next call needs this one's effect, not its finality; the submitter sees both through.
            Stage::Mined { receipt } if receipt.success && !last => {
                self.at = self.at.saturating_add(1);
                Ok(true)
            }
            Stage::Ended(outcome) => {
                self.state = State::Failed(match outcome {
                    Outcome::Refused { refusal } => format!("the contract refuses: {refusal}"),
                    Outcome::Expired => "its time ran out".to_owned(),
                    Outcome::Finalized { receipt } => {
                        format!("transaction {} failed", receipt.hash)
                    }
                    other => format!("{other:?}"),
                });
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The write that begins an obligation.
pub(crate) fn begin(obligation: Obligation) -> Result<Change, RowError> {
    change(&Record::new(obligation))
}

fn change(record: &Record) -> Result<Change, RowError> {
    let name = record.obligation.id.to_string();
    Ok(Change::Outbox { name, body: serde_json::to_vec(record)? })
}

fn row(store: &Store, id: ObligationId) -> Result<Option<Record>, RowError> {
    let body = store.outbox_row(&id.to_string())?;
    Ok(body.map(|body| serde_json::from_slice(&body)).transpose()?)
}

/// What the sender works with.
#[derive(Debug)]
pub struct Sender {
    /// With no obligations yet.
    pub submitter: Submitter,
    /// Where records are kept.
    pub store: Store,
    /// The longest pause between two looks.
    pub interval: Duration,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) wake: watch::Receiver<u64>,
    pub(crate) told: mpsc::Sender<()>,
    #[cfg(test)]
    pub(crate) kill: Option<crate::kill::KillSwitch>,
}

/// Where the sender's records become durable.
#[derive(Debug, Clone)]
struct Disk {
    store: Store,
    #[cfg(test)]
    kill: Option<crate::kill::KillSwitch>,
}

impl Disk {
    async fn commit(self, change: Change) -> Result<(), NodeError> {
        #[cfg(test)]
        let change = self.maybe_die(change).await?;
        Ok(self.store.commit(vec![change]).await?)
    }

    /// A test's crash: with the record on disk or without, and nothing of what follows.
    #[cfg(test)]
    async fn maybe_die(&self, change: Change) -> Result<Change, NodeError> {
        use crate::kill::Strike;
        match self.kill.as_ref().map_or(Strike::Spared, crate::kill::KillSwitch::strike) {
            Strike::Spared => return Ok(change),
            Strike::Before => {}
            Strike::After => self.store.commit(vec![change]).await?,
        }
        Err(NodeError::Gone("a test"))
    }
}

impl Sender {
    /// Sends until told to stop.
    ///
    /// # Errors
    /// When the store fails, or a record cannot be taken.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), NodeError> {
        let mut known = BTreeSet::new();
        let disk = self.disk();
        loop {
            offer(&mut self.submitter, self.store.outbox()?, &mut known)?;
            let mut reports = Vec::new();
            let round = self.submitter.round(|record| persist(&disk, record), &mut reports).await;
            match round {
                Ok(()) => {}
                Err(RoundError::Rpc(error)) => {
                    tracing::warn!(%error, "no look at the chain; trying again");
                }
                Err(RoundError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "sending starts again from what is stored");
                    self.submitter.restart();
                    known.clear();
                }
            }
            self.figures();
            if !reports.is_empty() {
                // One word that waits is as good as many.
                let _ = self.told.try_send(());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Ok(()) = self.wake.changed() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }
}

impl Sender {
    fn disk(&self) -> Disk {
        Disk {
            store: self.store.clone(),
            #[cfg(test)]
            kill: self.kill.clone(),
        }
    }

    fn figures(&self) {
        let (health, figures) = (self.submitter.health(), &self.metrics.node);
        let health = health.borrow();
        let unfunded = u64::try_from(health.unfunded).unwrap_or(u64::MAX);
        figures.unfunded.set_count(unfunded);
        figures.send_failures.set_count(u64::from(health.failures));
        if let Some(treasury) = health.treasury {
            figures.balance.set(treasury.balance.into());
        }
    }
}

/// Hands the submitter what it does not have. What it has no room for is offered again with the next look, as is what it gave
/// up for something more urgent; a name that is no longer in the outbox is a new one when it comes again.
fn offer(
    submitter: &mut Submitter,
    outbox: Vec<(String, Vec<u8>)>,
    known: &mut BTreeSet<String>,
) -> Result<(), NodeError> {
    let here: BTreeSet<&String> = outbox.iter().map(|(name, _)| name).collect();
    known.retain(|name| here.contains(name));
    for (name, body) in outbox {
        if known.contains(&name) {
            continue;
        }
        let record: Record = serde_json::from_slice(&body).map_err(RowError::Json)?;
        match submitter.add(record) {
            Ok(Admission::Taken) => {}
            Ok(Admission::Displaced(other)) => {
                known.remove(&other.to_string());
            }
            Ok(Admission::Full) => continue,
            Err(error) => tracing::error!(%error, "an obligation cannot be taken"),
        }
        known.insert(name);
    }
    Ok(())
}

fn persist(disk: &Disk, record: Record) -> impl Future<Output = Result<(), NodeError>> + use<> {
    let disk = disk.clone();
    async move {
        // What only filled a gap between nonces interests nobody once it is over.
        let change = match (record.fills, record.outcome()) {
            (Some(_), Some(_)) => Change::OutboxDone { name: record.obligation.id.to_string() },
            _ => change(&record)?,
        };
        disk.commit(change).await
    }
}

#[cfg(test)]
mod tests;
