//! What to bid for a place in a block, given how much time is left and how much is at stake.
//!
//! Pure. The bid has two parts: the *tip* moves from what a typical transaction pays to what the best paying ones pay while
//! the deadline approaches, and beyond that in the last stretch; the *ceiling* (`max_fee`) leaves room for the base fee to
//! rise. Both stop at what the obligation may cost at most: an override is never worth more than what it saves.
//!
//! **Invariant:** `priority_fee <= max_fee <= cap`, and a replacement raises both by at least one eighth.

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

/// How far along the way from "there is time" to "now or never" we are, in thousandths.
const FULL: u128 = 1_000;

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

/// How urgent something is with `left_s` seconds to its deadline, in thousandths, when `calm_s` seconds are enough to
/// be calm. Without a deadline nothing is urgent.
pub fn urgency(left_s: Option<u64>, calm_s: u64) -> u128 {
    let Some(left_s) = left_s else { return 0 };
    let calm = u128::from(calm_s.max(1));
    let left = u128::from(left_s).min(calm);
    FULL - left * FULL / calm
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

    /// What to bid at this urgency (thousandths), at most `cap` wei per gas, after `previous` was bid in vain.
    ///
    /// The tip goes from typical to urgent on the first half of the way and then to four times urgent; the room for the
    /// base fee goes from twice to four times (two blocks' worth of rises to twelve).
    pub fn quote(&self, urgency: u128, cap: u128, previous: Option<Fees>) -> Quote {
        let urgency = urgency.min(FULL);
        let half = FULL / 2;
        let tip = if urgency <= half {
            between(self.typical_tip, self.urgent_tip, urgency, half)
        } else {
            between(self.urgent_tip, self.urgent_tip.saturating_mul(4), urgency - half, half)
        };
        let base = self.next_base_fee;
        let room = between(base.saturating_mul(2), base.saturating_mul(4), urgency, FULL);
        let mut wanted = Fees { max_fee: room.saturating_add(tip), priority_fee: tip };
        let mut needed = base.saturating_add(TIP_MIN);
        if let Some(previous) = previous {
            let least = previous.bumped();
            needed = needed.max(least.max_fee);
            wanted.max_fee = wanted.max_fee.max(least.max_fee);
            wanted.priority_fee = wanted.priority_fee.max(least.priority_fee);
        }
        if needed > cap {
            return Quote::TooDear { needed, cap };
        }
        let max_fee = wanted.max_fee.min(cap);
        Quote::Bid(Fees { max_fee, priority_fee: wanted.priority_fee.min(max_fee) })
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

/// The most per gas when `total` wei may be spent on `gas`.
pub fn cap_per_gas(total: u128, gas: u64) -> u128 {
    total / u128::from(gas.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn market() -> Market {
        Market { next_base_fee: 10 * GWEI, typical_tip: GWEI, urgent_tip: 3 * GWEI }
    }

    fn bid(quote: Quote) -> Fees {
        match quote {
            Quote::Bid(fees) => fees,
            Quote::TooDear { .. } => panic!("too dear"),
        }
    }

    #[test]
    fn with_time_left_it_bids_what_is_typical() {
        let fees = bid(market().quote(urgency(Some(86_400), 3_600), u128::MAX, None));
        assert_eq!(fees, Fees { max_fee: 21 * GWEI, priority_fee: GWEI });
        assert_eq!(urgency(None, 3_600), 0);
    }

    #[test]
    fn at_the_deadline_it_bids_four_times_what_is_urgent() {
        let fees = bid(market().quote(urgency(Some(0), 3_600), u128::MAX, None));
        assert_eq!(fees, Fees { max_fee: 52 * GWEI, priority_fee: 12 * GWEI });
    }

    #[test]
    fn it_never_bids_more_than_is_at_stake() {
        let cap = 15 * GWEI;
        let fees = bid(market().quote(FULL, cap, None));
        assert_eq!(fees.max_fee, cap);
        let quote = market().quote(FULL, 9 * GWEI, None);
        assert_eq!(quote, Quote::TooDear { needed: 10 * GWEI + TIP_MIN, cap: 9 * GWEI });
    }

    #[test]
    fn a_replacement_that_the_cap_does_not_allow_is_not_made() {
        let previous = Fees { max_fee: 20 * GWEI, priority_fee: GWEI };
        assert!(matches!(market().quote(0, 21 * GWEI, Some(previous)), Quote::TooDear { .. }));
    }

    #[test]
    fn history_without_tips_gives_the_smallest() {
        let market = Market::read(7, &[]);
        assert_eq!((market.typical_tip, market.urgent_tip), (TIP_MIN, TIP_MIN));
        let odd =
            Market::read(7, &[vec![GWEI, GWEI], vec![u128::MAX, u128::MAX], vec![GWEI, GWEI]]);
        assert_eq!(odd.typical_tip, GWEI);
    }

    proptest! {
        #[test]
        fn every_bid_keeps_its_bounds(
            base in 0..=u128::MAX / 8, typical in 0..=u128::MAX / 8, urgent in 0..=u128::MAX / 8,
            urgency in 0..=2 * FULL, cap: u128, previous in proptest::option::of(0..=u128::MAX / 4),
        ) {
            let market = Market { next_base_fee: base, typical_tip: typical, urgent_tip: urgent };
            let previous = previous.map(|fee| Fees { max_fee: fee, priority_fee: fee / 3 });
            if let Quote::Bid(fees) = market.quote(urgency, cap, previous) {
                prop_assert!(fees.priority_fee <= fees.max_fee && fees.max_fee <= cap);
                prop_assert!(fees.max_fee >= base);
                if let Some(previous) = previous {
                    prop_assert!(fees.max_fee - previous.max_fee >= previous.max_fee / 8);
                    prop_assert!(fees.priority_fee - previous.priority_fee >= previous.priority_fee / 8);
                }
            }
        }

        #[test]
        fn less_time_never_bids_less(base in 0..1_000 * GWEI, left in 0_u64..10_000, less in 0_u64..10_000) {
            let market = Market { next_base_fee: base, ..market() };
            let (sooner, later) = (left.min(less), left.max(less));
            let soon = bid(market.quote(urgency(Some(sooner), 3_600), u128::MAX, None));
            let late = bid(market.quote(urgency(Some(later), 3_600), u128::MAX, None));
            prop_assert!(soon.max_fee >= late.max_fee && soon.priority_fee >= late.priority_fee);
        }
    }
}
