use super::*;

fn consented(both: &Both, at: u64) -> State {
    let base = *both.participant.record().base();
    State { nonce: nonce(at), balance: amount(1), version: version(2), ..base }
}

#[test]
fn a_consent_goes_past_what_was_merely_proposed() {
    let mut both = Both::open();
    let proposed = both.propose(pay(2_000));
    let state = consented(&both, 2);
    let effects = both.participant.handle(Event::Consented(state), 1, &HEDGE).unwrap();
    let [Effect::Persist { number, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let _sent = both.participant.handle(Event::Persisted(*number), 1, &HEDGE).unwrap();
    let record = *both.participant.record();
    assert_eq!((record.base(), record.pending()), (&state, &Pending::None));
    // The counterparty signed the proposal all the same: nothing more comes of it.
    let answers = both.answer(proposed, 2).unwrap();
    let [Effect::Send(partial)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(both.take(partial.clone(), 3).is_err());
    assert_eq!(both.participant.record(), &record);
    assert!(both.participant.handle(Event::Tick, 1_000_000, &HEDGE).unwrap().is_empty());
}

#[test]
fn no_consent_goes_past_a_state_that_was_signed() {
    let mut both = Both::open();
    let proposal = both.propose(pay(2_000));
    let _partial = both.answer(proposal, 1).unwrap();
    let state = consented(&both, 2);
    assert_eq!(both.counterparty.handle(Event::Consented(state), 1, &HEDGE), Err(Refusal::Busy));
}
