//! The program as a person meets it: commands, exit codes, words.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

const PASSWORD: &str = "correct horse battery";

fn watchtower(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchtower"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The command fails with this code and these words, and prints no result.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for word in words {
        assert!(told.contains(word), "{word} is not in: {told}");
    }
    assert!(!told.contains("panicked"), "{told}");
    assert!(!told.contains(PASSWORD), "a secret is printed");
}

const SOUND: &str =
    "[chain]\nchain_id = 1\nvipe = \"0x1111111111111111111111111111111111111111\"\n";

#[test]
fn check_config_prints_what_run_would_use() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tower.toml"), SOUND).unwrap();
    let output = watchtower(
        directory.path(),
        &["check-config", "-c", "tower.toml", "--set", "shutdown.grace=3s", "--rpc", "ws://node:1"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed: toml::Table = toml::from_str(text(&output.stdout)).unwrap();
    assert_eq!(printed["shutdown"]["grace"].as_str(), Some("3s"));
    assert_eq!(printed["chain"]["rpc"].as_str(), Some("ws://node:1"));
    assert_eq!(printed["chain"]["chain_id"].as_integer(), Some(1));

    // What it prints is a file that says the same.
    std::fs::write(directory.path().join("printed.toml"), &output.stdout).unwrap();
    let again = watchtower(directory.path(), &["check-config", "-c", "printed.toml"]);
    assert_eq!(text(&again.stdout), text(&output.stdout));
}

#[test]
fn the_network_is_chosen_by_flags_and_can_be_switched_off() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tower.toml"), SOUND).unwrap();
    let check = |more: &[&str]| {
        watchtower(directory.path(), &[&["check-config", "-c", "tower.toml"], more].concat())
    };
    let (quic, tcp) = ("/ip4/127.0.0.1/udp/9645/quic-v1", "/ip4/127.0.0.1/tcp/9645");
    let peer =
        "/dns4/tower.example/tcp/9645/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let output = check(&[
        "--listen-p2p",
        quic,
        "--listen-p2p",
        tcp,
        "--bootstrap",
        peer,
        "--shards",
        "0-15,20",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed: toml::Table = toml::from_str(text(&output.stdout)).unwrap();
    let network = &printed["network"];
    assert_eq!(network["listen"].as_array().unwrap().len(), 2);
    assert_eq!(network["bootstrap"][0].as_str(), Some(peer));
    assert_eq!(network["shards"].as_str(), Some("0-15,20"));
    assert_eq!(network["enabled"].as_bool(), Some(true));
    let output = check(&["--no-p2p"]);
    let printed: toml::Table = toml::from_str(text(&output.stdout)).unwrap();
    assert_eq!(printed["network"]["enabled"].as_bool(), Some(false));
    assert_refused(&check(&["--no-p2p", "--listen-p2p", tcp]), 2, &["--no-p2p"]);
    assert_refused(&check(&["--bootstrap", tcp]), 3, &["network.bootstrap", "name"]);
    assert_refused(&check(&["--shards", "some"]), 3, &["network.shards"]);
}

#[test]
fn bad_configuration_is_refused_with_code_3_and_names_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(directory.path().join("tower.toml"), text).unwrap();
    let check = || watchtower(directory.path(), &["check-config", "-c", "tower.toml"]);
    assert_refused(&check(), 3, &["cannot read", "tower.toml"]);
    write("[chain\n");
    assert_refused(&check(), 3, &["tower.toml", "line 1"]);
    write(&format!("{SOUND}vault = 1\n"));
    assert_refused(&check(), 3, &["tower.toml", "line 4", "vault"]);
    write("[log]\nformat = \"xml\"\n");
    assert_refused(&check(), 3, &["line 2", "xml"]);
    let missing = watchtower(directory.path(), &["check-config"]);
    assert_refused(&missing, 3, &["chain.chain_id", "is missing"]);
    let unknown = watchtower(directory.path(), &["check-config", "--set", "chain.rcp=x"]);
    assert_refused(&unknown, 3, &["chain.rcp", "no such key"]);
    assert_refused(&watchtower(directory.path(), &["fly"]), 2, &["fly"]);
}

#[test]
fn keys_are_made_shown_and_never_overwritten_or_printed() {
    let directory = tempfile::tempdir().unwrap();
    let made = watchtower(directory.path(), &["keys", "new"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let shown = watchtower(directory.path(), &["keys", "show"]);
    let account = text(&shown.stdout).trim().to_owned();
    assert!(account.starts_with("account  0x"), "{account}");
    assert!(text(&made.stdout).contains(&account));
    assert_refused(&watchtower(directory.path(), &["keys", "new"]), 4, &["exists already"]);

    let seed = watchtower(directory.path(), &["keys", "new", "--seed", "node.seed"]);
    assert!(seed.status.success(), "{}", text(&seed.stderr));
    let path = directory.path().join("node.seed");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&path).unwrap();
    assert!(!text(&seed.stdout).contains(secret.trim()), "the seed is not printed");
    let public = watchtower(directory.path(), &["keys", "show", "--seed", "node.seed"]);
    assert!(text(&public.stdout).contains("session"), "{}", text(&public.stdout));
    let twice = watchtower(directory.path(), &["keys", "new", "--seed", "node.seed"]);
    assert_refused(&twice, 4, &["exists already"]);
    std::fs::write(directory.path().join("wrong"), "another password").unwrap();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(directory.path().join("wrong"), mode).unwrap();
    let locked = watchtower(directory.path(), &["keys", "show", "--password-file", "wrong"]);
    assert_refused(&locked, 4, &["does not open"]);
}

#[test]
fn run_says_what_is_missing_step_by_step() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tower.toml"), SOUND).unwrap();
    let run = |more: &[&str]| {
        let arguments =
            [&["run", "-c", "tower.toml", "--rpc", "http://127.0.0.1:1"], more].concat();
        watchtower(directory.path(), &arguments)
    };
    assert_refused(&watchtower(directory.path(), &["run"]), 3, &["chain.chain_id"]);
    assert_refused(&run(&[]), 4, &["watchtower keys new"]);
    assert!(watchtower(directory.path(), &["keys", "new"]).status.success());
    assert_refused(&run(&[]), 5, &["cannot reach", "check that the node runs"]);
    assert_refused(&run(&["--log", "watchtower=loud"]), 3, &["log.filter"]);
}

#[test]
fn inspect_says_when_there_is_nothing_and_prints_json_when_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = watchtower(directory.path(), &["inspect", "facts"]);
    assert_refused(&nothing, 3, &["holds no store"]);
    let data = directory.path().join("watchtower-data");
    std::fs::create_dir(&data).unwrap();
    let facts = store::Facts {
        chain_id: 5,
        vipe: alloy_primitives::Address::repeat_byte(1),
        account: alloy_primitives::Address::repeat_byte(2),
    };
    drop(store::Store::open(data.join("tower.redb"), facts).unwrap());
    let output = watchtower(directory.path(), &["inspect", "facts"]);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["chain_id"], 5);
    for what in ["channels", "backups", "disputes", "journal", "outbox"] {
        let output = watchtower(directory.path(), &["inspect", what]);
        assert!(output.status.success() && output.stdout.is_empty(), "{what}");
    }
    std::fs::write(data.join("tower.redb"), b"damaged, and long enough\n".repeat(200)).unwrap();
    assert_refused(&watchtower(directory.path(), &["inspect", "facts"]), 6, &["damaged"]);
}
