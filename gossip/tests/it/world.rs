//! Towers for tests: the real network with a small intake that admits by the protocol's own rules and keeps slots in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gossip::{
    Carrier, Config, Handle, Identity, Intake, Network, Peer, Place, Reachable, Reply, Verdict,
};
use k256::ecdsa::SigningKey;
use protocol::backup::{Envelope, Receipt, UnverifiedEnvelope};
use protocol::network::Slot;
use protocol::network::wire::{
    BackupRequest, BackupResponse, RawEnvelope, Refusal, SyncRequest, SyncResponse, Topic,
    UnverifiedAlert, UnverifiedReceipt,
};
use protocol::testing::{Pair, account};
use protocol::zksc::Channel;
use protocol::{Address, ChannelId, Domain, Role};
use tokio_util::sync::CancellationToken;

pub(crate) const CHAIN_ID: u64 = 31_337;

/// The most time for something that takes milliseconds when nothing else runs.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn vipe() -> Address {
    account(7, "vipe")
}

pub(crate) fn domain() -> Domain {
    Domain::derive(CHAIN_ID, vipe())
}

pub(crate) fn pair(channel: u64) -> Pair {
    Pair::in_vault(channel, CHAIN_ID, vipe(), channel)
}

pub(crate) fn envelope(channel: u64, nonce: u64) -> Envelope {
    let pair = pair(channel);
    pair.seal(Role::Participant, &pair.final_state(nonce, 10))
}

pub(crate) fn slot(channel: u64) -> Slot {
    Slot { channel_id: ChannelId::try_from(channel).unwrap(), role: Role::Participant }
}

/// A tower's intake: admits what the protocol admits for channels that it knows.
pub(crate) struct Desk {
    channels: BTreeMap<ChannelId, Channel>,
    slots: Mutex<BTreeMap<(u64, u8), Envelope>>,
    key: SigningKey,
    pub(crate) alerts: AtomicU64,
    /// Makes every backup take so long.
    pub(crate) slow: Duration,
}

impl Desk {
    fn new(number: u8, channels: u64, slow: Duration) -> Self {
        let channels = (1..=channels).map(|id| {
            let channel = pair(id).channel;
            (channel.id(), channel)
        });
        Self {
            channels: channels.collect(),
            slots: Mutex::new(BTreeMap::new()),
            key: SigningKey::from_slice(&[number + 1; 32]).unwrap(),
            alerts: AtomicU64::new(0),
            slow,
        }
    }

    fn key_of(slot: Slot) -> (u64, u8) {
        (slot.channel_id.get(), slot.role.to_byte())
    }

    pub(crate) fn held(&self, slot: Slot) -> Option<Envelope> {
        self.slots.lock().unwrap().get(&Self::key_of(slot)).cloned()
    }

    /// Ok(true) if it is new.
    fn admit(&self, bytes: &[u8]) -> Result<(Envelope, bool), Refusal> {
        let unverified =
            UnverifiedEnvelope::from_bytes(bytes).map_err(|_bad| Refusal::Malformed)?;
        let header = *unverified.header();
        if header.domain != domain() {
            return Err(Refusal::OtherDomain);
        }
        let channel =
            self.channels.get(&header.channel_id).ok_or(Refusal::UnknownChannel { head: 0 })?;
        let envelope = unverified.admit(channel).map_err(|_bad| Refusal::BadSignature)?;
        let slot = Slot { channel_id: header.channel_id, role: header.role };
        let mut slots = self.slots.lock().unwrap();
        match slots.get(&Self::key_of(slot)) {
            Some(held) if held.header().nonce > header.nonce => {
                return Err(Refusal::Older { held: held.header().nonce });
            }
            Some(held) if !envelope.order(held).replaces() => return Ok((envelope, false)),
            _ => {}
        }
        slots.insert(Self::key_of(slot), envelope.clone());
        Ok((envelope, true))
    }

    fn receipt(&self, envelope: &Envelope) -> UnverifiedReceipt {
        let tower = Address::from_private_key(&self.key);
        let receipt = Receipt::new(envelope, CHAIN_ID, vipe(), tower, u64::MAX);
        UnverifiedReceipt::from(&receipt.sign(&self.key).unwrap())
    }
}

impl Intake for Desk {
    async fn gossiped(&self, _from: Peer, topic: Topic, bytes: Vec<u8>) -> Verdict {
        if matches!(topic, Topic::Alerts(_)) {
            let Ok(alert) = UnverifiedAlert::from_bytes(&bytes) else { return Verdict::Reject };
            if alert.verify().is_err() {
                return Verdict::Reject;
            }
            self.alerts.fetch_add(1, Ordering::Relaxed);
            return Verdict::Accept;
        }
        tokio::time::sleep(self.slow).await;
        match self.admit(&bytes) {
            Ok((_, true)) => Verdict::Accept,
            Ok((_, false)) | Err(Refusal::UnknownChannel { .. } | Refusal::Older { .. }) => {
                Verdict::Ignore
            }
            Err(_) => Verdict::Reject,
        }
    }

