//! The update handshake: how two nodes come to the next final state, as two pure machines.
//!
//! ```text
//!   participant                                      counterparty
//!     Update              Propose  ------------------->  verify
//!                         Partial  <-------------------  sign --persist
//!     verify, sign --persist--> Final  --------------->  verify --persist
//!                         Ack      <-------------------  Finalized: back up
//!     Finalized: back up
//! ```
//!
//! The driver feeds [`Event`]s with the time and 32 fresh random bytes, and carries the [`Effect`]s out in order. After
//! [`Effect::Persist`] it answers [`Event::Persisted`] once the record is durable; the machine holds everything else back
//! until then. After a crash it resumes from the last durable [`Record`].
//!
//! What a party says without signing a state, it may forget: a proposal is made again, or brought back by the counterparty, who
//! signs one state at a nonce; a final state that was acknowledged is sent once more. Both are written with the next record.
//!
//! A participant that came back with an older record is told by its first message: the counterparty answers what is past
//! with the newest final state and what is outstanding after it. The participant checks both as anything else and goes on.
//!
//! **Invariant:** a record is durable before the signature of a state that it contains leaves the machine.
//!
//! **Invariant:** a party never signs two states with one nonce. What was signed is sent again byte for byte.
//!
//! **Invariant:** at most one partial state is outstanding.
//!
//! **Invariant:** no record that a participant ever had, restored, leaves the channel without a way on.
//!
//! **Invariant:** nothing is signed after the decision to exit, nor after a dispute was seen.

pub mod counterparty;
pub mod message;
pub mod participant;
pub mod record;
mod shared;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

pub use counterparty::Counterparty;
pub use message::{Message, Proposal};
pub use participant::Participant;
pub use record::{Pending, Record, RecordError};

use crate::{
    hash::Digest,
    ids::{Amount, Nonce, Role},
    schnorr::SignatureError,
    vipe::Ledger,
    zksc::{FinalState, State, Transition, TransitionError, VerifyError},
};

#[cfg(test)]
mod tests;

/// A time on the node's own monotonic clock, in milliseconds.
pub type Millis = u64;

/// What a node does by written policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The most that one update may move.
    pub max_update: Amount,
    /// After so long without an answer the node signs nothing new on the channel, and says so.
    pub handshake_timeout: Millis,
    /// After so long it may dispute, and says so.
    pub exit_timeout: Millis,
    /// The first wait before sending again; it doubles each time.
    pub retry_first: Millis,
    /// The longest wait before sending again.
    pub retry_most: Millis,
}

impl Config {
    /// The defaults: 5 s, then 30 minutes for a participant and 24 hours for a counterparty.
    #[must_use]
    pub const fn new(role: Role, max_update: Amount) -> Self {
        let exit_timeout = match role {
            Role::Participant => 30 * 60 * 1_000,
            Role::Counterparty => 24 * 60 * 60 * 1_000,
        };
        Self {
            max_update,
            handshake_timeout: 5_000,
            exit_timeout,
            retry_first: 500,
            retry_most: 60_000,
        }
    }
}

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A record is not durable yet, or an update is under way. Try again later.
    #[error("an update is under way")]
    Busy,
    /// The node decided to exit, or saw a dispute: it signs nothing any more.
    #[error("this channel is being ended: nothing is signed any more")]
    Stopped,
    /// The message does not fit this role, or what is outstanding.
    #[error("the message fits nothing that is outstanding")]
    Unexpected,
    /// The state is of another channel, or a signature is refused.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The proposal is not signed by the participant.
    #[error("the proposal: {0}")]
    Proposal(#[from] SignatureError),
    /// The state may not follow.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The nonce is not above the last one used.
    #[error("nonce {got} is not above {last}")]
    OldNonce {
        /// The last nonce used.
        last: Nonce,
        /// What was put forward.
        got: Nonce,
    },
    /// A ledger without the version that the last state spends from.
    #[error("the ledger lacks the version of the last state")]
    LedgerTooShort,
}

/// What can happen to a node's end of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This participant wants an update.
    Update(Transition),
    /// A message of the other party came; nothing about it is checked.
    Message(Message),
    /// The record with this number is durable.
    Persisted(u64),
    /// Time went by.
    Tick,
    /// The versions of the escrow that are final on the chain this node follows.
    Ledger(Ledger),
    /// A consent used up this state's nonce; updates follow this state.
    Consented(State),
    /// A newer final state was found elsewhere: at a tower, or in the other party's hands.
    Restored(Box<FinalState>),
    /// The counterparty refused the proposal: this participant may make another. If the counterparty signed it all the
    /// same, it can sign nothing else with that nonce, and its reminder brings the proposal back.
    Abandon,
    /// The node decided to exit, or saw a dispute of this channel.
    Stop,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make the record durable in the place of the one before, then answer [`Event::Persisted`] with its number.
    Persist {
        /// Which one it is.
        number: u64,
        /// The record.
        record: Box<Record>,
    },
    /// Send to the other party.
    Send(Message),
    /// There is a new final state: seal it, back it up, show it. May be repeated after a restart.
    Finalized(Box<FinalState>),
    /// Tell the operator.
    Report(Report),
}

/// What an operator must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// No answer for `handshake_timeout`: nothing new is signed until there is one.
    Stalled(Nonce),
    /// An update that had stalled came to its end.
    Recovered(Nonce),
    /// No answer for `exit_timeout`: the written policy may now dispute.
    MayDispute(Box<ExitAdvice>),
    /// The final state of an outstanding partial came after the decision to exit: kept, not answered.
    LateFinal(Nonce),
}

/// What a dispute would put forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitAdvice {
    /// The last final state; none when only the first checkpoint is there.
    pub state: Option<FinalState>,
    /// What to claim: what the last final state pays this party or, for a counterparty, what the outstanding partial
    /// state would pay it, if that is less. Claiming less keeps the other party's late signature from striking it down.
    pub claim: Amount,
}

/// The answer that a counterparty holds the final state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Its nonce.
    pub nonce: Nonce,
    /// Its digest.
    pub digest: Digest,
}
