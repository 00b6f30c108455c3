//! When a refusal ends an obligation, and when it must not.

use super::*;
use crate::{refusal::Refusal, submitter::core::giving_up::FINAL_UNKNOWN_MAX};

/// Ends within so many rounds, if at all.
fn ends(world: &mut World, core: &mut Core, rounds: usize) -> Option<Outcome> {
    calm(world, core, rounds).into_values().next()
}

#[test]
fn a_refusal_that_the_final_block_does_not_share_ends_nothing_however_long_it_stands() {
    for kind in [RefusalKind::Other, RefusalKind::Beaten, RefusalKind::Late] {
        let mut world = World::new(1);
        let mut core = core_with(obligation(1, true));
        // A node whose newest state is wrong, and whose final state is the chain's.
        world.lies.insert(1, kind);
        world.lies_about_now.insert(1);
        assert_eq!(ends(&mut world, &mut core, 60), None, "{kind:?}");
        assert!(world.sent.is_empty(), "nothing is sent against what the newest block says");
        world.lies.clear();
        let outcome = ends(&mut world, &mut core, 20);
        assert!(matches!(outcome, Some(Outcome::Finalized { .. })), "{kind:?}: {outcome:?}");
    }
}

#[test]
fn what_the_final_block_shares_ends_it_and_is_the_reason() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.lies.insert(1, RefusalKind::Other);
    let outcome = ends(&mut world, &mut core, 30);
    assert!(matches!(outcome, Some(Outcome::Refused { .. })), "{outcome:?}");

    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.mine(Some(1));
    let outcome = ends(&mut world, &mut core, FINAL_DEPTH + 2);
    assert!(outcome.is_some_and(|outcome| outcome.is_beaten()));
}

#[test]
fn what_was_beaten_a_moment_ago_waits_until_the_final_block_says_so() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.mine(Some(1));
    // Refused for another reason in the final block, where nothing is there to be beaten yet.
    let refused = |kind| Refusal { kind, text: "no".to_owned(), data: Bytes::new() };
    world.round(&mut core, false, &mut BTreeMap::new());
    let id = obligation(1, true).id;
    let early = Simulation::Refused(refused(RefusalKind::Other));
    assert_eq!(core.handle(Event::SimulatedFinal { id, simulation: early }), []);
    let beaten = Simulation::Refused(refused(RefusalKind::Beaten));
    assert_eq!(core.handle(Event::SimulatedFinal { id, simulation: beaten }).len(), 2);
    assert_eq!(core.len(), 0);
}

#[test]
fn a_node_that_keeps_no_old_state_leaves_the_decision_to_time() {
    let mut world = World::new(1);
    world.forgets = true;
    let mut core = core_with(obligation(1, true));
    world.mine(Some(1));
    assert_eq!(ends(&mut world, &mut core, FINAL_DEPTH + 1), None, "one silence is no answer");
    let rounds = usize::try_from(FINAL_UNKNOWN_MAX).unwrap() + 1;
    assert!(ends(&mut world, &mut core, rounds).is_some_and(|outcome| outcome.is_beaten()));
}
