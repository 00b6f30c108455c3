//! The rows that people may want to read, as they stand on disk.
//!
//! These are shapes, not rules: what they mean is decided by `protocol` and carried out by the tower's driver.

use alloy_primitives::{Address, B256, Bytes, U256};
use protocol::{Amount, ChannelId, EscrowVersion, Nonce};
use serde::{Deserialize, Serialize};

/// A dispute: a channel has at most one at a time, and the epoch tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DisputeId {
    /// The channel.
    pub channel_id: ChannelId,
    /// The channel's epoch when the dispute was opened.
    pub epoch: u64,
}

impl std::fmt::Display for DisputeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.channel_id, self.epoch)
    }
}

/// How far the chain has been read: the last block whose effects are in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRow {
    /// Its number.
    pub number: u64,
    /// Its hash: a block of the same number and another hash is a reorganisation.
    pub hash: B256,
}

/// Where a channel stands on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelStatus {
    /// Waits for the counterparty's consent.
    Open,
    /// Backups are taken.
    Live,
    /// A dispute is open; backups are still taken.
    Disputed,
    /// Paid out.
    Settled,
    /// Returned before consent.
    Cancelled,
}

/// What the chain says of a channel, as far as a tower needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// The channel.
    pub channel_id: ChannelId,
    /// Where it stands.
    pub status: ChannelStatus,
    /// The participant's account.
    pub participant: Address,
    /// The counterparty's account.
    pub counterparty: Address,
    /// The asset.
    pub asset: Address,
    /// The participant's channel key: five elements of w = y/x.
    pub participant_key: [u64; 5],
    /// The counterparty's channel key.
    pub counterparty_key: [u64; 5],
    /// What the vault stores for both keys.
    pub keys_digest: B256,
    /// The participant's session key.
    pub participant_session: Address,
    /// The counterparty's session key.
    pub counterparty_session: Address,
    /// Keccak-256 of the dispute key.
    pub dispute_hash: B256,
    /// The salt of the dispute key.
    pub salt: B256,
    /// Bond in wei per base unit, times 2^64; below 2^96.
    pub rate: u128,
    /// The block that opened it.
    pub opened_block: u64,
}

/// Where this tower stands in a dispute. Each step is stored before it is acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The event is stored.
    Seen,
    /// Nothing to override with that pays; looked at again with every new backup and event until the deadline.
    Watching,
    /// Decided to override: the answer is stored, the proof is due.
    Answering,
    /// The proof is stored, the transaction is due.
    Proven,
    /// The override's obligation is with the submitter.
    Submitting,
    /// The override is final on chain; the deadline is due.
    Overridden,
    /// Settlement is due, or on its way.
    Settling,
    /// Settled on chain, finally; credit is due.
    Settled,
    /// Collecting the ether credit.
    Collecting,
    /// Nothing more to do.
    Closed,
}

/// How a dispute ended for this tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// This tower's override stood and paid.
    Won,
    /// Another's override stood where this tower spent gas.
    Lost,
    /// Nothing was to be done: the dispute was honest, or there was nothing newer here.
    NothingToDo,
    /// Something newer was here, and it was too late, too dear or impossible to bring.
    Missed,
    /// The dispute left the chain in a reorganisation and did not return.
    Vanished,
}

/// The opening of a dispute, as the event and its block say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningRow {
    /// The block of the event.
    pub block: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// The transaction of the event.
    pub transaction: B256,
    /// Who opened it.
    pub disputer: Address,
    /// The state put forward.
    pub nonce: Nonce,
    /// Its escrow version.
    pub version: EscrowVersion,
    /// Its balance: the participant's.
    pub balance: Amount,
    /// What the disputer claims.
    pub claim: Amount,
    /// Unix seconds.
    pub deadline: u64,
    /// F, wei.
    pub fee: U256,
    /// u(W), wei.
    pub bond: U256,
    /// Opens the channel's backups; public since the event.
    pub dispute_key: B256,
}

/// The state that stands on chain now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRow {
    /// Its nonce.
    pub nonce: Nonce,
    /// What the disputer is paid if nothing more happens (W).
    pub claim: Amount,
    /// Unix seconds.
    pub deadline: u64,
    /// Who gets the fee so far; zero for nobody.
    pub corrector: Address,
    /// The block that says so.
    pub block: u64,
}

/// The override that this tower decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRow {
    /// The newer state's nonce.
    pub nonce: Nonce,
    /// Its escrow version.
    pub version: EscrowVersion,
    /// Its balance.
    pub balance: Amount,
    /// What the disputer will be paid (W').
    pub claim: Amount,
    /// What the tower expects to be credited at once, wei.
    pub reward: U256,
    /// The fee it expects at settlement if nobody corrects it, wei.
    pub fee: U256,
    /// What it expects to pay for gas at most, wei.
    pub gas_cost: U256,
}

/// What a dispute cost and earned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Gas used by all transactions of this dispute.
    pub gas_used: u64,
    /// What that gas cost, wei.
    pub gas_wei: U256,
    /// Transactions that were mined.
    pub transactions: u32,
    /// Bytes of the proof.
    pub proof_bytes: u64,
    /// Credited by the override, wei.
    pub reward_wei: U256,
    /// The opening fee, when this tower was the last corrector, wei.
    pub fee_wei: U256,
    /// Taken out of the vault, wei.
    pub collected_wei: U256,
}

/// The life of one dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeRow {
    /// Which dispute.
    pub id: DisputeId,
    /// How it began.
    pub opening: OpeningRow,
    /// What stands on chain.
    pub standing: StandingRow,
    /// Where this tower stands.
    pub phase: Phase,
    /// What it decided to bring, if anything.
    pub answer: Option<AnswerRow>,
    /// Cost and earnings.
    pub account: AccountRow,
    /// How it ended; none while it is alive.
    pub outcome: Option<Outcome>,
    /// When this tower first saw it, Unix milliseconds.
    pub seen_at_ms: u64,
    /// When the row last changed, Unix milliseconds.
    pub changed_at_ms: u64,
}

/// A proven statement, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRow {
    /// For which dispute.
    pub id: DisputeId,
    /// The nonce of the state it proves.
    pub nonce: Nonce,
    /// The 15 public inputs.
    pub statement: Vec<u64>,
    /// The proof in the form that the chain reads.
    pub proof: Bytes,
    /// Both session signatures, 64 bytes each: participant, counterparty.
    pub sessions: [Bytes; 2],
}

/// One step in the history of a dispute. Rows are only added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRow {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The step's name: one word for machines.
    pub step: String,
    /// The same for people.
    pub message: String,
    /// How long the step took, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// The block it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// The transaction it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<B256>,
    /// Gas used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas: Option<u64>,
    /// Bytes of what was made or sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Wei that moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wei: Option<U256>,
}

/// A tower's signed promise, as it was issued or received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRow {
    /// The envelope's nonce.
    pub nonce: Nonce,
    /// The envelope's id.
    pub envelope_id: B256,
    /// Until when the tower promises to hold it, Unix seconds.
    pub until: u64,
    /// EIP-712, 65 bytes.
    pub signature: Bytes,
}
