//! Many participants on one hub, over real sockets, every write durable on both sides: all payments arrive, and no money is
//! made or lost. Told so, it measures: how many final updates a second with so many under way at a time, how long each takes,
//! and how long one takes when nothing else does.
//!
//! The participants are channels of a few other nodes: as many machines as channels, a store and a connection for each node. The
//! hub has threads of its own, so that what its operator needs is told from what everybody else does in this process.
//!
//! ```text
//! PARTICIPANTS=1000 ROUNDS=10 NODES=4 WINDOW=128 cargo nextest run .. --no-capture -E 'test(over_one_hub)'
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use protocol::Role;

use super::machine::{Machine, kill_at};
use super::world::{SIDE, id, keys, own, wait_for};
use crate::driver::Command;
use crate::kill::KillSwitch;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pays one unit from channel `from` to channel `to`, under a name.
fn pay(from: u64, to: u64, name: String) -> Command {
    let amount = Some(protocol::testing::amount(1));
    Command::Pay { channel: Some(id(from)), to: to.to_string(), amount, key: Some(name) }
}

/// A number that a measurement gives, else the test's own.
fn told(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

/// The threads of this process, by the kernel's names for them.
fn threads() -> BTreeSet<String> {
    let all = std::fs::read_dir("/proc/self/task").unwrap();
    all.map(|one| one.unwrap().file_name().into_string().unwrap()).collect()
}

/// The processor time that these threads took, as far as they still live.
fn processor(threads: &BTreeSet<String>) -> Duration {
    let of = |thread: &String| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.iter().filter_map(of).sum())
}

struct World {
    _folder: tempfile::TempDir,
    hub: Machine,
    /// What the hub runs on, and its threads: these and its store's.
    runtime: tokio::runtime::Runtime,
    threads: BTreeSet<String>,
    /// Channel `c` is node `c % nodes`' own.
    nodes: Vec<Machine>,
    switch: KillSwitch,
}

impl World {
    async fn start(participants: u64, nodes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub_keys = keys(9, Role::Counterparty);
        let all_keys: Vec<_> =
            (0..nodes).map(|at| keys(u8::try_from(at + 10).unwrap(), Role::Participant)).collect();
        let channels: Vec<_> = (1..=participants)
            .map(|number| own(number, &all_keys[place(number % nodes)], &hub_keys))
            .collect();
        let mut hub = Machine::new(&folder.path().join("hub"), hub_keys, &channels, None).await;
        let switch = kill_at(0, false);
        let known: Vec<_> = channels.iter().map(|one| one.channel).collect();
        hub.know(&known).await;
        let before = threads();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let counted = switch.clone();
        let started = runtime.spawn(async move {
            hub.start(Some(counted)).await;
            hub
        });
        let hub = started.await.unwrap();
        let threads = threads().difference(&before).cloned().collect();
        let mut machines = Vec::new();
        for (at, keys) in all_keys.into_iter().enumerate() {
            let folder = folder.path().join(format!("node{at}"));
            let ours = |number: u64| place(number % nodes) == at;
            let own: Vec<_> =
                channels.iter().filter(|one| ours(one.channel.id().get())).cloned().collect();
            let mut machine = Machine::new(&folder, keys, &own, None).await;
            machine.know(&known).await;
            machine.introduce(&hub).await;
            machine.start(None).await;
            machines.push(machine);
        }
        Self { _folder: folder, hub, runtime, threads, nodes: machines, switch }
    }

    fn node(&self, channel: u64) -> &Machine {
        &self.nodes[place(channel) % self.nodes.len()]
    }

