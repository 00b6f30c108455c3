//! The runbooks, as they stand in `docs/runbooks/`: an alert links to the tower that it is about.

macro_rules! runbooks {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each runbook.
        pub const RUNBOOKS: &[(&str, &str)] = &[$(
            ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks/", $name, ".md"))),
        )+];
    };
}

runbooks![
    "clock-skew",
    "dispute-unanswered",
    "endpoints-disagree",
    "head-stale",
    "key-used-elsewhere",
    "not-ready",
    "outbox-stuck",
    "peers-low",
    "prover-slow",
    "queue-full",
    "replication-low",
    "restart-loop",
    "store-slow-or-full",
    "treasury-low",
];
