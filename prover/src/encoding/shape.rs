//! The shape of a proof: how many of what it holds, which a circuit's common data fixes completely.
//!
//! **Invariant:** two proofs of one circuit have the same shape, so their encodings have the same length and every value
//! stands at the same offset. The contract relies on it: it reads a proof by offsets that were computed here.

use plonky2::{hash::hash_types::RichField, plonk::circuit_data::CommonCircuitData};
use plonky2_field::extension::Extendable;

/// Bytes of one field element: a big-endian integer below the field's order.
pub const ELEMENT_BYTES: usize = 8;

/// Bytes of one element of the quadratic extension: the real part, then the part that multiplies the root of 7.
pub const EXTENSION_BYTES: usize = 2 * ELEMENT_BYTES;

/// Number of polynomial commitments that a proof is checked against: constants with sigmas, wires, products, quotients.
pub const ORACLES: usize = 4;

/// One folding step of FRI, as a query sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepShape {
    /// Logarithm of the number of values folded into one.
    pub arity_bits: usize,
    /// Digests in the Merkle path from the step's leaf to the step's cap.
    pub path_len: usize,
}

/// How many of what a proof holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofShape {
    /// Bytes of one Merkle digest.
    pub digest_bytes: usize,
    /// Digests in one Merkle cap.
    pub cap_len: usize,
    /// Constant polynomials (selectors first).
    pub constants: usize,
    /// Routed wires, each with one sigma polynomial.
    pub routed_wires: usize,
    /// Wire polynomials.
    pub wires: usize,
    /// Repetitions of the permutation argument and of the constraint combination.
    pub challenges: usize,
    /// Partial products per repetition.
    pub partial_products: usize,
    /// Chunks of the quotient per repetition.
    pub quotient_factor: usize,
    /// Logarithm of the number of rows.
    pub degree_bits: usize,
    /// Logarithm of the size of the domain the polynomials are committed on.
    pub domain_bits: usize,
    /// Digests in the Merkle path from a leaf of an oracle to its cap.
    pub path_len: usize,
    /// The folding steps.
    pub steps: Vec<StepShape>,
    /// Coefficients of the final polynomial.
    pub final_coefficients: usize,
    /// Queries.
    pub queries: usize,
    /// Public inputs.
    pub public_inputs: usize,
}

impl ProofShape {
    /// The shape of every proof of the circuit with this common data, whose Merkle digests have `digest_bytes` bytes.
    pub fn new<F: RichField + Extendable<D>, const D: usize>(
        common: &CommonCircuitData<F, D>,
        digest_bytes: usize,
    ) -> Self {
        let params = &common.fri_params;
        let cap_height = params.config.cap_height;
        let domain_bits = params.lde_bits();
        let mut layer_bits = domain_bits;
        let steps = params
            .reduction_arity_bits
            .iter()
            .map(|&arity_bits| {
                layer_bits = layer_bits.saturating_sub(arity_bits);
                StepShape { arity_bits, path_len: layer_bits.saturating_sub(cap_height) }
            })
            .collect();
        Self {
            digest_bytes,
            cap_len: 1 << cap_height,
            constants: common.num_constants,
            routed_wires: common.config.num_routed_wires,
            wires: common.config.num_wires,
            challenges: common.config.num_challenges,
            partial_products: common.num_partial_products,
            quotient_factor: common.quotient_degree_factor,
            degree_bits: common.degree_bits(),
            domain_bits,
            path_len: domain_bits.saturating_sub(cap_height),
            steps,
            final_coefficients: params.final_poly_len(),
            queries: params.config.num_query_rounds,
            public_inputs: common.num_public_inputs,
        }
    }

    /// Number of polynomials in each oracle, in the order in which a query opens them.
    pub fn leaf_lens(&self) -> [usize; ORACLES] {
        [
            self.constants + self.routed_wires,
            self.wires,
            self.challenges * (1 + self.partial_products),
            self.challenges * self.quotient_factor,
        ]
    }

    /// Values opened at zeta: every polynomial of every oracle.
    pub fn openings(&self) -> usize {
        self.leaf_lens().iter().sum()
    }

    /// Values opened at g * zeta: the permutation polynomials.
    pub fn openings_next(&self) -> usize {
        self.challenges
    }

    /// Bytes of one Merkle cap.
    pub fn cap_bytes(&self) -> usize {
        self.cap_len * self.digest_bytes
    }

    /// Bytes of one query.
    pub fn query_bytes(&self) -> usize {
        let leaves = self.openings() * ELEMENT_BYTES;
        let paths = ORACLES * self.path_len * self.digest_bytes;
        let steps: usize = self
            .steps
            .iter()
            .map(|step| (EXTENSION_BYTES << step.arity_bits) + step.path_len * self.digest_bytes)
            .sum();
        leaves + paths + steps
    }

    /// Offset of the openings: after the caps of wires, products and quotients.
    pub fn openings_offset(&self) -> usize {
        (ORACLES - 1) * self.cap_bytes()
    }

    /// Offset of the caps of the folding steps.
    pub fn step_caps_offset(&self) -> usize {
        self.openings_offset() + (self.openings() + self.openings_next()) * EXTENSION_BYTES
    }

    /// Offset of the final polynomial, lowest coefficient first.
    pub fn final_offset(&self) -> usize {
        self.step_caps_offset() + self.steps.len() * self.cap_bytes()
    }

    /// Offset of the grinding witness.
    pub fn grinding_offset(&self) -> usize {
        self.final_offset() + self.final_coefficients * EXTENSION_BYTES
    }

    /// Offset of the first query.
    pub fn queries_offset(&self) -> usize {
        self.grinding_offset() + ELEMENT_BYTES
    }

    /// Length of the encoding.
    pub fn num_bytes(&self) -> usize {
        self.queries_offset() + self.queries * self.query_bytes()
    }
}
