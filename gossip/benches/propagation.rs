//! How long a new envelope takes from the node that submits it to the disk of every tower.
//!
//! ```text
//! TMPDIR=/dev/shm cargo bench --package gossip --bench propagation
//! ```
//!
//! Towers of one process, on the memory transport: real swarms, real admission, real stores. They share this machine's
//! cores, which as many machines would not; with `TMPDIR=/dev/shm` they do not share its disk as well. `TOWERS=5,20,50`
//! and `ENVELOPES=100` choose how many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    missing_docs,
    reason = "a benchmark is no library, and needs a part of what the tests share"
)]

#[path = "../tests/it/intake.rs"]
mod intake;
#[path = "../tests/it/world.rs"]
mod world;

use std::time::{Duration, Instant};

use crate::world::{Setup, Tower, envelope, memory, until_within};

/// Between two envelopes: a network that is used and not flooded.
const PAUSE: Duration = Duration::from_millis(200);

/// Towers that a new one begins with.
const BOOTSTRAP: usize = 3;

fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_unset| otherwise.to_owned())
}

async fn network(count: usize, channels: u64) -> Vec<Tower> {
    let mut towers: Vec<Tower> = Vec::new();
    for number in 0..count {
        let mut setup = Setup::new(u8::try_from(number).unwrap(), &memory());
        setup.channels = channels;
        let known: Vec<_> = (1..=BOOTSTRAP.min(number))
            .map(|back| towers[(number * 7 + back * 13) % number].place.clone())
            .collect();
        towers.push(Tower::start(setup, &known).await);
    }
    // The least that the router keeps in a mesh.
    let wanted = 5.min(count - 1);
    until_within("the meshes form", Duration::from_secs(120), || async {
        for tower in &towers {
            if tower.handle.status().await.unwrap().mesh_min < wanted {
                return false;
            }
        }
        true
    })
    .await;
    towers
}

fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}

async fn measure(count: usize, envelopes: u64) {
    let begun = Instant::now();
    let towers = network(count, envelopes).await;
    let formed = begun.elapsed();
    let (mut each, mut last, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    for channel in 1..=envelopes {
        let sent = envelope(channel, 1);
        let at = usize::try_from(channel).unwrap() * 31 % count;
        // A node is connected with the tower that it submits to; not every tower is with every other.
        let meets_it = |via: &&Tower| via.handle.towers().contains(&towers[at].handle.me());
        let via = (1..count).map(|next| &towers[(at + next) % count]).find(meets_it).unwrap();
        let start = Instant::now();
        via.handle.submit(towers[at].handle.me(), &sent, 0).await.unwrap();
        receipts.push(start.elapsed());
        let arrived = |tower: &Tower| tower.desk.arrivals.lock().unwrap().get(sent.id()).copied();
        let all_have = || async { towers.iter().all(|tower| arrived(tower).is_some()) };
        until_within("every tower has it", Duration::from_secs(60), all_have).await;
        let times: Vec<_> =
            towers.iter().filter_map(arrived).map(|at| at.duration_since(start)).collect();
        last.push(*times.iter().max().unwrap());
        each.extend(times);
        tokio::time::sleep(PAUSE).await;
    }
    println!(
        "{count:>7}{envelopes:>11}{:>12.1}{:>12.1}{:>12.1}{:>12.1}{:>12.1}{:>12.1}",
        percentile(&mut receipts, 0.5),
        percentile(&mut each, 0.5),
        percentile(&mut each, 0.99),
        percentile(&mut last, 0.5),
        percentile(&mut last, 0.99),
        formed.as_secs_f64(),
    );
    for tower in towers {
        tower.stop().await;
    }
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --all-targets` runs benchmarks as well, to see that they run.
        println!("measures only when it is told --bench, as by cargo bench");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("milliseconds from the submission; the mesh forms in seconds");
    println!(
        "{:>7}{:>11}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "towers",
        "envelopes",
        "receipt p50",
        "tower p50",
        "tower p99",
        "all p50",
        "all p99",
        "mesh s"
    );
    let envelopes = setting("ENVELOPES", "100").parse().unwrap();
    for count in setting("TOWERS", "5,20,50").split(',') {
        runtime.block_on(measure(count.parse().unwrap(), envelopes));
    }
}
