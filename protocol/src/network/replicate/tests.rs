use k256::ecdsa::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::{
    backup::Receipt,
    ids::{ChannelId, Role},
    testing::{Pair, derived, nonce},
};

const UNIX: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

fn at(ms: u64) -> Now {
    Now { ms, unix_s: UNIX + ms / 1_000, chance: 0 }
}

fn key(tower: u64) -> SigningKey {
    SigningKey::from_bytes(&derived(tower, "replicate").0.into()).unwrap()
}

fn address(tower: u64) -> Address {
    Address::from_public_key(key(tower).verifying_key())
}

/// A node with one slot, and towers 0, 1, 2, ... in this order.
struct Node {
    pair: Pair,
    replicator: Replicator,
    towers: u64,
}

impl Node {
    fn new(towers: u64, config: Config) -> Self {
        let pair = Pair::new(1);
        let slot = Slot { channel_id: ChannelId::MIN, role: Role::Participant };
        let mut replicator = Replicator::new(slot, config);
        let order = (0..towers).map(address).collect();
        assert_eq!(replicator.handle(Event::Towers(order), at(0)), []);
        Self { pair, replicator, towers }
    }

    fn envelope(&self, number: u64) -> Envelope {
        self.pair.seal(Role::Participant, &self.pair.final_state(number, 500))
    }

    /// Publishes, and tells who was asked.
    fn published(&mut self, number: u64, now: Now) -> Vec<u64> {
        let effects = self.publish(number, now);
        self.asked(&effects)
    }

    /// Lets time pass, and tells who was asked.
    fn ticked(&mut self, now: Now) -> Vec<u64> {
        let effects = self.replicator.handle(Event::Tick, now);
        self.asked(&effects)
    }

    fn publish(&mut self, number: u64, now: Now) -> Vec<Effect> {
        let envelope = self.envelope(number);
        self.replicator.handle(Event::Publish(Box::new(envelope)), now)
    }

    fn number(&self, tower: Address) -> u64 {
        (0..self.towers).find(|number| address(*number) == tower).unwrap()
    }

    /// Who was asked.
    fn asked(&self, effects: &[Effect]) -> Vec<u64> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Submit { tower, .. } => Some(self.number(*tower)),
                _ => None,
            })
            .collect()
    }

    fn receipt(&self, tower: u64, number: u64, until: u64) -> SignedReceipt {
        let terms = self.pair.channel.terms();
        let envelope = self.envelope(number);
        Receipt::new(&envelope, terms.chain_id, terms.vipe, address(tower), until)
            .sign(&key(tower))
            .unwrap()
    }

    fn answer(&mut self, tower: u64, number: u64, outcome: Outcome, now: Now) -> Vec<Effect> {
        let id = *self.envelope(number).id();
        let event = Event::Answer { tower: address(tower), id, outcome: Box::new(outcome) };
        self.replicator.handle(event, now)
    }

    fn give(&mut self, tower: u64, number: u64, now: Now) -> Vec<Effect> {
        let receipt = self.receipt(tower, number, UNIX + DAY);
        self.answer(tower, number, Outcome::Receipt(receipt), now)
    }

    fn refuse(&mut self, tower: u64, number: u64, refusal: Refusal, now: Now) -> Vec<Effect> {
        self.answer(tower, number, Outcome::Refused(refusal), now)
    }

    fn held(&self, now: Now) -> usize {
        self.replicator.status(now).unwrap().held
    }
}

fn alarms(effects: &[Effect]) -> Vec<Alarm> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Alarm(alarm) => Some(*alarm),
            _ => None,
        })
        .collect()
}

fn wakes(effects: &[Effect]) -> Option<u64> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::WakeAt(at) => Some(*at),
        _ => None,
    })
}

#[test]
fn the_closest_towers_are_asked_and_their_receipts_counted() {
    let mut node = Node::new(10, Config::default());
    let effects = node.publish(4_711, at(0));
    assert_eq!(node.asked(&effects), [0, 1, 2, 3, 4, 5, 6]);
    for tower in 0..7 {
        let effects = node.give(tower, 4_711, at(50));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Status(_))));
    }
    let status = node.replicator.status(at(60)).unwrap();
    assert!(status.is_protected());
    assert_eq!(status.to_string(), "7 of 10 towers hold nonce 4711");
    let effects = node.replicator.handle(Event::Tick, at(70));
    assert_eq!(node.asked(&effects), [0_u64; 0]);
}

