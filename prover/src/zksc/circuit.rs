//! The live-state circuit, ready to verify and to prove.
//!
//! ```text
//! build (about two seconds of processor time) --+--> verifier data: at once
//! artifacts::load (milliseconds)              --+--> prover data without its commitment --first proof--> complete
//! ```
//!
//! What takes time and space in the prover's data is the commitment to the circuit's constant polynomials: 2^17 leaves. It
//! follows from 2^7 coefficients of each, so it is never stored; the first proof, or [`LiveStateCircuit::complete`], makes it, and compares
//! it with the commitment that the verifier has.
//!
//! **Invariant:** whatever the data came from, its digest is [`CIRCUIT_DIGEST`]: the circuit that the contract verifies.

use std::sync::{Arc, Mutex, PoisonError};

use plonky2::field::extension::FieldExtension;
use plonky2::field::fft::fft_root_table;
use plonky2::field::types::Field;
use plonky2::fri::oracle::PolynomialBatch;
use plonky2::iop::witness::PartialWitness;
use plonky2::plonk::circuit_data::{CommonCircuitData, ProverOnlyCircuitData, VerifierCircuitData};
use plonky2::plonk::proof::ProofWithPublicInputs;
use plonky2::plonk::prover::prove;
use plonky2::util::timing::TimingTree;

use super::live_state::{self, LiveStateTargets};
use super::{LiveState, LiveStateProof};
use crate::config::{Builder, D, EvmConfig, Ext, F, KeccakDigest, circuit_config};
use crate::encoding::{decode_proof, encode_proof};
use crate::error::{ArtifactError, ProveError, VerifyError};

/// The digest of the live-state circuit, with its configuration. It changes only on purpose, together with the contract.
pub const CIRCUIT_DIGEST: KeccakDigest = KeccakDigest([
    0xe8, 0x2e, 0x2e, 0x0e, 0x08, 0xf6, 0x44, 0x5f, 0xab, 0x50, 0x16, 0xd3, 0xb5, 0x87, 0x01, 0x81,
    0x68, 0x2f, 0x34, 0x95, 0x29, 0xb3, 0x5e, 0x80, 0xa0, 0xec, 0x31, 0x79,
]);

pub(crate) type ProverData = ProverOnlyCircuitData<F, EvmConfig, D>;
pub(crate) type VerifierData = VerifierCircuitData<F, EvmConfig, D>;

/// The prover's data: with or without the commitment to the constant polynomials.
enum Prover {
    Incomplete(Box<ProverData>),
    Complete(Arc<ProverData>),
    /// The stored polynomials were wrong.
    Wrong,
}

/// The live-state circuit.
pub struct LiveStateCircuit {
    targets: LiveStateTargets,
    verifier: VerifierData,
    prover: Mutex<Prover>,
}

impl core::fmt::Debug for LiveStateCircuit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LiveStateCircuit")
            .field("digest", &self.verifier.verifier_only.circuit_digest)
            .finish_non_exhaustive()
    }
}

impl LiveStateCircuit {
    /// Builds the circuit.
    ///
    /// # Errors
    /// [`ArtifactError::BuiltAnother`] if the program's circuit is not the pinned one.
    pub fn build() -> Result<Self, ArtifactError> {
        let (targets, data) = live_state::build(circuit_config());
        let found = data.verifier_only.circuit_digest;
        if found != CIRCUIT_DIGEST {
            return Err(ArtifactError::BuiltAnother { expected: CIRCUIT_DIGEST, found });
        }
        Ok(Self {
            targets,
            verifier: VerifierData { verifier_only: data.verifier_only, common: data.common },
            prover: Mutex::new(Prover::Complete(Arc::new(data.prover_only))),
        })
    }

    /// The circuit from stored data whose digest and configuration were compared.
    pub(crate) fn from_parts(verifier: VerifierData, incomplete: ProverData) -> Self {
        let targets = LiveStateTargets::define(&mut Builder::new(circuit_config()));
        Self { targets, verifier, prover: Mutex::new(Prover::Incomplete(Box::new(incomplete))) }
    }

    /// The verifier's data.
    #[must_use]
    pub const fn verifier_data(&self) -> &VerifierCircuitData<F, EvmConfig, D> {
        &self.verifier
    }

    /// The circuit's shape.
    #[must_use]
    pub const fn common(&self) -> &CommonCircuitData<F, D> {
        &self.verifier.common
    }

    /// Makes the commitment to the constant polynomials, if that is still to be done.
    ///
    /// # Errors
    /// [`ArtifactError::Commitment`] if it is not the one that the verifier has.
    pub fn complete(&self) -> Result<(), ArtifactError> {
        self.prover_data().map(drop)
    }

