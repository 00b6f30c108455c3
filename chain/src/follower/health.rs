//! How the follower fares, and what a person should look at.

use std::time::Duration;

use super::Tip;
use crate::{
    error::RpcError,
    provider::{Scoreboard, Standing},
};

/// How a node's newest block may relate to this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockBounds {
    /// How old it may be; none where blocks come only on demand.
    pub head_age_max: Option<Duration>,
    /// How far it may be in our future; none where the chain's clock is moved on purpose.
    pub skew_max: Option<Duration>,
}

/// How the follower fares; for health pages and alarms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// The node's newest block and how far the chain is final.
    pub tip: Option<Tip>,
    /// Height up to which everything is read and acknowledged.
    pub position: u64,
    /// Blocks between the position and the node's newest block.
    pub behind: u64,
    /// Failed questions since the last success.
    pub failures: u32,
    /// The last failure; none after a success.
    pub last_error: Option<RpcError>,
    /// What a person should look at; empty when all is well.
    pub alarms: Vec<Alarm>,
    /// Each node by itself.
    pub scoreboard: Scoreboard,
}

/// Something that the follower survives and that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Alarm {
    /// No new blocks: the nodes are cut off or behind, the chain stands, or our clock is ahead.
    #[error("the newest block is {age_s} s old, more than {allowed_s} s")]
    HeadOld {
        /// Its age in seconds by our clock.
        age_s: u64,
        /// What is allowed.
        allowed_s: u64,
    },
    /// Our clock is behind.
    #[error(
        "the newest block is {ahead_s} s ahead of this machine's clock, more than {allowed_s} s"
    )]
    ClockBehind {
        /// By how many seconds.
        ahead_s: u64,
        /// What is allowed.
        allowed_s: u64,
    },
    /// A node is not used because of what it said.
    #[error("the endpoint {endpoint} is demoted ({standing:?}): {why}")]
    Endpoint {
        /// Scheme, host and port.
        endpoint: String,
        /// How it stands.
        standing: Standing,
        /// What was wrong.
        why: String,
    },
    /// Nothing is read until this changes: it cannot be verified, or too few nodes agree.
    #[error("reading stands still: {0}; {advice}", advice = .0.advice())]
    Halted(RpcError),
}

/// What the clock says about the newest block. `now_s` in seconds since 1970.
pub(super) fn clock_alarms(tip: &Tip, bounds: ClockBounds, now_s: u64) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let age_s = now_s.saturating_sub(tip.head.timestamp);
    let ahead_s = tip.head.timestamp.saturating_sub(now_s);
    if let Some(allowed) = bounds.head_age_max
        && age_s > allowed.as_secs()
    {
        alarms.push(Alarm::HeadOld { age_s, allowed_s: allowed.as_secs() });
    }
    if let Some(allowed) = bounds.skew_max
        && ahead_s > allowed.as_secs()
    {
        alarms.push(Alarm::ClockBehind { ahead_s, allowed_s: allowed.as_secs() });
    }
    alarms
}

/// What the scoreboard says.
pub(super) fn endpoint_alarms(scoreboard: &Scoreboard) -> impl Iterator<Item = Alarm> + '_ {
    let demoted = scoreboard
        .endpoints
        .iter()
        .filter(|score| matches!(score.standing, Standing::Lying | Standing::WrongChain));
    demoted.map(|score| Alarm::Endpoint {
        endpoint: score.endpoint.clone(),
        standing: score.standing,
        why: score.last_trouble.clone().unwrap_or_default(),
    })
}

/// Whether reading stands still because of it, rather than waits for a node.
pub(super) fn halts(error: &RpcError) -> bool {
    matches!(
        error,
        RpcError::Unverified { .. } | RpcError::NoQuorum { .. } | RpcError::WrongChain { .. }
    )
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;
    use crate::{cursor::BlockId, provider::Header};

    #[test]
    fn a_clock_that_is_off_either_way_is_alarmed_beyond_the_bounds_only() {
        let id = BlockId { number: 1, hash: B256::ZERO };
        let head = Header { id, parent: B256::ZERO, timestamp: 1_000, base_fee: 1, gas_limit: 1 };
        let tip = Tip { head, finalized: None };
        let bounds = ClockBounds {
            head_age_max: Some(Duration::from_secs(60)),
            skew_max: Some(Duration::from_secs(15)),
        };
        assert_eq!(clock_alarms(&tip, bounds, 1_060), []);
        assert_eq!(clock_alarms(&tip, bounds, 985), []);
        let old = clock_alarms(&tip, bounds, 1_061);
        assert_eq!(old, [Alarm::HeadOld { age_s: 61, allowed_s: 60 }]);
        let behind = clock_alarms(&tip, bounds, 984);
        assert_eq!(behind, [Alarm::ClockBehind { ahead_s: 16, allowed_s: 15 }]);
        assert_eq!(clock_alarms(&tip, ClockBounds::default(), 0), []);
    }
}
