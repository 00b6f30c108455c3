//! A node of the mock chain behind alloy's transport: between any two requests the chain may move, and the answer may be
//! wrong in any way that a node's is.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    rpc::client::RpcClient,
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use alloy_json_rpc::{RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_primitives::Bloom;
use rand::Rng as _;
use serde_json::{Value, json};

use super::chain::MockChain;

/// How a node goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Takes longer than anybody waits.
    TimeOut,
    /// HTTP 429.
    RateLimited,
    /// Not JSON-RPC.
    Garbage,
    /// No batches.
    NoBatches,
    /// No whole receipts of blocks.
    NoBlockReceipts,
    /// Nothing is said of logs.
    EmptyLogs,
    /// Headers without a bloom.
    EmptyBloom,
    /// Other data in logs.
    LyingLogs,
    /// The head is a few blocks old, and nothing above it is known.
    Stale,
    /// Another chain.
    WrongChain,
}

/// The faults that a verified view survives at any node.
pub(super) const ALL: [Fault; 10] = [
    Fault::TimeOut,
    Fault::RateLimited,
    Fault::Garbage,
    Fault::NoBatches,
    Fault::NoBlockReceipts,
    Fault::EmptyLogs,
    Fault::EmptyBloom,
    Fault::LyingLogs,
    Fault::Stale,
    Fault::WrongChain,
];

/// What the nodes of one run share.
pub(super) struct World {
    pub(super) chain: MockChain,
    /// Requests that still meet trouble; afterwards the chain stands and everybody is honest.
    pub(super) trouble: u32,
}

/// One node.
#[derive(Clone)]
pub(super) struct MockNode {
    pub(super) world: Arc<Mutex<World>>,
    /// One request in this many meets one of `faults`.
    pub(super) one_in: u32,
    pub(super) faults: &'static [Fault],
}

impl MockNode {
    pub(super) fn client(self) -> RpcClient {
        RpcClient::new(self, true)
    }

    fn draw(&self) -> Option<Fault> {
        let mut world = self.world.lock().unwrap();
        if world.trouble == 0 {
            return None;
        }
        world.trouble -= 1;
        match world.chain.random.gen_range(0..20) {
            0..4 => world.chain.mine(),
            4 => world.chain.reorganise(),
            _ => {}
        }
        let chosen = world.chain.random.gen_range(0..self.faults.len().max(1));
        let hit = world.chain.random.gen_range(0..self.one_in.max(1)) == 0;
        self.faults.get(chosen).copied().filter(|_| hit)
    }

    fn answer(&self, request: &SerializedRequest, fault: Option<Fault>) -> Value {
        let params: Value =
            request.params().map_or(json!([]), |raw| serde_json::from_str(raw.get()).unwrap());
        let method = request.method();
        let world = self.world.lock().unwrap();
        let answer = match fault {
            Some(Fault::Stale) => stale(&world.chain, method, &params),
            Some(Fault::NoBlockReceipts) if method == "eth_getBlockReceipts" => {
                Err(json!({"code": -32_601, "message": "the method does not exist"}))
            }
            _ => world.chain.answer(method, &params),
        };
        let mut answer = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": request.id(), "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": request.id(), "error": error}),
        };
        if let (Some(fault), Some(result)) = (fault, answer.get_mut("result")) {
            bend(fault, method, result);
        }
        answer
    }
}

impl tower::Service<RequestPacket> for MockNode {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let node = self.clone();
        Box::pin(async move {
            // Other seeds run meanwhile, and a caller may be gone after it.
            tokio::task::yield_now().await;
            let fault = node.draw();
            match fault {
                Some(Fault::TimeOut) => tokio::time::sleep(Duration::from_secs(600)).await,
                Some(Fault::RateLimited) => {
                    return Err(TransportErrorKind::http_error(429, String::new()));
                }
                Some(Fault::Garbage) => {
                    return Err(TransportError::deser_err(
                        serde_json::from_str::<Value>("<html>").unwrap_err(),
                        "<html>",
                    ));
                }
                _ => {}
            }
            let parse = |value: Value| serde_json::from_value::<Response>(value).unwrap();
            match packet {
                RequestPacket::Batch(_) if fault == Some(Fault::NoBatches) => Err(
                    TransportError::deser_err(serde_json::from_str::<Value>("{").unwrap_err(), "{"),
                ),
                RequestPacket::Batch(requests) => {
                    // The chain may move in the middle of a batch too.
                    let answers = requests
                        .iter()
                        .enumerate()
                        .map(|(place, request)| {
                            if place % 8 == 7 {
                                node.draw();
                            }
                            parse(node.answer(request, fault))
                        })
                        .collect();
                    Ok(ResponsePacket::Batch(answers))
                }
                RequestPacket::Single(request) => {
                    Ok(ResponsePacket::Single(parse(node.answer(&request, fault))))
                }
            }
        })
    }
}

fn stale(chain: &MockChain, method: &str, params: &Value) -> Result<Value, Value> {
    let cut = chain.blocks.len().saturating_sub(3).max(1);
    let old = &chain.blocks[..cut];
    let head = old.last().unwrap();
    let above = |value: &Value| {
        u64::from_str_radix(value.as_str().unwrap_or_default().trim_start_matches("0x"), 16)
            .is_ok_and(|number| number > head.id().number)
    };
    match method {
        "eth_getBlockByNumber" if params[0] == "latest" => Ok(head.json()),
        "eth_getBlockByNumber" if above(&params[0]) => Ok(Value::Null),
        "eth_getLogs" if above(&params[0]["fromBlock"]) => Ok(json!([])),
        "eth_getLogs" if above(&params[0]["toBlock"]) => {
            let mut params = params.clone();
            params[0]["toBlock"] = json!(format!("{:#x}", head.id().number));
            chain.answer(method, &params)
        }
        _ => chain.answer(method, params),
    }
}

fn bend(fault: Fault, method: &str, result: &mut Value) {
    match (fault, method) {
        (Fault::WrongChain, "eth_chainId") => *result = json!("0x5"),
        (Fault::EmptyLogs, "eth_getLogs" | "eth_getBlockReceipts") => *result = json!([]),
        (Fault::EmptyBloom, "eth_getBlockByNumber" | "eth_getBlockByHash")
            if result.is_object() =>
        {
            result["logsBloom"] = json!(Bloom::ZERO);
        }
        (Fault::LyingLogs, "eth_getLogs") => lie(result),
        (Fault::LyingLogs, "eth_getBlockReceipts") => {
            for receipt in result.as_array_mut().into_iter().flatten() {
                lie(&mut receipt["logs"]);
            }
        }
        _ => {}
    }
}

/// Another channel in every log.
fn lie(logs: &mut Value) {
    for log in logs.as_array_mut().into_iter().flatten() {
        if let Some(topic) = log["topics"].get_mut(1) {
            *topic = json!(format!("{:#066x}", 77));
        }
    }
}
