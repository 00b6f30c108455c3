//! How often a newer backup may take the place of the state that is being proven or sent.
//!
//! ```text
//!   newer backup --> may_displace? --yes--> displaced: it is proven instead
//!                         | no
//!                         +--> it waits: until nothing is under way, or what is under way has had REST
//! ```
//!
//! Whoever could go on for ever, with backups that come faster than proofs, would keep the tower from ever answering. Whoever
//! could make the newest state wait for ever, behind one that lowers the claim by little and costs more gas than that is
//! worth, would win as well. So each answer gets a time of its own, and no more than that.

use std::time::{Duration, Instant};

/// So many newer states in a row take the place of one under way at once.
const CHASES_MAX: u32 = 2;

/// The time that an answer then has for itself: many proofs, and several blocks; little of any window that money is safe with.
const REST: Duration = Duration::from_secs(120);

/// The hunt for the newest backup while an answer is under way. Not durable: a start looks at the backups anyway.
#[derive(Debug, Default)]
pub(super) struct Chase {
    taken: u32,
    last: Option<Instant>,
    waits: bool,
}

impl Chase {
    /// Whether a newer backup may take the place of what is under way; otherwise it waits.
    pub(super) fn may_displace(&mut self, now: Instant) -> bool {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= REST) {
            self.taken = 0;
        }
        self.waits = self.taken >= CHASES_MAX;
        !self.waits
    }

    /// It took the place of what was under way.
    pub(super) fn displaced(&mut self, now: Instant) {
        self.taken = self.taken.saturating_add(1);
        self.last = Some(now);
    }

    /// Whether backups that wait are to be looked at now; `answering` is whether something is under way still.
    pub(super) fn goes_on(&mut self, answering: bool, now: Instant) -> bool {
        self.waits && (!answering || self.may_displace(now)) && {
            self.waits = false;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_time_of_its_own_and_the_newest_state_waits_no_longer_than_that() {
        let (mut chase, start) = (Chase::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!chase.goes_on(false, start), "nothing waits");
        for second in [0, 1] {
            assert!(chase.may_displace(at(second)));
            chase.displaced(at(second));
        }
        assert!(!chase.may_displace(at(2)) && !chase.goes_on(true, at(120)));
        assert!(chase.goes_on(true, at(121)), "the answer has had its time");
        assert!(!chase.goes_on(true, at(122)), "it is said once");
        chase.displaced(at(121));
        assert!(chase.may_displace(at(122)));
        chase.displaced(at(122));
        assert!(!chase.may_displace(at(123)));
        assert!(chase.goes_on(false, at(124)), "nothing is under way");
        // What is under way and is not, by turns, gains nothing.
        assert!(!chase.may_displace(at(125)));
    }
}
