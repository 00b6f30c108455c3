//! Control over the chain, by anvil's and hardhat's names: mining, time, balances, snapshots, reorganisations.
//!
//! These methods are what makes a devnet a devnet; no production node has them.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde_json::{Map, Value, json};

use super::{
    Answer, Shared,
    error::RpcError,
    eth::rpc_pooled,
    params::{Params, loose_number},
    to_value,
};
use crate::devnet::{blocks::SignedTx, config::Mining, error::DevnetError, node::Node, pool};

/// Answers a control method, or says that it is none.
pub(super) fn answer(shared: &Shared, method: &str, params: &Params) -> Option<Answer> {
    if let Some(answer) = reading(shared, method) {
        return Some(answer);
    }
    Some(match method {
        "evm_mine" => evm_mine(shared, params),
        "anvil_mine" | "hardhat_mine" => anvil_mine(shared, params),
        "evm_setAutomine" | "anvil_setAutomine" => set_automine(shared, params),
        "evm_setIntervalMining" | "anvil_setIntervalMining" => set_interval(shared, params),
        "evm_increaseTime" | "anvil_increaseTime" => increase_time(shared, params),
        "evm_setNextBlockTimestamp" | "anvil_setNextBlockTimestamp" => {
            set_next_time(shared, params)
        }
        "evm_setTime" | "anvil_setTime" => set_time(shared, params),
        "anvil_setNextBlockBaseFeePerGas" | "hardhat_setNextBlockBaseFeePerGas" => {
            number(params, 0).and_then(|fee| edit(shared, |node| node.set_next_base_fee(fee)))
        }
        "anvil_setBalance" | "hardhat_setBalance" => {
            pair::<Address, U256>(params).and_then(|(address, balance)| {
                edit(shared, |node| node.edit_account(address, |info| info.balance = balance))
            })
        }
        "anvil_setNonce" | "hardhat_setNonce" => {
            pair::<Address, U64>(params).and_then(|(address, nonce)| {
                edit(shared, |node| node.edit_account(address, |info| info.nonce = nonce.to()))
            })
        }
        "anvil_setCode" | "hardhat_setCode" => pair::<Address, Bytes>(params)
            .and_then(|(address, code)| edit(shared, |node| node.set_code(address, code))),
        "anvil_setStorageAt" | "hardhat_setStorageAt" => set_storage(shared, params),
        "anvil_dropTransaction" | "hardhat_dropTransaction" => drop_transaction(shared, params),
        "anvil_dropAllTransactions" => edit(shared, |node| node.pool = pool::Pool::default()),
        "evm_snapshot" | "anvil_snapshot" => shared
            .write()
            .map_err(Into::into)
            .and_then(|mut node| to_value(U64::from(node.snapshot()))),
        "evm_revert" | "anvil_revert" => revert(shared, params),
        "anvil_reorg" => reorg(shared, params),
        "anvil_rollback" => rollback(shared, params),
        _ => return None,
    })
}

fn reading(shared: &Shared, method: &str) -> Option<Answer> {
    let read =
        |show: fn(&Node) -> Answer| shared.read().map_err(Into::into).and_then(|node| show(&node));
    Some(match method {
        "anvil_getAutomine" | "hardhat_getAutomine" => {
            read(|node| Ok(json!(node.mining == Mining::Instant)))
        }
        "anvil_getIntervalMining" => read(|node| match node.mining {
            Mining::Every { millis } => Ok(json!(millis / 1_000)),
            Mining::Instant | Mining::Manual => Ok(Value::Null),
        }),
        "txpool_status" => read(|node| {
            let (pending, queued) = split_pool(node);
            Ok(json!({ "pending": U64::from(pending.len()), "queued": U64::from(queued.len()) }))
        }),
        "txpool_content" => read(|node| {
            let (pending, queued) = split_pool(node);
            Ok(json!({ "pending": by_sender(pending)?, "queued": by_sender(queued)? }))
        }),
        _ => return None,
    })
}

