//! The demo's own prover, for the parties and the attackers. The tower has one of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes};
use eyre::WrapErr as _;
use protocol::zksc::{Channel, FinalState};
use prover::artifacts::load_or_build;
use prover::service::{ProofJob, ProverConfig, ProverService};
use prover::zksc::{LiveState, LiveStateProof};

use super::timeline::{Fact, Timeline};

/// By when a proof of the demo should be there: it orders the queue, nothing else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running prover.
#[derive(Debug)]
pub(super) struct Prover {
    service: ProverService,
}

/// A proof as a transaction carries it.
#[derive(Debug, Clone)]
pub(super) struct Proved {
    pub(super) bytes: Bytes,
    pub(super) took: Duration,
}

impl Prover {
    /// Builds the circuit, or loads it from `folder`.
    pub(super) async fn start(folder: &Path, timeline: &Timeline) -> eyre::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let spinner = timeline.progress("building the circuit", 0);
        let began = Instant::now();
        let at = folder.to_owned();
        let circuit = tokio::task::spawn_blocking(move || load_or_build(&at))
            .await?
            .wrap_err("the circuit cannot be built")?;
        spinner.finish_and_clear();
        let degree = circuit.common().degree();
        timeline.step(
            "prover",
            "has the live-state circuit",
            &[Fact::took("time", began.elapsed()), Fact::count("rows", degree as u64)],
        )?;
        Ok(Self { service: ProverService::start(Arc::new(circuit), ProverConfig::default())? })
    }

    /// Proves that `state` is final, for the good of `beneficiary`.
    pub(super) async fn prove(
        &self,
        state: &FinalState,
        channel: &Channel,
        beneficiary: Address,
    ) -> eyre::Result<Proved> {
        let began = Instant::now();
        let proof = self.prove_live(LiveState::new(state, channel, beneficiary)).await?;
        Ok(Proved { bytes: proof.bytes.into(), took: began.elapsed() })
    }

    /// Proves any live state, and verifies the proof.
    pub(super) async fn prove_live(&self, live: LiveState) -> eyre::Result<LiveStateProof> {
        let proof =
            self.service.prove(ProofJob { live, deadline: Instant::now() + PATIENCE }).await?;
        self.service.circuit().verify(&proof)?;
        Ok(proof)
    }
}
