//! Whose turn it is: towers that would all send the same override wait for each other, in an order that nobody knows
//! before the dispute.
//!
//! ```text
//!   order of Keccak-256(hash of the block that made the dispute stand as it does, account), among the towers that are met
//!   first: sends at once   second: a slot later   third: two slots later   ...   after the cap: everybody
//! ```
//!
//! A slot is longer than a proof and two blocks, so whoever comes next has seen what the one before did, and sends
//! nothing. Every tower proves at once: whoever waits is armed.
//!
//! No tower relies on another. The order only says how long to wait for one that may never come; it is drawn anew
//! whenever the dispute stands otherwise, and is of no more use once a quarter of the window is left. Made-up towers, and
//! overrides that are shown and never mined, delay an answer up to the cap and two slots, no further. Whoever makes the
//! block can choose its hash, and with it the order, at the price of not publishing other blocks; it gains no more than
//! that delay.
//!
//! **Invariant:** a hold ends at a time that was known when the dispute came to stand as it does, two slots later at most.

use alloy_primitives::{B256, keccak256};

/// A window has at least so many slots: where windows are short the waits shrink with them.
const SLOTS_PER_WINDOW: u64 = 60;

/// The longest wait for one's turn is this part of the window, and never more than [`WAIT_MAX_S`].
const WAIT_PART: u64 = 10;

/// The longest wait for one's turn, in seconds.
const WAIT_MAX_S: u64 = 600;

/// Slots for which an override of somebody else that waits to be mined is given time.
const RIVAL_SLOTS: u64 = 2;

/// Once this part of the window is left, nobody waits for anybody.
const RESERVE_PART: u64 = 4;

/// The order of a vault's towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    slot_s: u64,
    window_s: u64,
}

/// One tower's turn in one dispute. All times are the chain's, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Since when the dispute stands as it does.
    pub since: u64,
    /// How long the towers before this one have; see [`Order::wait_s`].
    pub wait_s: u64,
    /// When an override by somebody else, as new as ours, was first seen waiting to be mined.
    pub rival: Option<u64>,
    /// When the window closes.
    pub deadline: u64,
}

impl Order {
    /// The order with slots of `slot_s` seconds in windows of `window_s` seconds.
    #[must_use]
    pub fn new(slot_s: u64, window_s: u64) -> Self {
        let longest = window_s.checked_div(SLOTS_PER_WINDOW).unwrap_or(0);
        Self { slot_s: slot_s.min(longest), window_s }
    }

    /// The seconds of a slot, in this vault.
    #[must_use]
    pub const fn slot_s(&self) -> u64 {
        self.slot_s
    }

    fn part(&self, part: u64) -> u64 {
        self.window_s.checked_div(part).unwrap_or(0)
    }

