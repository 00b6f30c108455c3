use proptest::prelude::*;

use super::{
    terms::{PARTS_MAX, TermsFields},
    *,
};
use crate::{
    hash::Digest,
    ids::{Amount, ChannelId, Sequence},
    testing::{amount, nonce},
    zksc::PaymentId,
};

mod held;
mod notes;
mod runs;
mod world;

fn fields() -> TermsFields {
    TermsFields {
        domain: crate::testing::Pair::new(1).channel.domain(),
        payer: ChannelId::MIN,
        payee: ChannelId::try_from(2).unwrap(),
        amount: amount(100),
        fee: amount(1),
        sequence: Sequence::MIN,
        reference: [7; 32],
        part: 0,
        parts: 1,
    }
}

#[test]
fn every_field_of_the_terms_changes_the_payment_id() {
    let base = Terms::try_from(fields()).unwrap();
    let changes: [fn(&mut TermsFields); 9] = [
        |f| f.domain = crate::testing::Pair::new(2).channel.domain(),
        |f| f.payer = ChannelId::try_from(3).unwrap(),
        |f| f.payee = ChannelId::try_from(3).unwrap(),
        |f| f.amount = amount(101),
        |f| f.fee = amount(2),
        |f| f.sequence = Sequence::try_from(2).unwrap(),
        |f| f.reference[31] ^= 1,
        |f| (f.part, f.parts) = (1, 2),
        |f| f.parts = 2,
    ];
    for change in changes {
        let mut other = fields();
        change(&mut other);
        assert_ne!(Terms::try_from(other).unwrap().id(), base.id());
    }
}

#[test]
fn terms_that_pay_nothing_or_oneself_or_no_part_are_refused() {
    let refused = |change: fn(&mut TermsFields)| {
        let mut other = fields();
        change(&mut other);
        Terms::try_from(other).is_err()
    };
    assert!(refused(|f| f.amount = Amount::ZERO));
    assert!(refused(|f| f.payee = f.payer));
    assert!(refused(|f| (f.amount, f.fee) = (Amount::MAX, amount(1))));
    assert!(refused(|f| (f.part, f.parts) = (1, 1)));
    assert!(refused(|f| f.parts = 0));
    assert!(refused(|f| f.parts = PARTS_MAX + 1));
}

fn entries(count: u64) -> Vec<Entry> {
    (1..=count)
        .map(|n| Entry {
            kind: EntryKind::Debit,
            amount: amount(u128::from(n)),
            payment: PaymentId([u8::try_from(n % 251).unwrap(); 32]),
            nonce: nonce(n),
        })
        .collect()
}

#[test]
fn a_message_is_read_back_and_nothing_else_is() {
    let terms = Terms::try_from(fields()).unwrap();
    let key = crate::testing::signer(1, crate::Role::Participant);
    let id = terms.id();
    let receipt = SignedReceipt::sign(id, key.channel_key(), &[1; 32]);
    let all = [
        Message::Request(terms),
        Message::Accepted(id),
        Message::Refused { payment: id, reason: Reason::PaidBack, next: Sequence::MAX },
        Message::PayBack(terms),
        Message::Offer(terms),
        Message::Receipt(receipt),
        Message::ReceiptKept(id),
        Message::Done(id),
        Message::Credited(id),
        Message::Refused { payment: id, reason: Reason::NotBacked, next: Sequence::MIN },
    ];
    for message in all {
        let bytes = message.to_bytes();
        assert!(bytes.len() <= Message::MAX_LEN);
        assert_eq!(Message::from_bytes(&bytes), Ok(message));
        assert!(Message::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Message::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(Message::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_entry_of_a_history_is_proven_and_no_other_is(count in 1_u64..70, at in 0_u64..70) {
        let (all, at) = (entries(count), at % count);
        let mut history = History::default();
        let mut last = None;
        for entry in &all {
            let (next, proof) = history.append(entry);
            prop_assert_eq!(proof.root(entry), Some(next.root()));
            (history, last) = (next, Some(proof));
        }
        let proof = HistoryProof::new(Digest::default(), &all, at).unwrap();
        let entry = all[usize::try_from(at).unwrap()];
        prop_assert_eq!(proof.root(&entry), Some(history.root()));
        let forged = Entry { amount: amount(9_999), ..entry };
        prop_assert_ne!(proof.root(&forged), Some(history.root()));
        let elsewhere = HistoryProof { index: (at + 1) % count, ..proof.clone() };
        prop_assert!(count == 1 || elsewhere.root(&entry) != Some(history.root()));
        let longer = HistoryProof { count: count + 1, ..proof };
        prop_assert_ne!(longer.root(&entry), Some(history.root()));
        prop_assert_eq!(HistoryProof::new(Digest::default(), &all, count - 1), last);
    }

    #[test]
    fn parts_add_up_and_fit_their_limits(
        total in 1_u128..1_000_000, debit_max in 2_u128..100_000, credit_max in 1_u128..100_000,
        base in 0_u128..3, millionths in 0_u32..200_000,
    ) {
        let policy = FeePolicy { base: amount(base), millionths };
        let (debit_max, credit_max) = (amount(debit_max), amount(credit_max));
        if let Ok(parts) = split(amount(total), &policy, debit_max, credit_max) {
            prop_assert_eq!(parts.iter().map(|part| part.get()).sum::<u128>(), total);
            for part in parts {
                let fee = policy.fee(part).unwrap();
                let exact = part.get() * u128::from(millionths);
                prop_assert!(fee.get() * 1_000_000 >= exact + base * 1_000_000);
                prop_assert!((fee.get() - base) * 1_000_000 < exact + 1_000_000);
                prop_assert!(part.checked_add(fee).unwrap() <= debit_max && part <= credit_max);
            }
        }
    }
}

#[test]
fn a_fee_of_the_largest_amount_does_not_overflow() {
    let policy = FeePolicy { base: Amount::ZERO, millionths: 1_000_000 };
    assert_eq!(policy.fee(Amount::MAX), Some(Amount::MAX));
    assert_eq!(FeePolicy { base: amount(1), ..policy }.fee(Amount::MAX), None);
}
