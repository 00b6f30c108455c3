//! The fee curve's shape, and the table of it that the documentation shows.

use proptest::prelude::*;

use super::*;

const GWEI: u128 = 1_000_000_000;
/// Twelve-second blocks: bids rise in the last hour, everything is bid three blocks before the end.
const PACE: Pace = Pace { calm_s: 3_600, last_s: 36 };

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
    let fees = bid(market().quote(urgency(Some(86_400), PACE), 100 * GWEI, None));
    assert_eq!(fees, Fees { max_fee: 21 * GWEI, priority_fee: GWEI });
    assert_eq!(urgency(None, PACE), 0);
}

#[test]
fn three_blocks_before_the_deadline_it_bids_all_that_is_at_stake() {
    for left in 0..=PACE.last_s {
        let fees = bid(market().quote(urgency(Some(left), PACE), 100 * GWEI, None));
        assert_eq!(fees, Fees { max_fee: 100 * GWEI, priority_fee: 90 * GWEI });
    }
    let before = bid(market().quote(urgency(Some(2 * PACE.last_s), PACE), 100 * GWEI, None));
    assert!(before.priority_fee < 90 * GWEI, "and not earlier: {before:?}");
}

#[test]
fn a_window_shorter_than_the_pace_is_calm_in_its_first_half() {
    let short = Pace { calm_s: 20, last_s: 36 };
    assert_eq!((urgency(Some(20), short), urgency(Some(10), short)), (0, FULL));
    assert!(urgency(Some(15), short) > 0);
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
    let odd = Market::read(7, &[vec![GWEI, GWEI], vec![u128::MAX, u128::MAX], vec![GWEI, GWEI]]);
    assert_eq!(odd.typical_tip, GWEI);
}

/// Rows of the table in the documentation: seconds left, then `max_fee` and tip in gwei with two places.
fn table() -> String {
    let gwei = |wei: u128| {
        let hundredths = (wei + GWEI / 200) / (GWEI / 100);
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    let mut rows = String::new();
    for left in [86_400, 3_600, 1_800, 900, 600, 300, 120, 60, 36, 12] {
        let urgency = urgency(Some(left), PACE);
        let fees = bid(market().quote(urgency, 100 * GWEI, None));
        rows.push_str(&format!(
            "| {left} | {}.{:03} | {} | {} |\n",
            urgency / FULL,
            urgency % FULL,
            gwei(fees.max_fee),
            gwei(fees.priority_fee)
        ));
    }
    rows
}

#[test]
fn the_documented_table_is_what_the_curve_gives() {
    let page = include_str!("../../../docs/spec/submitter.md");
    let rows = table();
    assert!(page.contains(&rows), "docs/spec/submitter.md should have:\n{rows}");
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
    fn less_time_never_bids_less(
        base in 0..1_000 * GWEI, cap in 0..10_000 * GWEI, left in 0_u64..10_000, less in 0_u64..10_000,
        calm_s in 0_u64..8_000, last_s in 0_u64..400,
    ) {
        let market = Market { next_base_fee: base, ..market() };
        let pace = Pace { calm_s, last_s };
        let (sooner, later) = (left.min(less), left.max(less));
        let soon = market.quote(urgency(Some(sooner), pace), cap, None);
        let late = market.quote(urgency(Some(later), pace), cap, None);
        match (soon, late) {
            (Quote::Bid(soon), Quote::Bid(late)) => {
                prop_assert!(soon.max_fee >= late.max_fee && soon.priority_fee >= late.priority_fee);
            }
            (soon, late) => prop_assert_eq!(soon, late, "too dear does not depend on time"),
        }
    }

    /// Block after block, each bid replacing the one before: the last bid before the deadline is the cap, or within the
    /// eighth that a replacement would need.
    #[test]
    fn a_bid_that_is_never_mined_reaches_the_cap_before_the_deadline(
        base in 1..100 * GWEI, times in 2_u128..50, window in 200_u64..100_000, block_s in 1_u64..=12,
    ) {
        let cap = base * times + 10 * GWEI;
        let market = Market { next_base_fee: base, ..market() };
        let pace = Pace { calm_s: (window / 2).min(3_600), last_s: 3 * block_s };
        let mut last: Option<Fees> = None;
        for passed in (0..window).step_by(usize::try_from(block_s).unwrap()) {
            let left = window - passed;
            let quote = market.quote(urgency(Some(left), pace), cap, last);
            if let Quote::Bid(fees) = quote {
                last = Some(fees);
            }
            if left <= pace.last_s.min(pace.calm_s / 2) {
                let reached = last.unwrap();
                prop_assert!(reached.bumped().max_fee > cap, "{reached:?} at {left} s of {cap}");
            }
        }
        prop_assert!(last.unwrap().max_fee <= cap);
    }
}
