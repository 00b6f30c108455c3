//! What a proof costs: wall time, processor time, bytes, memory, and the security that it buys. Prints a table.
//!
//! `cargo bench -p prover --bench prove`, on an idle machine; `REPEAT` sets how often each figure is taken (default 3, the least
//! is printed). Processor time is the figure to compare where the machine is not idle.
#![allow(clippy::print_stdout, reason = "a table is what this program is for")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that fails has no figures"
)]

use std::hint::black_box;
use std::time::Instant;

use protocol::Address;
use protocol::testing::Pair;
use prover::artifacts;
use prover::security;
use prover::zksc::{LiveState, LiveStateCircuit};

/// Wall and processor seconds, the least of several runs.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

/// Processor seconds of this process so far: user and system, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> =
        stat.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that this process has used, in MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number")
        / 1024.0
}

/// Forgets the peak so far.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
}

fn measure<T>(times: usize, mut run: impl FnMut() -> T) -> (T, Cost) {
    let mut least = Cost { wall: f64::INFINITY, cpu: f64::INFINITY };
    let mut last = None;
    for _ in 0..times.max(1) {
        drop(last.take());
        let (cpu, begun) = (cpu_seconds(), Instant::now());
        last = Some(black_box(run()));
        least.wall = least.wall.min(begun.elapsed().as_secs_f64());
        least.cpu = least.cpu.min(cpu_seconds() - cpu);
    }
    (last.expect("at least one run"), least)
}

fn row(name: &str, cost: Cost, note: &str) {
    println!("| {name:<34} | {:>9.1} ms | {:>9.0} ms | {note}", cost.wall * 1e3, cost.cpu * 1e3);
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

fn main() {
    let times = std::env::var("REPEAT").ok().and_then(|times| times.parse().ok()).unwrap_or(3);
    let pair = Pair::new(1);
    let live =
        LiveState::new(&pair.final_state(7, 1_234_567), &pair.channel, Address::repeat_byte(0x77));
    let directory = tempfile::tempdir().expect("a directory");

    println!("| {:<34} | {:>12} | {:>12} |", "what", "wall", "processor");
    println!("|---|---|---|");
    let (built, cost) = measure(1, || LiveStateCircuit::build().expect("the pinned circuit"));
    row("build", cost, "");
    let path = artifacts::store(&built, directory.path()).expect("stored");
    drop(built);
    let file = std::fs::metadata(&path).expect("the file").len();
    let (_, cost) = measure(times, || artifacts::load(directory.path()).expect("loaded"));
    row("load (ready to verify)", cost, &format!("{file} bytes"));
    let two = pool(2);
    let (_, cost) = measure(times, || {
        let circuit = artifacts::load(directory.path()).expect("loaded");
        two.install(|| circuit.complete()).expect("complete");
    });
    row("load and complete, 2 threads", cost, "ready to prove");
    let (_, cost) = measure(times, || {
        let circuit = artifacts::load(directory.path()).expect("loaded");
        two.install(|| circuit.prove(&live)).expect("a proof")
    });
    row("load and prove, 2 threads (cold)", cost, "");
    let circuit = artifacts::load(directory.path()).expect("loaded");
    two.install(|| circuit.complete()).expect("complete");
    reset_peak();
    let before = peak_mib();
    let (proof, cost) = measure(times, || two.install(|| circuit.prove(&live)).expect("a proof"));
    row(
        "prove, 2 threads (warm)",
        cost,
        &format!(
            "{} bytes; memory {before:.0} MiB, at its peak {:.0}",
            proof.bytes.len(),
            peak_mib()
        ),
    );
    let (_, cost) = measure(times, || pool(1).install(|| circuit.prove(&live)).expect("a proof"));
    row("prove, 1 thread (warm)", cost, "");
    let (_, cost) = measure(20, || circuit.verify(&proof).expect("valid"));
    row("verify", cost, "");
    let (_, cost) = measure(20, || live.check().expect("live"));
    row("native twin (both signatures)", cost, "");
    println!(
        "\npeak memory {:.0} MiB; rows 2^{}; circuit {:?}",
        peak_mib(),
        circuit.common().degree_bits(),
        circuit.verifier_data().verifier_only.circuit_digest
    );
    let terms = security::terms(circuit.common());
    terms.iter().for_each(|term| println!("{term}"));
    println!("weakest: {}", security::weakest(&terms).expect("a term").name);
}
