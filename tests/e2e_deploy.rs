//! `watchtower deploy` as a person runs it: the real binary against the embedded chain and a real anvil; repeated,
//! interrupted, on the wrong chain, with something else in a contract's place.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]
#![allow(clippy::panic, reason = "a test that fails panics")]

#[path = "support/anvil.rs"]
mod anvil;
mod support;

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anvil::Anvil;
use serde_json::{Value, json};
use support::{Server, watchtower};

const PASSWORD: &str = "correct horse battery";
/// Accounts of the public development mnemonic: the deployer's key, and the address of an operator.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const OPERATOR: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// The exit code of trouble with a chain.
const CHAIN: i32 = 5;

/// A chain that is a process of its own.
enum Node {
    Embedded { _server: Server, line: String },
    Anvil(Anvil),
}

impl Node {
    /// The embedded chain, with a block every so many milliseconds.
    fn embedded(block_ms: &str) -> Self {
        let mut command = Command::new(watchtower());
        command.args(["devnet", "--port", "0", "--block-ms", block_ms]);
        let (_server, line) = Server::start(&mut command, "http://", "http://");
        Self::Embedded { _server, line }
    }

    fn url(&self) -> &str {
        match self {
            Self::Embedded { line, .. } => {
                line.split_whitespace().last().expect("the line ends with the address")
            }
            Self::Anvil(anvil) => &anvil.url,
        }
    }

    fn ask(&self, method: &str, params: &Value) -> Value {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let host = self.url().trim_start_matches("http://").trim_end_matches('/');
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(host).expect("the node listens");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }
}

/// Where a person works: a folder with an account.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        let key = desk.path("key");
        std::fs::write(&key, KEY).expect("written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("private");
        let imported = desk.command(&["keys", "import", "key"]).output().expect("it runs");
        assert!(imported.status.success(), "{}", text(&imported.stderr));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(watchtower());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD);
        command
    }

    fn deploy_command(&self, node: &Node, more: &[&str]) -> Command {
        let fixed = ["deploy", "development", "--rpc", node.url(), "--operator", OPERATOR];
        self.command(&[&fixed, more].concat())
    }

    fn deploy(&self, node: &Node, more: &[&str]) -> Output {
        self.deploy_command(node, more).output().expect("it runs")
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.path("deployment.json")).expect("the deployment file")
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// It succeeded; how many contracts it found, and how many it made.
fn done(output: &Output) -> (usize, usize) {
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", text(&output.stderr));
    assert!(told.contains("read back: the code of"), "{told}");
    (told.matches(" already\n").count(), told.matches(" gas\n").count())
}

/// It was refused in these words, printed no result, and said nothing that only a developer understands.
fn refused(output: &Output, words: &[&str]) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(CHAIN), "{told}");
    words.iter().for_each(|word| assert!(told.contains(word), "{word} is not in: {told}"));
    assert!(!told.contains("panicked") && !told.contains(PASSWORD), "{told}");
    assert!(!text(&output.stdout).contains("vault "), "{}", text(&output.stdout));
}

