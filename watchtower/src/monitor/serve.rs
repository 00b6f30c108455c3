//! The monitor's own pages: `/metrics`, and `/healthz` for whoever watches the watcher.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use chain::follower::Health;
use metrics::{CONTENT_TYPE, MonitorMetrics};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::observe::set_chain;
use crate::tasks::TaskFailure;

/// Failed questions in a row after which the monitor sees nothing.
const FAILURES_MAX: u32 = 5;

type Shared = (Arc<MonitorMetrics>, watch::Receiver<Health>);

pub(super) async fn run(
    stop: CancellationToken,
    listener: TcpListener,
    metrics: Arc<MonitorMetrics>,
    health: watch::Receiver<Health>,
) -> Result<(), TaskFailure> {
    let router = Router::new()
        .route("/metrics", get(page))
        .route("/healthz", get(alive))
        .route("/readyz", get(alive))
        .route("/runbooks/{name}", get(crate::status::runbook))
        .with_state((metrics, health));
    let serving = axum::serve(listener, router);
    serving.with_graceful_shutdown(async move { stop.cancelled().await }).await?;
    Ok(())
}

async fn page(State((metrics, health)): State<Shared>) -> Response {
    set_chain(&metrics.chain, &health.borrow().clone());
    match metrics.page() {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(_unwritable) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn alive(State((_, health)): State<Shared>) -> (StatusCode, &'static str) {
    let health = health.borrow();
    if health.tip.is_some() && health.failures < FAILURES_MAX {
        (StatusCode::OK, "the monitor sees the chain\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the monitor does not see the chain\n")
    }
}
