//! The tower behind the network, of the real parts: the protocol's gate, desk of alerts and index, and a durable store.
//!
//! Only the chain is missing: the channels that are live are given.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gossip::{Handle, Intake, Peer, Reply, Verdict};
use k256::ecdsa::SigningKey;
use protocol::backup::{Envelope, Receipt, UnverifiedEnvelope};
use protocol::network::admission::{
    AlertDesk, AlertLimits, AlertStep, AlertView, Gate, GateLimits, Looked, Next, Offer, Place,
    Source, Step, Stored, Verdict as Judged,
};
use protocol::network::reconcile::{
    Answer, Index, Session, SessionLimits, SessionReport, SyncEnd, SyncNext, envelopes, respond,
};
use protocol::network::wire::{
    BackupRequest, BackupResponse, RawEnvelope, Refusal, Row, SyncRequest, SyncResponse, SyncSalt,
    Tag, Topic, UnverifiedReceipt,
};
use protocol::network::{ShardSet, Slot};
use protocol::zksc::Channel;
use protocol::{Address, ChannelId, Domain};
use store::{Backup, Change, ChannelRow, ChannelStatus, Facts, JumpLimit, Store};

/// As a tower's default: nonces that a slot may rise in an hour.
pub(crate) const JUMP: JumpLimit = JumpLimit { per_hour: 10_000_000 };

/// The vault that a desk is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vault {
    pub(crate) chain_id: u64,
    pub(crate) vipe: Address,
}

impl Vault {
    pub(crate) fn domain(self) -> Domain {
        Domain::derive(self.chain_id, self.vipe)
    }
}

/// A tower's intake.
pub(crate) struct Desk {
    vault: Vault,
    channels: BTreeMap<ChannelId, ChannelRow>,
    gate: Mutex<Gate<Peer>>,
    alert_desk: Mutex<AlertDesk<Peer>>,
    index: Mutex<Index>,
    store: Store,
    key: SigningKey,
    began: Instant,
    verdicts: Mutex<BTreeMap<&'static str, u64>>,
    /// Alerts that were new and sound.
    pub(crate) alerts: AtomicU64,
    /// Makes every backup take so long.
    pub(crate) slow: Duration,
    /// Of a hundred gossiped envelopes, how many are lost before anybody looks at them.
    pub(crate) loss: AtomicU32,
    /// Drawn on for the loss.
    chance: AtomicU64,
    /// Peers that are on the other side of a partition.
    pub(crate) beyond: Mutex<Vec<Peer>>,
    /// When each envelope was on disk here.
    pub(crate) arrivals: Mutex<BTreeMap<protocol::B256, Instant>>,
    /// Keeps a temporary folder for as long as the desk lives.
    folder: Option<tempfile::TempDir>,
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap()
}

fn row_of(slot: Slot, backup: &Backup) -> Row {
    Row { slot, nonce: backup.nonce, tag: Tag::of(&backup.id) }
}

fn stored_slot(slot: Slot) -> store::Slot {
    store::Slot { channel_id: slot.channel_id, role: slot.role }
}

pub(crate) fn slot_of(envelope: &Envelope) -> Slot {
    Slot { channel_id: envelope.header().channel_id, role: envelope.header().role }
}

impl Desk {
    /// The desk of a tower with this number, in a new folder, with these channels live.
    pub(crate) async fn new(number: u8, vault: Vault, channels: Vec<Channel>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::from_slice(&[number + 1; 32]).unwrap();
        let account = Address::from_private_key(&key);
        let facts = Facts { chain_id: vault.chain_id, vipe: vault.vipe, account };
        let store = Store::open(folder.path().join("tower.redb"), facts).unwrap();
        let rows = channels.into_iter().map(|channel| {
            let status = ChannelStatus::Live;
            (channel.id(), ChannelRow { channel, status, accept_by: 0, opened_block: 1 })
        });
        let channels: BTreeMap<_, _> = rows.collect();
        let changes = channels.values().map(|row| Change::Channel(Box::new(row.clone())));
        store.commit(changes.collect()).await.unwrap();
        let domain = vault.domain();
        Self {
            vault,
            channels,
            gate: Mutex::new(Gate::new(domain, ShardSet::ALL, GateLimits::default())),
            alert_desk: Mutex::new(AlertDesk::new(domain, AlertLimits::default())),
            index: Mutex::new(Index::new(ShardSet::ALL)),
            store,
            key,
            began: Instant::now(),
            verdicts: Mutex::default(),
            alerts: AtomicU64::new(0),
            slow: Duration::ZERO,
            loss: AtomicU32::new(0),
            chance: AtomicU64::new(u64::from(number)),
            beyond: Mutex::default(),
            arrivals: Mutex::default(),
            folder: Some(folder),
        }
    }

    /// What a slot holds, from the store.
    pub(crate) fn held(&self, slot: Slot) -> Option<Backup> {
        self.store.backup(stored_slot(slot)).unwrap()
    }

    /// Everything that is held, from the store.
    pub(crate) fn content(&self) -> Vec<(store::Slot, Vec<u8>)> {
        let all = self.store.backups(usize::MAX).unwrap();
        all.into_iter().map(|(slot, backup)| (slot, backup.envelope)).collect()
    }

