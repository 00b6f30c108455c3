//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

use crate::config::KeccakDigest;
use crate::encoding::EncodingError;
use crate::zksc::NotLive;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// A statement about the witness is not true: no proof exists, do not try again.
    #[error("nothing to prove: {0}")]
    NotLive(#[from] NotLive),
    /// The queue is full of jobs with earlier deadlines or none was free: try again later, or elsewhere.
    #[error("the prover's queue is full ({capacity} jobs)")]
    QueueFull {
        /// How many jobs fit.
        capacity: usize,
    },
    /// The job was dropped from the queue because nobody waits for it any more, or the service was stopped.
    #[error("the job was cancelled")]
    Cancelled,
    /// Plonky2 panicked. Its other jobs are not affected; trying again may help.
    #[error("the prover panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// Plonky2 refused the witness although every statement is true. A bug.
    #[error("the prover refused the witness: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// The finished proof does not verify. A bug, or broken memory.
    #[error("the finished proof does not verify: {0}")]
    SelfCheck(#[source] VerifyError),
    /// The circuit's data could not be completed.
    #[error("the circuit: {0}")]
    Artifact(#[from] ArtifactError),
    /// The threads could not be started.
    #[error("the prover's threads cannot be started: {message}")]
    Threads {
        /// Why.
        message: String,
    },
}

/// Why a proof is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes are not the one encoding of a proof.
    #[error("{0}")]
    Encoding(#[from] EncodingError),
    /// The point at which the proof is opened lies in the base field, where neither verifier accepts anything. An honest prover
    /// meets that once in 2^63 proofs; proving again gives another point.
    #[error("the proof is opened at a point of the base field")]
    Degenerate,
    /// The proof does not prove the statement.
    #[error("the proof does not prove the statement: {message}")]
    Refused {
        /// Which check failed.
        message: String,
    },
}

/// Why a circuit's data could not be read, written or completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not start like a circuit's data.
    #[error("{}: not a circuit's data", path.display())]
    NotAnArtifact {
        /// Which file.
        path: PathBuf,
    },
    /// The file is of another format version.
    #[error("{}: format version {found}, not {expected}", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version that this program reads.
        expected: u32,
        /// The version found.
        found: u32,
    },
    /// The file is of another circuit.
    #[error("{}: circuit {found:?}, not {expected:?}", path.display())]
    Digest {
        /// Which file.
        path: PathBuf,
        /// The circuit of this program.
        expected: KeccakDigest,
        /// The circuit found.
        found: KeccakDigest,
    },
    /// The file is not what was written.
    #[error("{}: damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What gave it away.
        what: &'static str,
    },
    /// The circuit that this program builds is not the one that it is pinned to. A bug.
    #[error("this program builds the circuit {found:?}, not {expected:?}")]
    BuiltAnother {
        /// The circuit that the contract was generated from.
        expected: KeccakDigest,
        /// The circuit built.
        found: KeccakDigest,
    },
    /// The circuit is the pinned one, but what would be stored of it is not. A bug, or a machine that Plonky2 was never tried on.
    #[error("the circuit's data serialize to {found}, not {expected}")]
    SerializedAnother {
        /// Keccak-256 of the payload that this program is pinned to.
        expected: alloy_primitives::B256,
        /// Of the payload made here.
        found: alloy_primitives::B256,
    },
    /// The commitment made from the stored polynomials is not the stored one.
    #[error("the polynomials of the circuit do not give its commitment")]
    Commitment,
    /// Plonky2 could not write the circuit.
    #[error("the circuit cannot be serialized")]
    Serialize,
}
