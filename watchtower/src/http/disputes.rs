//! Disputes with their whole life: every step with its time, its block, its gas and its bytes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use protocol::ChannelId;
use serde::Serialize;
use store::{DisputeRow, JournalRow};

use super::Shared;
use super::refusal::Refusal;

/// The most disputes in one answer.
const LIST_MAX: usize = 1_000;

/// A dispute and its history.
#[derive(Debug, Serialize)]
pub(crate) struct Life {
    dispute: DisputeRow,
    journal: Vec<JournalRow>,
}

/// `GET /v1/disputes`: where each dispute stands.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Vec<DisputeRow>>, Refusal> {
    Ok(Json(shared.store.disputes(LIST_MAX)?))
}

/// `GET /v1/disputes/{channel}`: the channel's disputes, oldest first, each with its journal.
pub(crate) async fn of_channel(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Json<Vec<Life>>, Refusal> {
    let channel_id: ChannelId = channel.parse().map_err(|_no_id| Refusal::Path(channel))?;
    let mut lives = Vec::new();
    for dispute in shared.store.disputes_of(channel_id)? {
        let journal = shared.store.journal(dispute.id)?;
        lives.push(Life { dispute, journal });
    }
    Ok(Json(lives))
}
