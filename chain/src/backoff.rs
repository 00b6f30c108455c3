//! How long to wait before trying again: doubling, bounded, and spread so that towers do not all return at once.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait: shorter than any dispute window by far, so an outage costs little once it ends.
const LONGEST: Duration = Duration::from_secs(15);

/// The wait after the `failures`-th failure in a row, at `spread` of 2^64 between half of it and all of it.
pub(crate) fn wait(failures: u32, spread: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let half = full / 2;
    // The upper 16 bits are enough to spread with.
    let part = u32::try_from(spread >> 48).unwrap_or(0);
    half.saturating_add(half.saturating_mul(part) / (1 << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        assert_eq!(wait(1, 0), FIRST / 2);
        assert!(wait(1, u64::MAX) <= FIRST && wait(1, u64::MAX) > FIRST / 2);
        assert_eq!(wait(2, 0), FIRST);
        assert!(wait(1_000, u64::MAX) <= LONGEST);
        assert!(wait(1_000, 0) >= LONGEST / 2);
    }
}
