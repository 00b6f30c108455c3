//! The generator of the on-chain verifier: from a circuit's verifying data to Solidity with inline Yul.
//!
//! ```text
//! VerifierOnlyCircuitData -+
//! CommonCircuitData -------+--> generate --> LiveStateVerifier.sol   parsing, transcript, quotient check, FRI
//!                                          LiveStateGates.sol      permutation argument, gates
//!                                          LiveStateCurve.sol      gates of the curve
//!                                          LiveStatePoseidon.sol   public-input hash, Poseidon gate
//! ```
//!
//! The verifier creates its parts when it is created; they are separate because no contract's code may exceed 24,576 bytes.
//! It verifies everything that Plonky2's own verifier does, over the encoding of [`crate::encoding`], and refuses every element
//! that is not below the field's order wherever it stands in the proof. What it does by other means than Plonky2, and why that is
//! the same: divisions are replaced by products on both sides (`checkQuotient`, `openLeaves`; the denominators are not zero
//! because a zeta in the base field is refused, natively too), foldings of 16 values by four foldings of two (`halve`), and Poseidon's partial
//! rounds by their plain form (`poseidon.rs`).
//!
//! **Invariant:** the output is a function of the input alone: the same circuit gives the same text.

mod field;
mod form;
mod formula;
mod fri;
mod gates;
mod memory;
mod parts;
mod poseidon;
mod quintic;
mod template;
mod transcript;

use plonky2::{
    field::types::Field,
    plonk::{
        circuit_data::{CommonCircuitData, VerifierOnlyCircuitData},
        config::{GenericHashOut, Hasher},
    },
};

use self::{
    gates::{Home, Selectors},
    memory::{Block, CELL, Regions, WORD},
    template::{Code, Values},
};
use crate::{
    config::{D, EvmConfig, F, Keccak28},
    encoding::{EXTENSION_BYTES, ProofShape},
};

/// Repetitions of the permutation argument that the templates are written for.
const CHALLENGES: usize = 3;

/// Where a contract's own memory begins. Below it are the scratch space, and what the compiler may move from the stack to memory:
/// it does so from 0x80 on, up to the free memory pointer, and the code refuses to run if that is not below.
const RESERVED: usize = 0x800;

/// The contracts: file name without extension, and what it is.
const VERIFIER: &str = "LiveStateVerifier";
const GATES: &str = "LiveStateGates";
const CURVE: &str = "LiveStateCurve";
const POSEIDON: &str = "LiveStatePoseidon";

/// The directory of the contracts that the verifier creates; they are not deployed by themselves.
const PARTS: &str = "parts";

/// A generated source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path, relative to the directory of the generated contracts.
    pub name: String,
    /// The source.
    pub source: String,
}

/// Where the verifier keeps the challenges in its memory once the transcript is done: what a debugger needs, and the tests that
/// compare them with Plonky2's. Each takes as many words as it has elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeAddresses {
    /// The betas of the permutation argument, one for each repetition; the gammas, the alphas, zeta's two components and the four
    /// elements of the public inputs' hash follow them.
    pub block: usize,
    /// The scaling factor of FRI, two components.
    pub fri_alpha: usize,
    /// The folding factors of FRI, two components for each step.
    pub fri_betas: usize,
    /// The points that are queried, as indices.
    pub indices: usize,
}

/// Where the generated verifier keeps its challenges.
///
/// # Errors
/// As [`generate`].
pub fn challenge_addresses(
    verifier_only: &VerifierOnlyCircuitData<EvmConfig, D>,
    common: &CommonCircuitData<F, D>,
) -> Result<ChallengeAddresses, GenerateError> {
    let circuit = Circuit::of(verifier_only, common)?;
    let (block, at) =
        circuit.verifier_memory(&mut Regions::from(RESERVED), &mut circuit.values())?;
    Ok(ChallengeAddresses {
        block: block.start,
        fri_alpha: at.fri_alpha,
        fri_betas: at.fri_betas,
        indices: at.indices,
    })
}

/// Why no verifier can be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The circuit uses a gate that no Yul was written for.
    #[error("no Yul was written for the gate {0}")]
    UnsupportedGate(String),
    /// The circuit or its configuration has a property that the templates do not cover.
    #[error("the generator does not cover {0}")]
    Unsupported(&'static str),
    /// A template names a value that does not exist.
    #[error("the template names an unknown value: {0}")]
    Template(String),
}

/// A circuit as the generator sees it.
struct Circuit<'a> {
    verifier_only: &'a VerifierOnlyCircuitData<EvmConfig, D>,
    common: &'a CommonCircuitData<F, D>,
    shape: ProofShape,
    selectors: Selectors,
}

