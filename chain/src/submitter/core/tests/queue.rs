//! A mass exit: more obligations than fit, in the order of deadline and value.

use alloy_primitives::{U256, keccak256};

use super::*;
use crate::submitter::record::RANK_SLOT_S;

fn exit(number: u64, deadline: u64, stake: u64) -> Obligation {
    let what = u8::try_from(number % 200).unwrap();
    Obligation {
        id: ObligationId(keccak256(number.to_be_bytes())),
        deadline: Some(deadline),
        max_cost: U256::from(GAS) * U256::from(400 * GWEI) + U256::from(stake),
        ..obligation(what, true)
    }
}

#[test]
fn the_nearest_deadline_goes_first_and_then_the_most_at_stake() {
    let slot = 7 * RANK_SLOT_S;
    let order =
        [exit(1, slot - 1, 0), exit(2, slot + 500, 9), exit(3, slot, 1), exit(4, slot + 1, 1)];
    let ranks: Vec<_> = order.into_iter().map(|one| Record::new(one).rank()).collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
    assert!(Record::new(obligation(1, true)).rank() > ranks[3], "what has no deadline comes last");
}

#[test]
fn a_more_urgent_one_displaces_the_least_urgent_of_which_nothing_was_sent() {
    let mut world = World::new(1);
    let start = world.head().timestamp;
    let mut core = core_of((0..20).map(|n| exit(n, start + 20_000 + n * RANK_SLOT_S, 0)));
    world.round(&mut core, false, &mut BTreeMap::new());
    let urgent = Record::new(exit(100, start + 1_000, 0));
    assert_eq!(core.displace(urgent.rank()), Some(exit(19, 0, 0).id));
    let late = Record::new(exit(101, start + 900_000, 0));
    assert_eq!(core.displace(late.rank()), None);
    while let Some(gone) = core.displace(urgent.rank()) {
        assert!(!world.sent.iter().any(|(tx, _)| tx.does == Some(0)) || gone != exit(0, 0, 0).id);
    }
    assert_eq!(core.len(), IN_FLIGHT_MAX - IN_FLIGHT_URGENT, "what was sent stays");
}

#[test]
fn only_as_many_as_could_be_sent_are_asked_about_in_a_round() {
    let mut world = World::new(1);
    let start = world.head().timestamp;
    let mut core = core_of((0..500).map(|n| exit(n, start + 90_000, 500 - n)));
    let asked = |effects: Vec<Effect>| {
        effects.iter().filter(|effect| matches!(effect, Effect::Simulate { .. })).count()
    };
    assert_eq!(asked(core.handle(Event::Round(Box::new(world.view())))), IN_FLIGHT_MAX);
    // None of them has a verdict that lets it be sent; the others get their turn all the same.
    world.lies.extend((0..100).map(|what| (what, RefusalKind::Other)));
    let mut looked = 0;
    for _ in 0..30 {
        world.round(&mut core, false, &mut BTreeMap::new());
        world.mine(None);
        world.now_ms += BLOCK_S * 1_000;
        looked = world.sent.len();
    }
    assert!(looked > 60, "only {looked} were sent");
}
