//! Which obligations are looked at in a round.
//!
//! Those with a transaction in the pool always, by nonce. Of those that are mined and not final sixty-four, in turn: each is
//! a question to the node. Of those that wait for their first one only as many as could be sent: the
//! most urgent by [`Record::rank`]. One that could not be sent when it was last looked at (refused, too dear, no answer)
//! steps back, so that it holds up nobody, and is looked at again in turn, the most urgent of them more often.

use alloy_primitives::U256;

use super::{Core, IN_FLIGHT_MAX};
use crate::submitter::{
    health::{Treasury, is_unfunded},
    message::View,
    plan,
    record::{Obligation, ObligationId, Rank, Record, Stage},
};

/// How many that stepped back are looked at in a round, by urgency and in turn each.
const AGAIN_MAX: usize = 8;
/// How many that are mined and not final are looked at in a round, in turn.
const MINED_MAX: usize = 64;

impl Core {
    /// The obligations to look at in this round, in order.
    pub(super) fn order(&self, view: &View) -> Vec<ObligationId> {
        let (mut with_nonce, mut mined) = (Vec::new(), Vec::new());
        let (mut fresh, mut again) = (Vec::new(), Vec::new());
        for (id, record) in &self.records {
            let nonce = record.fills.or_else(|| record.nonce());
            let memory = self.memory.get(id);
            if matches!(record.stage, Stage::Mined { .. }) {
                mined.push((memory.map_or(0, |memory| memory.looked_ms), nonce, *id));
            } else if let Some(nonce) = nonce {
                with_nonce.push((nonce, *id));
            } else if !record.is_idle() || self.is_hopeless(record, view) {
                // Something of it may be in a block, or it is over: that needs no question to the contract.
                with_nonce.push((u64::MAX, *id));
            } else if record.obligation.not_before.is_some_and(|start| view.head.timestamp < start)
            {
                // Its time comes.
            } else if memory.is_some_and(|memory| memory.stepped_back) {
                again.push((record.rank(), memory.map_or(0, |memory| memory.looked_ms), *id));
            } else {
                fresh.push(record.rank());
            }
        }
        mined.sort_unstable();
        let turns = mined.into_iter().take(MINED_MAX);
        with_nonce.extend(turns.map(|(_, nonce, id)| (nonce.unwrap_or_default(), id)));
        with_nonce.sort_unstable();
        fresh.sort_unstable();
        let mut order: Vec<_> = with_nonce.into_iter().map(|(_, id)| id).collect();
        let mut waiting: Vec<Rank> = again_by_urgency_and_turn(again);
        waiting.extend(fresh.into_iter().take(IN_FLIGHT_MAX));
        waiting.sort_unstable();
        order.extend(waiting.into_iter().map(|rank| rank.id()));
        order
    }

    /// The least urgent obligation of which nothing was sent.
    pub(super) fn least_urgent(&self) -> Option<Rank> {
        self.records.values().filter(|record| record.is_idle()).map(Record::rank).max()
    }

    /// Whether no block before the deadline can hold a transaction of it any more, sent or not.
    pub(super) fn is_hopeless(&self, record: &Record, view: &View) -> bool {
        let next = self.patience.next_for_sent(view.head.timestamp, self.waited_ms(view));
        record.obligation.deadline.is_some_and(|deadline| next >= deadline)
    }

    /// Whether a transaction sent now would come too late.
    pub(super) fn is_too_late_to_send(&self, record: &Record, view: &View) -> bool {
        let next = self.patience.next_for_new(view.head.timestamp, self.waited_ms(view));
        record.obligation.deadline.is_some_and(|deadline| next >= deadline)
    }

    /// For how long the newest block has been the newest, by our clock.
    fn waited_ms(&self, view: &View) -> u64 {
        self.head_seen
            .filter(|(head, _)| *head == view.head.id.hash)
            .map_or(0, |(_, seen_ms)| view.now_ms.saturating_sub(seen_ms))
    }

    /// The account's money against what all open obligations may need.
    pub(in crate::submitter) fn treasury(&self, view: &View) -> Treasury {
        let add = |sum: U256, more: U256| sum.saturating_add(more);
        let in_pool = self.records.values().map(|record| plan::in_pool(record, view));
        let possible = self.records.values().map(|record| {
            let Obligation { max_cost, call, .. } = &record.obligation;
            max_cost.saturating_sub(record.spent).saturating_add(call.value)
        });
        Treasury {
            balance: view.balance,
            in_pool: in_pool.fold(U256::ZERO, add),
            possible: possible.fold(U256::ZERO, add),
        }
    }

    /// How many obligations wait for ether.
    pub(in crate::submitter) fn unfunded(&self) -> usize {
        self.memory.values().filter(|memory| memory.told.as_ref().is_some_and(is_unfunded)).count()
    }

    /// How many obligations have a transaction that is in no block.
    pub(in crate::submitter) fn unmined(&self, view: &View) -> usize {
        self.records.values().filter(|record| plan::unmined_nonce(record, view).is_some()).count()
    }
}

fn again_by_urgency_and_turn(mut again: Vec<(Rank, u64, ObligationId)>) -> Vec<Rank> {
    again.sort_unstable();
    let rest = again.split_off(again.len().min(AGAIN_MAX));
    let mut turns: Vec<_> = rest.into_iter().map(|(rank, looked, id)| (looked, id, rank)).collect();
    turns.sort_unstable();
    let turns = turns.into_iter().take(AGAIN_MAX).map(|(_, _, rank)| rank);
    again.into_iter().map(|(rank, ..)| rank).chain(turns).collect()
}
