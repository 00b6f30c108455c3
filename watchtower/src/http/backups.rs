//! The intake over HTTP. What is taken is decided by [`crate::admission`]; other towers hear of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy_primitives::Bytes;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use protocol::backup::{SignedReceipt, UnverifiedEnvelope};
use protocol::network::admission::{Source, Verdict};
use protocol::{ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::Slot;

use super::Shared;
use super::refusal::Refusal;
use crate::admission::Origin;

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    envelope: Bytes,
}

/// What a client gets.
#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    /// The signed promise.
    receipt: SignedReceipt,
    /// Whether it is new in its slot.
    new: bool,
}

/// `POST /v1/backups`.
pub(crate) async fn take(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    offer: Result<Json<Offer>, JsonRejection>,
) -> Result<Json<Taken>, Refusal> {
    let outcome = match offer {
        Ok(Json(offer)) => admit(&shared, client, &offer.envelope).await,
        Err(rejection) => Err(Refusal::Body(rejection.body_text())),
    };
    let counter = match &outcome {
        Ok(taken) if taken.new => &shared.counters.stored,
        Ok(_) => &shared.counters.repeated,
        Err(error) => {
            tracing::debug!(%error, "backup refused");
            &shared.counters.refused
        }
    };
    counter.fetch_add(1, Ordering::Relaxed);
    outcome.map(Json)
}

async fn admit(shared: &Shared, client: SocketAddr, bytes: &[u8]) -> Result<Taken, Refusal> {
    let (from, source) = (Origin::Client(client.ip()), Source::Submit { seen_at: 0 });
    let verdict = shared.admission.offer(from, source, bytes).await?;
    if verdict.refusal().is_some() {
        return Err(Refusal::NotAdmitted(verdict));
    }
    let new = verdict == Verdict::Accept;
    let unverified = UnverifiedEnvelope::from_bytes(bytes)?;
    let header = unverified.header();
    if new && let Some(network) = &shared.network {
        network.publish(header.channel_id, bytes.to_vec());
    }
    let receipt = shared.admission.receipt_for(header, unverified.id())?;
    Ok(Taken { receipt, new })
}

/// An envelope as it is served.
#[derive(Debug, Serialize)]
pub(crate) struct Served {
    envelope: Bytes,
    nonce: protocol::Nonce,
    id: protocol::B256,
    stored_at_ms: u64,
}

/// `GET /v1/backups/{channel}/{role}`: for owners who restore or check, and for other towers. Encrypted.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    Path((channel, role)): Path<(String, String)>,
) -> Result<Json<Served>, Refusal> {
    let channel_id: ChannelId = channel.parse().map_err(|_no_id| Refusal::Path(channel.clone()))?;
    let role = Role::BOTH
        .into_iter()
        .find(|known| known.to_string() == role)
        .ok_or(Refusal::Path(role))?;
    let backup = shared.store.backup(Slot { channel_id, role })?.ok_or(Refusal::Nothing)?;
    Ok(Json(Served {
        envelope: backup.envelope.into(),
        nonce: backup.nonce,
        id: backup.id,
        stored_at_ms: backup.stored_at_ms,
    }))
}
