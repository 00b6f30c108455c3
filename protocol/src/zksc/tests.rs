use alloy_primitives::{Address, B256, U256};
use plonky2_field::types::{Field, Field64, PrimeField64};
use proptest::prelude::*;

use super::*;
use crate::{
    F,
    encoding::DecodeError,
    hash::Digest,
    ids::{Amount, ChannelId, Domain, EscrowVersion, Nonce, Role},
    schnorr::SignatureError,
    testing::{HEDGE, Pair, account, amount, nonce, signer, version},
    vipe::{Ledger, LedgerError},
};

fn debit(value: u128, version: EscrowVersion) -> Transition {
    Transition {
        change: Change::Debit(amount(value), PaymentId([7; 32])),
        version,
        salt: Salt::new([9; 32]),
        content: Digest::default(),
    }
}

fn ledger(steps: &[(i128, i128)]) -> Ledger {
    let mut ledger = Ledger::new();
    for (at, (p, h)) in steps.iter().enumerate() {
        ledger.append(version(at as u64 + 1), *p, *h).unwrap();
    }
    ledger
}

// ---------------------------------------------------------------------------------------------------- states

#[test]
fn the_twelve_elements_are_in_the_written_order() {
    let state = Pair::new(1).state_at(5, 3, (9 << 56) | 4);
    let elements = state.elements().map(|element| element.to_canonical_u64());
    let limbs = state.domain.limbs().map(|element| element.to_canonical_u64());
    assert_eq!(elements[..3], limbs);
    assert_eq!(elements[3..8], [1, 5, 3, 4, 9]);
    assert_eq!(elements[8..], state.app_root.map(|element| element.to_canonical_u64()));
}

#[test]
fn every_field_changes_the_digest() {
    let state = Pair::new(1).state(5, 77);
    let mut app_root = state.app_root;
    app_root[3] += F::ONE;
    let others = [
        State { domain: Domain::derive(1, Address::ZERO), ..state },
        State { channel_id: ChannelId::MAX, ..state },
        State { nonce: nonce(6), ..state },
        State { version: version(1), ..state },
        State { balance: amount(78), ..state },
        State { app_root, ..state },
    ];
    for other in others {
        assert_ne!(other.digest(), state.digest());
        assert_ne!(other.to_bytes(), state.to_bytes());
    }
}

#[test]
fn a_state_out_of_range_or_not_canonical_does_not_decode() {
    let good = Pair::new(1).state(5, 77).to_bytes();
    assert_eq!(State::from_bytes(&good).unwrap().to_bytes(), good);
    assert!(matches!(State::from_bytes(&good[1..]), Err(DecodeError::Length { .. })));
    let overwritten = |at: usize, with: &[u8]| {
        let mut bytes = good;
        bytes[at..at + with.len()].copy_from_slice(with);
        State::from_bytes(&bytes)
    };
    assert!(matches!(overwritten(21, &[0; 8]), Err(DecodeError::Id(_))), "channel 0");
    for at in [21, 29, 37, 45] {
        assert!(matches!(overwritten(at, &[1]), Err(DecodeError::Id(_))), "2^56 or 2^112 at {at}");
    }
    let p = F::ORDER.to_be_bytes();
    assert!(matches!(overwritten(61, &p), Err(DecodeError::Element(_))));
    let json = serde_json::to_string(&State::from_bytes(&good).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<State>(&json).unwrap().to_bytes(), good);
}

// ---------------------------------------------------------------------------------------------------- channels

#[test]
fn a_channel_whose_digest_is_not_that_of_its_keys_is_ignored() {
    let terms = *Pair::new(1).channel.terms();
    let refused = |change: fn(&mut ChannelTerms)| {
        let mut terms = terms;
        change(&mut terms);
        Channel::try_from(terms).unwrap_err()
    };
    assert_eq!(refused(|t| t.keys_digest = B256::ZERO), ChannelError::KeysDigest);
    let swapped = refused(|t| core::mem::swap(&mut t.participant.key, &mut t.counterparty.key));
    assert_eq!(swapped, ChannelError::KeysDigest);
    assert!(matches!(refused(|t| t.participant.key = t.counterparty.key), ChannelError::Key(_)));
    assert!(matches!(refused(|t| t.participant.key = [0; 5]), ChannelError::Key(_)));
    assert!(matches!(refused(|t| t.participant.key[0] = u64::MAX), ChannelError::Element(_)));
    let same = refused(|t| t.participant.account = t.counterparty.account);
    assert_eq!(same, ChannelError::Accounts);
    assert_eq!(refused(|t| t.counterparty.account = Address::ZERO), ChannelError::Accounts);
    let same = refused(|t| t.participant.session = t.counterparty.session);
    assert_eq!(same, ChannelError::Sessions);
    assert_eq!(refused(|t| t.counterparty.session = Address::ZERO), ChannelError::Sessions);
    assert_eq!(refused(|t| t.dispute_hash = B256::ZERO), ChannelError::Missing);
}

