//! Debt notes: what verifies, what does not, and which answers quit the hub.

use super::{
    world::{Faults, World, id},
    *,
};
use crate::{
    payment::{hub::HubPayment, wallet::Direction},
    testing::nonce,
    zksc::{Channel, VerifyError},
};

struct Case {
    note: DebtNote,
    payer: Channel,
    payee: Channel,
    receipt: SignedReceipt,
    credit: Commitment,
}

/// A payment that was received, and what every side kept of it.
fn case() -> Case {
    let mut world = World::new(7, 2, Faults::NONE);
    world.fund();
    assert!(world.pay(1, 2, 10_000));
    world.calm_down(4_000);
    let book = |at: u64| world.wallets[&id(at)].book().payments.values().next().unwrap();
    let (out, into) = (book(1), book(2));
    assert_eq!((out.direction, into.direction), (Direction::Outgoing, Direction::Incoming));
    Case {
        note: out.note().unwrap(),
        payer: world.pairs[&id(1)].channel,
        payee: world.pairs[&id(2)].channel,
        receipt: into.receipt.unwrap(),
        credit: into.credit.clone().unwrap(),
    }
}

#[test]
fn a_note_is_owed_until_the_hub_answers_with_the_receipt_or_the_credit() {
    let Case { note, payer, payee, receipt, credit } = case();
    let debt = note.verify(&payer, &payee).unwrap();
    assert_eq!(debt.nonce, nonce(2));
    let judge = |answer: Option<&Answer>| note.judge(answer, &payer, &payee);
    assert_eq!(judge(None), Ok(Ruling::Owed(debt)));
    assert_eq!(judge(Some(&Answer::Receipt(receipt))), Ok(Ruling::Received(debt)));
    let credited = Ruling::Credited { debt, nonce: nonce(2) };
    assert_eq!(judge(Some(&Answer::Credit(Box::new(credit.clone())))), Ok(credited));
    assert!(
        judge(Some(&Answer::PaidBack(Box::new(credit)))).is_err(),
        "the payee's state is not the payer's"
    );
    let debit = note.debit.clone();
    assert_eq!(judge(Some(&Answer::Credit(Box::new(debit)))), Err(NoteError::OtherEntry));
    let other = SignedReceipt { payment: PaymentId([1; 32]), ..receipt };
    assert_eq!(judge(Some(&Answer::Receipt(other))), Err(NoteError::OtherEntry));
}

#[test]
fn a_note_survives_its_file_and_no_part_of_it_can_be_changed() {
    let Case { note, payer, payee, .. } = case();
    let text = serde_json::to_string(&note).unwrap();
    assert_eq!(serde_json::from_str::<DebtNote>(&text).unwrap(), note);
    let refused = |change: &dyn Fn(&mut DebtNote)| {
        let mut other = note.clone();
        change(&mut other);
        other.verify(&payer, &payee).unwrap_err()
    };
    let grown = refused(&|n| {
        let fields = TermsFields { amount: amount(20_000), ..*n.terms.fields() };
        n.terms = Terms::try_from(fields).unwrap();
    });
    assert_eq!(grown, NoteError::OtherEntry);
    assert_eq!(refused(&|n| n.debit.entry.amount = amount(1)), NoteError::OtherEntry);
    assert_eq!(refused(&|n| n.debit.entry.nonce = nonce(9)), NoteError::Opening);
    assert_eq!(refused(&|n| n.debit.proof.index = 0), NoteError::Opening);
    assert_eq!(refused(&|n| n.debit.salt = crate::zksc::Salt::new([0; 32])), NoteError::Opening);
    assert_eq!(refused(&|n| n.debit.payment = PaymentId([0; 32])), NoteError::Opening);
    let balance = refused(&|n| n.debit.state.state.balance = amount(0));
    assert!(matches!(balance, NoteError::State(VerifyError::Session { .. })));
    let swapped = refused(&|n| n.debit.state.counterparty = n.debit.state.participant);
    assert!(matches!(swapped, NoteError::State(_)));
}

#[test]
fn a_note_against_other_channels_or_another_hub_is_none() {
    let Case { note, payer, payee, .. } = case();
    assert_eq!(note.verify(&payee, &payer), Err(NoteError::OtherChannel));
    let other = crate::testing::Pair::with(2, |terms| {
        terms.vipe = crate::testing::account(0, "vipe");
        terms.channel_id = id(2);
        terms.asset = crate::testing::account(0, "asset");
    });
    assert_eq!(note.verify(&payer, &other.channel), Err(NoteError::OtherHub));
}

#[test]
fn a_payment_that_was_paid_back_is_answered_with_the_payers_own_state() {
    let mut world = World::new(3, 2, Faults::NONE);
    world.fund();
    world.offline.insert(Some(id(2)));
    assert!(world.pay(1, 2, 10_000));
    let mut answer = None;
    for _ in 0..400 {
        world.now += 300;
        world.offline.insert(Some(id(2)));
        for _ in 0..60 {
            world.step();
            answer = answer.or(world.hub.payments().values().find_map(HubPayment::answer));
        }
    }
    let one = world.wallets[&id(1)].book().payments.values().next().unwrap();
    let (payer, payee) = (world.pairs[&id(1)].channel, world.pairs[&id(2)].channel);
    let note = one.note().unwrap();
    let ruling = note.judge(answer.as_ref(), &payer, &payee).unwrap();
    assert!(matches!(ruling, Ruling::PaidBack { nonce: at, .. } if at == nonce(3)), "{ruling:?}");
}
