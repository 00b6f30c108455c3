//! The submitter's task: takes what is in the outbox to a final block.
//!
//! **Invariant:** the outbox is the only way in, so whatever was wanted before a crash is wanted after it.

use std::collections::HashMap;
use std::time::Duration;

use chain::account::Account;
use chain::provider::Rpc;
use chain::submitter::{ObligationId, Report, RoundError, SubmitConfig, Submitter};
use store::{Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::obligation::{OutboxRow, Owner};
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
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// The node.
    pub(crate) rpc: Rpc,
    /// Who sends.
    pub(crate) account: Account,
    /// How.
    pub(crate) config: SubmitConfig,
    /// Where records are kept.
    pub(crate) store: Store,
    /// The longest pause between two looks.
    pub(crate) interval: Duration,
}

type Owners = HashMap<ObligationId, Option<Owner>>;

/// Submits until told to stop.
///
/// # Errors
/// When the store fails for good, or a stored record is of another version.
pub(crate) async fn run(
    stop: CancellationToken,
    parts: Parts,
    mut ends: Ends,
) -> Result<(), TaskFailure> {
    let mut owners = Owners::new();
    let (mut submitter, ended) = load(&parts, &mut owners)?;
    // What ended just before a crash is reported again; the node knows by its outbox whether it has heard.
    for (id, outcome) in ended {
        tell(&owners, &ends, id, Report::Ended(outcome)).await;
    }
    loop {
        let mut reports = Vec::new();
        let round =
            submitter.round(|record| persist(&parts.store, &owners, record), &mut reports).await;
        for (id, report) in reports {
            tell(&owners, &ends, id, report).await;
        }
        match round {
            Ok(()) => {}
            Err(RoundError::Rpc(error)) => {
                tracing::warn!(%error, "no look at the chain; trying again");
            }
            Err(RoundError::Store(error)) if error.is_retryable() => {
                tracing::error!(%error, "a transaction waits for the disk");
                (submitter, _) = load_again(&parts, &mut owners, submitter);
            }
            Err(error) => return Err(Box::new(error)),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some((id, deadline)) = ends.deadlines.recv() => {
                set_deadline(&parts.store, &owners, &mut submitter, (id, deadline)).await?;
            }
            Ok(()) = ends.wake.changed() => add_new(&parts.store, &mut owners, &mut submitter)?,
            Ok(()) = ends.heads.changed() => {}
            () = tokio::time::sleep(parts.interval) => {}
        }
    }
}

type Ended = Vec<(ObligationId, chain::submitter::Outcome)>;

fn load(parts: &Parts, owners: &mut Owners) -> Result<(Submitter, Ended), TaskFailure> {
    let rows = OutboxRow::all(&parts.store)?;
    let mut ended = Vec::new();
    for row in &rows {
        let id = row.record.obligation.id;
        owners.insert(id, row.owner);
        if let Some(outcome) = row.record.outcome() {
            ended.push((id, outcome.clone()));
        }
    }
    let records = rows.into_iter().map(|row| row.record);
    let submitter =
        Submitter::new(parts.rpc.clone(), parts.account.clone(), parts.config, records)?;
    Ok((submitter, ended))
}

/// After a record could not be stored: from what is stored, or, while even reading fails, as it was.
fn load_again(parts: &Parts, owners: &mut Owners, submitter: Submitter) -> (Submitter, Ended) {
    match load(parts, owners) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!(%error, "the outbox cannot be read");
            (submitter, Ended::new())
        }
    }
}

fn add_new(
    store: &Store,
    owners: &mut Owners,
    submitter: &mut Submitter,
) -> Result<(), TaskFailure> {
    for row in OutboxRow::all(store)? {
        owners.insert(row.record.obligation.id, row.owner);
        submitter.add(row.record)?;
    }
    Ok(())
}

/// An obligation whose deadline has passed frees its nonce and ends.
async fn set_deadline(
    store: &Store,
    owners: &Owners,
    submitter: &mut Submitter,
    (id, deadline): (ObligationId, u64),
) -> Result<(), TaskFailure> {
    if let Some(record) = submitter.set_deadline(id, Some(deadline)) {
        persist(store, owners, record).await?;
    }
    Ok(())
}

fn persist(
    store: &Store,
    owners: &Owners,
    record: chain::submitter::Record,
) -> impl Future<Output = Result<(), StoreError>> + use<> {
    let owner = owners.get(&record.obligation.id).copied().flatten();
    let id = record.obligation.id;
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

async fn tell(owners: &Owners, ends: &Ends, id: ObligationId, report: Report) {
    if let Some(owner) = owners.get(&id).copied().flatten() {
        // A node that is gone reads the outbox when it comes back.
        let _ = ends.told.send(Told { owner, id, report }).await;
    }
}
