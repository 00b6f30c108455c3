//! Blocks: what is kept of them, how they are found, and how they look over JSON-RPC.
//!
//! **Invariant:** the newest block is always there; numbers in [`Blocks`] are contiguous; a hash or a transaction is
//! indexed if and only if its block is kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy::{
    consensus::{
        Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Sealed, Transaction as _, TxEnvelope,
        TxType,
        transaction::{Recovered, TransactionInfo},
    },
    eips::Encodable2718,
    network::primitives::BlockTransactions,
    rpc::types::{
        Block as RpcBlock, Header as RpcHeader, Log as RpcLog, Transaction as RpcTransaction,
        TransactionReceipt,
    },
};
use alloy_primitives::{Address, B256, Log, U256};

use super::state::{BlockHashes, Changes};

/// A signed transaction with its sender.
pub(crate) type SignedTx = Recovered<TxEnvelope>;

/// A receipt, with what JSON-RPC wants beside the consensus fields.
#[derive(Clone, Debug)]
pub(crate) struct StoredReceipt {
    pub(crate) envelope: ReceiptEnvelope,
    pub(crate) gas_used: u64,
    pub(crate) contract_address: Option<Address>,
    /// Index within the block of this receipt's first log.
    pub(crate) first_log: u64,
}

/// A sealed block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) header: Sealed<Header>,
    pub(crate) transactions: Vec<SignedTx>,
    pub(crate) receipts: Vec<StoredReceipt>,
}

/// Wraps a receipt into the envelope of its transaction's type.
pub(crate) fn envelope<T>(
    kind: TxType,
    receipt: ReceiptWithBloom<Receipt<T>>,
) -> ReceiptEnvelope<T> {
    match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

impl Block {
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    pub(crate) fn hash(&self) -> B256 {
        self.header.hash()
    }

    pub(crate) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// The header as JSON-RPC shows it.
    pub(crate) fn rpc_header(&self) -> RpcHeader {
        RpcHeader {
            hash: self.hash(),
            inner: self.header.inner().clone(),
            total_difficulty: Some(U256::ZERO),
            size: Some(U256::from(self.size())),
        }
    }

    /// The block as JSON-RPC shows it, with full transactions or their hashes.
    pub(crate) fn rpc(&self, full: bool) -> RpcBlock {
        let transactions = if full {
            BlockTransactions::Full(
                (0..self.transactions.len())
                    .filter_map(|index| self.rpc_transaction(index))
                    .collect(),
            )
        } else {
            BlockTransactions::Hashes(
                self.transactions.iter().map(|tx| *tx.inner().tx_hash()).collect(),
            )
        };
        RpcBlock::new(self.rpc_header(), transactions).with_withdrawals(Some(Vec::new().into()))
    }

    /// Transaction `index` as JSON-RPC shows it.
    pub(crate) fn rpc_transaction(&self, index: usize) -> Option<RpcTransaction> {
        let tx = self.transactions.get(index)?;
        let info = TransactionInfo {
            hash: Some(*tx.inner().tx_hash()),
            index: Some(index as u64),
            block_hash: Some(self.hash()),
            block_number: Some(self.number()),
            base_fee: self.header.base_fee_per_gas,
            block_timestamp: Some(self.header.timestamp),
        };
        Some(RpcTransaction::from_transaction(tx.clone(), info))
    }

    /// Receipt `index` as JSON-RPC shows it.
    pub(crate) fn rpc_receipt(&self, index: usize) -> Option<TransactionReceipt> {
        let (tx, receipt) = self.transactions.get(index).zip(self.receipts.get(index))?;
        let with_bloom = receipt.envelope.as_receipt_with_bloom()?;
        let inner = ReceiptWithBloom {
            receipt: Receipt {
                status: with_bloom.receipt.status,
                cumulative_gas_used: with_bloom.receipt.cumulative_gas_used,
                logs: self.receipt_logs(index, false),
            },
            logs_bloom: with_bloom.logs_bloom,
        };
        Some(TransactionReceipt {
            inner: envelope(tx.inner().tx_type(), inner),
            transaction_hash: *tx.inner().tx_hash(),
            transaction_index: Some(index as u64),
            block_hash: Some(self.hash()),
            block_number: Some(self.number()),
            gas_used: receipt.gas_used,
            effective_gas_price: tx.inner().effective_gas_price(self.header.base_fee_per_gas),
            blob_gas_used: None,
            blob_gas_price: None,
            from: tx.signer(),
            to: tx.inner().to(),
            contract_address: receipt.contract_address,
        })
    }

    /// All logs of the block, in order.
    pub(crate) fn rpc_logs(&self, removed: bool) -> Vec<RpcLog> {
        (0..self.receipts.len()).flat_map(|index| self.receipt_logs(index, removed)).collect()
    }

    /// Wei per gas that transaction `index` paid above the base fee.
    pub(crate) fn tip(&self, index: usize) -> u128 {
        self.transactions
            .get(index)
            .and_then(|tx| tx.inner().effective_tip_per_gas(self.base_fee()))
            .unwrap_or_default()
    }

    fn receipt_logs(&self, index: usize, removed: bool) -> Vec<RpcLog> {
        let Some((tx, receipt)) = self.transactions.get(index).zip(self.receipts.get(index)) else {
            return Vec::new();
        };
        let logs: &[Log] = receipt.envelope.logs();
        logs.iter()
            .zip(receipt.first_log..)
            .map(|(log, log_index)| RpcLog {
                inner: log.clone(),
                block_hash: Some(self.hash()),
                block_number: Some(self.number()),
                block_timestamp: Some(self.header.timestamp),
                transaction_hash: Some(*tx.inner().tx_hash()),
                transaction_index: Some(index as u64),
                log_index: Some(log_index),
                removed,
            })
            .collect()
    }

    /// Encoded size, up to the few bytes of the outer list headers.
    fn size(&self) -> usize {
        let transactions: usize =
            self.transactions.iter().map(|tx| tx.inner().encode_2718_len()).sum();
        self.header.inner().size_hint_rlp() + transactions
    }
}

/// The encoded length of a header.
trait HeaderSize {
    fn size_hint_rlp(&self) -> usize;
}

impl HeaderSize for Header {
    fn size_hint_rlp(&self) -> usize {
        alloy::rlp::Encodable::length(self)
    }
}

/// Where a transaction is: block number and index in it.
pub(crate) type TxPlace = (u64, usize);

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    /// Undoes the block; forgotten when the block is too old.
    undo: Option<Changes>,
}

