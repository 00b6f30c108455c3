//! The intake: cheap checks first, then the signature, then the slot, and a receipt only after the commit.
//!
//! **Invariant:** nothing is stored that is not signed by a key which the chain has for that channel and role.
//! **Invariant:** a receipt names an envelope that is on disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy_primitives::{Bytes, Signature};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use protocol::backup::{Envelope, Receipt, SignedReceipt, UnverifiedEnvelope};
use protocol::{ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::{Backup, ChannelRow, ChannelStatus, ReceiptRow, Slot, Verdict};

use super::Shared;
use super::refusal::Refusal;

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
    offer: Result<Json<Offer>, JsonRejection>,
) -> Result<Json<Taken>, Refusal> {
    let outcome = match offer {
        Ok(Json(offer)) => admit(&shared, &offer.envelope).await,
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

async fn admit(shared: &Shared, bytes: &[u8]) -> Result<Taken, Refusal> {
    let unverified = UnverifiedEnvelope::from_bytes(bytes)?;
    let header = *unverified.header();
    let ours = shared.store.facts().domain();
    if header.domain != ours {
        return Err(Refusal::OtherDomain { ours, theirs: header.domain });
    }
    let channel = header.channel_id;
    let row = shared.store.channel(channel)?.ok_or(Refusal::UnknownChannel(channel))?;
    if !matches!(row.status, ChannelStatus::Live | ChannelStatus::Disputed) {
        return Err(Refusal::NotLive { channel, status: row.status });
    }
    let slot = Slot { channel_id: channel, role: header.role };
    // Merely old is cheaper to see than a bad signature.
    if let Some(held) = shared.store.backup(slot)?
        && header.nonce < held.nonce
    {
        return Err(Refusal::Older(held.nonce));
    }
    let envelope = unverified.admit(&row.channel)?;
    let offered = Backup {
        nonce: header.nonce,
        id: *envelope.id(),
        identity: row.identity(),
        stored_at_ms: crate::clock::now_ms(),
        envelope: envelope.to_bytes(),
    };
    let new = match shared.store.offer_backup(slot, offered, shared.jump).await? {
        Verdict::Stored { .. } | Verdict::Conflict { offered_won: true, .. } => true,
        Verdict::Same => false,
        Verdict::Older { held } => return Err(Refusal::Older(held)),
        Verdict::Conflict { serves, .. } => {
            tracing::warn!(%slot, nonce = %header.nonce, "a party signed two envelopes at one nonce; evidence kept");
            return Err(Refusal::Conflict(serves));
        }
        Verdict::OtherChannel => return Err(Refusal::UnknownChannel(channel)),
        Verdict::TooFast { allowed, retry_at_ms } => {
            return Err(Refusal::TooFast { allowed, retry_at_ms });
        }
        other => return Err(Refusal::Receipt(format!("{other:?}"))),
    };
    // Asked after the commit: a dispute that was recorded before it may have read the slot before it too, and one that is recorded
    // after it reads the slot after it.
    let disputed = |row: ChannelRow| row.status == ChannelStatus::Disputed;
    if new && shared.store.channel(channel)?.is_some_and(disputed) {
        shared.notices.tell(slot);
    }
    tracing::debug!(%slot, nonce = %header.nonce, new, "backup held");
    let receipt = sign(shared, &envelope)?;
    let kept = ReceiptRow {
        nonce: header.nonce,
        envelope_id: *envelope.id(),
        until: receipt.receipt().until,
        signature: Bytes::copy_from_slice(receipt.signature()),
    };
    shared.store.put_receipt(slot, shared.account.address(), kept).await?;
    Ok(Taken { receipt, new })
}

fn sign(shared: &Shared, envelope: &Envelope) -> Result<SignedReceipt, Refusal> {
    let facts = shared.store.facts();
    let until = crate::clock::now_s().saturating_add(shared.receipt_validity.as_secs());
    let tower = shared.account.address();
    let receipt = Receipt::new(envelope, facts.chain_id, facts.vipe, tower, until);
    let failed = |error: &dyn std::fmt::Display| Refusal::Receipt(error.to_string());
    let bytes =
        shared.account.sign_digest(&receipt.signing_hash()).map_err(|error| failed(&error))?;
    let signature = Signature::from_raw(&bytes).map_err(|error| failed(&error))?;
    receipt.signed(signature).map_err(|error| failed(&error))
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
