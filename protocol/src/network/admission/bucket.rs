//! Token buckets for many keys in bounded memory.
//!
//! A bucket is one number: until when it is spent (the "theoretical arrival time" of the generic cell rate algorithm). A
//! bucket that is full again equals one that was never made, so forgetting it loses nothing. When all are in use and the
//! map is full, further keys share one bucket.
//!
//! **Invariant:** at most `capacity` buckets are held, whatever strangers send.

use std::collections::BTreeMap;

/// How much of something a key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once, after a pause: 1 or more.
    pub burst: u32,
    /// Microseconds until one more is allowed.
    pub period_us: u64,
}

impl Rate {
    fn window_us(self) -> u64 {
        self.period_us.saturating_mul(u64::from(self.burst))
    }
}

/// What happened at the bound, for counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Buckets in use.
    pub held: usize,
    /// Buckets that were full again and were forgotten.
    pub forgotten: u64,
    /// Times that a key had to use the shared bucket.
    pub shared: u64,
}

/// A bucket for each key.
#[derive(Debug, Clone)]
pub struct Buckets<K> {
    rate: Rate,
    capacity: usize,
    spent_until_us: BTreeMap<K, u64>,
    shared_until_us: u64,
    swept_at_us: Option<u64>,
    forgotten: u64,
    shared: u64,
}

impl<K: Ord> Buckets<K> {
    /// Buckets with this rate, at most `capacity` of them.
    #[must_use]
    pub const fn new(rate: Rate, capacity: usize) -> Self {
        Self {
            rate,
            capacity,
            spent_until_us: BTreeMap::new(),
            shared_until_us: 0,
            swept_at_us: None,
            forgotten: 0,
            shared: 0,
        }
    }

    /// Takes `amount` from the bucket of `key` at `now_ms`, of a clock that does not go back.
    ///
    /// # Errors
    /// Milliseconds until as much can be taken; nothing was. An amount above the burst is measured as the burst.
    pub fn take(&mut self, key: K, amount: u32, now_ms: u64) -> Result<(), u64> {
        let now_us = now_ms.saturating_mul(1_000);
        if !self.spent_until_us.contains_key(&key) {
            self.make_room(now_us);
        }
        let room = self.spent_until_us.len() < self.capacity;
        match self.spent_until_us.get_mut(&key) {
            Some(until_us) => take(self.rate, until_us, amount, now_us),
            None if room => {
                let mut until_us = 0;
                take(self.rate, &mut until_us, amount, now_us)?;
                self.spent_until_us.insert(key, until_us);
                Ok(())
            }
            None => {
                self.shared = self.shared.saturating_add(1);
                take(self.rate, &mut self.shared_until_us, amount, now_us)
            }
        }
    }

    /// Whether one can be taken from the bucket of `key` at `now_ms`; takes nothing.
    ///
    /// # Errors
    /// Milliseconds until it can.
    pub fn peek(&self, key: &K, now_ms: u64) -> Result<(), u64> {
        let full = self.spent_until_us.len() >= self.capacity;
        let shared_us = if full { self.shared_until_us } else { 0 };
        let mut until_us = self.spent_until_us.get(key).copied().unwrap_or(shared_us);
        take(self.rate, &mut until_us, 1, now_ms.saturating_mul(1_000))
    }

    /// Forgets the buckets that are full again, at most once in the time that an empty one takes to fill.
    fn make_room(&mut self, now_us: u64) {
        let soon = self
            .swept_at_us
            .is_some_and(|swept| now_us < swept.saturating_add(self.rate.window_us()));
        if soon || self.spent_until_us.len() < self.capacity {
            return;
        }
        let before = self.spent_until_us.len();
        self.spent_until_us.retain(|_, until_us| *until_us > now_us);
        let gone = before.saturating_sub(self.spent_until_us.len());
        self.forgotten = self.forgotten.saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
        self.swept_at_us = Some(now_us);
    }

    /// What happened at the bound.
    #[must_use]
    pub fn stats(&self) -> BucketStats {
        BucketStats {
            held: self.spent_until_us.len(),
            forgotten: self.forgotten,
            shared: self.shared,
        }
    }
}

fn take(rate: Rate, until_us: &mut u64, amount: u32, now_us: u64) -> Result<(), u64> {
    let amount = u64::from(amount.min(rate.burst));
    let next_us = (*until_us).max(now_us).saturating_add(rate.period_us.saturating_mul(amount));
    let limit_us = now_us.saturating_add(rate.window_us());
    if next_us > limit_us {
        return Err(next_us.saturating_sub(limit_us).div_ceil(1_000));
    }
    *until_us = next_us;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { burst: 3, period_us: 100_000 };

    #[test]
    fn a_burst_is_taken_at_once_and_then_one_each_period() {
        let mut buckets = Buckets::new(RATE, 10);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", 1, 1_000), Ok(()));
        }
        assert_eq!(buckets.peek(&"a", 1_000), Err(100));
        assert_eq!(buckets.take("a", 1, 1_000), Err(100));
        assert_eq!(buckets.take("a", 1, 1_099), Err(1));
        assert_eq!(buckets.peek(&"a", 1_100), Ok(()), "and takes nothing");
        assert_eq!(buckets.take("a", 1, 1_100), Ok(()));
        assert_eq!(buckets.take("b", 3, 1_100), Ok(()), "another key has its own");
        assert_eq!(buckets.take("c", 4_000, 1_100), Ok(()), "measured as the burst");
    }

    #[test]
    fn at_the_capacity_full_buckets_are_forgotten_and_then_keys_share_one() {
        let mut buckets = Buckets::new(RATE, 2);
        buckets.take(1, 1, 0).unwrap();
        buckets.take(2, 3, 0).unwrap();
        for _ in 0..3 {
            buckets.take(3, 1, 50).unwrap();
        }
        assert!(buckets.take(4, 1, 50).is_err(), "3 and 4 share one bucket");
        assert_eq!(buckets.stats(), BucketStats { held: 2, forgotten: 0, shared: 4 });
        buckets.take(5, 1, 350).unwrap();
        assert_eq!(buckets.stats(), BucketStats { held: 1, forgotten: 2, shared: 4 });
    }

    #[test]
    fn a_key_that_has_a_bucket_keeps_it_whatever_others_do() {
        let mut buckets = Buckets::new(RATE, 100);
        for now in 0..1_000_u64 {
            for key in 0..50 {
                let _ = buckets.take(1_000 + now * 50 + key, 1, now);
            }
            if now % 100 == 0 {
                assert_eq!(buckets.take(7, 1, now), Ok(()), "at {now}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_more_than_the_burst_and_one_each_period_is_ever_taken(
            steps in prop::collection::vec((0_u64..300, 0_u8..4), 1..400),
        ) {
            let mut buckets = Buckets::new(RATE, 2);
            let mut taken = BTreeMap::<u8, u64>::new();
            let mut now = 0;
            for (wait, key) in steps {
                now += wait;
                if buckets.take(key, 1, now).is_ok() {
                    *taken.entry(key).or_default() += 1;
                }
                prop_assert!(buckets.stats().held <= 2);
            }
            for count in taken.values() {
                // A key that moves from the shared bucket to its own has two bursts.
                prop_assert!(*count <= 2 * 3 + 2 * now / 100, "{count} in {now} ms");
            }
        }
    }
}
