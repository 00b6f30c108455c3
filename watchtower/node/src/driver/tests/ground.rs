//! The chain under nodes: the embedded one, with the contracts on it, and what a node has around itself there: the watch that
//! follows it, the sender, the prover. All of them are those that a node has outside of tests.
//!
//! A block comes with each transaction, and one behind it when a test says so: then what it holds is final. So a node that
//! does nothing hears nothing, and the number of its writes does not grow while somebody waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, U256};
use chain::account::Account;
use chain::artifact::Artifact;
use chain::calls::{Call, Erc20, OpenRequest, Vip, Vipe};
use chain::consent::accept_consent;
use chain::deploy::{Asset, ChainKind, Deployment, Plan, Site as Where, Terms, deploy};
use chain::devnet::{Devnet, DevnetConfig, DevnetHandle};
use chain::follower::{ClockBounds, Finality, FollowConfig, Follower, Limits};
use chain::provider::{At, Endpoint, Rpc};
use chain::sender::Sender as Hand;
use chain::submitter::{Patience, SubmitConfig, Submitter};
use chain::verify::Verify;
use metrics::NodeMetrics;
use protocol::testing::amount;
use protocol::vipe::Rate;
use protocol::zksc::Channel;
use protocol::{ChannelId, Role};
use store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::world::{SIDE, opened, terms};
use crate::driver::prove_types::Proven;
use crate::driver::{Delivery, ProveJob, Site};
use crate::error::NodeError;
use crate::keys::Keys;
use crate::kill::KillSwitch;
use crate::prove::Prover;
use crate::sender::Sender;
use crate::watch::Watch;

/// What the participant has, and what the hub's pool has, in base units.
pub(super) const MUCH: u128 = 100 * SIDE;
/// How long a dispute is open, in seconds.
pub(super) const WINDOW_S: u64 = 3_600;
/// Between two looks of sender and follower when nothing wakes them: short, because plays wait for it.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A chain.
pub(super) struct Ground {
    devnet: DevnetHandle,
    rpc: Rpc,
    deployment: Deployment,
    /// The newest block behind which nothing is that is not final.
    settled: AtomicU64,
}

/// What a node gives to what is around it.
pub(super) struct Ends {
    pub(super) keys: Keys,
    pub(super) store: Store,
    pub(super) batches: mpsc::Sender<Delivery>,
    pub(super) wake: watch::Receiver<u64>,
    pub(super) told: mpsc::Sender<()>,
    pub(super) jobs: mpsc::Receiver<ProveJob>,
    pub(super) proven: mpsc::Sender<Proven>,
    pub(super) kill: Option<KillSwitch>,
}

fn plan(operator: Address) -> Plan {
    Plan {
        site: Where::default(),
        chain: ChainKind::Development,
        terms: Terms {
            dispute_window_s: WINDOW_S,
            response_extension_s: 60,
            max_extension_s: 600,
            ..Terms::L1
        },
        asset: Asset::Development {
            name: "Dollar".to_owned(),
            symbol: "USD".to_owned(),
            decimals: 6,
        },
        per_channel: amount(MUCH),
        total: amount(MUCH),
        verifier: Artifact::verifier().unwrap(),
        operator: Some((operator, 10)),
    }
}

impl Ground {
    /// With the contracts, the hub's pool with capital, and the participant with money.
    pub(super) async fn start(alice: &Keys, hub: &Keys) -> Self {
        let config = DevnetConfig { safe_depth: 1, finality_depth: 1, ..DevnetConfig::instant() };
        let devnet = Devnet::start(config).await.unwrap();
        for keys in [alice, hub] {
            let ether = U256::from(10).pow(U256::from(24));
            devnet.set_balance(keys.account.address(), ether).unwrap();
        }
        let rpc = Rpc::connect(&Endpoint::new(devnet.http_url())).await.unwrap();
        let secret = devnet.accounts()[0].private_key;
        let deployer = hand(&rpc, Account::from_bytes(&secret.0).unwrap());
        let deployment = Box::pin(deploy(&deployer, &plan(hub.account.address()))).await.unwrap();
        let ground = Self { devnet, rpc, deployment, settled: AtomicU64::new(0) };
        let (token, pool, much) = (ground.token(), ground.pool(), U256::from(MUCH));
        for keys in [alice, hub] {
            deployer.send(&token.mint(keys.account.address(), much)).await.unwrap();
        }
        ground.send(hub, &token.approve(pool.address, much)).await;
        ground.send(hub, &pool.deposit(much, hub.account.address())).await;
        ground.go_on(false).await;
        ground
    }

    pub(super) const fn vault(&self) -> Vipe {
        Vipe::new(self.deployment.vipe.address)
    }

    fn token(&self) -> Erc20 {
        Erc20::new(self.deployment.token.as_ref().unwrap().address)
    }

    fn pool(&self) -> Vip {
        Vip::new(self.deployment.vip.as_ref().unwrap().address)
    }

    async fn send(&self, who: &Keys, call: &Call) {
        hand(&self.rpc, who.account.clone()).send(call).await.unwrap();
    }

    pub(super) fn site(&self, role: Role) -> Site {
        let Deployment { chain_id, vipe, rules, .. } = &self.deployment;
        Site {
            chain_id: *chain_id,
            vipe: vipe.address,
            asset: self.token().address,
            vip: (role == Role::Counterparty).then(|| self.pool().address),
            fee_floor: u128::try_from(rules.fee_floor).unwrap(),
            fee_gas: rules.fee_gas,
        }
    }

