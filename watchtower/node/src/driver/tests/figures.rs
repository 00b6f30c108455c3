//! What Prometheus is told: the figures that alerts are made of.

use alloy_primitives::{Address, U256};
use chain::events::{Event, Overridden, OverrideKind};
use protocol::EscrowVersion;
use protocol::testing::{amount, nonce};

use super::single::{CHANNEL, Single, Two, at};
use super::world::{SIDE, delivery};
use crate::driver::figures::Looks;

/// The figures as of now, by the name in the page.
fn figure(alice: &mut Single, name: &str) -> f64 {
    alice.driver.figures = Looks::default();
    alice.driver.tick_figures();
    let page = alice.driver.parts.metrics.page().unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
}

fn assert_is(alice: &mut Single, name: &str, wanted: f64) {
    let found = figure(alice, name);
    assert!((found - wanted).abs() < 1e-9, "{name} is {found}, not {wanted}");
}

#[tokio::test]
async fn a_stale_dispute_counts_as_unanswered_until_somebody_overrides_it() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    assert_is(&mut alice, "watchtower_node_disputes_unanswered", 0.0);
    alice.driver.on_batch(delivery(vec![at(1, two.dispute())])).await.unwrap();
    assert_is(&mut alice, "watchtower_node_disputes_unanswered", 1.0);
    assert!(figure(&mut alice, "watchtower_node_disputes_unanswered_left_seconds") > 1e6);
    let dispute = alice.driver.book.get(CHANNEL).unwrap().dispute.unwrap();
    // Once the window is over nobody can answer any more.
    alice.driver.chain_s = dispute.deadline;
    assert_is(&mut alice, "watchtower_node_disputes_unanswered", 0.0);
    alice.driver.chain_s = 1;
    assert_is(&mut alice, "watchtower_node_disputes_unanswered", 1.0);
    let overridden = Event::Overridden(Overridden {
        channel: CHANNEL,
        beneficiary: Address::repeat_byte(8),
        kind: OverrideKind::Lower,
        nonce: nonce(5),
        version: EscrowVersion::ZERO,
        balance: amount(SIDE),
        claim: amount(SIDE),
        deadline: u64::MAX,
        reward: U256::ZERO,
    });
    alice.driver.on_batch(delivery(vec![at(2, overridden)])).await.unwrap();
    assert_is(&mut alice, "watchtower_node_disputes_unanswered", 0.0);
    assert_is(&mut alice, "watchtower_node_disputes_unanswered_left_seconds", 0.0);
}

#[tokio::test]
async fn what_can_be_paid_and_what_leaving_costs_are_told() {
    let two = Two::new();
    // The newest state leaves her a hundredth of the escrow.
    let mut alice = two.alice_with(&two.signed(5, SIDE / 50)).await;
    assert_is(&mut alice, "watchtower_node_exit_cost_wei", 0.0);
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let whole = f64::from(u32::try_from(2 * SIDE).unwrap());
    assert_is(&mut alice, "watchtower_node_escrow_base_units", whole);
    assert_is(&mut alice, "watchtower_node_channels_dry", 1.0);
    assert!(figure(&mut alice, "watchtower_node_exit_cost_wei") > 1e9);
    assert!(figure(&mut alice, "watchtower_node_round_time_seconds") > 1e9);
    assert_is(&mut alice, "watchtower_node_payments_open", 0.0);
    drop(alice);
    let mut rich = two.alice_with(&two.signed(6, SIDE)).await;
    assert_is(&mut rich, "watchtower_node_channels_dry", 0.0);
}
