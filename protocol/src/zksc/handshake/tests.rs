use super::{
    sim::{Dice, Faults, World},
    *,
};
use crate::{
    encoding::DecodeError,
    hash::Digest,
    testing::{HEDGE, Pair, amount, nonce, version},
    zksc::{Change, PaymentId, Salt, UnverifiedPartial},
};

fn update(change: Change) -> Transition {
    Transition { change, version: version(2), salt: Salt::new([9; 32]), content: Digest::default() }
}

fn pay(size: u128) -> Transition {
    update(Change::Debit(amount(size), PaymentId([7; 32])))
}

mod consent;
mod restore;

struct Both {
    pair: Pair,
    participant: Participant,
    counterparty: Counterparty,
}

impl Both {
    fn new() -> Self {
        let pair = Pair::new(1);
        let new = |role| Record::new(role, &pair.channel);
        Self::from(&pair, new(Role::Participant), new(Role::Counterparty))
    }

    fn from(pair: &Pair, one: Record, two: Record) -> Self {
        let (channel, ledger) = (pair.channel, &pair.ledger);
        let config = |role| Config::new(role, amount(1_000_000));
        let (signer, c) = (pair.participant.clone(), config(Role::Participant));
        let participant =
            Participant::resume(channel, signer, c, ledger.clone(), one, 0).unwrap().0;
        let (signer, c) = (pair.counterparty.clone(), config(Role::Counterparty));
        let counterparty =
            Counterparty::resume(channel, signer, c, ledger.clone(), two, 0).unwrap().0;
        Self { pair: pair.clone(), participant, counterparty }
    }

    /// The participant proposes; the message.
    fn propose(&mut self, transition: Transition) -> Message {
        let effects = self.participant.handle(Event::Update(transition), 0, &HEDGE).unwrap();
        let [Effect::Send(message)] = effects.as_slice() else { panic!("{effects:?}") };
        message.clone()
    }

    /// The counterparty takes a message, with its record durable; what it answers.
    fn answer(&mut self, message: Message, now: Millis) -> Result<Vec<Effect>, Refusal> {
        let effects = self.counterparty.handle(Event::Message(message), now, &HEDGE)?;
        match effects.as_slice() {
            [Effect::Persist { number, .. }] => {
                self.counterparty.handle(Event::Persisted(*number), now, &HEDGE)
            }
            _ => Ok(effects),
        }
    }

    /// The participant takes a message, with its record durable; what it answers.
    fn take(&mut self, message: Message, now: Millis) -> Result<Vec<Effect>, Refusal> {
        let effects = self.participant.handle(Event::Message(message), now, &HEDGE)?;
        match effects.as_slice() {
            [Effect::Persist { number, .. }] => {
                self.participant.handle(Event::Persisted(*number), now, &HEDGE)
            }
            _ => Ok(effects),
        }
    }

    /// One whole update.
    fn run(&mut self, transition: Transition) {
        let proposal = self.propose(transition);
        let partial = sent(self.answer(proposal, 0).unwrap());
        let state = sent(self.take(partial, 0).unwrap());
        let ack = sent(self.answer(state, 0).unwrap());
        self.take(ack, 0).unwrap();
    }

    fn open() -> Self {
        let mut both = Self::new();
        both.run(update(Change::Rebase));
        both
    }
}

/// The one message among the effects.
fn sent(effects: Vec<Effect>) -> Message {
    let mut messages = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send(message) => Some(message),
        _ => None,
    });
    let message = messages.next().expect("nothing was sent");
    assert_eq!(messages.next(), None);
    message
}

#[test]
fn an_update_ends_with_the_same_final_state_on_both_sides() {
    let mut both = Both::open();
    both.run(pay(300_000));
    let (one, two) = (both.participant.record(), both.counterparty.record());
    assert_eq!(one.latest(), two.latest());
    assert_eq!((one.base().nonce, one.base().balance), (nonce(2), amount(700_000)));
}

