//! Nodes beside what they need, with real processes: a node inside a tower, a key that another process holds, and the towers'
//! gossip.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]
#![allow(clippy::panic, reason = "a test that fails panics")]
#![allow(clippy::print_stdout, reason = "what a machine lets be tested, for whoever looks")]

#[path = "support/anvil.rs"]
mod anvil;
#[path = "support/process.rs"]
mod process;
#[path = "support/settled.rs"]
mod settled;
mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use process::port;
use serde_json::Value;
use settled::{ALICE, HUB, SECOND_KEY, TOWER_KEY, World, is_ready, until};
use support::watchtower;

#[test]
fn e2e_a_tower_runs_a_node_inside_and_neither_stops_the_other() {
    let world = World::start();
    world.import("tower", TOWER_KEY);
    world.import("tower/node", ALICE.0);
    world.import("second", SECOND_KEY);
    world.import("hub", HUB.0);
    let (first, second, api, hub_port) = (port(), port(), port(), port());
    let (listen, other) = (format!("127.0.0.1:{first}"), format!("http://127.0.0.1:{second}"));
    // The node cannot have its port: it fails to start, and the tower does not mind.
    let taken = TcpListener::bind(("127.0.0.1", api)).expect("it was free");
    let (api_key, towers) = (format!("node.api=127.0.0.1:{api}"), format!("node.towers={other}"));
    let _tower = world.run(
        "tower",
        &["run", "--listen", &listen, "--set", "node.role=participant", "--set", &api_key]
            .into_iter()
            .chain(["--set", &towers, "--set", "node.policy=policy.toml"])
            .collect::<Vec<_>>(),
    );
    let second_listen = format!("127.0.0.1:{second}");
    let _second = world.run("second", &["run", "--listen", &second_listen]);
    let place = format!("/ip4/127.0.0.1/tcp/{hub_port}");
    let hub = ["hub", "run", "--policy", "policy.toml", "--tower", &other, "--link", &place];
    let _hub = world.run("hub", &hub);
    until("the tower", || is_ready(first));
    until("the node's failure is told", || {
        world.log("tower").contains("this part failed; the other one goes on")
    });
    assert!(is_ready(first), "the tower goes on");
    drop(taken);
    until("the node, which comes again by itself", || world.status("tower/node").is_some());
    until("the hub", || world.status("hub").is_some());
    let invitation = world.ask("hub", &["hub", "invitation"]);
    let alice = "tower/node";
    world.ask(alice, &["open", invitation.trim(), "--deposit", "500000000", "--wait"]);
    // Found by the tower's own folder, too, for whoever says that there is a node.
    world.ask("tower", &["fund", "1000", "--wait", "--set", "node.role=participant"]);
    world.ask(alice, &["withdraw", "1000", "--wait"]);
    world.pay_oneself(alice, invitation.trim());
    world.ask(alice, &["backup", "status", "--wait"]);
    // The tower around it has published the state, and its own receipt was not counted.
    let status = world.ask(alice, &["backup", "status", "--json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["towers"], 1, "the tower around it protects nothing: {status}");
    let url = format!("http://127.0.0.1:{first}/v1/backups/1/participant");
    until("the tower holds its own node's backup", || {
        let curl = Command::new("curl").args(["-sf", &url]).stdout(Stdio::null()).status();
        curl.is_ok_and(|status| status.success())
    });
    world.ask(alice, &["close", "--channel", "1", "--wait"]);
}

#[test]
fn e2e_a_tower_and_its_node_do_not_share_an_account() {
    let world = World::start();
    world.import("tower", TOWER_KEY);
    world.import("tower/node", TOWER_KEY);
    let output = world
        .command()
        .args(["run", "--data-dir", "tower", "--set", "node.role=participant"])
        .args(["--rpc", &world.rpc, "--deployment", "deployment.json"])
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(3));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("node.keystore is the tower's own account"), "{words}");
}

#[test]
fn e2e_a_key_from_the_environment_runs_a_node() {
    let world = World::start();
    let arguments = ["node", "run", "--policy", "policy.toml"];
    let _alice = world.run_with("alice", &arguments, Some(ALICE.0));
    until("the node", || world.status("alice").is_some());
    let status = world.status("alice").expect("it answers");
    assert_eq!(status["account"].as_str().map(str::to_lowercase), Some(ALICE.1.to_lowercase()));
    assert!(!world.path("alice/account.json").exists(), "the key is in no file");
}

