//! A thousand participants on one hub: how many final updates a second, every write durable on both sides.
//!
//! The participants are channels of one other node: one process, one store, one link, as many machines as channels.

use std::time::{Duration, Instant};

use protocol::Role;

use super::world::{Machine, id, keys, own, wait_for};
use crate::driver::Command;

/// Pays `amount` from channel `from` to channel `to`, under a name.
fn pay(from: u64, to: u64, name: String) -> Command {
    let amount = Some(protocol::testing::amount(1));
    Command::Pay { channel: Some(id(from)), to: to.to_string(), amount, key: Some(name) }
}

async fn world(count: u64) -> (tempfile::TempDir, Machine, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let (hub_keys, keys) = (keys(9, Role::Counterparty), keys(1, Role::Participant));
    let channels: Vec<_> = (1..=count).map(|number| own(number, &keys, &hub_keys)).collect();
    let mut hub = Machine::new(&folder.path().join("hub"), hub_keys, &channels, &channels).await;
    let mut node = Machine::new(&folder.path().join("node"), keys, &channels, &channels).await;
    hub.start(None).await;
    node.introduce(&hub).await;
    node.start(None).await;
    (folder, hub, node)
}

async fn updates(hub: &Machine) -> u64 {
    hub.standings().await.values().map(|(nonce, _)| nonce).sum()
}

async fn all_received(node: &Machine, count: usize) -> bool {
    let all = node.payments().await;
    all.len() >= count && all.iter().all(|one| one["stage"] == "received")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it alone on an idle machine"]
async fn a_thousand_participants_on_one_hub() {
    let count: u64 = std::env::var("PARTICIPANTS").map_or(1_000, |text| text.parse().unwrap());
    let rounds: u64 = 5;
    let (_folder, mut hub, mut node) = world(count).await;
    let began = Instant::now();
    for round in 0..rounds {
        for from in 1..=count {
            let to = from % count + 1;
            node.ask(pay(from, to, format!("{round}/{from}"))).await.unwrap().unwrap();
        }
        hub.see_block().await;
        node.see_block().await;
    }
    let wanted = count * rounds * 2;
    while updates(&hub).await < wanted {
        assert!(began.elapsed() < Duration::from_secs(600), "{} of {wanted}", updates(&hub).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    println!(
        "{count} participants, {wanted} final updates in {took:?}: {:.0} a second",
        wanted as f64 / took.as_secs_f64()
    );
    hub.kill().await;
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it alone on an idle machine"]
async fn the_latency_of_an_unloaded_payment() {
    let (_folder, mut hub, mut node) = world(2).await;
    let mut took = Vec::new();
    for round in 0..200 {
        let before = updates(&hub).await;
        let began = Instant::now();
        node.ask(pay(1, 2, format!("{round}"))).await.unwrap().unwrap();
        while updates(&hub).await < before + 1 {
            tokio::task::yield_now().await;
        }
        took.push(began.elapsed());
        wait_for("the payment", async || all_received(&node, 2 * (round + 1)).await).await;
    }
    took.sort_unstable();
    println!("order to final debit at the hub: p50 {:?}, p99 {:?}", took[100], took[198]);
    hub.kill().await;
    node.kill().await;
}
