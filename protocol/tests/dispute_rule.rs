//! The dispute twin against two oracles: schedules that an independent program in another language computed, and a
//! naive game in unbounded integers that random schedules are played on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use num_bigint::BigInt;
use proptest::prelude::*;
use protocol::{
    Address, Amount, Nonce, Role, U256,
    vipe::{DisputeGame, Move, MoveKind, Opening, Rate, Rules, bond},
};
use serde_json::Value;

/// Wei that are more than any opening needs.
const PLENTY: U256 = U256::from_limbs([0, 0, 0, 1 << 60]);

fn account(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn big(value: U256) -> BigInt {
    BigInt::from_bytes_be(num_bigint::Sign::Plus, &value.to_be_bytes::<32>())
}

fn wei(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

fn amount(value: &Value) -> Amount {
    value.as_str().unwrap().parse().unwrap()
}

fn int(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn rules_of(schedule: &Value) -> Rules {
    Rules {
        dispute_window: int(&schedule["window"]),
        response_extension: int(&schedule["extension"]),
        max_extension: int(&schedule["most"]),
        fee_floor: schedule["fee"].as_str().unwrap().parse().unwrap(),
        fee_gas: 0,
        tower_bps: u16::try_from(int(&schedule["tower"])).unwrap(),
        slash_bps: u16::try_from(int(&schedule["slash"])).unwrap(),
    }
}

fn play(schedule: &Value) {
    let escrow = amount(&schedule["escrow"]);
    let opening = &schedule["opening"];
    let opening = Opening {
        disputer: Role::Counterparty,
        checkpoint: Nonce::ZERO,
        nonce: Nonce::try_from(int(&opening["nonce"])).unwrap(),
        pays: amount(&opening["pays"]),
        claim: amount(&opening["claim"]),
        escrow,
        value: PLENTY,
        base_fee: 0,
        now: int(&opening["now"]),
    };
    let rate: Rate = schedule["rate"].as_str().unwrap().parse().unwrap();
    let (mut game, back) = DisputeGame::open(rules_of(schedule), rate, &opening).unwrap();
    assert_eq!(game.held() + back, PLENTY);
    for step in schedule["moves"].as_array().unwrap() {
        let paid = game.override_with(&Move {
            nonce: Nonce::try_from(int(&step["nonce"])).unwrap(),
            pays: amount(&step["pays"]),
            by_disputer: step["by_disputer"].as_bool().unwrap(),
            beneficiary: account(int(&step["beneficiary"])),
            value: wei(&step["value"]),
            now: int(&step["now"]),
        });
        match (&step["paid"], paid) {
            (Value::Null, Err(_)) => {}
            (expected @ Value::Object(_), Ok(paid)) => {
                assert_eq!(serde_json::to_value(paid.kind).unwrap(), expected["kind"]);
                assert_eq!(paid.to_beneficiary, wei(&expected["beneficiary"]));
                assert_eq!(paid.to_other, wei(&expected["other"]));
            }
            (expected, got) => panic!("{step}: expected {expected}, got {got:?}"),
        }
        assert_eq!(game.standing().deadline, int(&step["deadline"]));
        assert_eq!(game.held(), wei(&step["held"]));
    }
    let expected = &schedule["settlement"];
    let end = game.settle(game.standing().deadline).unwrap();
    assert_eq!(end.to_disputer, amount(&expected["disputer"]));
    assert_eq!(end.to_other, amount(&expected["other"]));
    assert_eq!(end.slash, amount(&expected["slash"]));
    assert_eq!(end.bond_returned, wei(&expected["bond"]));
    assert_eq!(end.corrector, expected["corrector"].as_u64().map(account));
}

#[test]
fn the_twin_pays_what_the_reference_schedules_say() {
    let schedules: Value = serde_json::from_str(include_str!("vectors/dispute_rule.json")).unwrap();
    let schedules = schedules.as_array().unwrap();
    assert_eq!(schedules.len(), 120);
    schedules.iter().for_each(play);
}

/// The rule in unbounded integers, with every wei that anybody paid in or was credited.
struct Naive {
    rate: BigInt,
    tower: BigInt,
    claim: BigInt,
    peak: BigInt,
    posted: BigInt,
    credited: BigInt,
}

impl Naive {
    fn bond(&self, claim: &BigInt) -> BigInt {
        let whole = BigInt::from(1) << 64;
        (claim * &self.rate + &whole - BigInt::from(1)) / whole
    }

    /// What the beneficiary and the other party are credited when the claim falls to `to`.
    fn lower(&mut self, to: &BigInt) -> (BigInt, BigInt) {
        let freed = self.bond(&self.claim) - self.bond(to);
        let mine: BigInt = &freed * &self.tower / 10_000;
        self.credited += &freed;
        self.claim = to.clone();
        (mine.clone(), freed - mine)
    }

    fn raise(&mut self, to: &BigInt) -> BigInt {
        let value = self.bond(to) - self.bond(&self.claim);
        self.posted += &value;
        self.claim = to.clone();
        self.peak = self.peak.clone().max(to.clone());
        value
    }
}

/// One schedule: the attacker opens and plays `before`, a tower brings the live state, the coalition plays `after`.
#[derive(Debug, Clone)]
struct Schedule {
    escrow: u128,
    rate: u128,
    tower_bps: u16,
    slash_bps: u16,
    fee: u128,
    claim: u128,
    before: Vec<u128>,
    live: u128,
    after: Vec<u128>,
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let size = prop_oneof![Just(5_u32), Just(20), Just(64), Just(112)];
    (size, 1_u32..=96, 0_u16..=10_000, 0_u16..=10_000, 0_u128..1 << 90).prop_flat_map(
        |(bits, rate_bits, tower_bps, slash_bps, fee)| {
            let claim = 0..1_u128 << bits;
            let claims = || prop::collection::vec(0..1_u128 << bits, 0..4);
            (claim.clone(), 0..1_u128 << rate_bits, claims(), claim, claims()).prop_map(
                move |(claim, rate, before, live, after)| Schedule {
                    escrow: (1 << bits) - 1,
                    rate,
                    tower_bps,
                    slash_bps,
                    fee,
                    claim,
                    before,
                    live,
                    after,
                },
            )
        },
    )
}

/// Both games side by side.
struct Table {
    game: DisputeGame,
    naive: Naive,
    nonce: u64,
}

impl Table {
    fn open(plan: &Schedule) -> Self {
        let rules = Rules {
            dispute_window: 1_000,
            response_extension: 100,
            max_extension: 100,
            fee_floor: plan.fee,
            fee_gas: 0,
            tower_bps: plan.tower_bps,
            slash_bps: plan.slash_bps,
        };
        let claim = Amount::try_from(plan.claim).unwrap();
        let opening = Opening {
            disputer: Role::Participant,
            checkpoint: Nonce::ZERO,
            nonce: Nonce::ZERO,
            pays: claim,
            claim,
            escrow: Amount::try_from(plan.escrow).unwrap(),
            value: PLENTY,
            base_fee: 0,
            now: 0,
        };
        let rate = Rate::try_from(plan.rate).unwrap();
        let (game, back) = DisputeGame::open(rules, rate, &opening).unwrap();
        let naive = Naive {
            rate: plan.rate.into(),
            tower: plan.tower_bps.into(),
            claim: plan.claim.into(),
            peak: plan.claim.into(),
            posted: big(PLENTY - back),
            credited: BigInt::ZERO,
        };
        Self { game, naive, nonce: 0 }
    }

    /// Plays the next nonce with the claim `to`; false where the rule allows no such move.
    fn play(&mut self, to: u128, who: u64) -> bool {
        self.nonce += 1;
        let target = BigInt::from(to);
        let raised = self.game.standing().raised;
        let up = target > self.naive.claim;
        let value = if up && !raised { self.naive.raise(&target) } else { BigInt::ZERO };
        let paid = self.game.override_with(&Move {
            nonce: Nonce::try_from(self.nonce).unwrap(),
            pays: Amount::try_from(to).unwrap(),
            by_disputer: up,
            beneficiary: account(who),
            value: U256::from_be_slice(&value.to_bytes_be().1),
            now: 1,
        });
        if up && raised {
            assert!(paid.is_err(), "a second raise was let through");
            return false;
        }
        let paid = paid.unwrap();
        if !up {
            let (mine, other) = self.naive.lower(&target);
            assert_eq!((big(paid.to_beneficiary), big(paid.to_other)), (mine, other));
        }
        let held = &self.naive.posted - &self.naive.credited;
        assert_eq!(big(self.game.held()), held, "the dispute holds exactly its fee and bond");
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A lowering is paid by its size alone, whatever was played before and after; ether and asset are conserved; who
    /// brings the live state last makes the victim whole, and the attacker loses the other side's share and the slash.
    #[test]
    fn no_schedule_takes_a_towers_reward_or_the_victims_money(plan in schedules()) {
        let mut table = Table::open(&plan);
        for to in &plan.before {
            if !table.play(*to, 2) { return Ok(()); }
        }
        let wrong = table.naive.claim.clone();
        let wrong = u128::try_from(wrong).unwrap();
        if wrong == 0 {
            return Ok(());
        }
        let live = plan.live % wrong;
        let wrong = BigInt::from(wrong);
        prop_assert!(table.play(live, 1));
        let correction = table.naive.bond(&wrong) - table.naive.bond(&live.into());
        let reward = &correction * plan.tower_bps / 10_000;
        let whole: BigInt = BigInt::from(10_000) << 64;
        let exact = (&wrong - BigInt::from(live)) * plan.rate * plan.tower_bps;
        prop_assert!((&reward + 2) * &whole > exact, "reward below the promise by more than 2 wei");
        for to in &plan.after {
            if !table.play(*to, 3) { return Ok(()); }
        }
        let Table { mut game, naive, .. } = table;
        let end = game.settle(game.standing().deadline).unwrap();
        prop_assert_eq!(end.to_disputer.get() + end.to_other.get(), plan.escrow);
        prop_assert_eq!(big(end.fee) + big(end.bond_returned), naive.posted - naive.credited);
        if plan.after.is_empty() {
            prop_assert_eq!(end.corrector, Some(account(1)), "the last corrector gets the fee");
            let struck = naive.peak - BigInt::from(live);
            let slash = BigInt::from(live).min(struck * plan.slash_bps / 10_000);
            prop_assert_eq!(&BigInt::from(end.slash.get()), &slash);
            prop_assert_eq!(BigInt::from(end.to_other.get()), plan.escrow - BigInt::from(live) + slash);
        }
    }

    /// Whoever opens with the live state and is never corrected gets its claim and every wei back.
    #[test]
    fn an_honest_exiter_gets_everything_back(plan in schedules()) {
        let Table { mut game, naive, .. } = Table::open(&plan);
        let end = game.settle(1_000).unwrap();
        prop_assert_eq!((end.to_disputer.get(), end.corrector), (plan.claim, None));
        prop_assert_eq!(big(end.fee + end.bond_returned), naive.posted);
    }

    /// Striking a claim down in steps pays at most what one step pays, so that a staircase of dust gains nothing.
    #[test]
    fn splitting_a_correction_gains_nothing(
        claim in 1_u128..1 << 100, cut in 0_u128..1 << 100, rate in 0_u128..1 << 96, tower_bps in 0_u16..=10_000
    ) {
        let middle = cut.min(claim);
        let rate = Rate::try_from(rate).unwrap();
        let u = |w: u128| big(bond(Amount::try_from(w).unwrap(), rate));
        let pay = |from: u128, to: u128| (u(from) - u(to)) * tower_bps / 10_000;
        let split = pay(claim, middle) + pay(middle, 0);
        prop_assert!(split <= pay(claim, 0));
        prop_assert!(split + 1 >= pay(claim, 0));
    }
}

#[test]
fn the_kinds_of_a_move_are_named_as_the_contract_names_them() {
    let names = [MoveKind::Lower, MoveKind::Equal, MoveKind::Raise]
        .map(|kind| serde_json::to_value(kind).unwrap());
    assert_eq!(names, ["lower", "equal", "raise"]);
}
