//! The bytes of a proof, as a transaction carries them and the contract reads them.
//!
//! Order: the caps of wires, products and quotients; the openings at zeta (constants, sigmas, wires, permutation
//! polynomials, partial products, quotient chunks) and at g * zeta (permutation polynomials); the caps of the folding
//! steps; the final polynomial; the grinding witness; then each query: the four leaves, each followed by its Merkle path,
//! and each folding step's values followed by its path. Elements are 8 bytes, big endian; digests are raw. There are no
//! lengths and no padding: [`ProofShape`] fixes everything, and it is this circuit's or the bytes are refused.
//!
//! **Invariant:** encoding is a bijection between proofs of the right shape and byte strings of the right length in which
//! every element is below the field's order. So no two byte strings decode to the same proof, and nothing can be appended.

mod reader;
mod shape;

use alloy_primitives::U256;
use plonky2::{
    field::{
        extension::FieldExtension,
        polynomial::PolynomialCoeffs,
        types::{Field, Field64, PrimeField64},
    },
    fri::proof::{FriInitialTreeProof, FriProof, FriQueryRound, FriQueryStep},
    hash::{merkle_proofs::MerkleProof, merkle_tree::MerkleCap},
    plonk::{
        circuit_data::CommonCircuitData,
        config::{GenericConfig, GenericHashOut, Hasher},
        proof::{OpeningSet, Proof, ProofWithPublicInputs},
    },
};
use plonky2_field::{
    extension::quadratic::QuadraticExtension, goldilocks_field::GoldilocksField as F,
};

use self::reader::Reader;
pub use self::shape::{ELEMENT_BYTES, EXTENSION_BYTES, ORACLES, ProofShape, StepShape};

/// Degree of the extension that challenges are drawn from.
const D: usize = 2;

type Extension = QuadraticExtension<F>;
type HashOf<C> = <<C as GenericConfig<D>>::Hasher as Hasher<F>>::Hash;

/// Why bytes are not a proof or a statement of a circuit, or a proof cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// The bytes do not have the one length that this circuit's proofs have.
    #[error("a proof of this circuit has {expected} bytes, not {found}")]
    Length {
        /// The length that this circuit's proofs have.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// An integer is not below the field's order.
    #[error("the element at byte {offset} is not below the field's order")]
    NonCanonical {
        /// Where the element starts.
        offset: usize,
    },
    /// A statement has the wrong number of words.
    #[error("a statement of this circuit has {expected} words, not {found}")]
    StatementLength {
        /// Words that this circuit's statements have.
        expected: usize,
        /// Words found.
        found: usize,
    },
    /// A statement's word is not below the field's order.
    #[error("word {index} of the statement is not below the field's order")]
    StatementWord {
        /// Which word.
        index: usize,
    },
    /// The proof in memory is not of this circuit's shape.
    #[error("the proof is not of this circuit's shape")]
    Shape,
}

/// Writes a proof down for the chain. The public inputs travel apart from it, as the statement.
///
/// # Errors
/// [`EncodingError::Shape`] if the proof is not of the circuit's shape.
pub fn encode_proof<C: GenericConfig<D, F = F>>(
    proof: &ProofWithPublicInputs<F, C, D>,
    common: &CommonCircuitData<F, D>,
) -> Result<Vec<u8>, EncodingError> {
    let shape = ProofShape::new(common, C::Hasher::HASH_SIZE);
    let mut out = Vec::with_capacity(shape.num_bytes());
    let inner = &proof.proof;
    put_cap::<C>(&mut out, &inner.wires_cap);
    put_cap::<C>(&mut out, &inner.plonk_zs_partial_products_cap);
    put_cap::<C>(&mut out, &inner.quotient_polys_cap);
    let openings = &inner.openings;
    for group in [
        &openings.constants,
        &openings.plonk_sigmas,
        &openings.wires,
        &openings.plonk_zs,
        &openings.partial_products,
        &openings.quotient_polys,
        &openings.plonk_zs_next,
    ] {
        put_extensions(&mut out, group);
    }
    let fri = &inner.opening_proof;
    for cap in &fri.commit_phase_merkle_caps {
        put_cap::<C>(&mut out, cap);
    }
    put_extensions(&mut out, &fri.final_poly.coeffs);
    put_element(&mut out, fri.pow_witness);
    for query in &fri.query_round_proofs {
        for (leaf, path) in &query.initial_trees_proof.evals_proofs {
            leaf.iter().for_each(|&value| put_element(&mut out, value));
            put_digests::<C>(&mut out, &path.siblings);
        }
        for step in &query.steps {
            put_extensions(&mut out, &step.evals);
            put_digests::<C>(&mut out, &step.merkle_proof.siblings);
        }
    }
    // A proof of another shape could have the same length by coincidence; reading it back settles it.
    match decode_proof::<C>(&out, &proof.public_inputs, common) {
        Ok(again) if again == *proof => Ok(out),
        _ => Err(EncodingError::Shape),
    }
}

