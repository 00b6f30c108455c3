use super::*;
use crate::vnode::{
    exit::{Effect, Event, Exit, ExitPolicy, Notice, Step},
    view::{ChainView, Finalized, Head, ViewError},
};
use crate::zksc::handshake::ExitAdvice;

fn advice(claim: u128) -> Box<ExitAdvice> {
    let state = Some(Pair::new(1).final_state(5, 700_000));
    Box::new(ExitAdvice { state, claim: amount(claim) })
}

fn automatic() -> ExitPolicy {
    ExitPolicy {
        automatic: true,
        claim_min: amount(100),
        close_for: 60_000,
        ..ExitPolicy::default()
    }
}

fn exit(role: Role, policy: ExitPolicy) -> Exit {
    Exit::resume(role, policy, Step::Live, 0)
}

#[test]
fn without_a_policy_that_says_so_nothing_is_disputed() {
    let mut exit = exit(Role::Participant, ExitPolicy::default());
    let effects = exit.handle(Event::MayDispute(advice(700_000)), 0);
    assert_eq!(effects, [Effect::Notice(Notice::MayDispute { claim: amount(700_000) })]);
    for now in [1, 1_000_000, u64::MAX] {
        assert!(exit.handle(Event::Tick, now).is_empty());
    }
    assert_eq!(exit.step(), Step::Live);
}

#[test]
fn signing_stops_first_then_consent_is_asked_for_and_only_then_a_dispute_is_opened() {
    let mut exit = exit(Role::Participant, automatic());
    let effects = exit.handle(Event::MayDispute(advice(700_000)), 0);
    let ask = Effect::AskClose(advice(700_000));
    assert_eq!(
        effects,
        [
            Effect::StopSigning,
            Effect::Persist(Step::Closing),
            ask.clone(),
            Effect::Notice(Notice::Leaving)
        ]
    );
    assert!(exit.handle(Event::Tick, 29_999).is_empty());
    assert_eq!(exit.handle(Event::Tick, 30_000), [ask]);
    let open = Effect::OpenDispute(advice(700_000));
    let effects = exit.handle(Event::Tick, 60_000);
    assert_eq!(effects, [Effect::Persist(Step::Opening), open.clone()]);
    assert!(exit.handle(Event::Tick, 60_001).is_empty());
    assert_eq!(exit.handle(Event::Tick, 90_000), [open]);
    assert_eq!(
        exit.handle(Event::Over, 90_001),
        [Effect::StopSigning, Effect::Persist(Step::Over)]
    );
}

#[test]
fn a_close_by_consent_ends_it_without_a_dispute() {
    let mut exit = exit(Role::Counterparty, automatic());
    let _asked = exit.handle(Event::Order(advice(5)), 0);
    assert_eq!(exit.handle(Event::CloseConsented, 10), [Effect::SubmitClose]);
    let _over = exit.handle(Event::Over, 20);
    assert!(exit.handle(Event::Tick, 1_000_000).is_empty());
}

#[test]
fn a_claim_below_the_policys_least_is_left_to_the_person() {
    let mut exit = exit(Role::Counterparty, automatic());
    let effects = exit.handle(Event::MayDispute(advice(99)), 0);
    assert_eq!(effects, [Effect::Notice(Notice::TooSmall { claim: amount(99) })]);
    assert!(!exit.handle(Event::Order(advice(99)), 0).is_empty(), "an order is an order");
}

#[test]
fn after_a_crash_the_decision_stands_and_goes_on() {
    let mut exit = Exit::resume(Role::Participant, automatic(), Step::Opening, 0);
    assert!(exit.handle(Event::Tick, 10).is_empty(), "nothing before it knows what to claim");
    assert!(exit.handle(Event::Advice(advice(7)), 20).is_empty());
    let effects = exit.handle(Event::Tick, 30);
    assert_eq!(effects, [Effect::OpenDispute(advice(7))]);
}

