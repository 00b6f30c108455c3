//! The crate against a chain: the embedded one, or anvil when `ANVIL` names its binary.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed expectation is a failed test"
)]

mod backfill;
mod consents;
mod deploy;
mod follower;
mod follower_faults;
mod outbox;
mod pending;
mod pool;
mod proxy;
mod reorg;
mod signer;
mod startup;
mod submitter;
mod submitter_faults;
mod submitter_reorgs;
mod submitter_urgency;
mod wallets;
mod world;
