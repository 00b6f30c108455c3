//! The JSON-RPC server: HTTP POST (single requests and batches) and WebSocket on one port.
//!
//! ```text
//!   POST /  ---> [parse, bounds] ---> blocking thread: dispatch ---> read lock  (queries, calls)
//!   GET  /  ---> WebSocket: the same, plus eth_subscribe         +-> write lock (transactions, control)
//! ```
//!
//! Every request runs on a blocking thread, since a call may burn a whole block's gas: the runtime's own threads only
//! move bytes.
//!
//! **Bounds:** size of a request, length of a batch, requests and connections at once, subscriptions, filters, logs in
//! an answer, gas of a call. Each is refused by name; none of them can hold up mining for longer than one call.

use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{
    config::{Limits, Mining},
    error::DevnetError,
    node::Node,
};

mod call;
mod control;
mod error;
mod eth;
mod fees;
mod filters;
mod params;
mod ws;

use error::RpcError;
use filters::Filters;
use params::Params;

/// What a method returns.
pub(crate) type Answer = Result<Value, RpcError>;

/// The chain and everything around it that requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    node: RwLock<Node>,
    filters: Mutex<Filters>,
    mining: watch::Sender<Mining>,
    connections: Arc<Semaphore>,
    limits: Limits,
    stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(node: Node, stop: CancellationToken) -> Self {
        let limits = node.config.limits;
        Self {
            mining: watch::Sender::new(node.mining),
            node: RwLock::new(node),
            filters: Mutex::default(),
            connections: Arc::new(Semaphore::new(limits.connections)),
            limits,
            stop,
        }
    }

    /// The chain, to look at.
    pub(crate) fn read(&self) -> Result<RwLockReadGuard<'_, Node>, DevnetError> {
        self.node.read().map_err(eth::poisoned)
    }

    /// The chain, to change.
    pub(crate) fn write(&self) -> Result<RwLockWriteGuard<'_, Node>, DevnetError> {
        self.node.write().map_err(eth::poisoned)
    }

    fn filters(&self) -> Result<MutexGuard<'_, Filters>, DevnetError> {
        self.filters.lock().map_err(eth::poisoned)
    }

    /// Changes when blocks are made.
    pub(crate) fn set_mining(&self, mining: Mining) -> Result<(), DevnetError> {
        self.write()?.mining = mining;
        self.mining.send_replace(mining);
        Ok(())
    }

    /// Follows [`Self::set_mining`].
    pub(crate) fn mining(&self) -> watch::Receiver<Mining> {
        self.mining.subscribe()
    }
}

/// The routes: everything at `/`.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let limit = DefaultBodyLimit::max(shared.limits.request_bytes);
    Router::new().route("/", post(http).get(ws::upgrade)).layer(limit).with_state(shared)
}

async fn http(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let Ok(_permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many requests at once").into_response();
    };
    match in_background(&shared, move |shared| handle(shared, &body)).await {
        Some(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Runs work on the chain off the runtime's threads. None if there is nothing to answer, or the runtime is ending.
async fn in_background<F>(shared: &Arc<Shared>, work: F) -> Option<String>
where
    F: FnOnce(&Shared) -> Option<String> + Send + 'static,
{
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || work(&shared)).await.ok().flatten()
}

/// A request, before it is understood.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    jsonrpc: Option<String>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    method: String,
    #[serde(default)]
    params: Option<Value>,
}

/// Tells an absent id (a notification) from a null one.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Answers the bytes of one message: a request or a batch. None if all of it is notifications.
fn handle(shared: &Shared, message: &[u8]) -> Option<String> {
    handle_with(shared, message, &mut |method, params| dispatch(shared, method, params))
}

fn handle_with(
    shared: &Shared,
    message: &[u8],
    dispatch: &mut dyn FnMut(&str, &Params) -> Answer,
) -> Option<String> {
    let answer = match serde_json::from_slice::<Value>(message) {
        Err(_unreadable) => Some(response(&Value::Null, Err(RpcError::parse()))),
        Ok(Value::Array(batch)) if batch.is_empty() => {
            Some(response(&Value::Null, Err(RpcError::invalid_request("empty batch"))))
        }
        Ok(Value::Array(batch)) if batch.len() > shared.limits.batch => {
            Some(response(&Value::Null, Err(RpcError::invalid_request("batch too large"))))
        }
        Ok(Value::Array(batch)) => {
            let answers: Vec<Value> =
                batch.into_iter().filter_map(|request| one(request, dispatch)).collect();
            (!answers.is_empty()).then_some(Value::Array(answers))
        }
        Ok(request) => one(request, dispatch),
    };
    answer.map(|answer| answer.to_string())
}

fn one(request: Value, dispatch: &mut dyn FnMut(&str, &Params) -> Answer) -> Option<Value> {
    let request: Request = match serde_json::from_value(request) {
        Ok(request) => request,
        Err(_malformed) => {
            return Some(response(&Value::Null, Err(RpcError::invalid_request("invalid request"))));
        }
    };
    let id = request.id?;
    if request.jsonrpc.as_deref() != Some("2.0") || id.is_object() || id.is_array() {
        return Some(response(&id, Err(RpcError::invalid_request("invalid request"))));
    }
    let answer = Params::new(request.params).and_then(|params| dispatch(&request.method, &params));
    Some(response(&id, answer))
}

fn response(id: &Value, answer: Answer) -> Value {
    match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

/// Runs a method.
fn dispatch(shared: &Shared, method: &str, params: &Params) -> Answer {
    if method == "eth_sendRawTransaction" {
        return eth::send_raw(shared, params);
    }
    if let Some(answer) = filters::answer(shared, method, params) {
        return answer;
    }
    if let Some(answer) = control::answer(shared, method, params) {
        return answer;
    }
    let node = shared.read()?;
    match method {
        "eth_call" => call::call(&node, params),
        "eth_estimateGas" => call::estimate(&node, params),
        "eth_createAccessList" => call::access_list(&node, params),
        _ => eth::answer(&node, method, params)
            .or_else(|| fees::answer(&node, method, params))
            .unwrap_or_else(|| Err(RpcError::method(method))),
    }
}

/// A result as JSON.
fn to_value(result: impl Serialize) -> Answer {
    serde_json::to_value(result).map_err(|error| RpcError::internal(error.to_string()))
}
