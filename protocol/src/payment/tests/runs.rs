//! Whole payments: fair weather first, then every single fault, then all of them from many seeds.

use super::world::{Faults, MAX_IN_FLIGHT, World, id};
use crate::{
    payment::{
        hub::{self, Ending, HubStage},
        message::Reason,
        wallet::{self, Direction, PayError, Stage},
    },
    testing::{amount, nonce},
    zksc::FinalState,
};

fn world() -> World {
    let mut world = World::new(1, 3, Faults::NONE);
    world.fund();
    world
}

/// The one payment's stage at its payer.
fn outgoing(world: &World) -> Stage {
    let all = world.stages();
    *all.values().next().unwrap().get(&Direction::Outgoing).unwrap()
}

#[test]
fn a_payment_goes_through_its_stages_and_the_fee_stays_with_the_hub() {
    let mut world = world();
    assert!(world.pay(1, 2, 10_000));
    world.calm_down(4_000);
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000 - 10_000 - 13));
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000));
    let trails: Vec<_> = world.trail.values().map(Vec::as_slice).collect();
    use Stage::{Credited, Debited, Proposed, Protected, Received};
    assert_eq!(
        trails,
        [&[Proposed, Debited, Protected, Received][..], &[Protected, Credited, Received][..]]
    );
}

#[test]
fn a_large_payment_is_split_and_its_parts_stay_within_the_bound() {
    let mut world = world();
    assert!(world.pay(1, 2, 5 * MAX_IN_FLIGHT));
    world.calm_down(16_000);
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_000_000 + 5 * MAX_IN_FLIGHT));
    assert!(world.stages().len() > 5);
}

#[test]
fn a_payment_to_somebody_offline_is_held_and_then_paid_back() {
    let mut world = world();
    world.offline.insert(Some(id(2)));
    assert!(world.pay(1, 2, 10_000));
    world.run(1_000);
    assert!(matches!(outgoing(&world), Stage::Debited | Stage::Protected));
    for _ in 0..200 {
        world.now += 300;
        world.offline.insert(Some(id(2)));
        world.run(60);
    }
    assert_eq!(outgoing(&world), Stage::Refused);
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000));
    let one = world.wallets[&id(1)].book().payments.values().next().unwrap().clone();
    assert_eq!(one.reason, Some(Reason::PaidBack));
    world.calm_down(4_000);
}

#[test]
fn a_hub_that_dies_between_debit_and_credit_leaves_a_note_and_pays_when_it_is_back() {
    let mut world = world();
    world.offline.insert(Some(id(2)));
    assert!(world.pay(1, 2, 10_000));
    world.run(1_000);
    world.offline.insert(None);
    world.now += 30_000;
    let (payment, one) = world.wallets[&id(1)].book().payments.first_key_value().unwrap();
    assert_eq!(world.wallets[&id(1)].stage(payment, world.now), Some(Stage::Owed));
    let (payer, payee) = (world.pairs[&id(1)].channel, world.pairs[&id(2)].channel);
    let debt = one.note().unwrap().verify(&payer, &payee).unwrap();
    assert_eq!((debt.amount, debt.debited), (amount(10_000), amount(10_013)));
    world.restart(None);
    world.calm_down(6_000);
    assert_eq!(outgoing(&world), Stage::Received);
}

#[test]
fn a_payer_that_disputes_meanwhile_is_settled_with_or_without_its_debit() {
    for (settled, stage) in [(2, HubStage::Debited), (1, HubStage::Void)] {
        let mut world = world();
        world.offline.insert(Some(id(2)));
        assert!(world.pay(1, 2, 10_000));
        world.run(1_000);
        assert!(world.give_hub(hub::Event::Ending(id(1), Ending::Disputed(nonce(1)))));
        world.offline.clear();
        world.run(2_000);
        assert_eq!(world.wallets[&id(2)].balance(), amount(1_000_000), "held while disputed");
        assert!(world.give_hub(hub::Event::Ending(id(1), Ending::Settled(nonce(settled)))));
        let found = world.hub.payments().values().next().unwrap().stage;
        assert_eq!(found, stage);
        world.run(2_000);
        let paid = if stage == HubStage::Debited { 10_000 } else { 0 };
        assert_eq!(world.wallets[&id(2)].balance(), amount(1_000_000 + paid));
    }
}

