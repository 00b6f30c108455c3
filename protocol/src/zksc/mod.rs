//! VRC-1: the ZK state channel.
//!
//! ```text
//!   Transition --apply--> State --counterparty--> PartialState --participant--> FinalState --> Statement --> proof
//! ```
//!
//! `handshake` is the one place that signs states; `signed` is the ladder that a state climbs by being checked.

pub mod channel;
pub mod handshake;
pub mod possession;
pub mod signed;
pub mod signer;
pub mod state;
pub mod statement;
pub mod transition;

pub use channel::{Channel, ChannelError, ChannelTerms, Party, PartyTerms};
pub use signed::{
    FinalState, PartialState, StateSignatures, UnverifiedFinal, UnverifiedPartial, VerifyError,
};
pub use signer::Signer;
pub use state::{AppRoot, State};
pub use statement::{Statement, StatementError};
pub use transition::{Change, PaymentId, Salt, Transition, TransitionError};

#[cfg(test)]
mod tests;