/// Runs something that may write core dumps of any size as far as its starter goes, in a folder of its own, then aborts it:
/// whether the kernel wrote one.
fn dumps_core(world: &World, program: &Path, arguments: &[&str], ready: impl Fn(u32)) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    let mut command = world.command_of(Path::new("sh"));
    command
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    ready(child.id());
    let kill = format!("kill -ABRT {}", child.id());
    let abort = Command::new("sh").args(["-c", &kill]).status();
    assert!(abort.expect("a shell is there").success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(6), "{status}");
    status.core_dumped()
}

#[test]
fn e2e_a_node_or_a_tower_that_is_aborted_leaves_no_core_dump() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::start();
    world.import("alice", ALICE.0);
    // Whether a dump would be written here at all: else the limits are all that can be looked at.
    let writes = dumps_core(&world, Path::new("sleep"), &["60"], |pid| {
        let comm = format!("/proc/{pid}/comm");
        until("the other program", || {
            std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep")
        });
    });
    println!("a program that allows dumps writes one on this machine: {writes}");
    let look = |pid: u32| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        let core: Vec<_> = core.expect("a line").split_whitespace().skip(4).collect();
        assert_eq!(core[..2], ["0", "0"], "{limits}");
        // What is not dumpable belongs to root, whoever runs it.
        let owner = std::fs::metadata(format!("/proc/{pid}")).expect("it runs").uid();
        assert_eq!(owner, 0);
    };
    let on_chain = ["--rpc", &world.rpc, "--deployment", "deployment.json", "--data-dir"];
    let node = [&["node", "run", "--policy", "policy.toml"], &on_chain[..], &["alice"]].concat();
    let dumped = dumps_core(&world, &watchtower(), &node, |pid| {
        until("the node", || world.status("alice").is_some());
        look(pid);
    });
    assert!(!dumped, "the kernel wrote the node's memory to the disk");
    world.import("tower", TOWER_KEY);
    let port = port();
    let listen = format!("127.0.0.1:{port}");
    let tower = [&["run", "--no-p2p", "--listen", &listen], &on_chain[..], &["tower"]].concat();
    let dumped = dumps_core(&world, &watchtower(), &tower, |pid| {
        until("the tower", || is_ready(port));
        look(pid);
    });
    assert!(!dumped, "the kernel wrote the tower's memory, with its key and password, to the disk");
}

#[test]
fn e2e_keys_that_another_process_holds_open_withdraw_and_close() {
    let world = World::start();
    // Its accounts are those of the same mnemonic; nothing else of it is used.
    let mut signer = Some(anvil::Anvil::start(&[]));
    let url = signer.as_ref().map(|signer| signer.url.clone()).expect("it runs");
    let at = url.rsplit(':').next().expect("a port").to_owned();
    world.import("tower", TOWER_KEY);
    let (tower, hub_port) = (port(), port());
    let listen = format!("127.0.0.1:{tower}");
    let _tower = world.run("tower", &["run", "--listen", &listen]);
    let (tower, place) = (format!("http://{listen}"), format!("/ip4/127.0.0.1/tcp/{hub_port}"));
    let signs = format!("account.signer={url}");
    let (of_hub, of_alice) =
        (format!("account.address={}", HUB.1), format!("account.address={}", ALICE.1));
    let both = ["--policy", "policy.toml", "--tower", &tower, "--set", &signs];
    let patience = ["--set", "account.signer_timeout=2s"];
    let run = |name: &str, head: &[&str]| {
        let arguments: Vec<&str> = head.iter().chain(&both).chain(&patience).copied().collect();
        world.run(name, &arguments)
    };
    let _hub = run("hub", &["hub", "run", "--link", &place, "--set", &of_hub]);
    let _alice = run("alice", &["node", "run", "--set", &of_alice, "--seed-from-account", "0"]);
    for who in ["hub", "alice"] {
        until(who, || world.status(who).is_some());
        assert!(!world.path(who).join("account.json").exists(), "there is no key here");
    }
    let invitation = world.ask("hub", &["hub", "invitation"]);
    world.ask("alice", &["open", invitation.trim(), "--deposit", "500000000", "--wait"]);
    world.ask("alice", &["withdraw", "1000", "--wait"]);
    // The signer is away: what was ordered waits, and nothing else breaks.
    drop(signer.take());
    world.ask("alice", &["withdraw", "2000", "--order", "second"]);
    until("the trouble is told", || world.log("alice").contains("waits for the account's signer"));
    assert!(world.status("alice").is_some());
    let _again = anvil::Anvil::start_at(at.parse().expect("a port"), &[]);
    world.ask("alice", &["withdraw", "2000", "--order", "second", "--wait"]);
    world.ask("alice", &["close", "--wait"]);
    let channels = world.ask("alice", &["channels"]);
    let paid = channels.lines().find(|line| line.trim_start().starts_with("paid"));
    assert!(paid.is_some_and(|line| line.contains("499997000")), "{channels}");
}

