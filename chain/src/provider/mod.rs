//! One node: a connection with time-outs, and the questions that we ask it.
//!
//! Answers are read into our own small structs (`shapes`) and every failure is an [`RpcError`] that says whether to try
//! again. Nothing is retried here: the follower and the submitter know how urgent their question is.

mod call;
mod shapes;
pub mod startup;

use std::time::Duration;

use alloy::{
    providers::{Provider as _, RootProvider},
    pubsub::Subscription,
    rpc::client::RpcClient,
    transports::{RpcError as AlloyError, TransportErrorKind, http::reqwest, ws::WsConnect},
};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

use self::shapes::{RawFeeHistory, RawHeader, RawLog, RawReceipt};
pub use self::{
    call::CallError,
    shapes::{At, CallRequest, FeeHistory, Header, Log, Receipt},
};
use crate::error::{RpcError, shortened};

/// How to reach a node.
#[derive(Clone)]
pub struct Endpoint {
    /// An `http`, `https`, `ws` or `wss` address. Not printed in full: it may carry a key.
    pub url: String,
    /// The most time to connect.
    pub connect_timeout: Duration,
    /// The most time for one answer.
    pub request_timeout: Duration,
}

impl Endpoint {
    /// The node at `url`, with 5 s to connect and 20 s to answer: a hosted node under load still makes that, and a
    /// block time passes meanwhile at most twice.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field(
                "url",
                &parse_url(&self.url).map_or_else(|_| "(unusable)".to_owned(), |url| shown(&url)),
            )
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .finish()
    }
}

/// A connection to one node; clones share it.
#[derive(Clone)]
pub struct Rpc {
    inner: RootProvider,
    endpoint: String,
    request_timeout: Duration,
    subscribes: bool,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rpc").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// How often a lost websocket is opened again before requests fail; they are then retried by who asked.
const WS_RECONNECTS: u32 = 10;
/// How long between two attempts to open a websocket again.
const WS_RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

fn parse_url(url: &str) -> Result<reqwest::Url, RpcError> {
    let parsed: reqwest::Url =
        url.parse().map_err(|error| RpcError::Address { reason: format!("{error}") })?;
    match parsed.scheme() {
        "http" | "https" | "ws" | "wss" if parsed.host_str().is_some() => Ok(parsed),
        scheme => Err(RpcError::Address {
            reason: format!("{scheme} with a host is not one of http, https, ws, wss"),
        }),
    }
}

/// Scheme, host and port: the part of an address that is no secret.
fn shown(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

impl Rpc {
    /// Connects to a node. For `http` nothing is sent yet; for `ws` the socket is opened.
    ///
    /// # Errors
    /// When the address is unusable, or the socket cannot be opened in time.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, RpcError> {
        let url = parse_url(&endpoint.url)?;
        let shown = shown(&url);
        let subscribes = url.scheme().starts_with("ws");
        let client = if subscribes {
            let connect = WsConnect::new(url.as_str())
                .with_max_retries(WS_RECONNECTS)
                .with_retry_interval(WS_RECONNECT_INTERVAL);
            let opening =
                tokio::time::timeout(endpoint.connect_timeout, RpcClient::connect_pubsub(connect));
            match opening.await {
                Ok(client) => client.map_err(|error| read_error("connect", &shown, error))?,
                Err(_elapsed) => {
                    let reason = format!("not within {} ms", endpoint.connect_timeout.as_millis());
                    return Err(RpcError::Unreachable { endpoint: shown, reason });
                }
            }
        } else {
            let http = reqwest::Client::builder()
                .connect_timeout(endpoint.connect_timeout)
                .timeout(endpoint.request_timeout)
                .build()
                .map_err(|error| RpcError::Address {
                    reason: format!("{}", error.without_url()),
                })?;
            RpcClient::new_http_with_client(http, url)
        };
        let request_timeout = endpoint.request_timeout;
        Ok(Self { inner: RootProvider::new(client), endpoint: shown, request_timeout, subscribes })
    }

    /// Scheme, host and port of the node.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn ask<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<R, RpcError> {
        let params = serde_json::value::to_raw_value(&params).map_err(|error| {
            RpcError::Malformed { method: method.to_owned(), reason: error.to_string() }
        })?;
        let asked = self.inner.raw_request_dyn(method.into(), &params);
        let answer: Box<RawValue> = match tokio::time::timeout(self.request_timeout, asked).await {
            Ok(answer) => answer.map_err(|error| read_error(method, &self.endpoint, error))?,
            Err(_elapsed) => {
                return Err(RpcError::TimedOut {
                    endpoint: self.endpoint.clone(),
                    method: method.to_owned(),
                    after: self.request_timeout,
                });
            }
        };
        serde_json::from_str(answer.get()).map_err(|error| RpcError::Malformed {
            method: method.to_owned(),
            reason: shortened(&error.to_string()),
        })
    }

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

