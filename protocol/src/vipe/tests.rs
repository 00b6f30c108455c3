use alloy_primitives::{Address, U256, address};
use proptest::prelude::*;

use super::*;
use crate::ids::{Amount, EscrowVersion, Nonce, Role};

mod consent;

const TOWER: Address = address!("0000000000000000000000000000000000000abc");

fn amount(value: u128) -> Amount {
    Amount::try_from(value).unwrap()
}

fn nonce(value: u64) -> Nonce {
    Nonce::try_from(value).unwrap()
}

fn version(value: u64) -> EscrowVersion {
    EscrowVersion::try_from(value).unwrap()
}

fn rules() -> Rules {
    Rules {
        dispute_window: 1_000,
        response_extension: 100,
        max_extension: 250,
        fee_floor: 7,
        fee_gas: 10,
        tower_bps: 5_000,
        slash_bps: 10_000,
    }
}

/// One wei per base unit.
fn par() -> Rate {
    Rate::try_from(1_u128 << 64).unwrap()
}

fn opening(claim: u128) -> Opening {
    Opening {
        disputer: Role::Participant,
        checkpoint: Nonce::ZERO,
        nonce: nonce(5),
        pays: amount(claim),
        claim: amount(claim),
        escrow: amount(1_000),
        value: U256::from(7 + claim),
        base_fee: 0,
        now: 10_000,
    }
}

fn lowering(to: u128, at: u64, now: u64) -> Move {
    Move {
        nonce: nonce(at),
        pays: amount(to),
        by_disputer: false,
        beneficiary: TOWER,
        value: U256::ZERO,
        now,
    }
}

fn open(claim: u128) -> DisputeGame {
    DisputeGame::open(rules(), par(), &opening(claim)).unwrap().0
}

#[test]
fn additions_return_to_who_added_and_withdrawals_are_charged_to_who_received() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.deposit(amount(100)).unwrap(), version(1));
    assert_eq!(ledger.allocate(amount(50)).unwrap(), version(2));
    let before = ledger.payout(version(1), amount(70)).unwrap();
    assert_eq!(before, Payout { participant: amount(70), vip: amount(80) });
    ledger.deposit(amount(9)).unwrap();
    let after = ledger.payout(version(1), amount(70)).unwrap();
    assert_eq!(after, Payout { participant: amount(79), vip: amount(80) });
    ledger.withdraw(version(3), amount(79), amount(30), amount(1)).unwrap();
    let last = ledger.payout(version(1), amount(70)).unwrap();
    assert_eq!(last, Payout { participant: amount(49), vip: amount(79) });
    assert_eq!(last.of(Role::Counterparty), amount(79));
}

#[test]
fn a_depositor_that_never_got_a_signature_gets_its_deposit_from_the_first_checkpoint() {
    let mut ledger = Ledger::new();
    ledger.deposit(amount(100)).unwrap();
    ledger.allocate(amount(400)).unwrap();
    let payout = ledger.payout(EscrowVersion::ZERO, Amount::ZERO).unwrap();
    assert_eq!(payout, Payout { participant: amount(100), vip: amount(400) });
}

#[test]
fn a_state_of_an_unknown_version_or_above_its_escrow_is_refused() {
    let mut ledger = Ledger::new();
    ledger.deposit(amount(100)).unwrap();
    assert_eq!(
        ledger.payout(version(2), Amount::ZERO),
        Err(LedgerError::UnknownVersion(version(2)))
    );
    assert!(matches!(
        ledger.payout(version(1), amount(101)),
        Err(LedgerError::BalanceExceedsEscrow { .. })
    ));
    assert!(ledger.payout(EscrowVersion::ZERO, amount(1)).is_err());
    assert!(ledger.payout(EscrowVersion::MAX, Amount::ZERO).is_err());
}

#[test]
fn an_escrow_of_2_to_112_and_a_gap_in_the_versions_are_refused() {
    let mut ledger = Ledger::new();
    ledger.deposit(Amount::MAX).unwrap();
    assert!(matches!(ledger.allocate(amount(1)), Err(LedgerError::OutOfRange { .. })));
    assert_eq!(ledger.last(), version(1));
    assert!(matches!(ledger.append(version(3), 0, 0), Err(LedgerError::NotNext { .. })));
    assert!(matches!(ledger.append(version(2), -1, 0), Err(LedgerError::OutOfRange { .. })));
    assert!(matches!(ledger.append(version(2), 1 << 112, -5), Err(LedgerError::OutOfRange { .. })));
    assert!(matches!(
        ledger.append(version(2), i128::MAX, i128::MAX),
        Err(LedgerError::OutOfRange { .. })
    ));
}