#[test]
fn a_new_state_is_unprotected_until_its_own_receipts_come() {
    let mut node = Node::new(3, Config::default());
    node.publish(1, at(0));
    (0..3).for_each(|tower| drop(node.give(tower, 1, at(10))));
    assert_eq!(node.held(at(10)), 3);
    let effects = node.publish(2, at(20));
    assert_eq!((node.asked(&effects), node.held(at(20))), (vec![0, 1, 2], 0));
    let status = node.replicator.status(at(20)).unwrap();
    assert_eq!(status.to_string(), "0 of 3 towers hold nonce 2; 3 are wanted");
}

#[test]
fn what_is_published_meanwhile_is_coalesced_to_the_newest() {
    let mut node = Node::new(1, Config::default());
    assert_eq!(node.published(1, at(0)), [0]);
    for number in 2..50 {
        let effects = node.publish(number, at(number));
        assert_eq!(node.asked(&effects), [0_u64; 0], "one request at a time");
    }
    let effects = node.give(0, 1, at(60));
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Submit { id, .. } => Some(*id),
        _ => None,
    });
    assert_eq!(sent, Some(*node.envelope(49).id()));
    assert_eq!(node.held(at(60)), 0, "the receipt was for an older one");
    node.give(0, 49, at(70));
    assert_eq!(node.held(at(70)), 1);
}

#[test]
fn an_older_envelope_or_another_slots_changes_nothing() {
    let mut node = Node::new(1, Config::default());
    node.publish(5, at(0));
    assert_eq!(node.published(4, at(1)), [0_u64; 0]);
    let other = node.pair.seal(Role::Counterparty, &node.pair.final_state(9, 500));
    node.replicator.handle(Event::Publish(Box::new(other)), at(2));
    assert_eq!(node.replicator.status(at(2)).unwrap().nonce, nonce(5));
}

#[test]
fn a_tower_that_fails_is_retried_ever_later_and_the_next_in_line_is_asked() {
    let config = Config { target: 1, aim: 1, ..Config::default() };
    let mut node = Node::new(3, config);
    assert_eq!(node.published(1, at(0)), [0]);
    let effects = node.answer(0, 1, Outcome::Unreachable, at(100));
    assert_eq!(node.asked(&effects), [1], "the next in line");
    let mut now = 100;
    let mut waits = Vec::new();
    for _ in 0..10 {
        // The others never answer; only tower 0 is looked at.
        loop {
            let effects = node.replicator.handle(Event::Tick, at(now));
            if node.asked(&effects).contains(&0) {
                break;
            }
            now = wakes(&effects).unwrap();
        }
        let asked = now;
        node.answer(0, 1, Outcome::Unreachable, at(now));
        waits.push(asked);
    }
    let gaps: Vec<u64> = waits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= config.retry_max_ms), "{gaps:?}");
    assert!(*gaps.last().unwrap() >= config.retry_max_ms * 3 / 4, "{gaps:?}");
}

#[test]
fn a_tower_that_never_answers_is_given_up_after_the_timeout() {
    let config = Config { target: 1, aim: 1, ..Config::default() };
    let mut node = Node::new(2, config);
    let effects = node.publish(1, at(0));
    assert_eq!(wakes(&effects), Some(config.timeout_ms));
    let effects = node.replicator.handle(Event::Tick, at(config.timeout_ms));
    assert_eq!(node.asked(&effects), [1]);
    let effects = node.give(0, 1, at(config.timeout_ms + 1));
    assert_eq!((node.held(at(10_001)), alarms(&effects)), (0, vec![]), "too late to count");
}

#[test]
fn refusals_that_pass_are_waited_out_and_others_are_not_repeated() {
    let config = Config { target: 1, aim: 2, ..Config::default() };
    let mut node = Node::new(2, config);
    node.publish(1, at(0));
    node.refuse(0, 1, Refusal::Busy { retry_after_ms: 2_000 }, at(10));
    let effects = node.refuse(1, 1, Refusal::NotKept, at(10));
    let wake = wakes(&effects).unwrap();
    assert!((1_500..=2_510).contains(&wake), "{wake}");
    assert_eq!(node.ticked(at(wake)), [0]);
    node.give(0, 1, at(wake));
    let effects = node.replicator.handle(Event::Tick, at(wake + 60_000));
    assert_eq!(node.asked(&effects), [0_u64; 0], "tower 1 keeps other shards");
    let effects = node.publish(2, at(wake + 60_000));
    assert_eq!(node.asked(&effects), [0, 1], "another envelope, another try");
}

#[test]
fn a_tower_that_is_ahead_of_us_raises_an_alarm() {
    let mut node = Node::new(2, Config::default());
    node.publish(5, at(0));
    let effects = node.refuse(0, 5, Refusal::Older { held: nonce(9) }, at(1));
    let alarm = Alarm::AheadOfUs { tower: address(0), held: nonce(9) };
    assert_eq!(alarms(&effects), [alarm]);
    let effects = node.refuse(1, 5, Refusal::Conflict { nonce: nonce(5) }, at(1));
    assert_eq!(alarms(&effects), [Alarm::Conflict { tower: address(1), nonce: nonce(5) }]);
}

