//! Nodes as people and programs use them, with real processes: the session that the README points at, and the local API
//! under whatever its own description lets a fuzzer think of.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]
#![allow(clippy::panic, reason = "a test that fails panics")]
#![allow(clippy::print_stdout, reason = "what the session and the fuzzer told, for whoever looks")]

#[path = "support/process.rs"]
mod process;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use process::{Quiet, port};
use support::{Server, watchtower};

const PASSWORD: &str = "nothing of value";
/// Accounts of the public development mnemonic: the last one operates the pool.
const HUB_KEY: &str = "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";
const ALICE_KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

#[test]
fn e2e_the_session_of_ten_minutes_plays_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new("bash")
        .arg(integration_tests::root().join("docs/session.sh"))
        .env("WATCHTOWER", watchtower())
        .env("FOLDER", folder.path())
        .env("TOWER_PORT", port().to_string())
        .env("HUB_PORT", port().to_string())
        .output()
        .expect("bash is there");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stderr);
    // Two openings, a deposit, a withdrawal, a close, an exit; and eleven payments.
    assert_eq!(told.matches("costs about ").count(), 6, "{told}");
    assert_eq!(told.matches("costs nothing: the hub asks for no fee").count(), 11, "{told}");
    for step in ["ten payments", "backed up", "disk is lost", "closes", "a dispute", "done"] {
        assert!(text.contains(step), "the session has no step about {step}");
    }
}

/// A chain with everybody endowed, a hub, and alice with a live channel; no towers.
struct World {
    folder: tempfile::TempDir,
    _processes: (Server, Quiet, Quiet),
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut devnet = Command::new(watchtower());
        devnet.current_dir(folder.path()).args(["devnet", "--port", "0", "--endow", "1000000000"]);
        devnet.args(["--deploy", "deployment.json", "--window-s", "20"]);
        // Ready once everybody is endowed, the pool too: a hub whose pool is empty accepts nobody.
        let (chain, line) = Server::start(&mut devnet, "rpc ", "Ctrl-C");
        let rpc = line.split_whitespace().last().expect("the line ends with the address");
        std::fs::write(
            folder.path().join("policy.toml"),
            "[backup]\ntarget = 0\nrestore_quorum = 0\n",
        )
        .expect("written");
        let hub = node(&folder, ("hub", HUB_KEY), rpc, &["hub", "run"]);
        let alice = node(&folder, ("alice", ALICE_KEY), rpc, &["node", "run"]);
        let world = Self { folder, _processes: (chain, hub, alice) };
        let invitation = world.ask("hub", &["hub", "invitation"]);
        world.ask("alice", &["open", invitation.trim(), "--deposit", "500000000", "--wait"]);
        world
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn output(&self, who: &str, command: &[&str]) -> Output {
        Command::new(watchtower())
            .current_dir(self.folder.path())
            .args(command)
            .args(["--data-dir", who])
            .output()
            .expect("the program runs")
    }

    fn ask(&self, who: &str, command: &[&str]) -> String {
        let output = self.output(who, command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{who}: {command:?}: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Runs a node, and waits until it answers.
fn node(folder: &tempfile::TempDir, (name, key): (&str, &str), rpc: &str, role: &[&str]) -> Quiet {
    let (place, home) = (folder.path(), folder.path().join(name));
    std::fs::create_dir_all(&home).expect("made");
    private(&home.join("key.hex"), key);
    let import = Command::new(watchtower())
        .current_dir(place)
        .env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD)
        .args(["keys", "import", &format!("{name}/key.hex"), "--data-dir", name])
        .output()
        .expect("the program runs");
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let mut command = Command::new(watchtower());
    command
        .current_dir(place)
        .env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD)
        .args(role)
        .args(["--rpc", rpc, "--deployment", "deployment.json", "--policy", "policy.toml"])
        .args(["--set", "chain.poll_interval=200ms", "--set", "submit.block_time=1s"])
        .args(["--set", "submit.send_lead=0s", "--data-dir", name])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(place.join(format!("{name}.log"))).expect("a log"));
    if name == "hub" {
        command.args(["--link", &format!("/ip4/127.0.0.1/tcp/{}", port())]);
    }
    let process = Quiet(command.spawn().expect("it starts"));
    until(&format!("{name}'s node"), || {
        let status = Command::new(watchtower())
            .current_dir(place)
            .args(["status", "--data-dir", name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    });
    process
}

fn private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("made");
    file.write_all(text.as_bytes()).expect("written");
}

#[test]
fn e2e_every_command_says_what_it_costs_before_it_does_anything() {
    let world = World::start();
    // Each is refused by the node: what stands before the refusal was said before anything was done.
    let orders: [(&str, &[&str], &str); 8] = [
        ("alice", &["open", "vrc1nothing", "--deposit", "5"], "costs about 0."),
        ("alice", &["fund", "5", "--channel", "99"], "costs about 0."),
        ("alice", &["withdraw", "5", "--channel", "99"], "costs about 0."),
        ("alice", &["close", "--channel", "99"], "costs about 0."),
        ("alice", &["cancel", "99"], "costs about 0."),
        ("alice", &["exit", "--channel", "99"], "as the fee"),
        ("alice", &["pay", "99", "--amount", "5"], "costs nothing: the hub asks for no fee"),
        ("hub", &["hub", "allocate", "99", "5"], "costs about 0."),
    ];
    for (who, order, costs) in orders {
        let output = world.output(who, order);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{order:?}: {told}");
        let before = told.split("error: ").next().expect("there is a refusal");
        assert!(before.contains(costs) && before.len() < told.len(), "{order:?}: {told}");
        // Machines are told nothing but the refusal.
        let output = world.output(who, &[order, &["--json"]].concat());
        let told: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON alone");
        assert_eq!(told["error"]["code"], 1, "{order:?}: {told}");
    }
    for who in ["alice", "hub"] {
        let costs = world.ask(who, &["costs"]);
        assert!(costs.lines().count() >= 4 && costs.contains("exit"), "{who}: {costs}");
    }
}

/// What every answer is held to. That every request the description allows is accepted is not among it: most name channels
/// that are not there.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth";

/// Where the fuzzer is, if it is installed: `./test.sh e2e` does that.
fn fuzzer() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join("schemathesis")).find(|it| it.is_file())
}

#[test]
fn e2e_the_local_api_answers_whatever_its_description_allows_and_whatever_it_does_not() {
    let Some(fuzzer) = fuzzer() else {
        println!("SKIPPED: schemathesis is not installed");
        return;
    };
    let world = World::start();
    for who in ["alice", "hub"] {
        let read = |file: &str| {
            std::fs::read_to_string(world.path(&format!("{who}/{file}"))).expect("it is there")
        };
        let (address, token) = (read("api.address"), read("api.token"));
        let output = Command::new(&fuzzer)
            .current_dir(world.folder.path())
            .args(["run", &format!("http://{}/v1/openapi.json", address.trim())])
            .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
            .args(["--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "40"])
            .args(["--max-time", "60", "--request-timeout", "10", "--seed", "1"])
            .args(["--workers", "1", "--continue-on-failure", "--no-color"])
            .output()
            .expect("the fuzzer runs");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{text}");
        assert!(output.status.success(), "{who}: {text}");
        assert!(!world.ask(who, &["status"]).is_empty(), "{who} still answers");
    }
}
