//! Makes the proofs that the tests of the on-chain verifier use.
//!
//! ```text
//! cargo run --release -p prover --example fixtures
//! ```
//!
//! Each file is a statement, 15 words of 32 bytes, and the proof's bytes. One is a proof of another circuit: the same gates
//! and wires, but one more constant.
#![allow(clippy::expect_used, reason = "a program of the tests")]

use std::{fs, path::PathBuf};

use plonky2::{field::types::Field, iop::witness::PartialWitness};
use protocol::{Address, testing::Pair};
use prover::{
    config::{Builder, EvmConfig, F, circuit_config},
    encoding::{encode_proof, encode_statement},
    zksc::{LiveState, LiveStateCircuit, live_state::LiveStateTargets},
};

/// Fixtures of this circuit.
const COUNT: u64 = 3;

fn live(seed: u64) -> LiveState {
    let pair = Pair::new(seed);
    let state = pair.final_state(seed + 1, u128::from(seed) << 40);
    LiveState::new(&state, &pair.channel, Address::repeat_byte(seed as u8 + 0x31))
}

fn write(name: &str, statement: &[F], proof: &[u8]) {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
    fs::create_dir_all(&directory).expect("the directory can be made");
    let words = encode_statement(statement).into_iter().flat_map(|word| word.to_be_bytes::<32>());
    let bytes: Vec<u8> = words.chain(proof.iter().copied()).collect();
    fs::write(directory.join(name), bytes).expect("the file can be written");
}

fn main() {
    let circuit = LiveStateCircuit::build().expect("the circuit is the pinned one");
    for seed in 0..COUNT {
        let proof = circuit.prove(&live(seed)).expect("the state is live");
        write(&format!("live_state_{seed}.bin"), &proof.statement, &proof.bytes);
    }

    let mut builder = Builder::new(circuit_config());
    let targets = LiveStateTargets::define(&mut builder);
    builder.constant(F::from_canonical_u64(0x5eed));
    let data = builder.build::<EvmConfig>();
    let mut witness = PartialWitness::new();
    targets.fill(&mut witness, &live(0)).expect("the witness is complete");
    let proof = data.prove(witness).expect("the state is live");
    data.verify(proof.clone()).expect("it is a proof of the other circuit");
    let bytes = encode_proof::<EvmConfig>(&proof, &data.common).expect("it has the same shape");
    write("another_circuit.bin", &proof.public_inputs, &bytes);
}