#[test]
fn a_channel_read_back_is_checked_again() {
    let channel = Pair::new(1).channel;
    let mut json = serde_json::to_value(channel).unwrap();
    assert_eq!(serde_json::from_value::<Channel>(json.clone()).unwrap(), channel);
    json["keys_digest"] = serde_json::to_value(B256::ZERO).unwrap();
    assert!(serde_json::from_value::<Channel>(json).is_err());
}

// ---------------------------------------------------------------------------------------------------- the ladder

#[test]
fn a_state_climbs_the_ladder_and_survives_its_encoding() {
    let pair = Pair::new(1);
    let partial = pair.sign_partial(pair.state(5, 77));
    let read = UnverifiedPartial::from_bytes(&partial.to_bytes()).unwrap();
    assert_eq!(read.verify(&pair.channel).unwrap(), partial);
    let state = pair.sign(pair.state(5, 77));
    assert_eq!(state.to_bytes().len(), FinalState::LEN);
    let read = UnverifiedFinal::from_bytes(&state.to_bytes()).unwrap();
    assert_eq!(read.verify(&pair.channel).unwrap(), state);
    assert_eq!(partial.complete(&pair.channel, &read).unwrap(), state);
}

#[test]
fn flipping_any_byte_of_a_final_state_is_noticed() {
    let pair = Pair::new(1);
    let good = pair.final_state(5, 77).to_bytes();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let verified = UnverifiedFinal::from_bytes(&bytes).map(|state| state.verify(&pair.channel));
        assert!(!matches!(verified, Ok(Ok(_))), "byte {at} does not matter");
    }
}

#[test]
fn a_state_of_another_channel_vault_or_chain_is_refused() {
    let pair = Pair::new(1);
    let state = pair.final_state(5, 77).unverified();
    let other = Pair::in_vault(1, 31_337, account(1, "vipe"), 2).channel;
    assert_eq!(state.verify(&other), Err(VerifyError::OtherChannel));
    let other = Pair::in_vault(1, 1, account(1, "vipe"), 1).channel;
    assert_eq!(state.verify(&other), Err(VerifyError::OtherDomain));
    let other = Pair::in_vault(1, 31_337, account(2, "vipe"), 1).channel;
    assert_eq!(state.verify(&other), Err(VerifyError::OtherDomain));
}

#[test]
fn the_first_checkpoint_is_never_signed() {
    let pair = Pair::new(1);
    let zero = PartialState::sign(pair.state(0, 0), &pair.channel, &pair.counterparty, &HEDGE);
    assert_eq!(zero, Err(VerifyError::NonceZero));
}

#[test]
fn one_partys_signatures_do_not_serve_as_the_others() {
    let pair = Pair::new(1);
    let mut state = pair.final_state(5, 77).unverified();
    core::mem::swap(&mut state.participant, &mut state.counterparty);
    assert!(matches!(state.verify(&pair.channel), Err(VerifyError::Session { .. })));
    core::mem::swap(&mut state.participant.session, &mut state.counterparty.session);
    assert!(matches!(
        state.verify(&pair.channel),
        Err(VerifyError::ChannelKey { error: SignatureError::Mismatch, .. })
    ));
    let wrong = PartialState::sign(pair.state(5, 77), &pair.channel, &pair.participant, &HEDGE);
    assert!(wrong.is_err(), "the participant signed as the counterparty");
    let partial = pair.sign_partial(pair.state(5, 77));
    assert!(partial.sign_final(&pair.channel, &pair.counterparty, &HEDGE).is_err());
    assert!(partial.sign_final(&pair.channel, &signer(2, Role::Participant), &HEDGE).is_err());
}

