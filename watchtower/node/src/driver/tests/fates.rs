//! What must not be lost: overrides, collections, the newest state, whatever happens to the process or its disk.

use alloy_primitives::{B256, Bytes, U256};
use protocol::payment::wallet;
use protocol::testing::{HEDGE, amount, nonce};
use protocol::vnode::exit;
use protocol::vnode::view::{Finalized, Head};

use super::single::{CHANNEL, Single, Two, at};
use super::world::{SIDE, delivery, policy};
use crate::book::{Dispute, Own, Standing};
use crate::driver::Command;
use crate::driver::proofs::{Priced, Proven, Purpose};
use crate::sender::State;

#[tokio::test]
async fn a_node_that_is_killed_before_it_could_override_does_so_when_it_is_back() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    let event = at(1, two.dispute());
    alice.driver.on_batch(delivery(vec![event])).await.unwrap();
    assert_eq!(alice.overrides(), 1, "while it runs it proves at once");
    drop(alice);
    let mut alice = two.alice(policy(), 0).await;
    assert_eq!(alice.overrides(), 1, "the dispute is not told again by the chain");
}

#[tokio::test]
async fn an_override_that_could_not_be_proven_is_proven_again() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.driver.on_batch(delivery(vec![at(1, two.dispute())])).await.unwrap();
    let job = alice.jobs.try_recv().unwrap();
    let outcome = Err("the disk is full".to_owned());
    alice.driver.on_proven(Proven { job, outcome }).await.unwrap();
    alice.driver.on_tick().await.unwrap();
    assert_eq!(alice.overrides(), 0, "after a pause");
    alice.driver.exits.get_mut(&CHANNEL).unwrap().again_ms = Some(0);
    alice.driver.on_tick().await.unwrap();
    assert_eq!(alice.overrides(), 1);
    // It stands in the queue and is not asked for twice.
    alice.driver.on_tick().await.unwrap();
    assert_eq!(alice.overrides(), 0);
}

#[tokio::test]
async fn a_dispute_that_waits_for_its_block_is_not_proven_again() {
    let two = Two::new();
    let state = two.signed(5, SIDE);
    let mut alice = two.alice_with(&state).await;
    alice.driver.give_exit(CHANNEL, exit::Event::Undisputed).await.unwrap();
    let wanted = |alice: &mut Single| {
        alice.driver.prove(CHANNEL, Purpose::Dispute, Some(state), amount(SIDE));
        alice.jobs.try_recv().ok()
    };
    let job = wanted(&mut alice).unwrap();
    assert!(wanted(&mut alice).is_none(), "it is being proven");
    let outcome = Ok(Priced { proof: Bytes::new(), value: U256::ZERO });
    alice.driver.on_proven(Proven { job, outcome }).await.unwrap();
    let (name, errand) = alice.driver.errands.iter_mut().next().unwrap();
    assert_eq!(name, "dispute channel 1 nonce 5");
    errand.state = State::Running;
    assert!(wanted(&mut alice).is_none(), "it is on its way to a block");
    alice.driver.errands.values_mut().next().unwrap().state = State::Failed("no".to_owned());
    assert!(wanted(&mut alice).is_some(), "one that failed is tried again");
}

#[tokio::test]
async fn a_stale_dispute_that_came_while_the_disk_was_lost_is_overridden_after_the_restore() {
    let two = Two::new();
    let dispute = Dispute {
        disputer: two.hub.account.address(),
        epoch: 1,
        nonce: nonce(3),
        claim: amount(2 * SIDE),
        peak: amount(2 * SIDE),
        deadline: u64::MAX,
        agreed: None,
    };
    let own = Own { dispute: Some(dispute), ..two.own.clone() };
    two.put(vec![Two::channel_row(&own)]).await;
    let mut alice = two.alice(policy(), 0).await;
    assert!(alice.held().is_none(), "nothing is signed before it is restored");
    assert_eq!(alice.overrides(), 0);
    let newest = Some(Box::new(two.signed(7, SIDE).unverified()));
    alice.driver.on_restored_by_hub(CHANNEL, newest).await.unwrap();
    assert_eq!((alice.held(), alice.overrides()), (Some(7), 1));
}

