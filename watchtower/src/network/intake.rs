//! What others send: envelopes, alerts, requests.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use gossip::{Intake, Peer, Reply, Verdict};
use protocol::Domain;
use protocol::backup::UnverifiedEnvelope;
use protocol::network::admission::{Buckets, Ignored, Rate, Source, Verdict as Decision};
use protocol::network::wire::{
    BackupRequest, BackupResponse, RawEnvelope, Refusal, SyncRequest, SyncResponse, Topic,
    UnverifiedReceipt,
};
use protocol::network::{Shard, Slot};
use store::Store;

use super::alerts::Alerts;
use super::answers::Answers;
use super::towers::Towers;
use super::{PEERS_MAX, RETRY_MS};
use crate::admission::{Admission, Origin, lock, stored_slot};

/// Receipts that a peer may ask for without submitting anything: 512 at once, then 128 a second. Each costs a signature, so
/// that is a hundredth of a core for each peer.
const ASKED: Rate = Rate { burst: 512, period_us: 7_812 };

/// The same of all peers together: 4,096 at once, then 1,000 a second, a twentieth of a core. Whoever brings an envelope gets
/// its receipt beside this, so that many names can delay questions, and neither backups nor their receipts.
const ASKED_OF_ALL: Rate = Rate { burst: 4_096, period_us: 1_000 };

/// What was asked for, of each peer and of all.
#[derive(Debug)]
struct Asked {
    of_peer: Buckets<Peer>,
    of_all: Buckets<()>,
}

impl Asked {
    fn new() -> Self {
        Self { of_peer: Buckets::new(ASKED, PEERS_MAX), of_all: Buckets::new(ASKED_OF_ALL, 1) }
    }

    /// One receipt for this peer; milliseconds to wait when it, or all together, had enough.
    fn take(&mut self, from: Peer, now_ms: u64) -> Result<(), u64> {
        self.of_all.peek(&(), now_ms)?;
        self.of_peer.take(from, 1, now_ms)?;
        self.of_all.take((), 1, now_ms)
    }
}

/// The tower behind the network.
#[derive(Debug)]
pub(crate) struct TowerIntake {
    store: Store,
    admission: Arc<Admission>,
    answers: Answers,
    alerts: Arc<Alerts>,
    towers: Arc<Towers>,
    domain: Domain,
    asked: Mutex<Asked>,
    began: Instant,
}

impl TowerIntake {
    pub(crate) fn new(
        store: Store,
        admission: Arc<Admission>,
        answers: Answers,
        alerts: Arc<Alerts>,
        towers: Arc<Towers>,
    ) -> Self {
        let domain = store.facts().domain();
        let asked = Mutex::new(Asked::new());
        Self { store, admission, answers, alerts, towers, domain, asked, began: Instant::now() }
    }

    async fn submit(&self, from: Peer, seen_at: u64, raw: &RawEnvelope) -> Reply<BackupResponse> {
        let bytes = raw.as_bytes();
        let decided = self.admission.offer(Origin::Peer(from), Source::Submit { seen_at }, bytes);
        let verdict = decided.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a submission is not stored");
            Decision::Ignore(Ignored::Failed)
        });
        if let Some(refusal) = verdict.refusal() {
            let fault = matches!(verdict, Decision::Reject(_));
            return Reply { response: BackupResponse::Refused(refusal), fault, publish: None };
        }
        let Ok(unverified) = UnverifiedEnvelope::from_bytes(bytes) else {
            // What was accepted decodes.
            return Reply::just(failed());
        };
        let header = unverified.header();
        let publish = (verdict == Decision::Accept)
            .then(|| (Topic::Backups(self.domain, Shard::of(header.channel_id)), bytes.to_vec()));
        let response = match self.admission.receipt_for(header, unverified.id()) {
            Ok(receipt) => BackupResponse::Receipt(UnverifiedReceipt::from(&receipt)),
            Err(error) => {
                tracing::error!(%error, "an envelope is held, and there is no receipt for it");
                failed()
            }
        };
        Reply { response, fault: false, publish }
    }

    fn fetch(&self, slot: Slot) -> BackupResponse {
        match self.store.backup(stored_slot(slot)) {
            Ok(None) => BackupResponse::Nothing,
            Ok(Some(backup)) => match RawEnvelope::from_bytes(&backup.envelope) {
                Ok(envelope) => BackupResponse::Envelope(envelope),
                Err(_another_length) => failed(),
            },
            Err(error) => {
                tracing::error!(%error, "a backup cannot be read");
                failed()
            }
        }
    }

    fn status(&self, from: Peer, slots: &[Slot]) -> BackupResponse {
        let mut held = Vec::with_capacity(slots.len());
        for slot in slots {
            if let Err(wait) = self.charge(from) {
                self.admission.counts().asked_too_often();
                return BackupResponse::Refused(Refusal::Busy { retry_after_ms: wait });
            }
            match self.admission.receipt(*slot) {
                Ok(receipt) => held.push(receipt.as_ref().map(UnverifiedReceipt::from)),
                Err(error) => {
                    tracing::error!(%error, "a receipt cannot be given");
                    return failed();
                }
            }
        }
        BackupResponse::Status(held)
    }

    fn charge(&self, from: Peer) -> Result<(), u64> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        lock(&self.asked).take(from, now_ms)
    }
}

