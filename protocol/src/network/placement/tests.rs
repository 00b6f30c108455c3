use std::collections::{BTreeMap, BTreeSet};

use k256::ecdsa::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::{
    ids::ChannelId,
    network::{
        slot::SHARDS,
        wire::{Announcement, NodeKey, SignedAnnouncement, TOWERS_PAGE_MAX},
    },
    testing::{Pair, derived},
};

const NOW: u64 = 1_700_000_000;

fn domain() -> Domain {
    Pair::new(1).channel.domain()
}

fn towers(count: u64) -> Vec<Address> {
    (0..count).map(|at| crate::testing::account(at, "tower")).collect()
}

// ---------------------------------------------------------------------------------------------------- placement

#[test]
fn a_shard_has_as_many_keepers_as_replicas_or_all_towers() {
    for (count, expected) in [(0, 0), (1, 1), (6, 6), (7, 7), (100, 7)] {
        for shard in Shard::all() {
            let keepers = keepers(domain(), shard, towers(count), REPLICATION);
            assert_eq!(keepers.iter().collect::<BTreeSet<_>>().len(), expected);
        }
    }
}

#[test]
fn placement_does_not_depend_on_order_or_repetition() {
    let shard = Shard::try_from(5).unwrap();
    let forward = towers(20);
    let backward: Vec<Address> = forward.iter().rev().chain(&forward).copied().collect();
    assert_eq!(ranked(domain(), shard, forward), ranked(domain(), shard, backward));
}

#[test]
fn a_tower_that_comes_or_goes_moves_only_its_own_places() {
    let all = towers(50);
    for gone in 0..50 {
        let mut rest = all.clone();
        let gone = rest.remove(gone);
        for shard in Shard::all() {
            let before: BTreeSet<_> =
                keepers(domain(), shard, all.clone(), 7).into_iter().collect();
            let after: BTreeSet<_> =
                keepers(domain(), shard, rest.clone(), 7).into_iter().collect();
            if before.contains(&gone) {
                let stayed: BTreeSet<_> = before.iter().filter(|tower| **tower != gone).collect();
                assert!(stayed.iter().all(|tower| after.contains(*tower)));
                assert_eq!(after.difference(&before).count(), 1);
            } else {
                assert_eq!(before, after);
            }
        }
    }
}

#[test]
fn places_are_spread_over_the_towers() {
    let all = towers(64);
    let mut places = BTreeMap::<Address, u32>::new();
    for shard in Shard::all() {
        for tower in keepers(domain(), shard, all.clone(), 7) {
            *places.entry(tower).or_default() += 1;
        }
    }
    // 64 shards with 7 keepers over 64 towers: 7 each on average; the bounds are four standard deviations away.
    assert!(
        all.iter().all(|tower| (1..=18).contains(&places.get(tower).copied().unwrap_or(0))),
        "{places:?}"
    );
}

#[test]
fn a_placed_tower_keeps_what_everybody_thinks_it_keeps() {
    let all = towers(30);
    for me in &all {
        let shards = Selection::Placed.shards(domain(), *me, &all, 7);
        for shard in Shard::all() {
            let keepers = keepers(domain(), shard, all.clone(), 7);
            assert_eq!(shards.contains(shard), keepers.contains(me));
        }
    }
    let few = Selection::Placed.shards(domain(), all[0], &all[..7], 7);
    assert_eq!(few, ShardSet::ALL, "while the network is small, everything");
}

#[test]
fn a_selection_is_read_from_its_text() {
    assert_eq!("all".parse(), Ok(Selection::All));
    assert_eq!("placed".parse(), Ok(Selection::Placed));
    assert_eq!("0-3,63".parse(), Ok(Selection::These(ShardSet::from_bits(1 << 63 | 0b1111))));
    assert_eq!("5".parse(), Ok(Selection::These(ShardSet::from_bits(1 << 5))));
    for bad in ["", "64", "3-1", "1-", "-1", "+1", "1,,2", "0-64", "ALL", " 1", "256", "1-2-3"] {
        assert_eq!(bad.parse::<Selection>(), Err(SelectionError), "{bad}");
    }
    let me = towers(1)[0];
    assert_eq!(Selection::default().shards(domain(), me, &towers(99), 7).len(), u32::from(SHARDS));
}

proptest! {
    #[test]
    fn the_closest_keep_their_places_when_any_others_leave(
        count in 1_u64..60,
        leave in prop::collection::btree_set(0_u64..60, 0..60),
        shard in 0..SHARDS,
    ) {
        let shard = Shard::try_from(shard).unwrap();
        let all = towers(count);
        let rest: Vec<Address> = all
            .iter()
            .enumerate()
            .filter(|(at, _)| !leave.contains(&(*at as u64)))
            .map(|(_, tower)| *tower)
            .collect();
        let before = keepers(domain(), shard, all, 7);
        let after = keepers(domain(), shard, rest.clone(), 7);
        for tower in before.iter().filter(|tower| rest.contains(tower)) {
            prop_assert!(after.contains(tower));
        }
    }
}

