//! The submitter's arithmetic: nonces, patience, and what a bid may cost.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256};

use super::{
    message::{Patience, Report, Route, View},
    record::{Attempt, Record, Stage, TRANSFER_GAS},
};
use crate::{
    fees::{self, Fees, Market, Quote},
    provider::Receipt,
};

/// The most gas of one transaction (EIP-7825).
pub(super) const TRANSACTION_GAS_MAX: u64 = 16_777_216;
/// Gas above the estimate, in percent: state may move between the estimate and the block.
const GAS_MARGIN_PERCENT: u64 = 15;

/// What a transaction is for, and what is known of its gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gas {
    /// The obligation's call.
    Call {
        /// The node's estimate.
        estimated: Option<u64>,
    },
    /// An empty transfer.
    Transfer,
}

/// What comes of wanting to bid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// Bid this.
    Bid {
        /// With this gas limit.
        gas_limit: u64,
        /// This much.
        fees: Fees,
    },
    /// Not now, and this is why.
    Not(Report),
}

/// Which of a record's transactions may be in a block, newest first: those with the nonce in use once the chain has
/// passed it, earlier ones, which a reorganisation may bring back, and what it pays for.
pub(super) fn to_look_for(record: &Record, next_nonce: u64) -> Vec<B256> {
    let own: &[Attempt] = match &record.stage {
        // It is known which one it is.
        Stage::Mined { .. } => &[],
        _ => &record.attempts,
    };
    let mined = match &record.stage {
        Stage::Mined { receipt } => Some(receipt.hash),
        _ => None,
    };
    let all = own.iter().rev().chain(record.past.iter().rev()).chain(&record.pays_for);
    let passed = all.filter(|attempt| attempt.nonce < next_nonce).map(|attempt| attempt.hash);
    mined.into_iter().chain(passed.filter(|hash| Some(*hash) != mined)).collect()
}

/// The receipt that says most, and whether it says that the record's work is done: a success of the call before all,
/// else what became of the nonce in use. An earlier attempt that failed was accounted for when it did.
pub(super) fn telling(record: &Record, receipts: &[Receipt]) -> Option<(Receipt, bool)> {
    let does = |receipt: &Receipt| {
        let wanted = record
            .attempt(&receipt.hash)
            .is_some_and(|attempt| !attempt.cancel || record.fills.is_some());
        receipt.success && wanted
    };
    let current =
        |receipt: &&Receipt| record.attempts.iter().any(|attempt| attempt.hash == receipt.hash);
    let done = receipts.iter().find(|receipt| does(receipt)).map(|receipt| (*receipt, true));
    done.or_else(|| receipts.iter().find(current).map(|receipt| (*receipt, false)))
}

/// Charges a record for what was mined without doing its work, and forgets what is decided for good. Returns whether the
/// record must be stored.
pub(super) fn account_for(
    record: &mut Record,
    found: Option<(Receipt, bool)>,
    receipts: &[Receipt],
    final_nonce: Option<u64>,
) -> bool {
    let work = found.map(|(receipt, _)| receipt.hash);
    let mut changed = false;
    for receipt in receipts.iter().filter(|receipt| Some(receipt.hash) != work) {
        changed |= record.charge(receipt);
    }
    if let Some((receipt, true)) = found {
        record.uncharge(&receipt.hash);
    }
    if let Some(final_nonce) = final_nonce {
        changed |= record.forget(final_nonce, work);
    }
    changed
}

/// Whether an earlier call of ours, whose nonce the chain has passed and not yet made final, may prove to have done the
/// work: the index of receipts may follow the newest block with a delay, and a refusal may be the mark of our own success.
pub(super) fn may_be_done(record: &Record, view: &View) -> bool {
    record.past.iter().any(|attempt| !attempt.cancel && attempt.nonce < view.nonce)
}

/// The nonce of a record whose transactions are in no block.
pub(super) fn unmined_nonce(record: &Record, view: &View) -> Option<u64> {
    record.nonce().filter(|nonce| *nonce >= view.nonce)
}

