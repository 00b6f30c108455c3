//! Receipts as a node gives them, encoded and hashed as the chain does.

use alloy::consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxType, proofs::calculate_receipt_root,
};
use alloy_primitives::{Address, B256, Bytes, Log as PrimitiveLog, U64};
use serde::Deserialize;

use super::{VerifiedHeader, VerifyError};
use crate::provider::Log;

/// The fields of a receipt that its encoding has, and what identifies it. Blooms are not read: they follow from the logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawFullReceipt {
    #[serde(rename = "type")]
    kind: Option<U64>,
    status: Option<U64>,
    /// Before Byzantium, in place of the status.
    root: Option<B256>,
    cumulative_gas_used: U64,
    logs: Vec<RawReceiptLog>,
    transaction_hash: B256,
    block_hash: B256,
}

#[derive(Debug, Clone, Deserialize)]
struct RawReceiptLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

/// A log cannot have more: the EVM has no instruction for it.
const TOPICS_MAX: usize = 4;

/// All logs of `contract` in the block of `header`, whose receipts these are.
///
/// # Errors
/// When the receipts are not those of the block, or of a kind that cannot be encoded.
pub(crate) fn logs(
    header: &VerifiedHeader,
    receipts: &[RawFullReceipt],
    contract: Address,
) -> Result<Vec<Log>, VerifyError> {
    let block = header.header().id;
    let mut envelopes = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        if receipt.block_hash != block.hash {
            return Err(VerifyError::Inconsistent("a receipt of another block"));
        }
        envelopes.push(envelope(header, receipt)?);
    }
    if calculate_receipt_root(&envelopes) != header.receipts_root() {
        return Err(VerifyError::ReceiptsRoot { block });
    }
    // From here on all fields but the transaction's hash are what the chain committed to.
    let all = receipts
        .iter()
        .flat_map(|receipt| receipt.logs.iter().map(|log| (receipt.transaction_hash, log)))
        .zip(0_u64..);
    let ours = all.filter(|((_, log), _)| log.address == contract);
    Ok(ours
        .map(|((transaction, log), index)| Log {
            address: log.address,
            topics: log.topics.clone(),
            data: log.data.clone(),
            block,
            transaction,
            index,
        })
        .collect())
}

fn envelope(header: &VerifiedHeader, raw: &RawFullReceipt) -> Result<ReceiptEnvelope, VerifyError> {
    let kind = raw.kind.unwrap_or_default().to::<u64>();
    let kind = u8::try_from(kind)
        .map_err(|_wide| VerifyError::Inconsistent("a receipt type of more than a byte"))?;
    let kind = TxType::try_from(kind)
        .map_err(|_other| VerifyError::UnknownReceiptType { block: header.header().id, kind })?;
    let status = match (raw.status, raw.root) {
        (Some(status), _) => Eip658Value::Eip658(status == U64::from(1)),
        (None, Some(root)) => Eip658Value::PostState(root),
        (None, None) => {
            return Err(VerifyError::Inconsistent("a receipt with neither status nor root"));
        }
    };
    let mut logs = Vec::with_capacity(raw.logs.len());
    for log in &raw.logs {
        if log.topics.len() > TOPICS_MAX {
            return Err(VerifyError::Inconsistent("a log with more than four topics"));
        }
        let (topics, data) = (log.topics.clone(), log.data.clone());
        logs.push(PrimitiveLog::new_unchecked(log.address, topics, data));
    }
    let cumulative_gas_used = raw.cumulative_gas_used.to();
    let receipt: ReceiptWithBloom<Receipt> =
        Receipt { status, cumulative_gas_used, logs }.with_bloom();
    Ok(match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    })
}
