//! Payments from one participant to another through their hub: a debit on one channel, then a credit on the other.
//!
//! ```text
//!   payer (wallet)                    hub                               payee (wallet)
//!     Request ------------------->  admit: fee, limits, liquidity
//!     Accepted <------------------
//!     debit: handshake <=========>  debit final, durable
//!                                   backed up at `target` towers
//!                                   Offer ------------------------------>
//!                                   credit: handshake <================>  credit final, backed up: received
//!     Receipt <-------------------  <---------------------------- Receipt
//!     Done ---------------------->  forgets the payment
//! ```
//!
//! A payment that the hub debited and cannot credit is paid back to the payer by a credit on the payer's own channel.
//! What the hub owes is provable: see [`note`].
//!
//! - [`terms`]: what is paid, its id, the fee, the parts of a large payment
//! - [`history`]: the running root of a channel's updates, which every app root commits to
//! - [`receipt`]: the payee's signed word that a payment reached it
//! - [`note`]: the debt note, and the answers that settle it
//! - [`message`]: what the nodes tell each other beside the handshake
//! - [`wallet`]: a participant's end, payer and payee at once
//! - [`hub`]: the counterparty's end, for all its channels
//!
//! **Invariant:** a credit is signed only after its debit is final, durable and protected, and once in all.
//!
//! **Invariant:** a payment is either credited to its payee or paid back to its payer, never both.

mod ahead;
mod extend;
pub mod history;
pub mod hub;
pub mod message;
pub mod note;
pub mod receipt;
pub mod terms;
mod timer;
pub mod wallet;
mod wire;

pub use history::{Entry, EntryKind, History, HistoryProof};
pub use message::{Message, Reason};
pub use note::{Answer, Commitment, DebtNote, NoteError, Ruling};
pub use receipt::SignedReceipt;
pub use terms::{FeePolicy, Terms, TermsError, split};

#[cfg(test)]
mod tests;
