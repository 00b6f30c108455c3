//! Making way: an urgent obligation does not wait behind a cheap transaction that is stuck at a lower nonce.
//!
//! Nodes mine an account's transactions by nonce, so what cannot be mined holds up all that comes after it. Whoever is
//! held up pays, out of its own budget, for replacing the transaction in its way by an empty transfer: 21,000 gas, about
//! a hundredth of an override. The obligation that made way keeps its budget and begins again with a new nonce.
//!
//! **Invariant:** an obligation's bids leave room in its budget for cancelling all that stands before it at the same price.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256};

use super::{ATTEMPTS_MAX, Core};
use crate::{
    fees::{self, Quote},
    submitter::{
        message::{Effect, Report, View},
        plan,
        record::{Attempt, ObligationId, Record, TRANSFER_GAS},
    },
};

impl Core {
    /// The nonces of other obligations that must be mined before this one; all of them while it has none. What has no
    /// deadline waits for its turn.
    pub(super) fn way(&self, id: ObligationId, nonce: Option<u64>, view: &View) -> BTreeSet<u64> {
        let has_deadline =
            self.records.get(&id).is_some_and(|record| record.obligation.deadline.is_some());
        if !has_deadline {
            return BTreeSet::new();
        }
        let others = self.records.iter().filter(|(other, _)| **other != id);
        let unmined = others.filter_map(|(_, record)| plan::unmined_nonce(record, view));
        unmined.filter(|other| nonce.is_none_or(|nonce| *other < nonce)).collect()
    }

    /// Cancels what is stuck before an obligation and less pressing than it, at its cost.
    pub(super) fn clear_way(
        &mut self,
        id: ObligationId,
        gas: Option<u64>,
        view: &View,
    ) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let deadline = record.obligation.deadline;
        let gas_limit = plan::gas_limit(record, gas);
        let urgency = plan::urgency(record, deadline, &self.patience, view);
        let way = self.way(id, self.nonce_of(id), view);
        let mut stuck: Vec<_> = self
            .records
            .values()
            .filter_map(|other| Some((plan::unmined_nonce(other, view)?, other)))
            .filter(|(nonce, other)| way.contains(nonce) && other.obligation.id != id)
            .filter(|(_, other)| urgency >= fees::HALF || is_later(other, deadline))
            .filter(|(_, other)| self.is_stuck(other, urgency, view))
            .map(|(nonce, other)| (nonce, other.obligation.id))
            .collect();
        stuck.sort_unstable();
        let mut effects = Vec::new();
        for (nonce, blocker) in stuck {
            effects.extend(self.cancel_for(id, blocker, (gas_limit, urgency), (nonce, &way), view));
        }
        if self
            .memory
            .get(&id)
            .is_some_and(|memory| matches!(memory.told, Some(Report::Unfunded { .. })))
        {
            effects.extend(self.free_funds(id, view));
        }
        effects
    }

    /// Whether its newest transaction has waited as long as is fit at this urgency, or cannot be mined. One that can pay
    /// for it has raised its bid by now.
    fn is_stuck(&self, record: &Record, urgency: u128, view: &View) -> bool {
        let signing = self.memory.get(&record.obligation.id).is_some_and(|m| m.signing.is_some());
        let room = record.attempts.len() < 2 * ATTEMPTS_MAX;
        let last = record.attempts.last();
        !signing
            && room
            && last.is_some_and(|last| plan::impatient(last, urgency, &self.patience, view))
    }

    fn cancel_for(
        &mut self,
        payer: ObligationId,
        blocker: ObligationId,
        (gas_limit, urgency): (u64, u128),
        (nonce, way): (u64, &BTreeSet<u64>),
        view: &View,
    ) -> Vec<Effect> {
        let (Some(record), Some(other)) = (self.records.get(&payer), self.records.get(&blocker))
        else {
            return Vec::new();
        };
        let cap = plan::cancel_cap(record, gas_limit, nonce, way);
        let Quote::Bid(fees) = view.market.quote(urgency, cap, other.highest()) else {
            return Vec::new();
        };
        let attempt = Attempt {
            hash: B256::ZERO,
            nonce,
            gas_limit: TRANSFER_GAS,
            fees,
            cancel: true,
            signed_ms: view.now_ms,
            paid_by: Some(payer),
        };
        let transaction = other.transaction(self.account, &attempt);
        self.memory.entry(blocker).or_default().signing = Some(attempt);
        vec![Effect::Sign { id: blocker, transaction }]
    }

    /// Nodes count all that waits in their pool against the balance: calls back the least pressing obligation, at its own
    /// cost, for one that cannot be paid beside it.
    fn free_funds(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(deadline) = self.records.get(&id).map(|record| record.obligation.deadline) else {
            return Vec::new();
        };
        let least = self
            .records
            .values()
            .filter(|other| other.obligation.id != id && plan::unmined_nonce(other, view).is_some())
            .filter(|other| other.fills.is_none() && is_later(other, deadline))
            .filter(|other| other.attempts.last().is_some_and(|last| !last.cancel))
            .max_by_key(|other| other.rank())
            .map(|other| other.obligation.id);
        least.map(|least| self.cancel(least, view)).unwrap_or_default()
    }

    /// What of the account's ether an obligation may count on: not what other transactions in the pool may cost, and not
    /// what a more pressing obligation waits for.
    pub(super) fn funds(&self, id: ObligationId, view: &View) -> U256 {
        let Some(rank) = self.records.get(&id).map(Record::rank) else { return U256::ZERO };
        let others = self.records.iter().filter(|(other, _)| **other != id);
        let taken = others.fold(U256::ZERO, |sum, (other, record)| {
            let in_pool = plan::in_pool(record, view);
            let wanted = match self.memory.get(other).and_then(|memory| memory.told.as_ref()) {
                Some(Report::Unfunded { needed, .. }) if record.rank() < rank => *needed,
                _ => U256::ZERO,
            };
            sum.saturating_add(in_pool.max(wanted))
        });
        view.balance.saturating_sub(taken)
    }

    /// The nonce that an obligation has, or has asked to sign for.
    pub(super) fn nonce_of(&self, id: ObligationId) -> Option<u64> {
        let signing = self.memory.get(&id).and_then(|memory| memory.signing);
        let known =
            self.records.get(&id).and_then(|record| record.fills.or_else(|| record.nonce()));
        known.or_else(|| signing.map(|attempt| attempt.nonce))
    }
}

fn is_later(record: &Record, deadline: Option<u64>) -> bool {
    let own = record.obligation.deadline.unwrap_or(u64::MAX);
    deadline.is_some_and(|deadline| own > deadline)
}