#[test]
fn both_locks_are_checked() {
    let pair = Pair::new(1);
    let good = pair.final_state(5, 77).unverified();
    let old = pair.final_state(4, 77).unverified();
    for role in Role::BOTH {
        let swap = |take: fn(&mut StateSignatures, &StateSignatures)| {
            let mut state = good;
            match role {
                Role::Participant => take(&mut state.participant, &old.participant),
                Role::Counterparty => take(&mut state.counterparty, &old.counterparty),
            }
            state.verify(&pair.channel).unwrap_err()
        };
        let session = swap(|to, from| to.session = from.session);
        assert!(matches!(session, VerifyError::Session { role: whose, .. } if whose == role));
        let channel = swap(|to, from| to.channel = from.channel);
        assert!(matches!(channel, VerifyError::ChannelKey { role: whose, .. } if whose == role));
    }
}

#[test]
fn completing_a_partial_state_takes_that_state_and_no_other() {
    let pair = Pair::new(1);
    let partial = pair.sign_partial(pair.state(5, 77));
    let other = pair.final_state(5, 78).unverified();
    assert_eq!(partial.complete(&pair.channel, &other), Err(VerifyError::OtherState));
    let mut forged = pair.final_state(5, 77).unverified();
    forged.participant = other.participant;
    assert!(partial.complete(&pair.channel, &forged).is_err());
}

// ---------------------------------------------------------------------------------------------------- statements

#[test]
fn a_statement_has_fifteen_words_in_the_written_order() {
    let pair = Pair::new(1);
    let state = pair.final_state(5, 77);
    let tower = account(1, "tower");
    let statement = Statement::new(&state, &pair.channel, tower).unwrap();
    let words = statement.to_words();
    let join =
        |limbs: &[U256]| limbs.iter().rev().fold(U256::ZERO, |value, limb| (value << 56) | limb);
    assert_eq!(join(&words[..3]), U256::from_be_slice(pair.channel.domain().as_bytes()));
    assert_eq!(words[3..6], [1, 5, 2].map(U256::from));
    assert_eq!(join(&words[6..8]), U256::from(77));
    let digest: Vec<u8> =
        words[8..12].iter().flat_map(|word| word.to::<u64>().to_be_bytes()).collect();
    assert_eq!(digest, pair.channel.terms().keys_digest.0);
    assert_eq!(join(&words[12..]), U256::from_be_slice(tower.as_slice()));
}

#[test]
fn a_statement_for_nobody_or_of_another_channel_is_refused() {
    let pair = Pair::new(1);
    let state = pair.final_state(5, 77);
    let nobody = Statement::new(&state, &pair.channel, Address::ZERO);
    assert_eq!(nobody, Err(StatementError::ZeroBeneficiary));
    let other = Statement::new(&state, &Pair::new(2).channel, account(1, "tower"));
    assert_eq!(other, Err(StatementError::OtherChannel));
}

// ---------------------------------------------------------------------------------------------------- transitions

#[test]
fn a_payment_moves_the_balance_by_its_amount_and_the_nonce_by_one() {
    let pair = Pair::new(1);
    let state = pair.state(5, 100);
    let next = debit(30, version(2)).apply(&state, &pair.ledger, amount(30)).unwrap();
    assert_eq!((next.nonce, next.balance, next.version), (nonce(6), amount(70), version(2)));
    let credit = Transition {
        change: Change::Credit(amount(5), PaymentId([1; 32])),
        ..debit(0, version(2))
    };
    let next = credit.apply(&next, &pair.ledger, amount(5)).unwrap();
    assert_eq!((next.nonce, next.balance), (nonce(7), amount(75)));
}

#[test]
fn a_version_move_carries_what_was_added_and_taken_to_who_did_it() {
    let ledger = ledger(&[(100, 0), (100, 50), (160, 50), (130, 40)]);
    let state = Pair::new(1).state_at(5, 1, 80);
    for (to, expected) in [(2, 80), (3, 140), (4, 110)] {
        let rebase = Transition { change: Change::Rebase, ..debit(0, version(to)) };
        let next = rebase.apply(&state, &ledger, Amount::ZERO).unwrap();
        assert_eq!((next.version, next.balance), (version(to), amount(expected)));
    }
}

