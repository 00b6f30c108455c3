//! What a node says, held against what the chain itself commits to.
//!
//! ```text
//!   header fields --RLP, Keccak--> hash == the hash it is asked under == parent of the next block
//!      |  logs bloom: has the vault's address? --no--> the block holds none of its logs
//!      |  receipts root <== receipts, encoded and hashed again --> the vault's logs, all of them
//! ```
//!
//! So "there is nothing" is never taken on trust. What this cannot show is that the chain of headers is the one that
//! everybody else sees: nothing here checks a consensus. That is what several endpoints and a quorum are for. A
//! receipts root does not cover transaction hashes either: the hash in an event is the node's word.
//!
//! **Invariant:** a `VerifiedHeader` hashes to its own id; `receipts::logs` returns the block's logs of a contract,
//! complete and in order, or an error.

pub(crate) mod receipts;

use std::collections::BTreeMap;

use alloy::consensus::Header as ConsensusHeader;
use alloy_primitives::{Address, B256, Bloom, BloomInput};
use serde::de::IgnoredAny;

use crate::{
    cursor::BlockId,
    provider::{Header, Log},
};

/// How much of what a node says is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Headers hash to their ids and follow each other; blocks whose bloom may hold a log of the vault have their
    /// receipts hashed again. The default, since an empty answer of a lagging node is the commonest way to miss a
    /// dispute.
    #[default]
    Full,
    /// As [`Verify::Full`] for headers and for absence; logs that are claimed are only held against the bloom. For
    /// chains with receipts of their own kinds (some L2), with several endpoints.
    Bloom,
    /// Nothing. For chains whose headers do not hash as Ethereum's do, with several endpoints.
    Off,
}

/// Why an answer is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The header does not hash to what it is called.
    #[error("the header called {claimed} hashes to something else")]
    HeaderHash {
        /// What it is called.
        claimed: BlockId,
    },
    /// The header does not hash to what it is called, and has a field that is not known here.
    #[error(
        "the header called {claimed} hashes to something else, and has a field that this version does not know: {field}"
    )]
    UnknownHeaderField {
        /// What it is called.
        claimed: BlockId,
        /// The field's name.
        field: String,
    },
    /// The header is of another height than the one asked for.
    #[error("asked for block {asked}, told of {told}")]
    OtherBlock {
        /// The height asked for.
        asked: u64,
        /// The block told of.
        told: BlockId,
    },
    /// The receipts do not hash to the header's root.
    #[error("the receipts of block {block} do not hash to its header's root")]
    ReceiptsRoot {
        /// The block.
        block: BlockId,
    },
    /// A receipt of a kind that Ethereum does not have: its encoding is not known.
    #[error("block {block} has a receipt of type {kind:#04x}, whose encoding is not known")]
    UnknownReceiptType {
        /// The block.
        block: BlockId,
        /// The type.
        kind: u8,
    },
    /// A log that its block's bloom excludes.
    #[error("a log is claimed for block {block}, whose bloom excludes it")]
    NotInBloom {
        /// The block.
        block: BlockId,
    },
    /// An answer that does not fit its question, or itself.
    #[error("the answer does not fit: {0}")]
    Inconsistent(&'static str),
}

impl VerifyError {
    /// Whether it shows that the node is wrong. Otherwise it is we who cannot tell.
    pub const fn is_lie(&self) -> bool {
        !matches!(self, Self::UnknownReceiptType { .. })
    }
}

/// A header whose fields hash to its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerifiedHeader {
    header: Header,
    receipts_root: B256,
    logs_bloom: Bloom,
}

impl VerifiedHeader {
    /// Hashes the fields. `header` is what the node calls it; `text` is where both come from.
    ///
    /// A field of a hard fork goes into the hash and is not known here: that is told apart, because what helps against it
    /// is another version and not another node. A node can make one up; it is demoted for it as for any wrong hash.
    pub(crate) fn read(
        header: Header,
        fields: &ConsensusHeader,
        text: &str,
    ) -> Result<Self, VerifyError> {
        Self::check(header, fields).map_err(|error| match (error, unknown_field(text)) {
            (VerifyError::HeaderHash { claimed }, Some(field)) => {
                VerifyError::UnknownHeaderField { claimed, field }
            }
            (error, _) => error,
        })
    }

    /// Hashes the fields. `header` is what the node calls it.
    pub(crate) fn check(header: Header, fields: &ConsensusHeader) -> Result<Self, VerifyError> {
        if fields.hash_slow() != header.id.hash {
            return Err(VerifyError::HeaderHash { claimed: header.id });
        }
        // The short form was read from the same text; a text that has a field twice could say two things.
        if fields.number != header.id.number
            || fields.parent_hash != header.parent
            || fields.timestamp != header.timestamp
        {
            return Err(VerifyError::Inconsistent("a header that says two things"));
        }
        let (receipts_root, logs_bloom) = (fields.receipts_root, fields.logs_bloom);
        Ok(Self { header, receipts_root, logs_bloom })
    }

    /// The header.
    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// The root of the block's receipts.
    pub(crate) fn receipts_root(&self) -> B256 {
        self.receipts_root
    }

    /// False if the block certainly holds no log of `contract`.
    pub(crate) fn may_hold(&self, contract: Address) -> bool {
        self.logs_bloom.contains_input(BloomInput::Raw(contract.as_slice()))
    }

    /// Holds a log that a node claims against the bloom.
    pub(crate) fn admits(&self, log: &Log) -> Result<(), VerifyError> {
        let block = self.header.id;
        if log.block != block {
            return Err(VerifyError::Inconsistent("a log of another block than its own"));
        }
        let has = |bytes: &[u8]| self.logs_bloom.contains_input(BloomInput::Raw(bytes));
        if has(log.address.as_slice()) && log.topics.iter().all(|topic| has(topic.as_slice())) {
            Ok(())
        } else {
            Err(VerifyError::NotInBloom { block })
        }
    }
}

/// What JSON-RPC says of a block, up to the fork of 2025: the header's fields, then what is not in the header.
const BLOCK_FIELDS: [&str; 29] = [
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    "hash",
    "size",
    "uncles",
    "transactions",
    "withdrawals",
    "totalDifficulty",
    "author",
    "sealFields",
];
/// The most that is kept of a field's name.
const FIELD_BYTES_MAX: usize = 64;

/// The first field of a block that is none of [`BLOCK_FIELDS`].
fn unknown_field(text: &str) -> Option<String> {
    let block: BTreeMap<String, IgnoredAny> = serde_json::from_str(text).ok()?;
    let field = block.into_keys().find(|field| !BLOCK_FIELDS.contains(&field.as_str()))?;
    Some(field.chars().take(FIELD_BYTES_MAX).collect())
}

#[cfg(test)]
mod tests;
