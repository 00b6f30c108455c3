//! What the node sends and takes, field by field, and nothing more than we use: chains add fields, and an
//! unknown one must not stop a tower.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::{Deserialize, Serialize};

use crate::cursor::BlockId;

/// Which state of the chain a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest block.
    Latest,
    /// The block being built, with the transactions that wait in the pool.
    Pending,
    /// The newest block that cannot be reorganised away.
    Finalized,
    /// This height.
    Number(u64),
}

impl At {
    /// The tag or number as JSON-RPC wants it.
    pub(super) fn param(self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Pending => "pending".to_owned(),
            Self::Finalized => "finalized".to_owned(),
            Self::Number(number) => format!("{number:#x}"),
        }
    }
}

/// A block header, as far as we read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Height and hash.
    pub id: BlockId,
    /// Hash of the block before it.
    pub parent: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Wei per gas; zero on a chain without EIP-1559.
    pub base_fee: u128,
    /// How full the block was allowed to be, in gas.
    pub gas_limit: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    base_fee_per_gas: Option<U256>,
    gas_limit: U64,
}

impl From<RawHeader> for Header {
    fn from(raw: RawHeader) -> Self {
        Self {
            id: BlockId { number: raw.number.to(), hash: raw.hash },
            parent: raw.parent_hash,
            timestamp: raw.timestamp.to(),
            base_fee: raw.base_fee_per_gas.unwrap_or_default().saturating_to(),
            gas_limit: raw.gas_limit.to(),
        }
    }
}

/// One log of a mined transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The contract that wrote it.
    pub address: Address,
    /// Indexed fields; the first one names the event.
    pub topics: Vec<B256>,
    /// The other fields.
    pub data: Bytes,
    /// The block that holds it.
    pub block: BlockId,
    /// The transaction that caused it.
    pub transaction: B256,
    /// Its position in the block.
    pub index: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: U64,
    block_hash: B256,
    transaction_hash: B256,
    log_index: U64,
    #[serde(default)]
    pub(super) removed: bool,
}

impl From<RawLog> for Log {
    fn from(raw: RawLog) -> Self {
        Self {
            address: raw.address,
            topics: raw.topics,
            data: raw.data,
            block: BlockId { number: raw.block_number.to(), hash: raw.block_hash },
            transaction: raw.transaction_hash,
            index: raw.log_index.to(),
        }
    }
}

/// What a mined transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub hash: B256,
    /// The block that holds it.
    pub block: BlockId,
    /// False if it reverted.
    pub success: bool,
    /// Gas paid for.
    pub gas_used: u64,
    /// Wei per gas actually paid.
    pub gas_price: u128,
    /// The contract that it created, if any.
    pub created: Option<Address>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawReceipt {
    transaction_hash: B256,
    block_number: U64,
    block_hash: B256,
    status: U64,
    gas_used: U64,
    effective_gas_price: Option<U256>,
    contract_address: Option<Address>,
}

impl From<RawReceipt> for Receipt {
    fn from(raw: RawReceipt) -> Self {
        Self {
            hash: raw.transaction_hash,
            block: BlockId { number: raw.block_number.to(), hash: raw.block_hash },
            success: raw.status == U64::from(1),
            gas_used: raw.gas_used.to(),
            gas_price: raw.effective_gas_price.unwrap_or_default().saturating_to(),
            created: raw.contract_address,
        }
    }
}

/// A call to simulate or to price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallRequest {
    /// The sender.
    pub from: Address,
    /// The contract; none creates one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// Calldata.
    #[serde(rename = "input")]
    pub data: Bytes,
    /// Wei sent along.
    pub value: U256,
    /// The most gas it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas: Option<U64>,
}

/// What recent blocks paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeHistory {
    /// Wei per gas in the block after the newest.
    pub next_base_fee: u128,
    /// For each block the priority fees at the asked percentiles, wei per gas.
    pub rewards: Vec<Vec<u128>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawFeeHistory {
    base_fee_per_gas: Vec<U256>,
    #[serde(default)]
    reward: Option<Vec<Vec<U256>>>,
}

impl From<RawFeeHistory> for FeeHistory {
    fn from(raw: RawFeeHistory) -> Self {
        let rewards = raw.reward.unwrap_or_default();
        Self {
            next_base_fee: raw.base_fee_per_gas.last().copied().unwrap_or_default().saturating_to(),
            rewards: rewards
                .into_iter()
                .map(|block| block.into_iter().map(|fee| fee.saturating_to()).collect())
                .collect(),
        }
    }
}
