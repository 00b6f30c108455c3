//! The contract against the native verifier.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod challenges;
mod evm;
mod fixture;
mod gas;
mod generic;
mod parts;
mod sources;
mod verifier;
