//! What of the outbox the submitter works on, and what waits: a mass exit is more than it takes at once.
//!
//! Bodies of those that wait stay on disk; only their rank and what they may cost is kept here. The most urgent is handed
//! over as soon as there is room, and takes the place of a less urgent one when there is none.
//!
//! **Invariant:** every row of the outbox that has not ended is with the submitter or waits here.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::U256;
use chain::submitter::{
    AddError, Admission, Backlog as Figures, ObligationId, Outcome, Rank, Record, Submitter,
};
use store::{Store, StoreError};

use super::obligation::{OutboxRow, Owner};
use crate::tasks::TaskFailure;

/// The rows of the outbox.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    owners: HashMap<ObligationId, Option<Owner>>,
    /// What waits, and the most that it may cost in wei.
    waiting: BTreeMap<Rank, U256>,
}

/// What ended just before a crash, and may not have been heard.
pub(crate) type Ended = Vec<(ObligationId, Outcome)>;

impl Backlog {
    /// Whose an obligation is.
    pub(crate) fn owner(&self, id: ObligationId) -> Option<Owner> {
        self.owners.get(&id).copied().flatten()
    }

    /// Takes over rows that are new in the outbox, forgets those that are gone, and says which have ended.
    pub(crate) fn scan(
        &mut self,
        store: &Store,
        submitter: &mut Submitter,
    ) -> Result<Ended, TaskFailure> {
        let names = store.outbox_names()?;
        let known: HashSet<String> = self.owners.keys().map(|id| OutboxRow::key(*id)).collect();
        let mut ended = Ended::new();
        for name in names.iter().filter(|name| !known.contains(*name)) {
            let Some(row) = OutboxRow::named(store, name)? else { continue };
            let id = row.record.obligation.id;
            self.owners.insert(id, row.owner);
            match row.record.outcome() {
                Some(outcome) => ended.push((id, outcome.clone())),
                None => self.offer(store, submitter, row.record)?,
            }
        }
        let names: HashSet<String> = names.into_iter().collect();
        self.owners.retain(|id, _| names.contains(&OutboxRow::key(*id)));
        Ok(ended)
    }

    /// Hands over the most urgent that wait while there is room.
    pub(crate) fn fill(
        &mut self,
        store: &Store,
        submitter: &mut Submitter,
    ) -> Result<(), TaskFailure> {
        while submitter.room() > 0 {
            let Some((rank, _)) = self.waiting.pop_first() else { break };
            if let Some(row) = OutboxRow::named(store, &OutboxRow::key(rank.id()))? {
                self.offer(store, submitter, row.record)?;
            }
        }
        let possible =
            self.waiting.values().fold(U256::ZERO, |sum, cost| sum.saturating_add(*cost));
        submitter.note_backlog(Figures { count: self.waiting.len(), possible });
        Ok(())
    }

    /// A new deadline for one that waits: the row to store, and its new place.
    pub(crate) fn set_deadline(
        &mut self,
        store: &Store,
        id: ObligationId,
        deadline: u64,
    ) -> Result<Option<Record>, StoreError> {
        let Some(rank) = self.waiting.keys().find(|rank| rank.id() == id).copied() else {
            return Ok(None);
        };
        let Some(mut row) = OutboxRow::named(store, &OutboxRow::key(id))? else { return Ok(None) };
        self.waiting.remove(&rank);
        row.record.obligation.deadline = Some(deadline);
        self.wait(&row.record);
        Ok(Some(row.record))
    }

    fn offer(
        &mut self,
        store: &Store,
        submitter: &mut Submitter,
        record: Record,
    ) -> Result<(), TaskFailure> {
        let id = record.obligation.id;
        // Cheaper than a copy of a proof: what does not fit is read again when it is its turn.
        let rank = record.rank();
        let cost = record.obligation.max_cost.saturating_add(record.obligation.call.value);
        match submitter.add(record) {
            Ok(Admission::Taken) => {}
            Ok(Admission::Full) => {
                self.waiting.insert(rank, cost);
            }
            Ok(Admission::Displaced(other)) => {
                if let Some(row) = OutboxRow::named(store, &OutboxRow::key(other))? {
                    self.wait(&row.record);
                }
            }
            // A fault of ours in one obligation is no reason to leave the others alone.
            Err(error @ AddError::TooLarge { .. }) => {
                tracing::error!(%id, %error, "an obligation that no node takes stays in the outbox");
            }
            Err(error) => return Err(Box::new(error)),
        }
        Ok(())
    }

    fn wait(&mut self, record: &Record) {
        let cost = record.obligation.max_cost.saturating_add(record.obligation.call.value);
        self.waiting.insert(record.rank(), cost);
    }
}

#[cfg(test)]
mod tests;