/// Everything that may be asked of the command on a chain.
fn whole_story(node: &Node) {
    let desk = Desk::new();
    let first = desk.deploy(node, &[]);
    let (_, made) = done(&first);
    assert!(made >= 4, "verifier, asset, vault and pool: {}", text(&first.stdout));
    let file = desk.file();
    let written: Value = serde_json::from_str(&file).expect("JSON");
    let code = node.ask("eth_getCode", &json!([written["vipe"]["address"], "latest"]));
    assert!(code.as_str().is_some_and(|code| code.len() > 10_000), "the vault is there");

    // Again, by the same person: nothing is sent, and the file says the same.
    let count = |node: &Node| {
        let account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        node.ask("eth_getTransactionCount", &json!([account, "latest"]))
    };
    let before = count(node);
    assert_eq!(done(&desk.deploy(node, &[])), (made + usize::from(made == 4), 0));
    assert_eq!((count(node), desk.file()), (before.clone(), file));
    // And without the file: it is found again from the account's own transactions.
    std::fs::remove_file(desk.path("deployment.json")).expect("removed");
    assert_eq!(done(&desk.deploy(node, &[])).1, 0);
    assert_eq!(count(node), before);
    let again: Value = serde_json::from_str(&desk.file()).expect("JSON");
    for what in ["vipe", "verifier", "token", "vip", "factory", "chain_id"] {
        assert_eq!(again[what], written[what], "{what}");
    }
    let start = again["start_block"].as_u64().expect("a height");
    let before = json!([written["vipe"]["address"], format!("{start:#x}")]);
    assert_eq!(node.ask("eth_getCode", &before), "0x", "the vault was not there at block {start}");

    other_commands_read_the_file(&desk, node, &written);

    // Another salt is another vault: the file of the first is kept.
    let salt = format!("0x{}", "11".repeat(32));
    let other = desk.deploy(node, &["--salt", &salt]);
    assert!(done(&other).1 >= 2, "{}", text(&other.stdout));
    let vault = written["vipe"]["address"].as_str().expect("an address").to_lowercase();
    let names: Vec<String> = std::fs::read_dir(desk.folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().to_lowercase())
        .collect();
    assert!(names.iter().any(|name| *name == format!("deployment.json.{vault}")), "{names:?}");

    something_else_in_a_contracts_place(&desk, node, &salt);
}

fn other_commands_read_the_file(desk: &Desk, node: &Node, written: &Value) {
    let with_file = ["--rpc", node.url(), "--deployment", "deployment.json"];
    let check = desk.command(&[&["check-config"], &with_file[..]].concat()).output();
    let check = check.expect("it runs");
    let printed = text(&check.stdout);
    assert!(check.status.success(), "{}", text(&check.stderr));
    let vault = written["vipe"]["address"].as_str().expect("an address");
    assert!(printed.to_lowercase().contains(&vault.to_lowercase()), "{printed}");
    // `run` compares the contracts with it before it listens.
    let mut command = desk.command(&[&["run", "--listen", "127.0.0.1:0"], &with_file[..]].concat());
    let mut tower = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(tower.stderr.take().expect("a log")).lines();
    let told: Vec<String> = lines
        .map_while(Result::ok)
        .scan(false, |over, line| {
            let go_on = !std::mem::replace(over, line.contains("the tower runs"));
            go_on.then_some(line)
        })
        .collect();
    tower.kill().and_then(|()| tower.wait()).expect("it ends");
    assert!(told.last().is_some_and(|line| line.contains("the tower runs")), "{told:?}");
}

fn something_else_in_a_contracts_place(desk: &Desk, node: &Node, salt: &str) {
    let file = desk.file();
    let written: Value = serde_json::from_str(&file).expect("JSON");
    let vault = &written["vipe"]["address"];
    let code = node.ask("eth_getCode", &json!([vault, "latest"]));
    // One bit in the middle of it.
    let mut changed = code.as_str().expect("code").to_owned();
    let middle = changed.len() / 2;
    let other = if changed.get(middle..=middle) == Some("0") { "1" } else { "0" };
    changed.replace_range(middle..=middle, other);
    node.ask("anvil_setCode", &json!([vault, changed]));
    refused(&desk.deploy(node, &["--salt", salt]), &["the vault", "is not what was deployed"]);
    assert_eq!(desk.file(), file, "the file is as it was");
    node.ask("anvil_setCode", &json!([vault, code]));
    assert_eq!(done(&desk.deploy(node, &["--salt", salt])).1, 0);
}

#[test]
fn e2e_deploy_on_the_embedded_chain_can_be_repeated_and_is_read_by_other_commands() {
    whole_story(&Node::embedded("100"));
}

#[test]
fn e2e_deploy_on_anvil_can_be_repeated_and_is_read_by_other_commands() {
    whole_story(&Node::Anvil(Anvil::start(&[])));
}

