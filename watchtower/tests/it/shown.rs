//! Release evidence: three real towers and a monitor under load with disputes, a real Prometheus, and every dashboard drawn.
//!
//! ```text
//! SHOWN_MINUTES=8 cargo test --release -p watchtower --test it -- every_dashboard_is_drawn
//! ```
//! Needs Prometheus and Chromium (Debian packages), Python, and Node with npm. The pictures go to docs/dashboards/.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alloy_primitives::hex;
use chain::devnet::Mining;
use protocol::Role;
use protocol::testing::Pair;
use serde_json::Value;

use crate::members::MEMBERS;
use crate::observed::{Process, import_key, text, tool, watchtower};
use crate::world::{SIDE, World};

/// Seconds of a dispute's window, with a block a second.
const WINDOW_S: u64 = 90;
/// Channels, which are disputed one after another.
const CHANNELS: u64 = 24;
/// The time between two disputes.
const DISPUTE_EVERY: Duration = Duration::from_secs(25);
/// The time between two backups.
const BACKUP_EVERY: Duration = Duration::from_millis(400);

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Member {
    http: String,
    _process: Process,
}

async fn get(http: &str, page: &str) -> Option<Value> {
    reqwest::get(format!("http://{http}{page}")).await.ok()?.json().await.ok()
}

