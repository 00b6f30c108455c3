//! What one party withholds, and what it costs the others: receipts, backups, room, answers.

use super::world::{Faults, World, id};
use crate::{
    ids::Sequence,
    payment::{
        Message, Terms,
        hub::{self, Ending, HubStage},
        message::Reason,
        terms::TermsFields,
        wallet::{self, Payment, Stage},
    },
    testing::{amount, nonce},
    zksc::{PaymentId, handshake::Pending},
};

fn world() -> World {
    let mut world = World::new(1, 3, Faults::NONE);
    world.fund();
    world
}

fn at_hub(world: &World) -> Option<HubStage> {
    world.hub.payments().values().next().map(|one| one.stage)
}

/// The payments of a wallet, in the order in which they were ordered.
fn paid(world: &World, channel: u64) -> Vec<Payment> {
    let mut all: Vec<Payment> =
        world.wallets[&id(channel)].book().payments.values().cloned().collect();
    all.sort_by_key(|one| one.terms.fields().sequence);
    all
}

fn until(world: &mut World, done: impl Fn(&World) -> bool) {
    for _ in 0..4_000 {
        if done(world) {
            return;
        }
        world.run(1);
    }
    panic!("it did not come about");
}

fn terms(world: &World, payee: u64, size: u128, sequence: u64) -> Terms {
    Terms::try_from(TermsFields {
        domain: world.pairs[&id(1)].channel.domain(),
        payer: id(1),
        payee: id(payee),
        amount: amount(size),
        fee: amount(5_000),
        sequence: Sequence::try_from(sequence).unwrap(),
        ..super::fields()
    })
    .unwrap()
}

#[test]
fn a_debit_that_the_chain_settled_is_credited_although_no_backup_of_it_was_counted() {
    let mut world = world();
    world.silent.insert(None);
    assert!(world.pay(1, 2, 10_000));
    until(&mut world, |world| at_hub(world) == Some(HubStage::Debited));
    world.run(1_000);
    assert_eq!(at_hub(&world), Some(HubStage::Debited), "not protected: not offered");
    assert!(world.give_hub(hub::Event::Ending(id(1), Ending::Settled(nonce(2)))));
    world.run(2_000);
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000));
}

#[test]
fn a_payment_that_is_refused_after_a_crash_may_have_been_proposed_before_it() {
    for crashes in [false, true] {
        let mut world = world();
        assert!(world.pay(1, 2, 10_000));
        until(&mut world, |world| at_hub(world) == Some(HubStage::DebitSigned));
        // The hub says nothing of what it signed, and refuses.
        world.lose_messages();
        if crashes {
            world.restart(Some(id(1)));
            assert!(!paid(&world, 1)[0].accepted, "that was merely noted");
        }
        let payment = paid(&world, 1)[0].terms.id();
        let refused = Message::Refused { payment, reason: Reason::Limit, next: Sequence::MIN };
        assert!(world.give_wallet(id(1), wallet::Event::Payment(refused)));
        let one = &paid(&world, 1)[0];
        assert_eq!((one.stage, one.accepted), (Stage::Refused, true), "crashes: {crashes}");
    }
    // What was refused before anything could be proposed is told from it.
    let mut world = world();
    assert!(world.pay(1, 2, 5));
    until(&mut world, |world| paid(world, 1)[0].stage == Stage::Refused);
    assert!(!paid(&world, 1)[0].accepted);
}

#[test]
fn a_credit_that_is_asked_for_before_its_debit_is_backed_waits_and_is_not_paid_back() {
    let mut world = world();
    world.silent.insert(None);
    assert!(world.pay(1, 2, 10_000));
    until(&mut world, |world| at_hub(world) == Some(HubStage::Debited));
    let offered = paid(&world, 1)[0].terms;
    // As after a start of the hub: what it offered before is asked for before the towers have answered it.
    assert!(world.give_wallet(id(2), wallet::Event::Payment(Message::Offer(offered))));
    assert!(world.wallets[&id(2)].is_busy());
    world.run(600);
    assert_eq!(at_hub(&world), Some(HubStage::Debited));
    let payee = &world.wallets[&id(2)];
    assert_eq!(*payee.handshake().record().pending(), Pending::None, "its channel is free");
    assert_eq!((payee.book().open(), payee.is_busy()), (1, false));
    world.silent.clear();
    world.calm_down(4_000);
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000));
}

