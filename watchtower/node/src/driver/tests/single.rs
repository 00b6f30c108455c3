//! One driver, asked step by step, with nobody around it.

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::{B256, U256};
use chain::events::{ChainEvent, DisputeOpened, Event};
use gossip::Peer;
use gossip::link::testing::{Asked, Wire, handle};
use protocol::payment::wallet::{Direction, Payment, Stage};
use protocol::payment::{Terms, hub, wallet};
use protocol::testing::{amount, nonce};
use protocol::vnode::link::Frame;
use protocol::zksc::FinalState;
use protocol::{ChannelId, EscrowVersion, Role};
use serde_json::Value;
use store::{Facts, NodeChange, NodeTable, Store};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::world::{SIDE, keys, own, policy, rate, signed, site};
use crate::book::Own;
use crate::driver::proofs::{ProveJob, Purpose};
use crate::driver::{CheckJob, Command, Driver, Inputs, Parts, Request};
use crate::error::ApiError;
use crate::invite::Invitation;
use crate::keys::Keys;
use crate::policy::Policy;
use crate::rows;
use crate::towers::{self, Worker};

/// A driver that nothing runs, and what it says to whom.
pub(super) struct Single {
    pub(super) driver: Driver,
    pub(super) inputs: Inputs,
    wire: Wire,
    pub(super) jobs: mpsc::Receiver<ProveJob>,
    pub(super) workers: Vec<Worker>,
    /// What the chain is asked about consents.
    pub(super) checks: mpsc::Receiver<CheckJob>,
}

pub(super) const CHANNEL: ChannelId = ChannelId::MIN;

pub(super) fn open_store(folder: &Path, keys: &Keys) -> Store {
    let vipe = site(Role::Participant).vipe;
    let facts = Facts { chain_id: 1, vipe, account: keys.account.address() };
    Store::open(folder.join("node.redb"), facts).unwrap()
}

impl Single {
    /// From what is on the disk in `folder`, with so many towers that never answer by themselves.
    pub(super) async fn start(folder: &Path, keys: &Keys, policy: Policy, towers: usize) -> Self {
        let role = keys.signer.role();
        let (link, wire) = handle(keys.identity.peer(), Vec::new());
        let urls: Vec<String> = (0..towers).map(|at| format!("http://127.0.0.1:1/{at}")).collect();
        let towers::Started { towers, workers, answers, .. } = towers::listed(&urls);
        let (prove, jobs) = mpsc::channel(1);
        let (check, checks) = mpsc::channel(1);
        let mut driver = Driver::load(Parts {
            role,
            site: site(role),
            keys: keys.clone(),
            policy,
            store: open_store(folder, keys),
            link,
            towers,
            outbox: watch::channel(0).0,
            prove,
            sign: mpsc::channel(1).0,
            check,
            gas_price_max: 1,
            metrics: Arc::new(metrics::NodeMetrics::new().unwrap()),
            kill: None,
        })
        .unwrap();
        driver.begin().await.unwrap();
        let inputs = Inputs {
            link: mpsc::channel(1).1,
            batches: mpsc::channel(1).1,
            requests: mpsc::channel(1).1,
            towers: answers,
            sent: mpsc::channel(1).1,
            proven: mpsc::channel(1).1,
            told: mpsc::channel(1).1,
        };
        Self { driver, inputs, wire, jobs, workers, checks }
    }

    pub(super) async fn ask(&mut self, command: Command) -> Result<Value, ApiError> {
        let (answer, told) = tokio::sync::oneshot::channel();
        self.driver.on_request(Request { command, answer }).await.unwrap();
        told.await.unwrap()
    }

    /// Waits until everything that was written is durable, and what follows from it has happened.
    pub(super) async fn settle(&mut self) {
        while !self.driver.turns.is_empty() {
            let arrived = futures::StreamExt::next(&mut self.driver.turns).await.unwrap();
            self.driver.on_durable(arrived).await.unwrap();
        }
    }

    /// What it said to others since the last time.
    pub(super) async fn said(&mut self) -> Vec<(Peer, Frame)> {
        let mut all = Vec::new();
        while let Ok(Some(asked)) =
            tokio::time::timeout(std::time::Duration::from_millis(20), self.wire.next()).await
        {
            if let Asked::Send(peer, bytes) = asked {
                all.push((peer, Frame::from_bytes(&bytes).unwrap()));
            }
        }
        all
    }

    pub(super) fn overrides(&mut self) -> usize {
        std::iter::from_fn(|| self.jobs.try_recv().ok())
            .filter(|job| job.purpose == Purpose::Override)
            .count()
    }

    pub(super) fn held(&self) -> Option<u64> {
        self.driver.record(CHANNEL).map(|record| record.base().nonce.get())
    }
}

