//! A tower of the Virtual Rollup, and the `watchtower` program.
//!
//! ```text
//!   HTTP intake --+
//!   other towers -+-> admission --> store <-- driver --> prover
//!                                              ^  |
//!                            chain follower ---+  +--> submitter --> chain
//! ```
//!
//! `protocol` decides, this crate carries out. Each step of a dispute's life is on disk before it is acted upon, so a tower
//! that is killed at any instant goes on where it was.
//!
//! **Invariant:** nobody is told that a backup is held before it is on disk.
//! **Invariant:** a dispute is done when its end is final on chain, not when something was sent.

pub mod admission;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
mod doctor;
mod driver;
pub mod dumps;
pub mod error;
pub mod http;
pub mod keys;
pub mod monitor;
pub mod network;
pub mod observe;
pub mod service;
pub mod status;
pub mod tasks;
pub mod telemetry;
mod top;
pub mod virtual_node;
