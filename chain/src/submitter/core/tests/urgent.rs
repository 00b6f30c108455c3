//! What is urgent does not wait for what is cheap, is not called off by one odd answer, and is not sent too late.

use alloy_primitives::U256;

use super::*;
use crate::refusal::RefusalKind;

/// An obligation that may bid `gwei` per gas, due in `blocks` blocks.
fn priced(what: u8, gwei: u128, due: Option<u64>) -> Obligation {
    let max_cost = U256::from(GAS) * U256::from(gwei * GWEI) * U256::from(115) / U256::from(100);
    Obligation { deadline: due, max_cost, ..obligation(what, true) }
}

fn due(world: &World, blocks: u64) -> Option<u64> {
    Some(world.head().timestamp + blocks * BLOCK_S)
}

#[test]
fn an_urgent_one_that_comes_after_a_stuck_cheap_one_cancels_it_and_is_mined_in_the_next_block() {
    let mut world = World::new(1);
    let mut core = core_with(priced(1, 25, None));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.base_fee = 40 * GWEI;
    let urgent = priced(2, 400, due(&world, 20));
    core.add(Record::new(urgent.clone()));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.mine(None);
    assert!(world.find_done(2), "{:?}", world.pool);
    assert!(!world.find_done(1), "the cheap one made way");
    let cheap = core.records().find(|record| record.obligation.id != urgent.id).unwrap();
    assert_eq!(cheap.spent, U256::ZERO, "and paid nothing for it");
    world.base_fee = 5 * GWEI;
    let outcomes = calm(&mut world, &mut core, 10);
    assert!(world.find_done(1), "it is done once it can pay");
    assert!(outcomes.values().all(|outcome| matches!(outcome, Outcome::Finalized { .. })));
    let stored: Record = serde_json::from_str(&world.persisted[&urgent.id]).unwrap();
    assert!(stored.spent > U256::ZERO && stored.spent < urgent.max_cost / U256::from(50));
}

#[test]
fn an_urgent_one_already_behind_a_cheap_one_cancels_it_when_fees_rise() {
    let mut world = World::new(1);
    let mut core = core_of([priced(1, 25, None)]);
    world.round(&mut core, false, &mut BTreeMap::new());
    let urgent = priced(2, 400, due(&world, 30));
    core.add(Record::new(urgent));
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool.len(), 2);
    world.base_fee = 45 * GWEI;
    calm(&mut world, &mut core, 4);
    assert!(world.find_done(2) && !world.find_done(1), "{:?}", world.pool);
}

#[test]
fn sixteen_stuck_cheap_ones_do_not_keep_an_urgent_one_out() {
    let mut world = World::new(1);
    let mut core = core_of((0..20).map(|what| priced(what, 25, None)));
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool.len(), IN_FLIGHT_MAX - IN_FLIGHT_URGENT, "some places stay free");
    world.base_fee = 45 * GWEI;
    let deadline = due(&world, 12);
    for what in 100..108 {
        core.add(Record::new(priced(what, 400, deadline)));
    }
    calm(&mut world, &mut core, 6);
    for what in 100..108 {
        assert!(world.find_done(what), "{what}: {:?}", world.pool);
    }
}

#[test]
fn sixteen_that_are_mined_and_not_final_do_not_hold_up_the_next() {
    let mut world = World::new(1);
    let mut core = core_of((0..40).map(|what| priced(what, 400, None)));
    calm(&mut world, &mut core, 4);
    assert_eq!(world.nonce(), 40, "nothing is final, and all are mined");
}

#[test]
fn one_odd_answer_cancels_nothing_and_two_do() {
    let mut world = World::new(1);
    let mut core = core_with(priced(1, 400, due(&world, 100)));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.base_fee = 60 * GWEI;
    world.lies.insert(1, RefusalKind::Other);
    world.round(&mut core, false, &mut BTreeMap::new());
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, Some(1), "the same block, however often it is asked");
    world.mine(None);
    world.now_ms += BLOCK_S * 1_000;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, None, "the next block says the same");
}

#[test]
fn a_refusal_that_only_time_could_make_is_believed_at_once() {
    let mut world = World::new(1);
    let mut core = core_with(priced(1, 400, due(&world, 100)));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.lies.insert(1, RefusalKind::Late);
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, None);
}

