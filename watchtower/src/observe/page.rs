//! `GET /metrics`, and how long requests take.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use metrics::{CONTENT_TYPE, Route, Status};

use crate::http::Shared;

fn route_of(method: &Method, path: Option<&MatchedPath>) -> Route {
    match (path.map(MatchedPath::as_str), method) {
        (Some("/v1/backups"), _) => Route::OfferBackup,
        (Some("/v1/backups/{channel}/{role}"), _) => Route::Backup,
        (Some("/v1/disputes"), _) => Route::Disputes,
        (Some("/v1/disputes/{channel}"), _) => Route::Dispute,
        (Some("/v1/status"), _) => Route::Status,
        (Some("/healthz" | "/readyz"), _) => Route::Health,
        (Some("/metrics"), _) => Route::Metrics,
        (Some("/"), _) => Route::Page,
        _ => Route::Other,
    }
}

fn status_of(status: StatusCode) -> Status {
    match status.as_u16() {
        400..=499 => Status::ClientError,
        500.. => Status::ServerError,
        _ => Status::Ok,
    }
}

/// Counts and times a request.
pub(crate) async fn timed(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let route = route_of(request.method(), request.extensions().get::<MatchedPath>());
    let response = next.run(request).await;
    let http = &shared.recorder.metrics().http;
    http.latency.of(route).observe(started.elapsed().as_secs_f64());
    http.requests.of(route, status_of(response.status())).inc();
    response
}

/// `GET /metrics`: text format 0.0.4; what libp2p counts is at its end.
pub(crate) async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let (ready, alive) = (shared.is_ready(), shared.is_alive());
    shared.recorder.scrape(&shared, ready, alive);
    let mut libp2p = String::new();
    if let Some(link) = &shared.network {
        shared.recorder.network(link).await;
        libp2p = metrics::translate(&link.handle().openmetrics(), "libp2p_");
    }
    match shared.recorder.metrics().page().map(|page| page + &libp2p) {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
