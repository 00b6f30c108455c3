use super::*;

#[test]
fn another_proposal_at_an_outstanding_nonce_is_answered_with_what_is_outstanding() {
    let mut both = Both::open();
    let pair = both.pair.clone();
    let before = *both.participant.record();
    let proposal = both.propose(pay(1));
    both.answer(proposal, 0).unwrap();
    // The participant lost its disk and proposes something else.
    let mut both = Both::from(&pair, before, *both.counterparty.record());
    let other = both.propose(pay(2));
    let answer = sent(both.answer(other, 0).unwrap());
    assert!(matches!(answer, Message::Outstanding(..)));
    // It knows its own old proposal by its signature, and finishes it.
    let state = sent(both.take(answer, 0).unwrap());
    let Message::Final(state) = &state else { panic!("{state:?}") };
    assert_eq!(state.state.balance, amount(Pair::SIDE - 1));
}

#[test]
fn a_proposal_and_an_acknowledgement_that_are_forgotten_are_made_up_for() {
    let mut both = Both::open();
    let before = both.participant.record().to_bytes();
    let first = both.propose(pay(1));
    let restart = |both: &mut Both, bytes: &[u8]| {
        let record = Record::from_bytes(bytes, Role::Participant, &both.pair.channel).unwrap();
        *both = Both::from(&both.pair.clone(), record, *both.counterparty.record());
    };
    restart(&mut both, &before);
    assert_eq!(*both.participant.record().pending(), Pending::None);
    // The counterparty signed the first one meanwhile: it is what the second one gets.
    both.answer(first, 0).unwrap();
    let second = both.propose(pay(2));
    let outstanding = sent(both.answer(second, 0).unwrap());
    let state = both.take(outstanding, 0).unwrap();
    let unconfirmed = both.participant.record().to_bytes();
    let ack = sent(both.answer(sent(state), 0).unwrap());
    assert_eq!(both.take(ack, 0), Ok(vec![]));
    restart(&mut both, &unconfirmed);
    let again = sent(both.participant.handle(Event::Tick, 1_000, &HEDGE).unwrap());
    let ack = sent(both.answer(again, 0).unwrap());
    both.take(ack, 0).unwrap();
    let (one, two) = (both.participant.record(), both.counterparty.record());
    assert_eq!((one.latest(), one.pending()), (two.latest(), &Pending::None));
    assert_eq!((one.base().nonce, one.base().balance), (nonce(2), amount(Pair::SIDE - 1)));
}

#[test]
fn a_participant_that_lost_its_disk_gets_the_newest_state_from_the_counterparty() {
    let mut both = Both::open();
    let old = *both.participant.record();
    both.run(pay(5));
    let mut both = Both::from(&both.pair.clone(), old, *both.counterparty.record());
    let proposal = both.propose(pay(6));
    let answer = sent(both.answer(proposal, 0).unwrap());
    both.take(answer, 0).unwrap();
    assert_eq!(both.participant.record().base(), both.counterparty.record().base());
    both.run(pay(7));
    assert_eq!(both.participant.record().base().balance, amount(Pair::SIDE - 12));
}

fn messages(effects: Vec<Effect>) -> Vec<Message> {
    let messages = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send(message) => Some(message),
        _ => None,
    });
    messages.collect()
}

impl Both {
    /// The counterparty went on to nonce 3 and holds a partial with nonce 4; the participant is back at `old`.
    fn forgotten(old: impl FnOnce(&mut Self) -> Record) -> Self {
        let mut both = Self::open();
        let old = old(&mut both);
        let (pair, two) = (both.pair.clone(), *both.counterparty.record());
        let open = *both.participant.record();
        let mut both = Self::from(&pair, open, two);
        both.run(pay(10));
        both.run(pay(20));
        let proposal = both.propose(pay(30));
        both.answer(proposal, 0).unwrap();
        Self::from(&pair, old, *both.counterparty.record())
    }

    /// Both are at nonce 4, with nothing under way.
    fn assert_converged(&self) {
        let (one, two) = (self.participant.record(), self.counterparty.record());
        assert_eq!(one, &Record { role: Role::Participant, ..*two });
        assert_eq!(one.pending(), &Pending::None);
        assert_eq!((one.base().nonce, one.base().balance), (nonce(4), amount(Pair::SIDE - 60)));
    }
}

