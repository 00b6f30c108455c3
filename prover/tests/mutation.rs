//! A proof of this circuit proves its statement, byte for byte, and nothing else.

use rayon::prelude::*;

use plonky2::field::types::Field;
use protocol::Address;
use protocol::testing::Pair;
use prover::config::F;
use prover::error::VerifyError;
use prover::zksc::{LiveState, LiveStateCircuit, LiveStateProof};

fn live(seed: u64) -> LiveState {
    let pair = Pair::new(seed);
    LiveState::new(&pair.final_state(seed + 1, 99), &pair.channel, Address::repeat_byte(0x31))
}

/// One test, so that there is one circuit and one proof.
#[test]
fn a_proof_with_any_byte_or_public_input_changed_is_refused() {
    let circuit = LiveStateCircuit::build().unwrap();
    let proof = circuit.prove(&live(1)).unwrap();
    circuit.verify(&proof).unwrap();

    // Every byte, one bit of it.
    let accepted: Vec<usize> = (0..proof.bytes.len())
        .into_par_iter()
        .filter(|position| {
            let mut changed = proof.clone();
            changed.bytes[*position] ^= 1 << (position % 8);
            circuit.verify(&changed).is_ok()
        })
        .collect();
    assert_eq!(accepted, [], "bytes that may be changed");

    for input in 0..proof.statement.len() {
        let mut changed = proof.clone();
        changed.statement[input] += F::ONE;
        assert!(
            matches!(circuit.verify(&changed), Err(VerifyError::Refused { .. })),
            "public input {input}"
        );
    }

    // Another statement's proof; bytes missing and bytes too many.
    let other = circuit.prove(&live(2)).unwrap();
    assert!(
        circuit
            .verify(&LiveStateProof { statement: proof.statement, bytes: other.bytes.clone() })
            .is_err()
    );
    assert!(
        circuit
            .verify(&LiveStateProof { statement: other.statement, bytes: proof.bytes.clone() })
            .is_err()
    );
    let shorter = proof.bytes[..proof.bytes.len() - 1].to_vec();
    let longer = [proof.bytes.as_slice(), &[0]].concat();
    for bytes in [Vec::new(), shorter, longer] {
        let changed = LiveStateProof { statement: proof.statement, bytes };
        assert!(matches!(circuit.verify(&changed), Err(VerifyError::Encoding(_))));
    }
}