/// Writes the contracts that verify proofs of the circuit with this verifying data.
///
/// # Errors
/// [`GenerateError`] if the circuit uses a gate or a configuration that the generator does not cover.
pub fn generate(
    verifier_only: &VerifierOnlyCircuitData<EvmConfig, D>,
    common: &CommonCircuitData<F, D>,
) -> Result<Vec<SourceFile>, GenerateError> {
    let circuit = Circuit::of(verifier_only, common)?;
    let part =
        |name: &str, source: String| SourceFile { name: format!("{PARTS}/{name}.sol"), source };
    let mut files = vec![
        SourceFile { name: format!("{VERIFIER}.sol"), source: circuit.verifier()? },
        part(GATES, circuit.gates_part()?),
        part(POSEIDON, circuit.poseidon_part()?),
    ];
    if circuit.has_gates(Home::Curve) {
        files.push(part(CURVE, circuit.curve_part()?));
    }
    Ok(files)
}

impl<'a> Circuit<'a> {
    /// The circuit with this verifying data, if the generator covers it.
    fn of(
        verifier_only: &'a VerifierOnlyCircuitData<EvmConfig, D>,
        common: &'a CommonCircuitData<F, D>,
    ) -> Result<Self, GenerateError> {
        let shape = ProofShape::new(common, Keccak28::HASH_SIZE);
        let circuit = Self { verifier_only, common, shape, selectors: Selectors::of(common)? };
        circuit.check_covered()?;
        Ok(circuit)
    }
}