    /// Pays every round once around, with at most `window` payments under way. How long each was on its way, roughly: as
    /// long as it took until as many payments as were ordered before it had both their updates.
    async fn pay_around(&self, participants: u64, rounds: u64, window: u64) -> Vec<Duration> {
        let (mut waiting, mut took) = (VecDeque::new(), Vec::new());
        let mut ordered = 0;
        let began = Instant::now();
        while place(participants * rounds) > took.len() {
            while ordered < participants * rounds && ordered < self.switch.finals() / 2 + window {
                let (round, from) = (ordered / participants, ordered % participants + 1);
                let to = from % participants + 1;
                let order = pay(from, to, format!("{round}/{from}"));
                waiting.push_back(Instant::now());
                self.node(from).ask(order).await.unwrap().unwrap();
                ordered += 1;
            }
            while self.switch.finals() / 2 > u64::try_from(took.len()).unwrap() {
                took.push(waiting.pop_front().unwrap().elapsed());
            }
            assert!(began.elapsed() < Duration::from_secs(250), "{} arrived", took.len());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.sort_unstable();
        took
    }

    async fn end(mut self) {
        assert!(self.hub.kill().await.is_none());
        for node in &mut self.nodes {
            assert!(node.kill().await.is_none());
        }
        self.runtime.shutdown_background();
    }
}

async fn received(node: &Machine) -> usize {
    node.payments().await.iter().filter(|one| one["stage"] == "received").count()
}

/// A line of `/proc/self/status`, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn many_participants_pay_each_other_over_one_hub_and_no_money_is_made_or_lost() {
    let (participants, rounds) = (told("PARTICIPANTS", 20), told("ROUNDS", 3));
    let window = told("WINDOW", 16).min(participants);
    let world = World::start(participants, told("NODES", 2)).await;
    let (began, before) = (Instant::now(), (processor(&world.threads), processor(&threads())));
    let took = world.pay_around(participants, rounds, window).await;
    let (all, updates) = (began.elapsed(), participants * rounds * 2);
    let each = |now: Duration, before: Duration| (now - before) / u32::try_from(updates).unwrap();
    println!("the hub's durable turns of each final update: {:.2}", {
        world.switch.seen() as f64 / updates as f64
    });
    println!(
        "processor time of each final update: the hub {:?}, everything in this process {:?}",
        each(processor(&world.threads), before.0),
        each(processor(&threads()), before.1),
    );
    println!(
        "{participants} participants, {window} payments under way: {updates} final updates in {all:?}, {:.0} a second; a payment's two updates p50 {:?}, p99 {:?}; all nodes together {} MiB",
        updates as f64 / all.as_secs_f64(),
        took[took.len() / 2],
        took[took.len() - 1 - took.len() / 100],
        resident_mib(),
    );
    wait_for("every receipt", async || {
        let mut arrived = 0;
        for node in &world.nodes {
            arrived += received(node).await;
        }
        // Each is there twice: once paid, once received.
        arrived == place(2 * participants * rounds)
    })
    .await;
    let hub = world.hub.standings().await;
    assert_eq!(hub.values().map(|(nonce, _)| nonce).sum::<u64>(), updates, "two for each payment");
    for channel in 1..=participants {
        let ours = world.node(channel).standings().await[&channel];
        assert_eq!((ours.1, hub[&channel].1), (SIDE, SIDE), "channel {channel}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_alone_waits_for_no_clock() {
    let rounds = told("ROUNDS", 20);
    let world = World::start(2, 1).await;
    let mut took = Vec::new();
    for round in 0..rounds {
        let before = place(world.switch.finals());
        let began = Instant::now();
        world.nodes[0].ask(pay(1, 2, format!("{round}"))).await.unwrap().unwrap();
        wait_for("the payment", async || received(&world.nodes[0]).await == place(2 * (round + 1)))
            .await;
        // Nobody watched the clock meanwhile: that would take one of the machine's cores.
        took.push(world.switch.finals_at.lock().unwrap()[before] - began);
    }
    took.sort_unstable();
    let (median, late) = (took[took.len() / 2], took[took.len() - 1 - took.len() / 100]);
    println!("order to final debit at the hub, {rounds} times: p50 {median:?}, p99 {late:?}");
    // A handshake that waited for the driver's tick or a repetition would take as long as that.
    assert!(median < Duration::from_millis(90), "{median:?}");
    world.end().await;
}
