//! The key used elsewhere: told by type, once, and survived.

use super::*;
use crate::submitter::message::ForeignSpend;

#[test]
fn a_mined_transaction_that_is_none_of_ours_is_told_also_when_there_is_nothing_to_do() {
    let mut world = World::new(1);
    let mut core = core_of([]);
    world.round(&mut core, false, &mut BTreeMap::new());
    world.stranger();
    world.mine(None);
    for _ in 0..3 {
        world.round(&mut core, false, &mut BTreeMap::new());
    }
    assert_eq!(world.foreign, [ForeignSpend { nonce: 0, mined: true }]);
}

#[test]
fn one_that_waits_in_the_pool_is_told_at_the_second_look() {
    let mut world = World::new(1);
    let mut core = core_of([]);
    world.base_fee = 10_000 * GWEI;
    world.stranger();
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.foreign, []);
    for _ in 0..3 {
        world.round(&mut core, false, &mut BTreeMap::new());
    }
    assert_eq!(world.foreign, [ForeignSpend { nonce: 0, mined: false }]);
}

#[test]
fn one_that_takes_the_nonce_of_an_obligation_is_told_and_the_obligation_is_done_with_another() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.stranger();
    calm(&mut world, &mut core, 8);
    assert_eq!(world.foreign, [ForeignSpend { nonce: 0, mined: true }]);
    assert!(world.find_done(1));
}

#[test]
fn our_own_transactions_are_no_strangers_whatever_becomes_of_them() {
    let mut world = World::new(1);
    let mut core = core_of((0..6).map(|what| obligation(what, true)));
    for block in 0..20 {
        world.round(&mut core, false, &mut BTreeMap::new());
        if block == 7 {
            core = world.restart();
        }
        if block % 5 == 3 {
            world.take_back();
        }
        world.mine((block == 2).then_some(4));
        world.now_ms += BLOCK_S * 1_000;
    }
    assert_eq!(world.foreign, []);
}
