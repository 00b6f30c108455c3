//! A proxy in front of a real node: a bad node that breaks its answers on purpose, from a seed, or a relay that keeps
//! transactions to itself.
//!
//! ```text
//!   client --POST--> [which fault?] --> request as it is, or bent (stale head) --> node
//!   client <-------- held back, refused, cut, or with its content bent <---------- node
//! ```
//!
//! **Invariant:** without faults the client sees exactly the node's answers; the same seed and the same requests give the
//! same faults.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_primitives::Bloom;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use chain::provider::{Endpoint, Rpc};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// One way in which a node goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No answer, until long after every client's patience.
    TimeOut,
    /// HTTP 429.
    RateLimited,
    /// HTTP 500.
    ServerError,
    /// The first half of the answer's bytes.
    Truncated,
    /// Requests in batches are refused.
    NoBatches,
    /// Whole receipts of a block are not offered.
    NoBlockReceipts,
    /// No logs and no receipts, as of a node that has not indexed them yet.
    EmptyLogs,
    /// Headers that say that there are no logs.
    EmptyBloom,
    /// A byte of every log is another one, also in receipts.
    LyingLogs,
    /// The newest blocks are not known yet.
    StaleHead(u64),
    /// The chain has another id.
    WrongChain(u64),
    /// Headers have a field that no version of ours knows, and a hash with it in it.
    HardFork,
    /// Every answer comes this much later.
    Slow(Duration),
    /// Takes transactions and keeps them.
    Keeps,
    /// Says that a call is refused, with a revert that no contract of ours makes.
    Refuses,
}

/// What goes wrong from now on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// At every request.
    pub(crate) always: Vec<Fault>,
    /// At one request in `one_in`, one of these.
    pub(crate) sometimes: Vec<Fault>,
    /// How rarely; 0 is never.
    pub(crate) one_in: u32,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    faults: Mutex<(Faults, StdRng)>,
    requests: Mutex<BTreeMap<String, u64>>,
    taken: Mutex<Vec<String>>,
}

/// A running proxy; ends with the test.
pub(crate) struct FaultProxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultProxy {
    /// A proxy in front of the node at `upstream` (http).
    pub(crate) async fn start(upstream: &str, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            faults: Mutex::new((Faults::default(), StdRng::seed_from_u64(seed))),
            requests: Mutex::default(),
            taken: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&shared));
        #[allow(clippy::disallowed_methods, reason = "a test's own task, ended by drop")]
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// What goes wrong from now on.
    pub(crate) fn set(&self, faults: Faults) {
        self.shared.faults.lock().unwrap().0 = faults;
    }

    /// This goes wrong at every request from now on.
    pub(crate) fn always(&self, fault: Fault) {
        self.set(Faults { always: vec![fault], ..Faults::default() });
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn heal(&self) {
        self.set(Faults::default());
    }

    /// A proxy with which this goes wrong at every request.
    pub(crate) async fn with(upstream: &str, fault: Fault) -> Self {
        let proxy = Self::start(upstream, 1).await;
        proxy.always(fault);
        proxy
    }

    /// A client of it.
    pub(crate) async fn rpc(&self, request_timeout: Duration) -> Rpc {
        let endpoint = Endpoint { request_timeout, ..Endpoint::new(&*self.url) };
        Rpc::connect(&endpoint).await.unwrap()
    }

    /// The raw transactions that came, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// How often a method was asked for.
    pub(crate) fn asked(&self, method: &str) -> u64 {
        self.shared.requests.lock().unwrap().get(method).copied().unwrap_or(0)
    }
}