#[test]
fn no_signature_of_a_state_leaves_before_the_record_is_durable() {
    let mut both = Both::open();
    let proposal = both.propose(pay(1));
    let event = Event::Message(proposal);
    let effects = both.counterparty.handle(event.clone(), 0, &HEDGE).unwrap();
    let [Effect::Persist { number, .. }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(both.counterparty.handle(event, 0, &HEDGE), Err(Refusal::Busy));
    assert_eq!(both.counterparty.handle(Event::Tick, 1_000_000, &HEDGE), Ok(vec![]));
    let other = both.counterparty.handle(Event::Persisted(number - 1), 0, &HEDGE);
    assert_eq!(other, Ok(vec![]), "that is another record");
    let partial = sent(both.counterparty.handle(Event::Persisted(number), 0, &HEDGE).unwrap());
    let event = Event::Message(partial);
    let effects = both.participant.handle(event.clone(), 0, &HEDGE).unwrap();
    assert!(matches!(effects.as_slice(), [Effect::Persist { .. }]));
    assert_eq!(both.participant.handle(event, 0, &HEDGE), Err(Refusal::Busy));
    assert_eq!(both.participant.handle(Event::Tick, 1_000_000, &HEDGE), Ok(vec![]));
}

#[test]
fn the_same_proposal_again_gets_the_same_bytes_again() {
    let mut both = Both::open();
    let proposal = both.propose(pay(1));
    let first = sent(both.answer(proposal.clone(), 0).unwrap());
    let effects = both.counterparty.handle(Event::Message(proposal), 0, &[1; 32]).unwrap();
    assert_eq!(sent(effects).to_bytes(), first.to_bytes());
}

#[test]
fn an_outstanding_partial_that_the_participant_never_proposed_is_refused() {
    let mut both = Both::open();
    let Message::Propose(proposal) = both.propose(pay(1)) else { panic!("no proposal") };
    let mut forged = *proposal;
    forged.transition = pay(500_000);
    let (base, ledger) = (both.counterparty.record().base(), &both.pair.ledger);
    forged.state = forged.transition.apply(base, ledger, amount(1_000_000)).unwrap();
    let partial = both.pair.sign_partial(forged.state).unverified();
    let refused = both.take(Message::Outstanding(Box::new(forged), Box::new(partial)), 0);
    assert!(matches!(refused, Err(Refusal::Verify(_))));
    let refused = both.take(Message::Partial(Box::new(partial)), 0);
    assert_eq!(refused, Err(Refusal::Unexpected));
}

#[test]
fn nobody_but_the_participant_can_burn_a_nonce() {
    let mut both = Both::open();
    let Message::Propose(proposal) = both.propose(pay(1)) else { panic!("no proposal") };
    let forged = Proposal::sign(
        proposal.state,
        proposal.transition,
        both.pair.counterparty.channel_key(),
        &HEDGE,
    );
    let refused = both.answer(Message::Propose(Box::new(forged)), 0);
    assert!(matches!(refused, Err(Refusal::Verify(_))));
    assert_eq!(*both.counterparty.record().pending(), Pending::None);
}

#[test]
fn a_proposal_is_signed_only_if_it_follows_the_last_state_exactly() {
    let mut both = Both::open();
    let Message::Propose(good) = both.propose(pay(1)) else { panic!("no proposal") };
    let mut refused = |state: State, transition: Transition| {
        let key = both.pair.participant.channel_key();
        let proposal = Proposal::sign(state, transition, key, &HEDGE);
        both.answer(Message::Propose(Box::new(proposal)), 0).unwrap_err()
    };
    let other = Refusal::Transition(TransitionError::OtherState);
    assert_eq!(refused(State { nonce: nonce(3), ..good.state }, good.transition), other);
    assert_eq!(refused(State { balance: amount(5), ..good.state }, good.transition), other);
    assert_eq!(refused(State { version: version(1), ..good.state }, good.transition), other);
    let unknown = Transition { version: version(3), ..good.transition };
    let ahead = refused(State { version: version(3), ..good.state }, unknown);
    assert!(matches!(ahead, Refusal::Transition(TransitionError::Ledger(_))), "not final yet");
    let large = refused(good.state, pay(1_000_001));
    assert!(matches!(large, Refusal::Transition(_)));
}

#[test]
fn nothing_is_signed_once_the_node_decided_to_exit_or_saw_a_dispute() {
    let mut both = Both::open();
    let proposal = both.propose(pay(1));
    let partial = sent(both.answer(proposal, 0).unwrap());
    let effects = both.participant.handle(Event::Stop, 0, &HEDGE).unwrap();
    let [Effect::Persist { number, .. }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(both.take(partial, 0), Err(Refusal::Busy), "the decision is not durable yet");
    both.participant.handle(Event::Persisted(number), 0, &HEDGE).unwrap();
    let record = Record::from_bytes(
        &both.participant.record().to_bytes(),
        Role::Participant,
        &both.pair.channel,
    );
    assert!(record.unwrap().is_stopped(), "a restart remembers it");
    let update = both.participant.handle(Event::Update(pay(1)), 0, &HEDGE);
    assert_eq!(update, Err(Refusal::Stopped));
    both.counterparty.handle(Event::Stop, 0, &HEDGE).unwrap();
    let proposal = Both::open().propose(pay(1));
    let refused = both.counterparty.handle(Event::Message(proposal), 0, &HEDGE);
    assert_eq!(refused, Err(Refusal::Stopped));
}

#[test]
fn stopping_holds_back_a_signature_that_has_not_left_yet() {
    let mut both = Both::open();
    let proposal = both.propose(pay(1));
    let effects = both.counterparty.handle(Event::Message(proposal), 0, &HEDGE).unwrap();
    let [Effect::Persist { number: first, .. }] = effects[..] else { panic!("{effects:?}") };
    let effects = both.counterparty.handle(Event::Stop, 0, &HEDGE).unwrap();
    let [Effect::Persist { number: second, .. }] = effects[..] else { panic!("{effects:?}") };
    for number in [first, second] {
        assert_eq!(both.counterparty.handle(Event::Persisted(number), 0, &HEDGE), Ok(vec![]));
    }
}

#[test]
fn a_node_that_waits_retries_with_back_off_then_reports_and_at_last_may_dispute() {
    let mut both = Both::open();
    let proposal = both.propose(pay(300_000));
    both.answer(proposal, 0).unwrap();
    let day = 24 * 60 * 60 * 1_000;
    let (mut sends, mut stalled, mut advice) = (Vec::new(), None, None);
    for now in (0..=day).step_by(250) {
        for effect in both.counterparty.handle(Event::Tick, now, &HEDGE).unwrap() {
            match effect {
                Effect::Send(_) => sends.push(now),
                Effect::Report(Report::Stalled(_)) => stalled = Some(now),
                Effect::Report(Report::MayDispute(found)) => advice = Some((now, found)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(sends[..5], [500, 1_500, 3_500, 7_500, 15_500]);
    assert!(sends.windows(2).all(|pair| pair[1] - pair[0] <= 60_000));
    assert_eq!(stalled, Some(5_000));
    let (at, advice) = advice.unwrap();
    assert_eq!(at, day);
    assert_eq!(advice.state.as_ref(), both.counterparty.record().latest());
    assert_eq!(advice.claim, amount(Pair::SIDE), "a debit outstanding would pay it more");
}

#[test]
fn a_counterparty_claims_no_more_than_its_outstanding_partial_pays() {
    let mut both = Both::open();
    let credit = update(Change::Credit(amount(250_000), PaymentId([1; 32])));
    let proposal = both.propose(credit);
    both.answer(proposal, 0).unwrap();
    assert_eq!(both.counterparty.advice().claim, amount(Pair::SIDE - 250_000));
    assert_eq!(both.participant.advice().claim, amount(Pair::SIDE));
}

#[test]
fn a_final_state_that_comes_after_the_decision_to_exit_is_kept_and_not_answered() {
    let mut both = Both::open();
    let proposal = both.propose(pay(1));
    let partial = sent(both.answer(proposal, 0).unwrap());
    let state = sent(both.take(partial, 0).unwrap());
    let effects = both.counterparty.handle(Event::Stop, 0, &HEDGE).unwrap();
    let [Effect::Persist { number, .. }] = effects[..] else { panic!("{effects:?}") };
    both.counterparty.handle(Event::Persisted(number), 0, &HEDGE).unwrap();
    let effects = both.answer(state, 0).unwrap();
    assert!(matches!(
        effects.as_slice(),
        [Effect::Finalized(_), Effect::Report(Report::LateFinal(_))]
    ));
    assert_eq!(both.counterparty.record().base().nonce, nonce(2));
}

#[test]
fn every_message_has_one_encoding_and_every_byte_of_it_counts() {
    let mut both = Both::open();
    let propose = both.propose(pay(1));
    let partial = sent(both.answer(propose.clone(), 0).unwrap());
    let state = sent(both.take(partial.clone(), 0).unwrap());
    let ack = sent(both.answer(state.clone(), 0).unwrap());
    let (Message::Propose(p), Message::Partial(q)) = (&propose, &partial) else { panic!("kinds") };
    let outstanding = Message::Outstanding(p.clone(), q.clone());
    for message in [propose, partial, state, ack, outstanding] {
        let bytes = message.to_bytes();
        assert!(bytes.len() <= Message::MAX_LEN);
        assert_eq!(Message::from_bytes(&bytes).unwrap(), message);
        assert!(Message::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Message::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_ne!(Message::from_bytes(&flipped).ok(), Some(message.clone()), "byte {at}");
        }
    }
    assert_eq!(Message::from_bytes(&[2, 1]), Err(DecodeError::Version(2)));
    assert_eq!(Message::from_bytes(&[1, 9]), Err(DecodeError::Kind(9)));
    assert!(Message::from_bytes(&vec![1; 1 << 16]).is_err());
}

#[test]
fn a_record_that_was_tampered_with_is_refused() {
    let mut both = Both::open();
    let proposal = both.propose(pay(1));
    both.answer(proposal, 0).unwrap();
    let good = both.counterparty.record().to_bytes();
    let read = |bytes: &[u8], role| Record::from_bytes(bytes, role, &both.pair.channel);
    assert_eq!(read(&good, Role::Counterparty).unwrap(), *both.counterparty.record());
    assert!(read(&good, Role::Participant).is_err());
    let partial = good.len() - crate::zksc::PartialState::LEN;
    for at in (3 + State::LEN..good.len()).step_by(7).chain(partial..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(read(&bytes, Role::Counterparty).is_err(), "byte {at} does not matter");
    }
    assert!(UnverifiedPartial::from_bytes(&good[partial..]).is_ok());
}

/// Many worlds, each from its seed, which a failure prints. Every fault the network and the disks can have.
#[test]
fn no_fault_makes_a_node_sign_two_states_at_one_nonce_and_both_converge() {
    let (mut finalized, mut crashes) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice::new(seed ^ 0xfa17);
        let faults = Faults { lose: dice.below(40), repeat: dice.below(40), crash: dice.below(15) };
        let mut world = World::new(seed, faults);
        for _ in 0..300 {
            world.step(true);
        }
        world.calm_down();
        finalized += world.finalized();
        crashes += world.crashes();
    }
    assert!(finalized > 150, "only {finalized} states: the worlds are too bad to show anything");
    assert!(crashes > 200, "only {crashes} crashes: the worlds are too good to show anything");
}
