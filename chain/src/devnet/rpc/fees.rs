//! What to bid: `eth_gasPrice`, `eth_maxPriorityFeePerGas`, `eth_feeHistory`.

use alloy::{eips::BlockNumberOrTag, rpc::types::FeeHistory};
use alloy_primitives::{U64, U128};

use super::{
    Answer,
    error::RpcError,
    params::{At, Params, loose_number, resolve_tag},
    to_value,
};
use crate::devnet::{blocks::Block, node::Node};

/// Blocks in one fee history, as in geth.
const HISTORY_BLOCKS_MAX: u64 = 1_024;
/// Percentiles in one fee history, as in geth.
const PERCENTILES_MAX: usize = 100;

/// Answers a query about fees, or says that it is none.
pub(super) fn answer(node: &Node, method: &str, params: &Params) -> Option<Answer> {
    Some(match method {
        "eth_gasPrice" => to_value(U128::from(
            u128::from(node.next_base_fee(node.blocks.head()))
                + u128::from(node.config.priority_fee),
        )),
        "eth_maxPriorityFeePerGas" => to_value(U64::from(node.config.priority_fee)),
        "eth_blobBaseFee" => to_value(U64::from(1)),
        "eth_feeHistory" => history(node, params),
        _ => return None,
    })
}

fn history(node: &Node, params: &Params) -> Answer {
    let invalid = || RpcError::params("invalid block count");
    let count = loose_number(params.raw(0))
        .map_err(|()| invalid())?
        .ok_or_else(invalid)?
        .min(HISTORY_BLOCKS_MAX);
    let newest: BlockNumberOrTag = params.get(1)?;
    let percentiles: Vec<f64> = params.optional(2)?.unwrap_or_default();
    if percentiles.len() > PERCENTILES_MAX {
        return Err(RpcError::params(format!(
            "invalid reward percentile: over the query limit {PERCENTILES_MAX}"
        )));
    }
    let ordered = percentiles.windows(2).all(|pair| pair.first() <= pair.last());
    if !ordered || percentiles.iter().any(|percentile| !(0.0..=100.0).contains(percentile)) {
        return Err(RpcError::params("invalid reward percentile"));
    }
    let newest = match resolve_tag(node, newest)
        .ok_or_else(|| RpcError::server("request beyond head block"))?
    {
        At::Pending => node.blocks.head().number(),
        At::Number(number) => number,
    };
    if count == 0 {
        return to_value(FeeHistory::default());
    }
    let oldest = newest.saturating_sub(count - 1).max(node.blocks.earliest());
    let mut answer = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    let mut rewards = Vec::new();
    for block in node.blocks.range(oldest, newest) {
        answer.base_fee_per_gas.push(u128::from(block.base_fee()));
        answer.gas_used_ratio.push(ratio(block.header.gas_used, block.header.gas_limit));
        answer.base_fee_per_blob_gas.push(1);
        answer.blob_gas_used_ratio.push(0.0);
        rewards.push(block_rewards(block, &percentiles));
    }
    let next = match node.blocks.get(newest + 1) {
        Some(block) => block.base_fee(),
        None => node.next_base_fee(node.blocks.head()),
    };
    answer.base_fee_per_gas.push(u128::from(next));
    answer.base_fee_per_blob_gas.push(1);
    answer.reward = (!percentiles.is_empty()).then_some(rewards);
    to_value(answer)
}

/// Tips at the given percentiles of the block's gas; zeros for an empty block.
fn block_rewards(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let mut tips: Vec<(u128, u64)> = block
        .receipts
        .iter()
        .enumerate()
        .map(|(index, receipt)| (block.tip(index), receipt.gas_used))
        .collect();
    tips.sort_unstable();
    percentiles
        .iter()
        .map(|percentile| {
            let mut sum = 0;
            let reached = tips.iter().find(|(_, gas)| {
                sum += gas;
                ratio(sum, block.header.gas_used) * 100.0 >= *percentile
            });
            reached.or(tips.last()).map_or(0, |(tip, _)| *tip)
        })
        .collect()
}

fn ratio(part: u64, whole: u64) -> f64 {
    // Gas stays far below 2^53, so both conversions are exact.
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
