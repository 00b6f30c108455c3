//! Drivers of a hub and of participants in one process, with real stores and real links; the chain is told by the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use chain::account::Account;
use chain::cursor::{BlockId, Cursor};
use chain::events::{ChainEvent, ChannelOpened};
use chain::follower::{Batch, Tip};
use chain::provider::Header;
use gossip::link::{LinkConfig, LinkEvent, LinkHandle};
use protocol::backup::DisputeKey;
use protocol::seed::Seed;
use protocol::testing::amount;
use protocol::vipe::{Ledger, Rate};
use protocol::vnode::view::Finalized;
use protocol::zksc::Channel;
use protocol::zksc::channel::{ChannelTerms, PartyTerms};
use protocol::{ChannelId, Nonce, Role};
use serde_json::Value;
use store::{Facts, NodeTable, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::hall::Hall;
use crate::book::{Own, Standing};
use crate::driver::{Command, Delivery, Driver, Inputs, KillSwitch, Parts, Request, Site};
use crate::error::{ApiError, NodeError};
use crate::invite::Invitation;
use crate::keys::Keys;
use crate::policy::{BackupPolicy, Policy};
use crate::{rows, towers};

/// What each side of every channel puts in.
pub(super) const SIDE: u128 = 1_000_000;

fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

pub(super) const fn site(role: Role) -> Site {
    let vip = match role {
        Role::Counterparty => Some(Address::repeat_byte(4)),
        Role::Participant => None,
    };
    let (vipe, asset) = (Address::repeat_byte(2), Address::repeat_byte(3));
    Site { chain_id: 1, vipe, asset, vip, fee_floor: 7, fee_gas: 10 }
}

pub(super) fn keys(seed: u8, role: Role) -> Keys {
    let account = Account::from_bytes(&[seed; 32]).unwrap();
    Keys::new(account, &Seed::from_bytes([seed; 32]), role).unwrap()
}

pub(super) fn id(value: u64) -> ChannelId {
    ChannelId::try_from(value).unwrap()
}

/// The channel `number` between a participant and the hub, live, as the chain would show it.
pub(super) fn own(number: u64, participant: &Keys, hub: &Keys) -> Own {
    let salt = B256::new(protocol::testing::derived(number, "salt").0);
    let theirs = *hub.signer.channel_key().public_key();
    let key = DisputeKey::derive(participant.signer.channel_key(), &theirs, &salt).unwrap();
    let ours = *participant.signer.channel_key().public_key();
    let digest = protocol::schnorr::keys_digest(&ours, &theirs).unwrap();
    let party = |keys: &Keys| PartyTerms {
        account: keys.account.address(),
        key: keys.signer.channel_key().public_key().to_integers(),
        session: keys.signer.session_address(),
    };
    let terms = ChannelTerms {
        chain_id: 1,
        vipe: address(2),
        channel_id: id(number),
        participant: party(participant),
        counterparty: party(hub),
        keys_digest: B256::new(digest.to_bytes()),
        asset: address(3),
        rate: Rate::try_from(1 << 64).unwrap(),
        dispute_hash: key.hash(),
        salt,
    };
    let channel = Channel::try_from(terms).unwrap();
    let mut ledger = Ledger::new();
    ledger.deposit(amount(SIDE)).unwrap();
    ledger.allocate(amount(SIDE)).unwrap();
    let opened = ChannelOpened {
        channel: id(number),
        participant: terms.participant.account,
        counterparty: terms.counterparty.account,
        vip: address(4),
        asset: terms.asset,
        participant_key: terms.participant.key,
        counterparty_key: terms.counterparty.key,
        keys_digest: terms.keys_digest,
        participant_session: terms.participant.session,
        counterparty_session: terms.counterparty.session,
        dispute_hash: terms.dispute_hash,
        salt,
        rate: U256::from(1_u128 << 64),
        deposit: amount(SIDE),
        accept_by: u64::MAX,
    };
    Own {
        opened,
        channel,
        standing: Standing::Live,
        ledger,
        checkpoint: Nonce::ZERO,
        withdrawn: None,
        seq: 0,
        dispute: None,
        dispute_final: None,
        broken: false,
        settled: None,
        paid: None,
    }
}

/// One node: its disk outlives it.
pub(super) struct Machine {
    folder: PathBuf,
    role: Role,
    keys: Keys,
    listen: Option<String>,
    /// Where links need no sockets; none for real ones.
    hall: Option<Hall>,
    running: Option<Running>,
}

struct Running {
    requests: mpsc::Sender<Request>,
    batches: mpsc::Sender<Delivery>,
    stop: CancellationToken,
    driver: JoinHandle<Result<(), NodeError>>,
    link: JoinHandle<()>,
}

/// How many blocks the test's chain has.
static HEIGHT: AtomicU64 = AtomicU64::new(1);

pub(super) fn policy() -> Policy {
    let backup = BackupPolicy { target: 0, ..BackupPolicy::default() };
    Policy { backup, view_age_max_ms: 600_000, head_off_max_s: 0, ..Policy::default() }
}

/// The next block of the test's chain, final, with these events.
pub(super) fn delivery(added: Vec<ChainEvent>) -> Delivery {
    let number = HEIGHT.fetch_add(1, Ordering::Relaxed);
    let block = BlockId { number, hash: B256::new(U256::from(number).to_be_bytes()) };
    let head = Header {
        id: block,
        parent: B256::ZERO,
        timestamp: number,
        base_fee: 1,
        gas_limit: 60_000_000,
    };
    let batch = Batch {
        from: number,
        to: number,
        removed: Vec::new(),
        added,
        timestamp: number,
        tip: Tip { head, finalized: Some(number) },
        cursor: Cursor::at(block),
    };
    let (durable, _told) = oneshot::channel();
    let finalized = Some((Finalized { number, hash: block.hash }, number));
    Delivery { batch: Box::new(batch), finalized, idle: None, durable }
}

impl Machine {
    /// A node whose disk has these channels, and nothing signed.
    pub(super) async fn new(
        folder: &Path,
        keys: Keys,
        channels: &[Own],
        hall: Option<Hall>,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let role = keys.signer.role();
        let me = keys.identity.peer();
        let listen = hall.as_ref().map(|_| format!("/ip4/127.0.0.1/tcp/1/p2p/{me}"));
        let folder = folder.to_owned();
        let machine = Self { folder, role, keys, listen, hall, running: None };
        let store = machine.store();
        let mut turn = Vec::new();
        for own in channels {
            let key = rows::key(own.channel.id());
            turn.push(rows::put(NodeTable::Chain, key, own).unwrap());
            turn.push(match role {
                Role::Counterparty => rows::new_lane(&own.channel).unwrap(),
                Role::Participant => rows::new_wallet(&own.channel).unwrap(),
            });
        }
        store.commit_node(turn).await.unwrap();
        machine
    }

    /// Lets it know whom it may pay.
    pub(super) async fn know(&self, known: &[Own]) {
        let row = |own: &Own| {
            rows::put(NodeTable::Notes, rows::known_key(own.channel.id()), &own.channel).unwrap()
        };
        self.store().commit_node(known.iter().map(row).collect()).await.unwrap();
    }

    fn store(&self) -> Store {
        let facts = Facts { chain_id: 1, vipe: address(2), account: self.keys.account.address() };
        Store::open(self.folder.join("node.redb"), facts).unwrap()
    }

    /// Lets a participant know its hub.
    pub(super) async fn introduce(&self, hub: &Self) {
        let invitation = Invitation {
            chain_id: 1,
            vipe: address(2),
            asset: address(3),
            account: hub.keys.account.address(),
            vip: address(4),
            key: *hub.keys.signer.channel_key().public_key(),
            session: hub.keys.signer.session_address(),
            rate: Rate::try_from(1 << 64).unwrap(),
            place: hub.listen.as_ref().unwrap().parse().unwrap(),
        };
        let key = [b"hub/".as_slice(), invitation.account.as_slice()].concat();
        let row = rows::put(NodeTable::Notes, key, &invitation.to_string()).unwrap();
        self.store().commit_node(vec![row]).await.unwrap();
    }

    fn listens(&self) -> LinkConfig {
        let place = match (&self.listen, self.role) {
            (Some(place), _) => Some(place.split("/p2p/").next().unwrap().to_owned()),
            (None, Role::Counterparty) => Some("/ip4/127.0.0.1/tcp/0".to_owned()),
            (None, Role::Participant) => None,
        };
        let listen = place.iter().map(|place| place.parse().unwrap()).collect();
        LinkConfig { listen, ..LinkConfig::default() }
    }

    /// Its link, and the task that carries it.
    fn link(
        &self,
        stop: &CancellationToken,
    ) -> (LinkHandle, mpsc::Receiver<LinkEvent>, JoinHandle<()>) {
        let (stop, me) = (stop.clone(), self.keys.identity.peer());
        #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
        match &self.hall {
            Some(hall) => {
                let (handle, events, wire) = hall.join(me);
                (handle, events, tokio::spawn(hall.clone().serve(me, wire)))
            }
            None => {
                let (handle, events, running) =
                    gossip::link::open(&self.listens(), &self.keys.identity).unwrap();
                (handle, events, tokio::spawn(running.run(stop)))
            }
        }
    }

    /// Starts it from its disk.
    pub(super) async fn start(&mut self, kill: Option<KillSwitch>) {
        let stop = CancellationToken::new();
        let (handle, link_events, linked) = self.link(&stop);
        let towers::Started { towers, answers, .. } = towers::listed(&[]);
        let (send_batches, batches) = mpsc::channel(4);
        let (requests, asked) = mpsc::channel(16_384);
        let ((_sent, sent), (_proven, proven)) = (mpsc::channel(1), mpsc::channel(1));
        let ((prove, _jobs), (_told, told)) = (mpsc::channel(1), mpsc::channel(1));
        let mut places = handle.places();
        let driver = Driver::load(Parts {
            role: self.role,
            site: site(self.role),
            keys: self.keys.clone(),
            policy: policy(),
            store: self.store(),
            link: handle,
            towers,
            outbox: watch::channel(0).0,
            prove,
            sign: mpsc::channel(1).0,
            check: mpsc::channel(1).0,
            gas_price_max: 1,
            metrics: Arc::new(metrics::NodeMetrics::new().unwrap()),
            kill,
        })
        .unwrap();
        let (link, asked, towers) = (link_events, asked, answers);
        let inputs = Inputs { link, batches, requests: asked, towers, sent, proven, told };
        #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
        let driver = tokio::spawn(Box::pin(driver.run(stop.clone(), inputs)));
        let (batches, link) = (send_batches, linked);
        self.running = Some(Running { requests, batches, stop, driver, link });
        if self.role == Role::Counterparty && self.listen.is_none() {
            places.wait_for(|places| !places.is_empty()).await.unwrap();
            self.listen = Some(places.borrow()[0].to_string());
        }
        self.see(Vec::new()).await;
    }

    /// The chain moves, with these events: nothing is signed before the first block.
    pub(super) async fn see(&self, events: Vec<ChainEvent>) {
        if let Some(running) = &self.running {
            // A driver that was killed sees nothing.
            let _ = running.batches.send(delivery(events)).await;
        }
    }

    /// Whether its driver has ended.
    pub(super) fn is_dead(&self) -> bool {
        self.running.as_ref().is_none_or(|running| running.driver.is_finished())
    }

    /// Ends what still runs, at once; the disk stays. The error with which it had ended by itself.
    pub(super) async fn kill(&mut self) -> Option<NodeError> {
        let running = self.running.take()?;
        if !running.driver.is_finished() {
            running.driver.abort();
        }
        let outcome = running.driver.await;
        running.stop.cancel();
        if let Some(hall) = &self.hall {
            hall.leave(self.keys.identity.peer());
        }
        // In a hall it ends with the driver's handle, or with what it read there.
        let link = running.link.await;
        assert!(link.is_ok(), "{link:?}");
        match outcome {
            Ok(Err(error)) => Some(error),
            Ok(Ok(())) => None,
            Err(error) => {
                assert!(error.is_cancelled(), "{error}");
                None
            }
        }
    }

    /// Asks; none when the node is dead.
    pub(super) async fn ask(&self, command: Command) -> Option<Result<Value, ApiError>> {
        let running = self.running.as_ref()?;
        let (answer, told) = oneshot::channel();
        running.requests.send(Request { command, answer }).await.ok()?;
        told.await.ok()
    }

    pub(super) async fn payments(&self) -> Vec<Value> {
        let history = Command::History { channel: None };
        let Some(Ok(answer)) = self.ask(history).await else { return Vec::new() };
        answer["payments"].as_array().unwrap().clone()
    }

    /// Each channel's nonce and what the newest state pays this party.
    pub(super) async fn standings(&self) -> BTreeMap<u64, (u64, u128)> {
        let Some(Ok(answer)) = self.ask(Command::Channels).await else { return BTreeMap::new() };
        let all = answer["channels"].as_array().unwrap().clone();
        all.iter()
            .map(|one| {
                let balance = one["balance"].as_str().unwrap().parse().unwrap();
                (one["channel"].as_u64().unwrap(), (one["nonce"].as_u64().unwrap(), balance))
            })
            .collect()
    }
}

/// A switch that kills at the `at`-th write, counted from 1; 0 only counts. Before it is handed over, or after it is durable.
pub(super) fn kill_at(at: u64, after: bool) -> KillSwitch {
    KillSwitch { at, after, ..KillSwitch::default() }
}

impl KillSwitch {
    /// How many writes there were.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    /// How many states became final.
    pub(super) fn finals(&self) -> u64 {
        self.finals.load(Ordering::SeqCst)
    }
}

/// Waits for something, for at most half a minute.
pub(super) async fn wait_for<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not happen");
}
