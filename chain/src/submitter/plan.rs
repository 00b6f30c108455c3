//! The submitter's arithmetic: nonces, patience, and what a bid may cost.

use alloy_primitives::{B256, U256};

use super::{
    message::{Patience, Report, View},
    record::{Attempt, Record, TRANSFER_GAS},
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

/// The order of work in a round: what has a nonce by its nonce, then the nearest deadline.
pub(super) fn rank(record: &Record) -> (u64, u64) {
    let deadline = record.obligation.deadline.unwrap_or(u64::MAX);
    match record.fills.or_else(|| record.nonce()) {
        Some(nonce) => (nonce, deadline),
        None => (u64::MAX, deadline),
    }
}

/// Which of a record's transactions may be in a block, newest first: those with the nonce in use once the chain has
/// passed it, and all earlier ones, which a reorganisation may bring back.
pub(super) fn to_look_for(record: &Record, next_nonce: u64) -> Vec<B256> {
    let passed = record.nonce().is_some_and(|nonce| nonce < next_nonce);
    let current = if passed { record.attempts.as_slice() } else { &[] };
    current.iter().rev().chain(record.past.iter().rev()).map(|attempt| attempt.hash).collect()
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
    let now = view.head.timestamp;
    let left = deadline.map(|deadline| deadline.saturating_sub(now));
    let life = deadline.and_then(|deadline| Some(deadline.saturating_sub(record.since?)));
    let calm = life.map_or(patience.calm_s, |life| patience.calm_s.min(life / 2));
    fees::urgency(left, calm)
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

/// What to bid for a record: at least an eighth more than before, at most what it may cost, at most what there is.
pub(super) fn bid(record: &Record, gas: Gas, urgency: u128, view: &View) -> Plan {
    let (gas_limit, value) = match gas {
        Gas::Transfer => (TRANSFER_GAS, U256::ZERO),
        Gas::Call { estimated } => (gas_limit(record, estimated), record.obligation.call.value),
    };
    let allowed = fees::cap_per_gas(record.budget(), gas_limit);
    let funds: u128 = view.balance.saturating_sub(value).saturating_to();
    let affordable = if view.balance < value { 0 } else { fees::cap_per_gas(funds, gas_limit) };
    match view.market.quote(urgency, allowed.min(affordable), record.highest()) {
        Quote::Bid(fees) => Plan::Bid { gas_limit, fees },
        Quote::TooDear { needed, .. } if needed > allowed => {
            Plan::Not(Report::TooDear { needed, cap: allowed })
        }
        Quote::TooDear { needed, .. } => {
            let gas_cost = U256::from(needed).saturating_mul(U256::from(gas_limit));
            Plan::Not(Report::Unfunded {
                needed: gas_cost.saturating_add(value),
                balance: view.balance,
            })
        }
    }
}

/// The gas limit of the call: that of an earlier attempt, or the estimate with a margin, or the caller's hint, or all
/// that a transaction may have.
fn gas_limit(record: &Record, estimated: Option<u64>) -> u64 {
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
