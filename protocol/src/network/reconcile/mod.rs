//! Reconciliation: two replicas find out what differs, at a cost that follows the difference.
//!
//! A shard is a tree of prefixes, sixteen parts each, down to leaves of at most [`LEAF_MAX`] rows. Each part has a digest
//! that depends on its rows alone, not on how they came: equal rows, equal digest. The asking tower compares its digests
//! with the other's, from the roots down, and only where they differ.
//!
//! ```text
//!   Session (asks, has the state) ---- SyncRequest ---> respond (answers, keeps nothing)
//!        |    <--- SyncResponse ----        |
//!        +--> envelopes, to admission       +--> Index: 32 bytes a row, digests of 273 parts a shard
//! ```
//!
//! **Why a tree of hashes and not a sum of hashes.** Sums are easy to update, but parties choose their envelopes: with a
//! few dozen slots, a generalised birthday search finds sets of different envelopes with equal sums of 256 bits in far
//! less than 2^128 steps. Here a digest hides a difference only if Keccak-256 collides. What travels is eight bytes of a
//! hash of the digest and of chance that the asking tower draws for the session, after all envelopes were made: two
//! different digests look equal once in 2^64, and not again in the next session.
//!
//! **Invariant:** equal content gives equal digests, whatever the order of its arrival.
//!
//! **Invariant:** answering keeps no state, and an answer never exceeds its limit.

mod index;
mod respond;
mod session;

pub use index::{Index, LEAF_MAX};
pub use respond::{Answer, envelopes, respond};
pub use session::{Progress, Session, SessionLimits, SessionReport, SyncEnd, SyncFault, SyncNext};

#[cfg(test)]
mod tests;
