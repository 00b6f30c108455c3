//! The tower as its users meet it: the program's commands, its HTTP, and a dispute from the event to the reward.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod cli;
mod faults;
mod intake;
mod refusals;
mod reorg;
mod story;
mod world;
