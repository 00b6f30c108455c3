use alloy_primitives::{Address, B256, U256};
use proptest::prelude::*;

use super::*;

fn included(reward: u64) -> Event {
    let (number, hash) = (7, B256::repeat_byte(7));
    Event::Included { number, hash, reward: U256::from(reward), cost: U256::from(1_000) }
}

fn settled(corrector: Option<Address>) -> Event {
    Event::Settled { corrector, fee: U256::from(500), cost: U256::from(50) }
}

/// The effects without the records.
fn acts(effects: Vec<Effect>) -> Vec<Effect> {
    effects.into_iter().filter(|effect| !matches!(effect, Effect::Persist(_))).collect()
}

struct Story {
    pair: Pair,
    game: DisputeGame,
    rescue: Rescue,
}

impl Story {
    fn begin() -> Self {
        let pair = Pair::new(1);
        let game = game(4, 900_000);
        let (rescue, effects) = Rescue::begin(facts(&pair, &game), me(), policy());
        assert_eq!(acts(effects), [Effect::OpenEnvelopes]);
        Self { pair, game, rescue }
    }

    fn tell(&mut self, event: Event) -> Vec<Effect> {
        acts(self.rescue.handle(event))
    }

    /// Up to the submission of the live state, nonce 9 at 100,000.
    fn submitting() -> Self {
        let mut story = Self::begin();
        let live = story.pair.final_state(9, 100_000);
        assert_eq!(story.tell(Event::Opened(vec![live])), [Effect::ReadConditions]);
        assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(*live.state())]);
        assert_eq!(story.tell(Event::Proved(nonce(9))), [Effect::ReadConditions]);
        assert_eq!(story.tell(Event::Look(conditions())), [story.submit()]);
        story
    }

    /// The submission of the live state.
    fn submit(&self) -> Effect {
        let state = *self.pair.final_state(9, 100_000).state();
        Effect::Submit { state, deadline: 11_000, ceiling: U256::from(400_500) }
    }

    /// The live state is in and stands; then a backup with a newer one arrives.
    fn corrected_with_newer(newer: u128) -> Self {
        let mut story = Self::submitting();
        story.tell(included(400_000));
        let changed = story.overridden(9, 100_000, me());
        story.tell(changed);
        let newer = story.pair.final_state(12, newer);
        assert_eq!(story.tell(Event::Opened(vec![newer])), [Effect::ReadConditions]);
        story
    }

    /// Somebody's override; the chain's event about it.
    fn overridden(&mut self, at: u64, claim: u128, by: Address) -> Event {
        let step = Move {
            nonce: nonce(at),
            pays: amount(claim),
            by_disputer: false,
            beneficiary: by,
            value: U256::ZERO,
            now: 10_020,
        };
        self.game.override_with(&step).unwrap();
        Event::Changed(*self.game.standing())
    }

    fn step(&self) -> Step {
        self.rescue.record().step
    }
}

#[test]
fn the_main_story_ends_with_everything_collected() {
    let mut story = Story::submitting();
    assert_eq!(story.tell(included(400_000)), []);
    let changed = story.overridden(9, 100_000, me());
    assert_eq!(story.tell(changed), []);
    assert_eq!(story.tell(Event::Clock(10_999)), []);
    assert_eq!(story.tell(Event::Clock(11_000)), [Effect::Settle]);
    let (reward, fee) = (U256::from(400_000), U256::from(500));
    let end = [Effect::Report(Outcome::Won { reward, fee }), Effect::Collect];
    assert_eq!(story.tell(settled(Some(me()))), end);
    assert_eq!(story.tell(Event::Collected { cost: U256::from(40) }), []);
    assert!(story.rescue.is_over());
    assert_eq!(story.rescue.record().spent, U256::from(1_090));
}

#[test]
fn what_is_given_up_as_too_late_is_lost_and_not_declined() {
    let mut story = Story::begin();
    let live = story.pair.final_state(9, 100_000);
    story.tell(Event::Opened(vec![live]));
    assert_eq!(story.tell(Event::Look(Conditions { now: 10_999, ..conditions() })), []);
    assert!(matches!(story.rescue.record().verdict, Some(Verdict::TooLate(_))));
    assert_eq!(story.tell(settled(None)), [Effect::Report(Outcome::Lost)]);
}