#[test]
fn a_withdrawal_beyond_what_the_state_leaves_is_refused() {
    let mut ledger = Ledger::new();
    ledger.deposit(amount(100)).unwrap();
    ledger.allocate(amount(100)).unwrap();
    let state = (version(2), amount(60));
    for (participant, vip) in [(61, 0), (0, 141)] {
        assert_eq!(
            ledger.withdraw(state.0, state.1, amount(participant), amount(vip)),
            Err(LedgerError::WithdrawalNotCovered)
        );
    }
    ledger.withdraw(state.0, state.1, amount(60), amount(140)).unwrap();
    assert_eq!(ledger.newest().escrow(), Amount::ZERO);
}

#[test]
fn a_reorganised_chain_takes_versions_back() {
    let mut ledger = Ledger::new();
    ledger.deposit(amount(1)).unwrap();
    ledger.deposit(amount(2)).unwrap();
    ledger.rewind(version(1));
    assert_eq!(ledger.last(), version(1));
    ledger.rewind(version(9));
    assert_eq!(ledger.last(), version(1));
}

#[test]
fn bonds_round_up_and_fit() {
    assert_eq!(bond(Amount::ZERO, par()), U256::ZERO);
    assert_eq!(bond(amount(1), Rate::try_from(1).unwrap()), U256::from(1));
    assert_eq!(bond(amount(3), par()), U256::from(3));
    let most = Rate::try_from((1_u128 << 96) - 1).unwrap();
    let product = U256::from(Amount::MAX.get()) * U256::from(most.get());
    assert_eq!(bond(Amount::MAX, most), (product + U256::from(u64::MAX)) >> 64);
    assert!(Rate::try_from(1_u128 << 96).is_err());
    assert_eq!(opening_fee(&rules(), 0), U256::from(7));
    assert_eq!(opening_fee(&rules(), u128::MAX), U256::from(u128::MAX) * U256::from(10));
}

#[test]
fn an_opening_needs_its_claim_covered_and_paid() {
    let refused = |change: fn(&mut Opening)| {
        let mut opening = opening(400);
        change(&mut opening);
        DisputeGame::open(rules(), par(), &opening).unwrap_err()
    };
    assert!(matches!(refused(|o| o.checkpoint = Nonce::MAX), Refusal::BelowCheckpoint { .. }));
    assert!(matches!(refused(|o| o.claim = amount(401)), Refusal::ClaimTooLarge { .. }));
    assert!(matches!(refused(|o| o.pays = amount(1_001)), Refusal::ExceedsEscrow(_)));
    assert_eq!(
        refused(|o| o.value = U256::from(406)),
        Refusal::ValueTooSmall { needed: U256::from(407) }
    );
    let mut generous = opening(400);
    generous.value = U256::from(500);
    let (game, back) = DisputeGame::open(rules(), par(), &generous).unwrap();
    assert_eq!((game.held(), back), (U256::from(407), U256::from(93)));
}

#[test]
fn an_opener_may_claim_less_than_its_state_pays_and_is_then_not_corrected_by_its_pending_state() {
    let mut less = opening(400);
    less.claim = amount(390);
    let (mut game, _) = DisputeGame::open(rules(), par(), &less).unwrap();
    let paid = game.override_with(&lowering(390, 6, 10_001)).unwrap();
    assert_eq!((paid.kind, paid.to_beneficiary), (MoveKind::Equal, U256::ZERO));
    assert_eq!(game.settle(11_000).unwrap().slash, Amount::ZERO);
}

#[test]
fn an_override_ends_where_settlement_begins() {
    let mut game = open(400);
    assert_eq!(game.settle(10_999), Err(Refusal::WindowOpen { deadline: 11_000 }));
    assert_eq!(
        game.override_with(&lowering(1, 6, 11_000)),
        Err(Refusal::WindowClosed { deadline: 11_000 })
    );
    game.settle(11_000).unwrap();
    assert_eq!(game.settle(11_001), Err(Refusal::AlreadySettled));
    assert_eq!(game.override_with(&lowering(1, 6, 10_500)), Err(Refusal::AlreadySettled));
    assert_eq!(game.held(), U256::ZERO);
}

#[test]
fn an_override_is_refused_unless_newer_paid_rightly_and_for_somebody() {
    let mut game = open(400);
    let mut refused = |step: Move| game.override_with(&step).unwrap_err();
    assert!(matches!(refused(lowering(1, 5, 10_001)), Refusal::NotNewer { .. }));
    let nobody = Move { beneficiary: Address::ZERO, ..lowering(1, 6, 10_001) };
    assert_eq!(refused(nobody), Refusal::ZeroBeneficiary);
    let paying = Move { value: U256::from(1), ..lowering(1, 6, 10_001) };
    assert!(matches!(refused(paying), Refusal::ValueMismatch { .. }));
    assert_eq!(refused(lowering(401, 6, 10_001)), Refusal::RaiseByOther);
    assert!(matches!(refused(lowering(1_001, 6, 10_001)), Refusal::ExceedsEscrow(_)));
    assert_eq!(*game.standing(), *open(400).standing());
}

