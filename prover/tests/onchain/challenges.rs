//! The contract's challenges, one by one, against Plonky2's own for the same proof.
//!
//! Nothing is instrumented: the checked-in bytecode runs, and its memory is read when it calls the first part with constraints,
//! which is when the transcript is done. The response to the grinding is in no memory of its own; it is the last lane of the
//! sponge's rate before the sponge is permuted for the last time, which is seen where the sponge is hashed.

use plonky2::{
    field::{extension::FieldExtension, types::PrimeField64},
    plonk::proof::ProofWithPublicInputs,
};
use prover::{
    config::{D, EvmConfig, F},
    encoding::decode_proof,
    onchain::{ChallengeAddresses, challenge_addresses},
    zksc::{LiveStateCircuit, LiveStateProof},
};
use revm::{
    Inspector,
    interpreter::{
        CallInputs, CallOutcome, Interpreter,
        interpreter_types::{Jumps, MemoryTr},
    },
};

use crate::{
    evm::{Artifact, Evm},
    fixture,
};

const KECCAK256: u8 = 0x20;
const STATICCALL: u8 = 0xfa;

/// Bytes of the sponge, and of one of its lanes.
const SPONGE_BYTES: u64 = 96;
const LANE_BYTES: usize = 8;

/// The lane of the rate that is popped first.
const FIRST_POPPED: usize = 7;

/// Keeps what the verifier's memory held.
#[derive(Debug, Default)]
struct Memory {
    depth: usize,
    calls: usize,
    /// When the first part with constraints is called.
    kept: Vec<u8>,
    /// The sponge at its last permutation.
    sponge: Vec<u8>,
}

impl<CTX> Inspector<CTX> for Memory {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if self.depth != 1 {
            return;
        }
        let stack = interpreter.stack.data();
        let word = |from_top: usize| stack[stack.len() - from_top].as_limbs()[0];
        match interpreter.bytecode.opcode() {
            // The hash of the public inputs was the first call.
            STATICCALL if self.calls == 1 => {
                self.kept = interpreter.memory.slice(0..interpreter.memory.size()).to_vec();
            }
            KECCAK256 if word(2) == SPONGE_BYTES => {
                let at = word(1) as usize;
                self.sponge = interpreter.memory.slice(at..at + SPONGE_BYTES as usize).to_vec();
            }
            _ => {}
        }
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, _: &mut CallOutcome) {
        self.depth -= 1;
        self.calls += usize::from(self.depth == 1);
    }
}

impl Memory {
    /// The words from an address on.
    fn words(&self, at: usize, count: usize) -> Vec<u64> {
        let words = self.kept[at..].chunks_exact(32).take(count);
        words
            .map(|word| {
                assert!(word[..24].iter().all(|byte| *byte == 0), "a word is a field element");
                u64::from_be_bytes(word[24..].try_into().expect("8 bytes"))
            })
            .collect()
    }

    fn lane(&self, index: usize) -> u64 {
        let bytes = &self.sponge[index * LANE_BYTES..(index + 1) * LANE_BYTES];
        u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
    }
}

/// The challenges by name, in the order in which they are drawn.
type Named = Vec<(&'static str, Vec<u64>)>;

fn by_plonky2(circuit: &LiveStateCircuit, proof: &LiveStateProof) -> Named {
    let data = circuit.verifier_data();
    let proof: ProofWithPublicInputs<F, EvmConfig, D> =
        decode_proof::<EvmConfig>(&proof.bytes, &proof.statement, &data.common)
            .expect("it is a proof");
    let hash = proof.get_public_inputs_hash();
    let challenges = proof
        .get_challenges(hash, &data.verifier_only.circuit_digest, &data.common)
        .expect("it has challenges");
    let base = |list: &[F]| list.iter().map(F::to_canonical_u64).collect::<Vec<_>>();
    let extension = |value| base(&FieldExtension::<D>::to_basefield_array(value));
    let fri = &challenges.fri_challenges;
    assert!(challenges.plonk_deltas.is_empty(), "there are no look-ups");
    vec![
        ("hash of the public inputs", base(&hash.elements)),
        ("betas", base(&challenges.plonk_betas)),
        ("gammas", base(&challenges.plonk_gammas)),
        ("alphas", base(&challenges.plonk_alphas)),
        ("zeta", extension(&challenges.plonk_zeta)),
        ("alpha of FRI", extension(&fri.fri_alpha)),
        ("betas of FRI", fri.fri_betas.iter().flat_map(extension).collect()),
        ("response to the grinding", base(&[fri.fri_pow_response])),
        ("query indices", fri.fri_query_indices.iter().map(|&index| index as u64).collect()),
    ]
}

fn by_the_contract(memory: &Memory, at: ChallengeAddresses, like: &Named) -> Named {
    let word = |index: usize| at.block + index * 32;
    let read = |&(name, ref values): &(&'static str, Vec<u64>)| {
        let from = match name {
            "betas" => word(0),
            "gammas" => word(3),
            "alphas" => word(6),
            "zeta" => word(9),
            "hash of the public inputs" => word(11),
            "alpha of FRI" => at.fri_alpha,
            "betas of FRI" => at.fri_betas,
            "query indices" => at.indices,
            _ => return (name, vec![memory.lane(FIRST_POPPED)]),
        };
        (name, memory.words(from, values.len()))
    };
    like.iter().map(read).collect()
}

#[test]
fn every_challenge_of_the_contract_is_plonky2s() {
    let circuit = LiveStateCircuit::build().expect("the circuit is the pinned one");
    let data = circuit.verifier_data();
    let at = challenge_addresses(&data.verifier_only, &data.common).expect("it is covered");
    let code = Artifact::load("LiveStateVerifier").bytes("bytecode");
    let mut seen = Vec::new();
    for proof in fixture::all() {
        let mut evm = Evm::new();
        let (verifier, _) = evm.create(code.clone());
        let call = fixture::call_data(&proof.statement_words(), &proof.bytes);
        let (outcome, memory) = evm.inspected(verifier, call, Memory::default());
        assert!(fixture::accepted(&outcome), "{outcome:?}");
        let expected = by_plonky2(&circuit, &proof);
        let found = by_the_contract(&memory, at, &expected);
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected, found);
        }
        let drawn: usize = expected.iter().map(|(_, values)| values.len()).sum();
        assert_eq!(drawn, 4 + 3 * 3 + 2 + 2 + 1 + 10, "none is left out");
        seen.push(expected);
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "challenges depend on the proof");
}
