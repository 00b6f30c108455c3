//! Real towers, processes of their own, and who else may talk to them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
#![allow(clippy::print_stdout, reason = "figures for whoever looks")]

mod interop;
mod world;
