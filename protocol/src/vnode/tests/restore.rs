use super::{
    coverage::{address, receipt},
    *,
};
use crate::{
    backup::UnverifiedEnvelope,
    vnode::restore::{Answer, Effect, Event, Outcome, Restore, RestoreConfig, Source},
};

fn restore() -> Restore {
    let pair = Pair::new(1);
    let config = RestoreConfig { quorum: 2, counterparty_timeout: 10_000, ask_every: 1_000 };
    let (restore, effects) = Restore::new(config, pair.channel, pair.dispute_key, 0);
    assert_eq!(effects, [Effect::Ask(Source::Counterparty)]);
    restore
}

fn sealed(at: u64) -> crate::backup::Envelope {
    let pair = Pair::new(1);
    pair.seal(Role::Participant, &pair.final_state(at, 1_000 * u128::from(at)))
}

fn holds(at: u64) -> Answer {
    let envelope = UnverifiedEnvelope::from_bytes(&sealed(at).to_bytes()).unwrap();
    Answer { envelopes: vec![envelope], ..Answer::default() }
}

fn found(restore: &mut Restore, at: u64, by_counterparty: bool) {
    let _asked = restore.handle(Event::Found { tower: address(at), by_counterparty }, 0);
}

fn answer(restore: &mut Restore, source: Source, answer: Answer, now: u64) -> Option<Outcome> {
    let effects = restore.handle(Event::Answer(source, Box::new(answer)), now);
    match effects.into_iter().next() {
        Some(Effect::Done(outcome)) => Some(*outcome),
        _ => None,
    }
}

fn from(at: u64) -> Source {
    Source::Tower(address(at))
}

fn newest(outcome: &Outcome) -> Option<crate::Nonce> {
    outcome.state.map(|state| state.state().nonce)
}

#[test]
fn the_greatest_doubly_signed_nonce_of_all_answers_wins() {
    let mut restore = restore();
    (1..4).for_each(|at| found(&mut restore, at, false));
    assert_eq!(answer(&mut restore, from(1), holds(3), 1), None);
    assert_eq!(answer(&mut restore, from(2), holds(7), 2), None, "the counterparty is waited for");
    let outcome = answer(&mut restore, Source::Counterparty, holds(5), 3).unwrap();
    assert_eq!(newest(&outcome), Some(nonce(7)));
    assert!(outcome.counterparty_answered && outcome.evidence.is_empty());
    assert!(restore.handle(Event::Tick, 9).is_empty());
}

#[test]
fn towers_that_the_counterparty_named_do_not_make_the_quorum() {
    let mut restore = restore();
    found(&mut restore, 1, true);
    found(&mut restore, 2, true);
    found(&mut restore, 2, false);
    found(&mut restore, 3, false);
    assert_eq!(answer(&mut restore, Source::Counterparty, holds(2), 1), None);
    for at in 1..4 {
        assert_eq!(answer(&mut restore, from(at), holds(2), 2), None);
    }
    assert!(!restore.handle(Event::Tick, 1_000_000).iter().any(|e| matches!(e, Effect::Done(_))));
    found(&mut restore, 4, false);
    let outcome = answer(&mut restore, from(4), holds(9), 3).unwrap();
    assert_eq!(newest(&outcome), Some(nonce(9)));
}

#[test]
fn a_silent_counterparty_is_waited_for_and_then_done_without() {
    let mut restore = restore();
    (1..3).for_each(|at| found(&mut restore, at, false));
    (1..3).for_each(|at| assert_eq!(answer(&mut restore, from(at), holds(4), 1), None));
    assert_eq!(restore.handle(Event::Tick, 9_999), [Effect::Ask(Source::Counterparty)]);
    let effects = restore.handle(Event::Tick, 10_000);
    let [Effect::Done(outcome)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(!outcome.counterparty_answered);
}

#[test]
fn a_tower_that_serves_less_than_it_receipted_is_named() {
    let mut restore = restore();
    (1..4).for_each(|at| found(&mut restore, at, false));
    assert_eq!(answer(&mut restore, from(1), holds(3), 1), None);
    assert_eq!(answer(&mut restore, from(2), holds(8), 1), None);
    assert_eq!(answer(&mut restore, from(3), Answer::default(), 1), None);
    let receipts = (1..4).map(|at| *receipt(&sealed(8), at, 99)).collect();
    let last = Answer { receipts, ..holds(3) };
    let outcome = answer(&mut restore, Source::Counterparty, last, 2).unwrap();
    let named: Vec<_> = outcome.evidence.iter().map(|e| (e.receipt.tower, e.served)).collect();
    let mut expected = vec![(address(1), Some(nonce(3))), (address(3), None)];
    expected.sort();
    assert_eq!(named, expected);
    assert_eq!(newest(&outcome), Some(nonce(8)));
}

#[test]
fn lies_are_passed_over_and_strangers_not_heard() {
    let mut restore = restore();
    (1..3).for_each(|at| found(&mut restore, at, false));
    let other = Pair::new(2);
    let foreign = other.seal(Role::Participant, &other.final_state(99, 1));
    let foreign = UnverifiedEnvelope::from_bytes(&foreign.to_bytes()).unwrap();
    let mut forged = Pair::new(1).final_state(98, 5).unverified();
    forged.state.balance = amount(6);
    let lie = Answer { envelopes: vec![foreign], state: Some(Box::new(forged)), receipts: vec![] };
    assert_eq!(answer(&mut restore, from(9), holds(50), 1), None);
    assert_eq!(answer(&mut restore, from(1), lie, 1), None);
    assert_eq!(answer(&mut restore, from(2), holds(4), 1), None);
    let shown = Answer {
        state: Some(Box::new(Pair::new(1).final_state(6, 7).unverified())),
        ..Answer::default()
    };
    let outcome = answer(&mut restore, Source::Counterparty, shown, 2).unwrap();
    assert_eq!(newest(&outcome), Some(nonce(6)));
}