/// A payment in a wallet that its owner ordered, and that the hub took.
pub(super) const fn outgoing(terms: Terms, stage: Stage, closed: Option<u64>) -> Payment {
    Payment {
        terms,
        payee: None,
        direction: Direction::Outgoing,
        stage,
        reason: None,
        accepted: true,
        pay_back: false,
        debit: None,
        credit: None,
        receipt: None,
        receipt_kept: false,
        closed,
    }
}

/// Alice and her hub, and the channel between them.
pub(super) struct Two {
    pub(super) folder: TempDir,
    pub(super) alice: Keys,
    pub(super) hub: Keys,
    pub(super) own: Own,
}

impl Two {
    pub(super) fn new() -> Self {
        let (alice, hub) = (keys(1, Role::Participant), keys(9, Role::Counterparty));
        let own = own(1, &alice, &hub);
        Self { folder: tempfile::tempdir().unwrap(), alice, hub, own }
    }

    /// A state of the channel that both have signed.
    pub(super) fn signed(&self, at: u64, balance: u128) -> FinalState {
        self.signed_at(at, 2, balance)
    }

    /// The same, of this version of the escrow.
    pub(super) fn signed_at(&self, at: u64, version: u64, balance: u128) -> FinalState {
        signed(&self.own.channel, (&self.alice, &self.hub), (at, version), balance)
    }

    /// How the hub is found.
    pub(super) fn invitation(&self) -> Invitation {
        let me = self.hub.identity.peer();
        Invitation {
            chain_id: 1,
            vipe: site(Role::Participant).vipe,
            asset: site(Role::Participant).asset,
            account: self.hub.account.address(),
            vip: alloy_primitives::Address::repeat_byte(4),
            key: *self.hub.signer.channel_key().public_key(),
            session: self.hub.signer.session_address(),
            rate: rate(),
            place: format!("/ip4/127.0.0.1/tcp/1/p2p/{me}").parse().unwrap(),
        }
    }

    /// Puts rows onto alice's disk.
    pub(super) async fn put(&self, turn: Vec<NodeChange>) {
        open_store(self.folder.path(), &self.alice).commit_node(turn).await.unwrap();
    }

    pub(super) fn channel_row(own: &Own) -> NodeChange {
        rows::put(NodeTable::Chain, rows::key(own.channel.id()), own).unwrap()
    }

    pub(super) async fn alice(&self, policy: Policy, towers: usize) -> Single {
        Single::start(self.folder.path(), &self.alice, policy, towers).await
    }

    /// Alice with the channel, live, and this state on her disk.
    pub(super) async fn alice_with(&self, state: &FinalState) -> Single {
        let wallet = rows::new_wallet(&self.own.channel).unwrap();
        let known = rows::known_key(CHANNEL);
        let known = rows::put(NodeTable::Notes, known, &self.own.channel).unwrap();
        self.put(vec![Self::channel_row(&self.own), wallet, known]).await;
        let mut alice = self.alice(policy(), 0).await;
        let event = wallet::Event::Restored(Box::new(*state));
        let given = alice.driver.give_wallet(CHANNEL, event).await.unwrap();
        assert_eq!(given.refusal(), None);
        alice.settle().await;
        alice
    }

    /// The hub with the channel, live, and this state on its own disk.
    pub(super) async fn hub_with(&self, policy: Policy, state: &FinalState) -> Single {
        let folder = self.folder.path().join("hub");
        std::fs::create_dir_all(&folder).unwrap();
        let rows = vec![Self::channel_row(&self.own), rows::new_lane(&self.own.channel).unwrap()];
        open_store(&folder, &self.hub).commit_node(rows).await.unwrap();
        let mut hub = Single::start(&folder, &self.hub, policy, 0).await;
        let event = hub::Event::Restored(CHANNEL, Box::new(*state));
        assert_eq!(hub.driver.give_hub(event).await.unwrap().refusal(), None);
        hub.settle().await;
        hub.driver.peers.insert(CHANNEL, self.alice.identity.peer());
        hub
    }

    /// The hub disputes with a state of nonce 3 that pays it everything.
    pub(super) fn dispute(&self) -> Event {
        Event::DisputeOpened(DisputeOpened {
            channel: CHANNEL,
            disputer: self.hub.account.address(),
            epoch: 1,
            nonce: nonce(3),
            version: EscrowVersion::ZERO,
            balance: amount(0),
            claim: amount(2 * SIDE),
            deadline: u64::MAX,
            fee: U256::ZERO,
            bond: U256::ZERO,
            dispute_key: B256::ZERO,
        })
    }
}

pub(super) fn at(index: u64, event: Event) -> ChainEvent {
    let block = chain::cursor::BlockId { number: 1, hash: B256::ZERO };
    ChainEvent { block, transaction: B256::ZERO, index, event }
}
