//! The rows that people may want to read, as they stand on disk.
//!
//! These are shapes, not rules: what they mean is decided by `protocol` and carried out by the tower's driver.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use protocol::vnode::rescue::{Outcome, Record};
use protocol::zksc::Channel;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRow {
    /// Its number.
    pub number: u64,
    /// Its hash: a block of the same number and another hash is a reorganisation.
    pub hash: B256,
    /// What the reader of the chain needs to go on from here, as it encodes it.
    pub state: String,
}

/// One version of a channel's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow {
    /// The channel.
    pub channel_id: ChannelId,
    /// The version.
    pub version: EscrowVersion,
    /// What the participant put in less what it took out.
    pub participant: i128,
    /// The same for the pool.
    pub vip: i128,
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
    /// Its terms; its keys and parties are checked again whenever the row is read.
    pub channel: Channel,
    /// Where it stands.
    pub status: ChannelStatus,
    /// Last second at which the counterparty may accept.
    pub accept_by: u64,
    /// The block that opened it.
    pub opened_block: u64,
}

impl ChannelRow {
    /// Who the channel is, whatever its id: Keccak-256 of both parties' keys and of the dispute key's hash.
    ///
    /// After a reorganisation the same id may be another channel's. What was signed or sealed for one identity is good for
    /// nothing under another.
    #[must_use]
    pub fn identity(&self) -> B256 {
        let terms = self.channel.terms();
        keccak256([terms.keys_digest, terms.dispute_hash].concat())
    }
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
    /// The deadline at the opening, Unix seconds.
    pub deadline: u64,
    /// F, wei.
    pub fee: U256,
    /// u(W), wei.
    pub bond: U256,
    /// Opens the channel's backups; public since the event.
    pub dispute_key: B256,
}

/// What a dispute cost and earned, transaction by transaction.
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
    /// The machine that decides, as it was persisted last.
    pub record: Record,
    /// The newest state that the envelopes held, with all its signatures. The dispute is mined: it is secret no more.
    pub held: Option<Bytes>,
    /// The chain's events of this dispute, as their reader encodes them, oldest first.
    pub events: Vec<serde_json::Value>,
    /// Cost and earnings.
    pub account: AccountRow,
    /// How it ended for this tower; none while it is alive.
    pub outcome: Option<Outcome>,
    /// Whether a reorganisation took its opening back.
    pub vanished: bool,
    /// Whether its end is final on chain: nothing more will come.
    pub closed: bool,
    /// When this tower first saw it, Unix milliseconds.
    pub seen_at_ms: u64,
    /// When the row last changed, Unix milliseconds.
    pub changed_at_ms: u64,
}

/// A proof, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRow {
    /// For which dispute.
    pub id: DisputeId,
    /// The nonce of the state it proves.
    pub nonce: Nonce,
    /// Whom it pays.
    pub beneficiary: Address,
    /// The proof in the form that the chain reads.
    pub proof: Bytes,
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
