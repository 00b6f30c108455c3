//! What to bid for a place in a block, given how much time is left and how much is at stake.
//!
//! Pure. A bid has a *tip* for whoever builds the block, and a *ceiling* (`max_fee`) that leaves room for the base fee to
//! rise. How both grow is the fee curve, over the urgency `u` (0 with time to spare, 1 at the deadline; see [`urgency`]):
//!
//! ```text
//!   u from 0 to 1/2    tip: from what is typical to what the best paying pay; room: from twice to three times the base fee
//!   u from 1/2 to 1    both go on to all that the obligation may cost, with the fourth power of the way:
//!                      a sixteenth of the rest at 3/4, two fifths at 9/10, all of it at 1
//! ```
//!
//! `u` is 1 already a few blocks before the deadline, so that the highest bid still has blocks to be mined in. A bid that
//! one more replacement could not raise within the cap takes the cap at once. docs/spec/submitter.md has numbers.
//!
//! **Invariant:** `priority_fee <= max_fee <= cap`, and a replacement raises both by at least one eighth.
//! **Invariant:** less time never bids less.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// A bid, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// The most per gas, base fee included.
    pub max_fee: u128,
    /// The most per gas for whoever builds the block.
    pub priority_fee: u128,
}

/// What recent blocks paid, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    /// The base fee of the next block.
    pub next_base_fee: u128,
    /// The tip of a typical transaction.
    pub typical_tip: u128,
    /// The tip of the best paying ones.
    pub urgent_tip: u128,
}

/// Percentiles of the tips in a block to ask a node for: the middle, and near the top.
pub const TIP_PERCENTILES: [f64; 2] = [50.0, 90.0];
/// How many blocks to look back: one or two minutes on most chains.
pub const HISTORY_BLOCKS: u64 = 10;
/// The smallest tip, in wei per gas: nodes drop transactions without any.
pub const TIP_MIN: u128 = 1_000_000;

/// "Now or never", in thousandths of urgency.
pub const FULL: u128 = 1_000;
/// From here on bids leave the market's prices and head for the cap.
pub const HALF: u128 = FULL / 2;

/// What to bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// This.
    Bid(Fees),
    /// Nothing: even the smallest sensible bid costs more than the obligation may.
    TooDear {
        /// The least that would have to be bid, in wei per gas.
        needed: u128,
        /// What may be bid at most, in wei per gas.
        cap: u128,
    },
}

/// When bids rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Seconds to a deadline from which on bids rise.
    pub calm_s: u64,
    /// Seconds to a deadline from which on everything is bid that may be.
    pub last_s: u64,
}

/// How urgent something is with `left_s` seconds to its deadline, in thousandths. Without a deadline nothing is urgent.
pub fn urgency(left_s: Option<u64>, pace: Pace) -> u128 {
    let Some(left_s) = left_s else { return 0 };
    // A window too short for both is calm in its first half.
    let calm = pace.calm_s.max(1);
    let last = pace.last_s.min(calm / 2);
    let way = u128::from(calm.saturating_sub(last).max(1));
    let left = u128::from(left_s.saturating_sub(last)).min(way);
    FULL - left * FULL / way
}

impl Market {
    /// Reads what a node's fee history says: the median over the blocks at each percentile, so that one odd block moves
    /// nothing.
    pub fn read(next_base_fee: u128, rewards: &[Vec<u128>]) -> Self {
        let median = |column: usize| {
            let mut tips: Vec<u128> =
                rewards.iter().filter_map(|block| block.get(column).copied()).collect();
            tips.sort_unstable();
            tips.get(tips.len() / 2).copied().unwrap_or_default().max(TIP_MIN)
        };
        let typical_tip = median(0);
        Self { next_base_fee, typical_tip, urgent_tip: median(1).max(typical_tip) }
    }

    /// What to bid at this urgency (thousandths), at most `cap` wei per gas, after `previous` was bid in vain: the fee curve
    /// of the module's description.
    pub fn quote(&self, urgency: u128, cap: u128, previous: Option<Fees>) -> Quote {
        let mut wanted = self.wanted(urgency.min(FULL), cap);
        let mut needed = self.next_base_fee.saturating_add(TIP_MIN);
        if let Some(previous) = previous {
            let least = previous.bumped();
            needed = needed.max(least.max_fee);
            wanted.max_fee = wanted.max_fee.max(least.max_fee);
            wanted.priority_fee = wanted.priority_fee.max(least.priority_fee);
        }
        if needed > cap {
            return Quote::TooDear { needed, cap };
        }
        if urgency > HALF && wanted.bumped().max_fee > cap {
            wanted.max_fee = cap;
        }
        let max_fee = wanted.max_fee.min(cap);
        Quote::Bid(Fees { max_fee, priority_fee: wanted.priority_fee.min(max_fee) })
    }

    /// The point of the curve, before replacement rules and the cap.
    fn wanted(&self, urgency: u128, cap: u128) -> Fees {
        let base = self.next_base_fee;
        let calm = urgency.min(HALF);
        let tip = between(self.typical_tip, self.urgent_tip, calm, HALF);
        let room = between(base.saturating_mul(2), base.saturating_mul(3), calm, HALF);
        let part = urgency.saturating_sub(HALF);
        let max_fee = steeply(room.saturating_add(tip), cap, part);
        Fees { max_fee, priority_fee: steeply(tip, cap.saturating_sub(base), part).min(max_fee) }
    }
}

impl Fees {
    /// The least that replaces this bid: one eighth more, rounded up. Nodes ask for a tenth.
    #[must_use]
    pub const fn bumped(self) -> Self {
        Self { max_fee: eighth_more(self.max_fee), priority_fee: eighth_more(self.priority_fee) }
    }
}

const fn eighth_more(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8)).saturating_add(1)
}

/// The point `part` of `whole` between `low` and `high`.
fn between(low: u128, high: u128, part: u128, whole: u128) -> u128 {
    let span = high.saturating_sub(low);
    low.saturating_add(span.saturating_mul(part) / whole.max(1))
}

/// From `low` towards `high`, with the fourth power of `part` of [`HALF`]; `low` itself if `high` is below it.
fn steeply(low: u128, high: u128, part: u128) -> u128 {
    let fourth = |x: u128| U256::from(x).pow(U256::from(4));
    let rest = U256::from(high.saturating_sub(low));
    let rise = rest.saturating_mul(fourth(part.min(HALF))) / fourth(HALF);
    low.saturating_add(rise.saturating_to())
}

/// The most per gas when `total` wei may be spent on `gas`.
pub fn cap_per_gas(total: u128, gas: u64) -> u128 {
    total / u128::from(gas.max(1))
}

#[cfg(test)]
mod tests;