/// A tower in a process of its own, which knows the towers at `bootstrap`.
async fn member(world: &World, number: usize, bootstrap: &str) -> (Member, String) {
    let folder = world.directory.path().join(format!("shown-{number}"));
    std::fs::create_dir(&folder).unwrap();
    import_key(world, &folder, &hex::encode(MEMBERS[number]));
    let (http, p2p) = (format!("127.0.0.1:{}", free_port()), free_port());
    let place = format!("/ip4/127.0.0.1/tcp/{p2p}");
    let mut command =
        watchtower(world, &["run", "--listen", &http, "--data-dir", folder.to_str().unwrap()]);
    command.args([
        "--set",
        &format!("network.listen={place}"),
        "--set",
        &format!("network.bootstrap={bootstrap}"),
    ]);
    for set in [
        "network.reachable=true",
        "network.sync_interval=5s",
        "submit.block_time=1s",
        "submit.send_lead=0s",
    ] {
        command.args(["--set", set]);
    }
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let process = Process(command.stderr(log).spawn().unwrap());
    for _ in 0..2_400 {
        if reqwest::get(format!("http://{http}/readyz"))
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            let peer = get(&http, "/v1/status").await.unwrap()["network"]["peer"]
                .as_str()
                .unwrap()
                .to_owned();
            return (Member { http, _process: process }, format!("{place}/p2p/{peer}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("tower {number} is not ready: {:?}", get(&http, "/readyz").await);
}

/// A Prometheus that reads these addresses under these names, with the alert rules as they are shipped.
pub(crate) fn prometheus(
    world: &World,
    program: &Path,
    targets: &[(&str, &str)],
) -> (Process, String) {
    let folder = world.directory.path();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml");
    let rules = rules.canonicalize().unwrap();
    let mut config = format!(
        "global: {{scrape_interval: 2s, evaluation_interval: 2s}}\nrule_files: [{:?}]\nscrape_configs:\n  - job_name: watchtower\n    static_configs:\n",
        rules.display().to_string()
    );
    for (address, name) in targets {
        let target = format!(
            "      - targets: [{address:?}]\n        labels: {{network: devnet, instance: {name:?}}}\n"
        );
        config.push_str(&target);
    }
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let child = Command::new(program)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--web.listen-address={address}"))
        .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (Process(child), format!("http://{address}"))
}

/// Backups without end, some of them old or damaged, and a dispute now and then: stale ones, and one that nobody can answer.
async fn load(world: &World, towers: &[Member], pairs: &[Pair], until: Instant) {
    let client = reqwest::Client::new();
    let (mut nonce, mut round, mut disputed, mut next) =
        (10_u64, 0_usize, 0_usize, Instant::now() + DISPUTE_EVERY);
    while Instant::now() < until {
        nonce += 1;
        round += 1;
        let pair = &pairs[round % (pairs.len() - 1)];
        let mut bytes =
            pair.seal(Role::Participant, &pair.final_state(nonce, 2 * SIDE - 100)).to_bytes();
        if round.is_multiple_of(17) {
            bytes[200] ^= 1;
        }
        for tower in towers.iter().skip(round % towers.len()).take(1 + round % 2) {
            let body = format!("{{\"envelope\":\"{}\"}}", hex::encode_prefixed(&bytes));
            let request = client.post(format!("http://{}/v1/backups", tower.http));
            let _ = request.header("content-type", "application/json").body(body).send().await;
        }
        if Instant::now() > next && disputed < pairs.len() - 1 {
            // The last pair's backups are nowhere: its dispute, the second one, stays unanswered.
            let place = if disputed == 1 { pairs.len() - 1 } else { disputed };
            let pair = &pairs[place];
            world.dispute(pair, &pair.final_state(3, 100)).await;
            disputed += 1;
            next = Instant::now() + DISPUTE_EVERY;
        }
        tokio::time::sleep(BACKUP_EVERY).await;
    }
}

#[expect(clippy::print_stderr, reason = "what was seen is part of the evidence")]
fn tell(words: &str) {
    eprintln!("{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dashboard_is_drawn_from_a_real_prometheus_and_three_towers_under_load() {
    let minutes = std::env::var("SHOWN_MINUTES").ok().and_then(|text| text.parse::<u64>().ok());
    let Some(minutes) = minutes else {
        tell("SKIPPED: release evidence, for which SHOWN_MINUTES says how long");
        return;
    };
    let program = tool("prometheus", "prometheus").expect("Prometheus is needed");
    let world = World::start(WINDOW_S).await;
    world.devnet.set_mining(Mining::Every { millis: 1_000 }).unwrap();
    let mut pairs = Vec::new();
    for seed in 0..CHANNELS {
        pairs.push(world.open(900 + seed).await);
    }
    let (first, place) = member(&world, 0, "").await;
    let (second, other) = member(&world, 1, &place).await;
    let (third, _) = member(&world, 2, &format!("{place},{other}")).await;
    let towers = [first, second, third];
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = watchtower(&world, &["monitor", "--listen", &listen]);
    for tower in &towers {
        command.args(["--tower", &format!("http://{}", tower.http)]);
    }
    let _monitor = Process(command.stderr(Stdio::null()).spawn().unwrap());
    let mut targets: Vec<_> = towers.iter().map(|tower| tower.http.clone()).collect();
    targets.push(listen);
    let names = ["tower-1:8645", "tower-2:8645", "tower-3:8645", "monitor:8645"];
    let named: Vec<_> = targets.iter().map(String::as_str).zip(names).collect();
    let (_prometheus, url) = prometheus(&world, &program, &named);
    tell(&format!(
        "towers and the monitor: {targets:?}; Prometheus: {url}; the chain: {}, its deployment: {}",
        world.devnet.http_url(),
        world.directory.path().join("deployment.json").display()
    ));
    load(&world, &towers, &pairs, Instant::now() + Duration::from_secs(60 * minutes)).await;

    let alerts =
        reqwest::get(format!("{url}/api/v1/alerts")).await.unwrap().json::<Value>().await.unwrap();
    for alert in alerts["data"]["alerts"].as_array().unwrap() {
        tell(&format!(
            "alert {} {} {}",
            alert["state"], alert["labels"]["alertname"], alert["labels"]["instance"]
        ));
    }
    for tower in &towers {
        let status = get(&tower.http, "/v1/status").await.unwrap();
        tell(&format!(
            "{}: ready {}, towers {}",
            tower.http, status["ready"], status["network"]["towers"]
        ));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new("python3")
        .args([
            "dashboards/draw.py",
            &url,
            "docs/dashboards",
            "--skip",
            "node",
            "--minutes",
            &minutes.to_string(),
        ])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
