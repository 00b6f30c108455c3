//! From transactions to a block: execution in order, receipts, roots, header.

use std::sync::Arc;

use alloy::{
    consensus::{
        EMPTY_OMMER_ROOT_HASH, Eip658Value, Header, Receipt, Sealable, Transaction as _, proofs,
    },
    eips::eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_primitives::{B256, Bloom, Bytes};
use revm::{context::CfgEnv, context_interface::result::ExecutionResult};

use super::{
    blocks::{self, Block, SignedTx, StoredReceipt},
    config::{BENEFICIARY, DevnetConfig},
    executor::{self, BlockContext, Refusal},
    pool::Pool,
    state::{Changes, View},
};

/// An executed block without its header.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub(crate) transactions: Vec<SignedTx>,
    pub(crate) receipts: Vec<StoredReceipt>,
    pub(crate) changes: Changes,
    /// Transactions that could not be executed, and why.
    pub(crate) refused: Vec<(B256, Refusal)>,
    gas_used: u64,
    logs: u64,
}

impl Assembled {
    fn fits(&self, tx: &SignedTx, context: &BlockContext) -> bool {
        tx.inner().gas_limit() <= context.gas_limit.saturating_sub(self.gas_used)
    }

    /// Executes one transaction on top of the others. False if it is not in the block.
    fn add(
        &mut self,
        view: &mut View<'_>,
        rules: &CfgEnv,
        context: &BlockContext,
        tx: &SignedTx,
    ) -> bool {
        match executor::execute(view, rules, context, executor::transaction_env(tx)) {
            Ok(outcome) => {
                view.changes.commit(outcome.state);
                self.record(tx, outcome.result);
                true
            }
            Err(refusal) => {
                self.refused.push((*tx.inner().tx_hash(), refusal));
                false
            }
        }
    }

    fn record(&mut self, tx: &SignedTx, result: ExecutionResult) {
        let gas_used = result.tx_gas_used();
        self.gas_used += gas_used;
        let contract_address =
            tx.inner().kind().is_create().then(|| tx.signer().create(tx.inner().nonce()));
        let status = Eip658Value::Eip658(result.is_success());
        // Only a success has logs.
        let logs = if result.is_success() { result.into_logs() } else { Vec::new() };
        let first_log = self.logs;
        self.logs += logs.len() as u64;
        let receipt = Receipt { status, cumulative_gas_used: self.gas_used, logs }.with_bloom();
        let envelope = blocks::envelope(tx.inner().tx_type(), receipt);
        self.receipts.push(StoredReceipt { envelope, gas_used, contract_address, first_log });
        self.transactions.push(tx.clone());
    }
}

/// Fills a block from the pool: highest tip first, until no candidate fits.
pub(crate) fn from_pool(
    mut view: View<'_>,
    rules: &CfgEnv,
    context: &BlockContext,
    pool: &Pool,
) -> Assembled {
    let mut assembled = Assembled::default();
    let mut candidates = pool.candidates(&view, context.base_fee);
    while let Some(tx) = candidates.next() {
        if assembled.fits(tx, context) && assembled.add(&mut view, rules, context, tx) {
            candidates.included(tx);
        }
    }
    assembled.changes = view.changes;
    assembled
}

/// Fills a block with exactly these transactions, leaving out those that do not fit or cannot be executed.
pub(crate) fn from_list(
    mut view: View<'_>,
    rules: &CfgEnv,
    context: &BlockContext,
    txs: impl Iterator<Item = Arc<SignedTx>>,
) -> Assembled {
    let mut assembled = Assembled::default();
    for tx in txs {
        if assembled.fits(&tx, context) {
            assembled.add(&mut view, rules, context, &tx);
        }
    }
    assembled.changes = view.changes;
    assembled
}

/// Puts the header on. `branch` counts reorganisations: a replacement never has the hash of what it replaces.
pub(crate) fn seal(
    assembled: Assembled,
    context: &BlockContext,
    parent_hash: B256,
    state_root: B256,
    branch: u64,
) -> Block {
    let Assembled { transactions, receipts, gas_used, .. } = assembled;
    let envelopes: Vec<_> = receipts.iter().map(|receipt| &receipt.envelope).collect();
    let logs_bloom =
        envelopes.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
    let header = Header {
        parent_hash,
        state_root,
        transactions_root: proofs::calculate_transaction_root(
            &transactions.iter().map(|tx| tx.inner()).collect::<Vec<_>>(),
        ),
        receipts_root: proofs::calculate_receipt_root(&envelopes),
        logs_bloom,
        number: context.number,
        gas_limit: context.gas_limit,
        gas_used,
        timestamp: context.timestamp,
        extra_data: extra_data(branch),
        mix_hash: context.prev_randao,
        base_fee_per_gas: Some(context.base_fee),
        ..empty_header()
    };
    Block { header: header.seal_slow(), transactions, receipts }
}

/// Block 0.
pub(crate) fn genesis(config: &DevnetConfig, timestamp: u64, state_root: B256) -> Block {
    let header = Header {
        state_root,
        gas_limit: config.gas_limit,
        timestamp,
        base_fee_per_gas: Some(config.base_fee),
        ..empty_header()
    };
    Block { header: header.seal_slow(), transactions: Vec::new(), receipts: Vec::new() }
}

fn extra_data(branch: u64) -> Bytes {
    if branch == 0 { Bytes::new() } else { format!("branch {branch}").into_bytes().into() }
}

/// What all headers have in common: no uncles, no withdrawals, no blobs, no requests.
fn empty_header() -> Header {
    let empty = alloy_trie::EMPTY_ROOT_HASH;
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: BENEFICIARY,
        transactions_root: empty,
        receipts_root: empty,
        withdrawals_root: Some(empty),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
