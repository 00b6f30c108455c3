//! Tells the network of disputes that were read on chain.

use chain::events::{ChainEvent, Event as Chain};
use tokio::sync::mpsc;

use crate::network::Note;

/// Tells of every opening in a batch whose window is open at `now` (the newest block's time: old disputes
/// that are read late are no news). Never waits: at the bound a
/// dispute is not told, and whoever is not told reads it on chain.
pub(super) fn tell_others(notes: Option<&mpsc::Sender<Note>>, added: &[ChainEvent], now: u64) {
    let Some(notes) = notes else { return };
    for event in added {
        let Chain::DisputeOpened(opened) = &event.event else { continue };
        if opened.deadline <= now {
            continue;
        }
        let note = Note {
            channel_id: opened.channel,
            epoch: opened.epoch,
            nonce: opened.nonce,
            claim: opened.claim,
            deadline: opened.deadline,
            block_number: event.block.number,
            block_hash: event.block.hash,
            transaction: event.transaction,
        };
        if notes.try_send(note).is_err() {
            tracing::warn!(channel = %opened.channel, "the network has too much to tell, or is gone; others read the chain");
        }
    }
}
