//! Why a request is refused: a code for machines, a sentence for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::backup::AdmitError;
use serde_json::json;
use store::{ChannelStatus, StoreError};

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
    /// The envelope is of another vault.
    #[error("this tower guards {ours}, the envelope is of {theirs}")]
    OtherDomain {
        /// Our domain.
        ours: protocol::Domain,
        /// The envelope's.
        theirs: protocol::Domain,
    },
    /// The chain as this tower sees it has no such channel, or it is ignored.
    #[error("this tower knows no usable channel {0} on its chain yet")]
    UnknownChannel(protocol::ChannelId),
    /// The channel takes no backups.
    #[error("channel {channel} takes no backups: it is {status:?}")]
    NotLive {
        /// The channel.
        channel: protocol::ChannelId,
        /// Where it stands.
        status: ChannelStatus,
    },
    /// The signature or another field does not fit the channel.
    #[error("refused: {0}")]
    Admit(#[from] AdmitError),
    /// The slot holds a greater nonce.
    #[error("the slot holds nonce {0} already")]
    Older(protocol::Nonce),
    /// Another envelope of the same nonce is the one that is kept.
    #[error("another envelope of this nonce is kept: {0}; both are recorded as evidence")]
    Conflict(protocol::B256),
    /// The nonce rises faster than allowed.
    #[error("the nonce rises too fast: at most {allowed} now; try again at {retry_at_ms} ms")]
    TooFast {
        /// The greatest nonce that would be taken.
        allowed: u64,
        /// Unix milliseconds.
        retry_at_ms: u64,
    },
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
    /// The receipt could not be signed. The envelope is stored.
    #[error("stored, but the receipt could not be signed: {0}")]
    Receipt(String),
}

impl Refusal {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Body(_) => (StatusCode::BAD_REQUEST, "body"),
            Self::Decode(_) => (StatusCode::BAD_REQUEST, "decode"),
            Self::OtherDomain { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "other_domain"),
            Self::UnknownChannel(_) => (StatusCode::NOT_FOUND, "unknown_channel"),
            Self::NotLive { .. } => (StatusCode::CONFLICT, "not_live"),
            Self::Admit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "signature"),
            Self::Older(_) => (StatusCode::CONFLICT, "older"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::TooFast { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_fast"),
            Self::Path(_) => (StatusCode::BAD_REQUEST, "path"),
            Self::Nothing => (StatusCode::NOT_FOUND, "nothing"),
            Self::NoSuchPage => (StatusCode::NOT_FOUND, "no_such_page"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
            Self::Store(StoreError::DiskFull) => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
            Self::Receipt(_) => (StatusCode::INTERNAL_SERVER_ERROR, "receipt"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let body = json!({"error": {"code": code, "message": self.to_string()}});
        (status, Json(body)).into_response()
    }
}
