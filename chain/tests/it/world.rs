//! A chain with the contracts on it, and the people who use them.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256, bytes, keccak256};
use chain::{
    account::Account,
    artifact::Artifact,
    calls::{Call, Erc20, OpenRequest, SessionSignatures, StateClaim, Vip, Vipe},
    consent::accept_digest,
    deploy::{Asset, ChainKind, Deployment, Plan, Site, Terms, deploy},
    devnet::{Devnet, DevnetConfig, DevnetHandle, Mining},
    events::{self, ChannelOpened, Event},
    follower::Finality,
    provider::{At, Endpoint, Receipt, Rpc},
    sender::Sender,
};
use protocol::{
    ids::{Amount, ChannelId, EscrowVersion, Nonce},
    session::{SessionDomain, SessionKey, SessionState},
};
use serde_json::{Value, json};

pub(crate) const CHAIN_ID: u64 = 31_337;
/// How far the chain is final in these tests: deep enough to reorganise, shallow enough to wait for.
pub(crate) const FINALITY: Finality = Finality::Depth(6);
pub(crate) const FINAL_DEPTH: u64 = 6;
pub(crate) const DISPUTE_WINDOW_S: u64 = 3_600;
const RATE: u128 = 1 << 70;

/// Everybody's keys: public ones of every development chain.
const KEYS: [[u8; 32]; 4] = [
    alloy_primitives::hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    alloy_primitives::hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    alloy_primitives::hex!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    alloy_primitives::hex!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
];

