//! What peers cost before they have shown who they are: strikes for what is false, a budget for openings.
//!
//! A peer may be anybody, and as many as it likes. What it can make this node do for nothing is counted here.
//!
//! **Invariant:** openings asked for cost a bounded number of verifications and writes a second, whoever asks; one address has
//! a fifth of it at most.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gossip::Peer;

/// False words of one peer after which its connection is closed.
const STRIKES_MAX: u32 = 16;
/// Openings of one peer: so many at once, and one more each second.
const ASKS_OF_ONE: u64 = 4;
/// Openings of one address (an IPv6 /64 counts as one), whatever peers it has: a fifth of all.
const ASKS_OF_HOME: (u64, u64) = (40, 10);
/// Openings of all peers: so many at once.
const ASKS_OF_ALL: u64 = 200;
/// So many more each second: a hub's verifications and writes for strangers.
const ASKS_A_SECOND: u64 = 50;
/// Peers remembered; beyond it all are forgotten, and the common budget still holds.
const PEERS_MAX: usize = 65_536;
const SECOND_MS: u64 = 1_000;

/// So many at once, refilled with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// In thousandths.
    left: u64,
    at_ms: u64,
}

impl Bucket {
    const fn full(most: u64, now: u64) -> Self {
        Self { left: most.saturating_mul(SECOND_MS), at_ms: now }
    }

    fn take(&mut self, (most, a_second): (u64, u64), now: u64) -> bool {
        let gained = now.saturating_sub(self.at_ms).saturating_mul(a_second);
        self.left = self.left.saturating_add(gained).min(most.saturating_mul(SECOND_MS));
        self.at_ms = now;
        match self.left.checked_sub(SECOND_MS) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// The counts.
#[derive(Debug)]
pub(super) struct Strangers {
    strikes: BTreeMap<Peer, u32>,
    asks: BTreeMap<Peer, Bucket>,
    /// Where connected peers come from; this machine's own are not in it.
    homes: BTreeMap<Peer, IpAddr>,
    of_homes: BTreeMap<IpAddr, Bucket>,
    all: Bucket,
}

impl Strangers {
    pub(super) fn new() -> Self {
        let all = Bucket::full(ASKS_OF_ALL, 0);
        let (homes, of_homes) = (BTreeMap::new(), BTreeMap::new());
        Self { strikes: BTreeMap::new(), asks: BTreeMap::new(), homes, of_homes, all }
    }

    /// The peer said something false; true when that is enough.
    pub(super) fn strike(&mut self, peer: Peer) -> bool {
        if self.strikes.len() >= PEERS_MAX {
            self.strikes.clear();
        }
        let count = self.strikes.entry(peer).or_default();
        *count = count.saturating_add(1);
        *count >= STRIKES_MAX
    }

    /// Whether an opening that this peer asks for is looked at now.
    pub(super) fn may_ask(&mut self, peer: Peer, now: u64) -> bool {
        if self.asks.len() >= PEERS_MAX {
            self.asks.clear();
        }
        let own = self.asks.entry(peer).or_insert_with(|| Bucket::full(ASKS_OF_ONE, now));
        own.take((ASKS_OF_ONE, 1), now)
            && self.may_home_ask(peer, now)
            && self.all.take((ASKS_OF_ALL, ASKS_A_SECOND), now)
    }

    fn may_home_ask(&mut self, peer: Peer, now: u64) -> bool {
        let Some(home) = self.homes.get(&peer) else { return true };
        if self.of_homes.len() >= PEERS_MAX {
            self.of_homes.clear();
        }
        let (most, _) = ASKS_OF_HOME;
        let share = self.of_homes.entry(*home).or_insert_with(|| Bucket::full(most, now));
        share.take(ASKS_OF_HOME, now)
    }

    /// A peer is connected from there.
    pub(super) fn comes_from(&mut self, peer: Peer, home: IpAddr) {
        self.homes.insert(peer, home);
    }

    /// The peer is gone.
    pub(super) fn forget(&mut self, peer: Peer) {
        self.strikes.remove(&peer);
        self.homes.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use gossip::Identity;

    use super::*;

    fn peer(seed: u8) -> Peer {
        Identity::from_secret(&[seed; 32]).unwrap().peer()
    }

    #[test]
    fn a_peer_asks_for_a_few_openings_at_once_and_then_for_one_a_second() {
        let mut strangers = Strangers::new();
        let now = 5_000;
        let taken = (0..100).filter(|_| strangers.may_ask(peer(1), now)).count();
        assert_eq!(taken, 4);
        assert!(strangers.may_ask(peer(2), now), "others are not held up by it");
        let later = (0..100).filter(|_| strangers.may_ask(peer(1), now + 3_000)).count();
        assert_eq!(later, 3);
    }

    #[test]
    fn however_many_peers_ask_the_whole_is_bounded() {
        let mut strangers = Strangers::new();
        let at = |strangers: &mut Strangers, now| {
            (1..=255).filter(|seed| strangers.may_ask(peer(*seed), now)).count()
        };
        assert_eq!(at(&mut strangers, 0), 200);
        assert_eq!(at(&mut strangers, 1_000), 50);
    }

    #[test]
    fn one_address_takes_no_more_than_its_share_whatever_peers_it_has() {
        let mut strangers = Strangers::new();
        let home = IpAddr::from([203, 0, 113, 7]);
        (1..=200).for_each(|seed| strangers.comes_from(peer(seed), home));
        let at = |strangers: &mut Strangers, now| {
            (1..=200).filter(|seed| strangers.may_ask(peer(*seed), now)).count()
        };
        assert_eq!(at(&mut strangers, 0), 40);
        assert!(strangers.may_ask(peer(250), 0), "others have their share");
        assert_eq!(at(&mut strangers, 1_000), 10);
    }

    #[test]
    fn a_peer_that_says_false_things_is_let_go_after_a_while() {
        let mut strangers = Strangers::new();
        let strikes = (0..100).take_while(|_| !strangers.strike(peer(1))).count();
        assert_eq!(strikes, 15);
        strangers.forget(peer(1));
        assert!(!strangers.strike(peer(1)));
    }
}
