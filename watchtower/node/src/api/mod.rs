//! The local HTTP API: what the commands of a person, and programs, talk to.
//!
//! Loopback by default, no TLS; every request but `/healthz` and `/runbooks/` carries the token from a file that only its owner reads. Every
//! request is bounded in size, in time and in number. `openapi.json` beside this file describes it, and is served.
//!
//! **Invariant:** without the token nothing of the node is shown and nothing is done.

mod answer;
mod handlers;
mod object;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use metrics::NodeMetrics;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::driver::Request;
use crate::error::ApiError;
use answer::Refused;

/// The API's description.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The largest body: an invitation is below 1 KiB.
const BODY_BYTES_MAX: usize = 16 * 1_024;
/// Requests at work at the same time; more are told to come again.
const AT_ONCE: usize = 64;
/// The most time for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What whoever asks must show. Does not print.
#[derive(Clone)]
pub struct Token(Arc<Zeroizing<String>>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The token with this text.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    /// In a time that does not depend on where they differ.
    fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) requests: mpsc::Sender<Request>,
    token: Token,
    places: Arc<Semaphore>,
    pub(crate) metrics: Arc<NodeMetrics>,
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(handlers::status))
        .route("/v1/channels", get(handlers::channels).post(handlers::open))
        .route("/v1/channels/{channel}/deposits", post(handlers::fund))
        .route("/v1/channels/{channel}/allocations", post(handlers::allocate))
        .route("/v1/costs", get(handlers::costs))
        .route("/v1/channels/{channel}/withdrawals", post(handlers::withdraw))
        .route("/v1/channels/{channel}/close", post(handlers::close))
        .route("/v1/channels/{channel}/exit", post(handlers::exit))
        .route("/v1/channels/{channel}/cancel", post(handlers::cancel))
        .route("/v1/invitation", get(handlers::invitation))
        .route("/v1/payments", get(handlers::history).post(handlers::pay))
        .route("/v1/payments/{payment}/note", get(handlers::note))
        .route("/v1/payments/{payment}/give-up", post(handlers::give_up))
        .route("/v1/invoices", post(handlers::invoice))
        .route("/v1/backups", get(handlers::backups))
        .route("/v1/restore", get(handlers::restore))
        .route("/v1/hubs", post(handlers::introduce))
        .route("/v1/openapi.json", get(handlers::openapi))
        .route("/metrics", get(handlers::metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(shared.clone(), gate))
        .route("/healthz", get(async || "alive"))
        .route("/runbooks/{name}", get(handlers::runbook))
        .fallback(async || {
            Refused(ApiError::missing("there is no such page: see /v1/openapi.json"))
        })
        .method_not_allowed_fallback(async || Refused(answer::wrong_method()))
        .with_state(shared)
}

/// Lets in whoever shows the token, as many as there are places, each for a bounded time.
async fn gate(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !shared.token.is(shown) {
        return Refused(answer::unauthorised()).into_response();
    }
    let Ok(_place) = shared.places.try_acquire() else {
        return Refused(ApiError::busy("too many requests are at work; try again in a second"))
            .into_response();
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Refused(ApiError::busy(
            "the request took too long; whether it was carried out is unknown: repeat it with the same key or invoice, that is safe",
        ))
        .into_response(),
    }
}

/// Serves until told to stop; requests at work are finished.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    stop: CancellationToken,
    listener: TcpListener,
    (requests, metrics): (mpsc::Sender<Request>, Arc<NodeMetrics>),
    token: Token,
) -> std::io::Result<()> {
    let shared = Shared { requests, token, places: Arc::new(Semaphore::new(AT_ONCE)), metrics };
    let serving = axum::serve(listener, router(shared));
    serving.with_graceful_shutdown(async move { stop.cancelled().await }).await
}

/// Opens the port.
///
/// # Errors
/// When it is taken, or not ours to open.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