#[test]
fn a_tower_that_had_the_newest_by_gossip_is_asked_for_its_receipt() {
    let mut node = Node::new(1, Config::default());
    node.publish(5, at(0));
    node.publish(6, at(1));
    let effects = node.refuse(0, 5, Refusal::Older { held: nonce(6) }, at(2));
    assert_eq!((alarms(&effects), node.asked(&effects)), (vec![], vec![0]));
}

#[test]
fn a_receipt_counts_only_if_it_is_what_was_asked_for() {
    let mut node = Node::new(2, Config::default());
    node.publish(5, at(0));
    let other = node.receipt(1, 5, UNIX + DAY);
    let effects = node.answer(0, 5, Outcome::Receipt(other), at(1));
    assert_eq!(alarms(&effects), [Alarm::WrongReceipt { tower: address(0) }]);
    let over = node.receipt(1, 5, UNIX);
    let effects = node.answer(1, 5, Outcome::Receipt(over), at(1));
    assert_eq!(alarms(&effects), [Alarm::WrongReceipt { tower: address(1) }]);
    assert_eq!(node.held(at(1)), 0);
}

#[test]
fn a_receipt_is_renewed_before_it_ends_and_counts_until_it_does() {
    let config = Config { target: 1, aim: 1, ..Config::default() };
    let mut node = Node::new(1, config);
    node.publish(5, at(0));
    let effects = node.give(0, 5, at(0));
    let renew = wakes(&effects).unwrap();
    assert_eq!(renew, (DAY - config.renew_s) * 1_000);
    let effects = node.replicator.handle(Event::Tick, at(renew));
    assert_eq!((node.asked(&effects), node.held(at(renew))), (vec![0], 1));
    assert_eq!(node.held(at(DAY * 1_000)), 0);
}

#[test]
fn towers_that_leave_are_forgotten_and_new_ones_are_asked() {
    let mut node = Node::new(3, Config::default());
    node.publish(5, at(0));
    (0..3).for_each(|tower| drop(node.give(tower, 5, at(1))));
    node.towers = 5;
    let order = vec![address(4), address(0)];
    let effects = node.replicator.handle(Event::Towers(order), at(2));
    assert_eq!(node.asked(&effects), [4]);
    let status = node.replicator.status(at(2)).unwrap();
    assert_eq!((status.held, status.of), (1, 2));
}

#[test]
fn requests_under_way_are_bounded() {
    let config = Config { aim: 50, parallel: 4, ..Config::default() };
    let mut node = Node::new(50, config);
    let mut asked = node.published(1, at(0));
    assert_eq!(asked, [0, 1, 2, 3]);
    for tower in 0..50 {
        let effects = node.give(tower, 1, at(1));
        asked.extend(node.asked(&effects));
    }
    assert_eq!(asked, (0..50).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_schedule_of_failures_ends_protected_when_failures_end(
        outcomes in prop::collection::vec((0_u64..6, 0_u8..5, 1_u64..3_000, any::<u64>()), 0..80),
    ) {
        let config = Config { aim: 4, ..Config::default() };
        let mut node = Node::new(6, config);
        let mut under_way = node.publish(1, at(0));
        let (mut now, mut number) = (0, 1);
        for (tower, what, wait, chance) in outcomes {
            now += wait;
            let time = Now { chance, ..at(now) };
            let outcome = match what {
                0 => Outcome::Unreachable,
                1 => Outcome::Refused(Refusal::Busy { retry_after_ms: 3_000 }),
                2 => Outcome::Refused(Refusal::UnknownChannel { head: 1 }),
                3 => Outcome::Receipt(node.receipt(tower, number, UNIX + DAY)),
                _ => {
                    number += 1;
                    node.publish(number, time);
                    continue;
                }
            };
            under_way = node.answer(tower, number, outcome, time);
        }
        // From now on every tower answers at once.
        for _ in 0..400 {
            let wake = wakes(&under_way).unwrap_or(now + 1_000);
            now = now.max(wake);
            let mut effects = node.replicator.handle(Event::Tick, at(now));
            while !node.asked(&effects).is_empty() {
                let asked = node.asked(&effects);
                effects.clear();
                for tower in asked {
                    effects.extend(node.give(tower, number, at(now)));
                }
            }
            under_way = effects;
            if node.held(at(now)) >= config.aim {
                break;
            }
        }
        let status = node.replicator.status(at(now)).unwrap();
        prop_assert!(status.is_protected(), "{}", status);
        prop_assert_eq!(status.nonce, nonce(number));
    }
}
