//! Towers in network namespaces of their own, on a wire with delay and loss, that is cut and mended.
//!
//! Needs root, `ip`, `python3` and `/dev/net/tun`; without one of them it says so aloud and shows nothing. The wire is a
//! program of ours (`wire.py`), because many kernels are built without netem. Each tower is this test's program again, in
//! a process of its own: the test [`a_tower_in_a_namespace_does_as_it_is_told`], which by itself does nothing.

#![allow(clippy::disallowed_methods, reason = "the parent is no async program, and waits")]

use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::Role;
use protocol::network::admission::{Source, Verdict};
use protocol::network::wire::Topic;

use crate::intake::slot_of;
use crate::world::{Setup, Tower, domain, envelope_of};

/// What a process of a namespace is told, in its environment: number of the tower, and whom to begin with.
const NUMBER: &str = "GOSSIP_NAMESPACE_TOWER";
const BOOTSTRAP: &str = "GOSSIP_NAMESPACE_BOOTSTRAP";

/// What its answers begin with: the test runner prints lines of its own.
const MARK: &str = "@ ";

const TOWERS: usize = 4;
const CHANNELS: u64 = 20;

/// More than anything here takes.
const WITHIN: Duration = Duration::from_secs(60);

// ---- in the namespace

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tower_in_a_namespace_does_as_it_is_told() {
    let Ok(number) = std::env::var(NUMBER) else { return };
    let number: u8 = number.parse().unwrap();
    let bootstrap = std::env::var(BOOTSTRAP).unwrap();
    let bootstrap: Vec<_> =
        bootstrap.split_whitespace().map(|place| place.parse().unwrap()).collect();
    let mut setup = Setup::new(number, &format!("/ip4/10.77.0.{number}/udp/4001/quic-v1"));
    setup.channels = CHANNELS;
    let tower = Tower::start(setup, &bootstrap).await;
    say(&tower.place.to_string());
    let (lines, mut orders) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(order) = orders.recv().await {
        say(&obey(&tower, &order).await);
    }
}

fn say(text: &str) {
    println!("{MARK}{text}");
    std::io::stdout().flush().unwrap();
}