impl Circuit<'_> {
    /// Refuses what the templates were not written for.
    fn check_covered(&self) -> Result<(), GenerateError> {
        let common = self.common;
        let shift = common.k_is.get(1).copied().unwrap_or_default();
        let powers = shift.powers().zip(&common.k_is).all(|(power, k)| power == *k);
        let (leaves, step_leaf) = (self.shape.leaf_lens(), |bits: usize| 2 << bits);
        let conditions = [
            (common.config.num_challenges == CHALLENGES, "other than three challenges"),
            (!common.fri_params.hiding, "zero knowledge"),
            (common.num_lookup_polys == 0 && common.luts.is_empty(), "lookup tables"),
            (powers, "coset shifts that are not powers of one"),
            // Leaves of seven lanes are hashed differently, see `Keccak28`.
            (!leaves.contains(&7), "leaves of seven lanes"),
            (
                self.shape.steps.iter().all(|s| step_leaf(s.arity_bits) >= 4),
                "folding steps of one value",
            ),
            (leaves[2] >= CHALLENGES, "leaves without permutation polynomials"),
            (self.shape.domain_bits <= 32, "domains of more than 2^32 points"),
            (self.shape.public_inputs > 0, "circuits without public inputs"),
        ];
        match conditions.into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(GenerateError::Unsupported(what)),
            None => Ok(()),
        }
    }

    /// Values that all contracts share.
    fn values(&self) -> Values {
        let mut values = Values::default();
        field::set_constants(&mut values);
        values
            .set("RESERVED", RESERVED)
            .set("CHALLENGES", CHALLENGES)
            .set("DIGEST_BYTES", self.shape.digest_bytes);
        values
    }

    fn block(&self, start: usize) -> Block {
        Block::at(start, &self.shape, self.common.num_gate_constraints)
    }

    fn verifier(&self) -> Result<String, GenerateError> {
        let mut values = self.values();
        let mut regions = Regions::from(RESERVED);
        let (block, _) = self.verifier_memory(&mut regions, &mut values)?;
        values.set("FIELD", values.fill(include_str!("onchain/yul/field.yul"))?);
        values
            .set("TRANSCRIPT_FUNCTIONS", values.fill(include_str!("onchain/yul/transcript.yul"))?);
        values.set("OPENINGS_FUNCTIONS", values.fill(include_str!("onchain/yul/openings.yul"))?);
        values.set("FRI_FUNCTIONS", values.fill(include_str!("onchain/yul/fri.yul"))?);
        self.set_parts(&block, &mut values);
        self.set_description(&mut values);
        values.fill(include_str!("onchain/yul/main.sol"))
    }

    /// Lays out the verifier's memory and sets everything that depends on it.
    fn verifier_memory(
        &self,
        regions: &mut Regions,
        values: &mut Values,
    ) -> Result<(Block, transcript::Addresses), GenerateError> {
        let shape = &self.shape;
        let at = transcript::Addresses {
            state: regions.take(3 * WORD),
            cap_lanes: regions.take(shape.cap_len * WORD),
            caps: regions.take((4 + shape.steps.len()) * shape.cap_len * WORD),
            scratch: regions.take(2 * CELL),
            fri_alpha: regions.take(CELL),
            fri_betas: regions.take(shape.steps.len() * CELL),
            indices: regions.take(shape.queries * WORD),
        };
        values
            .set("EVEN_LANES_AT", regions.take(WORD))
            .set("EVEN_ADDEND_AT", regions.take(WORD))
            .set("LANE_AT", regions.take(WORD));
        let hash_io = regions.take(shape.public_inputs * WORD);
        let (sum, part_out) = (regions.take(3 * CELL), regions.take(3 * CELL));
        let fri = fri::Addresses::take(self, regions, values, (at.caps, at.fri_betas));
        // The last leaf's powers are read beyond the last opening, times zero.
        let block = self.block(regions.take(0));
        values
            .set("STATE0", at.state)
            .set("STATE1", at.state + WORD)
            .set("STATE2", at.state + 2 * WORD)
            .set("CAP_LANES", at.cap_lanes)
            .set("CAP_LANES_END", at.cap_lanes + shape.cap_len * WORD)
            .set("SCRATCH", at.scratch)
            .set("FRI_ALPHA", at.fri_alpha)
            .set("INDICES", at.indices)
            .set("INDICES_END", at.indices + shape.queries * WORD)
            .set("HASH_IO", hash_io)
            .set("HASH_IO_END", hash_io + shape.public_inputs * WORD)
            .set("SUM", sum)
            .set("SUM_END", sum + 3 * CELL)
            .set("PART_OUT", part_out)
            .set("DIGEST_SHIFT", 8 * (WORD - shape.digest_bytes))
            .set("NODE_BYTES", 2 * shape.digest_bytes);
        self.set_block(&block, values);
        values.set("TRANSCRIPT", transcript::transcript(self, &block, &at)?);
        fri::set_code(self, &block, &fri, values)?;
        Ok((block, at))
    }

    /// Addresses inside the block, and counts.
    fn set_block(&self, block: &Block, values: &mut Values) {
        let shape = &self.shape;
        let quotient_bytes = shape.quotient_factor * CELL;
        values
            .set("BETAS", block.betas())
            .set("GAMMAS", block.gammas())
            .set("ALPHAS", block.alphas())
            .set("ZETA", block.zeta())
            .set("PI_HASH", block.pi_hash())
            .set("ALPHA_POWERS", block.alpha_powers)
            .set("ALPHA_POWERS_END", block.alpha_powers_end)
            .set("CELLS", block.cells)
            .set("CELLS_NEXT", block.zs_next())
            .set("CELLS_END", block.end)
            .set("CONSTANTS", block.constant(self.selectors.count()))
            .set("SIGMAS", block.sigmas())
            .set("WIRES", block.wires())
            .set("WIRES_IM", block.wires() + WORD)
            .set("ROUTED_END", block.wire(shape.routed_wires))
            .set("ZS", block.zs())
            .set("ZS_END", block.partials())
            .set("PARTIALS", block.partials())
            .set("PARTIALS_BYTES", shape.partial_products * CELL)
            .set("QUOTIENTS", block.quotients())
            .set("QUOTIENT_BYTES", quotient_bytes)
            .set("ZS_NEXT", block.zs_next())
            .set("PRODUCT_POWERS", block.product_powers())
            .set("POWERS", block.gate_powers())
            .set("ROWS", 1_u64 << shape.degree_bits)
            .set("DEGREE_BITS", shape.degree_bits)
            .set("OPENINGS_AT", shape.openings_offset());
    }

    fn set_parts(&self, block: &Block, values: &mut Values) {
        let (mut imports, mut immutables) = (Code::new(0), Code::new(4));
        let (mut locals, mut calls) = (Code::new(8), Code::new(12));
        // Name, whether it exists, and whether it evaluates constraints.
        let parts = [
            (GATES, "gates", true, true),
            (CURVE, "curve", self.has_gates(Home::Curve), true),
            (POSEIDON, "poseidon", true, self.has_gates(Home::Poseidon)),
        ];
        for (contract, name, _, evaluates) in parts.into_iter().filter(|part| part.2) {
            let constant = name.to_uppercase();
            imports.line(format_args!("import {{{contract}}} from \"./{PARTS}/{contract}.sol\";"));
            immutables.line(format_args!(
                "address private immutable {constant} = address(new {contract}());"
            ));
            locals.line(format_args!("address {name} = {constant};"));
            if evaluates {
                let (start, bytes) = (block.start, block.bytes());
                let out = values.get("PART_OUT");
                calls.line(format_args!(
                    "if iszero(staticcall(gas(), {name}, {start:#x}, {bytes}, {out}, 192)) {{ fail() }}"
                ));
                calls.line("if xor(returndatasize(), 192) { fail() }");
                calls.line("addSums()");
            }
        }
        values
            .set("IMPORTS", imports.finish())
            .set("IMMUTABLES", immutables.finish())
            .set("LOCALS", locals.finish())
            .set("PART_CALLS", calls.finish());
    }

    fn set_description(&self, values: &mut Values) {
        let shape = &self.shape;
        let config = &self.common.fri_params.config;
        let summary = format!(
            "2^{} rows, rate 2^-{}, {} queries, {} bits of grinding, {} gate types",
            shape.degree_bits,
            config.rate_bits,
            shape.queries,
            config.proof_of_work_bits,
            self.common.gates.len()
        );
        let digest = self.verifier_only.circuit_digest.to_bytes();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        values
            .set("NAME", VERIFIER)
            .set("SUMMARY", summary)
            .set("DIGEST", format_args!("0x{digest}"))
            .set("PROOF_BYTES", shape.num_bytes())
            .set("PUBLIC_INPUTS", shape.public_inputs)
            .set("STATEMENT_BYTES", shape.public_inputs * WORD);
    }
}

/// Bytes of one opening in a proof, which the templates' strides rely on.
const _: () = assert!(EXTENSION_BYTES == 16);
