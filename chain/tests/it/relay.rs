//! A relay, or a bad node: takes requests for a node, and passes them on, keeps them, refuses them or never answers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use chain::provider::{Endpoint, Rpc};
use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Passes everything on.
    Honest,
    /// Takes transactions and keeps them; passes the rest on.
    Keeps,
    /// 429.
    Limits,
    /// Never answers.
    Hangs,
    /// Says that a call is refused, with a revert that no contract of ours makes; passes the rest on.
    Refuses,
}

struct Inner {
    node: String,
    mood: Mutex<Mood>,
    taken: Mutex<Vec<String>>,
}

/// A running relay; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Relay {
    inner: Arc<Inner>,
    pub(crate) url: String,
}

impl Relay {
    pub(crate) async fn before(node: &str, mood: Mood) -> Self {
        let inner = Arc::new(Inner {
            node: node.to_owned(),
            mood: Mutex::new(mood),
            taken: Mutex::new(Vec::new()),
        });
        let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[allow(clippy::disallowed_methods, reason = "a test has no tasks to name")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { inner, url }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// The raw transactions that came, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn rpc(&self) -> Rpc {
        let endpoint = Endpoint {
            request_timeout: std::time::Duration::from_millis(500),
            ..Endpoint::new(&*self.url)
        };
        Rpc::connect(&endpoint).await.unwrap()
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    Json(request): Json<Value>,
) -> axum::response::Response {
    let mood = *inner.mood.lock().unwrap_or_else(PoisonError::into_inner);
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    let result = |result: Value| {
        Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response()
    };
    match mood {
        Mood::Limits => return StatusCode::TOO_MANY_REQUESTS.into_response(),
        Mood::Hangs => std::future::pending().await,
        Mood::Refuses if method == "eth_call" || method == "eth_estimateGas" => {
            let error = json!({"code": 3, "message": "execution reverted", "data": "0x12345678"});
            return Json(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}))
                .into_response();
        }
        Mood::Honest | Mood::Keeps | Mood::Refuses => {}
    }
    if method == "eth_sendRawTransaction" {
        let raw = request["params"][0].as_str().unwrap_or_default().to_owned();
        let hash = alloy_primitives::keccak256(hex::decode(raw.trim_start_matches("0x")).unwrap());
        inner.taken.lock().unwrap_or_else(PoisonError::into_inner).push(raw);
        if mood == Mood::Keeps {
            return result(json!(hash));
        }
    }
    let passed = reqwest::Client::new().post(&inner.node).json(&request).send().await.unwrap();
    let body: Value = passed.json().await.unwrap();
    Json(body).into_response()
}