/// Reads a proof back, with the public inputs it is to be checked against.
///
/// # Errors
/// [`EncodingError::Length`] for too few or too many bytes, [`EncodingError::NonCanonical`] for an element that is not
/// below the field's order, [`EncodingError::StatementLength`] for the wrong number of public inputs.
pub fn decode_proof<C: GenericConfig<D, F = F>>(
    bytes: &[u8],
    public_inputs: &[F],
    common: &CommonCircuitData<F, D>,
) -> Result<ProofWithPublicInputs<F, C, D>, EncodingError> {
    let shape = ProofShape::new(common, C::Hasher::HASH_SIZE);
    if public_inputs.len() != shape.public_inputs {
        let (expected, found) = (shape.public_inputs, public_inputs.len());
        return Err(EncodingError::StatementLength { expected, found });
    }
    let (expected, found) = (shape.num_bytes(), bytes.len());
    let wrong_length = EncodingError::Length { expected, found };
    if found != expected {
        return Err(wrong_length);
    }
    let mut reader = Reader::new(bytes, wrong_length);
    let wires_cap = reader.cap::<C>(&shape)?;
    let plonk_zs_partial_products_cap = reader.cap::<C>(&shape)?;
    let quotient_polys_cap = reader.cap::<C>(&shape)?;
    let openings = read_openings(&mut reader, &shape)?;
    let opening_proof = read_fri::<C>(&mut reader, &shape)?;
    reader.finish()?;
    let proof = Proof {
        wires_cap,
        plonk_zs_partial_products_cap,
        quotient_polys_cap,
        openings,
        opening_proof,
    };
    Ok(ProofWithPublicInputs { proof, public_inputs: public_inputs.to_vec() })
}

/// The statement's words for the contract: one public input each.
pub fn encode_statement(public_inputs: &[F]) -> Vec<U256> {
    public_inputs.iter().map(|value| U256::from(value.to_canonical_u64())).collect()
}

/// Reads the statement's words back.
///
/// # Errors
/// [`EncodingError::StatementLength`] if there are not `expected` words, [`EncodingError::StatementWord`] if one is not
/// below the field's order.
pub fn decode_statement(words: &[U256], expected: usize) -> Result<Vec<F>, EncodingError> {
    if words.len() != expected {
        return Err(EncodingError::StatementLength { expected, found: words.len() });
    }
    let element = |(index, word): (usize, &U256)| match u64::try_from(*word) {
        Ok(value) if value < F::ORDER => Ok(F::from_canonical_u64(value)),
        _ => Err(EncodingError::StatementWord { index }),
    };
    words.iter().enumerate().map(element).collect()
}

fn read_openings(
    reader: &mut Reader<'_>,
    shape: &ProofShape,
) -> Result<OpeningSet<F, D>, EncodingError> {
    Ok(OpeningSet {
        constants: reader.extensions(shape.constants)?,
        plonk_sigmas: reader.extensions(shape.routed_wires)?,
        wires: reader.extensions(shape.wires)?,
        plonk_zs: reader.extensions(shape.challenges)?,
        partial_products: reader.extensions(shape.challenges * shape.partial_products)?,
        quotient_polys: reader.extensions(shape.challenges * shape.quotient_factor)?,
        plonk_zs_next: reader.extensions(shape.challenges)?,
        lookup_zs: Vec::new(),
        lookup_zs_next: Vec::new(),
    })
}

fn read_fri<C: GenericConfig<D, F = F>>(
    reader: &mut Reader<'_>,
    shape: &ProofShape,
) -> Result<FriProof<F, C::Hasher, D>, EncodingError> {
    let mut commit_phase_merkle_caps = Vec::with_capacity(shape.steps.len());
    for _ in &shape.steps {
        commit_phase_merkle_caps.push(reader.cap::<C>(shape)?);
    }
    let final_poly = PolynomialCoeffs::new(reader.extensions(shape.final_coefficients)?);
    let pow_witness = reader.element()?;
    let mut query_round_proofs = Vec::with_capacity(shape.queries);
    for _ in 0..shape.queries {
        let mut evals_proofs = Vec::with_capacity(ORACLES);
        for leaf_len in shape.leaf_lens() {
            let leaf = reader.elements(leaf_len)?;
            let siblings = reader.digests::<C>(shape.path_len)?;
            evals_proofs.push((leaf, MerkleProof { siblings }));
        }
        let mut steps = Vec::with_capacity(shape.steps.len());
        for step in &shape.steps {
            let evals = reader.extensions(1 << step.arity_bits)?;
            let siblings = reader.digests::<C>(step.path_len)?;
            steps.push(FriQueryStep { evals, merkle_proof: MerkleProof { siblings } });
        }
        let initial_trees_proof = FriInitialTreeProof { evals_proofs };
        query_round_proofs.push(FriQueryRound { initial_trees_proof, steps });
    }
    Ok(FriProof { commit_phase_merkle_caps, query_round_proofs, final_poly, pow_witness })
}

fn put_element(out: &mut Vec<u8>, value: F) {
    out.extend_from_slice(&value.to_canonical_u64().to_be_bytes());
}

fn put_extensions(out: &mut Vec<u8>, values: &[Extension]) {
    for value in values {
        let parts: [F; D] = value.to_basefield_array();
        parts.into_iter().for_each(|part| put_element(out, part));
    }
}

fn put_digests<C: GenericConfig<D, F = F>>(out: &mut Vec<u8>, digests: &[HashOf<C>]) {
    digests.iter().for_each(|digest| out.extend_from_slice(&digest.to_bytes()));
}

fn put_cap<C: GenericConfig<D, F = F>>(out: &mut Vec<u8>, cap: &MerkleCap<F, C::Hasher>) {
    put_digests::<C>(out, &cap.0);
}
