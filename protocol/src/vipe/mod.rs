//! VRC-3: the vault's arithmetic, as the contract does it.
//!
//! Pure integers, the twin of the contract: what a version of the ledger holds, what a state pays, what a claim's bond
//! is, and what each move of a dispute does. Nodes decide with it, and differential tests hold the contract to it.
//!
//! **Invariant:** what a state pays the two sides adds up to the escrow, whatever the ledger did since.
//!
//! **Invariant:** an open dispute holds exactly its fee and the bond of the claim that stands.

pub mod bond;
pub mod consent;
pub mod game;
pub mod ledger;
mod refusal;

pub use bond::{Rate, Rules, bond, opening_fee};
pub use consent::{Channel, Closing, ConsentRefusal, Withdrawal};
pub use game::{DisputeGame, Move, MoveKind, Opening, Paid, Refusal, Settlement, Standing};
pub use ledger::{Entry, Ledger, LedgerError, Payout};

#[cfg(test)]
mod tests;