/// The canonical chain.
#[derive(Debug)]
pub(crate) struct Blocks {
    head: Arc<Block>,
    entries: BTreeMap<u64, Entry>,
    by_hash: HashMap<B256, u64>,
    by_transaction: HashMap<B256, TxPlace>,
    state_history: u64,
    block_history: u64,
}

impl Blocks {
    pub(crate) fn new(genesis: Block, state_history: u64, block_history: u64) -> Self {
        let head = Arc::new(genesis);
        let mut blocks = Self {
            head: Arc::clone(&head),
            entries: BTreeMap::new(),
            by_hash: HashMap::new(),
            by_transaction: HashMap::new(),
            state_history,
            block_history,
        };
        blocks.push(head, Changes::default());
        blocks
    }

    /// The newest block.
    pub(crate) fn head(&self) -> &Arc<Block> {
        &self.head
    }

    /// Appends a block with the changes that undo it.
    pub(crate) fn push(&mut self, block: Arc<Block>, undo: Changes) {
        let number = block.number();
        self.by_hash.insert(block.hash(), number);
        for (index, tx) in block.transactions.iter().enumerate() {
            self.by_transaction.insert(*tx.inner().tx_hash(), (number, index));
        }
        self.head = Arc::clone(&block);
        self.entries.insert(number, Entry { block, undo: Some(undo) });
        if let Some(old) = number.checked_sub(self.state_history)
            && let Some(entry) = self.entries.get_mut(&old)
        {
            entry.undo = None;
        }
        if number >= self.block_history
            && let Some((_, entry)) = self.entries.pop_first()
        {
            self.unindex(&entry.block);
        }
    }

    /// Takes the newest block off, with the changes that undo it. Refused if these are forgotten, or nothing would be
    /// left.
    pub(crate) fn pop(&mut self) -> Option<(Arc<Block>, Changes)> {
        let number = self.head.number();
        let parent = self.get(number.checked_sub(1)?)?;
        let undo = self.entries.get_mut(&number)?.undo.take()?;
        let entry = self.entries.remove(&number)?;
        self.unindex(&entry.block);
        self.head = parent;
        Some((entry.block, undo))
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Block>> {
        self.entries.get(&number).map(|entry| Arc::clone(&entry.block))
    }

    pub(crate) fn number_of(&self, hash: B256) -> Option<u64> {
        self.by_hash.get(&hash).copied()
    }

    pub(crate) fn find_transaction(&self, hash: B256) -> Option<(Arc<Block>, usize)> {
        let (number, index) = *self.by_transaction.get(&hash)?;
        Some((self.get(number)?, index))
    }

    /// The oldest block that is kept.
    pub(crate) fn earliest(&self) -> u64 {
        self.entries.first_key_value().map_or(self.head.number(), |(number, _)| *number)
    }

    /// Blocks `from..=to` that are kept, oldest first.
    pub(crate) fn range(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        let to = to.max(from);
        self.entries.range(from..=to).map(|(_, entry)| &entry.block)
    }

    /// The difference between the newest state and the one after block `number`; none if it is no longer known.
    pub(crate) fn difference(&self, number: u64) -> Option<Changes> {
        let mut difference = Changes::default();
        for (_, entry) in self.entries.range(number.checked_add(1)?..).rev() {
            difference.absorb(entry.undo.as_ref()?);
        }
        Some(difference)
    }

    fn unindex(&mut self, block: &Block) {
        self.by_hash.remove(&block.hash());
        for tx in &block.transactions {
            self.by_transaction.remove(tx.inner().tx_hash());
        }
    }
}

impl BlockHashes for Blocks {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.entries.get(&number).map(|entry| entry.block.hash())
    }
}