#[test]
fn a_rival_that_brings_the_same_state_first_ends_the_submission() {
    let mut story = Story::submitting();
    let changed = story.overridden(9, 100_000, account(2, "rival"));
    assert_eq!(story.tell(changed), [Effect::Stop]);
    assert_eq!(story.step(), Step::Beaten);
    let reward = U256::ZERO;
    assert_eq!(
        story.tell(settled(Some(account(2, "rival")))),
        [Effect::Report(Outcome::Beaten { reward })]
    );
    assert!(story.rescue.is_over());
}

#[test]
fn an_older_override_in_between_leaves_the_proof_good_and_the_decision_is_made_anew() {
    let mut story = Story::submitting();
    let changed = story.overridden(6, 150_000, account(2, "rival"));
    assert_eq!(story.tell(changed), [Effect::ReadConditions]);
    let again = story.tell(Event::Look(conditions()));
    let [Effect::Submit { ceiling, .. }] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(*ceiling, U256::from(25_500));
}

#[test]
fn a_reorganisation_that_takes_the_override_back_makes_the_tower_submit_again() {
    let mut story = Story::submitting();
    let before = *story.game.standing();
    story.tell(included(400_000));
    let changed = story.overridden(9, 100_000, me());
    story.tell(changed);
    let reward = U256::from(400_000);
    assert_eq!(story.tell(Event::Removed { reward }), [Effect::ReadConditions]);
    assert_eq!(story.tell(Event::Changed(before)), [Effect::ReadConditions]);
    let again = story.tell(Event::Look(conditions()));
    assert!(matches!(again.as_slice(), [Effect::Submit { .. }]), "{again:?}");
    assert_eq!(story.rescue.record().reward, U256::ZERO);
    // The other order of the same two events.
    let mut story = Story::submitting();
    story.tell(included(400_000));
    let changed = story.overridden(9, 100_000, me());
    story.tell(changed);
    assert_eq!(story.tell(Event::Changed(before)), [Effect::ReadConditions]);
    assert_eq!(story.tell(Event::Removed { reward }), [Effect::ReadConditions]);
    let again = story.tell(Event::Look(conditions()));
    assert!(matches!(again.as_slice(), [Effect::Submit { .. }]), "{again:?}");
}

#[test]
fn a_gas_spike_delays_the_proof_and_does_not_call_back_what_was_sent() {
    let mut story = Story::begin();
    let live = story.pair.final_state(9, 100_000);
    story.tell(Event::Opened(vec![live]));
    let spike = Conditions { gas_price: 1 << 40, ..conditions() };
    assert_eq!(story.tell(Event::Look(spike)), []);
    assert_eq!(story.step(), Step::Decided);
    assert_eq!(story.tell(Event::Clock(10_100)), [Effect::ReadConditions]);
    assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(*live.state())]);
    let mut story = Story::submitting();
    assert_eq!(story.tell(Event::Look(spike)), [story.submit()], "never above what it earns");
    assert_eq!(story.step(), Step::Submitting);
}

#[test]
fn a_submission_that_a_crash_swallowed_is_asked_for_until_it_is_included() {
    let submit = Story::submitting().submit();
    for unpleasant in [
        conditions(),
        Conditions { gas_price: 1 << 40, ..conditions() },
        Conditions { balance: U256::ZERO, ..conditions() },
    ] {
        let mut story = Story::submitting();
        let (resumed, effects) = Rescue::resume(story.rescue.record().clone(), policy());
        assert_eq!(effects, [Effect::ReadConditions]);
        story.rescue = resumed;
        // The first question got no answer; every block asks again.
        for now in [10_020, 10_032] {
            assert_eq!(story.tell(Event::Clock(now)), [Effect::ReadConditions]);
        }
        assert_eq!(story.tell(Event::Look(unpleasant)), std::slice::from_ref(&submit));
        assert_eq!(story.tell(Event::Clock(10_044)), [Effect::ReadConditions]);
        story.tell(included(400_000));
        assert_eq!(story.tell(Event::Clock(10_056)), []);
    }
    let mut story = Story::submitting();
    let late = Conditions { now: 11_000 - 24, ..conditions() };
    assert_eq!(story.tell(Event::Look(late)), [], "nothing is begun within the margin");
    assert_eq!(story.step(), Step::Submitting, "and nothing is called back");
}

