//! The connection to one node: requests alone and in batches, subscriptions, time-outs.
//!
//! A websocket is opened when it is first needed, so that a node that is away does not keep the others from being used.
//!
//! **Invariant:** no request takes longer than the endpoint's request time-out.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use alloy::{
    providers::{Provider as _, RootProvider},
    pubsub::Subscription,
    rpc::client::RpcClient,
    transports::{RpcError as AlloyError, TransportErrorKind, http::reqwest, ws::WsConnect},
};
use alloy_primitives::Bytes;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use super::endpoint::{Endpoint, parse_url, shown};
use crate::error::{RpcError, shortened};

/// How often a lost websocket is opened again before requests fail; they are then retried by who asked.
const WS_RECONNECTS: u32 = 10;
/// How long between two attempts to open a websocket again.
const WS_RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// Requests in one batch, to begin with: what common nodes allow.
const BATCH_MOST: usize = 100;

/// One node.
pub(super) struct Connection {
    target: Endpoint,
    shown: String,
    subscribes: bool,
    /// None before the first use, and after a websocket was lost for good.
    opened: Mutex<Option<RpcClient>>,
    /// Requests put into one batch; shrinks when the node refuses.
    batch: AtomicUsize,
    /// The node has no `eth_getBlockReceipts`.
    without_block_receipts: AtomicBool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.shown).finish_non_exhaustive()
    }
}

