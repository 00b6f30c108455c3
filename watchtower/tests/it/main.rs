//! The tower as its users meet it: the program's commands, its HTTP, and a dispute from the event to the reward.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod alarmed;
mod beside;
mod cli;
mod deploy;
#[path = "../../store/tests/it/disk.rs"]
#[allow(dead_code, reason = "shared with the store's tests, which need more of it")]
mod disk;
mod faults;
mod folder;
mod foresight;
mod intake;
mod members;
mod network;
mod observed;
mod packaged;
mod race;
mod refusals;
mod reorg;
mod shown;
mod story;
mod world;
