//! The transcript, written out: where each byte of the proof enters the sponge and which lane each challenge is.
//!
//! Plonky2's challenger overwrites the rate with what was observed since the last permutation, permutes when eight lanes
//! are full or a challenge is asked for, and pops challenges from the end of the rate. How many lanes are pending at each
//! point depends on the circuit's shape alone, so the generated code has no buffers and no counters.

use plonky2::{
    hash::hashing::PlonkyPermutation,
    plonk::config::{GenericHashOut, Hasher},
};
use plonky2_field::{goldilocks_field::GoldilocksField as F, types::Field};

use super::{
    Circuit, GenerateError,
    field::word,
    memory::{Block, WORD},
    template::Code,
};
use crate::{
    config::Keccak28,
    encoding::{ELEMENT_BYTES, EXTENSION_BYTES},
};

/// Lanes absorbed or squeezed at a time.
const RATE: usize = 8;
/// Lanes of a digest.
const DIGEST_LANES: usize = 4;

/// Addresses that the transcript writes to.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) state: usize,
    pub(super) cap_lanes: usize,
    pub(super) caps: usize,
    pub(super) scratch: usize,
    pub(super) fri_alpha: usize,
    /// One cell per folding step.
    pub(super) fri_betas: usize,
    pub(super) indices: usize,
}

/// The code under construction, and the state of the sponge that is known while generating.
struct Sponge<'a> {
    code: Code,
    at: &'a Addresses,
    /// Lanes observed since the last permutation.
    pending: usize,
    /// Lanes that can still be popped.
    ready: usize,
    /// Whether the lanes of the rate are reduced since the last permutation.
    settled: bool,
}

/// Where absorbed lanes are.
#[derive(Clone, Copy)]
enum Source {
    /// An offset in the proof.
    Proof(usize),
    /// An address.
    Memory(usize),
}

impl Source {
    fn address(self, bytes_on: usize) -> String {
        match self {
            Self::Proof(offset) => format!("add(proofAt, {})", offset + bytes_on),
            Self::Memory(address) => format!("{:#x}", address + bytes_on),
        }
    }
}

impl Sponge<'_> {
    /// Absorbs `lanes` lanes that lie one after another.
    fn absorb(&mut self, source: Source, lanes: usize) {
        let mut done = 0;
        if self.pending > 0 {
            done = lanes.min(RATE - self.pending);
            self.copy(source, 0, done);
        }
        let whole = (lanes - done) / RATE * RATE;
        if whole > 0 {
            let function = match source {
                Source::Proof(_) => "absorbCalldata",
                Source::Memory(_) => "absorbMemory",
            };
            let from = source.address(done * ELEMENT_BYTES);
            let to = source.address((done + whole) * ELEMENT_BYTES);
            self.code.line(format_args!("{function}({from}, {to})"));
            (self.settled, self.ready) = (false, RATE);
            done += whole;
        }
        if done < lanes {
            // The lanes that stay of the last permutation are hashed again: they have to be reduced.
            self.settle();
            self.copy(source, done, lanes - done);
        }
    }

    /// Absorbs `count` lanes that fit into the rate, from the `done`th on.
    fn copy(&mut self, source: Source, done: usize, count: usize) {
        let function = match source {
            Source::Proof(_) => "calldatacopy",
            Source::Memory(_) => "mcopy",
        };
        let to = self.at.state + self.pending * ELEMENT_BYTES;
        let from = source.address(done * ELEMENT_BYTES);
        self.code.line(format_args!("{function}({to:#x}, {from}, {})", count * ELEMENT_BYTES));
        self.pending += count;
        self.ready = 0;
        if self.pending == RATE {
            self.permute();
        }
    }

    fn permute(&mut self) {
        self.code.line("permute()");
        (self.pending, self.ready, self.settled) = (0, RATE, false);
    }

    /// Reduces the lanes of the rate, if that has not been done since the last permutation.
    fn settle(&mut self) {
        if !self.settled {
            self.code.line("settle()");
            self.settled = true;
        }
    }

    /// The expression of the next challenge.
    fn challenge(&mut self) -> String {
        if self.pending > 0 || self.ready == 0 {
            self.permute();
        }
        self.settle();
        self.ready -= 1;
        let (index, lane) = (self.ready / 4, self.ready % 4);
        let word = format!("mload({:#x})", self.at.state + index * WORD);
        match 3 - lane {
            0 => format!("and({word}, 0xffffffffffffffff)"),
            shift => format!("and(shr({}, {word}), 0xffffffffffffffff)", 64 * shift),
        }
    }

    /// Stores the next `count` challenges in words from `address` on.
    fn store_challenges(&mut self, address: usize, count: usize) {
        for index in 0..count {
            let challenge = self.challenge();
            self.code.line(format_args!("mstore({:#x}, {challenge})", address + index * WORD));
        }
    }

    /// Absorbs the cap at this offset of the proof, and keeps it as number `number`.
    fn absorb_cap(&mut self, offset: usize, number: usize, cap_len: usize) {
        let kept = self.at.caps + number * cap_len * WORD;
        self.code.line(format_args!("loadCap(add(proofAt, {offset}), {kept:#x})"));
        self.absorb(Source::Memory(self.at.cap_lanes), cap_len * DIGEST_LANES);
    }
}