#[test]
fn a_refused_debit_that_comes_back_takes_the_place_of_its_repetition() {
    let mut world = world();
    let reference = [7; 32];
    assert!(world.pay_under(reference, 1, 2, 10_000));
    until(&mut world, |world| at_hub(world) == Some(HubStage::DebitSigned));
    world.lose_messages();
    let payment = paid(&world, 1)[0].terms.id();
    let next = Sequence::try_from(2).unwrap();
    let refused = Message::Refused { payment, reason: Reason::Debit, next };
    assert!(world.give_wallet(id(1), wallet::Event::Payment(refused)));
    assert_eq!(paid(&world, 1)[0].stage, Stage::Refused);
    // The person tries again under the same key.
    assert!(world.pay_under(reference, 1, 2, 10_000));
    world.calm_down(8_000);
    let stages: Vec<Stage> = paid(&world, 1).iter().map(|one| one.stage).collect();
    assert_eq!(stages, [Stage::Received, Stage::Refused]);
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000 - 10_013), "paid once");
}

#[test]
fn a_payee_that_gives_no_receipt_keeps_its_payer_from_nothing() {
    let mut world = world();
    world.silent.insert(Some(id(2)));
    // More than the hub lets one payer have under way.
    for count in 1..=10_u128 {
        assert!(world.pay(1, 2, 100));
        until(&mut world, |world| {
            world.wallets[&id(2)].balance() == amount(1_000_000 + 100 * count)
        });
    }
    until(&mut world, |world| !world.wallets[&id(1)].is_busy());
    assert_eq!(world.wallets[&id(1)].book().open(), 10, "no receipt has come");
    let before = world.wallets[&id(1)].book().in_flight();
    let first = paid(&world, 1)[0].terms;
    assert!(world.give_wallet(id(1), wallet::Event::LetGo(first.id())));
    assert_eq!(paid(&world, 1)[0].stage, Stage::Unclear);
    let after = world.wallets[&id(1)].book().in_flight();
    assert_eq!(before.checked_sub(after), Some(first.debit()));
    assert!(!world.give_wallet(id(1), wallet::Event::LetGo(first.id())), "once");
    assert!(!world.give_wallet(id(2), wallet::Event::LetGo(first.id())), "by who pays");
    // The receipts come after all.
    world.silent.clear();
    world.calm_down(12_000);
    assert!(paid(&world, 1).iter().all(|one| one.stage == Stage::Received));
}

#[test]
fn the_hub_keeps_a_bounded_number_of_payments_without_a_receipt() {
    let mut world = world();
    let mut batch = hub::Batch::default();
    for sequence in 1..=300 {
        let terms = terms(&world, 2, 600, sequence);
        let (stage, debit) = (HubStage::Credited, Some(nonce(1)));
        let (reason, credit, shown, receipt) = (None, None, None, None);
        let one = hub::HubPayment { terms, stage, reason, debit, credit, shown, receipt };
        batch.payments.insert(terms.id(), Some(one));
    }
    let mut disk = world.disk(None);
    disk.push(serde_json::to_string(&batch).unwrap());
    world.set_back(None, disk);
    assert_eq!(world.hub.payments().len(), 300);
    let next = Message::Request(terms(&world, 2, 600, 301));
    assert!(world.give_hub(hub::Event::Payment(id(1), next)));
    let kept = world.hub.payments().values().map(|one| one.terms.fields().sequence.get());
    let mut kept: Vec<u64> = kept.collect();
    kept.sort_unstable();
    assert_eq!(kept, (45..=301).collect::<Vec<_>>(), "the new one and the newest that are over");
    world.run(100);
    let archived = forgotten(&world).iter().filter(|(_, dropped)| !dropped).count();
    assert_eq!(archived, 44, "their answers to a note are kept");
}

