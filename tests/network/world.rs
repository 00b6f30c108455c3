//! The embedded chain with real contracts, a channel whose keys are known, and towers in processes of their own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256, hex};
use chain::account::Account;
use chain::artifact::Artifact;
use chain::calls::{Erc20, OpenRequest, Vip, Vipe};
use chain::consent::accept_digest;
use chain::deploy::{Asset, ChainKind, Deployment, Plan, Site, Terms, deploy};
use chain::devnet::{Devnet, DevnetConfig, DevnetHandle, Mining, dev_accounts};
use chain::events::{self, ChannelOpened, Event};
use chain::provider::{Endpoint, Receipt, Rpc};
use chain::sender::Sender;
use protocol::testing::{Pair, amount};
use protocol::zksc::PartyTerms;
use serde_json::Value;
use watchtower::keys::{Password, import_account};

pub(crate) const CHAIN_ID: u64 = 31_337;

/// Base units: what each side puts in.
const SIDE: u128 = 1_000_000;

/// The bond's rate: one wei for a base unit.
const RATE: u128 = 1 << 64;

/// A tower builds its circuit at its first start.
const READY_WITHIN: Duration = Duration::from_secs(120);

const PASSWORD: &str = "a password of a test";

/// The binary, built by the test command beside the tests.
fn watchtower() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.ancestors().nth(2).unwrap().join("watchtower");
    assert!(
        binary.is_file(),
        "{} is not built: cargo build --release -p watchtower",
        binary.display()
    );
    binary
}

/// The chain and who acts on it.
pub(crate) struct World {
    pub(crate) devnet: DevnetHandle,
    rpc: Rpc,
    vip: Vip,
    token: Erc20,
    pub(crate) vipe: Vipe,
    participant: Sender,
    hub: Sender,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let mining = Mining::Every { millis: 200 };
        let devnet =
            Devnet::start(DevnetConfig { mining, ..DevnetConfig::default() }).await.unwrap();
        let rpc = Rpc::connect(&Endpoint::new(devnet.http_url())).await.unwrap();
        let accounts = dev_accounts(3).unwrap();
        let sender = |at: usize| Sender {
            rpc: rpc.clone(),
            account: Account::from_bytes(&accounts[at].private_key.0).unwrap(),
            chain_id: CHAIN_ID,
            patience: Duration::from_secs(10),
        };
        let [deployer, participant, hub] = [0, 1, 2].map(sender);
        let plan = Plan {
            site: Site::default(),
            chain: ChainKind::Development,
            terms: Terms { dispute_window_s: 3_600, ..Terms::L1 },
            asset: Asset::Development { name: "Dollar".into(), symbol: "USD".into(), decimals: 6 },
            per_channel: amount(1_000_000_000),
            total: amount(1_000_000_000_000),
            verifier: Artifact::verifier().unwrap(),
            operator: Some((hub.account.address(), 10)),
        };
        let deployment: Deployment = deploy(&deployer, &plan).await.unwrap();
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
        let folder = tempfile::tempdir().unwrap();
        deployment.save(&folder.path().join("deployment.json")).unwrap();
        Self { devnet, rpc, vip, token, vipe, participant, hub, folder }
    }

    /// Opens a channel of the keys of `seed`, and accepts it.
    pub(crate) async fn open(&self, seed: u64) -> Pair {
        let known = *Pair::new(seed).channel.terms();
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
        let party = |of: &PartyTerms, sender: &Sender| PartyTerms {
            account: sender.account.address(),
            ..*of
        };
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

    /// The newest block.
    pub(crate) async fn head(&self) -> u64 {
        self.rpc.head().await.unwrap().id.number
    }
}

/// A tower in a process of its own.
pub(crate) struct Tower {
    pub(crate) account: Address,
    url: String,
    log: PathBuf,
    process: Child,
}

impl Tower {
    /// Starts the tower of a development account, and waits until it is ready.
    pub(crate) async fn start(world: &World, account: u16) -> Self {
        let folder = world.folder.path().join(format!("tower-{account}"));
        std::fs::create_dir_all(&folder).unwrap();
        let address = import(&folder, account);
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let log = folder.join("tower.log");
        let output = std::fs::File::create(&log).unwrap();
        let process = Command::new(watchtower())
            .arg("run")
            .args(["--rpc", &world.devnet.http_url(), "--listen", &listen])
            .args(["--listen-p2p", "/ip4/127.0.0.1/tcp/0", "--set", "network.reachable=true"])
            .arg("--data-dir")
            .arg(&folder)
            .arg("--deployment")
            .arg(world.folder.path().join("deployment.json"))
            .args(["--set", "chain.poll_interval=100ms", "--set", "submit.block_time=1s"])
            .args(["--set", "submit.send_lead=0s"])
            .env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let tower = Self { account: address, url: format!("http://{listen}"), log, process };
        let head = world.head().await;
        tower
            .status("it has read the chain", |status| {
                status["chain"]["read"]["number"].as_u64().is_some_and(|number| number >= head)
                    && status["network"]["listening"][0].is_string()
            })
            .await;
        tower
    }

    /// Its status page, once it is as wanted.
    pub(crate) async fn status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Ok(answer) = reqwest::get(format!("{}/v1/status", self.url)).await
                && let Ok(text) = answer.text().await
                && let Ok(status) = serde_json::from_str(&text)
                && wanted(&status)
            {
                return status;
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                panic!("never: {what}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Where others reach it.
    pub(crate) async fn place(&self) -> String {
        let status = self.status("it listens", |_| true).await;
        let network = &status["network"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("{}/p2p/{}", text(&network["listening"][0]), text(&network["peer"]))
    }
}

impl Drop for Tower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn import(folder: &Path, account: u16) -> Address {
    let accounts = dev_accounts(account + 1).unwrap();
    let key = accounts[usize::from(account)].private_key.0;
    let file = folder.join("key.hex");
    std::fs::write(&file, hex::encode(key)).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, open).unwrap();
    let password = Password::new(PASSWORD.to_owned());
    let imported = import_account(&file, &folder.join("account.json"), &password).unwrap();
    std::fs::remove_file(&file).unwrap();
    imported.address()
}
