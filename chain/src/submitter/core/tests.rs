//! The submitter against a chain, a pool and a store that go wrong at random.

mod model;

use std::collections::BTreeMap;

use alloy_primitives::{Bytes, U256, keccak256};
use proptest::prelude::*;
use rand::Rng as _;

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

/// Some obligations through random trouble, then through calm until all have ended.
fn run(seed: u64) {
    let mut world = World::new(seed);
    let obligations = world.random.gen_range(1..5);
    for what in 0..obligations {
        let repeat_safe = world.random.gen_bool(0.5);
        if !repeat_safe {
            world.twice.insert(what);
        }
        let record = Record::new(obligation(what, repeat_safe));
        let text = serde_json::to_string(&record).unwrap();
        world.persisted.insert(record.obligation.id, text);
    }
    let mut core = world.restart();
    let mut outcomes = BTreeMap::new();
    for look in 0..600 {
        let trouble = look < 300;
        if trouble {
            world.trouble(obligations);
        } else {
            world.base_fee = 5 * GWEI;
            world.mine(None);
            world.now_ms += BLOCK_S * 1_000;
        }
        if !world.round(&mut core, trouble, &mut outcomes) {
            core = world.restart();
        }
    }
    assert_eq!(core.len(), 0, "seed {seed}: {:?}", core.records().collect::<Vec<_>>());
    for what in 0..obligations {
        let id = ObligationId(keccak256([what]));
        let stored: Record = serde_json::from_str(&world.persisted[&id]).unwrap();
        let ours =
            world.mined().filter(|(tx, receipt)| tx.does == Some(what) && receipt.success).count();
        match stored.outcome().unwrap() {
            Outcome::Finalized { receipt } => {
                assert_eq!(ours, 1, "seed {seed}");
                assert!(
                    world.find(&[receipt.hash]).is_some(),
                    "seed {seed}: final and not on the chain"
                );
            }
            Outcome::Refused { .. } => {
                assert!(!world.twice.contains(&what), "seed {seed}: nobody refused it");
                assert_eq!(ours, 0, "seed {seed}: gave up what it had done itself");
                assert!(world.done(what), "seed {seed}: gave up what nobody did");
            }
            other => panic!("seed {seed}: {other:?}"),
        }
        let paid: U256 = world
            .mined()
            .filter(|(tx, _)| tx.does == Some(what))
            .map(|(_, receipt)| U256::from(receipt.gas_used) * U256::from(receipt.gas_price))
            .sum();
        assert!(paid <= stored.obligation.max_cost, "seed {seed}: paid more than it may cost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_obligation_is_never_lost_and_never_done_twice_whatever_happens(seed in any::<u64>()) {
        run(seed);
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
    let before = record.budget();
    let (gas_used, gas_price) = (GAS, 7 * GWEI);
    let block = World::new(1).head().id;
    let receipt =
        Receipt { hash: keccak256([0]), block, success: false, gas_used, gas_price, created: None };
    record.write_off(&receipt);
    assert_eq!(before - record.budget(), u128::from(GAS) * 7 * GWEI);
    let costly = Receipt { gas_price: u128::MAX, ..receipt };
    record.write_off(&costly);
    assert_eq!(record.budget(), 0);
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
