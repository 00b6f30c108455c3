//! The HTTP server: takes backups and gives receipts, serves backups back, shows disputes, says how the tower fares.
//!
//! Loopback by default, no TLS, no accounts: what is taken must be signed by a key that the chain knows, and what is
//! served is public or encrypted. Every request is bounded in size, in time and in number.

mod backups;
mod disputes;
pub(crate) mod health;
mod refusal;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use chain::follower::Health;
use chain::submitter::SubmitHealth;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::driver::foresight::Desk;
use crate::network::{Link, Replica};
use crate::observe::Recorder;
use crate::tasks::TaskFailure;
pub(crate) use refusal::Refusal;

/// The largest body: an envelope in hexadecimal, with room for the JSON around it.
const BODY_BYTES_MAX: usize = 2 * protocol::backup::Envelope::LEN + 1_024;

/// Counts of what the intake did, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Backups that are new in their slot.
    pub stored: AtomicU64,
    /// Backups that were there already.
    pub repeated: AtomicU64,
    /// Backups that were refused.
    pub refused: AtomicU64,
    /// Requests turned away because too many were at work.
    pub turned_away: AtomicU64,
}

/// What the handlers work with.
#[derive(Debug)]
pub struct Shared {
    /// The store.
    pub store: Store,
    /// Decides about backups, and signs receipts.
    pub admission: Arc<Admission>,
    /// What is held, in memory.
    pub replica: Arc<Replica>,
    /// The network between towers, where there is one.
    pub network: Option<Link>,
    /// How the follower fares.
    pub follower: watch::Receiver<Health>,
    /// How the submitter fares.
    pub submitter: watch::Receiver<SubmitHealth>,
    /// Tasks that the tower goes on without, because they ended by themselves.
    pub ended: watch::Receiver<BTreeSet<&'static str>>,
    /// Whether the prover is warm.
    pub prover_ready: watch::Receiver<bool>,
    /// What waits to be mined, and what was prepared for it.
    pub(crate) foresight: Arc<Desk>,
    /// What the intake did.
    pub counters: Counters,
    /// When the tower started.
    pub started: Instant,
    /// Connected towers below which the tower is not ready.
    pub peers_min: usize,
    /// Where the store's file is.
    pub store_path: PathBuf,
    /// Writes figures down.
    pub recorder: Recorder,
}

/// The bounds of the server.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests at work at the same time.
    pub requests_max: usize,
    /// The most time for one request.
    pub request_timeout: Duration,
}

#[derive(Debug)]
struct Gate {
    places: Semaphore,
    timeout: Duration,
    shared: Arc<Shared>,
}

/// Lets in as many requests as there are places, each for a bounded time.
async fn gate(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Ok(_place) = gate.places.try_acquire() else {
        gate.shared.counters.turned_away.fetch_add(1, Ordering::Relaxed);
        let mut response = Refusal::Busy.into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    };
    match tokio::time::timeout(gate.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Refusal::TimedOut.into_response(),
    }
}

fn router(shared: Arc<Shared>, bounds: Bounds) -> Router {
    let gate_state = Arc::new(Gate {
        places: Semaphore::new(bounds.requests_max),
        timeout: bounds.request_timeout,
        shared: Arc::clone(&shared),
    });
    let (places, most) = (Arc::downgrade(&gate_state), bounds.requests_max);
    shared.recorder.watch_queue(metrics::Queue::Http, move || {
        let free = places.upgrade().map_or(most, |gate| gate.places.available_permits());
        (most.saturating_sub(free), most)
    });
    Router::new()
        .route("/v1/backups", post(backups::take))
        .route("/v1/backups/{channel}/{role}", get(backups::serve))
        .route("/v1/disputes", get(disputes::list))
        .route("/v1/disputes/{channel}", get(disputes::of_channel))
        .route("/v1/status", get(health::status))
        .route("/", get(crate::status::show))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(gate_state, gate))
        // Outside the gate: a busy tower is still alive.
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(crate::observe::page))
        .route("/runbooks/{name}", get(crate::status::runbook))
        .fallback(async || (StatusCode::NOT_FOUND, Refusal::NoSuchPage))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), crate::observe::timed))
        .with_state(shared)
}

/// Serves until told to stop; requests at work are finished.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    stop: CancellationToken,
    listener: TcpListener,
    shared: Arc<Shared>,
    bounds: Bounds,
) -> Result<(), TaskFailure> {
    // Who asks is known by its address: budgets are kept for each.
    let service = router(shared, bounds).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service);
    serving.with_graceful_shutdown(async move { stop.cancelled().await }).await?;
    Ok(())
}

/// Opens the port.
///
/// # Errors
/// When it is taken, or not ours to open.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