/// The most that a record's transaction in the pool can cost, in wei, with what it carries.
pub(super) fn in_pool(record: &Record, view: &View) -> U256 {
    let last = record.attempts.last().filter(|last| last.nonce >= view.nonce);
    last.map_or(U256::ZERO, |last| {
        let value = if last.cancel { U256::ZERO } else { record.obligation.call.value };
        last.cost_max().saturating_add(value)
    })
}

/// The lowest nonce from `next` on that is not in `used` (ascending).
pub(super) fn free_nonce(used: &[u64], next: u64) -> u64 {
    let mut free = next;
    for nonce in used {
        if *nonce == free {
            free = free.saturating_add(1);
        }
    }
    free
}

/// Blocks for which a nonce must be seen taken before a repeatable obligation takes another: the index of receipts may
/// follow the newest block with a delay.
const LOST_BLOCKS: u64 = 2;

/// The nonce, if it is certain that none of the record's attempts has it; notes when that was first seen.
pub(super) fn nonce_lost(record: &mut Record, view: &View) -> Option<u64> {
    let nonce = record.nonce()?;
    let since = *record.nonce_lost.get_or_insert(view.head.id.number);
    let certain = if record.obligation.repeat_safe {
        view.head.id.number >= since.saturating_add(LOST_BLOCKS)
    } else {
        view.final_nonce.is_some_and(|next| next > nonce)
            && view.finalized.is_some_and(|block| block.id.number >= since)
    };
    certain.then_some(nonce)
}

/// How urgent a record is, in thousandths, given the nearest deadline that depends on it.
pub(super) fn urgency(
    record: &Record,
    deadline: Option<u64>,
    patience: &Patience,
    view: &View,
) -> u128 {
    let left = deadline.map(|deadline| deadline.saturating_sub(view.head.timestamp));
    let life = deadline.and_then(|deadline| Some(deadline.saturating_sub(record.since?)));
    fees::urgency(left, patience.pace(life))
}

/// To whom to hand a transaction: to relays alone while a stated part of the time is not over. What has no deadline has
/// nothing to hide.
pub(super) fn route(
    record: &Record,
    deadline: Option<u64>,
    patience: &Patience,
    view: &View,
) -> Route {
    let (Some(deadline), Some(since)) = (deadline, record.since) else { return Route::Public };
    let life = deadline.saturating_sub(since);
    let alone = life.saturating_mul(patience.private_percent.min(100)) / 100;
    let last = patience.pace(Some(life)).last_s;
    let now = view.head.timestamp;
    let early = now < since.saturating_add(alone) && now.saturating_add(last) < deadline;
    if early { Route::Private } else { Route::Public }
}

/// Whether an attempt has waited long enough, or cannot be mined at all any more.
pub(super) fn impatient(
    attempt: &Attempt,
    urgency: u128,
    patience: &Patience,
    view: &View,
) -> bool {
    if attempt.fees.max_fee < view.market.next_base_fee {
        return true;
    }
    let (calm, urgent) = (u128::from(patience.replace_ms), u128::from(patience.replace_urgent_ms));
    let wait = calm.saturating_sub(calm.saturating_sub(urgent).saturating_mul(urgency) / 1_000);
    u128::from(view.now_ms.saturating_sub(attempt.signed_ms)) >= wait
}

/// What an empty transfer may cost: a hundred times what it costs now.
pub(super) fn filler_budget(market: &Market) -> U256 {
    let per_gas = market.next_base_fee.saturating_add(market.urgent_tip).saturating_mul(100);
    U256::from(per_gas).saturating_mul(U256::from(TRANSFER_GAS))
}

/// What limits a bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// What the obligation allows, in wei per gas.
    pub allowed: u128,
    /// What the account has for it, in wei.
    pub funds: U256,
}

/// What to bid: at least an eighth more than `previous`, at most what it may cost, at most what there is.
pub(super) fn bid(
    (gas_limit, value): (u64, U256),
    urgency: u128,
    previous: Option<Fees>,
    limits: Limits,
    view: &View,
) -> Plan {
    let Limits { allowed, funds } = limits;
    let for_gas: u128 = funds.saturating_sub(value).saturating_to();
    let affordable = if funds < value { 0 } else { fees::cap_per_gas(for_gas, gas_limit) };
    match view.market.quote(urgency, allowed.min(affordable), previous) {
        Quote::Bid(fees) => Plan::Bid { gas_limit, fees },
        Quote::TooDear { needed, .. } if needed > allowed => {
            Plan::Not(Report::TooDear { needed, cap: allowed })
        }
        Quote::TooDear { needed, .. } => {
            let gas_cost = U256::from(needed).saturating_mul(U256::from(gas_limit));
            let needed = gas_cost.saturating_add(value);
            Plan::Not(Report::Unfunded { needed, balance: view.balance })
        }
    }
}

