//! An embedded chain with a real vault on it, two parties, and a tower.

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256, bytes, hex};
use chain::account::Account;
use chain::artifact::Artifact;
use chain::calls::{Call, Erc20, OpenRequest, SessionSignatures, StateClaim, Vip, Vipe};
use chain::consent::accept_digest;
use chain::deploy::{Asset, ChainKind, Deployment, Plan, Site, Terms, deploy};
use chain::devnet::{Devnet, DevnetConfig, DevnetHandle, Mining};
use chain::events::{self, ChannelOpened, Event};
use chain::provider::{Endpoint, Receipt, Rpc};
use chain::sender::Sender;
use protocol::Role;
use protocol::backup::DisputeKey;
use protocol::testing::{Pair, amount};
use protocol::zksc::{FinalState, PartyTerms};
use serde_json::Value;
use store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchtower::config::{Config, Layers, load};
use watchtower::service::Tower;
use watchtower::tasks::TaskError;

use crate::disk::Disk;

pub(crate) const CHAIN_ID: u64 = 31_337;

/// Keys of the public development mnemonic: deployer, participant, hub, tower.
const KEYS: [[u8; 32]; 4] = [
    hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    hex!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    hex!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
];

/// How the chain makes blocks.
const BLOCKS: Mining = Mining::Every { millis: 200 };

/// What the participant deposits and the pool allocates, in base units.
pub(crate) const SIDE: u128 = 1_000_000;

/// Accepts every proof: for tests about what the tower does around it. The main story, and all stories of the program
/// (`tests/e2e.rs`), have the real verifier.
fn yes_verifier() -> Artifact {
    Artifact {
        contract_name: "Yes".to_owned(),
        // push8 <code>, mstore at 0, return the last 8 bytes of the word
        bytecode: bytes!("6760015f5260205ff35f5260086018f3"),
        // return 1
        deployed_bytecode: bytes!("60015f5260205ff3"),
        source_hash: String::new(),
    }
}

pub(crate) struct World {
    pub(crate) devnet: DevnetHandle,
    pub(crate) rpc: Rpc,
    pub(crate) deployment: Deployment,
    pub(crate) vipe: Vipe,
    vip: Vip,
    token: Erc20,
    pub(crate) participant: Sender,
    pub(crate) hub: Sender,
    pub(crate) tower: Account,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    /// A chain with five blocks a second, whose time runs five times as fast, and disputes of `window_s` seconds.
    pub(crate) async fn start(window_s: u64) -> Self {
        Self::build(window_s, yes_verifier(), DevnetConfig::default().finality_depth).await
    }

    /// The same, with the verifier that the circuit generates.
    pub(crate) async fn start_real(window_s: u64) -> Self {
        let verifier = Artifact::verifier().unwrap();
        Self::build(window_s, verifier, DevnetConfig::default().finality_depth).await
    }

    /// The same, where blocks become final so late that they can be taken back.
    pub(crate) async fn start_shaky(window_s: u64) -> Self {
        Self::build(window_s, yes_verifier(), 24).await
    }

    async fn build(window_s: u64, verifier: Artifact, finality_depth: u64) -> Self {
        let config = DevnetConfig { mining: BLOCKS, finality_depth, ..DevnetConfig::default() };
        let devnet = Devnet::start(config).await.unwrap();
        let rpc = Rpc::connect(&Endpoint::new(devnet.http_url())).await.unwrap();
        let sender = |key: &[u8; 32]| Sender {
            rpc: rpc.clone(),
            account: Account::from_bytes(key).unwrap(),
            chain_id: CHAIN_ID,
            patience: Duration::from_secs(10),
        };
        let [deployer, participant, hub, tower] = KEYS.each_ref().map(sender);
        let terms = Terms {
            dispute_window_s: window_s,
            response_extension_s: window_s / 4,
            max_extension_s: window_s,
            fee_gas: 1,
            ..Terms::L1
        };
        let plan = Plan {
            site: Site::default(),
            chain: ChainKind::Development,
            terms,
            asset: Asset::Development { name: "Dollar".into(), symbol: "USD".into(), decimals: 6 },
            per_channel: amount(1_000_000_000),
            total: amount(1_000_000_000_000),
            verifier,
            operator: Some((hub.account.address(), 10)),
        };
        let deployment = deploy(&deployer, &plan).await.unwrap();
        let vipe = Vipe::new(deployment.vipe.address);
        let token = Erc20::new(deployment.token.as_ref().unwrap().address);
        let vip = Vip::new(deployment.vip.as_ref().unwrap().address);
        let much = U256::from(SIDE * 100);
        for account in [&participant, &hub] {
            deployer.send(&token.mint(account.account.address(), much)).await.unwrap();
        }
        participant.send(&token.approve(vipe.address, much)).await.unwrap();
        hub.send(&token.approve(vip.address, much)).await.unwrap();
        hub.send(&vip.deposit(much, hub.account.address())).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        deployment.save(&directory.path().join("deployment.json")).unwrap();
        let tower = tower.account;
        Self { devnet, rpc, deployment, vipe, vip, token, participant, hub, tower, directory }
    }

