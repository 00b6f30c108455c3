//! Queries: blocks, transactions, accounts. Nothing here changes the chain, except `eth_sendRawTransaction`.

use std::sync::Arc;

use alloy::{
    consensus::transaction::TransactionInfo, eips::BlockId,
    rpc::types::Transaction as RpcTransaction,
};
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use serde_json::{Value, json};

use super::{
    Answer, Shared,
    error::RpcError,
    params::{At, Params, resolve, state_at},
    to_value,
};
use crate::devnet::{
    blocks::{Block, SignedTx},
    error::DevnetError,
    node::Node,
};

/// How this server introduces itself.
pub(crate) const CLIENT_VERSION: &str = concat!("vrc-devnet/v", env!("CARGO_PKG_VERSION"), "/revm");

/// Answers a query, or says that it is none.
pub(super) fn answer(node: &Node, method: &str, params: &Params) -> Option<Answer> {
    Some(match method {
        "web3_clientVersion" => Ok(json!(CLIENT_VERSION)),
        "web3_sha3" => params.get::<Bytes>(0).and_then(|data| to_value(keccak256(data))),
        "net_version" => Ok(json!(node.config.chain_id.to_string())),
        "net_listening" => Ok(json!(true)),
        "net_peerCount" => Ok(json!("0x0")),
        "eth_chainId" => to_value(U64::from(node.config.chain_id)),
        "eth_syncing" => Ok(json!(false)),
        "eth_accounts" => {
            to_value(node.accounts.iter().map(|account| account.address).collect::<Vec<_>>())
        }
        "eth_blockNumber" => to_value(U64::from(node.blocks.head().number())),
        "eth_getBlockByNumber" | "eth_getBlockByHash" => block(node, params),
        "eth_getBlockReceipts" => receipts(node, params),
        "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
            with_block(node, params, |block| to_value(U64::from(block.transactions.len())))
        }
        "eth_getUncleCountByBlockNumber" | "eth_getUncleCountByBlockHash" => {
            with_block(node, params, |_| to_value(U64::ZERO))
        }
        "eth_getTransactionByHash" => transaction(node, params),
        "eth_getTransactionByBlockNumberAndIndex" | "eth_getTransactionByBlockHashAndIndex" => {
            params.get::<U64>(1).and_then(|index| {
                with_block(node, params, |block| to_value(block.rpc_transaction(index.to())))
            })
        }
        "eth_getRawTransactionByHash" => raw_transaction(node, params),
        "eth_getTransactionReceipt" => receipt(node, params),
        "eth_getTransactionCount" => transaction_count(node, params),
        "eth_getBalance" => state(node, params, 1, |view, address| to_value(view.balance(address))),
        "eth_getCode" => {
            state(node, params, 1, |view, address| to_value(view.code(address).original_bytes()))
        }
        "eth_getStorageAt" => params.get::<U256>(1).and_then(|slot| {
            state(node, params, 2, |view, address| to_value(B256::from(view.slot(address, slot))))
        }),
        _ => return None,
    })
}

/// `eth_sendRawTransaction`.
pub(super) fn send_raw(shared: &Shared, params: &Params) -> Answer {
    let raw: Bytes = params.get(0)?;
    to_value(shared.write()?.submit_raw(&raw)?)
}

fn find_block(node: &Node, id: BlockId) -> Option<Arc<Block>> {
    match resolve(node, id)? {
        At::Pending => Some(Arc::clone(&node.pending().block)),
        At::Number(number) => node.blocks.get(number),
    }
}

fn with_block(node: &Node, params: &Params, read: impl FnOnce(&Block) -> Answer) -> Answer {
    match find_block(node, params.get(0)?) {
        Some(block) => read(&block),
        None => Ok(Value::Null),
    }
}

fn block(node: &Node, params: &Params) -> Answer {
    let full = params.optional(1)?.unwrap_or(false);
    with_block(node, params, |block| to_value(block.rpc(full)))
}

fn receipts(node: &Node, params: &Params) -> Answer {
    with_block(node, params, |block| {
        to_value(
            (0..block.receipts.len())
                .filter_map(|index| block.rpc_receipt(index))
                .collect::<Vec<_>>(),
        )
    })
}

/// A pooled transaction as JSON-RPC shows it: without a block.
pub(super) fn rpc_pooled(tx: &SignedTx) -> RpcTransaction {
    let info = TransactionInfo { hash: Some(*tx.inner().tx_hash()), ..TransactionInfo::default() };
    RpcTransaction::from_transaction(tx.clone(), info)
}

fn transaction(node: &Node, params: &Params) -> Answer {
    let hash = params.get(0)?;
    match node.blocks.find_transaction(hash) {
        Some((block, index)) => to_value(block.rpc_transaction(index)),
        None => to_value(node.pool.get(hash).map(|tx| rpc_pooled(tx))),
    }
}

fn raw_transaction(node: &Node, params: &Params) -> Answer {
    use alloy::eips::Encodable2718;
    let hash = params.get(0)?;
    let mined = node.blocks.find_transaction(hash);
    let tx = match &mined {
        Some((block, index)) => block.transactions.get(*index),
        None => node.pool.get(hash).map(AsRef::as_ref),
    };
    to_value(tx.map(|tx| Bytes::from(tx.inner().encoded_2718())))
}

fn receipt(node: &Node, params: &Params) -> Answer {
    match node.blocks.find_transaction(params.get(0)?) {
        Some((block, index)) => to_value(block.rpc_receipt(index)),
        None => Ok(Value::Null),
    }
}

fn transaction_count(node: &Node, params: &Params) -> Answer {
    let address: Address = params.get(0)?;
    let id = params.block(1)?;
    let nonce = match resolve(node, id).ok_or_else(RpcError::header_not_found)? {
        // Also counts what waits for a lower base fee or the next block: that is what a sender needs.
        At::Pending => node.pool.next_nonce(address, node.latest().nonce(address)),
        At::Number(_) => state_at(node, id)?.0.nonce(address),
    };
    to_value(U64::from(nonce))
}

fn state(
    node: &Node,
    params: &Params,
    block: usize,
    read: impl FnOnce(&crate::devnet::state::View<'_>, Address) -> Answer,
) -> Answer {
    let address = params.get(0)?;
    let (view, _) = state_at(node, params.block(block)?)?;
    read(&view, address)
}

/// A lock whose holder panicked half way: the chain cannot be trusted any more.
pub(super) fn poisoned<T>(_poison: T) -> DevnetError {
    DevnetError::Stopped
}
