//! What the submitter hears and says.

use alloy_primitives::{B256, U256};

use super::record::{Attempt, ObligationId, Outcome, Record};
use crate::{
    account::Transaction,
    fees::Market,
    provider::{Header, Receipt},
    refusal::Refusal,
};

/// How patient the submitter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Seconds to a deadline from which on bids rise; for a shorter time to live, half of that.
    pub calm_s: u64,
    /// Milliseconds without being mined before a calm bid is raised.
    pub replace_ms: u64,
    /// The same when the deadline is there: about one block.
    pub replace_urgent_ms: u64,
    /// Milliseconds after which a transaction is handed to the node again, in case it was dropped.
    pub resend_ms: u64,
}

impl Default for Patience {
    /// For 12-second blocks: three blocks before a bid is raised, one when it is urgent.
    fn default() -> Self {
        Self { calm_s: 3_600, replace_ms: 36_000, replace_urgent_ms: 12_000, resend_ms: 60_000 }
    }
}

/// The chain and the account as they stand, at the start of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Our clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// The newest block.
    pub head: Header,
    /// The newest final block, if there is one.
    pub finalized: Option<Header>,
    /// The account's next nonce as of the newest block.
    pub nonce: u64,
    /// The account's next nonce as of the newest final block, if there is one.
    pub final_nonce: Option<u64>,
    /// The account's balance in wei.
    pub balance: U256,
    /// What blocks cost.
    pub market: Market,
}

/// What a simulation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Simulation {
    /// It would succeed.
    Fits {
        /// Estimated gas, if that was asked for and the node knew.
        gas: Option<u64>,
    },
    /// The contract would refuse.
    Refused(Refusal),
    /// The node gave no answer.
    Unknown,
}

/// What the node said to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendAnswer {
    /// It has it, now or before.
    Taken,
    /// It wants more for replacing another one.
    Underpriced,
    /// It did not take it for another reason, or did not answer.
    Failed,
}

/// What happens to the submitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A round starts.
    Round(Box<View>),
    /// The answer to [`Effect::FindReceipts`].
    Found {
        /// Whose.
        id: ObligationId,
        /// The receipts of those that are in a block.
        receipts: Vec<Receipt>,
    },
    /// The answer to [`Effect::Simulate`].
    Simulated {
        /// Whose.
        id: ObligationId,
        /// What it says.
        simulation: Simulation,
    },
    /// The answer to [`Effect::Sign`].
    Signed {
        /// Whose.
        id: ObligationId,
        /// The hash of the signed transaction.
        hash: B256,
    },
    /// The answer to [`Effect::Send`].
    Sent {
        /// Whose.
        id: ObligationId,
        /// What the node said.
        answer: SendAnswer,
    },
}

/// What the submitter wants done; in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Look for receipts of these.
    FindReceipts {
        /// Whose.
        id: ObligationId,
        /// Attempts, newest first.
        hashes: Vec<B256>,
    },
    /// Simulate the obligation's call on the newest block.
    Simulate {
        /// Whose.
        id: ObligationId,
        /// Whether to estimate its gas as well.
        estimate: bool,
    },
    /// Sign this, to learn its hash; it is not sent yet.
    Sign {
        /// Whose.
        id: ObligationId,
        /// What.
        transaction: Transaction,
    },
    /// Make the record durable. Effects after this one wait for it.
    Persist(Box<Record>),
    /// Sign this again and hand it to the node.
    Send {
        /// Whose.
        id: ObligationId,
        /// What.
        transaction: Transaction,
    },
    /// Tell the caller.
    Report {
        /// Whose.
        id: ObligationId,
        /// What.
        report: Report,
    },
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// A transaction was signed and goes out.
    Sending(Attempt),
    /// An attempt is in a block that is not final yet.
    Included(Receipt),
    /// The block that held it is gone; it is sent again.
    Reorganised,
    /// The contract refuses as things stand; nothing (more) is sent until that changes.
    Refused(Refusal),
    /// The contract no longer refuses.
    PossibleAgain,
    /// The least bid costs more than the obligation may; fees must fall first.
    TooDear {
        /// The least per gas, in wei.
        needed: u128,
        /// The most per gas that the obligation allows, in wei.
        cap: u128,
    },
    /// The account cannot pay; somebody must send it ether.
    Unfunded {
        /// What is needed, in wei.
        needed: U256,
        /// What there is, in wei.
        balance: U256,
    },
    /// A transaction of somebody else with the same key took the nonce.
    NonceTaken(u64),
    /// Over.
    Ended(Outcome),
}
