//! `watchtower bench`: what everything costs on this machine, as a table of medians.
//!
//! Wall time, so read it on an idle machine. Nothing here asserts a time: machines differ, and tests must not.

mod fixture;
mod rescue;
mod updates;
mod upserts;

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use eyre::{WrapErr as _, eyre};
use protocol::backup::{UnverifiedEnvelope, open, seal};
use protocol::known_key::KnownKey;
use protocol::schnorr::{Tag, Verify as _};
use protocol::{Address, Role};
use prover::artifacts::{load, load_or_build};
use prover::service::{ProofJob, ProverConfig, ProverService};
use prover::zksc::{LiveState, LiveStateCircuit};

use self::fixture::{Fixture, HEDGE};

/// How much to measure.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// How often each cheap operation is measured; the table shows the median
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub runs: u32,
    /// How often each proof is made
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub proofs: u32,
    /// How often the whole story is played, with a tower in a process of its own; 0 leaves it out
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub rescues: u32,
}

/// Measures and prints.
///
/// # Errors
/// When something that is measured fails, or standard output cannot be written.
pub fn run(args: &BenchArgs) -> eyre::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<48}{:>14}{:>14}{:>8}", "", "median", "fastest", "runs")?;
    let mut tell = |name: &str, times: &mut Vec<Duration>| -> std::io::Result<()> {
        times.sort_unstable();
        let (median, fastest) = (times[times.len() / 2], times[0]);
        writeln!(out, "{name:<48}{:>14}{:>14}{:>8}", shown(median), shown(fastest), times.len())?;
        out.flush()
    };
    signatures(args, &mut tell)?;
    updates::run(args.runs, &mut tell)?;
    upserts::run(&mut tell)?;
    proofs(args, &mut tell)?;
    rescue::run(args.rescues, &mut tell)?;
    rescue::gas_by_component()?;
    Ok(())
}

/// Where a line of the table goes.
type Tell<'a> = dyn FnMut(&str, &mut Vec<Duration>) -> std::io::Result<()> + 'a;

fn signatures(args: &BenchArgs, tell: &mut Tell<'_>) -> eyre::Result<()> {
    let mut fixture = Fixture::new()?;
    tell("handshake of one update, both sides", &mut times(args.runs, || fixture.update())?)?;
    let state = *fixture.latest()?;
    let digest = *state.digest();
    let signer = fixture.signer(Role::Participant).clone();
    let key = signer.channel_key().clone();
    tell(
        "Schnorr signature",
        &mut times(args.runs, || Ok(key.sign(Tag::StateParticipant, &digest, &HEDGE)))?,
    )?;
    let signature = key.sign(Tag::StateParticipant, &digest, &HEDGE);
    tell(
        "Schnorr verification",
        &mut times(args.runs, || {
            Ok(key.public_key().verify(Tag::StateParticipant, &digest, &signature)?)
        })?,
    )?;
    let known = KnownKey::new(*key.public_key());
    tell(
        "Schnorr verification, a channel's own key",
        &mut times(args.runs, || Ok(known.verify(Tag::StateParticipant, &digest, &signature)?))?,
    )?;
    let (channel, dispute_key) = (fixture.channel, fixture.dispute_key);
    tell(
        "final state, all four signatures verified",
        &mut times(args.runs, || Ok(state.unverified().verify(&channel)?))?,
    )?;
    tell(
        "backup: seal and sign",
        &mut times(args.runs, || Ok(seal(&state, &channel, &dispute_key, &signer, &HEDGE)?))?,
    )?;
    let envelope = seal(&state, &channel, &dispute_key, &signer, &HEDGE)?;
    let bytes = envelope.to_bytes();
    tell(
        "backup: admit (decode, check the signature)",
        &mut times(args.runs, || Ok(UnverifiedEnvelope::from_bytes(&bytes)?.admit(&channel)?))?,
    )?;
    tell(
        "backup: open, verify everything in it",
        &mut times(args.runs, || Ok(open(&envelope, &channel, &dispute_key)?))?,
    )?;
    Ok(())
}

fn proofs(args: &BenchArgs, tell: &mut Tell<'_>) -> eyre::Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.update()?;
    let live = LiveState::new(fixture.latest()?, &fixture.channel, Address::repeat_byte(7));
    tell("circuit: build", &mut times(2, || Ok(LiveStateCircuit::build()?))?)?;
    let folder = std::env::temp_dir().join(format!("watchtower-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).wrap_err("a temporary folder is needed")?;
    let circuit = load_or_build(&folder)?;
    tell("circuit: load", &mut times(args.proofs, || Ok(load(&folder)?))?)?;
    let cold = load(&folder)?;
    tell("proof: cold (first after a load), all cores", &mut times(1, || Ok(cold.prove(&live)?))?)?;
    std::fs::remove_dir_all(&folder)?;
    let circuit = Arc::new(circuit);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for threads in [1, 2] {
        let threads = NonZeroUsize::new(threads).ok_or_else(|| eyre!("threads"))?;
        let service = ProverService::start(
            Arc::clone(&circuit),
            ProverConfig { threads, ..ProverConfig::default() },
        )?;
        let prove =
            || Ok(runtime.block_on(service.prove(ProofJob { live, deadline: Instant::now() }))?);
        prove()?;
        tell(&format!("proof: warm, {threads} thread(s)"), &mut times(args.proofs, prove)?)?;
    }
    let proof = circuit.prove(&live)?;
    tell(
        "proof: native verification",
        &mut times(args.runs.min(50), || Ok(circuit.verify(&proof)?))?,
    )?;
    writeln!(std::io::stdout(), "{:<48}{:>14}", "proof: bytes", proof.bytes.len())?;
    Ok(())
}

/// The times of `runs` runs.
fn times<T>(runs: u32, mut work: impl FnMut() -> eyre::Result<T>) -> eyre::Result<Vec<Duration>> {
    (0..runs)
        .map(|_| {
            let began = Instant::now();
            let made = std::hint::black_box(work()?);
            let took = began.elapsed();
            drop(made);
            Ok(took)
        })
        .collect()
}

fn shown(took: Duration) -> String {
    let micros = took.as_secs_f64() * 1e6;
    if micros < 1_000.0 {
        format!("{micros:.1} us")
    } else if micros < 1_000_000.0 {
        format!("{:.2} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}
