//! The towers that this one has heard of.
//!
//! **Invariant:** every entry is signed by the account and by the node that it names, and has not expired.
//!
//! **Invariant:** at most [`DIRECTORY_MAX`] towers are listed; a tower of better standing is never pushed out by one of
//! worse or equal standing.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::ranked;
use crate::{
    ids::{ChannelId, Domain},
    network::{
        slot::Shard,
        wire::{NodeKey, SignedAnnouncement, TOWERS_PAGE_MAX, UnverifiedAnnouncement},
    },
};

/// The most towers listed: about 300 KB.
pub const DIRECTORY_MAX: usize = 1_024;

/// How far ahead an announcer's clock may be, in seconds.
const SKEW_MAX: u64 = 120;

/// What else is known of a tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing.
    Unknown,
    /// Its account was paid for an override on this chain: that cost it a proof and gas.
    Paid,
    /// The operator named it.
    Named,
}

/// What became of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// A tower that was not listed. It is passed on.
    New,
    /// It replaces an earlier one of the same account. It is passed on.
    Updated,
    /// It is no news.
    Known,
    /// Of another vault.
    OtherDomain,
    /// It has expired, or is from the future.
    Untimely,
    /// There is no room for a tower of this standing.
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    signed: SignedAnnouncement,
    standing: Standing,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Directory {
    domain: Domain,
    towers: BTreeMap<Address, Entry>,
    refused: u64,
}

impl Directory {
    /// An empty directory of a vault's towers.
    #[must_use]
    pub const fn new(domain: Domain) -> Self {
        Self { domain, towers: BTreeMap::new(), refused: 0 }
    }

    /// Lists a tower at `now_s`, in seconds since 1970. Of two announcements of an account the later one counts; of two
    /// issued at once, the one with the smaller signing hash.
    pub fn offer(&mut self, signed: SignedAnnouncement, standing: Standing, now_s: u64) -> Listed {
        let announcement = signed.announcement();
        if announcement.domain != self.domain {
            return Listed::OtherDomain;
        }
        let early = announcement.issued_at > now_s.saturating_add(SKEW_MAX);
        if early || announcement.expires_at <= now_s {
            return Listed::Untimely;
        }
        let tower = announcement.tower;
        if let Some(entry) = self.towers.get_mut(&tower) {
            let held = entry.signed.announcement();
            let order = |a: &crate::network::wire::Announcement| {
                (a.issued_at, core::cmp::Reverse(a.signing_hash()))
            };
            let news = order(announcement) > order(held);
            entry.standing = entry.standing.max(standing);
            if news {
                entry.signed = signed;
            }
            return if news { Listed::Updated } else { Listed::Known };
        }
        if !self.make_room(standing, now_s) {
            self.refused = self.refused.saturating_add(1);
            return Listed::Full;
        }
        self.towers.insert(tower, Entry { signed, standing });
        Listed::New
    }

    /// Whether there is room for one more. Makes it by forgetting what has expired or, if that is not enough, the tower
    /// of the worst standing that expires first, if its standing is worse.
    fn make_room(&mut self, standing: Standing, now_s: u64) -> bool {
        if self.towers.len() < DIRECTORY_MAX {
            return true;
        }
        self.expire(now_s);
        if self.towers.len() < DIRECTORY_MAX {
            return true;
        }
        let worst = self
            .towers
            .iter()
            .map(|(tower, entry)| (entry.standing, entry.signed.announcement().expires_at, *tower))
            .min();
        match worst {
            Some((worse, _, tower)) if worse < standing => self.towers.remove(&tower).is_some(),
            _ => false,
        }
    }

    /// Forgets the towers whose announcements have expired at `now_s`. Returns whether there were any: then shards may
    /// be placed otherwise.
    pub fn expire(&mut self, now_s: u64) -> bool {
        let before = self.towers.len();
        self.towers.retain(|_, entry| entry.signed.announcement().expires_at > now_s);
        self.towers.len() != before
    }

    /// How many towers are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.towers.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.towers.is_empty()
    }

    /// How many announcements found no room, for a counter.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether an account is a listed tower: its alerts have a budget of their own.
    #[must_use]
    pub fn knows(&self, tower: &Address) -> bool {
        self.towers.contains_key(tower)
    }

    /// The node of a tower.
    #[must_use]
    pub fn node(&self, tower: &Address) -> Option<NodeKey> {
        self.towers.get(tower).map(|entry| entry.signed.announcement().node_key)
    }

    /// The accounts, ascending.
    pub fn accounts(&self) -> impl Iterator<Item = Address> {
        self.towers.keys().copied()
    }

    /// The towers to ask about a channel, the closest first: those that say that they keep its shard.
    #[must_use]
    pub fn towers_of(&self, channel_id: ChannelId) -> Vec<Address> {
        let shard = Shard::of(channel_id);
        let keep = self
            .towers
            .iter()
            .filter(|(_, entry)| entry.signed.announcement().shards.contains(shard));
        ranked(self.domain, shard, keep.map(|(tower, _)| *tower))
    }

    /// How many listed towers say that they keep this shard.
    #[must_use]
    pub fn copies(&self, shard: Shard) -> usize {
        let keeps = |entry: &&Entry| entry.signed.announcement().shards.contains(shard);
        self.towers.values().filter(keeps).count()
    }

    /// The announcements of accounts above `after`, for an answer.
    #[must_use]
    pub fn page(&self, after: Address) -> Vec<UnverifiedAnnouncement> {
        self.towers
            .range((core::ops::Bound::Excluded(after), core::ops::Bound::Unbounded))
            .take(TOWERS_PAGE_MAX)
            .map(|(_, entry)| entry.signed.into())
            .collect()
    }
}