    /// Whether the slot's owner is known to have signed two envelopes at one nonce.
    pub(crate) fn has_evidence(&self, slot: Slot) -> bool {
        self.store.evidence(stored_slot(slot)).unwrap().is_some()
    }

    /// How often this verdict was given.
    pub(crate) fn count(&self, label: &str) -> u64 {
        lock(&self.verdicts).get(label).copied().unwrap_or(0)
    }

    /// Signatures that wait to be checked.
    pub(crate) fn pending(&self) -> u32 {
        lock(&self.gate).pending()
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn look(&self, slot: Slot) -> Looked {
        let place = match self.channels.get(&slot.channel_id) {
            None => Place::Unknown,
            Some(row) => Place::Live {
                channel: Box::new(row.channel),
                held: self.held(slot).map(|backup| (backup.nonce, backup.id)),
            },
        };
        Looked { head: 7, final_head: 7, place }
    }

    /// Whether a peer's gossip is lost on the way.
    fn lost(&self, from: Peer) -> bool {
        let drawn = self.chance.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let drawn = (drawn ^ (drawn >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40;
        let loss = u64::from(self.loss.load(Ordering::Relaxed));
        drawn % 100 < loss || lock(&self.beyond).contains(&from)
    }

    /// Every check of the rules, in their order, and the store.
    pub(crate) async fn admit(&self, from: Peer, source: Source, bytes: &[u8]) -> Judged {
        let judged = self.judge(from, source, bytes).await;
        *lock(&self.verdicts).entry(judged.label()).or_default() += 1;
        judged
    }

    async fn judge(&self, from: Peer, source: Source, bytes: &[u8]) -> Judged {
        let offer = Offer { from, source, bytes };
        let now = self.monotonic_ms();
        let step = lock(&self.gate).offer(&offer, now, |slot| self.look(slot));
        let pending = match step {
            Step::Done(judged) => return judged,
            Step::Verify(pending) => pending,
        };
        let verified = tokio::task::spawn_blocking(move || pending.verify()).await.unwrap();
        let next = lock(&self.gate).verified(verified);
        let envelope = match next {
            Next::Done(judged) => return judged,
            Next::Store(envelope) => envelope,
        };
        let slot = slot_of(&envelope);
        let stored = self.keep(slot, &envelope).await;
        if matches!(stored, Stored::New | Stored::Conflict { offered_won: true, .. }) {
            let (nonce, tag) = (envelope.header().nonce, Tag::of(envelope.id()));
            lock(&self.index).put(Row { slot, nonce, tag });
            lock(&self.arrivals).insert(*envelope.id(), Instant::now());
        }
        lock(&self.gate).stored(slot, stored, self.monotonic_ms())
    }

    async fn keep(&self, slot: Slot, envelope: &Envelope) -> Stored {
        let nonce = envelope.header().nonce;
        let Some(row) = self.channels.get(&slot.channel_id) else { return Stored::Failed };
        let offered = Backup {
            nonce,
            id: *envelope.id(),
            identity: row.identity(),
            stored_at_ms: now_ms(),
            envelope: envelope.to_bytes(),
        };
        match self.store.offer_backup(stored_slot(slot), offered, JUMP).await {
            Ok(store::Verdict::Stored { .. }) => Stored::New,
            Ok(store::Verdict::Same) => Stored::Same,
            Ok(store::Verdict::Older { held }) => Stored::Older { held },
            Ok(store::Verdict::Conflict { offered_won, .. }) => {
                Stored::Conflict { nonce, offered_won }
            }
            Ok(store::Verdict::TooFast { allowed, retry_at_ms }) => {
                let retry_after_ms = retry_at_ms.saturating_sub(now_ms());
                let allowed = protocol::Nonce::try_from(allowed).unwrap_or(nonce);
                Stored::TooFast { allowed, retry_after_ms }
            }
            _ => Stored::Failed,
        }
    }

    fn receipt(&self, bytes: &[u8]) -> Option<UnverifiedReceipt> {
        let envelope = UnverifiedEnvelope::from_bytes(bytes).ok()?;
        let channel = self.channels.get(&envelope.header().channel_id)?;
        let envelope = envelope.admit(&channel.channel).ok()?;
        let tower = Address::from_private_key(&self.key);
        let Vault { chain_id, vipe } = self.vault;
        let receipt = Receipt::new(&envelope, chain_id, vipe, tower, now_s() + 86_400);
        Some(UnverifiedReceipt::from(&receipt.sign(&self.key).unwrap()))
    }

    async fn submitted(&self, from: Peer, seen_at: u64, bytes: &[u8]) -> Reply<BackupResponse> {
        tokio::time::sleep(self.slow).await;
        let judged = self.admit(from, Source::Submit { seen_at }, bytes).await;
        let response = match judged.refusal() {
            Some(refusal) => BackupResponse::Refused(refusal),
            None => match self.receipt(bytes) {
                Some(receipt) => BackupResponse::Receipt(receipt),
                None => BackupResponse::Refused(Refusal::Failed { retry_after_ms: 1_000 }),
            },
        };
        let new = judged == Judged::Accept;
        let slot = UnverifiedEnvelope::from_bytes(bytes).map(|envelope| envelope.header().slot());
        let topic = slot.map(|slot| Topic::Backups(self.vault.domain(), slot.shard()));
        Reply {
            response,
            fault: matches!(judged, Judged::Reject(_)),
            publish: topic.ok().filter(|_| new).map(|topic| (topic, bytes.to_vec())),
        }
    }

    fn alert(&self, from: Peer, bytes: &[u8]) -> Judged {
        let (now_s, now_ms) = (now_s(), self.monotonic_ms());
        let alert = match lock(&self.alert_desk).offer(&from, bytes, now_s, now_ms) {
            AlertStep::Done(judged) => return judged,
            AlertStep::Verify(alert) => alert,
        };
        let Ok(signed) = alert.verify() else {
            return Judged::Reject(protocol::network::admission::Fault::Signature);
        };
        let channel_live = self.channels.contains_key(&signed.alert().channel_id);
        let view = AlertView { signer_known: false, channel_live, head: 7 };
        let heard = lock(&self.alert_desk).verified(&signed, view, now_s, now_ms);
        if heard.verdict == Judged::Accept {
            self.alerts.fetch_add(1, Ordering::Relaxed);
        }
        heard.verdict
    }

    /// One session of reconciliation with a tower.
    pub(crate) async fn reconcile(
        &self,
        handle: &Handle,
        peer: Peer,
        salt: u64,
    ) -> Result<(SyncEnd, SessionReport), String> {
        let salt = SyncSalt(protocol::testing::derived(salt, "salt").0[..16].try_into().unwrap());
        let (domain, limits) = (self.vault.domain(), SessionLimits::default());
        let begun = Session::start(&mut lock(&self.index), domain, ShardSet::ALL, salt, limits);
        let (mut session, mut request) = begun;
        loop {
            let answer = handle.sync(peer, &request).await.map_err(|error| error.to_string())?;
            let progress = session
                .answered(&mut lock(&self.index), &answer.to_bytes())
                .map_err(|error| error.to_string())?;
            for envelope in progress.envelopes {
                let judged = self.admit(peer, Source::Sync, envelope.as_bytes()).await;
                assert!(!matches!(judged, Judged::Reject(_)), "{judged:?}");
            }
            match progress.next {
                SyncNext::Send(next) => request = next,
                SyncNext::Done(end) => return Ok((end, *session.report())),
            }
        }
    }

    /// Whether the index says what the store holds.
    pub(crate) fn index_is_in_step(&self) -> bool {
        let index = lock(&self.index);
        let all = self.store.backups(usize::MAX).unwrap();
        index.len() == all.len()
            && all.iter().all(|(slot, backup)| {
                let slot = Slot { channel_id: slot.channel_id, role: slot.role };
                index.get(slot) == Some(row_of(slot, backup))
            })
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({:?})", self.folder)
    }
}

fn told(judged: Judged) -> Verdict {
    match judged {
        Judged::Accept => Verdict::Accept,
        Judged::Ignore(_) => Verdict::Ignore,
        Judged::Reject(_) => Verdict::Reject,
    }
}

impl Intake for Desk {
    async fn gossiped(&self, from: Peer, topic: Topic, bytes: Vec<u8>) -> Verdict {
        match topic {
            Topic::Alerts(_) => told(self.alert(from, &bytes)),
            Topic::Backups(_, shard) => {
                tokio::time::sleep(self.slow).await;
                if self.lost(from) {
                    return Verdict::Ignore;
                }
                told(self.admit(from, Source::Gossip(shard), &bytes).await)
            }
            Topic::Towers(_) => Verdict::Ignore,
        }
    }

    async fn backup(&self, from: Peer, request: BackupRequest) -> Reply<BackupResponse> {
        match request {
            BackupRequest::Submit { seen_at, envelope } => {
                self.submitted(from, seen_at, envelope.as_bytes()).await
            }
            BackupRequest::Fetch { slot, .. } => Reply::just(match self.held(slot) {
                Some(backup) => {
                    BackupResponse::Envelope(RawEnvelope::from_bytes(&backup.envelope).unwrap())
                }
                None => BackupResponse::Nothing,
            }),
            _ => Reply::just(BackupResponse::Refused(Refusal::NotKept)),
        }
    }

    async fn sync(&self, from: Peer, request: SyncRequest) -> Reply<SyncResponse> {
        if lock(&self.beyond).contains(&from) {
            return Reply::just(SyncResponse::Refused(Refusal::Failed { retry_after_ms: 1_000 }));
        }
        let answer = respond(&mut lock(&self.index), self.vault.domain(), &request);
        Reply::just(match answer {
            Answer::Now(response) => response,
            Answer::Read(slots) => {
                let held = slots.into_iter().filter_map(|slot| self.held(slot));
                envelopes(held.map(|backup| RawEnvelope::from_bytes(&backup.envelope).unwrap()))
            }
        })
    }
}
