use alloy_primitives::{Address, B256, U256};
use proptest::prelude::*;

use super::*;
use crate::{
    ids::Role,
    testing::{Pair, account, amount, nonce},
    vipe::{DisputeGame, Move, Opening, Rate, Rules},
    zksc::FinalState,
};

const SIDE: u128 = Pair::SIDE;

fn me() -> Address {
    account(1, "tower")
}

fn rules() -> Rules {
    Rules {
        dispute_window: 1_000,
        response_extension: 100,
        max_extension: 250,
        fee_floor: 500,
        fee_gas: 0,
        tower_bps: 5_000,
        slash_bps: 10_000,
    }
}

/// A dispute that the participant opened with `nonce` at `claim`, in a channel of 2,000,000 at one wei a unit.
fn game(at: u64, claim: u128) -> DisputeGame {
    let opening = Opening {
        disputer: Role::Participant,
        checkpoint: nonce(0),
        nonce: nonce(at),
        pays: amount(claim),
        claim: amount(claim),
        escrow: amount(2 * SIDE),
        value: U256::MAX,
        base_fee: 0,
        now: 10_000,
    };
    DisputeGame::open(rules(), Rate::try_from(1 << 64).unwrap(), &opening).unwrap().0
}

fn facts(pair: &Pair, game: &DisputeGame) -> Facts {
    Facts {
        standing: *game.standing(),
        opening_nonce: nonce(4),
        ledger: pair.ledger.clone(),
        rate: pair.channel.rate(),
        rules: rules(),
    }
}

fn conditions() -> Conditions {
    Conditions {
        gas_price: 1,
        override_gas: 1_000,
        balance: U256::from(1_000_000),
        proving: 5,
        now: 10_010,
    }
}

fn policy() -> Policy {
    Policy { min_profit: U256::ZERO, count_fee: true, margin: 24 }
}

fn verdict(claim: u128, held: &[FinalState], change: impl FnOnce(&mut Conditions)) -> Verdict {
    let pair = Pair::new(1);
    let mut conditions = conditions();
    change(&mut conditions);
    decide(&facts(&pair, &game(4, claim)), held, &conditions, &policy())
}

#[test]
fn a_stale_dispute_is_overridden_with_the_newest_state_of_both_slots() {
    let pair = Pair::new(1);
    let held = [pair.final_state(5, 700_000), pair.final_state(9, 100_000)];
    let Verdict::Override(evidence) = verdict(900_000, &held, |_| ()) else {
        panic!("no override")
    };
    assert_eq!((evidence.nonce, evidence.new_claim), (nonce(9), amount(100_000)));
    assert_eq!(evidence.guaranteed, U256::from(400_000), "half of the struck-down bond");
    assert_eq!((evidence.fee_hoped, evidence.cost), (U256::from(500), U256::from(1_000)));
}

#[test]
fn a_dispute_that_is_live_or_newer_is_left_alone() {
    let pair = Pair::new(1);
    assert_eq!(verdict(900_000, &[], |_| ()), Verdict::NothingHeld);
    let same = [pair.final_state(4, 100_000)];
    assert!(matches!(verdict(900_000, &same, |_| ()), Verdict::NotNewer { .. }));
}

#[test]
fn a_newer_state_that_pays_the_disputer_as_much_or_more_is_kept_back() {
    let pair = Pair::new(1);
    for balance in [900_000, 900_001, 2 * SIDE] {
        let held = [pair.final_state(9, balance)];
        assert!(matches!(verdict(900_000, &held, |_| ()), Verdict::NotExploitable(_)));
    }
}

#[test]
fn a_state_that_the_chain_would_refuse_is_passed_over() {
    let pair = Pair::new(1);
    let unknown = pair.sign(pair.state_at(12, 3, 0));
    let above = pair.sign(pair.state_at(11, 1, SIDE + 1));
    assert_eq!(verdict(900_000, &[unknown, above], |_| ()), Verdict::NothingHeld);
    let held = [unknown, above, pair.final_state(9, 100_000)];
    let found = verdict(900_000, &held, |_| ());
    assert!(matches!(found, Verdict::Override(evidence) if evidence.nonce == nonce(9)));
}

#[test]
fn an_override_that_earns_too_little_comes_too_late_or_cannot_be_paid_for_is_not_sent() {
    let pair = Pair::new(1);
    let held = [pair.final_state(9, 899_000)];
    assert!(matches!(verdict(900_000, &held, |_| ()), Verdict::Override(_)));
    let dear = verdict(900_000, &held, |c| c.gas_price = 2);
    assert!(matches!(dear, Verdict::Unprofitable(_)), "500 + 500 earned, 2,000 spent");
    let late = verdict(900_000, &held, |c| c.now = 11_000 - 24 - 5);
    assert!(matches!(late, Verdict::TooLate(_)));
    let just = verdict(900_000, &held, |c| c.now = 11_000 - 24 - 6);
    assert!(matches!(just, Verdict::Override(_)));
    let poor = verdict(900_000, &held, |c| c.balance = U256::from(999));
    assert!(matches!(poor, Verdict::Unfunded(_)) && poor.may_change());
    let cautious = Policy { count_fee: false, ..policy() };
    let pair_facts = facts(&pair, &game(4, 900_000));
    let decided = decide(&pair_facts, &held, &conditions(), &cautious);
    assert!(matches!(decided, Verdict::Unprofitable(_)), "only 500 are guaranteed");
}

#[test]
fn the_claim_of_a_disputing_counterparty_is_what_its_pool_gets() {
    let pair = Pair::new(1);
    let mut facts = facts(&pair, &game(4, 900_000));
    facts.standing.disputer = Role::Counterparty;
    let held = [pair.final_state(9, 1_500_000)];
    let Verdict::Override(evidence) = decide(&facts, &held, &conditions(), &policy()) else {
        panic!("no override")
    };
    assert_eq!(evidence.new_claim, amount(500_000));
}

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
        let ceiling = U256::from(400_500);
        let submit = Effect::Submit { state: *live.state(), deadline: 11_000, ceiling };
        assert_eq!(story.tell(Event::Look(conditions())), [submit]);
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
    assert_eq!(story.tell(Event::Look(spike)), []);
    assert_eq!(story.step(), Step::Submitting);
}

#[test]
fn an_override_that_was_not_mined_in_time_is_lost_and_said_so() {
    let mut story = Story::submitting();
    assert_eq!(story.tell(Event::Clock(11_000)), [Effect::Stop]);
    assert_eq!(story.step(), Step::Lost);
    assert_eq!(story.tell(settled(None)), [Effect::Report(Outcome::Lost)]);
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
            let effects = rescue.handle(event);
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