fn failed() -> BackupResponse {
    BackupResponse::Refused(Refusal::Failed { retry_after_ms: RETRY_MS })
}

/// A verdict, as the router takes it.
pub(crate) const fn judged(verdict: &Decision) -> Verdict {
    match verdict {
        Decision::Accept => Verdict::Accept,
        Decision::Ignore(_) => Verdict::Ignore,
        Decision::Reject(_) => Verdict::Reject,
    }
}

impl Intake for TowerIntake {
    async fn gossiped(&self, from: Peer, topic: Topic, bytes: Vec<u8>) -> Verdict {
        match topic {
            Topic::Backups(_, shard) => {
                let source = Source::Gossip(shard);
                match self.admission.offer(Origin::Peer(from), source, &bytes).await {
                    Ok(verdict) => judged(&verdict),
                    Err(error) => {
                        tracing::error!(%error, "a gossiped envelope is not stored");
                        Verdict::Ignore
                    }
                }
            }
            Topic::Alerts(_) => judged(&self.alerts.hear(from, &bytes)),
            Topic::Towers(_) => judged(&self.towers.hear(from, &bytes)),
        }
    }

    async fn backup(&self, from: Peer, request: BackupRequest) -> Reply<BackupResponse> {
        match request {
            BackupRequest::Submit { seen_at, envelope } => {
                self.submit(from, seen_at, &envelope).await
            }
            BackupRequest::Fetch { domain, .. }
            | BackupRequest::Status { domain, .. }
            | BackupRequest::Towers { domain, .. }
                if domain != self.domain =>
            {
                let response = BackupResponse::Refused(Refusal::OtherDomain);
                Reply { response, fault: true, publish: None }
            }
            BackupRequest::Fetch { slot, .. } => Reply::just(self.fetch(slot)),
            BackupRequest::Status { slots, .. } => Reply::just(self.status(from, &slots)),
            BackupRequest::Towers { after, .. } => {
                Reply::just(BackupResponse::Towers(self.towers.page(after)))
            }
        }
    }

    async fn sync(&self, from: Peer, request: SyncRequest) -> Reply<SyncResponse> {
        let fault = request.domain() != self.domain;
        Reply { response: self.answers.answer(from, &request), fault, publish: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u64) -> Peer {
        gossip::Identity::from_secret(&[u8::try_from(number).unwrap(); 32]).unwrap().peer()
    }

    #[test]
    fn many_names_get_no_more_receipts_signed_than_all_together_may_have() {
        let mut asked = Asked::new();
        let mut given = 0;
        for number in 1..=20 {
            given += (0..600).filter(|_| asked.take(peer(number), 0).is_ok()).count();
        }
        assert_eq!(given, 4_096);
        // A second later all of them together get a thousand, and one alone no more than its own.
        assert_eq!((0..600).filter(|_| asked.take(peer(1), 1_000).is_ok()).count(), 128);
        let others = (2..=20)
            .map(|number| (0..600).filter(|_| asked.take(peer(number), 1_000).is_ok()).count());
        assert_eq!(others.sum::<usize>(), 1_000 - 128);
    }
}