    /// Opens channel 1 for both, by nobody's node: it lives when this returns.
    pub(super) async fn open(&self, alice: &Keys, hub: &Keys, rate: Rate) -> Channel {
        let terms = terms(&self.site(Role::Participant), (1, rate), alice, hub);
        let (vault, pool) = (self.vault(), self.pool());
        let fixed = opened(&terms, pool.address);
        let request = OpenRequest {
            counterparty: fixed.counterparty,
            vip: fixed.vip,
            asset: fixed.asset,
            participant_key: fixed.participant_key,
            counterparty_key: fixed.counterparty_key,
            keys_digest: fixed.keys_digest,
            participant_session: fixed.participant_session,
            counterparty_session: fixed.counterparty_session,
            dispute_hash: fixed.dispute_hash,
            salt: fixed.salt,
            rate: rate.get(),
            deposit: fixed.deposit,
            accept_by: fixed.accept_by,
        };
        let channel = Channel::try_from(terms).unwrap();
        self.send(alice, &self.token().approve(vault.address, U256::from(SIDE))).await;
        self.send(alice, &vault.open(&request).unwrap()).await;
        let (allocation, until) = (amount(SIDE), fixed.accept_by);
        let words = accept_consent(&channel.session_domain(), &fixed, allocation, until);
        let consent = hub.account.sign_typed(&words).await.unwrap();
        self.send(hub, &pool.accept(channel.id(), allocation, until, consent)).await;
        self.go_on(false).await;
        channel
    }

    /// What is in a block becomes final; one more block in any case if a test wants one.
    pub(super) async fn go_on(&self, in_any_case: bool) {
        let (head, _) = self.devnet.latest().unwrap();
        if in_any_case || head > self.settled.load(Ordering::SeqCst) {
            // A transaction that comes in between has the same block behind it.
            let head = self.devnet.mine(1).await.unwrap();
            self.settled.store(head, Ordering::SeqCst);
        }
    }

    /// Time goes by, and is final.
    pub(super) async fn pass(&self, seconds: u64) {
        self.devnet.advance_time(seconds).unwrap();
        self.go_on(true).await;
        self.go_on(true).await;
    }

    /// How many base units an account has in its own hands.
    pub(super) async fn money(&self, who: Address) -> u128 {
        let held = self.token().balance_of(&self.rpc, who, At::Latest).await.unwrap();
        u128::try_from(held).unwrap()
    }

    /// What an account may still claim from the vault: base units, and wei.
    pub(super) async fn credit(&self, who: Address) -> (u128, u128) {
        let (vault, asset) = (self.vault(), self.token().address);
        let asset = vault.asset_credit(&self.rpc, who, asset, At::Latest).await.unwrap();
        let ether = vault.ether_credit(&self.rpc, who, At::Latest).await.unwrap();
        (u128::try_from(asset).unwrap(), u128::try_from(ether).unwrap())
    }

    /// What the hub's pool has, in its own hands or to be claimed from the vault.
    pub(super) async fn pool_money(&self) -> u128 {
        let pool = self.pool();
        let idle = pool.idle(&self.rpc, At::Latest).await.unwrap();
        u128::try_from(idle).unwrap() + self.credit(pool.address).await.0
    }

    /// How a channel stands on the chain.
    pub(super) async fn channel(&self, id: ChannelId) -> chain::calls::ChannelView {
        self.vault().channel(&self.rpc, id, At::Latest).await.unwrap()
    }

    /// Starts what is around a node; its sender apart, because it writes to the disk as well.
    pub(super) async fn surround(
        &self,
        ends: Ends,
        stop: &CancellationToken,
        around: &mut JoinSet<()>,
    ) -> JoinHandle<Result<(), NodeError>> {
        let Ends { keys, store, batches, wake, told, jobs, proven, kill } = ends;
        let rpc = Rpc::connect(&Endpoint::new(self.devnet.ws_url())).await.unwrap();
        let site = self.site(keys.signer.role());
        let follow = FollowConfig {
            vipe: site.vipe,
            start_block: self.deployment.start_block,
            finality: Finality::Tag,
            verify: Verify::Full,
            // New heads wake it.
            poll_interval: Duration::from_secs(1),
            limits: Limits::default(),
            clock: ClockBounds::default(),
        };
        let cursor = crate::stored_cursor(&store).unwrap();
        let follower = Follower::open(rpc.clone(), follow, cursor).await.unwrap();
        let watch = Watch { follower, rpc: rpc.clone(), vip: site.vip, driver: batches };
        let ended = stop.clone();
        around.spawn(async move { watch.run(ended).await.unwrap() });
        let (vipe, account) = (site.vipe, keys.account.address());
        // Nothing is proven here: the one exit is with the checkpoint.
        let folder = std::path::PathBuf::from("/dev/null/circuit");
        let prover = Prover { folder, rpc: rpc.clone(), vipe, account, jobs, proven };
        around.spawn(prover.run(stop.clone()));
        let submit = SubmitConfig {
            chain_id: site.chain_id,
            finality: Finality::Tag,
            patience: Patience::of_blocks(1),
            balance_min: U256::ZERO,
        };
        let sender = Sender {
            submitter: Submitter::new(rpc, keys.account, submit),
            store,
            interval: LOOK_EVERY,
            metrics: std::sync::Arc::new(NodeMetrics::new().unwrap()),
            wake,
            told,
            kill,
        };
        #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
        tokio::spawn(sender.run(stop.clone()))
    }
}

fn hand(rpc: &Rpc, account: Account) -> Hand {
    let patience = Duration::from_secs(10);
    Hand { rpc: rpc.clone(), account, chain_id: DevnetConfig::default().chain_id, patience }
}
