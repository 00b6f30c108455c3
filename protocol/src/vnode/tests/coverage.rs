use super::*;
use crate::{
    backup::{Envelope, Receipt, SignedReceipt},
    ids::ChannelId,
    testing::derived,
    vnode::coverage::{Coverage, CoverageConfig, Effect, Event},
};
use alloy_primitives::Address;
use k256::ecdsa::SigningKey;

const CHANNEL: ChannelId = ChannelId::MIN;

fn tower(at: u64) -> (SigningKey, Address) {
    let key = SigningKey::from_slice(derived(at, "tower key").as_slice()).unwrap();
    let address = Address::from_private_key(&key);
    (key, address)
}

pub(super) fn receipt(envelope: &Envelope, at: u64, until: u64) -> Box<SignedReceipt> {
    let (key, address) = tower(at);
    let vipe = Pair::new(1).channel.terms().vipe;
    Box::new(Receipt::new(envelope, 31_337, vipe, address, until).sign(&key).unwrap())
}

pub(super) fn address(at: u64) -> Address {
    tower(at).1
}

fn envelope(at: u64) -> Box<Envelope> {
    let pair = Pair::new(1);
    Box::new(pair.seal(Role::Participant, &pair.final_state(at, 1_000 * u128::from(at))))
}

fn coverage() -> Coverage {
    let config =
        CoverageConfig { lag_max: 2_000, target: 2, warn_after: 10_000, check_every: 60_000 };
    Coverage::new(config, 31_337, Pair::new(1).channel.terms().vipe)
}

fn finalized(at: u64) -> Event {
    Event::Finalized(CHANNEL, nonce(at), amount(1_000 * u128::from(at)))
}

fn tick(seconds: u64) -> Event {
    Event::Tick { chance: 7, seconds }
}

#[test]
fn states_are_coalesced_and_none_waits_longer_than_the_lag() {
    let mut coverage = coverage();
    for (at, now) in [(1, 0), (2, 500), (3, 1_900)] {
        assert!(coverage.handle(finalized(at), now).is_empty());
        assert!(coverage.handle(tick(0), now).is_empty());
    }
    assert_eq!(coverage.handle(tick(0), 2_000), [Effect::Publish(CHANNEL)]);
    assert!(coverage.handle(tick(0), 2_001).is_empty(), "asked for once");
    let _none = coverage.handle(Event::Published(envelope(3)), 2_010);
    assert!(coverage.handle(tick(0), 9_000).is_empty(), "nothing new");
}

#[test]
fn a_state_is_protected_when_enough_towers_receipted_it_or_a_newer_one() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    let _none = coverage.handle(Event::Published(envelope(3)), 10);
    assert!(coverage.handle(Event::Receipt(receipt(&envelope(3), 1, 99), 5), 20).is_empty());
    assert!(coverage.handle(Event::Receipt(receipt(&envelope(3), 1, 99), 5), 20).is_empty());
    let effects = coverage.handle(Event::Receipt(receipt(&envelope(3), 2, 99), 5), 30);
    assert_eq!(effects, [Effect::Protected(CHANNEL, nonce(3))]);
    let _none = coverage.handle(finalized(4), 40);
    let status = coverage.status(CHANNEL).unwrap();
    assert_eq!((status.held, status.protected), (Some(nonce(4)), Some(nonce(3))));
    assert_eq!((status.value_held, status.value_protected), (amount(4_000), amount(3_000)));
    assert_eq!(status.towers, 0);
}

#[test]
fn a_receipt_for_another_envelope_or_one_that_ran_out_does_not_count() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    let _none = coverage.handle(Event::Published(envelope(3)), 10);
    let pair = Pair::new(1);
    let other = pair.seal(Role::Participant, &pair.final_state(3, 9));
    for (envelope, until) in [(&other, 99), (&*envelope(9), 99), (&*envelope(3), 5)] {
        for at in 1..4 {
            let event = Event::Receipt(receipt(envelope, at, until), 5);
            assert!(coverage.handle(event, 20).is_empty());
        }
    }
    assert_eq!(coverage.status(CHANNEL).unwrap().protected, None);
}

#[test]
fn a_promise_that_runs_out_protects_no_more_and_the_person_is_warned() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    let _none = coverage.handle(Event::Published(envelope(3)), 10);
    for at in [1, 2] {
        let _some = coverage.handle(Event::Receipt(receipt(&envelope(3), at, 50), 5), 20);
    }
    assert!(coverage.handle(tick(50), 30).is_empty());
    assert_eq!(coverage.status(CHANNEL).unwrap().protected, None);
    assert_eq!(coverage.handle(tick(51), 10_030), [Effect::Unprotected(CHANNEL, nonce(3))]);
    assert!(coverage.handle(tick(52), 20_030).is_empty(), "once");
}