#[test]
fn a_payment_beyond_the_payees_escrow_is_refused_before_the_debit() {
    let mut world = world();
    for _ in 0..3 {
        assert!(world.pay(1, 2, 300_000));
        assert!(world.pay(3, 2, 300_000));
        world.run(24_000);
    }
    world.calm_down(24_000);
    let refused = world.wallets.values().flat_map(|w| w.book().payments.values());
    assert!(refused.clone().any(|one| one.reason == Some(Reason::Liquidity)));
    assert!(world.wallets[&id(2)].balance() <= amount(2_000_000));
}

/// Runs until the newest payment of channel 1 has left [`Stage::Proposed`]: how long that took, and why it was refused.
fn until_answered(world: &mut World) -> (u64, Option<Reason>) {
    let since = world.now;
    let newest = |world: &World| {
        let all = world.wallets[&id(1)].book().payments.values();
        all.max_by_key(|one| one.terms.fields().sequence).unwrap().clone()
    };
    for _ in 0..4_000 {
        if newest(world).stage != Stage::Proposed {
            break;
        }
        world.step();
    }
    let one = newest(world);
    assert_ne!(one.stage, Stage::Proposed, "it has not ended");
    (world.now - since, one.reason)
}

#[test]
fn a_hub_that_does_not_know_the_payee_yet_is_asked_again_for_a_while() {
    let mut world = world();
    world.unseen.insert(id(2));
    world.restart(None);
    assert!(world.pay(1, 2, 10_000));
    world.run(200);
    assert_eq!(outgoing(&world), Stage::Proposed);
    let book = |world: &World| world.wallets[&id(1)].book().payments.clone();
    assert!(book(&world).values().all(|one| one.waits_for_payee()), "{:?}", book(&world));
    // A crash of the payer meanwhile changes nothing.
    world.restart(Some(id(1)));
    world.unseen.clear();
    world.restart(None);
    world.calm_down(4_000);
    assert_eq!(outgoing(&world), Stage::Received);
    assert_eq!(book(&world).len(), 1, "it is the same payment");
    assert!(book(&world).values().all(|one| one.reason.is_none()));
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000));
}

#[test]
fn a_payee_that_the_hub_never_knows_is_refused_after_the_wait_and_anything_else_at_once() {
    let mut world = world();
    world.unseen.insert(id(2));
    world.restart(None);
    assert!(world.pay(1, 2, 10_000));
    let (waited, reason) = until_answered(&mut world);
    assert_eq!(reason, Some(Reason::UnknownPayee));
    assert!((10_000..13_000).contains(&waited), "{waited}");
    // Below the hub's least amount.
    assert!(world.pay(1, 3, 5));
    let (waited, reason) = until_answered(&mut world);
    assert_eq!(reason, Some(Reason::Amount));
    assert!(waited < 3_000, "{waited}");
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000));
}