/// The pooled transactions, executable ones and those behind a nonce gap.
fn split_pool(node: &Node) -> (Vec<&SignedTx>, Vec<&SignedTx>) {
    let view = node.latest();
    let mut expected: Option<(Address, u64)> = None;
    node.pool
        .iter()
        .map(|(sender, nonce, tx)| {
            let next = match expected {
                Some((address, next)) if address == sender => next,
                _ => view.nonce(sender),
            };
            let executable = nonce == next;
            expected = Some((sender, if executable { next + 1 } else { next }));
            (executable, tx.as_ref())
        })
        .fold((Vec::new(), Vec::new()), |(mut pending, mut queued), (executable, tx)| {
            let side = if executable { &mut pending } else { &mut queued };
            side.push(tx);
            (pending, queued)
        })
}

fn by_sender(txs: Vec<&SignedTx>) -> Answer {
    let mut senders: BTreeMap<Address, Map<String, Value>> = BTreeMap::new();
    for tx in txs {
        senders
            .entry(tx.signer())
            .or_default()
            .insert(nonce_of(tx).to_string(), to_value(rpc_pooled(tx))?);
    }
    to_value(senders)
}

fn nonce_of(tx: &SignedTx) -> u64 {
    alloy::consensus::Transaction::nonce(tx.inner())
}

fn edit(shared: &Shared, change: impl FnOnce(&mut Node)) -> Answer {
    change(&mut *shared.write()?);
    Ok(Value::Null)
}

fn number(params: &Params, index: usize) -> Result<u64, RpcError> {
    params
        .loose_number(index)?
        .ok_or_else(|| RpcError::params(format!("missing value for required argument {index}")))
}

fn pair<A: serde::de::DeserializeOwned, B: serde::de::DeserializeOwned>(
    params: &Params,
) -> Result<(A, B), RpcError> {
    Ok((params.get(0)?, params.get(1)?))
}

/// `evm_mine`: one block, at a given time if there is one, as a number or as `{timestamp, blocks}`.
fn evm_mine(shared: &Shared, params: &Params) -> Answer {
    let (timestamp, blocks) = match params.raw(0) {
        Some(Value::Object(options)) => {
            let read = |key| {
                loose_number(options.get(key))
                    .map_err(|()| RpcError::params(format!("invalid {key}")))
            };
            (read("timestamp")?, read("blocks")?.unwrap_or(1))
        }
        _ => (params.loose_number(0)?, 1),
    };
    let mut node = shared.write()?;
    check_count(&node, blocks)?;
    if let Some(timestamp) = timestamp {
        let parent = node.blocks.head().header.timestamp;
        node.clock.set_next(timestamp, parent)?;
    }
    for _ in 0..blocks {
        node.mine();
    }
    Ok(json!("0x0"))
}

/// `anvil_mine(blocks, interval)`: blocks that are `interval` seconds apart.
fn anvil_mine(shared: &Shared, params: &Params) -> Answer {
    let blocks = params.loose_number(0)?.unwrap_or(1);
    let interval = params.loose_number(1)?;
    let mut node = shared.write()?;
    check_count(&node, blocks)?;
    for made in 0..blocks {
        if let Some(interval) = interval
            && made > 0
        {
            let parent = node.blocks.head().header.timestamp;
            node.clock.set_next(parent.saturating_add(interval), parent)?;
        }
        node.mine();
    }
    Ok(Value::Null)
}

fn check_count(node: &Node, requested: u64) -> Result<(), DevnetError> {
    let bound = node.config.limits.mine;
    if requested > bound {
        Err(DevnetError::Bound { what: "blocks", requested, bound })
    } else {
        Ok(())
    }
}

fn set_automine(shared: &Shared, params: &Params) -> Answer {
    let mining = if params.get(0)? { Mining::Instant } else { Mining::Manual };
    shared.set_mining(mining)?;
    Ok(Value::Null)
}

