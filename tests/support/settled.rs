//! A chain with everybody endowed, as a process, and nodes and towers on it, each in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::Quiet;
use super::support::{Server, watchtower};

const PASSWORD: &str = "nothing of value";
/// Accounts of the public development mnemonic: the last one operates the pool.
pub(crate) const HUB: (&str, &str) = (
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
);
pub(crate) const ALICE: (&str, &str) = (
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
);
pub(crate) const TOWER_KEY: &str =
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
pub(crate) const SECOND_KEY: &str =
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a";

pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// A chain with everybody endowed, in a folder of its own.
pub(crate) struct World {
    folder: tempfile::TempDir,
    /// Where the chain answers.
    pub(crate) rpc: String,
    _chain: Server,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with_window("20")
    }

    /// Disputes are open for so many seconds; an announced close takes effect after a quarter of that.
    pub(crate) fn with_window(window_s: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut devnet = Command::new(watchtower());
        devnet.current_dir(folder.path()).args(["devnet", "--port", "0", "--endow", "1000000000"]);
        devnet.args(["--deploy", "deployment.json", "--window-s", window_s]);
        let (chain, line) = Server::start(&mut devnet, "rpc ", "Ctrl-C");
        let rpc = line.split_whitespace().last().expect("the line ends with the address");
        let rpc = rpc.to_owned();
        let policy = "[backup]\ntarget = 1\nrestore_quorum = 1\nhold_after_restore_s = 0\n";
        std::fs::write(folder.path().join("policy.toml"), policy).expect("written");
        Self { folder, rpc, _chain: chain }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn command(&self) -> Command {
        self.command_of(&watchtower())
    }

    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD);
        command
    }

    pub(crate) fn import(&self, folder: &str, key: &str) {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        std::fs::create_dir_all(self.path(folder)).expect("made");
        let file = self.path(folder).join("key.hex");
        let mut options = std::fs::OpenOptions::new();
        let mut open =
            options.write(true).create(true).truncate(true).mode(0o600).open(&file).expect("made");
        open.write_all(key.as_bytes()).expect("written");
        let import = self
            .command()
            .args(["keys", "import", &format!("{folder}/key.hex"), "--data-dir", folder])
            .output()
            .expect("the program runs");
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    }

    /// Runs something in the background; its log is beside everything else.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Quiet {
        self.run_with(name, arguments, None)
    }

    pub(crate) fn run_with(&self, name: &str, arguments: &[&str], key: Option<&str>) -> Quiet {
        let log = std::fs::File::create(self.path(&format!("{}.log", name.replace('/', "-"))));
        let mut command = self.command();
        command
            .args(arguments)
            .args(["--rpc", &self.rpc, "--deployment", "deployment.json", "--data-dir", name])
            .args(["--set", "chain.poll_interval=200ms", "--set", "submit.block_time=1s"])
            .args(["--set", "submit.send_lead=0s"])
            .stdout(Stdio::null())
            .stderr(log.expect("a log"));
        if let Some(key) = key {
            command.env("WATCHTOWER_ACCOUNT_KEY", key);
        }
        Quiet(command.spawn().expect("it starts"))
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// The answer of a command, if it succeeds.
    pub(crate) fn try_ask(&self, who: &str, command: &[&str]) -> Result<String, String> {
        let output = self
            .command()
            .args(command)
            .args(["--data-dir", who])
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(text),
            false => Err(format!("{text}\n{}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    pub(crate) fn ask(&self, who: &str, command: &[&str]) -> String {
        self.try_ask(who, command).unwrap_or_else(|error| {
            let log = self.log(&who.replace('/', "-"));
            panic!("{who}: {command:?}: {error}\n{log}")
        })
    }

    /// A payment from a participant's first channel to a second one of its own: two final states.
    pub(crate) fn pay_oneself(&self, who: &str, invitation: &str) {
        self.ask(who, &["open", invitation, "--deposit", "1000", "--another", "--wait"]);
        // The hub reads the chain for itself, a moment later perhaps: it is asked again by the node, not by this test.
        self.ask(who, &["pay", "2", "--amount", "10", "--channel", "1", "--wait"]);
    }

    pub(crate) fn status(&self, who: &str) -> Option<Value> {
        serde_json::from_str(&self.try_ask(who, &["status", "--json"]).ok()?).ok()
    }
}

pub(crate) fn is_ready(port: u16) -> bool {
    let url = format!("http://127.0.0.1:{port}");
    let mut health = Command::new(watchtower());
    health.args(["health", &url]).stdout(Stdio::null()).stderr(Stdio::null());
    health.status().is_ok_and(|status| status.success())
}