fn disputed(by: Role, at: u64, claim: u128, held: Option<(u64, u128)>) -> Event {
    let pair = Pair::new(1);
    let mut standing = *game(at, claim).standing();
    standing.disputer = by;
    let latest = held.map(|(nonce, balance)| Box::new(pair.final_state(nonce, balance)));
    Event::Disputed { standing, ledger: pair.ledger, latest }
}

#[test]
fn a_stale_dispute_against_oneself_is_overridden_once() {
    let mut exit = exit(Role::Counterparty, ExitPolicy::default());
    let effects = exit.handle(disputed(Role::Participant, 4, 900_000, Some((9, 100_000))), 5);
    let state = Box::new(Pair::new(1).final_state(9, 100_000));
    assert_eq!(
        effects,
        [Effect::StopSigning, Effect::Persist(Step::Disputed), Effect::Override(state)]
    );
    let again = exit.handle(disputed(Role::Participant, 4, 900_000, Some((9, 100_000))), 6);
    assert!(again.is_empty());
}

#[test]
fn a_live_or_harmless_or_own_dispute_is_left_alone_but_stops_signing() {
    let stopped = [Effect::StopSigning, Effect::Persist(Step::Disputed)];
    for (by, held) in [
        (Role::Participant, Some((4, 100_000))),
        (Role::Participant, Some((9, 900_000))),
        (Role::Participant, None),
        (Role::Counterparty, Some((9, 100_000))),
    ] {
        let mut exit = exit(Role::Counterparty, automatic());
        assert_eq!(exit.handle(disputed(by, 4, 900_000, held), 5), stopped);
    }
    let quiet = ExitPolicy { override_stale: false, ..automatic() };
    let mut exit = exit(Role::Counterparty, quiet);
    let effects = exit.handle(disputed(Role::Participant, 4, 900_000, Some((9, 1))), 5);
    assert!(effects.contains(&Effect::Notice(Notice::StaleDispute { standing: nonce(4) })));
}

