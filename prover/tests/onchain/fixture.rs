//! The proofs that are checked in, and the calls that carry them.

use std::fs;

use plonky2::field::types::Field;
use prover::{config::F, encoding::decode_statement, zksc::LiveStateProof};
use revm::primitives::U256;

use crate::evm::{Evm, Outcome, root};

use revm::primitives::{Address, keccak256};

/// Fixtures of this circuit.
pub(crate) const COUNT: usize = 3;

/// The fixture with this name.
pub(crate) fn load(name: &str) -> LiveStateProof {
    let path = root().join("prover/fixtures").join(name);
    let bytes = fs::read(path).expect("the fixture is checked in");
    let (statement, proof) = bytes.split_at(15 * 32);
    let words: Vec<U256> = statement.chunks_exact(32).map(U256::from_be_slice).collect();
    let statement = decode_statement(&words, 15).expect("the statement is canonical");
    let mut elements = [F::ZERO; 15];
    elements.copy_from_slice(&statement);
    LiveStateProof { statement: elements, bytes: proof.to_vec() }
}

/// The fixtures of this circuit.
pub(crate) fn all() -> Vec<LiveStateProof> {
    (0..COUNT).map(|seed| load(&format!("live_state_{seed}.bin"))).collect()
}

/// The call data of `verify(statement, proof)`, by the rules of the ABI.
pub(crate) fn call_data(statement: &[U256], proof: &[u8]) -> Vec<u8> {
    let mut data = keccak256("verify(uint256[15],bytes)")[..4].to_vec();
    statement.iter().for_each(|word| data.extend(word.to_be_bytes::<32>()));
    data.extend(U256::from(16 * 32).to_be_bytes::<32>());
    data.extend(U256::from(proof.len()).to_be_bytes::<32>());
    data.extend(proof);
    data.resize(4 + (data.len() - 4).next_multiple_of(32), 0);
    data
}

/// Asks the contract.
pub(crate) fn ask(evm: &mut Evm, verifier: Address, statement: &[U256], proof: &[u8]) -> Outcome {
    evm.call(verifier, call_data(statement, proof))
}

/// Whether the contract's answer is exactly 1.
pub(crate) fn accepted(outcome: &Outcome) -> bool {
    outcome.success && outcome.output.as_ref() == U256::ONE.to_be_bytes::<32>()
}