/// `evm_setIntervalMining(seconds)`: 0 stops it.
fn set_interval(shared: &Shared, params: &Params) -> Answer {
    let mining = match number(params, 0)? {
        0 => Mining::Manual,
        seconds if seconds <= 3_600 => Mining::Every { millis: seconds * 1_000 },
        requested => {
            return Err(DevnetError::Bound { what: "interval", requested, bound: 3_600 }.into());
        }
    };
    shared.set_mining(mining)?;
    Ok(Value::Null)
}

fn increase_time(shared: &Shared, params: &Params) -> Answer {
    let seconds = number(params, 0)?;
    let mut node = shared.write()?;
    let parent = node.blocks.head().header.timestamp;
    let offset = node.clock.advance(seconds, parent)?;
    node.touch();
    Ok(json!(offset))
}

fn set_next_time(shared: &Shared, params: &Params) -> Answer {
    let timestamp = number(params, 0)?;
    let mut node = shared.write()?;
    let parent = node.blocks.head().header.timestamp;
    node.clock.set_next(timestamp, parent)?;
    node.touch();
    Ok(Value::Null)
}

/// `evm_setTime`, in milliseconds as ganache takes it. Returns the offset in seconds.
fn set_time(shared: &Shared, params: &Params) -> Answer {
    let timestamp = number(params, 0)? / 1_000;
    let mut node = shared.write()?;
    let parent = node.blocks.head().header.timestamp;
    let before = node.clock.next_timestamp(parent);
    node.clock.set_next(timestamp, parent)?;
    node.touch();
    Ok(json!(timestamp.saturating_sub(before)))
}

fn set_storage(shared: &Shared, params: &Params) -> Answer {
    let address = params.get(0)?;
    let slot: U256 = params.get(1)?;
    let value: B256 = params.get(2)?;
    edit(shared, |node| node.set_slot(address, slot, value.into()))?;
    Ok(json!(true))
}

fn drop_transaction(shared: &Shared, params: &Params) -> Answer {
    let hash: B256 = params.get(0)?;
    let mut node = shared.write()?;
    let dropped = node.pool.remove(hash).is_some();
    node.touch();
    to_value(dropped.then_some(hash))
}

fn revert(shared: &Shared, params: &Params) -> Answer {
    let id = number(params, 0)?;
    match shared.write()?.revert(id) {
        Ok(()) => Ok(json!(true)),
        Err(DevnetError::NoSnapshot { .. }) => Ok(json!(false)),
        Err(error) => Err(error.into()),
    }
}

/// `anvil_reorg(depth, [[raw transaction, offset], ..])`, also as `{depth, txBlockPairs}`.
fn reorg(shared: &Shared, params: &Params) -> Answer {
    let (depth, pairs) = match params.raw(0) {
        Some(Value::Object(options)) => {
            let depth = loose_number(options.get("depth"))
                .map_err(|()| RpcError::params("invalid depth"))?;
            (
                depth.unwrap_or(0),
                options.get("txBlockPairs").or(options.get("tx_block_pairs")).cloned(),
            )
        }
        _ => (number(params, 0)?, params.raw(1).cloned()),
    };
    let mut node = shared.write()?;
    let mut placed: BTreeMap<u64, Vec<SignedTx>> = BTreeMap::new();
    if let Some(pairs) = pairs.filter(|pairs| !pairs.is_null()) {
        let pairs: Vec<(Bytes, u64)> = serde_json::from_value(pairs).map_err(|error| {
            RpcError::params(format!("invalid pairs of raw transaction and block offset: {error}"))
        })?;
        for (raw, offset) in pairs {
            let tx = pool::decode(&raw, node.config.chain_id)?;
            placed.entry(offset).or_default().push(tx);
        }
    }
    node.reorganise(depth, placed)?;
    Ok(Value::Null)
}

/// `anvil_rollback(depth)`: the newest blocks disappear and nothing takes their place.
fn rollback(shared: &Shared, params: &Params) -> Answer {
    let depth = params.loose_number(0)?.unwrap_or(1);
    shared.write()?.rollback(depth)?;
    Ok(Value::Null)
}
