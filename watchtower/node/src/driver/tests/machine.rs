//! One node of a test: a process with its driver, its disk and what is around it. Killed and started again from its disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::events::ChainEvent;
use gossip::link::{LinkConfig, LinkEvent, LinkHandle};
use protocol::Role;
use protocol::zksc::Channel;
use serde_json::Value;
use store::{Facts, NodeChange, NodeTable, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::ground::{Ends, Ground};
use super::hall::Hall;
use super::world::{delivery, policy, site};
use crate::book::Own;
use crate::driver::{Command, Delivery, Driver, Inputs, Parts, Request, Site};
use crate::error::{ApiError, NodeError};
use crate::invite::Invitation;
use crate::keys::Keys;
use crate::kill::KillSwitch;
use crate::policy::Policy;
use crate::{rows, towers};

/// The most that a unit of gas may cost, in wei: a hundred times what the embedded chain begins with.
const GAS_PRICE_MAX: u128 = 100_000_000_000;

/// One node: its disk outlives it.
pub(super) struct Machine {
    folder: PathBuf,
    keys: Keys,
    site: Site,
    policy: Policy,
    /// Addresses of its towers.
    towers: Vec<String>,
    listen: Option<String>,
    /// Where links need no sockets; none for real ones.
    hall: Option<Hall>,
    /// The chain that it follows and sends to; without one the test tells it what happens there.
    ground: Option<Arc<Ground>>,
    running: Option<Running>,
}

struct Running {
    requests: mpsc::Sender<Request>,
    batches: mpsc::Sender<Delivery>,
    stop: CancellationToken,
    driver: JoinHandle<Result<(), NodeError>>,
    /// Without a chain there is none.
    sender: Option<JoinHandle<Result<(), NodeError>>>,
    /// Everything else around the driver.
    around: JoinSet<()>,
}

fn place_of(keys: &Keys) -> String {
    format!("/ip4/127.0.0.1/tcp/1/p2p/{}", keys.identity.peer())
}

/// The error with which a task had ended by itself, if it had.
fn ended(outcome: Result<Result<(), NodeError>, JoinError>) -> Option<NodeError> {
    match outcome {
        Ok(ended) => ended.err(),
        Err(error) => {
            assert!(error.is_cancelled(), "{error}");
            None
        }
    }
}

impl Machine {
    /// A node whose disk has these channels, and nothing signed; the test tells it what the chain says.
    pub(super) async fn new(
        folder: &Path,
        keys: Keys,
        channels: &[Own],
        hall: Option<Hall>,
    ) -> Self {
        let site = site(keys.signer.role());
        let machine = Self::make(folder, keys, site, (hall, None));
        let mut turn = Vec::new();
        for own in channels {
            let key = rows::key(own.channel.id());
            turn.push(rows::put(NodeTable::Chain, key, own).unwrap());
            turn.push(match machine.role() {
                Role::Counterparty => rows::new_lane(&own.channel).unwrap(),
                Role::Participant => rows::new_wallet(&own.channel).unwrap(),
            });
        }
        machine.put(turn).await;
        machine
    }

    /// A node on this chain, with an empty disk.
    pub(super) fn on(ground: &Arc<Ground>, folder: &Path, keys: Keys, hall: &Hall) -> Self {
        let site = ground.site(keys.signer.role());
        Self::make(folder, keys, site, (Some(hall.clone()), Some(Arc::clone(ground))))
    }

    fn make(
        folder: &Path,
        keys: Keys,
        site: Site,
        (hall, ground): (Option<Hall>, Option<Arc<Ground>>),
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let listen = hall.as_ref().map(|_| place_of(&keys));
        let (folder, towers) = (folder.to_owned(), Vec::new());
        let policy = policy();
        Self { folder, keys, site, policy, towers, listen, hall, ground, running: None }
    }

    /// From its next start on it has these towers, and this policy.
    pub(super) fn with_towers(&mut self, towers: Vec<String>, policy: Policy) {
        (self.towers, self.policy) = (towers, policy);
    }

    fn role(&self) -> Role {
        self.keys.signer.role()
    }

    /// Lets it know whom it may pay.
    pub(super) async fn know(&self, known: &[Channel]) {
        let row = |channel: &Channel| {
            rows::put(NodeTable::Notes, rows::known_key(channel.id()), channel).unwrap()
        };
        self.put(known.iter().map(row).collect()).await;
    }

    /// Puts rows onto its disk.
    pub(super) async fn put(&self, turn: Vec<NodeChange>) {
        self.store().commit_node(turn).await.unwrap();
    }

    /// Takes its disk away.
    pub(super) fn lose_disk(&self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
        std::fs::create_dir_all(&self.folder).unwrap();
    }

    fn store(&self) -> Store {
        let account = self.keys.account.address();
        let facts = Facts { chain_id: self.site.chain_id, vipe: self.site.vipe, account };
        Store::open(self.folder.join("node.redb"), facts).unwrap()
    }

    /// A hub's invitation.
    pub(super) fn invitation(&self) -> Invitation {
        Invitation {
            chain_id: self.site.chain_id,
            vipe: self.site.vipe,
            asset: self.site.asset,
            account: self.keys.account.address(),
            vip: self.site.vip.unwrap(),
            key: *self.keys.signer.channel_key().public_key(),
            session: self.keys.signer.session_address(),
            rate: self.policy.hub.rate,
            place: self.listen.as_ref().unwrap().parse().unwrap(),
        }
    }

    /// Lets a participant know its hub.
    pub(super) async fn introduce(&self, hub: &Self) {
        let invitation = hub.invitation();
        let key = [b"hub/".as_slice(), invitation.account.as_slice()].concat();
        self.put(vec![rows::put(NodeTable::Notes, key, &invitation.to_string()).unwrap()]).await;
    }

    fn listens(&self) -> LinkConfig {
        let place = match (&self.listen, self.role()) {
            (Some(place), _) => Some(place.split("/p2p/").next().unwrap().to_owned()),
            (None, Role::Counterparty) => Some("/ip4/127.0.0.1/tcp/0".to_owned()),
            (None, Role::Participant) => None,
        };
        let listen = place.iter().map(|place| place.parse().unwrap()).collect();
        LinkConfig { listen, ..LinkConfig::default() }
    }

    /// Its link, and what carries it.
    fn link(
        &self,
        stop: &CancellationToken,
        around: &mut JoinSet<()>,
    ) -> (LinkHandle, mpsc::Receiver<LinkEvent>) {
        let (stop, me) = (stop.clone(), self.keys.identity.peer());
        match &self.hall {
            Some(hall) => {
                let (handle, events, wire) = hall.join(me);
                around.spawn(hall.clone().serve(me, wire));
                (handle, events)
            }
            None => {
                let (handle, events, running) =
                    gossip::link::open(&self.listens(), &self.keys.identity).unwrap();
                around.spawn(running.run(stop));
                (handle, events)
            }
        }
    }

    /// Starts it from its disk.
    pub(super) async fn start(&mut self, kill: Option<KillSwitch>) {
        let (stop, mut around) = (CancellationToken::new(), JoinSet::new());
        let (handle, link) = self.link(&stop, &mut around);
        let towers::Started { towers, workers, answers, .. } = towers::listed(&self.towers);
        workers.into_iter().for_each(|worker| drop(around.spawn(worker.run(stop.clone()))));
        let (batches, delivered) = mpsc::channel(4);
        let (requests, asked) = mpsc::channel(16_384);
        let ((say_sent, sent), (say_proven, proven)) = (mpsc::channel(1), mpsc::channel(1));
        let ((prove, jobs), (_told, told)) = (mpsc::channel(1), mpsc::channel(1));
        let (outbox, wake) = watch::channel(0);
        let (store, mut places) = (self.store(), handle.places());
        let sender = match &self.ground {
            Some(ground) => {
                let ends = Ends {
                    keys: self.keys.clone(),
                    store: store.clone(),
                    batches: batches.clone(),
                    wake,
                    told: say_sent,
                    jobs,
                    proven: say_proven,
                    kill: kill.clone(),
                };
                Some(Box::pin(ground.surround(ends, &stop, &mut around)).await)
            }
            None => None,
        };
        let driver = Driver::load(Parts {
            role: self.role(),
            site: self.site,
            keys: self.keys.clone(),
            policy: self.policy.clone(),
            store,
            link: handle,
            towers,
            outbox,
            prove,
            sign: mpsc::channel(1).0,
            check: mpsc::channel(1).0,
            gas_price_max: GAS_PRICE_MAX,
            metrics: Arc::new(metrics::NodeMetrics::new().unwrap()),
            kill,
        })
        .unwrap();
        let inputs = Inputs {
            link,
            batches: delivered,
            requests: asked,
            towers: answers,
            sent,
            proven,
            told,
        };
        #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
        let driver = tokio::spawn(Box::pin(driver.run(stop.clone(), inputs)));
        self.running = Some(Running { requests, batches, stop, driver, sender, around });
        if self.role() == Role::Counterparty && self.listen.is_none() {
            places.wait_for(|places| !places.is_empty()).await.unwrap();
            self.listen = Some(places.borrow()[0].to_string());
        }
        if self.ground.is_none() {
            self.see(Vec::new()).await;
        }
    }

    /// The chain of the test's own moves, with these events: nothing is signed before the first block.
    pub(super) async fn see(&self, events: Vec<ChainEvent>) {
        if let Some(running) = &self.running {
            // A driver that was killed sees nothing.
            let _ = running.batches.send(delivery(events)).await;
        }
    }

    pub(super) const fn is_started(&self) -> bool {
        self.running.is_some()
    }

    /// Whether its driver, or its sender, has ended.
    pub(super) fn is_dead(&self) -> bool {
        self.running.as_ref().is_none_or(|running| {
            running.driver.is_finished()
                || running.sender.as_ref().is_some_and(JoinHandle::is_finished)
        })
    }

    /// Ends what still runs, at once; the disk stays. The error with which it had ended by itself.
    pub(super) async fn kill(&mut self) -> Option<NodeError> {
        let Running { driver, sender, mut around, stop, .. } = self.running.take()?;
        driver.abort();
        sender.iter().for_each(JoinHandle::abort);
        let mut error = ended(driver.await);
        if let Some(sender) = sender {
            error = error.or(ended(sender.await));
        }
        stop.cancel();
        if let Some(hall) = &self.hall {
            hall.leave(self.keys.identity.peer());
        }
        // A link ends with its driver's handle, in a hall also with what it read there.
        while let Some(one) = around.join_next().await {
            assert!(one.is_ok(), "{one:?}");
        }
        error
    }

    /// Asks; none when the node is dead.
    pub(super) async fn ask(&self, command: Command) -> Option<Result<Value, ApiError>> {
        let running = self.running.as_ref()?;
        let (answer, told) = oneshot::channel();
        running.requests.send(Request { command, answer }).await.ok()?;
        told.await.ok()
    }

    /// What it answers to a question that is always answered; nothing when it is dead.
    async fn show(&self, command: Command) -> Value {
        match self.ask(command).await {
            Some(Ok(answer)) => answer,
            _ => Value::Null,
        }
    }

    pub(super) async fn payments(&self) -> Vec<Value> {
        let history = self.show(Command::History { channel: None }).await;
        history["payments"].as_array().cloned().unwrap_or_default()
    }

    pub(super) async fn channels(&self) -> Vec<Value> {
        self.show(Command::Channels).await["channels"].as_array().cloned().unwrap_or_default()
    }

    pub(super) async fn status(&self) -> Value {
        self.show(Command::Status).await
    }

    /// Each channel's nonce and what the newest state pays this party.
    pub(super) async fn standings(&self) -> BTreeMap<u64, (u64, u128)> {
        let all = self.channels().await;
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
    KillSwitch::new(at, after)
}