#[test]
fn a_policy_file_with_an_unknown_word_is_refused() {
    let text = r#"{"automatic":true,"claim_min":"100","close_for":60000,"override_stale":true}"#;
    assert_eq!(serde_json::from_str::<ExitPolicy>(text).unwrap(), automatic());
    let typo = text.replace("automatic", "automatik");
    assert!(serde_json::from_str::<ExitPolicy>(&typo).is_err());
    let more = text.replace('{', r#"{"also":1,"#);
    assert!(serde_json::from_str::<ExitPolicy>(&more).is_err());
}

#[test]
fn a_view_that_does_not_move_or_contradicts_itself_is_not_signed_on() {
    let block = |number: u64, hash: u8| Finalized { number, hash: [hash; 32].into() };
    let mut view = ChainView::new(1_000, Some(300));
    let head = |number| Head { number, time_s: 5_000 };
    assert_eq!(view.good_until(0, 5_000), Err(ViewError::Nothing));
    view.see(head(10), block(8, 1), 100);
    assert_eq!(view.good_until(100, 5_000), Ok(1_100));
    view.see(head(10), block(8, 1), 900);
    assert_eq!(view.good_until(1_101, 5_000), Err(ViewError::Stale { ago: 1_001 }));
    view.see(head(11), block(9, 2), 1_200);
    assert_eq!(view.good_until(1_300, 5_000), Ok(2_200));
    view.see(head(12), block(9, 3), 1_300);
    assert_eq!(view.good_until(1_300, 5_000), Err(ViewError::Contradiction { number: 9 }));
}

#[test]
fn a_dispute_that_was_reorganised_away_is_no_order_to_leave() {
    let mut exit = exit(Role::Counterparty, ExitPolicy::default());
    let _stopped = exit.handle(disputed(Role::Participant, 4, 900_000, None), 5);
    let effects = exit.handle(Event::Undisputed, 6);
    assert_eq!(effects, [Effect::Persist(Step::Live), Effect::Notice(Notice::DisputeGone)]);
    let _none = exit.handle(Event::Advice(advice(7)), 7);
    for now in [10, 1_000_000, u64::MAX] {
        assert!(exit.handle(Event::Tick, now).is_empty());
    }
    assert!(!exit.handle(Event::Order(advice(7)), 8).is_empty(), "a person can still leave");
}

#[test]
fn what_a_node_wanted_before_a_dispute_that_went_away_it_wants_again_also_after_a_crash() {
    for crash in [false, true] {
        let mut exit = exit(Role::Counterparty, ExitPolicy::default());
        let _leaving = exit.handle(Event::Order(advice(7)), 0);
        let _stopped = exit.handle(disputed(Role::Participant, 4, 900_000, None), 5);
        assert!(exit.is_wanted());
        if crash {
            let policy = ExitPolicy::default();
            exit = Exit::resume(Role::Counterparty, policy, exit.step(), 5).wanting(true);
        }
        assert_eq!(exit.handle(Event::Undisputed, 6), [Effect::Persist(Step::Closing)]);
    }
}

#[test]
fn an_override_that_was_lost_is_asked_for_again() {
    let mut exit = exit(Role::Counterparty, ExitPolicy::default());
    let dispute = || disputed(Role::Participant, 4, 900_000, Some((9, 100_000)));
    let over = Effect::Override(Box::new(Pair::new(1).final_state(9, 100_000)));
    assert!(exit.handle(dispute(), 5).contains(&over));
    assert!(exit.handle(dispute(), 6).is_empty());
    assert!(exit.handle(Event::OverrideLost, 7).is_empty());
    assert_eq!(exit.handle(dispute(), 8), [over]);
}

#[test]
fn a_close_that_both_signed_gets_its_time_once_before_a_dispute_is_opened() {
    let mut exit = exit(Role::Participant, automatic());
    let _asked = exit.handle(Event::Order(advice(5)), 0);
    assert_eq!(exit.handle(Event::CloseConsented, 59_000), [Effect::SubmitClose]);
    let _asked = exit.handle(Event::Tick, 60_000);
    assert_eq!(exit.step(), Step::Closing, "the close is on its way");
    let _again = exit.handle(Event::CloseConsented, 100_000);
    let _opened = exit.handle(Event::Tick, 119_000);
    assert_eq!(exit.step(), Step::Opening, "consenting again and again puts nothing off");
}

#[test]
fn a_word_that_the_policy_file_leaves_out_has_its_default() {
    let policy: ExitPolicy = serde_json::from_str(r#"{"automatic":true}"#).unwrap();
    assert_eq!(policy, ExitPolicy { automatic: true, ..ExitPolicy::default() });
}

#[test]
fn a_head_that_moves_and_is_of_another_time_is_not_signed_on() {
    let mut view = ChainView::new(1_000, Some(300));
    let mut made_up = ChainView::new(1_000, None);
    let finalized = Finalized { number: 1, hash: crate::B256::ZERO };
    for (number, time_s) in [(1, 4_000), (2, 4_699), (3, 5_301), (4, 9_000)] {
        let (head, off_s) = (Head { number, time_s }, time_s.abs_diff(5_000));
        view.see(head, finalized, number);
        assert_eq!(view.good_until(number, 5_000), Err(ViewError::Clock { off_s }), "it moves");
        assert!(view.check_clock(5_000).is_err());
        made_up.see(head, finalized, number);
        assert!(made_up.good_until(number, 5_000).is_ok());
    }
    view.see(Head { number: 5, time_s: 4_700 }, finalized, 5);
    assert_eq!(view.good_until(5, 5_000), Ok(1_005));
    // A machine that slept: its own time stood still, its clock did not.
    assert_eq!(view.good_until(6, 5_001), Err(ViewError::Clock { off_s: 301 }));
}