#[tokio::test]
async fn what_a_dispute_paid_is_collected_also_by_a_node_that_was_killed_when_it_was_over() {
    let two = Two::new();
    let alice = two.alice_with(&two.signed(5, SIDE)).await;
    drop(alice);
    let dispute = Dispute {
        disputer: two.alice.account.address(),
        epoch: 1,
        nonce: nonce(5),
        claim: amount(SIDE),
        peak: amount(SIDE),
        deadline: 1,
        agreed: None,
    };
    let own = Own {
        standing: Standing::Over,
        dispute: Some(dispute),
        settled: Some(nonce(5)),
        paid: Some((amount(SIDE), amount(SIDE))),
        ..two.own.clone()
    };
    two.put(vec![Two::channel_row(&own)]).await;
    let names = |single: &Single| single.driver.errands.keys().cloned().collect::<Vec<_>>();
    let alice = two.alice(policy(), 0).await;
    let wanted = ["collect asset of channel 1", "collect ether of channel 1"];
    assert_eq!(names(&alice), wanted);
    drop(alice);
    assert_eq!(names(&two.alice(policy(), 0).await), wanted, "once");
}

#[tokio::test]
async fn a_contradiction_about_a_final_block_stops_signing_at_once() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let rebase = |alice: &mut Single| {
        let now = alice.driver.now();
        let wallet = alice.driver.wallets.get_mut(&CHANNEL).unwrap();
        wallet.handle(wallet::Event::Rebase, now, &HEDGE).map(|_effects| ())
    };
    let block = |hash: u8| Finalized { number: 1 << 40, hash: B256::repeat_byte(hash) };
    let now = alice.driver.now();
    alice.driver.view.see(Head { number: 1 << 40, time_s: 0 }, block(1), now);
    alice.driver.view.see(Head { number: 1 << 40, time_s: 0 }, block(2), now);
    alice.driver.tell_view().await.unwrap();
    assert_eq!(rebase(&mut alice), Err(wallet::PayError::Stale));
}

#[tokio::test]
async fn a_node_that_stops_hands_its_newest_state_to_the_towers_first() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let mut policy = policy();
    policy.backup.target = 1;
    policy.backup.check_at_start = false;
    policy.backup.lag_max_ms = 3_600_000;
    let mut alice = two.alice(policy, 1).await;
    assert_eq!(alice.workers[0].published(), 0, "it waits for more");
    let Single { driver, inputs, .. } = &mut alice;
    // Nobody answers, so that it waits for its whole patience.
    let patience = std::time::Duration::from_millis(500);
    assert!(tokio::time::timeout(patience, driver.flush(inputs)).await.is_err());
    assert_eq!(alice.workers[0].published(), 1);
}

#[tokio::test]
async fn a_node_that_stops_waits_also_for_the_state_that_was_on_its_way_to_the_disk() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let mut policy = policy();
    policy.backup.target = 1;
    policy.backup.check_at_start = false;
    policy.backup.lag_max_ms = 3_600_000;
    let mut alice = two.alice(policy, 1).await;
    let now = alice.driver.now();
    // As if everything of before were protected.
    let over = protocol::vnode::coverage::Event::Over(CHANNEL);
    let _ = alice.driver.coverage.handle(over, now);
    let event = wallet::Event::Restored(Box::new(two.signed(7, SIDE)));
    alice.driver.give_wallet(CHANNEL, event).await.unwrap();
    assert!(!alice.driver.turns.is_empty(), "nobody may know of it yet");
    let Single { driver, inputs, .. } = &mut alice;
    let patience = std::time::Duration::from_millis(500);
    assert!(tokio::time::timeout(patience, driver.flush(inputs)).await.is_err(), "no receipt");
    assert_eq!(alice.workers[0].published(), 1);
}

#[tokio::test]
async fn a_channel_that_is_over_needs_no_backups_also_after_a_start() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let over = Own {
        standing: Standing::Over,
        settled: Some(nonce(5)),
        paid: Some((amount(SIDE), amount(SIDE))),
        ..two.own.clone()
    };
    two.put(vec![Two::channel_row(&over)]).await;
    let mut policy = policy();
    policy.backup.target = 1;
    for _ in 0..2 {
        let mut alice = two.alice(policy.clone(), 1).await;
        alice.settle().await;
        let shown = alice.ask(Command::Backups).await.unwrap();
        assert_eq!(shown["covered"], true, "{shown}");
        let Single { driver, inputs, .. } = &mut alice;
        let patience = std::time::Duration::from_secs(2);
        assert!(tokio::time::timeout(patience, driver.flush(inputs)).await.is_ok());
    }
}