// ---------------------------------------------------------------------------------------------------- the directory

fn announce(at: u64, change: impl FnOnce(&mut Announcement)) -> SignedAnnouncement {
    let key = SigningKey::from_bytes(&derived(at, "directory").0.into()).unwrap();
    let mut announcement = Announcement {
        domain: domain(),
        tower: Address::from_public_key(key.verifying_key()),
        node_key: NodeKey(derived(at, "node").0),
        shards: ShardSet::ALL,
        software: 0,
        issued_at: NOW,
        expires_at: NOW + 3_600,
    };
    change(&mut announcement);
    let hash = announcement.signing_hash();
    let signature = key.sign_prehash_recoverable(hash.as_slice()).unwrap().into();
    announcement.signed(&signature, [0; 64], |_, _, _| true).unwrap()
}

#[test]
fn the_latest_announcement_of_an_account_counts() {
    let mut directory = Directory::new(domain());
    let first = announce(1, |_| {});
    assert_eq!(directory.offer(first, Standing::Unknown, NOW), Listed::New);
    assert_eq!(directory.offer(first, Standing::Unknown, NOW), Listed::Known);
    let later = announce(1, |a| (a.issued_at, a.shards) = (NOW + 1, ShardSet::NONE));
    assert_eq!(directory.offer(later, Standing::Unknown, NOW + 1), Listed::Updated);
    assert_eq!(directory.offer(first, Standing::Unknown, NOW + 1), Listed::Known);
    assert!(directory.towers_of(ChannelId::MIN).is_empty(), "it keeps nothing now");
    let twin = announce(1, |a| (a.issued_at, a.software) = (NOW + 1, 7));
    let listed = directory.offer(twin, Standing::Unknown, NOW + 1);
    let smaller = twin.announcement().signing_hash() < later.announcement().signing_hash();
    assert_eq!(listed, if smaller { Listed::Updated } else { Listed::Known });
}

#[test]
fn announcements_of_other_vaults_or_times_are_not_listed() {
    let mut directory = Directory::new(domain());
    let other = announce(1, |a| a.domain = Domain::derive(1, Address::ZERO));
    assert_eq!(directory.offer(other, Standing::Named, NOW), Listed::OtherDomain);
    let good = announce(1, |_| {});
    assert_eq!(directory.offer(good, Standing::Unknown, NOW + 3_600), Listed::Untimely);
    assert_eq!(directory.offer(good, Standing::Unknown, NOW - 121), Listed::Untimely);
    assert_eq!(directory.offer(good, Standing::Unknown, NOW - 120), Listed::New);
    assert!(!directory.expire(NOW + 3_599));
    assert!(directory.expire(NOW + 3_600));
    assert!(directory.is_empty());
}

#[test]
fn unknown_towers_never_push_out_better_ones() {
    let mut directory = Directory::new(domain());
    for at in 0..DIRECTORY_MAX as u64 {
        let standing = if at < 10 { Standing::Paid } else { Standing::Unknown };
        assert_eq!(directory.offer(announce(at, |_| {}), standing, NOW), Listed::New);
    }
    let late = announce(9_999, |a| a.expires_at = NOW + 86_400);
    assert_eq!(directory.offer(late, Standing::Unknown, NOW), Listed::Full);
    assert_eq!((directory.refused(), directory.len()), (1, DIRECTORY_MAX));
    assert_eq!(directory.offer(late, Standing::Named, NOW), Listed::New);
    assert_eq!(directory.len(), DIRECTORY_MAX);
    for at in 0..10 {
        assert!(directory.knows(&announce(at, |_| {}).announcement().tower));
    }
    let after = announce(5_000, |a| (a.issued_at, a.expires_at) = (NOW + 3_600, NOW + 3_700));
    assert_eq!(
        directory.offer(after, Standing::Unknown, NOW + 3_600),
        Listed::New,
        "others expired"
    );
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let mut directory = Directory::new(domain());
    for at in 0..40 {
        directory.offer(announce(at, |_| {}), Standing::Unknown, NOW);
    }
    let mut seen = Vec::new();
    let mut after = Address::ZERO;
    loop {
        let page = directory.page(after);
        assert!(page.len() <= TOWERS_PAGE_MAX);
        let Some(last) = page.last() else { break };
        after = last.claims().tower;
        seen.extend(page.iter().map(|tower| tower.claims().tower));
    }
    assert_eq!(seen, directory.accounts().collect::<Vec<_>>());
    let tower = seen[0];
    assert!(directory.node(&tower).is_some());
    assert_eq!(directory.towers_of(ChannelId::MIN).len(), 40);
}
