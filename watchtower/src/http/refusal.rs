//! Why a request is refused: a code for machines, a sentence for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::network::admission::{Fault, Ignored, Verdict};
use serde_json::json;
use store::StoreError;

use crate::admission::ReceiptFailure;

/// A refused request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// The body is no JSON object with an `envelope` in hexadecimal.
    #[error("send a JSON object such as {{\"envelope\":\"0x..\"}}: {0}")]
    Body(String),
    /// The bytes are no envelope.
    #[error("not an envelope: {0}")]
    Decode(#[from] protocol::encoding::DecodeError),
    /// The envelope is not taken.
    #[error("{}", words(.0))]
    NotAdmitted(Verdict),
    /// A part of the path is no identifier.
    #[error("{0} is not a channel, or not a role (participant, counterparty)")]
    Path(String),
    /// Nothing is held there.
    #[error("nothing is held there")]
    Nothing,
    /// There is no such page.
    #[error(
        "there is no such page: see /v1/status, /v1/disputes, /v1/backups/{{channel}}/{{role}}, /healthz, /readyz"
    )]
    NoSuchPage,
    /// Too many requests are at work.
    #[error("too many requests are at work; try again in a second")]
    Busy,
    /// The request took too long.
    #[error("the request took too long; whether it was carried out is unknown, ask again")]
    TimedOut,
    /// The disk. Nothing was acknowledged.
    #[error("nothing was stored: {0}")]
    Store(#[from] StoreError),
    /// There is no receipt. The envelope is stored.
    #[error("stored, but there is no receipt: {0}")]
    Receipt(#[from] ReceiptFailure),
}

impl Refusal {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Body(_) => (StatusCode::BAD_REQUEST, "body"),
            Self::Decode(_) => (StatusCode::BAD_REQUEST, "decode"),
            Self::NotAdmitted(verdict) => of_verdict(verdict),
            Self::Path(_) => (StatusCode::BAD_REQUEST, "path"),
            Self::Nothing => (StatusCode::NOT_FOUND, "nothing"),
            Self::NoSuchPage => (StatusCode::NOT_FOUND, "no_such_page"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
            Self::Store(error) | Self::Receipt(ReceiptFailure::Store(error)) => of_store(error),
            Self::Receipt(_) => (StatusCode::INTERNAL_SERVER_ERROR, "receipt"),
        }
    }
}

fn of_store(error: &StoreError) -> (StatusCode, &'static str) {
    match error {
        StoreError::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
    }
}

fn of_verdict(verdict: &Verdict) -> (StatusCode, &'static str) {
    let reason = match verdict {
        Verdict::Accept => return (StatusCode::OK, "accept"),
        Verdict::Ignore(reason) => reason,
        Verdict::Reject(fault) => return of_fault(*fault),
    };
    match reason {
        Ignored::NotKept => (StatusCode::MISDIRECTED_REQUEST, "not_kept"),
        Ignored::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown_channel"),
        Ignored::NotLive | Ignored::Untimely => (StatusCode::CONFLICT, "not_live"),
        Ignored::SenderBusy { .. } | Ignored::SlotBusy { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "too_often")
        }
        Ignored::Older { .. } => (StatusCode::CONFLICT, "older"),
        Ignored::ConflictLost { .. } => (StatusCode::CONFLICT, "conflict"),
        Ignored::TooFast { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_fast"),
        Ignored::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
    }
}

fn of_fault(fault: Fault) -> (StatusCode, &'static str) {
    match fault {
        Fault::OtherDomain => (StatusCode::UNPROCESSABLE_ENTITY, "other_domain"),
        Fault::NonceZero | Fault::Signature => (StatusCode::UNPROCESSABLE_ENTITY, "signature"),
        Fault::FalseClaim => (StatusCode::CONFLICT, "not_live"),
        _ => (StatusCode::BAD_REQUEST, "decode"),
    }
}

/// Why an envelope is not taken, for people.
fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Reject(Fault::Size | Fault::Malformed) => "these bytes are no envelope".to_owned(),
        Verdict::Reject(Fault::OtherDomain) => "the envelope is of another vault".to_owned(),
        Verdict::Reject(Fault::NonceZero) => "nothing that is signed has nonce 0".to_owned(),
        Verdict::Ignore(Ignored::Unknown { head }) => {
            format!("this tower knows no usable channel of this id at block {head}, its newest")
        }
        verdict => verdict
            .refusal()
            .map_or_else(|| "nothing speaks against it".to_owned(), |refusal| refusal.to_string()),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let body = json!({"error": {"code": code, "message": self.to_string()}});
        (status, Json(body)).into_response()
    }
}
