//! The rules of the network between towers: what travels, what is admitted, how replicas converge, who keeps what.
//!
//! ```text
//!   gossip message --+                                          +--> Accept: store, then forward
//!   Submit request --+--> wire (decode) --> admission (pure) ---+--> Ignore: drop, no blame
//!   sync envelopes --+                                          +--> Reject: drop, and the sender's score falls
//! ```
//!
//! The swarm, its clock and its chance are the driver's. `docs/spec/network.md` says the same for other implementations,
//! byte by byte.
//!
//! **Invariant:** whatever decodes has exactly one encoding, and its size was checked before anything was allocated.

pub mod admission;
pub mod placement;
pub mod reconcile;
pub mod replicate;
pub mod slot;
pub mod wire;

#[cfg(test)]
mod sim;

pub use slot::{SHARDS, Shard, ShardSet, Slot, SlotKey};
