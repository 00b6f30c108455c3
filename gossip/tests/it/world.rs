//! Towers for tests: the real network in front of the real admission and a real store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gossip::{Carrier, Config, Handle, Identity, Network, Place, Reachable};
use protocol::backup::Envelope;
use protocol::network::Slot;
use protocol::testing::{Pair, account};
use protocol::{Address, ChannelId, Domain, Role};
use tokio_util::sync::CancellationToken;

use crate::intake::{Desk, Vault, slot_of};

pub(crate) const CHAIN_ID: u64 = 31_337;

/// The most time for something that takes milliseconds when nothing else runs.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn vipe() -> Address {
    account(7, "vipe")
}

pub(crate) fn vault() -> Vault {
    Vault { chain_id: CHAIN_ID, vipe: vipe() }
}

pub(crate) fn domain() -> Domain {
    vault().domain()
}

pub(crate) fn pair(channel: u64) -> Pair {
    Pair::in_vault(channel, CHAIN_ID, vipe(), channel)
}

pub(crate) fn envelope(channel: u64, nonce: u64) -> Envelope {
    envelope_of(channel, Role::Participant, nonce, 10)
}

/// An envelope of this balance: another balance is another envelope at the same nonce.
pub(crate) fn envelope_of(channel: u64, role: Role, nonce: u64, balance: u128) -> Envelope {
    let pair = pair(channel);
    pair.seal(role, &pair.final_state(nonce, balance))
}

pub(crate) fn slot(channel: u64) -> Slot {
    Slot { channel_id: ChannelId::try_from(channel).unwrap(), role: Role::Participant }
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
        let channels = (1..=setup.channels).map(|id| pair(id).channel).collect();
        let mut desk = Desk::new(setup.number, vault(), channels).await;
        desk.slow = setup.slow;
        let desk = Arc::new(desk);
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
            self.desk.held(slot).is_some_and(|held| held.id == *envelope.id())
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