#[test]
fn what_may_not_follow_is_refused() {
    let ledger = ledger(&[(100, 50), (100, 60)]);
    let state = Pair::new(1).state_at(5, 2, 100);
    let refused =
        |transition: Transition| transition.apply(&state, &ledger, amount(120)).unwrap_err();
    let with = |change: Change| Transition { change, ..debit(1, version(2)) };
    let id = PaymentId([0; 32]);
    assert!(matches!(refused(debit(1, version(1))), TransitionError::VersionDecreases { .. }));
    assert!(matches!(
        refused(debit(1, version(3))),
        TransitionError::Ledger(LedgerError::UnknownVersion(_))
    ));
    assert_eq!(refused(debit(101, version(2))), TransitionError::BalanceOutOfRange);
    assert_eq!(refused(with(Change::Credit(amount(61), id))), TransitionError::BalanceOutOfRange);
    assert_eq!(refused(with(Change::Credit(Amount::MAX, id))), TransitionError::BalanceOutOfRange);
    assert!(matches!(
        refused(with(Change::Credit(amount(121), id))),
        TransitionError::AboveMaxUpdate { .. }
    ));
    assert_eq!(refused(debit(0, version(2))), TransitionError::Nothing);
    assert_eq!(refused(with(Change::Rebase)), TransitionError::Nothing);
    let last = State { nonce: Nonce::MAX, ..state };
    let end = debit(1, version(2)).apply(&last, &ledger, amount(9));
    assert_eq!(end, Err(TransitionError::NoNonce));
    let next = debit(1, version(2)).apply(&state, &ledger, amount(9)).unwrap();
    let other = State { balance: amount(98), ..next };
    assert_eq!(
        debit(1, version(2)).check(&state, &other, &ledger, amount(9)),
        Err(TransitionError::OtherState)
    );
}

#[test]
fn a_transition_has_one_encoding() {
    for change in [
        Change::Debit(amount(1), PaymentId([1; 32])),
        Change::Credit(Amount::MAX, PaymentId([2; 32])),
        Change::Rebase,
    ] {
        let transition = Transition { change, ..debit(1, version(3)) };
        assert_eq!(Transition::from_bytes(&transition.to_bytes()), Ok(transition));
    }
    let mut bytes = Transition { change: Change::Rebase, ..debit(1, version(3)) }.to_bytes();
    bytes[16] = 1;
    assert_eq!(Transition::from_bytes(&bytes), Err(DecodeError::Shape));
    bytes[0] = 4;
    assert_eq!(Transition::from_bytes(&bytes), Err(DecodeError::Kind(4)));
    assert!(Transition::from_bytes(&bytes[1..]).is_err());
}

#[test]
fn the_app_root_hides_and_binds_what_it_commits_to() {
    let one = debit(1, version(2));
    let others = [
        Transition { salt: Salt::new([8; 32]), ..one },
        Transition { change: Change::Debit(amount(1), PaymentId([8; 32])), ..one },
        Transition { content: Digest([F::ONE; 4]), ..one },
    ];
    for other in others {
        assert_ne!(other.app_root(), one.app_root());
        assert_ne!(other.digest(), one.digest());
    }
    assert_eq!(format!("{:?}", one.salt), "Salt(..)");
}

proptest! {
    /// Whatever follows, the counterparty's claim stays `escrow - balance`: nothing is made or lost.
    #[test]
    fn a_next_state_is_backed_one_to_one(
        balance in 0_u128..2_000, change in 1_u128..3_000, up: bool, p in 0_i128..2_000, h in 0_i128..2_000
    ) {
        let ledger = ledger(&[(1_000, 1_000), (p, h)]);
        let state = Pair::new(1).state_at(5, 1, balance);
        let id = PaymentId([0; 32]);
        let kind = if up { Change::Credit(amount(change), id) } else { Change::Debit(amount(change), id) };
        let transition = Transition { change: kind, ..debit(1, version(2)) };
        if let Ok(next) = transition.apply(&state, &ledger, Amount::MAX) {
            let moved = i128::try_from(balance).unwrap() + p - 1_000;
            let step = i128::try_from(change).unwrap();
            let expected = if up { moved + step } else { moved - step };
            prop_assert_eq!(i128::try_from(next.balance.get()).unwrap(), expected);
            prop_assert!(next.balance <= ledger.escrow(version(2)).unwrap());
        }
    }
}