impl Shared {
    /// The faults of this request.
    fn draw(&self) -> Vec<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let (plan, random) = &mut *faults;
        let mut drawn = plan.always.clone();
        if plan.one_in > 0 && !plan.sometimes.is_empty() && random.gen_range(0..plan.one_in) == 0 {
            drawn.push(plan.sometimes[random.gen_range(0..plan.sometimes.len())]);
        }
        drawn
    }

    async fn forward(&self, request: &Value) -> Value {
        let answer = self.client.post(&self.upstream).json(request).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn head(&self) -> u64 {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []});
        number(&self.forward(&request).await["result"]).unwrap()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    for one in each(&mut request) {
        let method = one["method"].as_str().unwrap().to_owned();
        if method == "eth_sendRawTransaction" {
            let raw = one["params"][0].as_str().unwrap().to_owned();
            shared.taken.lock().unwrap().push(raw);
        }
        *shared.requests.lock().unwrap().entry(method).or_default() += 1;
    }
    let faults = shared.draw();
    for fault in &faults {
        match fault {
            Fault::TimeOut => tokio::time::sleep(Duration::from_secs(600)).await,
            Fault::Slow(later) => tokio::time::sleep(*later).await,
            Fault::Keeps if request["method"] == "eth_sendRawTransaction" => {
                let raw = request["params"][0].as_str().unwrap().trim_start_matches("0x");
                let hash = alloy_primitives::keccak256(hex::decode(raw).unwrap());
                let taken = json!({"jsonrpc": "2.0", "id": request["id"], "result": hash});
                return text(taken.to_string());
            }
            Fault::RateLimited => return StatusCode::TOO_MANY_REQUESTS.into_response(),
            Fault::ServerError => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Fault::NoBatches if request.is_array() => {
                let error = json!({"code": -32_600, "message": "batches are not supported"});
                return text(json!({"jsonrpc": "2.0", "id": null, "error": error}).to_string());
            }
            _ => {}
        }
    }
    let asked = request.clone();
    for fault in &faults {
        if let Fault::StaleHead(blocks) = fault {
            let stale = shared.head().await.saturating_sub(*blocks);
            each(&mut request).for_each(|one| ask_stale(one, stale));
        }
    }
    let mut answer = shared.forward(&request).await;
    let methods: BTreeMap<String, String> = each(&mut asked.clone())
        .map(|one| (one["id"].to_string(), one["method"].as_str().unwrap().to_owned()))
        .collect();
    for one in each(&mut answer) {
        if let Some(method) = methods.get(&one["id"].to_string()) {
            faults.iter().for_each(|fault| bend(*fault, method, one));
        }
    }
    let mut body = answer.to_string();
    if faults.contains(&Fault::Truncated) {
        body.truncate(body.len() / 2);
    }
    text(body)
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A message's requests or answers.
fn each(message: &mut Value) -> Box<dyn Iterator<Item = &mut Value> + '_> {
    match message {
        Value::Array(all) => Box::new(all.iter_mut()),
        one => Box::new(std::iter::once(one)),
    }
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// A height that the stale node does not have becomes one that no node has.
fn ask_stale(request: &mut Value, stale: u64) {
    const NEVER: &str = "0xffffffffff";
    let clamp = |value: &mut Value| match value.as_str() {
        Some("latest" | "pending") => *value = json!(format!("{stale:#x}")),
        _ if number(value).is_some_and(|number| number > stale) => *value = json!(NEVER),
        _ => {}
    };
    match request["method"].as_str().unwrap() {
        "eth_getBlockByNumber" | "eth_getBlockReceipts" => clamp(&mut request["params"][0]),
        "eth_getLogs" if request["params"][0].get("toBlock").is_some() => {
            let range = &mut request["params"][0];
            // The worst kind: nothing is said about blocks that are not there.
            if number(&range["toBlock"]).is_some_and(|to| to > stale) {
                range["toBlock"] = json!(format!("{stale:#x}"));
            }
            if number(&range["fromBlock"]).is_some_and(|from| from > stale) {
                range["fromBlock"] = json!(format!("{stale:#x}"));
            }
        }
        _ => {}
    }
}

