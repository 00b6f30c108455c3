use super::*;
use crate::{
    vipe::{Payout, Standing},
    vnode::close::{CloseInDispute, CloseRefusal, LEAST_LEFT_S, closing},
};

const EPOCH: u64 = 3;
const ROLES: [Role; 2] = [Role::Participant, Role::Counterparty];

/// The newest state pays the participant 700,000 of 2,000,000.
fn newest() -> Payout {
    Payout { participant: amount(700_000), vip: amount(2 * SIDE - 700_000) }
}

fn signs(
    policy: CloseInDispute,
    role: Role,
    standing: &Standing,
    now: u64,
) -> Result<Payout, CloseRefusal> {
    let signed = closing(policy, role, (EPOCH, standing), newest(), (now, now + 9))?;
    assert_eq!((signed.epoch, signed.deadline), (EPOCH, now + 9));
    Ok(signed.paid)
}

#[test]
fn an_honest_dispute_is_closed_with_what_its_settlement_would_pay_and_overrides_stay_paid() {
    let mut game = game(4, 700_000);
    let outcome = game.outcome();
    for role in ROLES {
        let paid = signs(CloseInDispute::default(), role, game.standing(), 10_010).unwrap();
        assert_eq!((paid.participant, paid.vip), (outcome.to_disputer, outcome.to_other));
    }
    let deadline = game.announce(newest(), 10_010).unwrap();
    assert_eq!(deadline, 10_010 + rules().response_extension);
    let step = Move {
        nonce: nonce(9),
        pays: amount(100_000),
        by_disputer: false,
        beneficiary: me(),
        value: U256::ZERO,
        now: deadline - 1,
    };
    assert_eq!(game.override_with(&step).unwrap().to_beneficiary, U256::from(300_000));
    let settled = game.settle(deadline).unwrap();
    assert_eq!((settled.to_disputer, settled.to_other), (newest().participant, newest().vip));
}

#[test]
fn what_a_stale_claim_costs_the_other_party_is_waived_only_where_the_policy_says_so() {
    for caught in [false, true] {
        let mut standing = *game(4, 700_001).standing();
        if caught {
            // Struck down since: what stands claims less.
            standing.claim = amount(600_000);
        }
        let signs = |policy, role| signs(policy, role, &standing, 10_010);
        let victim = Role::Counterparty;
        assert_eq!(signs(CloseInDispute::Honest, victim), Err(CloseRefusal::Waives));
        assert_eq!(signs(CloseInDispute::Always, victim), Ok(newest()));
        assert_eq!(signs(CloseInDispute::Honest, Role::Participant), Ok(newest()));
        for role in ROLES {
            assert_eq!(signs(CloseInDispute::Never, role), Err(CloseRefusal::Never));
        }
    }
    let modest = *game(4, 600_000).standing();
    assert_eq!(signs(CloseInDispute::Honest, Role::Counterparty, &modest, 10_010), Ok(newest()));
}

#[test]
fn a_close_is_not_signed_shortly_before_the_deadline_nor_twice_in_one_dispute() {
    let mut standing = *game(4, 700_000).standing();
    for role in ROLES {
        let last = standing.deadline - LEAST_LEFT_S;
        assert!(signs(CloseInDispute::Always, role, &standing, last).is_ok());
        let late = Err(CloseRefusal::TooLate(standing.deadline));
        assert_eq!(signs(CloseInDispute::Always, role, &standing, last + 1), late);
    }
    standing.agreed = Some(newest());
    let announced = Err(CloseRefusal::Announced(standing.deadline));
    assert_eq!(signs(CloseInDispute::Always, Role::Participant, &standing, 10_010), announced);
}
