//! Backups: encrypted latest states, kept by towers that cannot read them until somebody disputes.
//!
//! ```text
//!   FinalState --seal(dispute key)--> Envelope --bytes--> UnverifiedEnvelope --admit--> Envelope --open--> FinalState
//! ```
//!
//! A slot is (channel, role): each party writes its own, and one envelope is kept whatever the number of updates. The
//! dispute key is revealed by whoever opens a dispute; then every tower opens both slots and ranks what it finds by the
//! nonce inside.
//!
//! **Invariant:** sealing is deterministic: one state of one role has one envelope id.
//!
//! **Invariant:** replicas that saw the same envelopes, in any order, keep the same one.

pub mod envelope;
pub mod key;
pub mod receipt;
pub mod seal;

pub use envelope::{AdmitError, Envelope, Header, Order, SlotRate, UnverifiedEnvelope};
pub use key::{DisputeKey, DisputeKeyError};
pub use receipt::{Receipt, ReceiptError, SignedReceipt};
pub use seal::{OpenError, SealError, open, seal};

#[cfg(test)]
mod tests;
