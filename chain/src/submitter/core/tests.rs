//! The submitter against a chain, a pool and a store that go wrong at random.

mod giving_up;
mod model;
mod queue;
mod random;
mod urgent;
mod witness;

use std::collections::BTreeMap;

use alloy_primitives::{Bytes, U256, keccak256};

use self::model::{ACCOUNT, BLOCK_S, CONTRACT, FINAL_DEPTH, GAS, GWEI, PATIENCE, Tx, World};
use super::*;
use crate::{calls::Call, submitter::record::Attempt};

fn obligation(what: u8, repeat_safe: bool) -> Obligation {
    Obligation {
        id: ObligationId(keccak256([what])),
        call: Call { to: CONTRACT, data: Bytes::from(vec![what]), value: U256::ZERO },
        not_before: None,
        deadline: None,
        gas_hint: None,
        max_cost: U256::from(GAS) * U256::from(400 * GWEI),
        repeat_safe,
    }
}

/// Rounds without trouble, one block before each.
fn calm(world: &mut World, core: &mut Core, rounds: usize) -> BTreeMap<ObligationId, Outcome> {
    let mut outcomes = BTreeMap::new();
    for _ in 0..rounds {
        world.round(core, false, &mut outcomes);
        world.mine(None);
        world.now_ms += BLOCK_S * 1_000;
    }
    outcomes
}

fn core_of(obligations: impl IntoIterator<Item = Obligation>) -> Core {
    let mut core = Core::new(ACCOUNT, PATIENCE);
    obligations.into_iter().for_each(|obligation| core.add(Record::new(obligation)));
    core
}

fn core_with(obligation: Obligation) -> Core {
    let mut core = Core::new(ACCOUNT, PATIENCE);
    core.add(Record::new(obligation));
    core
}

#[test]
fn done_means_final_and_not_only_mined() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, false));
    let early = calm(&mut world, &mut core, FINAL_DEPTH);
    assert_eq!(early.len(), 0);
    assert!(world.done(1), "mined at once");
    let later = calm(&mut world, &mut core, 3);
    assert!(matches!(later.values().next(), Some(Outcome::Finalized { .. })));
}

#[test]
fn an_unmined_transaction_is_outbid_by_an_eighth() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, false));
    // A base fee that the first bid did not foresee.
    world.round(&mut core, false, &mut BTreeMap::new());
    let first = world.pool[&0].fees;
    world.base_fee = first.max_fee + 1;
    calm(&mut world, &mut core, 4);
    assert!(world.done(1));
    let mined = world.mined().next().unwrap().0.fees;
    assert!(mined.max_fee >= first.max_fee + first.max_fee / 8);
    assert!(mined.priority_fee >= first.priority_fee + first.priority_fee / 8);
}

#[test]
fn what_somebody_else_did_is_cancelled_and_ends_beaten_once_that_is_final() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.base_fee = 60 * GWEI;
    world.mine(Some(1));
    world.base_fee = 5 * GWEI;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, None, "the transaction is replaced by an empty transfer");
    let outcomes = calm(&mut world, &mut core, 8);
    assert!(outcomes.values().all(Outcome::is_beaten) && outcomes.len() == 1, "{outcomes:?}");
}

#[test]
fn a_passed_deadline_cancels_and_ends_expired() {
    let mut world = World::new(1);
    let deadline = world.head().timestamp + 3 * BLOCK_S;
    let mut core = core_with(Obligation { deadline: Some(deadline), ..obligation(1, true) });
    world.base_fee = 10_000 * GWEI;
    let outcomes = calm(&mut world, &mut core, 9);
    assert_eq!(outcomes.into_values().collect::<Vec<_>>(), [Outcome::Expired]);
    assert!(!world.done(1));
}

#[test]
fn nothing_is_sent_before_its_time() {
    let mut world = World::new(1);
    let start = world.head().timestamp + 3 * BLOCK_S;
    let mut core = core_with(Obligation { not_before: Some(start), ..obligation(1, true) });
    calm(&mut world, &mut core, 3);
    assert_eq!(world.nonce(), 0);
    calm(&mut world, &mut core, 3);
    assert!(world.done(1));
}