impl Connection {
    /// Prepares a connection; nothing is sent yet.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, RpcError> {
        let url = parse_url(&endpoint.url)?;
        Ok(Self {
            target: endpoint.clone(),
            shown: shown(&url),
            subscribes: url.scheme().starts_with("ws"),
            opened: Mutex::new(None),
            batch: AtomicUsize::new(BATCH_MOST),
            without_block_receipts: AtomicBool::new(false),
        })
    }

    /// A connection over a transport of the caller's own.
    #[cfg(test)]
    pub(super) fn over(name: &str, client: RpcClient, request_timeout: Duration) -> Self {
        Self {
            target: Endpoint { request_timeout, ..Endpoint::new(name) },
            shown: name.to_owned(),
            subscribes: false,
            opened: Mutex::new(Some(client)),
            batch: AtomicUsize::new(BATCH_MOST),
            without_block_receipts: AtomicBool::new(false),
        }
    }

    /// Scheme, host and port.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn subscribes(&self) -> bool {
        self.subscribes
    }

    pub(super) fn has_block_receipts(&self) -> bool {
        !self.without_block_receipts.load(Ordering::Relaxed)
    }

    pub(super) fn set_without_block_receipts(&self) {
        self.without_block_receipts.store(true, Ordering::Relaxed);
    }

    /// Opens the connection if it is not open yet.
    pub(super) async fn client(&self) -> Result<RpcClient, RpcError> {
        let mut opened = self.opened.lock().await;
        if let Some(client) = &*opened {
            return Ok(client.clone());
        }
        let client = self.open().await?;
        *opened = Some(client.clone());
        Ok(client)
    }

    async fn open(&self) -> Result<RpcClient, RpcError> {
        let url = parse_url(&self.target.url)?;
        if self.subscribes {
            let connect = WsConnect::new(url.as_str())
                .with_max_retries(WS_RECONNECTS)
                .with_retry_interval(WS_RECONNECT_INTERVAL);
            let patience = self.target.connect_timeout;
            return match tokio::time::timeout(patience, RpcClient::connect_pubsub(connect)).await {
                Ok(client) => client.map_err(|error| read_error("connect", &self.shown, error)),
                Err(_elapsed) => Err(RpcError::Unreachable {
                    endpoint: self.shown.clone(),
                    reason: format!("not within {} ms", patience.as_millis()),
                }),
            };
        }
        // The time-out of a request is ours alone, so that it is told from other trouble.
        let http = reqwest::Client::builder()
            .connect_timeout(self.target.connect_timeout)
            .build()
            .map_err(|error| RpcError::Machine { reason: whole(&error.without_url()) })?;
        Ok(RpcClient::new_http_with_client(http, url))
    }

    fn timed_out(&self, method: &str) -> RpcError {
        RpcError::TimedOut {
            endpoint: self.shown.clone(),
            method: method.to_owned(),
            after: self.target.request_timeout,
        }
    }

    /// One request.
    pub(super) async fn ask(
        &self,
        method: &'static str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, RpcError> {
        let client = self.client().await?;
        let asked = client.request::<_, Box<RawValue>>(method, params.to_owned());
        match tokio::time::timeout(self.target.request_timeout, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(method, error).await),
            Err(_elapsed) => Err(self.timed_out(method)),
        }
    }

    /// Many requests of one kind, in as few messages as the node takes; the answers in the same order.
    pub(super) async fn ask_many(
        &self,
        method: &'static str,
        params: &[Box<RawValue>],
    ) -> Result<Vec<Box<RawValue>>, RpcError> {
        let mut answers = Vec::with_capacity(params.len());
        while answers.len() < params.len() {
            let size = self.batch.load(Ordering::Relaxed).max(1);
            let rest = params.get(answers.len()..).unwrap_or_default();
            let chunk = rest.get(..size).unwrap_or(rest);
            let asked = match chunk {
                [one] => self.ask(method, one).await.map(|answer| vec![answer]),
                many => self.ask_batch(method, many).await,
            };
            match asked {
                Ok(more) => answers.extend(more),
                // Nodes word it differently when a batch is too large for them.
                Err(RpcError::Refused { .. } | RpcError::Malformed { .. }) if chunk.len() > 1 => {
                    let smaller = if chunk.len() > 8 { chunk.len() / 4 } else { 1 };
                    self.batch.store(smaller, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        // A node that refused once is tried again with more: the refusal may have been about one block.
        let size = self.batch.load(Ordering::Relaxed);
        self.batch.store(size.saturating_mul(2).min(BATCH_MOST), Ordering::Relaxed);
        Ok(answers)
    }

    async fn ask_batch(
        &self,
        method: &'static str,
        params: &[Box<RawValue>],
    ) -> Result<Vec<Box<RawValue>>, RpcError> {
        let client = self.client().await?;
        let mut batch = client.new_batch();
        let mut waiters = Vec::with_capacity(params.len());
        for params in params {
            let waiter = batch
                .add_call::<_, Box<RawValue>>(method, params)
                .map_err(|error| read_error(method, &self.shown, error))?;
            waiters.push(waiter);
        }
        let asked = async {
            batch.send().await?;
            futures::future::try_join_all(waiters).await
        };
        match tokio::time::timeout(self.target.request_timeout, asked).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) => Err(self.failed(method, error).await),
            Err(_elapsed) => Err(self.timed_out(method)),
        }
    }

    /// A subscription; none on a connection without them.
    pub(super) async fn subscribe(
        &self,
        params: serde_json::Value,
    ) -> Result<Option<Subscription<serde_json::Value>>, RpcError> {
        if !self.subscribes {
            return Ok(None);
        }
        let provider: RootProvider = RootProvider::new(self.client().await?);
        let subscribing = async { provider.subscribe::<_, serde_json::Value>(params).await };
        match tokio::time::timeout(self.target.request_timeout, subscribing).await {
            Ok(Ok(subscription)) => Ok(Some(subscription)),
            Ok(Err(error)) => Err(self.failed("eth_subscribe", error).await),
            Err(_elapsed) => Err(self.timed_out("eth_subscribe")),
        }
    }

    /// Reads an error; a websocket that was given up is opened again at the next request.
    async fn failed(&self, method: &str, error: AlloyError<TransportErrorKind>) -> RpcError {
        if matches!(error, AlloyError::Transport(TransportErrorKind::BackendGone)) {
            *self.opened.lock().await = None;
        }
        read_error(method, &self.shown, error)
    }
}

/// An error with its causes: the first one alone says "builder error".
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
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
        AlloyError::Transport(TransportErrorKind::MissingBatchResponse(_)) => {
            RpcError::Malformed { method, reason: "an answer is missing from the batch".to_owned() }
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