#[test]
fn a_node_that_goes_offline_publishes_first_and_waits_for_the_towers() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    assert_eq!(coverage.handle(Event::Flush, 1), [Effect::Publish(CHANNEL)]);
    let _none = coverage.handle(Event::Published(envelope(3)), 10);
    let _none = coverage.handle(Event::Receipt(receipt(&envelope(3), 1, 99), 5), 20);
    let effects = coverage.handle(Event::Receipt(receipt(&envelope(3), 2, 99), 5), 30);
    assert_eq!(effects, [Effect::Protected(CHANNEL, nonce(3)), Effect::Flushed]);
}

#[test]
fn a_tower_that_does_not_serve_what_it_receipted_is_named_and_counts_no_more() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    let _none = coverage.handle(Event::Published(envelope(3)), 10);
    for at in [1, 2] {
        let _some = coverage.handle(Event::Receipt(receipt(&envelope(3), at, 99), 5), 20);
    }
    let effects = coverage.handle(tick(6), 60_000);
    let [Effect::Fetch(CHANNEL, asked)] = effects.as_slice() else { panic!("{effects:?}") };
    let fetched = |served| Event::Fetched(CHANNEL, *asked, served);
    assert!(coverage.handle(fetched(Some(envelope(3))), 60_010).is_empty());
    assert!(coverage.handle(fetched(Some(envelope(4))), 60_010).is_empty(), "newer is as good");
    let effects = coverage.handle(fetched(Some(envelope(2))), 60_020);
    let [Effect::Broken(receipt, Some(served))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((receipt.tower, *served), (*asked, nonce(2)));
    assert_eq!(coverage.status(CHANNEL).unwrap().protected, None);
    assert!(coverage.handle(fetched(None), 60_030).is_empty(), "it is not asked any more");
}

#[test]
fn a_state_that_too_few_towers_hold_is_published_again_with_growing_pauses() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    let mut published = Vec::new();
    for now in (0..600_000).step_by(1_000) {
        for effect in coverage.handle(tick(5), now) {
            if effect == Effect::Publish(CHANNEL) {
                published.push(now);
                let _none = coverage.handle(Event::Published(envelope(3)), now);
            }
        }
    }
    assert_eq!(published, [2_000, 32_000, 92_000, 212_000, 452_000]);
    for at in [1, 2] {
        let _some = coverage.handle(Event::Receipt(receipt(&envelope(3), at, 50), 5), 600_000);
    }
    assert!(!coverage.handle(tick(5), 2_000_000).contains(&Effect::Publish(CHANNEL)));
    let _out = coverage.handle(tick(50), 2_000_100);
    let again = coverage.handle(tick(50), 2_000_200);
    assert!(again.contains(&Effect::Publish(CHANNEL)), "the promises ran out");
}

#[test]
fn a_tower_that_answers_no_checks_counts_no_more() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    let _none = coverage.handle(Event::Published(envelope(3)), 10);
    for at in [1, 2] {
        let _some = coverage.handle(Event::Receipt(receipt(&envelope(3), at, 99), 5), 20);
    }
    let mut asked = 0;
    let silent = (1..20_u64).find_map(|round| {
        let effects = coverage.handle(tick(5), round * 60_000);
        asked += effects.iter().filter(|one| matches!(one, Effect::Fetch(..))).count();
        effects.into_iter().find_map(|effect| match effect {
            Effect::Silent(CHANNEL, tower) => Some(tower),
            _ => None,
        })
    });
    assert!(silent.is_some() && asked >= 3, "{asked}");
    assert_eq!(coverage.status(CHANNEL).unwrap().protected, None);
    assert_eq!(coverage.status(CHANNEL).unwrap().towers, 1);
}

#[test]
fn a_channel_that_is_over_is_neither_published_nor_waited_for() {
    let mut coverage = coverage();
    let _none = coverage.handle(finalized(3), 0);
    assert_eq!(coverage.handle(Event::Flush, 1), [Effect::Publish(CHANNEL)]);
    assert_eq!(coverage.handle(Event::Over(CHANNEL), 2), [Effect::Flushed]);
    assert_eq!(coverage.status(CHANNEL), None);
    assert!(coverage.handle(tick(5), 1_000_000).is_empty());
}
