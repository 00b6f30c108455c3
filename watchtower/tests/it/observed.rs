//! What operators see: metrics, the status page, runbooks, `top`, `doctor` and `monitor`, each with the real program.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use chain::devnet::Mining;
use protocol::Role;
use serde_json::Value;

use crate::refusals::vault_with_extension;
use crate::story::rescued;
use crate::world::{Running, SIDE, WINDOW_S, World};

const PASSWORD: &str = "correct horse battery";

/// A tool that is not a part of the program. Where it is missing the test says so, and fails where tools are required.
pub(crate) fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file());
    if found.is_none() {
        let words = format!("SKIPPED: {name} is missing (Debian package {package})");
        assert!(std::env::var_os("REQUIRE_TOOLS").is_none(), "{words}");
        say(&words);
    }
    found
}

#[expect(clippy::print_stderr, reason = "a skipped check must be heard")]
fn say(words: &str) {
    eprintln!("{words}");
}

pub(crate) fn watchtower(world: &World, arguments: &[&str]) -> Command {
    let deployment = world.directory.path().join("deployment.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command
        .args(arguments)
        .args(["--rpc", &world.devnet.http_url(), "--deployment"])
        .arg(deployment)
        .args(["--set", "chain.poll_interval=100ms"])
        .env_clear()
        .env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD);
    command
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

async fn page(tower: &Running, path: &str) -> (u16, String, String) {
    let answer = tower.client.get(format!("{}{path}", tower.url)).send().await.unwrap();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (answer.status().as_u16(), kind.unwrap_or_default(), answer.text().await.unwrap())
}

/// The value of a series whose name and labels are exactly these.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{page}")).parse().unwrap()
}

fn promtool_reads(page: &str) {
    let Some(promtool) = tool("promtool", "prometheus") else { return };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (told, more) = (text(&output.stdout), text(&output.stderr));
    // Of the libraries' names only those of libp2p are not ours to choose; whether they can be read is.
    let ours: Vec<_> =
        told.lines().chain(more.lines()).filter(|line| !line.starts_with("libp2p_")).collect();
    assert!(ours.is_empty(), "promtool: {ours:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_a_rescue_are_those_of_the_catalog_and_tell_what_happened() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(51).await;
    let channel = pair.channel.id().to_string();
    let tower = world.start_member(0, "").await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let (stale, live) = (pair.final_state(3, 100), pair.final_state(1_000, 2 * SIDE - 100));
    let envelope = pair.seal(Role::Participant, &live);
    assert_eq!(tower.back_up(&envelope.to_bytes()).await.0, 200);
    world.dispute(&pair, &stale).await;
    rescued(&world, &tower, &channel, 1).await;

    let (status, kind, metrics) = page(&tower, "/metrics").await;
    assert_eq!((status, kind.as_str()), (200, metrics::CONTENT_TYPE));
    promtool_reads(&metrics);
    let catalog = metrics::Metrics::new().unwrap();
    let known: BTreeSet<_> = catalog.catalog().iter().map(|entry| entry.name).collect();
    let exported: BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| !name.starts_with("libp2p_"))
        .collect();
    assert_eq!(exported, known);
    assert!(metrics.contains("\nlibp2p_swarm_"), "libp2p's own metrics are missing");

    let is = |series: &str| value(&metrics, series);
    for (series, wanted) in [
        ("watchtower_dispute_steps_total{step=\"seen\"}", 1.0),
        ("watchtower_dispute_steps_total{step=\"overridden\"}", 1.0),
        ("watchtower_dispute_steps_total{step=\"other\"}", 0.0),
        ("watchtower_dispute_outcomes_total{outcome=\"won\"}", 1.0),
        ("watchtower_dispute_unanswered", 0.0),
        ("watchtower_prover_proofs_total{result=\"made\"}", 1.0),
        ("watchtower_race_answer_seconds_count", 1.0),
        ("watchtower_race_phase_seconds_count{phase=\"finalize\"}", 1.0),
        ("watchtower_intake_backups_total{result=\"stored\"}", 1.0),
        ("watchtower_admission_verdicts_total{verdict=\"accept\"}", 1.0),
        ("watchtower_store_rows{table=\"channels\"}", 1.0),
        ("watchtower_build_alive", 1.0),
        ("watchtower_build_chain_id", 31_337.0),
        ("watchtower_endpoint_standing{endpoint=\"0\",standing=\"good\"}", 1.0),
        ("watchtower_network_running", 1.0),
        ("watchtower_task_running{task=\"other\"}", 0.0),
        ("watchtower_submit_transactions_total{purpose=\"settle\"}", 1.0),
    ] {
        assert!((is(series) - wanted).abs() < 1e-9, "{series} is {}, not {wanted}", is(series));
    }
    for positive in [
        "watchtower_store_commit_seconds_count",
        "watchtower_store_disk_free_bytes",
        "watchtower_account_balance_wei",
        "watchtower_dispute_earned_wei_total",
        "watchtower_dispute_spent_wei_total",
        "watchtower_queue_capacity{queue=\"http\"}",
        "watchtower_queue_capacity{queue=\"prover\"}",
        "watchtower_http_requests_total{route=\"status\",status=\"ok\"}",
    ] {
        assert!(is(positive) > 0.0, "{positive} is {}", is(positive));
    }
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_top_and_the_runbooks_show_a_tower_with_its_dispute() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(52).await;
    let tower = world.start_tower().await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    world.dispute(&pair, &pair.final_state(3, 100)).await;
    let path = format!("/v1/disputes/{}", pair.channel.id());
    tower.wait(&path, 30, |status, lives| status == 200 && lives[0]["dispute"].is_object()).await;

    let (status, kind, html) = page(&tower, "/").await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    let dispute = format!("<td>{}", pair.channel.id());
    for part in ["Ready: a dispute would be answered", &dispute, "Nodes of the chain", "balance"] {
        assert!(html.contains(part), "{part} is not on the page:\n{html}");
    }
    for outside in ["<script", "src=", "href=", "http-equiv"] {
        assert!(!html.contains(outside), "{outside} is on the page");
    }
    let (status, _, text_of) = page(&tower, "/runbooks/head-stale").await;
    assert!(status == 200 && text_of.contains("What it means"), "{text_of}");
    assert_eq!(page(&tower, "/runbooks/none").await.0, 404);
    in_a_browser(&tower.url);

    let program = env!("CARGO_BIN_EXE_watchtower");
    let output = Command::new(program).args(["top", "--once", &tower.url]).output().unwrap();
    let frame = text(&output.stdout);
    for part in ["ready", "1 open, 0 closed", &pair.channel.id().to_string()] {
        assert!(output.status.success() && frame.contains(part), "{part} is not in\n{frame}");
    }
    let url = tower.url.clone();
    tower.stop().await.unwrap();
    let output = Command::new(program).args(["top", "--once", &url]).output().unwrap();
    assert!(!output.status.success() && text(&output.stdout).contains("no answer"), "{output:?}");
}

