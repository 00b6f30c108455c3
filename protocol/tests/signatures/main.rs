//! The signature scheme from outside: published vectors, a naive oracle of the group, and every refusal.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
#![allow(unreachable_pub, reason = "modules of one test")]

mod chain;
mod group_law;
mod known;
mod naive;
mod refusals;
mod schnorr;
mod seed;
mod session;
mod vectors;