async fn obey(tower: &Tower, order: &str) -> String {
    let words: Vec<&str> = order.split_whitespace().collect();
    match words[..] {
        ["met"] => tower.handle.towers().len().to_string(),
        ["take", channel, role, nonce, balance] => {
            let role = Role::try_from(role.parse::<u8>().unwrap()).unwrap();
            let sent = envelope_of(number(channel), role, number(nonce), number(balance).into());
            let bytes = sent.to_bytes();
            let from = tower.handle.me();
            let judged = tower.desk.admit(from, Source::Submit { seen_at: 0 }, &bytes).await;
            if judged == Verdict::Accept {
                let topic = Topic::Backups(domain(), slot_of(&sent).shard());
                tower.handle.publish(topic, bytes).unwrap();
            }
            judged.label().to_owned()
        }
        ["content"] => {
            let content = tower.desk.content();
            let mut hasher = DefaultHasher::new();
            content.iter().for_each(|(_, bytes)| bytes.hash(&mut hasher));
            format!("{} slots, {:016x}", content.len(), hasher.finish())
        }
        ["sync", salt] => {
            let (mut sessions, mut bytes, mut failed) = (0_u64, 0_u64, 0_u64);
            for peer in tower.handle.towers() {
                match tower.desk.reconcile(&tower.handle, peer, number(salt)).await {
                    Ok((_, report)) => {
                        sessions += 1;
                        bytes += report.bytes_in + report.bytes_out;
                    }
                    Err(_) => failed += 1,
                }
            }
            format!("{sessions} {bytes} {failed}")
        }
        _ => panic!("{order}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

// ---- outside

/// Why nothing can be shown here, if so.
fn missing() -> Option<String> {
    let runs = |program: &str, argument: &str| {
        let outcome = Command::new(program).arg(argument).stdout(Stdio::null()).status();
        outcome.is_ok_and(|status| status.success())
    };
    let is_root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t0")));
    match () {
        () if !is_root => Some("not root".to_owned()),
        () if !runs("ip", "-V") => Some("no ip (iproute2)".to_owned()),
        () if !runs("python3", "-V") => Some("no python3".to_owned()),
        () if OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() => {
            Some("no /dev/net/tun".to_owned())
        }
        () if !may_make_namespaces() => Some("namespaces cannot be made".to_owned()),
        () => None,
    }
}

/// Root in a container is often not allowed to.
fn may_make_namespaces() -> bool {
    let name = format!("vrc-probe-{}", std::process::id());
    ip(&format!("netns add {name}")) && ip(&format!("netns del {name}"))
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).status().unwrap().success()
}

/// A process that answers every line with a line.
struct Talker {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    mark: &'static str,
}

impl Talker {
    fn start(command: &mut Command, mark: &'static str) -> (Self, String) {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let to = process.stdin.take().unwrap();
        let from = BufReader::new(process.stdout.take().unwrap());
        let mut talker = Self { process, to, from, mark };
        let first = talker.answer();
        (talker, first)
    }

    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.from.read_line(&mut line).unwrap();
            assert!(read > 0, "a process ended");
            // The test runner may have begun the line.
            if let Some((_, answer)) = line.trim_end().split_once(self.mark) {
                return answer.to_owned();
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").unwrap();
        self.answer()
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The namespaces, the wire between them, and the towers in them. Gone when it is dropped.
struct Lab {
    name: String,
    wire: Talker,
    towers: Vec<Talker>,
    places: Vec<String>,
    nonces: Vec<u64>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.towers.clear();
        for number in 1..=TOWERS {
            ip(&format!("netns del {}-{number}", self.name));
        }
    }
}

impl Lab {
    fn build(seed: u64) -> Self {
        // Device names have fifteen characters at most.
        let name = format!("vrc{}", std::process::id() % 1_000_000);
        let devices: Vec<_> = (1..=TOWERS).map(|number| format!("{name}-{number}")).collect();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wire.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(seed.to_string()).args(&devices);
        let (wire, ready) = Talker::start(&mut command, "");
        assert_eq!(ready, "ready");
        for (number, device) in (1..).zip(&devices) {
            assert!(ip(&format!("netns add {device}")));
            assert!(ip(&format!("link set {device} netns {device}")));
            assert!(ip(&format!("-n {device} addr add 10.77.0.{number}/24 dev {device}")));
            assert!(ip(&format!("-n {device} link set lo up")));
            assert!(ip(&format!("-n {device} link set {device} up")));
        }
        let nonces = vec![0; usize::try_from(CHANNELS * 2).unwrap()];
        let mut lab = Self { name, wire, towers: Vec::new(), places: Vec::new(), nonces };
        for number in 1..=TOWERS {
            let (tower, place) = lab.tower(number);
            lab.towers.push(tower);
            lab.places.push(place);
        }
        lab
    }

    /// A tower with an empty store and a new name, in the namespace of this number.
    fn tower(&self, number: usize) -> (Talker, String) {
        let own = format!("/10.77.0.{number}/");
        let others = self.places.iter().filter(|place| !place.contains(&own));
        let others: Vec<_> = others.map(String::as_str).collect();
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &format!("{}-{number}", self.name)])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "namespaces::a_tower_in_a_namespace_does_as_it_is_told"])
            .args(["--nocapture", "--test-threads=1"])
            .env(NUMBER, number.to_string())
            .env(BOOTSTRAP, others.join(" "));
        Talker::start(&mut command, MARK)
    }

    /// Kills the last tower, and starts another one in its place that holds nothing.
    fn restart_empty(&mut self) {
        // It ends before the next one needs its port.
        drop(self.towers.pop());
        self.places.pop();
        let (tower, place) = self.tower(TOWERS);
        self.towers.push(tower);
        self.places.push(place);
    }

    /// Waits until every tower has met so many others.
    fn meet(&mut self, others: usize) {
        let start = Instant::now();
        while !self.towers.iter_mut().all(|tower| number(&tower.ask("met")) >= others as u64) {
            assert!(start.elapsed() < WITHIN, "the towers never meet");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Owners hand newer envelopes to towers; every fifth one hands two that differ to two towers.
    fn update(&mut self, count: u64, salt: u64) {
        for n in 0..count {
            let slot = (n * 7 + salt * 3) % (CHANNELS * 2);
            let nonce = &mut self.nonces[usize::try_from(slot).unwrap()];
            *nonce += 1;
            let (channel, role) = (1 + slot / 2, slot % 2);
            for twin in 0..=u64::from(n % 5 == 0) {
                let to = usize::try_from((n + salt + twin * 2) % TOWERS as u64).unwrap();
                let order = format!("take {channel} {role} {nonce} {}", 10 + twin);
                let judged = self.towers[to].ask(&order);
                assert!(!judged.contains("signature"), "{judged}");
            }
        }
    }

    fn are_equal(&mut self) -> Option<String> {
        let contents: Vec<_> = self.towers.iter_mut().map(|tower| tower.ask("content")).collect();
        contents.iter().all(|content| *content == contents[0]).then(|| contents[0].clone())
    }

    /// Every tower asks every other one, again and again until all are equal.
    fn converge(&mut self, what: &str) {
        let start = Instant::now();
        let before = self.wire_bytes();
        let (mut sessions, mut bytes, mut failed, mut rounds) = (0, 0, 0, 0);
        let content = loop {
            if let Some(content) = self.are_equal() {
                break content;
            }
            assert!(start.elapsed() < WITHIN, "{what}: the replicas stay different");
            rounds += 1;
            for tower in &mut self.towers {
                let answer = tower.ask(&format!("sync {rounds}"));
                let told: Vec<u64> = answer.split(' ').map(number).collect();
                sessions += told[0];
                bytes += told[1];
                failed += told[2];
            }
        };
        println!(
            "{what}: equal after {:.2?}; {sessions} sessions ({failed} failed), {bytes} bytes of reconciliation, {} bytes on the wire; content {content}",
            start.elapsed(),
            self.wire_bytes() - before,
        );
    }

    fn wire_bytes(&mut self) -> u64 {
        number(self.wire.ask("stats").split(' ').nth(1).unwrap())
    }

    fn wire(&mut self, order: &str) {
        assert_eq!(self.wire.ask(order), "ok", "{order}");
    }
}

#[test]
fn towers_in_namespaces_become_equal_after_delay_loss_partition_and_an_empty_restart() {
    if let Some(reason) = missing() {
        println!(
            "SKIPPED, NOTHING WAS SHOWN: towers in network namespaces need root, ip, python3 and TUN devices: {reason}"
        );
        return;
    }
    let mut lab = Lab::build(7);
    lab.meet(TOWERS - 1);
    // A bad line: 40 to 60 ms each way, one packet in fifty lost.
    lab.wire("delay 40 20");
    lab.wire("loss 0.02");
    lab.update(40, 1);
    std::thread::sleep(Duration::from_secs(2));
    lab.converge("delay 40-60 ms, loss 2 %");
    // Two sides that do not hear each other, and each goes on.
    lab.wire("part 1,2");
    lab.update(40, 2);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lab.are_equal(), None, "the partition parts nothing");
    // One tower loses its disk meanwhile.
    lab.restart_empty();
    lab.update(10, 3);
    lab.wire("heal");
    let healed = Instant::now();
    lab.meet(TOWERS - 1);
    println!("all towers have met again {:.2?} after the wire was mended", healed.elapsed());
    lab.converge("after a partition and an empty restart");
    lab.wire("loss 0.1");
    lab.update(40, 4);
    lab.converge("loss 10 %");
    println!("the wire: {} packets, bytes, lost, cut", lab.wire.ask("stats"));
}
