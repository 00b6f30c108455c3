//! What a tower's store takes and gives with many channels: disk and memory, the time of a start, and verified durable
//! upserts a second with the time to their acknowledgement.
//!
//! ```text
//! CHANNELS=1000000 cargo bench --package integration-tests --bench capacity
//! ```
//!
//! Without `CHANNELS` it is a hundred thousand. With `CAPACITY_PART` set, the program runs one part alone: `fill FILE CHANNELS`,
//! `start FILE NAME`, `parts FILE`, `flood FILE CHANNELS NAME` or `paced FILE CHANNELS RATE`. The folder is made in `TMPDIR`, so choose a disk that is meant. What is
//! measured runs in processes of their own, on as many cores as their line says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark is no library"
)]

mod fill;
mod parts;
mod upserts;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k256::ecdsa::SigningKey;
use protocol::network::reconcile::Index;
use protocol::network::wire::{Prefix, Row, SyncSalt, Tag};
use protocol::network::{Shard, ShardSet, Slot};
use protocol::testing::{Pair, account};
use protocol::{Address, ChannelId};
use store::{Facts, Store};

/// The pair whose keys all channels share: a million pairs would take minutes to make, and the store does not look.
const SEED: u64 = 1;

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn facts() -> Facts {
    let account = Address::from_private_key(&key());
    Facts { chain_id: 31_337, vipe: vipe(), account }
}

fn vipe() -> Address {
    account(SEED, "vipe")
}

/// The pair in a channel with this id.
fn pair(base: &Pair, channel: u64) -> Pair {
    let mut terms = *base.channel.terms();
    terms.channel_id = ChannelId::try_from(channel).unwrap();
    Pair { channel: protocol::zksc::Channel::try_from(terms).unwrap(), ..base.clone() }
}

/// The n-th of the numbers below `count`, in an order that has nothing to do with theirs.
fn scattered(n: u64, count: u64) -> u64 {
    // A bijection: a prime that does not divide the count.
    (n * 1_000_003) % count
}

fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096.0 / 1_048_576.0
}

/// Processor time of this process so far: what does not grow when other programs use the machine as well.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name in brackets; user and system time are the 12th and 13th from there, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let hundredths: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(hundredths * 10)
}

/// What a tower does with its store at a start: opens it, at once after a clean stop and else with every page verified, and
/// reads the index of what it holds. The digests of the index are made after the start.
fn start(path: &Path, what: &str) -> (Store, Index) {
    let empty = resident_mib();
    let (begun, busy) = (Instant::now(), processor_time());
    let store = Store::open(path, facts()).unwrap();
    let opened = begun.elapsed();
    let mut index = Index::new(ShardSet::ALL);
    store
        .each_backup(|slot, nonce, id| {
            let slot = Slot { channel_id: slot.channel_id, role: slot.role };
            index.put(Row { slot, nonce, tag: Tag::of(&id) });
        })
        .unwrap();
    let (ready, ready_busy) = (begun.elapsed(), processor_time() - busy);
    for shard in Shard::all() {
        let _made = index.fingerprint(Prefix::root(shard), SyncSalt([0; 16]));
    }
    let slots = index.len();
    println!(
        "start {what}, {}: open {:.2} s, index {:.2} s, ready in {:.2} s ({:.2} s of a processor), digests after it {:.2} s; {slots} slots, index {:.1} MiB, resident {:.1} MiB more than before, {:.1} in all",
        if store.scrubbed().is_some() { "after a clean stop" } else { "every page verified" },
        opened.as_secs_f64(),
        (ready - opened).as_secs_f64(),
        ready.as_secs_f64(),
        ready_busy.as_secs_f64(),
        (begun.elapsed() - ready).as_secs_f64(),
        index.memory() as f64 / 1_048_576.0,
        resident_mib() - empty,
        resident_mib(),
    );
    (store, index)
}

/// Runs this program again, on these cores.
fn again(cores: &str, arguments: &[&str]) {
    let program = std::env::current_exe().unwrap();
    let status = Command::new("taskset")
        .args(["--cpu-list", cores])
        .arg(program)
        .args(arguments)
        .env("CAPACITY_PART", "1")
        .status()
        .expect("taskset (util-linux) is needed to choose cores");
    assert!(status.success(), "{arguments:?}: {status}");
}

fn all(channels: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tower.redb");
    let file = path.to_str().unwrap();
    println!("{channels} channels, both slots of each filled; {}", folder.path().display());
    fill::run(&path, channels);
    // Needs root; without it the first start is as warm as the second.
    let cold = std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok();
    again("0,1", &["start", file, if cold { "cold" } else { "warm" }]);
    again("0,1", &["start", file, "warm"]);
    // As after a crash.
    std::fs::remove_file(format!("{file}.sums")).unwrap();
    again("0,1", &["start", file, "warm"]);
    again("0", &["parts", file]);
    let channels = channels.to_string();
    for (cores, name) in [("0", "one core"), ("0,1", "two cores")] {
        again(cores, &["flood", file, &channels, name]);
    }
    for rate in ["1000", "5000"] {
        again("0,1", &["paced", file, &channels, rate]);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if std::env::var_os("CAPACITY_PART").is_none() {
        if !arguments.contains(&"--bench") {
            // `cargo test --all-targets` runs benchmarks as well, to see that they run.
            println!("measures only when it is told --bench, as by cargo bench");
            return;
        }
        let channels = std::env::var("CHANNELS").ok().map(|text| text.parse().unwrap());
        return all(channels.unwrap_or(100_000));
    }
    match arguments[1..] {
        ["fill", file, channels] => fill::run(file.as_ref(), channels.parse().unwrap()),
        ["start", file, what] => drop(start(file.as_ref(), what)),
        ["parts", file] => parts::run(file.as_ref()),
        ["flood", file, channels, name] => {
            upserts::flood(file.as_ref(), channels.parse().unwrap(), name);
        }
        ["paced", file, channels, rate] => {
            let rate: f64 = rate.parse().unwrap();
            let period = Duration::from_secs_f64(1.0 / rate);
            upserts::paced(file.as_ref(), channels.parse().unwrap(), period);
        }
        _ => panic!("{arguments:?}"),
    }
}