#[test]
fn an_account_without_money_is_reported_once_and_loses_nothing() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    let poor = View { balance: U256::from(5), ..world.view() };
    let mut reports = 0;
    for _ in 0..5 {
        for effect in core.handle(Event::Round(Box::new(poor))) {
            let Effect::Simulate { id, .. } = effect else { panic!("{effect:?}") };
            let fits = Event::Simulated { id, simulation: Simulation::Fits { gas: Some(GAS) } };
            for effect in core.handle(fits) {
                assert!(
                    matches!(effect, Effect::Report { report: Report::Unfunded { .. }, .. }),
                    "{effect:?}"
                );
                reports += 1;
            }
        }
    }
    assert_eq!(reports, 1);
    calm(&mut world, &mut core, 2);
    assert!(world.done(1), "goes on once there is money");
}

#[test]
fn fees_above_what_is_at_stake_are_waited_out() {
    let mut world = World::new(1);
    let mut core = core_with(Obligation {
        max_cost: U256::from(GAS) * U256::from(20 * GWEI),
        ..obligation(1, true)
    });
    world.base_fee = 30 * GWEI;
    calm(&mut world, &mut core, 5);
    assert!(!world.done(1) && world.pool.is_empty());
    world.base_fee = 8 * GWEI;
    calm(&mut world, &mut core, 2);
    assert!(world.done(1));
}

#[test]
fn a_failed_attempt_counts_against_what_it_may_cost() {
    let mut record = Record::new(obligation(1, true));
    let none = std::collections::BTreeSet::new();
    let attempt = |nonce| Attempt {
        hash: keccak256([0]),
        nonce,
        gas_limit: GAS,
        fees: crate::fees::Fees { max_fee: 7 * GWEI, priority_fee: GWEI },
        cancel: false,
        signed_ms: 0,
        paid_by: None,
    };
    record.attempts.push(attempt(1));
    let before = record.budget(&none);
    let (gas_used, gas_price) = (GAS, 7 * GWEI);
    let block = World::new(1).head().id;
    let receipt =
        Receipt { hash: keccak256([0]), block, success: false, gas_used, gas_price, created: None };
    record.write_off(&receipt, 1);
    assert_eq!(before - record.budget(&none), u128::from(GAS) * 7 * GWEI);
    record.write_off(&receipt, 1);
    assert_eq!(
        before - record.budget(&none),
        u128::from(GAS) * 7 * GWEI,
        "once, however often seen"
    );
    let costly = Receipt { gas_price: u128::MAX, ..receipt };
    record.attempts.push(attempt(2));
    record.past.clear();
    record.write_off(&costly, 1);
    assert_eq!(record.budget(&none), 0);
}

#[test]
fn a_gap_before_a_waiting_transaction_is_filled() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    let mut record = core.records().next().unwrap().clone();
    world.round(&mut core, false, &mut BTreeMap::new());
    // The same, stored with a nonce that two lost transactions come before.
    let sent = core.records().next().unwrap().attempts[0];
    world.pool.clear();
    let waiting = Attempt { nonce: sent.nonce + 2, ..sent };
    let hash = Tx::read(&record.transaction(ACCOUNT, &waiting)).hash();
    world.known_hashes.insert(hash);
    record.attempts = vec![Attempt { hash, ..waiting }];
    record.stage = Stage::InFlight;
    let mut core = Core::new(ACCOUNT, PATIENCE);
    core.add(record);
    calm(&mut world, &mut core, 12);
    assert!(world.done(1), "{:?}", world.pool);
    assert_eq!((world.nonce(), core.len()), (3, 0));
}

/// Once it ended as beaten: the failed attempt was forgotten, and when a reorganisation made it a success nobody knew it.
#[test]
fn what_an_earlier_attempt_did_after_a_reorganisation_is_recognised() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.mine(Some(1));
    assert!(!world.find_done(1), "it failed, because somebody else came first");
    world.round(&mut core, false, &mut BTreeMap::new());
    assert!(core.records().all(|record| record.attempts.is_empty()), "and is accounted for");
    world.take_back();
    world.mine(None);
    assert!(world.find_done(1), "nobody came first");
    let outcomes = calm(&mut world, &mut core, 8);
    assert!(matches!(outcomes.values().next(), Some(Outcome::Finalized { .. })), "{outcomes:?}");
}