/// The process or the tasks that are the chain; ends with the test.
enum Node {
    Embedded { _handle: Box<DevnetHandle> },
    Anvil(Child),
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Self::Anvil(child) = self {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

pub(crate) struct World {
    _node: Node,
    pub(crate) http: String,
    pub(crate) ws: String,
    pub(crate) rpc: Rpc,
    pub(crate) deployment: Deployment,
    pub(crate) vipe: Vipe,
    pub(crate) token: Erc20,
    pub(crate) vip: Vip,
    pub(crate) deployer: Sender,
    pub(crate) participant: Sender,
    pub(crate) hub: Sender,
    pub(crate) tower: Sender,
    sessions: [SessionKey; 2],
}

/// A verifier that accepts everything: these tests are about sending and reading, not about proofs.
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

pub(crate) fn plan(operator: Address) -> Plan {
    Plan {
        site: Site::default(),
        chain: ChainKind::Development,
        terms: Terms {
            dispute_window_s: DISPUTE_WINDOW_S,
            response_extension_s: 60,
            max_extension_s: 600,
            fee_floor: 1_000_000,
            fee_gas: 1,
            ..Terms::L1
        },
        asset: Asset::Development {
            name: "Dollar".to_owned(),
            symbol: "USD".to_owned(),
            decimals: 6,
        },
        per_channel: amount(1_000_000_000),
        total: amount(1_000_000_000_000),
        verifier: yes_verifier(),
        operator: Some((operator, 10)),
    }
}

pub(crate) fn amount(units: u128) -> Amount {
    Amount::try_from(units).unwrap()
}

pub(crate) fn state(nonce: u64, balance: u128) -> StateClaim {
    StateClaim {
        nonce: Nonce::try_from(nonce).unwrap(),
        version: EscrowVersion::try_from(2).unwrap(),
        balance: amount(balance),
    }
}

async fn start_node() -> (Node, String, String) {
    if let Ok(binary) = std::env::var("ANVIL") {
        // The kernel gives out a free port; anvil takes it a moment later.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let flags =
            ["--hardfork", "osaka", "--enable-tx-gas-limit", "--gas-limit", "60000000", "--silent"];
        let child = Command::new(binary)
            .args(flags)
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        return (
            Node::Anvil(child),
            format!("http://127.0.0.1:{port}"),
            format!("ws://127.0.0.1:{port}"),
        );
    }
    let config =
        DevnetConfig { mining: Mining::Instant, finality_depth: 64, ..DevnetConfig::default() };
    let handle = Devnet::start(config).await.unwrap();
    let urls = (handle.http_url(), handle.ws_url());
    (Node::Embedded { _handle: Box::new(handle) }, urls.0, urls.1)
}

impl World {
    pub(crate) async fn start() -> Self {
        let (node, http, ws) = start_node().await;
        let rpc = Rpc::connect(&Endpoint::new(&*http)).await.unwrap();
        for _ in 0..100 {
            if rpc.chain_id().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let [deployer, participant, hub, tower] = KEYS.map(|key| sender(&rpc, &key));
        let deployment = deploy(&deployer, &plan(hub.account.address())).await.unwrap();
        let token = Erc20::new(deployment.token.as_ref().unwrap().address);
        let sessions =
            [[0x51; 32], [0x52; 32]].map(|secret| SessionKey::from_bytes(&secret).unwrap());
        let world = Self {
            _node: node,
            http,
            ws,
            rpc,
            vipe: Vipe::new(deployment.vipe.address),
            token,
            vip: Vip::new(deployment.vip.as_ref().unwrap().address),
            deployment,
            deployer,
            participant,
            hub,
            tower,
            sessions,
        };
        world.fund().await;
        world
    }

    async fn fund(&self) {
        let much = U256::from(100_000_000);
        for account in [&self.participant, &self.hub] {
            self.deployer.send(&self.token.mint(account.account.address(), much)).await.unwrap();
        }
        self.participant.send(&self.token.approve(self.vipe.address, much)).await.unwrap();
        self.hub.send(&self.token.approve(self.vip.address, much)).await.unwrap();
        self.hub.send(&self.vip.deposit(much, self.hub.account.address())).await.unwrap();
    }

    pub(crate) async fn control(&self, method: &str, params: Value) -> Value {
        control(&self.http, method, params).await
    }

    /// From now on blocks come only by [`Self::mine`].
    pub(crate) async fn stop_mining(&self) {
        self.control("evm_setAutomine", json!([false])).await;
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.control("evm_mine", json!([])).await;
        }
    }

    /// Replaces the newest blocks by others.
    pub(crate) async fn reorganise(&self, depth: u64) {
        self.control("anvil_reorg", json!([depth, []])).await;
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        self.control("evm_increaseTime", json!([seconds])).await;
    }

    pub(crate) async fn head(&self) -> u64 {
        self.rpc.head().await.unwrap().id.number
    }

    pub(crate) fn domain(&self) -> SessionDomain {
        SessionDomain { chain_id: CHAIN_ID, vipe: self.vipe.address }
    }

    pub(crate) fn dispute_key(&self, seed: u64) -> B256 {
        keccak256(seed.to_be_bytes())
    }

    /// Opens a channel with 1,000 and accepts it with an allocation of 500.
    pub(crate) async fn open(&self, seed: u64) -> ChannelId {
        let receipt = self.participant.send(&self.open_call(seed)).await.unwrap();
        self.accept(&receipt).await
    }

    /// What opens a channel with 1,000 for whoever sends it.
    pub(crate) fn open_call(&self, seed: u64) -> Call {
        let request = OpenRequest {
            counterparty: self.hub.account.address(),
            vip: self.vip.address,
            asset: self.token.address,
            participant_key: [seed + 1, 0, 0, 0, 0],
            counterparty_key: [seed + 2, 0, 0, 0, 0],
            keys_digest: B256::ZERO,
            participant_session: self.sessions[0].address().get(),
            counterparty_session: self.sessions[1].address().get(),
            dispute_hash: keccak256(self.dispute_key(seed)),
            salt: B256::repeat_byte(3),
            rate: RATE,
            deposit: amount(1_000),
            accept_by: u64::MAX / 2,
        };
        self.vipe.open(&request).unwrap()
    }

    /// Accepts the channel that was opened there with an allocation of 500.
    pub(crate) async fn accept(&self, receipt: &Receipt) -> ChannelId {
        let opened = self.opened(receipt).await;
        let deadline = u64::MAX / 2;
        let digest = accept_digest(&self.domain(), &opened, amount(500), deadline);
        let consent = self.hub.account.sign_digest(&digest).unwrap();
        self.hub
            .send(&self.vip.accept(opened.channel, amount(500), deadline, consent))
            .await
            .unwrap();
        opened.channel
    }

    async fn opened(&self, receipt: &Receipt) -> ChannelOpened {
        let logs = self.rpc.logs_of_block(self.vipe.address, receipt.block.hash).await.unwrap();
        let opened = logs
            .iter()
            .map(|log| events::decode(self.vipe.address, log).unwrap().event)
            .find_map(|event| match event {
                Event::ChannelOpened(opened) => Some(*opened),
                _ => None,
            });
        opened.unwrap()
    }

    /// Both session signatures of a state.
    pub(crate) fn sign(&self, channel: ChannelId, state: StateClaim) -> SessionSignatures {
        let signed = SessionState {
            channel_id: channel,
            nonce: state.nonce,
            version: state.version,
            balance: state.balance,
        };
        let sign = |key: &SessionKey| key.sign(&self.domain(), &signed).unwrap().to_bytes();
        let [participant, counterparty] = &self.sessions;
        SessionSignatures { participant: sign(participant), counterparty: sign(counterparty) }
    }

    /// The hub disputes with a state that pays it 1,500 less `balance`.
    pub(crate) async fn dispute_call(
        &self,
        channel: ChannelId,
        seed: u64,
        nonce: u64,
        balance: u128,
    ) -> Call {
        let state = state(nonce, balance);
        let claim = amount(1_500 - balance);
        let bond = self.vipe.bond(&self.rpc, channel, claim).await.unwrap();
        let fee = self.vipe.opening_fee(&self.rpc).await.unwrap();
        // The fee follows the base fee of the block that takes it; the excess is credited back.
        let value = bond + fee * U256::from(4);
        let signatures = self.sign(channel, state);
        self.vipe.dispute(
            channel,
            state,
            (claim, value),
            self.dispute_key(seed),
            (&signatures, PROOF),
        )
    }

    pub(crate) fn override_call(&self, channel: ChannelId, nonce: u64, balance: u128) -> Call {
        let state = state(nonce, balance);
        let signatures = self.sign(channel, state);
        let beneficiary = self.tower.account.address();
        self.vipe.override_state(channel, state, beneficiary, (&signatures, PROOF), U256::ZERO)
    }

    pub(crate) async fn balance(&self, account: &Sender) -> U256 {
        self.rpc.balance(account.account.address()).await.unwrap()
    }

    pub(crate) async fn nonce(&self, account: &Sender, at: At) -> u64 {
        self.rpc.transaction_count(account.account.address(), at).await.unwrap()
    }
}

/// As long as a real proof is, so that the transaction is as heavy.
static PROOF_BYTES: [u8; 50_000] = [0x5a; 50_000];
pub(crate) const PROOF: Bytes = Bytes::from_static(&PROOF_BYTES);

pub(crate) fn sender(rpc: &Rpc, key: &[u8; 32]) -> Sender {
    Sender {
        rpc: rpc.clone(),
        account: Account::from_bytes(key).unwrap(),
        chain_id: CHAIN_ID,
        patience: Duration::from_secs(10),
    }
}

async fn control(url: &str, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer: Value =
        reqwest::Client::new().post(url).json(&request).send().await.unwrap().json().await.unwrap();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}