#[test]
fn a_proof_that_is_missing_when_it_is_to_be_submitted_is_made_again() {
    let mut story = Story::submitting();
    assert_eq!(story.tell(Event::ProofFailed), [], "not for ever at once");
    assert_eq!(story.rescue.record().proven, None);
    assert_eq!(story.tell(Event::Clock(10_100)), [Effect::ReadConditions]);
    let live = *story.pair.final_state(9, 100_000).state();
    assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(live)]);
    assert_eq!(story.tell(Event::Proved(nonce(9))), [Effect::ReadConditions]);
    assert_eq!(story.tell(Event::Look(conditions())), [story.submit()]);
}

#[test]
fn an_override_that_was_not_mined_in_time_is_lost_and_said_so() {
    let mut story = Story::submitting();
    assert_eq!(story.tell(Event::Clock(11_000)), [Effect::Stop]);
    assert_eq!(story.step(), Step::Lost);
    assert_eq!(story.tell(settled(None)), [Effect::Report(Outcome::Lost)]);
}

#[test]
fn the_last_corrector_settles_though_a_newer_state_that_changes_nothing_came_after() {
    let mut story = Story::corrected_with_newer(100_000);
    assert_eq!(story.tell(Event::Look(conditions())), []);
    assert!(matches!(story.rescue.record().verdict, Some(Verdict::NotExploitable(_))));
    assert_eq!(story.tell(Event::Clock(11_000)), [Effect::Settle]);
    assert_eq!(story.step(), Step::Won);
}

#[test]
fn the_last_corrector_settles_though_nobody_answered_what_a_newer_state_would_meet() {
    let mut story = Story::corrected_with_newer(10_000);
    assert_eq!(story.tell(Event::Clock(11_000)), [Effect::Settle]);
}

#[test]
fn the_last_corrector_gives_up_what_is_not_ready_in_time_and_settles() {
    let mut story = Story::corrected_with_newer(10_000);
    let newer = *story.pair.final_state(12, 10_000).state();
    assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(newer)]);
    let mut ready = Story { rescue: story.rescue.clone(), ..Story::begin() };
    assert_eq!(story.tell(Event::Clock(11_000)), [Effect::Stop, Effect::Settle]);
    assert_eq!(story.step(), Step::Won);
    assert_eq!(story.tell(Event::Proved(nonce(12))), [], "it comes too late and changes nothing");
    // The same with the second override sent and not mined.
    assert_eq!(ready.tell(Event::Proved(nonce(12))), [Effect::ReadConditions]);
    let sent = ready.tell(Event::Look(conditions()));
    assert!(matches!(sent.as_slice(), [Effect::Submit { .. }]), "{sent:?}");
    assert_eq!(ready.tell(Event::Clock(11_000)), [Effect::Stop, Effect::Settle]);
    assert_eq!(ready.step(), Step::Won);
}

#[test]
fn a_backup_that_arrives_during_the_dispute_is_used() {
    let mut story = Story::begin();
    assert_eq!(story.tell(Event::Opened(vec![])), [Effect::ReadConditions]);
    assert_eq!(story.tell(Event::Look(conditions())), []);
    assert_eq!(story.tell(Event::Clock(10_100)), [Effect::OpenEnvelopes]);
    let live = story.pair.final_state(9, 100_000);
    assert_eq!(story.tell(Event::Opened(vec![live])), [Effect::ReadConditions]);
    assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(*live.state())]);
}

#[test]
fn a_proof_that_fails_is_tried_again_and_never_for_ever_at_once() {
    let mut story = Story::begin();
    let live = story.pair.final_state(9, 100_000);
    story.tell(Event::Opened(vec![live]));
    for _ in 0..2 {
        assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(*live.state())]);
        assert_eq!(story.tell(Event::ProofFailed), [Effect::ReadConditions]);
    }
    assert_eq!(story.tell(Event::Look(conditions())), [Effect::Prove(*live.state())]);
    assert_eq!(story.tell(Event::ProofFailed), []);
    assert_eq!(story.tell(Event::Clock(10_100)), [Effect::ReadConditions]);
}

