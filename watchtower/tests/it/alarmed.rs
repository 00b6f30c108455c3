//! The alert rules as they are shipped, in a real Prometheus that reads real programs.

use std::process::Stdio;
use std::time::Duration;

use protocol::Role;
use serde_json::Value;

use crate::observed::{Process, tool, watchtower};
use crate::shown::{free_port, prometheus};
use crate::world::{SIDE, WINDOW_S, World};

/// How long an alert may take: a look of the monitor, a scrape and an evaluation, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The alerts that fire, by name and by the state that Prometheus gives them.
async fn firing(url: &str) -> Vec<(String, Value)> {
    let Ok(answer) = reqwest::get(format!("{url}/api/v1/alerts")).await else { return Vec::new() };
    let told: Value = answer.json().await.unwrap();
    let alerts = told["data"]["alerts"].as_array().cloned().unwrap_or_default();
    alerts
        .into_iter()
        .filter(|alert| alert["state"] == "firing")
        .map(|alert| (alert["labels"]["alertname"].as_str().unwrap().to_owned(), alert))
        .collect()
}

/// Waits until all of these fire; their alerts, in this order.
async fn fires(url: &str, wanted: &[&str]) -> Vec<Value> {
    let began = std::time::Instant::now();
    loop {
        let alerts = firing(url).await;
        let found: Vec<Value> = wanted
            .iter()
            .filter_map(|name| alerts.iter().find(|(known, _)| known == name))
            .map(|(_, alert)| alert.clone())
            .collect();
        if found.len() == wanted.len() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "of {wanted:?} only these fire: {alerts:#?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_nobody_answers_fires_in_a_real_prometheus_and_leads_to_its_runbook() {
    let Some(program) = tool("prometheus", "prometheus") else { return };
    let world = World::start(WINDOW_S).await;
    let pair = world.open(57).await;
    // A tower that holds the newest state and does not answer: it may bid nothing.
    let config = world.config(&[("decision.profit_min_gwei", "1000000000000000000")]);
    let tower = world.start_tower_with(&config).await;
    tower.caught_up(&world).await;
    let live = pair.final_state(1_000, 2 * SIDE - 100);
    let envelope = pair.seal(Role::Participant, &live);
    assert_eq!(tower.back_up(&envelope.to_bytes()).await.0, 200);
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = watchtower(&world, &["monitor", "--tower", &tower.url, "--listen", &listen]);
    let _monitor = Process(command.stderr(Stdio::null()).spawn().unwrap());
    let http = tower.url.strip_prefix("http://").unwrap().to_owned();
    let (_prometheus, url) = prometheus(&world, &program, &[(&http, &http), (&listen, &listen)]);

    world.dispute(&pair, &pair.final_state(3, 100)).await;
    world.devnet.advance_time(WINDOW_S * 6 / 10).unwrap();
    let wanted = ["DisputeUnansweredHalf", "MonitorSeesUnansweredDispute"];
    let alerts = fires(&url, &wanted).await;
    for (alert, instance) in alerts.iter().zip([&http, &listen]) {
        assert_eq!(alert["labels"]["instance"], Value::from(instance.as_str()), "{alert}");
        assert_eq!(alert["labels"]["severity"], "page");
    }
    let runbook = alerts[0]["annotations"]["runbook_url"].as_str().unwrap();
    let page = reqwest::get(runbook).await.unwrap();
    assert!(page.status().is_success(), "{runbook}");
    assert!(page.text().await.unwrap().contains("A dispute is not answered"));

    // The window closes: both say so, and nobody is paged for a dispute that nobody can answer any more.
    world.pass_window();
    fires(&url, &["MonitorSawLostDispute"]).await;
    let names: Vec<_> = firing(&url).await.into_iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name == "MonitorSeesUnansweredDispute"), "{names:?}");
    tower.stop().await.unwrap();
}
