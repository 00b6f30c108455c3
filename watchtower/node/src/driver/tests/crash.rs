//! One payment from alice over the hub to bob; one of the three is killed at one of its durable steps, and comes back.
//!
//! After every such crash: the payment took place once, both ends of both channels agree, and no money was made or lost. That
//! nobody signs two states with one nonce is held by the store in every turn: it would refuse the turn and end the driver with
//! another error than the test's own.

use protocol::Role;

use super::world::{Machine, SIDE, id, keys, kill_at, own, wait_for};
use crate::driver::Command;
use crate::error::NodeError;

const PAID: u128 = 1_000;
/// More durable steps than any of the three makes for one payment.
const STEPS_MAX: u64 = 40;

fn pay() -> Command {
    let amount = Some(protocol::testing::amount(PAID));
    Command::Pay { channel: Some(id(1)), to: "2".to_owned(), amount, key: Some("rent".to_owned()) }
}

async fn received(machine: &Machine) -> bool {
    let all = machine.payments().await;
    all.len() == 1 && all[0]["stage"] == "received"
}

/// Plays it; false when the victim came through without reaching that step.
async fn play(victim: usize, step: u64, after: bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let hub_keys = keys(9, Role::Counterparty);
    let (alice, bob) = (keys(1, Role::Participant), keys(2, Role::Participant));
    let (first, second) = (own(1, &alice, &hub_keys), own(2, &bob, &hub_keys));
    let both = [first, second];
    let place = |name: &str| folder.path().join(name);
    let mut all = [
        Machine::new(&place("hub"), hub_keys, &both, &both).await,
        Machine::new(&place("alice"), alice, &both[..1], &both).await,
        Machine::new(&place("bob"), bob, &both[1..], &both).await,
    ];
    let switch = |at: usize| (at == victim).then(|| kill_at(step, after));
    all[0].start(switch(0)).await;
    for at in [1, 2] {
        all[at].introduce(&all[0]).await;
        all[at].start(switch(at)).await;
    }
    let mut crashed = false;
    for _ in 0..600 {
        if all[victim].is_dead() {
            assert!(!crashed, "it dies once");
            let error = all[victim].kill().await.unwrap();
            assert!(matches!(error, NodeError::Gone("a test")), "{error}");
            crashed = true;
            all[victim].start(None).await;
        }
        // The same order, again and again: it is carried out once.
        if let Some(Err(error)) = all[1].ask(pay()).await {
            assert!([409, 503].contains(&error.status), "{error}");
        }
        if received(&all[1]).await && received(&all[2]).await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let context = format!("victim {victim} step {step} after {after}");
    assert!(received(&all[1]).await && received(&all[2]).await, "{context}");
    wait_for("agreement", async || {
        let (hub, one, two) =
            (all[0].standings().await, all[1].standings().await, all[2].standings().await);
        let nonces = hub[&1].0 == one[&1].0 && hub[&2].0 == two[&2].0;
        nonces
            && (one[&1].1, two[&2].1) == (SIDE - PAID, SIDE + PAID)
            && (hub[&1].1, hub[&2].1) == (SIDE + PAID, SIDE - PAID)
    })
    .await;
    for machine in &mut all {
        machine.kill().await;
    }
    crashed
}

async fn play_all(victim: usize) {
    for after in [false, true] {
        let mut steps = 0;
        for step in 1..=STEPS_MAX {
            if !play(victim, step, after).await {
                break;
            }
            steps = step;
        }
        println!(
            "victim {victim}, {}: {steps} durable steps",
            if after { "after" } else { "before" }
        );
        assert!((3..STEPS_MAX).contains(&steps), "{steps} durable steps");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and was not yet seen to pass"]
async fn a_hub_that_dies_at_any_durable_step_of_a_payment_pays_it_once() {
    play_all(0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and was not yet seen to pass"]
async fn a_payer_that_dies_at_any_durable_step_of_its_payment_pays_once() {
    play_all(1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and was not yet seen to pass"]
async fn a_payee_that_dies_at_any_durable_step_of_a_payment_is_paid_once() {
    play_all(2).await;
}