#[test]
fn an_order_that_is_not_debited_is_taken_back() {
    let mut world = world();
    assert!(world.pay(1, 2, 200_000));
    until(&mut world, |world| {
        matches!(world.wallets[&id(1)].handshake().record().pending(), Pending::Proposed(_))
    });
    world.offline.insert(None);
    world.run(300);
    let parts = paid(&world, 1);
    assert!(parts.len() > 3);
    assert!(world.give_wallet(id(1), wallet::Event::LetGo(parts[1].terms.id())));
    for one in paid(&world, 1) {
        assert_eq!((one.stage, one.reason), (Stage::Refused, Some(Reason::Cancelled)));
    }
    assert_eq!(*world.wallets[&id(1)].handshake().record().pending(), Pending::None);
    world.now += 60_000;
    world.calm_down(4_000);
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000));
}

#[test]
fn a_payer_reserves_no_more_of_others_room_than_it_has() {
    let mut world = world();
    let limits = hub::PayerLimits { payer_max: amount(u128::MAX >> 16), payments_max: 16 };
    world.hub.set_limits(id(1), limits);
    let mut ask = |payee, size, sequence| {
        let message = Message::Request(terms(&world, payee, size, sequence));
        assert!(world.give_hub(hub::Event::Payment(id(1), message)));
        world.hub.payments().len()
    };
    assert_eq!(ask(2, 600_000, 1), 1);
    assert_eq!(ask(3, 600_000, 2), 1, "it has a million");
    assert_eq!(ask(3, 300_000, 3), 2);
}

#[test]
fn a_payee_that_forgot_its_credit_is_told_so_and_gives_no_receipt_on_the_hubs_word() {
    let mut world = world();
    world.silent.insert(Some(id(2)));
    assert!(world.pay(1, 2, 10_000));
    until(&mut world, |world| at_hub(world) == Some(HubStage::Credited));
    let newest = *world.hub.handshake(id(2)).unwrap().record().latest().unwrap();
    world.set_back(Some(id(2)), Vec::new());
    assert!(world.give_wallet(id(2), wallet::Event::Restored(Box::new(newest))));
    world.now += 60_000;
    until(&mut world, |world| paid(world, 2).iter().any(|one| one.stage == Stage::Unclear));
    assert_eq!(world.wallets[&id(2)].book().open(), 0);
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000), "credited once");
    world.run(2_000);
    assert!(!world.wallets[&id(1)].is_busy());
}

/// What the batches on a disk say of payments that were forgotten: whether they need not be archived.
fn forgotten(world: &World) -> Vec<(PaymentId, bool)> {
    let mut all = Vec::new();
    for batch in world.disk(None) {
        let batch: hub::Batch = serde_json::from_str(&batch).unwrap();
        let gone = batch.payments.iter().filter(|(_, one)| one.is_none());
        all.extend(gone.map(|(id, _)| (*id, batch.dropped.contains(id))));
    }
    all
}

#[test]
fn what_moved_nothing_is_forgotten_whole_and_what_did_is_archived() {
    let mut world = world();
    assert!(world.pay(1, 2, 10_000));
    world.calm_down(4_000);
    let paid = paid(&world, 1)[0].terms.id();
    assert_eq!(forgotten(&world), [(paid, false)]);
    let idle = terms(&world, 2, 600, 2);
    assert!(world.give_hub(hub::Event::Payment(id(1), Message::Request(idle))));
    world.now += 100_000;
    world.run(300);
    assert_eq!(forgotten(&world), [(paid, false), (idle.id(), true)]);
}

#[test]
fn offers_that_come_to_nothing_leave_nothing_behind() {
    let mut world = world();
    world.give_wallet(id(2), wallet::Event::View(0));
    world.now += 1;
    let next = Sequence::MIN;
    let ended = u64::try_from(wallet::record::ENDED_MAX).unwrap();
    for sequence in 1..=ended + 3 {
        let offered = terms(&world, 2, 600, sequence);
        world.give_wallet(id(2), wallet::Event::Payment(Message::Offer(offered)));
        let payment = offered.id();
        let refused = Message::Refused { payment, reason: Reason::Debit, next };
        world.give_wallet(id(2), wallet::Event::Payment(refused));
    }
    world.run(40_000);
    let batches = world.disk(Some(id(2)));
    let batches = batches.iter().map(|one| serde_json::from_str::<wallet::Batch>(one).unwrap());
    let dropped: usize = batches.map(|one| one.dropped.len()).sum();
    assert_eq!(dropped, 3);
}