#[test]
fn only_the_disputer_raises_once_with_its_own_bond_and_a_whole_new_window() {
    let mut game = open(400);
    game.override_with(&lowering(100, 6, 10_950)).unwrap();
    let raise = Move { by_disputer: true, value: U256::from(500), ..lowering(600, 7, 11_040) };
    let cheap = Move { value: U256::from(499), ..raise };
    assert_eq!(game.override_with(&cheap), Err(Refusal::ValueMismatch { needed: U256::from(500) }));
    game.override_with(&raise).unwrap();
    let standing = *game.standing();
    assert_eq!((standing.deadline, standing.peak), (12_040, amount(600)));
    assert_eq!(standing.corrector, Some(TOWER));
    let again = Move { nonce: nonce(8), pays: amount(700), value: U256::from(100), ..raise };
    assert_eq!(game.override_with(&again), Err(Refusal::RaisedBefore));
}

#[test]
fn a_late_lowering_leaves_time_to_answer_up_to_the_cap() {
    let mut game = open(400);
    game.override_with(&lowering(300, 6, 10_900)).unwrap();
    assert_eq!(game.standing().deadline, 11_000, "100 seconds are left: nothing to extend");
    game.override_with(&lowering(299, 7, 10_901)).unwrap();
    assert_eq!(game.standing().deadline, 11_001);
    game.override_with(&lowering(299, 8, 11_000)).unwrap();
    assert_eq!(game.standing().deadline, 11_001, "an equal state extends nothing");
    for (at, now) in [(9, 11_000), (10, 11_099), (11, 11_198)] {
        game.override_with(&lowering(300 - u128::from(at), at, now)).unwrap();
    }
    assert_eq!(game.standing().deadline, 11_250, "windowEnd + maxExtension");
}

#[test]
fn a_slash_never_exceeds_what_the_disputer_still_gets() {
    let mut game = open(400);
    game.override_with(&lowering(100, 6, 10_001)).unwrap();
    let end = game.settle(11_000).unwrap();
    assert_eq!((end.slash, end.to_disputer), (amount(100), Amount::ZERO));
    assert_eq!(end.to_other, amount(1_000));
    assert_eq!((end.corrector, end.fee), (Some(TOWER), U256::from(7)));
}

#[test]
fn impossible_rules_are_refused() {
    assert!(rules().validate().is_ok());
    assert!(Rules { tower_bps: 10_001, ..rules() }.validate().is_err());
    assert!(Rules { slash_bps: 10_001, ..rules() }.validate().is_err());
    assert!(Rules { dispute_window: 0, ..rules() }.validate().is_err());
    assert!(Rules { response_extension: 0, ..rules() }.validate().is_err());
    let most = rules().max_extension;
    assert!(Rules { response_extension: most, ..rules() }.validate().is_ok());
    assert!(Rules { response_extension: most + 1, ..rules() }.validate().is_err());
}

proptest! {
    /// After any history of deposits and allocations, and of updates between them that carry the balance over by
    /// `p(v) - p(u)`, the newest state pays both sides exactly what they are due, and no state pays more than there is.
    #[test]
    fn honest_nodes_are_paid_exactly_and_every_state_pays_the_whole_escrow(
        steps in prop::collection::vec((0_u8..4, 0_u128..1 << 100), 1..40)
    ) {
        let mut ledger = Ledger::new();
        let (mut participant, mut vip) = (0_u128, 0_u128);
        let mut states = vec![(EscrowVersion::ZERO, Amount::ZERO)];
        for (kind, size) in steps {
            match kind {
                0 => { ledger.deposit(amount(size)).unwrap(); participant += size; }
                1 => { ledger.allocate(amount(size)).unwrap(); vip += size; }
                2 => {
                    // A payment from the richer side, signed at the newest version.
                    if participant > vip { let m = size.min(participant); participant -= m; vip += m; }
                    else { let m = size.min(vip); vip -= m; participant += m; }
                    states.push((ledger.last(), amount(participant)));
                }
                _ => {
                    let (a, b) = (size.min(participant) / 2, size.min(vip) / 3);
                    let (at, balance) = (ledger.last(), amount(participant));
                    ledger.withdraw(at, balance, amount(a), amount(b)).unwrap();
                    participant -= a;
                    vip -= b;
                    states.push((at, balance));
                }
            }
            let (at, balance) = *states.last().unwrap();
            let payout = ledger.payout(at, balance).unwrap();
            prop_assert_eq!((payout.participant.get(), payout.vip.get()), (participant, vip));
            prop_assert_eq!(ledger.unclamped(at, balance).unwrap(), i128::try_from(participant).unwrap());
            for (at, balance) in &states {
                let old = ledger.payout(*at, *balance).unwrap();
                prop_assert_eq!(old.participant.get() + old.vip.get(), participant + vip);
            }
        }
    }
}
