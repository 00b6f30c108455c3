//! What both parties do by consent.

use super::*;

fn paid(participant: u128, vip: u128) -> Payout {
    Payout { participant: amount(participant), vip: amount(vip) }
}

fn withdrawal(at: u64, balance: u128, paid: Payout) -> Withdrawal {
    let (nonce, version) = (nonce(at), version(2));
    Withdrawal { nonce, version, balance: amount(balance), paid, deadline: 50 }
}

/// 600 of the participant, 400 of the pool.
fn live() -> Channel {
    let mut ledger = Ledger::new();
    ledger.deposit(amount(600)).unwrap();
    ledger.allocate(amount(400)).unwrap();
    Channel::new(ledger)
}

#[test]
fn a_withdrawal_works_once_and_voids_every_other_consent() {
    let mut channel = live();
    let first = withdrawal(5, 450, paid(100, 30));
    assert_eq!(channel.withdraw(0, &first, 51), Err(ConsentRefusal::Expired(50)));
    assert_eq!(channel.withdraw(1, &first, 50), Err(ConsentRefusal::Seq { next: 0, got: 1 }));
    assert_eq!(channel.withdraw(0, &first, 50), Ok(version(3)));
    assert_eq!(channel.withdraw(0, &first, 50), Err(ConsentRefusal::Seq { next: 1, got: 0 }));
    assert!(matches!(channel.withdraw(1, &first, 50), Err(ConsentRefusal::NotNewer { .. })));
    let checkpoint = channel.checkpoint();
    assert_eq!((checkpoint.nonce, checkpoint.balance), (nonce(5), amount(450)));
    assert_eq!(channel.ledger().payout(version(2), amount(450)).unwrap(), paid(350, 520));
}

#[test]
fn a_withdrawal_is_refused_in_a_dispute_and_beyond_what_the_state_leaves() {
    let mut channel = live();
    let greedy = withdrawal(5, 450, paid(451, 0));
    assert_eq!(
        channel.withdraw(0, &greedy, 1),
        Err(ConsentRefusal::Ledger(LedgerError::WithdrawalNotCovered))
    );
    channel.disputed();
    let good = withdrawal(5, 450, paid(1, 1));
    assert_eq!(channel.withdraw(0, &good, 1), Err(ConsentRefusal::Disputed));
}

#[test]
fn while_a_withdrawal_is_open_only_states_that_leave_it_to_both_sides_cover_it() {
    let channel = live();
    let open = withdrawal(5, 450, paid(100, 30));
    let covered = |balance| open.covered_by(channel.ledger(), version(2), amount(balance)).unwrap();
    assert!(covered(100) && covered(970) && covered(450));
    assert!(!covered(99) && !covered(971));
    assert!(open.covered_by(channel.ledger(), version(9), amount(1)).is_err());
}

#[test]
fn a_close_pays_the_whole_escrow_of_a_live_channel_once() {
    let mut channel = live();
    let close =
        |epoch, participant, vip| Closing { epoch, paid: paid(participant, vip), deadline: 9 };
    assert!(matches!(
        channel.close(0, &close(0, 600, 401), None, 1),
        Err(ConsentRefusal::NotTheWholeEscrow { paid: 1_001, .. })
    ));
    assert_eq!(
        channel.close(0, &close(1, 600, 400), None, 1),
        Err(ConsentRefusal::Epoch { open: 0, got: 1 })
    );
    channel.close(0, &close(0, 600, 400), None, 9).unwrap();
    assert!(channel.settled());
    assert_eq!(channel.close(1, &close(0, 600, 400), None, 9), Err(ConsentRefusal::Settled));
}

#[test]
fn a_close_in_a_dispute_is_announced_and_leaves_overrides_paid() {
    let mut channel = live();
    let epoch = channel.disputed();
    let mut game = open(400);
    let close = |epoch| Closing { epoch, paid: paid(900, 100), deadline: u64::MAX };
    assert_eq!(
        channel.close(0, &close(0), Some(&mut game), 10_001),
        Err(ConsentRefusal::Epoch { open: 1, got: 0 })
    );
    channel.close(0, &close(epoch), Some(&mut game), 10_001).unwrap();
    assert_eq!(game.standing().deadline, 10_101, "an extension from now");
    assert_eq!(
        channel.close(1, &close(epoch), Some(&mut game), 10_002),
        Err(ConsentRefusal::Dispute(Refusal::Closing))
    );
    let raise = Move { by_disputer: true, value: U256::from(100), ..lowering(500, 6, 10_050) };
    assert_eq!(game.override_with(&raise), Err(Refusal::Closing));
    let lowered = game.override_with(&lowering(100, 6, 10_100)).unwrap();
    assert_eq!(lowered.to_beneficiary, U256::from(150));
    assert_eq!(game.standing().deadline, 10_101, "no extension any more");
    let end = game.settle(10_101).unwrap();
    assert_eq!(
        (end.to_disputer, end.to_other, end.slash),
        (amount(900), amount(100), Amount::ZERO)
    );
    assert_eq!(
        (end.bond_returned, end.fee, end.corrector),
        (U256::from(100), U256::from(7), Some(TOWER))
    );
}

#[test]
fn a_late_close_lengthens_nothing_and_after_the_deadline_there_is_none() {
    let mut game = open(400);
    assert_eq!(
        game.announce(paid(1, 1), 10_990),
        Err(Refusal::NotTheWholeEscrow { paid: 2, escrow: amount(1_000) })
    );
    assert_eq!(
        game.announce(paid(1_000, 0), 11_000),
        Err(Refusal::WindowClosed { deadline: 11_000 })
    );
    assert_eq!(game.announce(paid(1_000, 0), 10_990), Ok(11_000));
    game.settle(11_000).unwrap();
    assert_eq!(game.announce(paid(1_000, 0), 11_000), Err(Refusal::AlreadySettled));
}
