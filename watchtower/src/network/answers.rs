//! Answers to other towers' reconciliations: from the index, and from the store for envelopes that are wanted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gossip::Peer;
use protocol::Domain;
use protocol::network::Slot;
use protocol::network::admission::{Buckets, Rate};
use protocol::network::reconcile::{Answer, envelopes, respond};
use protocol::network::wire::{RawEnvelope, Refusal, SyncRequest, SyncResponse};
use store::{Store, StoreError};

use super::sync::SyncCounts;
use super::{PEERS_MAX, RETRY_MS, Replica};
use crate::admission::{lock, stored_slot};

/// Requests of one tower: 512 at once, then 100 a second. A million slots take about 9,000.
const REQUESTS: Rate = Rate { burst: 512, period_us: 10_000 };

/// The answering side. Keeps nothing between requests but the budgets.
#[derive(Debug)]
pub(crate) struct Answers {
    store: Store,
    domain: Domain,
    replica: Arc<Replica>,
    counts: Arc<SyncCounts>,
    budgets: std::sync::Mutex<Buckets<Peer>>,
    began: Instant,
}

impl Answers {
    pub(crate) fn new(store: Store, replica: Arc<Replica>, counts: Arc<SyncCounts>) -> Self {
        let domain = store.facts().domain();
        let budgets = std::sync::Mutex::new(Buckets::new(REQUESTS, PEERS_MAX));
        Self { store, domain, replica, counts, budgets, began: Instant::now() }
    }

    /// Answers a request; at the end of a tower's budget with when it is worth trying again.
    pub(crate) fn answer(&self, from: Peer, request: &SyncRequest) -> SyncResponse {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Err(retry_after_ms) = lock(&self.budgets).take(from, 1, now_ms) {
            return SyncResponse::Refused(Refusal::Busy { retry_after_ms });
        }
        self.counts.answered.fetch_add(1, Ordering::Relaxed);
        match self.replica.with(|index| respond(index, self.domain, request)) {
            Answer::Now(response) => response,
            Answer::Read(slots) => match self.read(&slots) {
                Ok(held) => envelopes(held),
                Err(error) => {
                    tracing::error!(%error, "backups cannot be read for another tower");
                    SyncResponse::Refused(Refusal::Failed { retry_after_ms: RETRY_MS })
                }
            },
        }
    }

    fn read(&self, slots: &[Slot]) -> Result<Vec<RawEnvelope>, StoreError> {
        let mut held = Vec::with_capacity(slots.len());
        for slot in slots {
            if let Some(backup) = self.store.backup(stored_slot(*slot))? {
                held.extend(RawEnvelope::from_bytes(&backup.envelope));
            }
        }
        Ok(held)
    }
}
