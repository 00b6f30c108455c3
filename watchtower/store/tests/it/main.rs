//! The store's promises, on real files and on a disk that fails on demand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is a failed test"
)]

mod clean_stop;
mod crash;
mod disk;
mod endings;
mod full;
mod identity;
mod layouts;
mod moved;
mod node;
mod signing;
mod slots;
