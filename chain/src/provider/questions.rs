//! What we ask a node, question by question.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde_json::json;

use super::{
    Rpc,
    call::CallError,
    shapes::{
        At, CallRequest, FeeHistory, Header, Log, RawFeeHistory, RawHeader, RawLog, RawReceipt,
        Receipt,
    },
};
use crate::error::RpcError;

impl Rpc {
    /// The chain's id.
    ///
    /// # Errors
    /// See [`RpcError`]; the same holds for every question below.
    pub async fn chain_id(&self) -> Result<u64, RpcError> {
        self.ask::<U64>("eth_chainId", json!([])).await.map(|id| id.to())
    }

    /// A block's header; none when the node has no such block.
    pub async fn header(&self, at: At) -> Result<Option<Header>, RpcError> {
        let raw: Option<RawHeader> = self.ask("eth_getBlockByNumber", (at.param(), false)).await?;
        Ok(raw.map(Header::from))
    }

    /// The newest header.
    pub async fn head(&self) -> Result<Header, RpcError> {
        self.header(At::Latest).await?.ok_or_else(|| RpcError::Malformed {
            method: "eth_getBlockByNumber".to_owned(),
            reason: "there is no latest block".to_owned(),
        })
    }

    /// All logs of `address` in the block with this hash. A node that does not know the block refuses, so an empty
    /// answer means that there are none.
    pub async fn logs_of_block(&self, address: Address, block: B256) -> Result<Vec<Log>, RpcError> {
        self.logs(json!([{ "address": address, "blockHash": block }])).await
    }

    /// All logs of `address` in the blocks `from..=to`.
    pub async fn logs_of_range(
        &self,
        address: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, RpcError> {
        let range = json!([{
            "address": address,
            "fromBlock": At::Number(from).param(),
            "toBlock": At::Number(to).param(),
        }]);
        self.logs(range).await
    }

    async fn logs(&self, filter: serde_json::Value) -> Result<Vec<Log>, RpcError> {
        let raw: Vec<RawLog> = self.ask("eth_getLogs", filter).await?;
        Ok(raw.into_iter().filter(|log| !log.removed).map(Log::from).collect())
    }

    /// The code of a contract, empty if there is none.
    pub async fn code(&self, address: Address) -> Result<Bytes, RpcError> {
        self.ask("eth_getCode", (address, At::Latest.param())).await
    }

    /// An account's balance in wei.
    pub async fn balance(&self, account: Address) -> Result<U256, RpcError> {
        self.ask("eth_getBalance", (account, At::Latest.param())).await
    }

    /// How many transactions of an account the chain holds.
    pub async fn transaction_count(&self, account: Address, at: At) -> Result<u64, RpcError> {
        self.ask::<U64>("eth_getTransactionCount", (account, at.param()))
            .await
            .map(|count| count.to())
    }

    /// What the last `blocks` blocks paid, at these percentiles of their priority fees.
    pub async fn fee_history(
        &self,
        blocks: u64,
        percentiles: &[f64],
    ) -> Result<FeeHistory, RpcError> {
        let params = (format!("{blocks:#x}"), At::Latest.param(), percentiles);
        let raw: RawFeeHistory = self.ask("eth_feeHistory", params).await?;
        Ok(raw.into())
    }

    /// What a mined transaction did; none while it is not mined.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let raw: Option<RawReceipt> = self.ask("eth_getTransactionReceipt", (hash,)).await?;
        Ok(raw.map(Receipt::from))
    }

    /// Hands a signed transaction to the node.
    pub async fn send_raw(&self, transaction: &Bytes) -> Result<B256, RpcError> {
        self.ask("eth_sendRawTransaction", (transaction,)).await
    }

    /// Runs a call without sending it.
    pub async fn call(&self, request: &CallRequest, at: At) -> Result<Bytes, CallError> {
        self.ask("eth_call", (request, at.param())).await.map_err(CallError::from)
    }

    /// How much gas a call would take.
    pub async fn estimate_gas(&self, request: &CallRequest) -> Result<u64, CallError> {
        let gas: U64 = self
            .ask("eth_estimateGas", (request, At::Latest.param()))
            .await
            .map_err(CallError::from)?;
        Ok(gas.to())
    }
}
