//! WebSocket connections: requests, and subscriptions (`newHeads`, `logs`, `newPendingTransactions`).
//!
//! One task per connection reads requests and events in turn. It owns its subscriptions, so nothing is shared and
//! nothing is left behind when it ends.
//!
//! **Invariant:** a connection never holds up the chain. Who does not read for [`WRITE_PATIENCE`], or falls behind by
//! the whole event backlog, is disconnected.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::rpc::types::Filter;
use alloy_primitives::U64;
use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{sync::broadcast, time::timeout};
use tracing::debug;

use super::{
    Answer, Shared, dispatch, error::RpcError, eth::rpc_pooled, filters::event_logs,
    params::Params, to_value,
};
use crate::devnet::events::{Event, Numbered};

/// How long one message may take to leave.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
enum Topic {
    Heads,
    Logs(Box<Filter>),
    Transactions { full: bool },
}

#[derive(Clone, Debug)]
struct Subscription {
    topic: Topic,
    /// The first event it hears of.
    since: u64,
}

/// The subscriptions of one connection.
#[derive(Clone, Debug, Default)]
struct Subscriptions {
    active: BTreeMap<u64, Subscription>,
    last: u64,
}

/// Accepts a WebSocket connection.
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections").into_response();
    };
    let bytes = shared.limits.request_bytes;
    upgrade.max_message_size(bytes).max_frame_size(bytes).on_upgrade(async move |socket| {
        serve(&shared, socket).await;
        drop(permit);
    })
}

async fn serve(shared: &Arc<Shared>, mut socket: WebSocket) {
    let Ok(mut events) = shared.read().map(|node| node.events.subscribe()) else { return };
    let mut subscriptions = Subscriptions::default();
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            event = events.recv() => {
                let messages = match event {
                    Ok(event) => subscriptions.messages(&event),
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        debug!(missed, "slow websocket reader disconnected");
                        break;
                    }
                    Err(broadcast::error::RecvError::Closed) => break,
                };
                if !send_all(&mut socket, messages).await {
                    break;
                }
            }
            message = socket.recv() => {
                let bytes = match message {
                    Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                    Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                let (answer, now) = request(shared, bytes, subscriptions).await;
                subscriptions = now;
                if !send_all(&mut socket, answer).await {
                    break;
                }
            }
        }
    }
    // The other side may be gone already.
    let _closed = timeout(WRITE_PATIENCE, socket.send(Message::Close(None))).await;
}

async fn send_all(socket: &mut WebSocket, messages: impl IntoIterator<Item = String>) -> bool {
    for message in messages {
        if !matches!(timeout(WRITE_PATIENCE, socket.send(Message::text(message))).await, Ok(Ok(())))
        {
            return false;
        }
    }
    true
}

/// Answers one message on a blocking thread, which takes the subscriptions along and brings them back.
async fn request(
    shared: &Arc<Shared>,
    message: Vec<u8>,
    mut subscriptions: Subscriptions,
) -> (Option<String>, Subscriptions) {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let answer = super::handle_with(&shared, &message, &mut |method, params| match method {
            "eth_subscribe" => subscriptions.subscribe(&shared, params),
            "eth_unsubscribe" => subscriptions.unsubscribe(params),
            _ => dispatch(&shared, method, params),
        });
        (answer, subscriptions)
    })
    .await
    .unwrap_or_default()
}

impl Subscriptions {
    fn subscribe(&mut self, shared: &Shared, params: &Params) -> Answer {
        let topic = match params.get::<String>(0)?.as_str() {
            "newHeads" => Topic::Heads,
            "logs" => Topic::Logs(Box::new(params.optional(1)?.unwrap_or_default())),
            "newPendingTransactions" => {
                Topic::Transactions { full: params.optional(1)?.unwrap_or(false) }
            }
            other => {
                return Err(RpcError::params(format!(
                    "no \"{other}\" subscription in eth namespace"
                )));
            }
        };
        if self.active.len() >= shared.limits.subscriptions {
            return Err(RpcError::limit(format!(
                "too many subscriptions: the bound is {}",
                shared.limits.subscriptions
            )));
        }
        let since = shared.read()?.events.next_sequence();
        self.last += 1;
        self.active.insert(self.last, Subscription { topic, since });
        to_value(U64::from(self.last))
    }

    fn unsubscribe(&mut self, params: &Params) -> Answer {
        let id: U64 = params.get(0)?;
        match self.active.remove(&id.to()) {
            Some(_) => Ok(json!(true)),
            None => Err(RpcError::server("subscription not found")),
        }
    }

    /// What the client hears about an event.
    fn messages(&self, event: &Numbered) -> Vec<String> {
        self.active
            .iter()
            .filter(|(_, subscription)| event.sequence >= subscription.since)
            .flat_map(|(id, subscription)| {
                let id = U64::from(*id);
                results(&subscription.topic, &event.event).into_iter().map(move |result| {
                    json!({
                        "jsonrpc": "2.0",
                        "method": "eth_subscription",
                        "params": { "subscription": id, "result": result },
                    })
                    .to_string()
                })
            })
            .collect()
    }
}

fn results(topic: &Topic, event: &Event) -> Vec<Value> {
    let answers: Vec<Answer> = match (topic, event) {
        (Topic::Heads, Event::Block(block)) => vec![to_value(block.rpc_header())],
        (Topic::Logs(filter), event) => {
            event_logs(event, filter).into_iter().map(to_value).collect()
        }
        (Topic::Transactions { full: true }, Event::Transaction(tx)) => {
            vec![to_value(rpc_pooled(tx))]
        }
        (Topic::Transactions { full: false }, Event::Transaction(tx)) => {
            vec![to_value(tx.inner().tx_hash())]
        }
        (Topic::Heads | Topic::Transactions { .. }, _) => Vec::new(),
    };
    answers.into_iter().filter_map(Result::ok).collect()
}