#[test]
fn e2e_deploy_on_the_wrong_chain_or_over_a_strange_file_changes_nothing() {
    let (node, desk) = (Node::Anvil(Anvil::start(&[])), Desk::new());
    let elsewhere = Node::Anvil(Anvil::start(&["--chain-id", "7777"]));
    let mainnet = Node::Anvil(Anvil::start(&["--chain-id", "1"]));
    refused(&desk.deploy(&node, &["--set", "chain.chain_id=5"]), &["on chain 31337", "says 5"]);
    assert!(!desk.path("deployment.json").exists());
    assert_eq!(done(&desk.deploy(&node, &[])).0, 1, "anvil has the factory");
    let file = desk.file();
    refused(&desk.deploy(&elsewhere, &[]), &["on chain 7777", "says 31337", "--out"]);
    refused(&desk.deploy(&mainnet, &["--out", "mainnet.json"]), &["chain 1 holds value"]);
    let unreachable =
        ["deploy", "development", "--rpc", "http://127.0.0.1:1", "--out", "none.json"];
    let output = desk.command(&unreachable).output().expect("it runs");
    refused(&output, &["cannot reach the node", "check that the node runs"]);
    std::fs::write(desk.path("notes.json"), "my notes").expect("written");
    refused(&desk.deploy(&node, &["--out", "notes.json"]), &["move it away", "notes.json"]);
    assert_eq!(std::fs::read(desk.path("notes.json")).expect("kept"), b"my notes");
    assert_eq!(desk.file(), file);
    // Words for what is missing, too.
    let account = json!(["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x0"]);
    elsewhere.ask("anvil_setBalance", &account);
    refused(&desk.deploy(&elsewhere, &["--out", "poor.json"]), &["has no ether on chain 7777"]);
    let nobody = ["deploy", "l1", "--asset", OPERATOR, "--out", "l1.json", "--rpc", node.url()];
    refused(&desk.command(&nobody).output().expect("it runs"), &["there is no token at"]);
}

/// Kills the command with SIGKILL `after` the line that holds `line` (or its start), and returns what it had told.
fn interrupted(command: &mut Command, line: Option<&str>, after: Duration) -> String {
    let mut process = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let output = BufReader::new(process.stdout.take().expect("an output"));
    let mut told = String::new();
    for read in output.lines().map_while(Result::ok) {
        told.push_str(&read);
        told.push('\n');
        if line.is_none_or(|line| read.contains(line)) {
            break;
        }
    }
    #[allow(clippy::disallowed_methods, reason = "a test without an executor")]
    std::thread::sleep(after);
    process.kill().and_then(|()| process.wait()).expect("it ends");
    told
}

fn interrupted_at_every_step(node: &Node, waits_ms: &[u64]) {
    let steps = [None, Some("the factory"), Some("the verifier"), Some("asset"), Some("the vault")];
    for (number, step) in steps.into_iter().enumerate() {
        // At once, and when the next transaction waits in the pool.
        for (wait, after_ms) in waits_ms.iter().enumerate() {
            let desk = Desk::new();
            let salt = format!("0x{:064x}", number * waits_ms.len() + wait + 1);
            let more = ["--salt", &salt];
            let stopped = interrupted(
                &mut desk.deploy_command(node, &more),
                step,
                Duration::from_millis(*after_ms),
            );
            assert!(!desk.path("deployment.json").exists(), "{stopped}");
            let output = desk.deploy(node, &more);
            let (found, made) = done(&output);
            let told = text(&output.stdout);
            assert!(found + made >= 5, "{step:?}: {told}");
            // What was told before is found and not made again.
            for made in stopped.lines().filter(|line| line.ends_with(" gas")) {
                let address = made.split([' ', ',']).find(|word| word.starts_with("0x"));
                let address = address.expect("a line names its contract");
                assert!(told.contains(&format!("{address} already")), "{address}: {told}");
            }
            assert_eq!(done(&desk.deploy(node, &more)).1, 0, "and now it is complete");
        }
    }
}

#[test]
fn e2e_deploy_interrupted_at_any_step_goes_on_where_it_was() {
    interrupted_at_every_step(&Node::embedded("300"), &[0, 150]);
    interrupted_at_every_step(&Node::Anvil(Anvil::start(&["--block-time", "1"])), &[500]);
}