    /// Opens a channel between the two parties of `seed` and accepts it; both sides put in [`SIDE`].
    pub(crate) async fn open(&self, seed: u64) -> Pair {
        let terms = |pair: &Pair| *pair.channel.terms();
        let sketch = Pair::new(seed);
        let party = |of: &PartyTerms, sender: &Sender| PartyTerms {
            account: sender.account.address(),
            ..*of
        };
        let known = terms(&sketch);
        let request = OpenRequest {
            counterparty: self.hub.account.address(),
            vip: self.vip.address,
            asset: self.token.address,
            participant_key: known.participant.key,
            counterparty_key: known.counterparty.key,
            keys_digest: known.keys_digest,
            participant_session: known.participant.session,
            counterparty_session: known.counterparty.session,
            dispute_hash: known.dispute_hash,
            salt: known.salt,
            rate: RATE,
            deposit: amount(SIDE),
            accept_by: u64::MAX / 2,
        };
        let receipt = self.participant.send(&self.vipe.open(&request).unwrap()).await.unwrap();
        let opened = self.opened(&receipt).await;
        let pair = Pair::with(seed, |terms| {
            terms.chain_id = CHAIN_ID;
            terms.vipe = self.vipe.address;
            terms.channel_id = opened.channel;
            terms.participant = party(&known.participant, &self.participant);
            terms.counterparty = party(&known.counterparty, &self.hub);
            terms.asset = self.token.address;
            terms.rate = protocol::vipe::Rate::try_from(RATE).unwrap();
        });
        let deadline = u64::MAX / 2;
        let domain = pair.channel.session_domain();
        let digest = accept_digest(&domain, &opened, amount(SIDE), deadline);
        let consent = self.hub.account.sign_digest(&digest).unwrap();
        let accept = self.vip.accept(opened.channel, amount(SIDE), deadline, consent);
        self.hub.send(&accept).await.unwrap();
        pair
    }

    async fn opened(&self, receipt: &Receipt) -> ChannelOpened {
        let logs = self.rpc.logs_of_block(self.vipe.address, receipt.block.hash).await.unwrap();
        logs.iter()
            .map(|log| events::decode(self.vipe.address, log).unwrap().event)
            .find_map(|event| match event {
                Event::ChannelOpened(opened) => Some(*opened),
                _ => None,
            })
            .unwrap()
    }

    /// The hub opens a dispute with a state that both signed, claiming all that it pays. The proof is one that only the verifier of
    /// most worlds takes.
    pub(crate) async fn dispute(&self, pair: &Pair, state: &FinalState) -> Receipt {
        let proof = b"a proof that the verifier of this world takes";
        self.dispute_with(pair, state, Bytes::from_static(proof)).await
    }

    /// The same, with this proof.
    pub(crate) async fn dispute_with(
        &self,
        pair: &Pair,
        state: &FinalState,
        proof: Bytes,
    ) -> Receipt {
        let call = self.dispute_call(pair, state, proof).await;
        self.hub.send(&call).await.unwrap()
    }

    /// The call that opens it.
    pub(crate) async fn dispute_call(&self, pair: &Pair, state: &FinalState, proof: Bytes) -> Call {
        let inner = state.state();
        let claim = amount(2 * SIDE - inner.balance.get());
        let channel = pair.channel.id();
        let bond = self.vipe.bond(&self.rpc, channel, claim).await.unwrap();
        let fee = self.vipe.opening_fee(&self.rpc).await.unwrap();
        self.vipe.dispute(
            channel,
            StateClaim { nonce: inner.nonce, version: inner.version, balance: inner.balance },
            (claim, bond + fee * U256::from(4)),
            revealed(&pair.dispute_key),
            (&sessions(state), proof),
        )
    }

    /// No blocks come until [`World::go_on`].
    pub(crate) fn hold(&self) {
        self.devnet.set_mining(Mining::Manual).unwrap();
    }

    /// Blocks come as before.
    pub(crate) fn go_on(&self) {
        self.devnet.set_mining(BLOCKS).unwrap();
    }

    /// Takes back this block and all after it; what was in them waits for the next blocks, which come as before.
    pub(crate) async fn take_back_from(&self, block: u64) {
        self.hold();
        let (newest, _time) = self.devnet.latest().unwrap();
        self.devnet.reorganise(newest + 1 - block).await.unwrap();
        self.go_on();
    }

