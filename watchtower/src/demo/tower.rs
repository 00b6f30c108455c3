//! The tower of the demo: a real one, `watchtower run`, in a process of its own that can be killed.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use alloy_primitives::{Address, Bytes};
use chain::account::Account;
use eyre::{WrapErr as _, bail, eyre};
use protocol::ChannelId;
use protocol::backup::{Envelope, SignedReceipt};
use protocol::zksc::Channel;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::rpc::LOOK_EVERY;
use super::world::World;
use crate::keys::{Password, import_account};

/// How long a tower may take until it answers that it is ready: it builds its circuit on the first start.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a tower may take to stop when asked.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How long a tower waits for each one before it: several prove on the same cores here.
pub(super) const RACE_SLOT_S: u64 = 60;

/// One tower, alive or dead; its folder outlives it.
#[derive(Debug)]
pub(super) struct Tower {
    folder: PathBuf,
    url: String,
    listen: String,
    rpc: String,
    deployment: PathBuf,
    password: String,
    pub(super) account: Address,
    http: reqwest::Client,
    member: Option<Member>,
    child: Option<Child>,
}

/// A tower's place in a network of towers.
#[derive(Debug)]
pub(super) struct Member {
    listen: [String; 2],
    bootstrap: Vec<String>,
}

impl Member {
    /// A place on the loopback interface, over QUIC and TCP; `bootstrap` is whom it knows at first.
    pub(super) fn new(bootstrap: Vec<String>) -> eyre::Result<Self> {
        let tcp = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let udp = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen =
            [format!("/ip4/127.0.0.1/tcp/{tcp}"), format!("/ip4/127.0.0.1/udp/{udp}/quic-v1")];
        Ok(Self { listen, bootstrap })
    }

    /// The tower's settings for it. All of them are on one address here, and reachable there.
    fn flags(&self) -> Vec<&str> {
        let mut flags = vec!["--set", "network.reachable=true"];
        flags.extend(["--set", "network.per_ip_max=64"]);
        flags.extend(["--set", "network.sync_interval=5s"]);
        flags.extend(self.listen.iter().flat_map(|place| ["--listen-p2p", place]));
        flags.extend(self.bootstrap.iter().flat_map(|place| ["--bootstrap", place]));
        flags
    }
}

impl Tower {
    /// Makes the tower's folder and key, and starts it.
    pub(super) async fn start(
        world: &World,
        folder: &Path,
        deployment: &Path,
    ) -> eyre::Result<Self> {
        Self::start_as(world, folder, deployment, (world.accounts.tower_key, None)).await
    }

    /// [`Tower::start`] with an account and, for a network, a place in it.
    pub(super) async fn start_as(
        world: &World,
        folder: &Path,
        deployment: &Path,
        (key, member): ([u8; 32], Option<Member>),
    ) -> eyre::Result<Self> {
        std::fs::create_dir_all(folder)
            .wrap_err_with(|| format!("cannot make the folder {}", folder.display()))?;
        let password = alloy_primitives::hex::encode(super::node::fresh());
        let key_file = folder.join("key.hex");
        write_private(&key_file, &alloy_primitives::hex::encode(key))?;
        import_account(&key_file, &folder.join("account.json"), &Password::new(password.clone()))?;
        std::fs::remove_file(&key_file)?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut tower = Self {
            folder: folder.to_owned(),
            url: format!("http://{listen}"),
            listen,
            rpc: world.chain.url.clone(),
            deployment: deployment.to_owned(),
            password,
            account: Account::from_bytes(&key)?.address(),
            http: reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?,
            member,
            child: None,
        };
        tower.run().await?;
        Ok(tower)
    }

