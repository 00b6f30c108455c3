//! Many participants on one hub, over real sockets, every write durable on both sides: all payments arrive, and no money is
//! made or lost. Told so, it measures: how many final updates a second, and how long a payment takes when nothing else does.
//!
//! The participants are channels of one other node: one process, one store, one connection, as many machines as channels.

use std::time::{Duration, Instant};

use protocol::Role;

use super::world::{Machine, SIDE, id, keys, own, wait_for};
use crate::driver::Command;

/// Pays one unit from channel `from` to channel `to`, under a name.
fn pay(from: u64, to: u64, name: String) -> Command {
    let amount = Some(protocol::testing::amount(1));
    Command::Pay { channel: Some(id(from)), to: to.to_string(), amount, key: Some(name) }
}

/// A number that a measurement gives, else the test's own.
fn told(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

async fn world(count: u64) -> (tempfile::TempDir, Machine, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let (hub_keys, keys) = (keys(9, Role::Counterparty), keys(1, Role::Participant));
    let channels: Vec<_> = (1..=count).map(|number| own(number, &keys, &hub_keys)).collect();
    let mut hub = Machine::new(&folder.path().join("hub"), hub_keys, &channels, None).await;
    let mut node = Machine::new(&folder.path().join("node"), keys, &channels, None).await;
    for machine in [&mut hub, &mut node] {
        machine.know(&channels).await;
    }
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

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn many_participants_pay_each_other_over_one_hub_and_no_money_is_made_or_lost() {
    let (count, rounds) = (told("PARTICIPANTS", 20), told("ROUNDS", 3));
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
        assert!(began.elapsed() < Duration::from_secs(240), "{} of {wanted}", updates(&hub).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    println!(
        "{count} participants, {wanted} final updates in {took:?}: {:.0} a second; both processes' memory {} MiB",
        wanted as f64 / took.as_secs_f64(),
        resident_mib(),
    );
    wait_for("every receipt", async || {
        all_received(&node, usize::try_from(count * rounds).unwrap()).await
    })
    .await;
    assert_eq!(updates(&hub).await, wanted, "each payment is two updates");
    let both = (node.standings().await, hub.standings().await);
    for channel in 1..=count {
        assert_eq!((both.0[&channel].1, both.1[&channel].1), (SIDE, SIDE), "channel {channel}");
    }
    assert!(hub.kill().await.is_none() && node.kill().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_alone_waits_for_no_clock() {
    let rounds = usize::try_from(told("ROUNDS", 20)).unwrap();
    let (_folder, mut hub, mut node) = world(2).await;
    let mut took = Vec::new();
    for round in 0..rounds {
        let before = updates(&hub).await;
        let began = Instant::now();
        node.ask(pay(1, 2, format!("{round}"))).await.unwrap().unwrap();
        while updates(&hub).await < before + 1 {
            tokio::task::yield_now().await;
        }
        took.push(began.elapsed());
        wait_for("the payment", async || all_received(&node, round + 1).await).await;
    }
    took.sort_unstable();
    let (median, late) = (took[rounds / 2], took[rounds - 1 - rounds / 100]);
    println!("order to final debit at the hub, {rounds} times: p50 {median:?}, p99 {late:?}");
    // A handshake that waited for the driver's tick or a repetition would take as long as that.
    assert!(median < Duration::from_millis(90), "{median:?}");
    assert!(hub.kill().await.is_none() && node.kill().await.is_none());
}
