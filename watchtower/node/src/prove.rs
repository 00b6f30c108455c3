//! Proofs of a node's own states, and what opening a dispute costs: a task, because both take time.
//!
//! The circuit is loaded, or built once, with the first proof that is wanted: most nodes never prove anything.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes, U256};
use chain::calls::Vipe;
use chain::provider::Rpc;
use prover::service::{ProofJob, ProverConfig, ProverService};
use prover::zksc::LiveState;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::driver::ProveJob;
use crate::driver::prove_types::{Priced, Proven, Purpose};

/// Jobs that may wait; beyond it the exit's machine asks again.
pub(crate) const JOBS_MAX: usize = 64;
/// It orders the prover's queue, nothing else.
const PATIENCE: Duration = Duration::from_secs(600);

/// The task.
#[derive(Debug)]
pub struct Prover {
    pub(crate) folder: PathBuf,
    pub(crate) rpc: Rpc,
    pub(crate) vipe: Address,
    pub(crate) account: Address,
    pub(crate) jobs: mpsc::Receiver<ProveJob>,
    pub(crate) proven: mpsc::Sender<Proven>,
}

impl Prover {
    /// Proves until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut service = None;
        loop {
            let job = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                job = self.jobs.recv() => job,
            };
            let Some(job) = job else { break };
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                outcome = self.serve(&job, &mut service) => outcome,
            };
            // A node that is gone wants no proofs.
            let _ = self.proven.send(Proven { job, outcome }).await;
        }
        if let Some(service) = service {
            service.stop();
        }
    }

    async fn serve(
        &self,
        job: &ProveJob,
        service: &mut Option<Arc<ProverService>>,
    ) -> Result<Priced, String> {
        let proof = match &job.state {
            Some(state) => {
                let service = match service {
                    Some(service) => Arc::clone(service),
                    None => {
                        let made = Arc::new(start(self.folder.clone()).await?);
                        Arc::clone(service.insert(made))
                    }
                };
                let live = LiveState::new(state, &job.channel, self.account);
                let deadline = Instant::now().checked_add(PATIENCE).ok_or("no time is left")?;
                let proof = service.prove(ProofJob { live, deadline }).await;
                Bytes::from(proof.map_err(|error| error.to_string())?.bytes)
            }
            None => Bytes::new(),
        };
        let value = match job.purpose {
            Purpose::Override => U256::ZERO,
            Purpose::Dispute => self.price(job).await?,
        };
        Ok(Priced { proof, value })
    }

    /// Fee and bond; the fee follows the base fee, so half of it is added. What is too much is credited back.
    async fn price(&self, job: &ProveJob) -> Result<U256, String> {
        let vipe = Vipe::new(self.vipe);
        let fee = vipe.opening_fee(&self.rpc).await.map_err(|error| error.to_string())?;
        let bond = vipe.bond(&self.rpc, job.channel.id(), job.claim).await;
        let bond = bond.map_err(|error| error.to_string())?;
        Ok(fee.saturating_add(fee / U256::from(2)).saturating_add(bond))
    }
}

async fn start(folder: PathBuf) -> Result<ProverService, String> {
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let circuit =
            prover::artifacts::load_or_build(&folder).map_err(|error| error.to_string())?;
        ProverService::start(Arc::new(circuit), ProverConfig::default())
            .map_err(|error| error.to_string())
    });
    made.await.map_err(|error| error.to_string())?
}
