//! What becomes of alerts.

use alloy_primitives::Address;
use k256::ecdsa::SigningKey;

use super::{super::*, HEAD};
use crate::{
    ids::{ChannelId, Domain},
    network::wire::{Alert, SignedAlert},
    testing::{Pair, amount, derived, nonce},
};

const NOW: u64 = 1_700_000_000;

fn alert(name: &str, channel: u64, epoch: u64) -> SignedAlert {
    let key = SigningKey::from_bytes(&derived(9, name).0.into()).unwrap();
    let alert = Alert {
        domain: domain(),
        channel_id: ChannelId::try_from(channel).unwrap(),
        epoch,
        nonce: nonce(4_700),
        claim: amount(5),
        deadline: NOW + 86_400,
        block_number: HEAD,
        block_hash: derived(1, "block"),
        transaction: derived(1, "transaction"),
        tower: Address::from_public_key(key.verifying_key()),
        issued_at: NOW,
    };
    let signed = key.sign_prehash_recoverable(alert.signing_hash().as_slice()).unwrap();
    alert.signed(&signed.into()).unwrap()
}

fn domain() -> Domain {
    Pair::new(1).channel.domain()
}

fn desk() -> AlertDesk<u8> {
    AlertDesk::new(domain(), AlertLimits::default())
}

const KNOWN: AlertView = AlertView { signer_known: true, channel_live: true, head: HEAD };

fn hear(desk: &mut AlertDesk<u8>, from: u8, alert: &SignedAlert, view: AlertView) -> Heard {
    match desk.offer(&from, &alert.to_bytes(), NOW, 0) {
        AlertStep::Verify(unverified) => desk.verified(&unverified.verify().unwrap(), view, NOW, 0),
        AlertStep::Done(verdict) => Heard { verdict, look: false },
    }
}

#[test]
fn an_alert_of_a_known_tower_is_forwarded_and_looked_at_once() {
    let mut desk = desk();
    let first = alert("a", 5, 1);
    let heard = Heard { verdict: Verdict::Accept, look: true };
    assert_eq!(hear(&mut desk, 1, &first, KNOWN), heard);
    let again = Heard { verdict: Verdict::Ignore(Ignored::Same), look: false };
    assert_eq!(hear(&mut desk, 2, &first, KNOWN), again);
    let second = Heard { verdict: Verdict::Accept, look: false };
    assert_eq!(hear(&mut desk, 2, &alert("b", 5, 1), KNOWN), second, "another tower says it too");
    let channel = ChannelId::try_from(5).unwrap();
    assert_eq!(desk.looks().take(), Some(Look::Channel(channel, HEAD)));
    assert_eq!(desk.looks().take(), None);
}

#[test]
fn a_tower_that_is_behind_hears_an_alert_of_a_channel_that_it_does_not_know_yet() {
    let mut desk = desk();
    let behind = AlertView { signer_known: true, channel_live: false, head: HEAD - 1 };
    let heard = hear(&mut desk, 1, &alert("a", 5, 1), behind);
    assert_eq!(heard, Heard { verdict: Verdict::Accept, look: true });
    let stranger = AlertView { signer_known: false, ..behind };
    let heard = hear(&mut desk, 1, &alert("b", 6, 1), stranger);
    assert_eq!(heard.verdict, Verdict::Ignore(Ignored::Unknown { head: HEAD - 1 }));
    assert!(heard.look, "it looks, and does not pass on what it cannot judge");
    let ahead = AlertView { signer_known: true, channel_live: false, head: HEAD };
    let heard = hear(&mut desk, 1, &alert("c", 7, 1), ahead);
    assert_eq!(heard, Heard { verdict: Verdict::Ignore(Ignored::NotLive), look: false });
}

