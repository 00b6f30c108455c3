//! What is recorded of a dispute, what can happen to it, and what must then be done.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::{
    ids::Nonce,
    vipe::Standing,
    vnode::dispute::{Conditions, Facts, Verdict},
    zksc::{FinalState, State},
};

/// How far a dispute has come at this tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The dispute is recorded; the envelopes are not opened yet.
    Seen,
    /// What the envelopes hold is recorded; nothing is decided.
    Decrypted,
    /// The decision is to do nothing for now.
    Decided,
    /// The proof is being made.
    Proving,
    /// The proof is durable.
    Proved,
    /// The override is on its way.
    Submitting,
    /// The override is in a block.
    Included {
        /// The block's number.
        number: u64,
        /// The block's hash.
        hash: B256,
    },
    /// Somebody else brought a state as new.
    Beaten,
    /// The window closed before the override was in.
    Lost,
    /// The window closed with this tower as the last corrector.
    Won,
    /// The dispute is settled; there is something to collect.
    Settled,
    /// Everything earned was collected.
    Collected,
    /// The dispute is over; there is nothing to collect.
    Closed,
}

/// How a dispute ended for this tower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The last corrector: share of the bond and fee, in wei.
    Won {
        /// The share, paid at inclusion.
        reward: U256,
        /// The fee, paid at settlement.
        fee: U256,
    },
    /// Somebody else was last; the share paid before stays, in wei.
    Beaten {
        /// The share, perhaps zero.
        reward: U256,
    },
    /// There was something to win, and the window closed first.
    Lost,
    /// There was nothing to win.
    Declined(Verdict),
}

/// The durable record of one dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the chain shows.
    pub facts: Facts,
    /// Whom this tower's proofs pay.
    pub beneficiary: Address,
    /// The newest usable state that the envelopes hold.
    pub held: Option<State>,
    /// The last decision.
    pub verdict: Option<Verdict>,
    /// The nonce of the state that a durable proof exists for.
    pub proven: Option<Nonce>,
    /// Proofs that failed since the last one that did not.
    pub failed_proofs: u32,
    /// How far it has come.
    pub step: Step,
    /// What included overrides were credited, in wei.
    pub reward: U256,
    /// What settlement credited, in wei.
    pub fee: U256,
    /// What transactions cost, in wei.
    pub spent: U256,
}

/// What can happen in a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The envelopes of both slots were fetched and opened to these states; perhaps to none.
    Opened(Vec<FinalState>),
    /// The answer to [`Effect::ReadConditions`].
    Look(Conditions),
    /// A block came; its time in the chain's seconds.
    Clock(u64),
    /// The proof of the state with this nonce is durable.
    Proved(Nonce),
    /// The proof could not be made, or is not there when it is to be submitted.
    ProofFailed,
    /// The dispute stands differently: an override, a raise, or a reorganisation that took one back.
    Changed(Standing),
    /// This tower's override is in a block.
    Included {
        /// The block's number.
        number: u64,
        /// The block's hash.
        hash: B256,
        /// What it was credited, in wei.
        reward: U256,
        /// What it cost, in wei.
        cost: U256,
    },
    /// A reorganisation took this tower's override back.
    Removed {
        /// What it had been credited, in wei.
        reward: U256,
    },
    /// A transaction of this tower failed in a block, or its simulation did (at no cost).
    Failed {
        /// What it cost, in wei.
        cost: U256,
    },
    /// The dispute is settled, by whomever.
    Settled {
        /// The last corrector, if any.
        corrector: Option<Address>,
        /// The fee, in wei.
        fee: U256,
        /// What it cost this tower, in wei.
        cost: U256,
    },
    /// A reorganisation took the settlement back.
    Unsettled,
    /// The ether was collected.
    Collected {
        /// What it cost, in wei.
        cost: U256,
    },
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make this record durable before anything that follows.
    Persist(Box<Record>),
    /// Fetch both slots, open them with the revealed key, answer [`Event::Opened`].
    OpenEnvelopes,
    /// Answer [`Event::Look`].
    ReadConditions,
    /// Prove this state; answer [`Event::Proved`] once the proof is durable, or [`Event::ProofFailed`].
    Prove(State),
    /// Simulate and submit the override with this state, and bump its fee while unmined. Repeated with every block while
    /// it is not included: what is on its way already is not begun a second time.
    Submit {
        /// The state that is proven.
        state: State,
        /// Strictly before this the block must come, in the chain's seconds.
        deadline: u64,
        /// The most that the transaction may cost, in wei.
        ceiling: U256,
    },
    /// Give up the proof or the submission under way, as far as it still can be.
    Stop,
    /// Settle the dispute.
    Settle,
    /// Collect the ether credits.
    Collect,
    /// Account for the end of the dispute.
    Report(Outcome),
}