    /// Starts the process and waits until it is ready.
    pub(super) async fn run(&mut self) -> eyre::Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .args(["--rpc", &self.rpc, "--listen", &self.listen])
            .arg("--data-dir")
            .arg(&self.folder)
            .arg("--deployment")
            .arg(&self.deployment)
            .args(self.member.iter().flat_map(Member::flags))
            .args(["--set", &format!("decision.race_slot={RACE_SLOT_S}s")])
            .args(["--set", "chain.poll_interval=200ms"])
            .args(["--set", "submit.block_time=1s", "--set", "submit.send_lead=0s"])
            .env("WATCHTOWER_KEYSTORE_PASSWORD", &self.password)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .wrap_err("the tower cannot be started")?;
        self.child = Some(child);
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!(
                    "the tower ended with {status}; its log is {}:\n{}",
                    self.log().display(),
                    self.last_words()
                );
            }
            let ready = self.http.get(format!("{}/readyz", self.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "the tower is not ready after {} s; its log is {}:\n{}",
                    READY_WITHIN.as_secs(),
                    self.log().display(),
                    self.last_words()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// SIGKILL: no goodbye, no flush.
    pub(super) async fn kill(&mut self) -> eyre::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM, and the wait for an orderly end.
    pub(super) async fn stop(&mut self) -> eyre::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = child.id().ok_or_else(|| eyre!("the tower has ended already"))?;
        Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
            child.kill().await?;
            bail!("the tower did not stop within {} s", STOP_WITHIN.as_secs());
        }
        Ok(())
    }

    /// Hands over a backup; the answer is the tower's signed receipt, given after its commit.
    pub(super) async fn back_up(
        &self,
        envelope: &Envelope,
        channel: &Channel,
    ) -> eyre::Result<SignedReceipt> {
        let offer = json!({"envelope": Bytes::from(envelope.to_bytes())});
        let answer = self.http.post(format!("{}/v1/backups", self.url)).json(&offer).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await.wrap_err("the tower's answer is not JSON")?;
        if !status.is_success() {
            bail!("the tower refuses the backup ({status}): {body}");
        }
        // Reading a receipt checks the signature; it must also be this tower's, and for this envelope.
        let receipt: SignedReceipt =
            serde_json::from_value(body.get("receipt").cloned().unwrap_or_default())
                .wrap_err("the tower's receipt")?;
        receipt.covers(envelope, channel.terms().chain_id, channel.terms().vipe)?;
        if receipt.receipt().tower != self.account {
            bail!(
                "the receipt is signed by {}, not by the tower {}",
                receipt.receipt().tower,
                self.account
            );
        }
        Ok(receipt)
    }

    /// What the tower says of the channel's dispute; nothing while it has seen none or does not answer.
    pub(super) async fn dispute(&self, channel: ChannelId) -> Option<Value> {
        let answer =
            self.http.get(format!("{}/v1/disputes/{channel}", self.url)).send().await.ok()?;
        let lives: Vec<Value> =
            if answer.status().is_success() { answer.json().await.ok()? } else { return None };
        lives.into_iter().next_back()
    }

    /// Whether its process runs.
    pub(super) const fn is_alive(&self) -> bool {
        self.child.is_some()
    }

    /// What the tower says of itself at `pointer` of its status page.
    async fn status(&self, pointer: &str) -> eyre::Result<Value> {
        let answer = self.http.get(format!("{}/v1/status", self.url)).send().await?;
        let body: Value = answer.json().await.wrap_err("the tower's status is not JSON")?;
        body.pointer(pointer).cloned().ok_or_else(|| eyre!("the tower's status has no {pointer}"))
    }

    /// Its name on the network.
    pub(super) async fn peer(&self) -> eyre::Result<String> {
        let name = self.status("/network/peer").await?;
        Ok(name.as_str().unwrap_or_default().to_owned())
    }

    /// Where others reach it.
    pub(super) async fn place(&self) -> eyre::Result<String> {
        let member = self.member.as_ref().ok_or_else(|| eyre!("this tower stands alone"))?;
        let [tcp, _quic] = &member.listen;
        Ok(format!("{tcp}/p2p/{}", self.peer().await?))
    }

    /// Whom it is to begin with at its next start.
    pub(super) fn begin_with(&mut self, places: Vec<String>) {
        if let Some(member) = &mut self.member {
            member.bootstrap = places;
        }
    }

    /// How many other towers it is connected to.
    pub(super) async fn towers_met(&self) -> eyre::Result<usize> {
        let met = self.status("/network/towers").await?;
        Ok(met.as_u64().and_then(|met| usize::try_from(met).ok()).unwrap_or(0))
    }

    /// Whether it holds this very envelope.
    pub(super) async fn holds(&self, envelope: &Envelope) -> eyre::Result<bool> {
        let header = envelope.header();
        let path = format!("{}/v1/backups/{}/{}", self.url, header.channel_id, header.role);
        let answer = self.http.get(path).send().await?;
        if !answer.status().is_success() {
            return Ok(false);
        }
        let body: Value = answer.json().await?;
        let bytes: Bytes =
            serde_json::from_value(body.get("envelope").cloned().unwrap_or_default())?;
        Ok(bytes == envelope.to_bytes())
    }

    /// Loses everything that the tower remembers, its name on the network included. What stays is what an operator keeps
    /// elsewhere, the account's key, and the circuit, which is public and only saves the time to build it.
    pub(super) fn lose_disk(&self) -> eyre::Result<()> {
        for file in ["tower.redb", "peers.txt", "network.key"] {
            match std::fs::remove_file(self.folder.join(file)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where its log is.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("tower.log")
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, text: &str) -> eyre::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
