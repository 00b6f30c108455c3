//! One request to a tower and what became of it, strictly read.

use std::sync::Arc;

use alloy_primitives::Bytes;
use protocol::backup::{Envelope, SignedReceipt, UnverifiedEnvelope};
use protocol::zksc::Channel;
use protocol::{ChannelId, Role};
use reqwest::StatusCode;
use serde::Deserialize;

/// Longest answer that is read, in bytes: an envelope in hexadecimal, with room.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Why a tower did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// It is not reached, is ill, or is no tower: nothing else will go better.
    #[error("{0}")]
    Unreachable(String),
    /// It does not take this envelope now.
    #[error("{0}")]
    Later(String),
    /// It will never take this envelope: a newer one is held, or it is wrong.
    #[error("{0}")]
    Never(String),
}

/// What was offered, and the outcome.
pub(super) type Offered = (Arc<Envelope>, Box<Channel>, Result<SignedReceipt, Failure>);

#[derive(Deserialize)]
struct Taken {
    receipt: SignedReceipt,
}

#[derive(Deserialize)]
struct Served {
    envelope: Bytes,
}

#[derive(Deserialize)]
struct Refused {
    error: Code,
}

#[derive(Deserialize)]
struct Code {
    code: String,
    message: String,
}

pub(super) async fn offer(
    http: reqwest::Client,
    url: String,
    envelope: Arc<Envelope>,
    channel: Box<Channel>,
) -> Offered {
    let outcome = post(&http, &url, &envelope, &channel).await;
    (envelope, channel, outcome)
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    envelope: &Envelope,
    channel: &Channel,
) -> Result<SignedReceipt, Failure> {
    let body = serde_json::json!({"envelope": Bytes::from(envelope.to_bytes())});
    let answer = http.post(format!("{url}/v1/backups")).json(&body).send().await;
    let answer = answer.map_err(|error| Failure::Unreachable(error.to_string()))?;
    let status = answer.status();
    let bytes = read(answer).await.map_err(Failure::Unreachable)?;
    if !status.is_success() {
        return Err(failure(status, &bytes));
    }
    let taken: Taken = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Unreachable(format!("it answers like no tower: {error}")))?;
    let terms = channel.terms();
    taken
        .receipt
        .covers(envelope, terms.chain_id, terms.vipe)
        .map_err(|error| Failure::Later(error.to_string()))?;
    Ok(taken.receipt)
}

/// What a refusal means for the envelope and for the others that wait.
pub(super) fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(Refused { error: Code { code, message } }) = serde_json::from_slice(body) else {
        return Failure::Unreachable(format!("{status}: it answers like no tower"));
    };
    let words = format!("{status} {code}: {message}");
    match code.as_str() {
        // A tower that is behind the chain says of a new channel that it does not live; the node itself says when one is over.
        "older" | "conflict" | "other_domain" | "signature" | "decode" => Failure::Never(words),
        _ if status.is_server_error() || code == "no_such_page" => Failure::Unreachable(words),
        _ => Failure::Later(words),
    }
}

/// What a tower serves for both slots of a channel.
pub(super) async fn fetch(
    http: reqwest::Client,
    url: String,
    channel: ChannelId,
) -> (ChannelId, Result<Vec<UnverifiedEnvelope>, String>) {
    let mut found = Vec::new();
    for role in Role::BOTH {
        match slot(&http, &url, channel, role).await {
            Ok(one) => found.extend(one),
            Err(error) => return (channel, Err(error)),
        }
    }
    (channel, Ok(found))
}

async fn slot(
    http: &reqwest::Client,
    url: &str,
    channel: ChannelId,
    role: Role,
) -> Result<Option<UnverifiedEnvelope>, String> {
    let answer = http.get(format!("{url}/v1/backups/{channel}/{role}")).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let bytes = read(answer).await?;
    if !status.is_success() {
        return nothing(status, &bytes).then_some(None).ok_or_else(|| status.to_string());
    }
    let served: Served = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    UnverifiedEnvelope::from_bytes(&served.envelope).map(Some).map_err(|error| error.to_string())
}

/// Whether a tower says that it holds nothing: any server on the way can answer that there is no such page.
pub(super) fn nothing(status: StatusCode, body: &[u8]) -> bool {
    let said = serde_json::from_slice::<Refused>(body);
    status == StatusCode::NOT_FOUND && said.is_ok_and(|said| said.error.code == "nothing")
}

/// At most [`ANSWER_BYTES_MAX`].
async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if bytes.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err("the answer is too long".to_owned());
        }
        bytes.extend(&chunk);
    }
    Ok(bytes)
}