#[test]
fn with_less_than_one_block_left_nothing_is_sent_and_nothing_is_paid() {
    let mut world = World::new(1);
    let deadline = world.head().timestamp + BLOCK_S;
    let mut core = core_with(priced(1, 400, Some(deadline)));
    let outcomes = calm(&mut world, &mut core, 8);
    assert_eq!(outcomes.into_values().collect::<Vec<_>>(), [Outcome::Expired]);
    assert_eq!((world.nonce(), world.sent.len()), (0, 0));
}

#[test]
fn shortly_before_a_block_it_is_too_late_for_that_block() {
    let mut world = World::new(1);
    // The next block could hold it; it is ten seconds old, and a transaction takes four.
    let deadline = world.head().timestamp + 2 * BLOCK_S;
    let mut core = core_of([]);
    world.round(&mut core, false, &mut BTreeMap::new());
    core.add(Record::new(priced(1, 400, Some(deadline))));
    world.now_ms += 10_000;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert!(world.sent.is_empty());
    world.mine(None);
    world.round(&mut core, false, &mut BTreeMap::new());
    assert!(world.sent.is_empty(), "and the one after is at the deadline");
}

#[test]
fn what_is_in_flight_is_called_back_when_no_block_can_hold_it_and_not_earlier() {
    let mut world = World::new(1);
    let deadline = world.head().timestamp + 3 * BLOCK_S;
    let mut core = core_with(priced(1, 90, Some(deadline)));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.base_fee = 95 * GWEI;
    world.mine(None);
    world.now_ms += BLOCK_S * 1_000;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, Some(1), "the next block could still hold it");
    world.now_ms += 11_000;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, Some(1), "also just before that block");
    world.mine(None);
    world.base_fee = 5 * GWEI;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, None);
    calm(&mut world, &mut core, 2);
    assert!(!world.done(1));
}

/// Once it bid all that the obligation may cost for giving a nonce back.
#[test]
fn calling_back_after_the_deadline_costs_no_more_than_the_market_and_one_raise() {
    let mut world = World::new(1);
    let deadline = world.head().timestamp + 3 * BLOCK_S;
    let id = priced(1, 400, Some(deadline)).id;
    let mut core = core_with(priced(1, 400, Some(deadline)));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.base_fee = 10_000 * GWEI;
    calm(&mut world, &mut core, 4);
    world.base_fee = 5 * GWEI;
    calm(&mut world, &mut core, 8);
    assert!(world.paid(id) <= U256::from(21_000) * U256::from(600 * GWEI), "{}", world.paid(id));
}

#[test]
fn what_the_pool_may_cost_is_counted_and_the_less_pressing_one_makes_room() {
    let mut world = World::new(1);
    let mut core = core_with(priced(1, 25, None));
    world.round(&mut core, false, &mut BTreeMap::new());
    let first = world.pool[&0].fees.max_fee;
    // Enough for one of them beside the other's leftovers, not for both.
    let balance = U256::from(GAS) * U256::from(first) * U256::from(3) / U256::from(2);
    world.balance = balance;
    world.base_fee = 12 * GWEI;
    core.add(Record::new(priced(2, 400, due(&world, 40))));
    for _ in 0..4 {
        world.round(&mut core, false, &mut BTreeMap::new());
        world.now_ms += 1_000;
    }
    let waiting: Vec<_> = world.pool.values().map(|tx| tx.does).collect();
    assert_eq!(waiting, [None, Some(2)]);
}

#[test]
fn private_first_and_public_once_half_of_the_time_is_gone() {
    let mut world = World::new(1);
    let patience = Patience { private_percent: 50, ..PATIENCE };
    let mut core = Core::new(ACCOUNT, patience);
    core.add(Record::new(priced(1, 400, due(&world, 40))));
    core.add(Record::new(priced(2, 400, None)));
    world.base_fee = 10_000 * GWEI;
    world.market_base = Some(10 * GWEI);
    for block in 0..30 {
        world.sent.clear();
        world.round(&mut core, false, &mut BTreeMap::new());
        for (tx, route) in &world.sent {
            let private = tx.does == Some(1) && block < 20;
            assert_eq!(*route == Route::Private, private, "block {block}: {tx:?}");
        }
        assert!(block != 20 || world.sent.iter().any(|(tx, _)| tx.does == Some(1)), "at once");
        world.mine(None);
        world.now_ms += BLOCK_S * 1_000;
    }
}
