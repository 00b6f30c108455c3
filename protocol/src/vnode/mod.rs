//! VRC-2: what a node decides. A tower's side of a dispute lives here; executing it is the watchtower's work.
//!
//! - [`dispute`]: one look at one dispute: is it worth an override, and why not

pub mod dispute;

pub use dispute::{Conditions, Evidence, Facts, Policy, Verdict, decide};
