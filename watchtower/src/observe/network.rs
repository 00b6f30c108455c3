//! The network between towers and what decides about envelopes.

use std::time::Duration;

use metrics::{AlertEvent, Judgement, NetworkEvent, SyncEvent};
use protocol::network::placement::REPLICATION;

use super::{Recorder, count};
use crate::http::Shared;
use crate::network::Link;

/// A network that does not say how it fares within this time is one that does not run.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

impl Recorder {
    /// What admission decided, and what is held.
    pub(super) fn admission(&self, shared: &Shared) {
        let admission = &self.metrics.admission;
        for (name, number) in shared.admission.counts().snapshot() {
            let judgement = Judgement::named(name).unwrap_or(Judgement::Other);
            admission.verdicts.of(judgement).follow(number);
        }
        admission.waiting.set_count(u64::from(shared.admission.pending()));
        let (slots, bytes) = shared.replica.size();
        admission.slots.set(count(slots));
        admission.index.set(count(bytes));
    }

    /// How the network fares. Waits for it for a second at most.
    pub(super) async fn network(&self, link: &Link) {
        let network = &self.metrics.network;
        for (name, _, number) in link.handle().counters().each() {
            if let Some(event) = event_of(name) {
                network.events.of(event).follow(number);
            }
        }
        for (name, number) in link.alerts().each() {
            let event = AlertEvent::named(name).unwrap_or(AlertEvent::Other);
            network.alerts.of(event).follow(number);
        }
        for (name, number) in link.sync().each() {
            match name {
                "bytes" => network.sync_bytes.follow(number),
                _ => network
                    .sync
                    .of(SyncEvent::named(name).unwrap_or(SyncEvent::Other))
                    .follow(number),
            }
        }
        let (listed, copies) = link.listed();
        network.listed.set(count(listed));
        network.copies_min.set(count(copies));
        network.copies_target.set(count(REPLICATION));
        network.shards.set_count(u64::from(link.kept().len()));
        let asked = tokio::time::timeout(ANSWER_WITHIN, link.handle().status()).await;
        network.running.set_flag(matches!(asked, Ok(Ok(_))));
        if let Ok(Ok(status)) = asked {
            network.peers.set(count(status.peers));
            network.towers.set(count(status.towers));
            network.mesh_min.set(count(status.mesh_min));
            network.load.set(count(status.load));
        }
    }
}

/// The label of a counter; none for what reconciliation counts itself.
pub(super) fn event_of(name: &str) -> Option<NetworkEvent> {
    if name.starts_with("sync") {
        return None;
    }
    Some(NetworkEvent::named(name).unwrap_or(NetworkEvent::Other))
}