    async fn backup(&self, _from: Peer, request: BackupRequest) -> Reply<BackupResponse> {
        match request {
            BackupRequest::Submit { envelope: raw, .. } => {
                tokio::time::sleep(self.slow).await;
                match self.admit(raw.as_bytes()) {
                    Ok((envelope, new)) => {
                        let shard = slot_of(&envelope).shard();
                        let topic = Topic::Backups(domain(), shard);
                        Reply {
                            response: BackupResponse::Receipt(self.receipt(&envelope)),
                            fault: false,
                            publish: new.then(|| (topic, raw.as_bytes().to_vec())),
                        }
                    }
                    Err(refusal) => Reply {
                        response: BackupResponse::Refused(refusal),
                        fault: matches!(refusal, Refusal::BadSignature | Refusal::Malformed),
                        publish: None,
                    },
                }
            }
            BackupRequest::Fetch { slot, .. } => Reply::just(match self.held(slot) {
                Some(envelope) => BackupResponse::Envelope(RawEnvelope::from(&envelope)),
                None => BackupResponse::Nothing,
            }),
            _ => Reply::just(BackupResponse::Refused(Refusal::NotKept)),
        }
    }

    async fn sync(&self, _from: Peer, _request: SyncRequest) -> Reply<SyncResponse> {
        Reply::just(SyncResponse::Refused(Refusal::NotKept))
    }
}

pub(crate) fn slot_of(envelope: &Envelope) -> Slot {
    Slot { channel_id: envelope.header().channel_id, role: envelope.header().role }
}

/// A running tower.
pub(crate) struct Tower {
    pub(crate) handle: Handle,
    pub(crate) desk: Arc<Desk>,
    pub(crate) place: Place,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// What a tower of a test is made of.
pub(crate) struct Setup {
    pub(crate) number: u8,
    pub(crate) listen: String,
    pub(crate) channels: u64,
    pub(crate) slow: Duration,
    pub(crate) change: fn(&mut Config),
}

impl Setup {
    pub(crate) fn new(number: u8, listen: &str) -> Self {
        Self {
            number,
            listen: listen.to_owned(),
            channels: 4,
            slow: Duration::ZERO,
            change: |_| {},
        }
    }
}

static MEMORY: AtomicU64 = AtomicU64::new(1);

/// An address in this process that no other test uses.
pub(crate) fn memory() -> String {
    format!("/memory/{}", MEMORY.fetch_add(1, Ordering::Relaxed) + 1_000)
}

impl Tower {
    pub(crate) async fn start(setup: Setup, bootstrap: &[Place]) -> Self {
        let mut config = Config::new(domain());
        if setup.listen.starts_with("/memory") {
            config.carrier = Carrier::Memory;
        }
        config.listen = vec![setup.listen.parse().unwrap()];
        config.bootstrap = bootstrap.to_vec();
        config.reachable = Reachable::Yes;
        (setup.change)(&mut config);
        let identity = Identity::ephemeral();
        let desk = Arc::new(Desk::new(setup.number, setup.channels, setup.slow));
        let (handle, network) = Network::open(config, &identity, Arc::clone(&desk)).unwrap();
        let stop = CancellationToken::new();
        let task = run(network, stop.clone());
        let place = listening(&handle).await.with_peer(handle.me());
        Self { handle, desk, place, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Waits until so many towers are connected.
    pub(crate) async fn meets(&self, towers: usize) {
        until("towers meet", || async { self.handle.status().await.unwrap().towers >= towers })
            .await;
    }

    /// Waits until every topic has so many peers in its mesh.
    pub(crate) async fn meshes(&self, peers: usize) {
        until("the mesh forms", || async { self.handle.status().await.unwrap().mesh_min >= peers })
            .await;
    }

    pub(crate) async fn holds(&self, envelope: &Envelope) {
        let slot = slot_of(envelope);
        until("the envelope arrives", || async {
            self.desk.held(slot).is_some_and(|held| held.id() == envelope.id())
        })
        .await;
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own task")]
fn run(network: Network<Desk>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(network.run(stop))
}

async fn listening(handle: &Handle) -> Place {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(place) = handle.status().await.unwrap().listening.into_iter().next() {
            return place;
        }
        assert!(Instant::now() < deadline, "nothing listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    until_within(what, SOON, condition).await;
}

pub(crate) async fn until_within<F: Future<Output = bool>>(
    what: &str,
    time: Duration,
    condition: impl Fn() -> F,
) {
    let deadline = Instant::now() + time;
    while !condition().await {
        assert!(Instant::now() < deadline, "within {time:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