#[test]
fn a_settlement_taken_back_is_made_again() {
    let mut story = Story::submitting();
    story.tell(included(400_000));
    let changed = story.overridden(9, 100_000, me());
    story.tell(changed);
    story.tell(Event::Clock(11_000));
    story.tell(settled(Some(me())));
    assert_eq!(story.tell(Event::Unsettled), [Effect::Settle]);
    assert_eq!(story.step(), Step::Won);
}

fn events() -> impl Strategy<Value = Event> {
    let standing = (4_u64..12, 0_u128..2_000_000, any::<bool>(), 0_u64..3_000).prop_map(
        |(at, claim, mine, later)| {
            let mut standing = *game(4, 900_000).standing();
            standing.nonce = nonce(at);
            standing.claim = amount(claim);
            standing.corrector = mine.then(me);
            standing.deadline += later;
            Event::Changed(standing)
        },
    );
    let look = (1_u128..4_000, 10_000_u64..12_000)
        .prop_map(|(gas_price, now)| Event::Look(Conditions { gas_price, now, ..conditions() }));
    let opened = (4_u64..12, 0_u128..2_000_000)
        .prop_map(|(at, balance)| Event::Opened(vec![Pair::new(1).final_state(at, balance)]));
    prop_oneof![
        standing,
        look.clone(),
        look,
        opened,
        Just(Event::Opened(vec![])),
        (10_000_u64..14_000).prop_map(Event::Clock),
        (4_u64..12).prop_map(|at| Event::Proved(nonce(at))),
        Just(Event::ProofFailed),
        Just(included(5)),
        Just(Event::Removed { reward: U256::from(5) }),
        Just(Event::Failed { cost: U256::from(1) }),
        any::<bool>().prop_map(|mine| settled(mine.then(me))),
        Just(Event::Unsettled),
        Just(Event::Collected { cost: U256::from(1) }),
    ]
}

proptest! {
    /// Whatever happens in whatever order, a change is persisted first, what is submitted was decided and proven, and a
    /// tower restarted from its record goes on where it was.
    #[test]
    fn any_history_keeps_the_order_of_record_and_act(history in prop::collection::vec(events(), 1..40)) {
        let mut rescue = Story::begin().rescue;
        for event in history {
            let before = rescue.record().clone();
            let standing = before.facts.standing;
            let closes = matches!(event, Event::Clock(now) if now >= standing.deadline);
            let over = [Step::Lost, Step::Won, Step::Settled, Step::Collected, Step::Closed];
            let effects = rescue.handle(event);
            if closes && standing.corrector == Some(me()) && !over.contains(&before.step) {
                prop_assert!(effects.contains(&Effect::Settle), "the last corrector does not settle");
            }
            let record = rescue.record().clone();
            let persisted = matches!(effects.first(), Some(Effect::Persist(first)) if **first == record);
            prop_assert_eq!(persisted, record != before);
            prop_assert!(effects.iter().skip(1).all(|effect| !matches!(effect, Effect::Persist(_))));
            for effect in &effects {
                if let Effect::Submit { state, deadline, .. } = effect {
                    let decided = matches!(record.verdict, Some(Verdict::Override(_)));
                    prop_assert!(decided);
                    prop_assert_eq!(record.proven, Some(state.nonce));
                    prop_assert!(state.nonce > record.facts.standing.nonce);
                    prop_assert_eq!(*deadline, record.facts.standing.deadline);
                }
            }
            let json = serde_json::to_vec(&record).unwrap();
            let (resumed, again) = Rescue::resume(serde_json::from_slice(&json).unwrap(), policy());
            prop_assert_eq!(resumed.record(), &record);
            let rash = again.iter().any(|effect| matches!(effect, Effect::Submit { .. }));
            prop_assert!(!rash, "a restart submits without a fresh look");
        }
    }
}
