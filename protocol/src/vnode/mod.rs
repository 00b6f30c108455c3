//! VRC-2: what a node decides. A tower's side of a dispute lives here; executing it is the watchtower's work.
//!
//! - [`dispute`]: one look at one dispute: is it worth an override, and why not
//! - [`rescue`]: the whole life of one dispute at a tower, step by durable step
//! - [`coverage`]: which backups are due, what towers promised, and whether they keep it
//! - [`close`]: ending a dispute by consent
//! - [`exit`]: when a node leaves a channel, by written policy
//! - [`restore`]: the way back from a seed alone
//! - [`link`]: what two nodes of a channel say to each other on the wire
//! - [`turn`]: how long a tower waits for the others before it sends the same override
//! - [`view`]: whether the view of the chain may be signed on

pub mod close;
pub mod coverage;
pub mod dispute;
pub mod exit;
pub mod link;
pub mod rescue;
pub mod restore;
pub mod turn;
pub mod view;

pub use dispute::{Conditions, Evidence, Facts, Policy, Verdict, decide};
pub use rescue::{Effect, Event, Outcome, Record, Rescue, Step};

#[cfg(test)]
mod tests;