    /// New heads as they come; none on a connection without subscriptions.
    pub(crate) async fn heads(&self) -> Result<Option<Subscription<serde_json::Value>>, RpcError> {
        if !self.subscribes {
            return Ok(None);
        }
        let subscribing =
            async { self.inner.subscribe::<_, serde_json::Value>(("newHeads",)).await };
        match tokio::time::timeout(self.request_timeout, subscribing).await {
            Ok(Ok(heads)) => Ok(Some(heads)),
            Ok(Err(error)) => Err(read_error("eth_subscribe", &self.endpoint, error)),
            Err(_elapsed) => Err(RpcError::TimedOut {
                endpoint: self.endpoint.clone(),
                method: "eth_subscribe".to_owned(),
                after: self.request_timeout,
            }),
        }
    }
}

/// HTTP: too many requests.
const HTTP_TOO_MANY_REQUESTS: u16 = 429;

/// The transport's error in our words. Addresses are left out of reasons: they may carry keys.
fn read_error(method: &str, endpoint: &str, error: AlloyError<TransportErrorKind>) -> RpcError {
    let method = method.to_owned();
    let endpoint = endpoint.to_owned();
    match error {
        AlloyError::ErrorResp(payload) => {
            let data = payload.as_revert_data().or_else(|| {
                let raw = payload.data.as_ref()?;
                serde_json::from_str::<Bytes>(raw.get()).ok()
            });
            let message = shortened(&payload.message);
            RpcError::Refused { method, code: payload.code, message, data }
        }
        AlloyError::NullResp => {
            RpcError::Malformed { method, reason: "the answer is null".to_owned() }
        }
        AlloyError::Transport(TransportErrorKind::HttpErrorWithRetryAfter {
            retry_after, ..
        }) => RpcError::RateLimited { endpoint, retry_after: Some(retry_after) },
        AlloyError::Transport(TransportErrorKind::HttpError(http))
            if http.status == HTTP_TOO_MANY_REQUESTS =>
        {
            RpcError::RateLimited { endpoint, retry_after: None }
        }
        AlloyError::Transport(TransportErrorKind::HttpError(http)) => {
            RpcError::Unreachable { endpoint, reason: format!("HTTP status {}", http.status) }
        }
        AlloyError::Transport(TransportErrorKind::Custom(source)) => {
            RpcError::Unreachable { endpoint, reason: without_address(source.as_ref()) }
        }
        AlloyError::Transport(other) => {
            RpcError::Unreachable { endpoint, reason: shortened(&other.to_string()) }
        }
        AlloyError::DeserError { err, .. } => {
            RpcError::Malformed { method, reason: shortened(&err.to_string()) }
        }
        other => RpcError::Malformed { method, reason: shortened(&other.to_string()) },
    }
}

/// The innermost cause: outer layers of the HTTP client repeat the address, key and all.
fn without_address(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    shortened(&cause.to_string())
}

#[cfg(test)]
mod tests;
