//! A chain in memory with real headers, blooms and receipts, which reorganises between any two requests.

use alloy::consensus::{
    EMPTY_OMMER_ROOT_HASH, Eip658Value, Header, Receipt, ReceiptEnvelope,
    proofs::calculate_receipt_root,
};
use alloy_primitives::{
    Address, B256, Bloom, Bytes, Log as PrimitiveLog, U64, aliases::U56, keccak256,
};
use alloy_sol_types::SolEvent as _;
use rand::{Rng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    bindings::IVipe,
    cursor::BlockId,
    events::{self, ChainEvent},
    provider::Log,
};

pub(super) const VIPE: Address = Address::repeat_byte(0xaa);
pub(super) const CHAIN_ID: u64 = 7;
/// No block this deep below the highest that ever was is replaced.
pub(super) const DEPTH: u64 = 6;

/// A block as a node holds it.
#[derive(Clone)]
pub(super) struct MockBlock {
    header: Header,
    hash: B256,
    transactions: Vec<B256>,
    receipts: Vec<ReceiptEnvelope>,
}

impl MockBlock {
    pub(super) fn id(&self) -> BlockId {
        BlockId { number: self.header.number, hash: self.hash }
    }

    /// As `eth_getBlockBy...` shows it.
    pub(super) fn json(&self) -> Value {
        let mut json = serde_json::to_value(&self.header).unwrap();
        json["hash"] = json!(self.hash);
        json["transactions"] = json!(self.transactions);
        json
    }

    /// The vault's logs.
    fn logs(&self) -> Vec<Log> {
        let pairs = self.receipts.iter().zip(&self.transactions);
        let all =
            pairs.flat_map(|(receipt, hash)| receipt.logs().iter().map(move |log| (log, hash)));
        let ours = all.zip(0_u64..).filter(|((log, _), _)| log.address == VIPE);
        ours.map(|((log, hash), index)| Log {
            address: VIPE,
            topics: log.topics().to_vec(),
            data: log.data.data.clone(),
            block: self.id(),
            transaction: *hash,
            index,
        })
        .collect()
    }

    /// As `eth_getBlockReceipts` shows them.
    pub(super) fn receipts_json(&self) -> Value {
        let mut first = 0;
        let mut all = Vec::new();
        for (place, (receipt, hash)) in self.receipts.iter().zip(&self.transactions).enumerate() {
            let logs: Vec<_> = receipt
                .logs()
                .iter()
                .zip(first..)
                .map(|(log, index)| self.log_json(log, *hash, index))
                .collect();
            first += logs.len() as u64;
            all.push(json!({
                "type": U64::from(u8::from(receipt.tx_type())),
                "status": U64::from(u8::from(receipt.status())),
                "cumulativeGasUsed": U64::from(receipt.cumulative_gas_used()),
                "logs": logs,
                "transactionHash": hash,
                "transactionIndex": U64::from(place),
                "blockHash": self.hash,
                "blockNumber": U64::from(self.header.number),
            }));
        }
        Value::Array(all)
    }

    fn log_json(&self, log: &PrimitiveLog, transaction: B256, index: u64) -> Value {
        json!({
            "address": log.address,
            "topics": log.topics(),
            "data": log.data.data,
            "blockHash": self.hash,
            "blockNumber": U64::from(self.header.number),
            "transactionHash": transaction,
            "logIndex": U64::from(index),
        })
    }

    fn logs_json(&self) -> Vec<Value> {
        let primitive =
            |log: &Log| PrimitiveLog::new_unchecked(VIPE, log.topics.clone(), log.data.clone());
        self.logs()
            .iter()
            .map(|log| self.log_json(&primitive(log), log.transaction, log.index))
            .collect()
    }
}

/// The chain.
pub(super) struct MockChain {
    pub(super) blocks: Vec<MockBlock>,
    pub(super) random: StdRng,
    salt: u64,
    highest: u64,
}

impl MockChain {
    pub(super) fn new(random: StdRng) -> Self {
        let mut chain = Self { blocks: Vec::new(), random, salt: 0, highest: 0 };
        chain.mine();
        chain
    }

    pub(super) fn head(&self) -> BlockId {
        self.blocks.last().unwrap().id()
    }

