//! VRC-2: what a node decides. A tower's side of a dispute lives here; executing it is the watchtower's work.
//!
//! - [`dispute`]: one look at one dispute: is it worth an override, and why not
//! - [`rescue`]: the whole life of one dispute at a tower, step by durable step

pub mod dispute;
pub mod rescue;

pub use dispute::{Conditions, Evidence, Facts, Policy, Verdict, decide};
pub use rescue::{Effect, Event, Outcome, Record, Rescue, Step};

#[cfg(test)]
mod tests;