#[test]
fn alerts_that_are_malformed_untimely_or_of_another_vault_go_no_further() {
    let mut desk = desk();
    let good = alert("a", 5, 1).to_bytes();
    let offer = |desk: &mut AlertDesk<u8>, bytes: &[u8], now| desk.offer(&1, bytes, now, 0);
    let mut bad = good.clone();
    bad.pop();
    assert_eq!(offer(&mut desk, &bad, NOW), AlertStep::Done(Verdict::Reject(Fault::Size)));
    let mut bad = good.clone();
    bad[0] = 2;
    assert_eq!(offer(&mut desk, &bad, NOW), AlertStep::Done(Verdict::Reject(Fault::Malformed)));
    let mut bad = good.clone();
    bad[1] ^= 1;
    assert_eq!(offer(&mut desk, &bad, NOW), AlertStep::Done(Verdict::Reject(Fault::OtherDomain)));
    for now in [NOW - 121, NOW + 601] {
        let untimely = AlertStep::Done(Verdict::Ignore(Ignored::Untimely));
        assert_eq!(offer(&mut desk, &good, now), untimely);
    }
    for now in [NOW - 120, NOW + 600] {
        assert!(matches!(offer(&mut desk, &good, now), AlertStep::Verify(_)));
    }
}

#[test]
fn nobody_spends_another_towers_budget_and_strangers_share_one() {
    let mut desk = desk();
    let stranger = AlertView { signer_known: false, ..KNOWN };
    let passed = (0..100)
        .map(|at| hear(&mut desk, 1, &alert(&format!("made up {at}"), 5, at), stranger))
        .filter(|heard| heard.verdict == Verdict::Accept)
        .count();
    assert_eq!(passed, 64, "what one signer has");
    assert_eq!(hear(&mut desk, 1, &alert("a", 5, 1), KNOWN).verdict, Verdict::Accept);
    let passed = (0..100)
        .map(|epoch| hear(&mut desk, 1, &alert("b", 5, epoch), KNOWN))
        .filter(|heard| heard.verdict == Verdict::Accept)
        .count();
    assert_eq!(passed, 64);
    assert_eq!(hear(&mut desk, 1, &alert("a", 5, 2), KNOWN).verdict, Verdict::Accept);
}

#[test]
fn too_much_to_look_at_becomes_a_look_at_everything() {
    let limits = AlertLimits { looks_max: 3, ..AlertLimits::default() };
    let mut desk = AlertDesk::new(domain(), limits);
    for channel in 1..=4 {
        assert!(hear(&mut desk, 1, &alert("a", channel, 1), KNOWN).look);
    }
    assert!(!hear(&mut desk, 1, &alert("a", 5, 1), KNOWN).look, "everything includes it");
    assert_eq!(desk.looks().len(), 1);
    assert_eq!(desk.looks().take(), Some(Look::Everything));
    assert!(desk.looks().is_empty());
    assert!(hear(&mut desk, 1, &alert("a", 6, 1), KNOWN).look, "and then one by one again");
}

#[test]
fn what_was_heard_is_forgotten_at_the_bound_and_not_before() {
    let limits = AlertLimits { heard_max: 4, ..AlertLimits::default() };
    let mut desk = AlertDesk::new(domain(), limits);
    for epoch in 0..4 {
        assert_eq!(hear(&mut desk, 1, &alert("a", 5, epoch), KNOWN).verdict, Verdict::Accept);
    }
    for epoch in 0..4 {
        let same = Verdict::Ignore(Ignored::Same);
        assert_eq!(hear(&mut desk, 1, &alert("a", 5, epoch), KNOWN).verdict, same);
    }
    assert_eq!(hear(&mut desk, 1, &alert("a", 5, 9), KNOWN).verdict, Verdict::Accept);
}

#[test]
fn every_label_is_its_own() {
    let labels = [
        Verdict::Accept.label(),
        Verdict::Ignore(Ignored::Same).label(),
        Verdict::Ignore(Ignored::NotLive).label(),
        Verdict::Reject(Fault::Size).label(),
        Verdict::Reject(Fault::Signature).label(),
    ];
    let distinct: std::collections::BTreeSet<_> = labels.iter().collect();
    assert_eq!(distinct.len(), labels.len());
}