#[test]
fn a_payer_with_limits_of_its_own_is_held_to_them_and_the_others_are_not() {
    let mut world = world();
    let limits = hub::PayerLimits { payer_max: amount(5_000), payments_max: 1 };
    world.hub.set_limits(id(1), limits);
    assert!(world.pay(1, 2, 10_000));
    assert!(world.pay(3, 2, 10_000));
    world.run(24_000);
    world.calm_down(24_000);
    let reasons = |payer| {
        let all = world.wallets[&id(payer)].book().payments.values();
        all.filter_map(|one| one.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons(1), [Reason::Limit]);
    assert_eq!(reasons(3), []);
}

#[test]
fn nothing_is_signed_on_a_stale_view() {
    let mut world = world();
    let before = *world.wallets[&id(1)].handshake().record();
    world.give_wallet(id(1), wallet::Event::View(world.now));
    world.now += 1;
    assert!(world.pay(1, 2, 10_000));
    world.run(300);
    assert_eq!(*world.wallets[&id(1)].handshake().record(), before);
    let at = world.now;
    let machine = world.wallets.get_mut(&id(1)).unwrap();
    assert_eq!(machine.handle(wallet::Event::Rebase, at, &[0; 32]), Err(PayError::Stale));
    world.give_wallet(id(1), wallet::Event::View(u64::MAX));
    world.give_hub(hub::Event::View(world.now - 1));
    world.run(300);
    assert_eq!(*world.wallets[&id(1)].handshake().record().base(), *before.base());
    world.give_hub(hub::Event::View(u64::MAX));
    world.calm_down(4_000);
    assert_eq!(outgoing(&world), Stage::Received);
}

/// Crashes, loss, repetition, reordering and absence, in many orders.
#[test]
fn whatever_happens_every_payment_ends_once_and_no_money_is_made_or_lost() {
    let (mut crashes, mut received, mut refused) = (0, 0, 0);
    for seed in 0..72 {
        let mut world = World::new(seed, 3, Faults::NONE);
        world.fund();
        world.faults = Faults { lose: 10, repeat: 15, crash: 2, offline: 10 };
        for _ in 0..8 {
            let (from, to) = (1 + world.dice.below(3), 1 + world.dice.below(3));
            let size = 10 + u128::from(world.dice.below(60_000));
            if from != to {
                world.pay(from, to, size);
            }
            world.run(250);
            if world.dice.chance(10) {
                // Longer than the hub waits for a payee.
                world.now += 50_000;
            }
            world.run(250);
        }
        world.calm_down(12_000);
        crashes += world.crashes;
        for sides in world.stages().values() {
            match sides.get(&Direction::Outgoing) {
                Some(Stage::Received) => received += 1,
                _ => refused += 1,
            }
        }
    }
    assert!(crashes > 500 && received > 50 && refused > 0, "{crashes}, {received}, {refused}");
}

/// The newest state of a channel, as towers would show it.
fn newest(world: &World, channel: u64) -> FinalState {
    *world.hub.handshake(id(channel)).unwrap().record().latest().unwrap()
}

/// A hub whose disk is from between the debit and the credit of a payment that was paid since; the payee's newest state.
fn set_back_after_the_credit() -> (World, FinalState) {
    let mut world = world();
    world.offline.insert(Some(id(2)));
    assert!(world.pay(1, 2, 10_000));
    world.run(1_000);
    let old = world.disk(None);
    world.calm_down(4_000);
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000));
    let states = [newest(&world, 1), newest(&world, 2)];
    world.set_back(None, old);
    assert_eq!(stage_at_hub(&world), HubStage::Debited);
    assert!(world.give_hub(hub::Event::Protected(id(1), states[0].state().nonce)));
    (world, states[1])
}

fn stage_at_hub(world: &World) -> HubStage {
    world.hub.payments().values().next().unwrap().stage
}

#[test]
fn a_hub_that_was_set_back_credits_nothing_a_second_time() {
    let (mut world, state) = set_back_after_the_credit();
    assert!(world.give_hub(hub::Event::Restored(id(2), Box::new(state))));
    assert_eq!(stage_at_hub(&world), HubStage::Unclear);
    // A payee that forgot, or says so, would take it once more.
    world.set_back(Some(id(2)), Vec::new());
    assert!(world.give_wallet(id(2), wallet::Event::Restored(Box::new(state))));
    world.run(8_000);
    assert_eq!(world.wallets[&id(2)].balance(), amount(1_010_000));
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000 - 10_013), "nor paid back");
    assert_eq!(stage_at_hub(&world), HubStage::Unclear, "it stays there for a person to see");
}

#[test]
fn a_hub_whose_channel_ended_past_its_record_pays_nothing_back() {
    let (mut world, state) = set_back_after_the_credit();
    let ending = Ending::Settled(state.state().nonce);
    assert!(world.give_hub(hub::Event::Ending(id(2), ending)));
    assert_eq!(stage_at_hub(&world), HubStage::Unclear);
    world.run(4_000);
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000 - 10_013));
}

#[test]
fn a_wallet_that_was_set_back_does_not_say_that_a_payment_was_refused_which_was_paid() {
    let mut world = world();
    world.offline.insert(None);
    assert!(world.pay(1, 2, 10_000));
    world.run(400);
    let old = world.disk(Some(id(1)));
    world.calm_down(6_000);
    assert_eq!(outgoing(&world), Stage::Received);
    let state = newest(&world, 1);
    world.set_back(Some(id(1)), old);
    assert_eq!(outgoing(&world), Stage::Proposed);
    assert!(world.give_wallet(id(1), wallet::Event::Restored(Box::new(state))));
    world.run(6_000);
    assert_eq!(outgoing(&world), Stage::Unclear);
    assert_eq!(world.wallets[&id(1)].book().open(), 0);
    assert_eq!(world.wallets[&id(1)].balance(), amount(1_000_000 - 10_013));
}
