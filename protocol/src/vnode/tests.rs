use alloy_primitives::{Address, U256};

use super::*;
use crate::{
    ids::Role,
    testing::{Pair, account, amount, nonce},
    vipe::{DisputeGame, Move, Opening, Rate, Rules},
    zksc::FinalState,
};

mod close;
mod coverage;
mod exit;
mod link;
mod rescue;
mod restore;

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