/// A real browser shows the page; its policy lets no script run and nothing else load.
fn in_a_browser(url: &str) {
    let Some(chromium) = tool("chromium", "chromium") else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(url)
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    for part in ["Ready: a dispute would be answered", "Open disputes", "role=\"status\""] {
        assert!(dom.contains(part), "{part} is not what the browser shows:\n{dom}");
    }
}

fn findings(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn grade<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let found = findings.iter().filter(|finding| finding["check"] == check);
    found
        .filter_map(|finding| finding["grade"].as_str())
        .max_by_key(|grade| *grade == "bad")
        .unwrap_or("none")
}

pub(crate) fn import_key(world: &World, folder: &Path, key: &str) {
    let file = folder.join("key.hex");
    std::fs::write(&file, key).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let (file, folder) = (file.to_str().unwrap(), folder.to_str().unwrap());
    let output =
        watchtower(world, &["keys", "import", file, "--data-dir", folder]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The fourth account of the public development mnemonic, which has ether.
pub(crate) const FUNDED: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_sound_tower_sound_and_names_each_thing_that_is_not() {
    let world = World::start(60).await;
    // From now on the chain's clock runs as ours does.
    world.devnet.set_mining(Mining::Every { millis: 1_000 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    import_key(&world, folder.path(), FUNDED);
    let data = folder.path().to_str().unwrap();
    let deployment = world.directory.path().join("deployment.json");
    let url = world.devnet.http_url();
    let doctor = |rpc: &str, listen: &str, deployment: &Path, set: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        command.args(["doctor", "--json", "--data-dir", data, "--rpc", rpc, "--listen", listen]);
        command.args(["--set", "chain.poll_interval=100ms", "--set", set, "--deployment"]);
        command.arg(deployment).env_clear().env("WATCHTOWER_KEYSTORE_PASSWORD", PASSWORD);
        let output = command.output().unwrap();
        (output.status.code(), findings(&output))
    };
    let (any, usual) = ("127.0.0.1:0", "account.balance_min_gwei=1");
    let (_, sound) = doctor(&url, any, &deployment, usual);
    for check in [
        "configuration",
        "port of HTTP",
        "account",
        "clock",
        "gas float",
        "node 0",
        "node 0, contracts",
        "node 0, rules",
        "node 0, old logs",
        "node 0, archive",
        "node 0, new blocks",
        "node 0, pool",
        "tower",
    ] {
        assert_eq!(grade(&sound, check), "good", "{check}: {sound:#?}");
    }
    // How full the machine is that runs this is not ours to say.
    for check in ["disk", "disk speed", "memory", "node 0, speed", "quorum", "peers"] {
        assert!(["good", "warn"].contains(&grade(&sound, check)), "{check}: {sound:#?}");
    }
    // By a websocket new blocks come by themselves.
    let (_, found) = doctor(&world.devnet.ws_url(), any, &deployment, usual);
    let blocks = found.iter().find(|one| one["check"] == "node 0, new blocks").unwrap();
    assert_eq!(blocks["says"], "come by subscription", "{found:#?}");

    // Somebody else has the port; the node is none; the account has too little.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let nobody = "http://127.0.0.1:9";
    let rich = "account.balance_min_gwei=100000000000000000";
    // Another contract under the vault's address.
    let mut file: Value = serde_json::from_slice(&std::fs::read(&deployment).unwrap()).unwrap();
    let other = folder.path().join("other.json");
    file["vipe"]["code_hash"] = format!("0x{}", "11".repeat(32)).into();
    std::fs::write(&other, file.to_string()).unwrap();
    // A vault in which nobody could answer a correction.
    let hopeless = vault_with_extension(&world, 0).await.to_string();
    let vault = format!("chain.vipe={hopeless}");
    for (check, (code, found)) in [
        ("port of HTTP", doctor(&url, &address, &deployment, usual)),
        ("node 0", doctor(nobody, any, &deployment, usual)),
        ("gas float", doctor(&url, any, &deployment, rich)),
        ("node 0, contracts", doctor(&url, any, &other, usual)),
        ("node 0, rules", doctor(&url, any, &deployment, &vault)),
        ("clock", {
            world.devnet.advance_time(3_600).unwrap();
            tokio::time::sleep(Duration::from_secs(3)).await;
            doctor(&url, any, &deployment, usual)
        }),
    ] {
        assert_eq!((code, grade(&found, check)), (Some(1), "bad"), "{check}: {found:#?}");
        let bad = found.iter().filter(|one| one["grade"] == "bad");
        assert!(bad.clone().count() > 0 && bad.clone().all(|one| one["fix"].is_string()));
    }
}

/// A process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_alarms_for_a_stale_dispute_that_nobody_answers_and_not_for_an_honest_one() {
    let world = World::start(WINDOW_S).await;
    // A tower that has the backups, and does not answer: it may bid nothing.
    let (stale_pair, honest_pair) = (world.open(53).await, world.open(54).await);
    let config = world.config(&[("decision.profit_min_gwei", "1000000000000000000")]);
    let tower = world.start_tower_with(&config).await;
    tower.caught_up(&world).await;
    let live = stale_pair.final_state(1_000, 2 * SIDE - 100);
    let honest = honest_pair.final_state(9, 100);
    for envelope in
        [stale_pair.seal(Role::Participant, &live), honest_pair.seal(Role::Participant, &honest)]
    {
        assert_eq!(tower.back_up(&envelope.to_bytes()).await.0, 200);
    }
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let webhook = format!("http://{}/alarm", hook.local_addr().unwrap());
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command =
        watchtower(&world, &["monitor", "--tower", &tower.url, "--webhook", &webhook]);
    command.args(["--listen", &listen]).stderr(Stdio::null());
    let _monitor = Process(command.spawn().unwrap());
    world.dispute(&stale_pair, &stale_pair.final_state(3, 100)).await;
    world.dispute(&honest_pair, &honest).await;
    world.devnet.advance_time(WINDOW_S * 6 / 10).unwrap();

    let listens = tokio::task::spawn_blocking(move || (heard(&hook), hook));
    let (body, hook) = listens.await.unwrap();
    let alarm: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(alarm["alarm"]["channel"], serde_json::to_value(stale_pair.channel.id()).unwrap());
    assert_eq!(
        (&alarm["alarm"]["judgement"], &alarm["alarm"]["level"]),
        (&"stale".into(), &"half".into())
    );
    assert_eq!((&alarm["alarm"]["nonce"], &alarm["alarm"]["held"]), (&3.into(), &1_000.into()));

    let page =
        reqwest::get(format!("http://{listen}/metrics")).await.unwrap().text().await.unwrap();
    promtool_reads(&page);
    for (series, wanted) in [
        ("watchtower_monitor_disputes_open", 2.0),
        ("watchtower_monitor_disputes_unanswered", 1.0),
        ("watchtower_monitor_alarms_total{level=\"half\"}", 1.0),
        ("watchtower_monitor_towers_answering", 1.0),
    ] {
        assert!((value(&page, series) - wanted).abs() < 1e-9, "{series}:\n{page}");
    }
    let url = format!("http://{listen}");
    for arguments in [vec!["health", url.as_str()], vec!["health", "--ready", url.as_str()]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        let health = command.args(&arguments).output().unwrap();
        assert!(health.status.success(), "{health:?}");
    }

    // Once nobody can answer any more that is told, once, and nothing waits any more.
    world.pass_window();
    let body = tokio::task::spawn_blocking(move || heard(&hook)).await.unwrap();
    let alarm: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(alarm["alarm"]["level"], "over", "{alarm}");
    let page =
        reqwest::get(format!("http://{listen}/metrics")).await.unwrap().text().await.unwrap();
    assert!((value(&page, "watchtower_monitor_disputes_unanswered")).abs() < 1e-9, "{page}");
    tower.stop().await.unwrap();
}

/// The body of the first request to the webhook.
fn heard(hook: &TcpListener) -> String {
    let (mut stream, _) = hook.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = Vec::new();
    let mut part = [0_u8; 4_096];
    loop {
        let read = stream.read(&mut part).unwrap();
        request.extend_from_slice(&part[..read]);
        let Some((head, body)) = text(&request).split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap() || read == 0 {
            let body = body.to_owned();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            return body;
        }
    }
}