fn bend(fault: Fault, method: &str, answer: &mut Value) {
    match (fault, method) {
        (Fault::WrongChain(id), "eth_chainId") => answer["result"] = json!(format!("{id:#x}")),
        (Fault::EmptyLogs, "eth_getLogs" | "eth_getBlockReceipts") => answer["result"] = json!([]),
        (Fault::Refuses, "eth_call" | "eth_estimateGas") => {
            let error = json!({"code": 3, "message": "execution reverted", "data": "0x12345678"});
            *answer = json!({"jsonrpc": "2.0", "id": answer["id"], "error": error});
        }
        (Fault::EmptyLogs, "eth_getTransactionReceipt") => answer["result"] = Value::Null,
        (Fault::NoBlockReceipts, "eth_getBlockReceipts") => {
            let error = json!({"code": -32_601, "message": "the method does not exist"});
            *answer = json!({"jsonrpc": "2.0", "id": answer["id"], "error": error});
        }
        (Fault::EmptyBloom, "eth_getBlockByNumber" | "eth_getBlockByHash")
            if answer["result"].is_object() =>
        {
            answer["result"]["logsBloom"] = json!(Bloom::ZERO);
        }
        (Fault::HardFork, "eth_getBlockByNumber" | "eth_getBlockByHash")
            if answer["result"].is_object() =>
        {
            let known = answer["result"]["hash"].to_string();
            answer["result"]["fieldOfTheNextFork"] = json!("0x1");
            answer["result"]["hash"] = json!(alloy_primitives::keccak256(known));
        }
        (
            Fault::LyingLogs,
            "eth_getLogs" | "eth_getBlockReceipts" | "eth_getTransactionReceipt",
        ) => lie(&mut answer["result"]),
        _ => {}
    }
}

/// Changes the last byte of every log's data.
fn lie(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(lie),
        Value::Object(fields) => {
            if let (true, Some(Value::String(data))) =
                (fields.contains_key("topics"), fields.get_mut("data"))
            {
                let last = if data.ends_with('0') { "1" } else { "0" };
                if data.len() > 2 {
                    data.replace_range(data.len() - 1.., last);
                }
            }
            if let Some(logs) = fields.get_mut("logs") {
                lie(logs);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_transparent_until_told_otherwise_and_heals() {
    use chain::error::RpcError;

    let world = crate::world::World::start().await;
    world.open(1).await;
    let proxy = FaultProxy::start(&world.http, 1).await;
    let rpc = proxy.rpc(Duration::from_millis(300)).await;
    let head = world.rpc.head().await.unwrap();
    let vipe = world.vipe.address;
    let logs = world.rpc.logs_of_range(vipe, 0, head.id.number).await.unwrap();
    assert!(!logs.is_empty());
    assert_eq!(rpc.head().await.unwrap(), head);
    assert_eq!(rpc.logs_of_range(vipe, 0, head.id.number).await.unwrap(), logs);

    proxy.always(Fault::TimeOut);
    assert!(matches!(rpc.head().await, Err(RpcError::TimedOut { .. })));
    proxy.always(Fault::RateLimited);
    assert!(matches!(rpc.head().await, Err(RpcError::RateLimited { .. })));
    proxy.always(Fault::ServerError);
    assert!(matches!(rpc.head().await, Err(RpcError::Unreachable { .. })));
    proxy.always(Fault::Truncated);
    assert!(matches!(rpc.head().await, Err(RpcError::Malformed { .. })));
    proxy.always(Fault::WrongChain(5));
    assert_eq!(rpc.chain_id().await.unwrap(), 5);
    proxy.always(Fault::StaleHead(2));
    assert_eq!(rpc.head().await.unwrap().id.number, head.id.number - 2);
    proxy.always(Fault::EmptyLogs);
    assert_eq!(rpc.logs_of_range(vipe, 0, head.id.number).await.unwrap(), []);
    proxy.always(Fault::LyingLogs);
    assert_ne!(rpc.logs_of_range(vipe, 0, head.id.number).await.unwrap(), logs);
    proxy.heal();
    assert_eq!(rpc.logs_of_range(vipe, 0, head.id.number).await.unwrap(), logs);
    assert!(proxy.asked("eth_getLogs") >= 4);
}
