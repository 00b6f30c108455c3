//! This machine's clock. Only for records and receipts: whether there is time is asked of the chain's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn since_epoch() -> Duration {
    // A clock before 1970 gives records without a date, nothing worse.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Unix seconds.
#[must_use]
pub fn now_s() -> u64 {
    since_epoch().as_secs()
}
