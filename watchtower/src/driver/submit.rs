//! The submitter's task: takes what is in the outbox to a final block.
//!
//! **Invariant:** the outbox is the only way in, so whatever was wanted before a crash is wanted after it.
//! **Invariant:** nothing that one obligation is, and no number of them, stops the others.

use std::time::Duration;

use chain::submitter::{ObligationId, Record, Report, RoundError, Submitter};
use metrics::Task;
use store::{Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::obligation::{OutboxRow, Owner};
use crate::observe::Recorder;
use crate::tasks::TaskFailure;

/// Changes of deadlines that may wait; beyond it they are dropped: the vault itself refuses what is late or beaten.
pub(crate) const DEADLINES_MAX: usize = 64;

/// What the node hears of an obligation.
#[derive(Debug)]
pub(crate) struct Told {
    /// Whose it is.
    pub(crate) owner: Owner,
    /// Its name.
    pub(crate) id: ObligationId,
    /// What happened.
    pub(crate) report: Report,
}

/// The other ends.
#[derive(Debug)]
pub(crate) struct Ends {
    /// Counts up when the outbox has something new.
    pub(crate) wake: watch::Receiver<u64>,
    /// The height that was read last.
    pub(crate) heads: watch::Receiver<u64>,
    /// New deadlines, chain seconds; zero gives an obligation up.
    pub(crate) deadlines: mpsc::Receiver<(ObligationId, u64)>,
    /// To the node.
    pub(crate) told: mpsc::Sender<Told>,
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// With no obligations yet.
    pub(crate) submitter: Submitter,
    /// Where records are kept.
    pub(crate) store: Store,
    /// The longest pause between two looks.
    pub(crate) interval: Duration,
    /// Writes figures down.
    pub(crate) recorder: Recorder,
}

/// Submits until told to stop.
///
/// # Errors
/// When the store fails for good, or a stored record is of another version.
pub(crate) async fn run(
    stop: CancellationToken,
    parts: Parts,
    mut ends: Ends,
) -> Result<(), TaskFailure> {
    let Parts { mut submitter, store, interval, recorder } = parts;
    let mut backlog = Backlog::default();
    // What ended just before a crash is reported again; the node knows by its outbox whether it has heard.
    for (id, outcome) in backlog.scan(&store, &mut submitter)? {
        tell(&backlog, &ends, id, Report::Ended(outcome)).await;
    }
    loop {
        recorder.beat(Task::Submitter);
        backlog.fill(&store, &mut submitter)?;
        let mut reports = Vec::new();
        let round = submitter.round(|record| persist(&store, &backlog, record), &mut reports).await;
        for (id, report) in reports {
            tell(&backlog, &ends, id, report).await;
        }
        match round {
            Ok(()) => {}
            Err(RoundError::Rpc(error)) => {
                tracing::warn!(%error, "no look at the chain; trying again");
            }
            Err(RoundError::Store(error)) if error.is_retryable() => {
                tracing::error!(%error, "a transaction waits for the disk");
                start_again(&store, &mut backlog, &mut submitter);
            }
            // Until the disk can be read again.
            Err(RoundError::Abandoned) => start_again(&store, &mut backlog, &mut submitter),
            Err(error) => return Err(Box::new(error)),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some((id, deadline)) = ends.deadlines.recv() => {
                set_deadline(&store, &mut backlog, &mut submitter, (id, deadline)).await?;
            }
            Ok(()) = ends.wake.changed() => {
                backlog.scan(&store, &mut submitter)?;
            }
            Ok(()) = ends.heads.changed() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// After a record could not be stored: from what is stored, or, while even reading fails, not at all.
fn start_again(store: &Store, backlog: &mut Backlog, submitter: &mut Submitter) {
    let mut fresh = Backlog::default();
    submitter.restart();
    match fresh.scan(store, submitter) {
        Ok(_ended) => *backlog = fresh,
        Err(error) => {
            tracing::error!(%error, "the outbox cannot be read");
            submitter.abandon();
        }
    }
}

/// An obligation whose deadline has passed frees its nonce and ends.
async fn set_deadline(
    store: &Store,
    backlog: &mut Backlog,
    submitter: &mut Submitter,
    (id, deadline): (ObligationId, u64),
) -> Result<(), TaskFailure> {
    let record = match submitter.set_deadline(id, Some(deadline)) {
        Some(record) => Some(record),
        None => backlog.set_deadline(store, id, deadline)?,
    };
    if let Some(record) = record {
        persist(store, backlog, record).await?;
    }
    Ok(())
}

fn persist(
    store: &Store,
    backlog: &Backlog,
    record: Record,
) -> impl Future<Output = Result<(), StoreError>> + use<> {
    let id = record.obligation.id;
    let owner = backlog.owner(id);
    let over = record.outcome().is_some();
    let store = store.clone();
    async move {
        // What is the submitter's own and over interests nobody.
        let change = if owner.is_none() && over {
            store::Change::OutboxDone { name: OutboxRow::key(id) }
        } else {
            OutboxRow { owner, record }.change()?
        };
        store.commit(vec![change]).await
    }
}

async fn tell(backlog: &Backlog, ends: &Ends, id: ObligationId, report: Report) {
    if let Some(owner) = backlog.owner(id) {
        // A node that is gone reads the outbox when it comes back.
        let _ = ends.told.send(Told { owner, id, report }).await;
    }
}