    /// How long `me` waits for `others`, in seconds: 0 for whoever comes first. `seed` is the hash of the block that made
    /// the dispute stand as it does.
    #[must_use]
    pub fn wait_s<'a>(
        &self,
        seed: B256,
        me: &[u8],
        others: impl IntoIterator<Item = &'a [u8]>,
    ) -> u64 {
        let ticket = |name: &[u8]| keccak256([seed.as_slice(), name].concat());
        let mine = ticket(me);
        let before = others.into_iter().filter(|other| *other != me && ticket(other) < mine);
        let before = u64::try_from(before.count()).unwrap_or(u64::MAX);
        before.saturating_mul(self.slot_s).min(WAIT_MAX_S).min(self.part(WAIT_PART))
    }

    /// Until when an override is held back at `now`; none if it is to be sent.
    #[must_use]
    pub fn hold(&self, turn: &Turn, now: u64) -> Option<u64> {
        if turn.deadline.saturating_sub(now) <= self.part(RESERVE_PART) {
            return None;
        }
        let mine = turn.since.saturating_add(turn.wait_s);
        let patience = self.slot_s.saturating_mul(RIVAL_SLOTS);
        // However late it shows up: the time that it gets counts from our own turn at most.
        let until =
            turn.rival.map_or(mine, |seen| seen.min(mine).saturating_add(patience).max(mine));
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;
    const SLOT_S: u64 = 36;

    fn names(count: u8) -> Vec<[u8; 1]> {
        (0..count).map(|name| [name]).collect()
    }

    fn waits(seed: u8, count: u8, window_s: u64) -> Vec<u64> {
        let (order, all) = (Order::new(SLOT_S, window_s), names(count));
        let seed = B256::repeat_byte(seed);
        let others = || all.iter().map(<[u8; 1]>::as_slice);
        all.iter().map(|me| order.wait_s(seed, me, others())).collect()
    }

    #[test]
    fn towers_take_turns_a_slot_apart() {
        let mut waits = waits(1, 5, DAY_S);
        waits.sort_unstable();
        assert_eq!(waits, [0, 36, 72, 108, 144]);
    }

    #[test]
    fn the_order_is_another_one_in_every_dispute() {
        let first = |seed| waits(seed, 5, DAY_S).iter().position(|wait| *wait == 0);
        let firsts: std::collections::BTreeSet<_> = (0..40).map(first).collect();
        assert_eq!(firsts.len(), 5);
    }

    #[test]
    fn towers_that_know_different_others_never_both_come_first_if_they_know_each_other() {
        let order = Order::new(SLOT_S, DAY_S);
        for seed in 0..200 {
            let seed = B256::repeat_byte(seed);
            let (a, b, c): (&[u8], &[u8], &[u8]) = (b"a", b"b", b"c");
            let of_a = order.wait_s(seed, a, [b]);
            let of_b = order.wait_s(seed, b, [a, c]);
            assert!(of_a > 0 || of_b > 0);
        }
    }

    #[test]
    fn made_up_towers_delay_by_the_cap_and_short_windows_have_short_turns() {
        assert_eq!(waits(1, 200, DAY_S).into_iter().max(), Some(600));
        let mut short = waits(1, 3, 300);
        short.sort_unstable();
        assert_eq!(short, [0, 5, 10]);
        assert!(waits(1, 200, 300).into_iter().all(|wait| wait <= 30));
        assert_eq!(waits(1, 200, 0).into_iter().max(), Some(0));
    }

    #[test]
    fn a_tower_alone_never_waits() {
        assert_eq!(Order::new(SLOT_S, DAY_S).wait_s(B256::ZERO, &[1], []), 0);
        assert_eq!(waits(1, 1, DAY_S), [0], "its own name among the others is no other");
    }

    #[test]
    fn an_override_is_held_until_its_turn_and_never_in_the_last_quarter() {
        let order = Order::new(SLOT_S, DAY_S);
        let turn = Turn { since: 1_000, wait_s: 72, rival: None, deadline: 1_000 + DAY_S };
        assert_eq!(order.hold(&turn, 1_000), Some(1_072));
        assert_eq!(order.hold(&turn, 1_071), Some(1_072));
        assert_eq!(order.hold(&turn, 1_072), None);
        assert_eq!(order.hold(&Turn { deadline: 1_000 + DAY_S / 4, ..turn }, 1_000), None);
        assert_eq!(order.hold(&Turn { deadline: 500, ..turn }, 1_000), None);
    }

    #[test]
    fn another_override_that_waits_gets_two_slots_once_and_no_more() {
        let order = Order::new(SLOT_S, DAY_S);
        let turn = Turn { since: 1_000, wait_s: 36, rival: Some(1_010), deadline: 1_000 + DAY_S };
        assert_eq!(order.hold(&turn, 1_036), Some(1_082));
        assert_eq!(order.hold(&turn, 1_082), None);
        let late = Turn { rival: Some(9_000), ..turn };
        assert_eq!(order.hold(&late, 1_036), Some(1_108));
        assert_eq!(order.hold(&late, 9_001), None, "it does not begin anew when it is late");
        let first = Turn { wait_s: 0, rival: Some(1_000), ..turn };
        assert_eq!(order.hold(&first, 1_001), Some(1_072));
    }

    #[test]
    fn every_hold_ends_by_the_cap_and_two_slots() {
        for window_s in [1, 59, 60, 120, 3_600, DAY_S, 30 * DAY_S] {
            let order = Order::new(SLOT_S, window_s);
            for rival in [None, Some(0), Some(500), Some(1_000_000)] {
                let wait_s = WAIT_MAX_S.min(window_s / WAIT_PART);
                let turn = Turn { since: 0, wait_s, rival, deadline: window_s };
                let end = wait_s + 2 * order.slot_s();
                assert_eq!(order.hold(&turn, end), None, "{window_s} {rival:?}");
            }
        }
    }
}
