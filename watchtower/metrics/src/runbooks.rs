//! The runbooks, as they stand in `docs/runbooks/`: an alert links to the tower or the node that it is about, which serves them.

macro_rules! runbooks {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each runbook.
        pub const RUNBOOKS: &[(&str, &str)] = &[$(
            ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbooks/", $name, ".md"))),
        )+];
    };
}

runbooks![
    "channel-stopped",
    "clock-skew",
    "dispute-unanswered",
    "endpoints-disagree",
    "head-stale",
    "hub-liquidity-low",
    "key-used-elsewhere",
    "node-cannot-sign",
    "node-dispute-unanswered",
    "node-funds-low",
    "node-not-covered",
    "node-not-running",
    "not-ready",
    "order-failed",
    "outbox-stuck",
    "payment-stuck",
    "peers-low",
    "prover-slow",
    "queue-full",
    "replication-low",
    "restart-loop",
    "restore-undecided",
    "store-slow-or-full",
    "tower-broke-promise",
    "treasury-low",
];