#[test]
fn e2e_a_dispute_is_ended_by_consent_before_its_window_is_over() {
    let world = World::with_window("200");
    world.import("hub", HUB.0);
    world.import("alice", ALICE.0);
    let policy = "[backup]\ntarget = 0\nrestore_quorum = 0\n";
    std::fs::write(world.path("policy.toml"), policy).expect("written");
    let place = format!("/ip4/127.0.0.1/tcp/{}", port());
    let _hub = world.run("hub", &["hub", "run", "--policy", "policy.toml", "--link", &place]);
    let _alice = world.run("alice", &["node", "run", "--policy", "policy.toml"]);
    until("the nodes", || world.status("hub").is_some() && world.status("alice").is_some());
    let invitation = world.ask("hub", &["hub", "invitation"]);
    world.ask("alice", &["open", invitation.trim(), "--deposit", "500000000", "--wait"]);
    world.pay_oneself("alice", invitation.trim());
    let channel = || {
        let all = world.ask("alice", &["channels", "--json"]);
        let all: Value = serde_json::from_str(&all).expect("JSON");
        all["channels"][0].clone()
    };
    // A dispute with a real proof; what is agreed instead of waiting for its window is what that state pays.
    world.ask("alice", &["exit", "--channel", "1", "--now"]);
    until("the dispute", || channel()["standing"] == "disputed");
    let opened = channel()["dispute"].clone();
    assert!(opened["agreed"].is_null(), "{opened}");
    world.ask("alice", &["close", "--channel", "1", "--wait"]);
    let closed = channel();
    let (agreed, paid) = (&closed["dispute"]["agreed"], &closed["paid"]);
    assert_eq!((&closed["standing"], &paid[0]), (&"over".into(), &"499999990".into()), "{closed}");
    assert_eq!((&agreed["participant"], &agreed["vip"]), (&paid[0], &paid[1]), "{closed}");
    let deadline = |dispute: &Value| dispute["deadline"].as_u64().expect("a time");
    assert!(deadline(&closed["dispute"]) < deadline(&opened), "{opened} {closed}");
}

#[test]
fn e2e_a_node_in_the_towers_gossip_reaches_towers_that_it_does_not_know() {
    let world = World::start();
    world.import("first", TOWER_KEY);
    world.import("second", SECOND_KEY);
    world.import("hub", HUB.0);
    world.import("alice", ALICE.0);
    let (ports, p2p) = ([port(), port()], [port(), port()]);
    let place = |at: usize| format!("/ip4/127.0.0.1/tcp/{}", p2p[at]);
    let tower = |name: &str, at: usize, more: &[&str]| {
        let (listen, p2p) = (format!("127.0.0.1:{}", ports[at]), place(at));
        let base = ["run", "--listen", &listen, "--listen-p2p", &p2p];
        let reachable = ["--set", "network.reachable=true"];
        world.run(name, &base.iter().chain(&reachable).chain(more).copied().collect::<Vec<_>>())
    };
    let _first = tower("first", 0, &[]);
    until("the first tower", || is_ready(ports[0]));
    let name = world.log("first");
    let name = name.split("peer=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let bootstrap = format!("{}/p2p/{}", place(0), name.expect("it tells its name"));
    let _second = tower("second", 1, &["--bootstrap", &bootstrap]);
    until("the second tower", || is_ready(ports[1]));
    let hub_place = format!("/ip4/127.0.0.1/tcp/{}", port());
    // Nobody receipts anything: the towers' addresses are not known, only where their gossip is joined.
    let policy = "[backup]\ntarget = 0\nrestore_quorum = 0\n";
    std::fs::write(world.path("policy.toml"), policy).expect("written");
    let _hub = world.run("hub", &["hub", "run", "--policy", "policy.toml", "--link", &hub_place]);
    let alice = ["node", "run", "--policy", "policy.toml", "--bootstrap", &bootstrap];
    let _alice = world.run("alice", &alice);
    until("the nodes", || world.status("hub").is_some() && world.status("alice").is_some());
    let invitation = world.ask("hub", &["hub", "invitation"]);
    world.ask("alice", &["open", invitation.trim(), "--deposit", "500000000", "--wait"]);
    world.pay_oneself("alice", invitation.trim());
    for port in ports {
        let url = format!("http://127.0.0.1:{port}/v1/backups/1/participant");
        until("both towers hold it", || {
            let curl = Command::new("curl").args(["-sf", &url]).stdout(Stdio::null()).status();
            curl.is_ok_and(|status| status.success())
        });
    }
}