    /// The same, and what was in them is lost.
    pub(crate) async fn take_back_for_good(&self, block: u64) {
        self.hold();
        let (newest, _time) = self.devnet.latest().unwrap();
        self.devnet.reorganise(newest + 1 - block).await.unwrap();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"anvil_dropAllTransactions","params":[]}"#;
        let request = reqwest::Client::new().post(self.devnet.http_url());
        let answer = request.header("content-type", "application/json").body(body).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        self.go_on();
    }

    /// The clock is turned beyond the deadline of a dispute that was opened before.
    pub(crate) fn pass_window(&self) {
        self.devnet.advance_time(WINDOW_S).unwrap();
    }

    pub(crate) async fn balance(&self, account: Address) -> U256 {
        self.rpc.balance(account).await.unwrap()
    }

    pub(crate) async fn credit(&self, account: Address) -> U256 {
        let at = chain::provider::At::Latest;
        self.vipe.asset_credit(&self.rpc, account, self.token.address, at).await.unwrap()
    }

    /// The configuration of a tower of this world, with more `flags` on top.
    pub(crate) fn config(&self, flags: &[(&str, &str)]) -> Config {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut all = vec![
            ("data_dir".to_owned(), text(self.directory.path().join("tower"))),
            ("chain.deployment".to_owned(), text(self.directory.path().join("deployment.json"))),
            ("chain.rpc".to_owned(), self.devnet.http_url()),
            ("chain.poll_interval".to_owned(), "50ms".to_owned()),
            ("submit.block_time".to_owned(), "1s".to_owned()),
            ("submit.send_lead".to_owned(), "0s".to_owned()),
            ("http.listen".to_owned(), "127.0.0.1:0".to_owned()),
        ];
        all.extend(flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        load(&Layers { flags: all, ..Layers::default() }).unwrap()
    }

    /// Starts a tower in this process.
    pub(crate) async fn start_tower(&self) -> Running {
        self.start_tower_with(&self.config(&[])).await
    }

    /// Starts a tower with another configuration in this process.
    pub(crate) async fn start_tower_with(&self, config: &Config) -> Running {
        Self::run(Box::pin(Tower::start(config, self.tower.clone())).await.unwrap())
    }

    /// Starts a tower whose store is on this disk.
    pub(crate) async fn start_tower_on(&self, disk: &Disk) -> Running {
        let open = |facts| Store::open_on(Box::new(disk.clone()), facts);
        let config = self.config(&[]);
        let tower = Box::pin(Tower::start_with(&config, self.tower.clone(), open));
        Self::run(tower.await.unwrap())
    }

    pub(crate) fn run(tower: Tower) -> Running {
        let url = format!("http://{}", tower.address());
        let (stop, mut signals) = mpsc::channel(2);
        // Tests may spawn; the program itself spawns through `Tasks` alone.
        #[expect(clippy::disallowed_methods, reason = "the harness is not the program")]
        let task = tokio::spawn(async move {
            let ended = tower.run(&mut signals).await;
            // A tower that stops by itself: whoever talks to it only sees that nobody answers.
            if let Err(error) = &ended {
                say(error);
            }
            ended
        });
        Running { url, stop, task, client: reqwest::Client::new() }
    }
}

/// A dispute window in which everything before the deadline has time, on the busiest machine; then the clock is turned.
pub(crate) const WINDOW_S: u64 = 3_600;

/// Bond: four gwei for each base unit; just below the largest rate there is.
pub(crate) const RATE: u128 = 4_000_000_000 << 64;

pub(crate) fn revealed(key: &DisputeKey) -> alloy_primitives::B256 {
    (*key.reveal()).into()
}

pub(crate) fn sessions(state: &FinalState) -> SessionSignatures {
    let of = |role| state.signatures(role).session.to_bytes();
    SessionSignatures { participant: of(Role::Participant), counterparty: of(Role::Counterparty) }
}

#[expect(clippy::print_stderr, reason = "shown with a failed test")]
fn say(error: &TaskError) {
    eprintln!("the tower stopped: {error:?}");
}

/// A tower that runs.
pub(crate) struct Running {
    pub(crate) url: String,
    stop: mpsc::Sender<()>,
    pub(crate) task: JoinHandle<Result<(), TaskError>>,
    pub(crate) client: reqwest::Client,
}

impl Running {
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn post(&self, body: String) -> (u16, Value) {
        let request = self.client.post(format!("{}/v1/backups", self.url));
        let response =
            request.header("content-type", "application/json").body(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn back_up(&self, envelope: &[u8]) -> (u16, Value) {
        self.post(format!(r#"{{"envelope":"{}"}}"#, hex::encode_prefixed(envelope))).await
    }

    /// Waits until the page's answer is as wanted.
    pub(crate) async fn wait(
        &self,
        path: &str,
        seconds: u64,
        wanted: impl Fn(u16, &Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        for _ in 0..seconds * 20 {
            let (status, answer) = self.get(path).await;
            if wanted(status, &answer) {
                return answer;
            }
            last = answer;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} never became what was wanted; last: {last:#}");
    }

    /// Waits until the tower has read everything that the chain had when this was called.
    pub(crate) async fn caught_up(&self, world: &World) {
        let head = world.rpc.head().await.unwrap().id.number;
        let read = |status: &Value| status["chain"]["read"]["number"].as_u64();
        self.wait("/v1/status", 20, |_, status| read(status).is_some_and(|number| number >= head))
            .await;
    }

    pub(crate) async fn stop(self) -> Result<(), TaskError> {
        self.stop.send(()).await.unwrap();
        self.task.await.unwrap()
    }
}