#[test]
fn a_participant_that_forgot_several_states_gets_the_newest_one_before_what_is_outstanding() {
    let mut both = Both::forgotten(|both| *both.participant.record());
    let proposal = both.propose(pay(7));
    let answers = messages(both.answer(proposal, 0).unwrap());
    let [Message::Final(latest), Message::Outstanding(old, partial)] = answers.as_slice() else {
        panic!("{answers:?}")
    };
    let outstanding = Message::Outstanding(old.clone(), partial.clone());
    assert!(both.take(outstanding.clone(), 0).is_err(), "what it follows is not known yet");
    let mut forged = **latest;
    forged.state.balance = amount(Pair::SIDE);
    let refused = both.take(Message::Final(Box::new(forged)), 0);
    assert!(matches!(refused, Err(Refusal::Verify(_))), "{refused:?}");
    both.take(Message::Final(latest.clone()), 0).unwrap();
    assert_eq!(both.participant.record().latest(), both.counterparty.record().latest());
    let state = sent(both.take(outstanding, 0).unwrap());
    let ack = sent(both.answer(state, 0).unwrap());
    both.take(ack, 0).unwrap();
    both.assert_converged();
}

#[test]
fn a_participant_that_is_back_at_a_state_never_acknowledged_is_shown_the_newest() {
    let mut both = Both::forgotten(|both| {
        let mut record = *both.participant.record();
        record.pending = Pending::Unconfirmed;
        record
    });
    let again = both.participant.handle(Event::Tick, 1_000, &HEDGE).unwrap();
    let answers = messages(both.answer(sent(again), 0).unwrap());
    assert!(matches!(answers[..], [Message::Final(_), Message::Outstanding(..)]), "{answers:?}");
    both.take(answers[0].clone(), 0).unwrap();
    let state = sent(both.take(answers[1].clone(), 0).unwrap());
    let ack = sent(both.answer(state, 0).unwrap());
    both.take(ack, 0).unwrap();
    both.assert_converged();
}

#[test]
fn a_counterparty_that_asks_again_shows_the_proposal_too_for_it_may_be_forgotten() {
    let mut both = Both::open();
    let old = *both.participant.record();
    let proposal = both.propose(pay(60));
    both.answer(proposal, 0).unwrap();
    // The participant has nothing to say by itself.
    let mut both = Both::from(&both.pair.clone(), old, *both.counterparty.record());
    let again = sent(both.counterparty.handle(Event::Tick, 1_000, &HEDGE).unwrap());
    let state = sent(both.take(again, 0).unwrap());
    let ack = sent(both.answer(state, 0).unwrap());
    both.take(ack, 0).unwrap();
    assert_eq!(both.participant.record().latest(), both.counterparty.record().latest());
    assert_eq!(both.counterparty.record().base().balance, amount(Pair::SIDE - 60));
}

#[test]
fn a_stopped_counterparty_answers_no_state_of_the_past() {
    let mut both = Both::forgotten(|both| *both.participant.record());
    let past = both.participant.record().latest().unwrap().unverified();
    both.counterparty.handle(Event::Stop, 0, &HEDGE).unwrap();
    both.counterparty.handle(Event::Persisted(1), 0, &HEDGE).unwrap();
    let refused = both.answer(Message::Final(Box::new(past)), 0);
    assert_eq!(refused, Err(Refusal::Stopped));
}

/// Many worlds whose participant comes back, again and again, with any record that it ever had.
#[test]
fn a_participant_restored_from_any_older_record_signs_no_second_state_and_converges() {
    let mut finalized = 0;
    for seed in 100..140 {
        let mut dice = Dice::new(seed ^ 0xfa17);
        let faults = Faults { lose: dice.below(30), repeat: dice.below(30), crash: dice.below(8) };
        let mut world = World::new(seed, faults);
        for _ in 0..1 + dice.below(4) {
            for _ in 0..200 {
                world.step(true);
            }
            world.roll_back();
        }
        world.calm_down();
        finalized += world.finalized();
    }
    assert!(finalized > 150, "only {finalized} states: the worlds are too bad to show anything");
}