/// The lanes that every proof's transcript begins with: the parameters of FRI and the circuit's digest.
fn constant_lanes(circuit: &Circuit<'_>) -> Vec<F> {
    let params = &circuit.common.fri_params;
    let config = &params.config;
    let number = F::from_canonical_usize;
    let mut lanes = vec![
        number(config.rate_bits),
        number(config.cap_height),
        F::from_canonical_u32(config.proof_of_work_bits),
    ];
    lanes.extend(config.reduction_strategy.serialize::<F>());
    lanes.push(number(config.num_query_rounds));
    lanes.push(F::from_bool(params.hiding));
    lanes.push(number(params.degree_bits));
    lanes.extend(params.reduction_arity_bits.iter().map(|&bits| number(bits)));
    lanes.extend(circuit.verifier_only.circuit_digest.to_vec());
    lanes
}

/// The code that computes every challenge.
pub(super) fn transcript(
    circuit: &Circuit<'_>,
    block: &Block,
    at: &Addresses,
) -> Result<String, GenerateError> {
    let shape = &circuit.shape;
    let (caps, cap_len) = (shape.cap_bytes(), shape.cap_len);
    let mut sponge = Sponge { code: Code::new(12), at, pending: 0, ready: 0, settled: true };

    // What is the same for all proofs is absorbed while generating.
    let lanes = constant_lanes(circuit);
    let mut state = <Keccak28 as Hasher<F>>::Permutation::new(core::iter::repeat(F::ZERO));
    for chunk in lanes.chunks(RATE) {
        state.set_from_slice(chunk, 0);
        sponge.pending = chunk.len() % RATE;
        if sponge.pending == 0 {
            state.permute();
        }
    }
    for (index, lanes) in state.as_ref().chunks(4).enumerate() {
        sponge.code.line(format_args!("mstore({:#x}, {})", at.state + index * WORD, word(lanes)));
    }

    // The hash of the public inputs: four words to four lanes.
    let packed = (0..4)
        .map(|i| format!("shl({}, mload({:#x}))", 64 * (3 - i), block.pi_hash() + i * WORD))
        .reduce(|all, lane| format!("or({all}, {lane})"))
        .unwrap_or_default();
    sponge.code.line(format_args!("mstore({:#x}, {packed})", at.scratch));
    sponge.absorb(Source::Memory(at.scratch), 4);

    sponge.absorb_cap(0, 1, cap_len);
    sponge.store_challenges(block.betas(), shape.challenges);
    sponge.store_challenges(block.gammas(), shape.challenges);
    sponge.absorb_cap(caps, 2, cap_len);
    sponge.store_challenges(block.alphas(), shape.challenges);
    sponge.absorb_cap(2 * caps, 3, cap_len);
    sponge.store_challenges(block.zeta(), 2);

    let openings = (shape.openings() + shape.openings_next()) * EXTENSION_BYTES / ELEMENT_BYTES;
    sponge.absorb(Source::Proof(shape.openings_offset()), openings);
    sponge.store_challenges(at.fri_alpha, 2);
    for step in 0..shape.steps.len() {
        sponge.absorb_cap(shape.step_caps_offset() + step * caps, 4 + step, cap_len);
        sponge.store_challenges(at.fri_betas + 2 * step * WORD, 2);
    }
    // The grinding witness follows the final polynomial in the encoding too.
    sponge.absorb(Source::Proof(shape.final_offset()), 2 * shape.final_coefficients + 1);
    let response = sponge.challenge();
    let bits = circuit.common.fri_params.config.proof_of_work_bits;
    sponge.code.line("// Grinding: the response begins with enough zeros.");
    sponge.code.line(format_args!("if shr({}, {response}) {{ fail() }}", 64 - bits));
    let mask = (1_u64 << shape.domain_bits) - 1;
    for query in 0..shape.queries {
        let challenge = sponge.challenge();
        let address = at.indices + query * WORD;
        sponge.code.line(format_args!("mstore({address:#x}, and({challenge}, {mask:#x}))"));
    }
    Ok(sponge.code.finish())
}