    pub(crate) fn prover_data(&self) -> Result<Arc<ProverData>, ArtifactError> {
        // A panic while completing leaves `Wrong` behind.
        let mut prover = self.prover.lock().unwrap_or_else(PoisonError::into_inner);
        match core::mem::replace(&mut *prover, Prover::Wrong) {
            Prover::Complete(data) => {
                *prover = Prover::Complete(Arc::clone(&data));
                Ok(data)
            }
            Prover::Incomplete(data) => {
                let data = Arc::new(self.completed(*data)?);
                *prover = Prover::Complete(Arc::clone(&data));
                Ok(data)
            }
            Prover::Wrong => Err(ArtifactError::Commitment),
        }
    }

    fn completed(&self, mut data: ProverData) -> Result<ProverData, ArtifactError> {
        let common = &self.verifier.common;
        let roots = fft_root_table(common.lde_size());
        data.constants_sigmas_commitment = PolynomialBatch::from_coeffs(
            data.constants_sigmas_commitment.polynomials,
            common.config.fri_config.rate_bits,
            false,
            common.config.fri_config.cap_height,
            &mut TimingTree::default(),
            Some(&roots),
        );
        data.fft_root_table = Some(roots);
        if data.constants_sigmas_commitment.merkle_tree.cap
            == self.verifier.verifier_only.constants_sigmas_cap
        {
            Ok(data)
        } else {
            Err(ArtifactError::Commitment)
        }
    }

    /// Proves `live` on the current rayon pool, and verifies the result. Blocks; see [`crate::service`].
    ///
    /// # Errors
    /// [`ProveError`]; [`ProveError::NotLive`] before anything expensive is done.
    ///
    /// # Panics
    /// When Plonky2 does, which [`crate::service`] turns into an error.
    pub fn prove(&self, live: &LiveState) -> Result<LiveStateProof, ProveError> {
        let statement = live.check()?;
        let prover = self.prover_data()?;
        let refused = |error: anyhow::Error| ProveError::Refused { message: error.to_string() };
        let mut witness = PartialWitness::new();
        self.targets.fill(&mut witness, live).map_err(refused)?;
        let proof = prove::<F, EvmConfig, D>(
            &prover,
            &self.verifier.common,
            witness,
            &mut TimingTree::default(),
        )
        .map_err(refused)?;
        let bytes = encode_proof::<EvmConfig>(&proof, &self.verifier.common)
            .map_err(|error| ProveError::SelfCheck(VerifyError::Encoding(error)))?;
        let proof = LiveStateProof { statement, bytes };
        self.verify(&proof).map_err(ProveError::SelfCheck)?;
        Ok(proof)
    }

    /// Verifies a proof: exactly what the contract does.
    ///
    /// # Errors
    /// [`VerifyError`]. Nothing is accepted but the one encoding of a valid proof of this statement.
    pub fn verify(&self, proof: &LiveStateProof) -> Result<(), VerifyError> {
        let VerifierData { verifier_only, common } = &self.verifier;
        let decoded: ProofWithPublicInputs<F, EvmConfig, D> =
            decode_proof::<EvmConfig>(&proof.bytes, &proof.statement, common)?;
        let refused = |error: anyhow::Error| VerifyError::Refused { message: error.to_string() };
        let hash = decoded.get_public_inputs_hash();
        let challenges =
            decoded.get_challenges(hash, &verifier_only.circuit_digest, common).map_err(refused)?;
        check_point(challenges.plonk_zeta)?;
        self.verifier.verify(decoded).map_err(refused)
    }
}

/// Refuses a zeta in the base field, as the contract does: its products on both sides of an equation are good for divisions only
/// where no denominator is zero, and every denominator that can be has zeta less an element of the base field.
fn check_point(zeta: Ext) -> Result<(), VerifyError> {
    let [_, beyond] = zeta.to_basefield_array();
    if beyond == F::ZERO { Err(VerifyError::Degenerate) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No proof can be made to have such a zeta: it takes 2^64 attempts. So the check is tested by itself.
    #[test]
    fn a_zeta_in_the_base_field_is_refused_and_any_other_is_not() {
        for element in [F::ZERO, F::ONE, F::NEG_ONE, F::from_canonical_u64(1 << 40)] {
            let refused = check_point(Ext::from(element));
            assert!(matches!(refused, Err(VerifyError::Degenerate)), "{element}");
            check_point(Ext::from_basefield_array([element, F::ONE])).unwrap();
            check_point(Ext::from_basefield_array([element, F::NEG_ONE])).unwrap();
        }
    }
}