    /// Mines a block of random content: transactions of all types, with logs of the vault and of others.
    pub(super) fn mine(&mut self) {
        self.salt += 1;
        let number = self.blocks.len() as u64;
        // The first block is before the vault's creation.
        let count =
            if number == 0 { 0 } else { [0, 0, 0, 1, 1, 2, 5][self.random.gen_range(0..7)] };
        let mut gas = 0;
        let receipts: Vec<_> = (0..count).map(|_| self.receipt(&mut gas)).collect();
        let logs_bloom =
            receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
        let header = Header {
            parent_hash: self.blocks.last().map_or(B256::ZERO, |block| block.hash),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            number,
            timestamp: 1_000 + self.salt,
            receipts_root: calculate_receipt_root(&receipts),
            logs_bloom,
            gas_limit: 30_000_000,
            gas_used: gas,
            base_fee_per_gas: Some(7),
            extra_data: Bytes::from(self.salt.to_be_bytes().to_vec()),
            ..Header::default()
        };
        let hash = header.hash_slow();
        let transactions = (0..count)
            .map(|index| {
                keccak256([self.salt.to_be_bytes(), (index as u64).to_be_bytes()].concat())
            })
            .collect();
        self.blocks.push(MockBlock { header, hash, transactions, receipts });
        self.highest = self.highest.max(number);
    }

    fn receipt(&mut self, gas: &mut u64) -> ReceiptEnvelope {
        *gas += 21_000;
        let logs = (0..self.random.gen_range(0..3)).map(|_| self.log()).collect();
        let status = Eip658Value::Eip658(true);
        let receipt = Receipt { status, cumulative_gas_used: *gas, logs }.with_bloom();
        match self.random.gen_range(0..5) {
            0 => ReceiptEnvelope::Legacy(receipt),
            1 => ReceiptEnvelope::Eip2930(receipt),
            2 => ReceiptEnvelope::Eip1559(receipt),
            3 => ReceiptEnvelope::Eip4844(receipt),
            _ => ReceiptEnvelope::Eip7702(receipt),
        }
    }

    fn log(&mut self) -> PrimitiveLog {
        let channel = U56::from(self.random.gen_range(1..1_000_000_u64));
        let data = IVipe::Cancelled { channelId: channel }.encode_log_data();
        let ours = self.random.gen_bool(0.6);
        PrimitiveLog { address: if ours { VIPE } else { Address::repeat_byte(0xbb) }, data }
    }

    /// Replaces the newest blocks, within the depth, by another number of others.
    pub(super) fn reorganise(&mut self) {
        let head = self.head().number;
        let fork = self.random.gen_range(self.highest.saturating_sub(DEPTH).min(head)..=head);
        self.blocks.truncate(usize::try_from(fork).unwrap() + 1);
        for _ in 0..self.random.gen_range(0..=DEPTH + 2) {
            self.mine();
        }
    }

    fn at(&self, number: u64) -> Option<&MockBlock> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    fn by_hash(&self, hash: &str) -> Option<&MockBlock> {
        self.blocks.iter().rev().find(|block| block.hash.to_string() == hash)
    }

    /// A node's answer; the error is JSON-RPC's.
    pub(super) fn answer(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let text = |index: usize| params[index].as_str().unwrap_or_default();
        let number = |value: &Value| {
            u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
        };
        let unknown = || json!({"code": -32_000, "message": "unknown block"});
        match method {
            "eth_chainId" => Ok(json!(U64::from(CHAIN_ID))),
            "eth_getBlockByNumber" => Ok(match text(0) {
                "latest" => self.blocks.last(),
                "finalized" => self.at(self.highest.saturating_sub(DEPTH)),
                _ => self.at(number(&params[0])),
            }
            .map_or(Value::Null, MockBlock::json)),
            "eth_getBlockByHash" => Ok(self.by_hash(text(0)).map_or(Value::Null, MockBlock::json)),
            "eth_getBlockReceipts" => {
                Ok(self.by_hash(text(0)).map_or(Value::Null, MockBlock::receipts_json))
            }
            "eth_getTransactionReceipt" => Ok(self
                .blocks
                .iter()
                .flat_map(|block| block.receipts_json().as_array().unwrap().clone())
                .find(|receipt| receipt["transactionHash"] == params[0])
                .unwrap_or(Value::Null)),
            "eth_getLogs" => match params[0].get("blockHash") {
                Some(hash) => self
                    .by_hash(hash.as_str().unwrap())
                    .map(|block| Value::Array(block.logs_json()))
                    .ok_or_else(unknown),
                None => {
                    let heights = number(&params[0]["fromBlock"])..=number(&params[0]["toBlock"]);
                    let blocks = heights.filter_map(|height| self.at(height));
                    Ok(Value::Array(blocks.flat_map(MockBlock::logs_json).collect()))
                }
            },
            _ => Err(json!({"code": -32_601, "message": "the method does not exist"})),
        }
    }

    /// What a reader who sees the whole chain at once reads up to `number`.
    pub(super) fn oracle(&self, number: u64) -> Vec<ChainEvent> {
        let blocks = self.blocks.iter().filter(|block| block.header.number <= number);
        blocks.flat_map(MockBlock::logs).map(|log| events::decode(VIPE, &log).unwrap()).collect()
    }
}