/// What a record may bid per gas for `gas_limit` at `nonce`, with the nonces in `way` before it: so much that the same
/// can be bid for cancelling each of them.
pub(super) fn call_cap(record: &Record, gas_limit: u64, nonce: u64, way: &BTreeSet<u64>) -> u128 {
    let mut aside = way.clone();
    aside.insert(nonce);
    let free = record.budget(&aside);
    let promised = sum(record, way);
    let even = fees::cap_per_gas(free, with_way(gas_limit, way));
    even.min(fees::cap_per_gas(free.saturating_sub(promised), gas_limit))
}

/// What a record may bid per gas for calling its own transaction back: what the transaction itself may bid, and the one
/// raise that replaces it.
pub(super) fn own_cancel_cap(
    record: &Record,
    nonce: u64,
    previous: Option<Fees>,
    way: &BTreeSet<u64>,
) -> u128 {
    let mut aside = way.clone();
    aside.insert(nonce);
    let all = fees::cap_per_gas(record.budget(&aside), TRANSFER_GAS);
    let raise = previous.map_or(0, |previous| previous.bumped().max_fee);
    all.min(raise.max(call_cap(record, gas_limit(record, None), nonce, way)))
}

/// What a record may bid per gas for cancelling what has `nonce`, one of those in `way`.
pub(super) fn cancel_cap(record: &Record, gas_limit: u64, nonce: u64, way: &BTreeSet<u64>) -> u128 {
    let free = record.budget(way);
    let mut others = way.clone();
    others.remove(&nonce);
    let own: u128 = record.exposure_now().saturating_to();
    let left = free.saturating_sub(own).saturating_sub(sum(record, &others));
    let even = fees::cap_per_gas(free, with_way(gas_limit, way));
    even.min(fees::cap_per_gas(left, TRANSFER_GAS))
}

fn sum(record: &Record, nonces: &BTreeSet<u64>) -> u128 {
    let each = nonces.iter().map(|nonce| record.exposure(*nonce));
    each.fold(U256::ZERO, U256::saturating_add).saturating_to()
}

fn with_way(gas_limit: u64, way: &BTreeSet<u64>) -> u64 {
    let transfers = TRANSFER_GAS.saturating_mul(u64::try_from(way.len()).unwrap_or(u64::MAX));
    gas_limit.saturating_add(transfers)
}

/// The gas limit and the value of what is to be bid for.
pub(super) fn size(record: &Record, gas: Gas) -> (u64, U256) {
    match gas {
        Gas::Transfer => (TRANSFER_GAS, U256::ZERO),
        Gas::Call { estimated } => (gas_limit(record, estimated), record.obligation.call.value),
    }
}

/// The gas limit of the call: that of an earlier attempt, or the estimate with a margin, or the caller's hint, or all
/// that a transaction may have.
pub(super) fn gas_limit(record: &Record, estimated: Option<u64>) -> u64 {
    let earlier = record
        .attempts
        .iter()
        .rev()
        .find(|attempt| !attempt.cancel)
        .map(|attempt| attempt.gas_limit);
    let margin = |gas: u64| gas.saturating_add(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100);
    let fresh = estimated.or(record.obligation.gas_hint).map(margin);
    earlier.or(fresh).unwrap_or(TRANSACTION_GAS_MAX).min(TRANSACTION_GAS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_nonce_is_taken() {
        assert_eq!(free_nonce(&[], 7), 7);
        assert_eq!(free_nonce(&[7, 8, 10], 7), 9);
        assert_eq!(free_nonce(&[5, 6], 7), 7);
        assert_eq!(free_nonce(&[8], 7), 7);
    }
}
