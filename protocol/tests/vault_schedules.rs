//! The dispute twin against the very schedules that the vault's contract replays: overrides, raises, and closes by consent,
//! with every refusal, deadline and wei.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use protocol::{
    Address, Amount, Nonce, Role, U256,
    vipe::{DisputeGame, Move, MoveKind, Opening, Payout, Rate, Refusal, Rules},
};
use serde_json::Value;

/// Numbers are decimal text in these schedules.
fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

fn actor(value: &Value) -> Address {
    Address::left_padding_from(&(number::<u64>(value) + 1).to_be_bytes())
}

fn rules_of(schedule: &Value) -> Rules {
    Rules {
        dispute_window: number(&schedule["window"]),
        response_extension: number(&schedule["extension"]),
        max_extension: number(&schedule["maxExtension"]),
        fee_floor: number(&schedule["feeFloor"]),
        fee_gas: number(&schedule["feeGas"]),
        tower_bps: number(&schedule["towerBps"]),
        slash_bps: number(&schedule["slashBps"]),
    }
}

/// The outcome in the numbers of the schedules.
fn outcome_of(kind: &Value, game: &mut DisputeGame, step: &Value, escrow: Amount) -> u8 {
    let (now, pays) = (number(&step["time"]), number::<Amount>(&step["pays"]));
    let refused = |refusal| match refusal {
        Refusal::WindowClosed { .. } => 3,
        Refusal::NotNewer { .. } => 4,
        Refusal::RaiseByOther => 5,
        Refusal::RaisedBefore => 6,
        Refusal::ValueMismatch { .. } => 7,
        Refusal::Closing => 9,
        other => panic!("{step}: {other}"),
    };
    if number::<u8>(kind) == 1 {
        let rest = escrow.checked_sub(pays).unwrap();
        let agreed = match game.standing().disputer {
            Role::Participant => Payout { participant: pays, vip: rest },
            Role::Counterparty => Payout { participant: rest, vip: pays },
        };
        return game.announce(agreed, now).map_or_else(refused, |_deadline| 8);
    }
    let paid = game.override_with(&Move {
        nonce: Nonce::try_from(number::<u64>(&step["nonce"])).unwrap(),
        pays,
        by_disputer: number::<u64>(&step["sender"]) == 0,
        beneficiary: actor(&step["beneficiary"]),
        value: number(&step["value"]),
        now,
    });
    paid.map_or_else(refused, |paid| match paid.kind {
        MoveKind::Lower => 0,
        MoveKind::Equal => 1,
        MoveKind::Raise => 2,
    })
}

fn play(schedule: &Value) {
    let sum = number::<u128>(&schedule["deposit"]) + number::<u128>(&schedule["allocation"]);
    let escrow = Amount::try_from(sum).unwrap();
    let participant = number::<u8>(&schedule["byParticipant"]) == 1;
    let opening = Opening {
        disputer: if participant { Role::Participant } else { Role::Counterparty },
        checkpoint: Nonce::ZERO,
        nonce: Nonce::try_from(1).unwrap(),
        pays: number(&schedule["pays"]),
        claim: number(&schedule["claim"]),
        escrow,
        value: number(&schedule["value"]),
        base_fee: number(&schedule["baseFee"]),
        now: 0,
    };
    let rate: Rate = number(&schedule["rate"]);
    let (mut game, back) = DisputeGame::open(rules_of(schedule), rate, &opening).unwrap();
    assert_eq!(game.held() + back, opening.value);
    let mut credited = back;
    for step in schedule["steps"].as_array().unwrap() {
        let before = game.held();
        let outcome = outcome_of(&step["kind"], &mut game, step, escrow);
        assert_eq!(outcome, number::<u8>(&step["outcome"]), "{step}");
        assert_eq!(game.standing().claim, number::<Amount>(&step["claim"]));
        assert_eq!(game.standing().deadline, number::<u64>(&step["deadline"]));
        if outcome == 0 {
            credited += before - game.held();
        }
        assert_eq!(game.held() + credited, number::<U256>(&step["held"]), "{step}");
    }
    let end = game.settle(game.standing().deadline).unwrap();
    assert_eq!(end.slash, number::<Amount>(&schedule["slash"]));
    assert_eq!(end.to_disputer, number::<Amount>(&schedule["disputerAsset"]));
    assert_eq!(end.to_other, number::<Amount>(&schedule["otherAsset"]));
    let credits = schedule["credits"].as_array().unwrap();
    let all = credits.iter().map(number::<U256>).fold(U256::ZERO, |sum, credit| sum + credit);
    assert_eq!(all, credited + end.bond_returned + end.fee, "every wei is somebody's");
}

#[test]
fn the_twin_ends_every_schedule_of_the_vault_as_the_vault_does() {
    let text = include_str!("../../chain/contracts/test/vectors/dispute_schedules.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let schedules = file["schedules"].as_array().unwrap();
    assert_eq!(schedules.len(), number::<usize>(&file["count"]));
    assert!(schedules.len() >= 400);
    schedules.iter().for_each(play);
}
