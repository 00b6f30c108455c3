//! What the submitter hears and says.

use alloy_primitives::{B256, U256};
use serde::{Deserialize, Serialize};

use super::record::{Attempt, ObligationId, Outcome, Record};
use crate::{
    account::Transaction,
    fees::{Market, Pace},
    provider::{Header, Receipt},
    refusal::Refusal,
};

/// How patient the submitter is, and what it knows of the chain's pace.
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
    /// Seconds between two blocks; at least 1.
    pub block_s: u64,
    /// Seconds that a transaction needs on its way: with less than this before a block, it goes into the one after.
    pub lead_s: u64,
    /// The part of an obligation's time, in percent, for which its transactions go to private relays alone, where there
    /// are any; at most 100.
    pub private_percent: u64,
}

/// Blocks before the deadline from which on all is bid that may be.
const LAST_BLOCKS: u64 = 3;

impl Patience {
    /// For blocks every `block_s` seconds: three blocks before a bid is raised, one when it is urgent, handed in again
    /// after five, bids rising in the last hour, half of the time in private.
    pub const fn of_blocks(block_s: u64) -> Self {
        let block_s = if block_s == 0 { 1 } else { block_s };
        let block_ms = block_s.saturating_mul(1_000);
        Self {
            calm_s: 3_600,
            replace_ms: block_ms.saturating_mul(3),
            replace_urgent_ms: block_ms,
            resend_ms: block_ms.saturating_mul(5),
            block_s,
            lead_s: block_s / 3,
            private_percent: 50,
        }
    }

    /// When bids rise for an obligation that has `life_s` seconds from its first look to its deadline.
    pub(super) fn pace(&self, life_s: Option<u64>) -> Pace {
        let calm_s = life_s.map_or(self.calm_s, |life| self.calm_s.min(life / 2));
        Pace { calm_s, last_s: self.block_s.saturating_mul(LAST_BLOCKS) }
    }

    /// The timestamp of the block that a transaction sent now can be in at the earliest, `waited_ms` after the newest
    /// block was first seen.
    pub(super) fn next_for_new(&self, head_s: u64, waited_ms: u64) -> u64 {
        self.next(head_s, (waited_ms / 1_000).saturating_add(self.lead_s))
    }

    /// The same for one that nodes have already.
    pub(super) fn next_for_sent(&self, head_s: u64, waited_ms: u64) -> u64 {
        self.next(head_s, (waited_ms / 1_000).saturating_sub(self.lead_s))
    }

    fn next(&self, head_s: u64, waited_s: u64) -> u64 {
        let block_s = self.block_s.max(1);
        head_s.saturating_add((waited_s / block_s).saturating_add(1).saturating_mul(block_s))
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::of_blocks(12)
    }
}

/// To whom a transaction is handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// To private relays alone.
    Private,
    /// To every node there is, and to the relays as well.
    Public,
}

/// A transaction of our account that is none of ours: somebody else has the key, or a second process uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignSpend {
    /// Its nonce.
    pub nonce: u64,
    /// Whether it is in a block; otherwise it waits in the node's pool.
    pub mined: bool,
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
    /// The account's next nonce with the node's pool counted in, if the node says.
    pub pending_nonce: Option<u64>,
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
    /// The answer to [`Effect::SimulateFinal`].
    SimulatedFinal {
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
    /// Simulate the obligation's call on a final block.
    SimulateFinal {
        /// Whose.
        id: ObligationId,
        /// The block's height.
        block: u64,
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
    /// Sign this again and hand it on.
    Send {
        /// Whose.
        id: ObligationId,
        /// What.
        transaction: Transaction,
        /// To whom.
        route: Route,
    },
    /// Tell a person: the key is used elsewhere.
    Foreign(ForeignSpend),
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
