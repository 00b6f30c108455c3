//! The way to the prover: one request, one proof in the form that the chain reads.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use protocol::Address;
use protocol::zksc::{Channel, FinalState};
use prover::error::ProveError;
use prover::service::{ProofJob, ProverConfig, ProverService, QUEUE_CAPACITY};
use prover::zksc::LiveState;
use tokio::sync::watch;

use crate::config::Config;
use crate::observe::Depth;
use crate::service::StartError;
use crate::tasks::{Stage, Tasks};

/// The longest time ahead that a deadline is told apart: a month is as good as never for the order of a queue.
const DEADLINE_MAX_S: u64 = 30 * 24 * 3_600;

/// What is to be proven: that both parties of the channel signed this state, for the good of the beneficiary.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The state with its signatures.
    pub(crate) state: FinalState,
    /// Its channel.
    pub(crate) channel: Channel,
    /// Whom the proof pays.
    pub(crate) beneficiary: Address,
    /// Chain seconds: the earlier one is proven first.
    pub(crate) deadline: u64,
}

/// Makes proofs. Dropping the future gives the proof up as far as that is possible.
pub(crate) type Prove =
    Arc<dyn Fn(Wanted) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// A prover that was started.
pub(crate) struct Started {
    /// Makes proofs.
    pub(crate) prove: Prove,
    /// Whether the circuit is loaded and complete.
    pub(crate) ready: watch::Receiver<bool>,
    /// How many jobs wait, and how many can.
    pub(crate) waiting: Arc<dyn Fn() -> Depth + Send + Sync>,
}

/// Loads or builds the circuit beside everything else, completes it, and proves from then on.
///
/// Requests that come earlier wait for it. The circuit is built once; later starts load it.
///
/// # Errors
/// When the directory for the circuit cannot be made.
pub(crate) fn start(config: &Config, tasks: &mut Tasks) -> Result<Started, StartError> {
    let directory = config.artifacts_path();
    std::fs::create_dir_all(&directory).map_err(|source| StartError::System {
        what: format!("cannot make {}", directory.display()),
        source,
    })?;
    let threads = NonZeroUsize::new(config.prover.threads);
    let (set, service) = watch::channel(None);
    let (say_ready, ready) = watch::channel(false);
    tasks.spawn(Stage::Prover, "prover", |stop| async move {
        let started = Instant::now();
        let warm = tokio::task::spawn_blocking(move || warm_up(&directory, threads));
        let service = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            service = warm => Arc::new(service??),
        };
        tracing::info!(took_ms = started.elapsed().as_millis(), "the prover is warm");
        set.send_replace(Some(Arc::clone(&service)));
        say_ready.send_replace(true);
        stop.cancelled().await;
        service.stop();
        Ok(())
    });
    let asked = service.clone();
    let waiting = Arc::new(move || {
        let service = asked.borrow();
        (
            service.as_ref().map_or(0, |service: &Arc<ProverService>| service.waiting()),
            QUEUE_CAPACITY.get(),
        )
    });
    let prove: Prove = Arc::new(move |wanted| {
        let mut service = service.clone();
        Box::pin(async move {
            let found = service.wait_for(Option::is_some).await;
            let service = found.map_err(|_stopping| "the prover stops".to_owned())?.clone();
            let service = service.ok_or("the prover stops")?;
            let left = wanted.deadline.saturating_sub(crate::clock::now_s());
            let deadline = Instant::now() + Duration::from_secs(left.min(DEADLINE_MAX_S));
            let live = LiveState::new(&wanted.state, &wanted.channel, wanted.beneficiary);
            let proof = service.prove(ProofJob { live, deadline }).await;
            proof.map(|proof| proof.bytes).map_err(|error| error.to_string())
        })
    });
    Ok(Started { prove, ready, waiting })
}

fn warm_up(directory: &Path, threads: Option<NonZeroUsize>) -> Result<ProverService, ProveError> {
    let circuit = Arc::new(prover::artifacts::load_or_build(directory)?);
    let mut config = ProverConfig::default();
    if let Some(threads) = threads {
        config.threads = threads;
    }
    let service = ProverService::start(Arc::clone(&circuit), config)?;
    // The service completes the circuit on its own threads; this waits for it, so that ready means ready.
    circuit.complete()?;
    Ok(service)
}
