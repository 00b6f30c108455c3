//! Chain time: the wall clock plus an offset that the user moves.
//!
//! **Invariant:** the timestamp of a block is greater than its parent's, as on every post-merge chain.

use std::time::{SystemTime, UNIX_EPOCH};

use super::error::DevnetError;

/// Latest timestamp that can be set: the year 9999, far from every overflow.
const TIME_MAX: u64 = 253_402_300_799;

/// Seconds since 1970 by the machine's clock.
pub(crate) fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Where chain time stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// Chain time minus wall time, in seconds.
    offset: i64,
    /// The next block's timestamp, if it was set.
    next: Option<u64>,
}

impl Clock {
    /// A clock that shows `time` now.
    pub(crate) fn starting_at(time: u64) -> Self {
        let mut clock = Self::default();
        clock.align(time);
        clock
    }

    /// The timestamp of a block made now on a parent of time `parent`.
    pub(crate) fn next_timestamp(&self, parent: u64) -> u64 {
        self.next.unwrap_or_else(|| self.now()).max(parent.saturating_add(1))
    }

    /// Records that a block was made: a time set for it is used up, and the clock goes on from there.
    pub(crate) fn block_made(&mut self, timestamp: u64) {
        if self.next.take().is_some() {
            self.align(timestamp);
        }
    }

    /// Moves the clock forward by `seconds`. Returns the whole offset.
    pub(crate) fn advance(&mut self, seconds: u64, parent: u64) -> Result<i64, DevnetError> {
        let target = self.next_timestamp(parent).saturating_add(seconds);
        if target > TIME_MAX {
            return Err(DevnetError::Bound {
                what: "timestamp",
                requested: target,
                bound: TIME_MAX,
            });
        }
        if let Some(next) = &mut self.next {
            *next = next.saturating_add(seconds);
        }
        // Below TIME_MAX, so the conversion holds.
        self.offset = self.offset.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        Ok(self.offset)
    }

    /// Sets the next block's timestamp.
    pub(crate) fn set_next(&mut self, timestamp: u64, parent: u64) -> Result<(), DevnetError> {
        if timestamp <= parent {
            return Err(DevnetError::TimeNotAfter { requested: timestamp, latest: parent });
        }
        if timestamp > TIME_MAX {
            return Err(DevnetError::Bound {
                what: "timestamp",
                requested: timestamp,
                bound: TIME_MAX,
            });
        }
        self.next = Some(timestamp);
        Ok(())
    }

    fn now(&self) -> u64 {
        wall_seconds().saturating_add_signed(self.offset)
    }

    fn align(&mut self, timestamp: u64) {
        let wall = wall_seconds();
        self.offset = if timestamp >= wall {
            i64::try_from(timestamp - wall).unwrap_or(i64::MAX)
        } else {
            i64::try_from(wall - timestamp).map_or(i64::MIN, |behind| -behind)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_stands_still_between_blocks() {
        let clock = Clock::starting_at(1_000);
        assert_eq!(clock.next_timestamp(5_000), 5_001);
    }

    #[test]
    fn a_time_that_was_set_is_used_once_and_then_flows_on() {
        let mut clock = Clock::starting_at(1_000);
        assert!(clock.set_next(1_000, 1_000).is_err());
        clock.set_next(2_000, 1_000).unwrap();
        assert_eq!(clock.next_timestamp(1_000), 2_000);
        clock.block_made(2_000);
        let after = clock.next_timestamp(2_000);
        assert!((2_001..2_010).contains(&after), "{after}");
        clock.advance(3_600, 2_000).unwrap();
        assert!((5_600..5_610).contains(&clock.next_timestamp(2_000)));
        assert!(clock.advance(u64::MAX, 2_000).is_err());
    }
}
