//! Random schedules of reorganisations, drops, fee spikes, outside spends, lying nodes and crashes.

use std::collections::BTreeMap;

use alloy_primitives::{U256, keccak256};
use proptest::prelude::*;
use rand::Rng as _;

use super::{
    model::{BLOCK_S, GAS, GWEI, World},
    obligation,
};
use crate::submitter::record::{Obligation, ObligationId, Outcome, Record};

/// Some obligations with tight budgets, some of them with a deadline, some of which the contract would do twice.
fn some(world: &mut World, obligations: u8) {
    for what in 0..obligations {
        let repeat_safe = world.random.gen_bool(0.5);
        if !repeat_safe {
            world.twice.insert(what);
        }
        let deadline = world
            .random
            .gen_bool(0.4)
            .then(|| world.head().timestamp + world.random.gen_range(5..400) * BLOCK_S);
        let per_gas = world.random.gen_range(25..150) * GWEI;
        let max_cost = U256::from(GAS + GAS / 2) * U256::from(per_gas);
        let record =
            Record::new(Obligation { deadline, max_cost, ..obligation(what, repeat_safe) });
        world.persist(&record);
    }
}

/// Random trouble, then calm until all have ended; and what must be true then.
fn run(seed: u64) {
    let mut world = World::new(seed);
    let obligations = world.random.gen_range(1..8);
    // Not by chance: known seeds keep their schedules.
    world.forgets = seed.is_multiple_of(4);
    some(&mut world, obligations);
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
        check(&world, what, seed);
    }
}

fn check(world: &World, what: u8, seed: u64) {
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
        Outcome::Expired => {
            assert_eq!(ours, 0, "seed {seed}: gave up what it had done itself");
            let deadline = stored.obligation.deadline.unwrap();
            assert!(world.head().timestamp >= deadline, "seed {seed}: gave up early");
        }
        other => panic!("seed {seed}: {other:?}"),
    }
    let paid = world.paid(id);
    assert!(paid <= stored.obligation.max_cost, "seed {seed}: paid more than it may cost");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_obligation_is_never_lost_never_done_twice_and_never_overpaid_whatever_happens(
        seed in any::<u64>(),
    ) {
        run(seed);
    }

    /// Cheap ones fill the pool, then fees rise beyond what they may cost, then an urgent one comes: it is done in time.
    #[test]
    fn an_urgent_one_is_done_in_time_whatever_is_stuck_before_it(
        seed in any::<u64>(), cheap in 0_u8..20, spike in 30_u128..80, blocks in 8_u64..60,
    ) {
        urgent_behind_cheap(seed, cheap, spike * GWEI, blocks);
    }
}

fn urgent_behind_cheap(seed: u64, cheap: u8, spike: u128, blocks: u64) {
    let mut world = World::new(seed);
    for what in 0..cheap {
        let max_cost = U256::from(GAS) * U256::from(28 * GWEI);
        world.persist(&Record::new(Obligation { max_cost, ..obligation(what, true) }));
    }
    let mut core = world.restart();
    let mut outcomes = BTreeMap::new();
    world.round(&mut core, false, &mut outcomes);
    world.base_fee = spike;
    let deadline = world.head().timestamp + blocks * BLOCK_S;
    let urgent = Obligation {
        deadline: Some(deadline),
        max_cost: U256::from(GAS) * U256::from(400 * GWEI),
        ..obligation(200, true)
    };
    let record = Record::new(urgent.clone());
    world.persist(&record);
    core.add(record);
    while world.head().timestamp + BLOCK_S < deadline {
        // The node drops something, says nothing, or the machine stops.
        if world.random.gen_bool(0.1) {
            let nonces: Vec<u64> = world.pool.keys().copied().collect();
            let one = world.random.gen_range(0..nonces.len().max(1));
            nonces.get(one).map(|nonce| world.pool.remove(nonce));
        }
        if world.random.gen_bool(0.1) {
            core = world.restart();
        }
        world.round(&mut core, false, &mut outcomes);
        world.mine(None);
        world.now_ms += BLOCK_S * 1_000;
    }
    assert!(world.find_done(200), "seed {seed}: {:?}", world.pool);
    let paid = world.paid(urgent.id);
    assert!(paid <= urgent.max_cost, "seed {seed}: {paid}");
    let cheapest = U256::from(GAS) * U256::from(28 * GWEI);
    for what in 0..cheap {
        assert!(world.paid(ObligationId(keccak256([what]))) <= cheapest, "seed {seed}");
    }
}

/// Once ended as beaten by its own success: an old refusal and an old loss of the nonce stood, from before a reorganisation.
#[test]
fn an_old_refusal_ends_nothing_that_a_newer_transaction_of_ours_did() {
    run(17_631_027_124_770_033_907);
}

/// The same schedule, stopped at the first write, the second, and so on: always the same end.
#[test]
fn a_crash_at_each_write_changes_nothing_about_the_end() {
    for writes in 0..60 {
        let mut world = World::new(7);
        for what in 0..4 {
            let deadline = (what == 3).then(|| world.head().timestamp + 30 * BLOCK_S);
            let gwei = if what == 3 { 400 } else { 26 };
            let max_cost = U256::from(GAS) * U256::from(gwei * GWEI);
            world.persist(&Record::new(Obligation {
                deadline,
                max_cost,
                ..obligation(what, true)
            }));
        }
        let mut core = world.restart();
        let mut outcomes = BTreeMap::new();
        world.writes = Some(writes);
        for block in 0..60 {
            // Fees rise beyond the cheap ones and fall again; a reorganisation takes two blocks back.
            world.base_fee = if (2..20).contains(&block) { 60 * GWEI } else { 8 * GWEI };
            if block == 12 {
                world.take_back();
                world.take_back();
            }
            if !world.round(&mut core, false, &mut outcomes) {
                core = world.restart();
            }
            world.mine(None);
            world.now_ms += BLOCK_S * 1_000;
        }
        assert_eq!(core.len(), 0, "write {writes}: {:?}", core.records().collect::<Vec<_>>());
        for what in 0..4 {
            check(&world, what, writes as u64);
            assert!(world.find_done(what), "write {writes}: {what}");
        }
    }
}
