//! The whole contract, on proofs: real, altered and foreign.

use plonky2::field::types::Field64;
use protocol::{Address, testing::Pair};
use prover::{
    config::F,
    zksc::{LiveState, LiveStateCircuit, LiveStateProof},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use revm::primitives::U256;

use crate::{
    evm::{Artifact, CODE_BYTES_MAX, Evm, GAS_CAP},
    fixture,
};

const VERIFIER: &str = "LiveStateVerifier";

/// Byte positions of a proof that are altered on chain, one bit each; `ONCHAIN_POSITIONS` asks for another number, `all` for
/// every one. (Natively, every one always is.)
const SAMPLE: usize = 640;

/// Statements proven anew; `ONCHAIN_STATEMENTS` asks for another number.
const FRESH_STATEMENTS: usize = 10;

/// How much to do: what the gate does, or what the environment asks for. A word that is no number is an error, not the default.
fn asked(variable: &str, all: usize, default: usize) -> usize {
    match std::env::var(variable) {
        Err(_) => default,
        Ok(word) if word == "all" => all,
        Ok(word) => word.parse().expect("a number or `all`"),
    }
}

fn deployed() -> (Evm, Address) {
    let mut evm = Evm::new();
    let (verifier, _) = evm.create(Artifact::load(VERIFIER).bytes("bytecode"));
    (evm, verifier)
}

/// For the long runs, whose figures are written down.
#[expect(clippy::print_stdout, reason = "shown with --nocapture only")]
fn say(line: &str) {
    println!("{line}");
}

fn accepts(evm: &mut Evm, verifier: Address, proof: &LiveStateProof) -> bool {
    fixture::accepted(&fixture::ask(evm, verifier, &proof.statement_words(), &proof.bytes))
}

#[test]
fn chain_and_native_verifier_agree_on_valid_proofs() {
    let circuit = LiveStateCircuit::build().expect("the circuit is the pinned one");
    let (mut evm, verifier) = deployed();
    for proof in fixture::all() {
        circuit.verify(&proof).expect("the fixture is a proof");
        assert!(accepts(&mut evm, verifier, &proof), "{proof:?}");
    }
    let fresh = asked("ONCHAIN_STATEMENTS", FRESH_STATEMENTS, FRESH_STATEMENTS);
    for seed in 0..fresh as u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let pair = Pair::new(seed + 1_000);
        let state = pair.final_state(rng.gen_range(1..1 << 56), rng.gen_range(0..1 << 90));
        let beneficiary = Address::from(rng.r#gen::<[u8; 20]>());
        let live = LiveState::new(&state, &pair.channel, beneficiary);
        let proof = circuit.prove(&live).expect("the state is live");
        circuit.verify(&proof).expect("it is a proof");
        assert!(accepts(&mut evm, verifier, &proof), "seed {seed}");
    }
    say(&format!("chain and native verifier agree on {fresh} fresh statements"));
}

#[test]
fn a_proof_with_a_byte_changed_is_refused() {
    let (mut evm, verifier) = deployed();
    let proof = fixture::load("live_state_2.bin");
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let len = proof.bytes.len();
    let stretches = asked("ONCHAIN_POSITIONS", len, SAMPLE);
    assert!((1..=len).contains(&stretches), "a proof has {len} positions");
    let mut wrong = Vec::new();
    // One position in each stretch of the proof, so that every part of it is met.
    for stretch in 0..stretches {
        let position = rng.gen_range(stretch * len / stretches..(stretch + 1) * len / stretches);
        let mut changed = proof.clone();
        changed.bytes[position] ^= 1 << rng.gen_range(0..8);
        if accepts(&mut evm, verifier, &changed) {
            wrong.push(position);
        }
    }
    assert!(wrong.is_empty(), "changed bytes were accepted: {wrong:?}");
    say(&format!("one bit changed at {stretches} of {len} positions, each refused on chain"));
}

#[test]
fn a_proof_with_a_public_input_changed_is_refused() {
    let (mut evm, verifier) = deployed();
    let proof = fixture::load("live_state_0.bin");
    for input in 0..proof.statement.len() {
        for change in [U256::ONE, U256::from(F::ORDER), U256::ONE << 64, U256::ONE << 255] {
            let mut words = proof.statement_words();
            words[input] ^= change;
            if change == U256::from(F::ORDER) {
                words[input] = proof.statement_words()[input] + change;
            }
            let outcome = fixture::ask(&mut evm, verifier, &words, &proof.bytes);
            assert!(!fixture::accepted(&outcome), "input {input} + {change}");
        }
    }
}

#[test]
fn a_proof_with_an_element_that_is_not_canonical_is_refused() {
    let (mut evm, verifier) = deployed();
    let proof = fixture::load("live_state_1.bin");
    let mut found = 0;
    // Only elements below 2^32 - 1 have a second form in eight bytes. The openings' first ones are eight bytes apart.
    for at in (0..proof.bytes.len() - 8).step_by(4) {
        let element = u64::from_be_bytes(proof.bytes[at..at + 8].try_into().expect("8 bytes"));
        if let Some(other) = element.checked_add(F::ORDER) {
            let mut changed = proof.clone();
            changed.bytes[at..at + 8].copy_from_slice(&other.to_be_bytes());
            assert!(!accepts(&mut evm, verifier, &changed), "byte {at}");
            found += 1;
        }
    }
    assert!(found > 0, "no element had a second form");
}

#[test]
fn a_proof_of_the_wrong_length_is_refused() {
    let (mut evm, verifier) = deployed();
    let proof = fixture::load("live_state_0.bin");
    let words = proof.statement_words();
    let len = proof.bytes.len();
    let longer = |zeros: usize| [proof.bytes.clone(), vec![0; zeros]].concat();
    let shorter = |len: usize| proof.bytes[..len].to_vec();
    for bytes in
        [longer(1), longer(32), shorter(len - 1), shorter(len - 28), shorter(0), shorter(8)]
    {
        assert!(
            !fixture::accepted(&fixture::ask(&mut evm, verifier, &words, &bytes)),
            "{}",
            bytes.len()
        );
    }
    // The right length is promised, but the call data end before.
    let data = fixture::call_data(&words, &proof.bytes);
    assert!(!fixture::accepted(&evm.call(verifier, data[..data.len() - 64].to_vec())));
}

#[test]
fn another_proof_does_not_prove_the_statement() {
    let (mut evm, verifier) = deployed();
    let ours = fixture::load("live_state_0.bin");
    for name in ["another_circuit.bin", "live_state_1.bin"] {
        let other = fixture::load(name);
        let outcome = fixture::ask(&mut evm, verifier, &ours.statement_words(), &other.bytes);
        assert!(!fixture::accepted(&outcome), "{name}");
    }
    let other = fixture::load("another_circuit.bin");
    assert_eq!(other.statement, ours.statement, "the other circuit proves the same statement");
}

#[test]
fn the_contracts_fit_the_chains_limits() {
    let artifact = Artifact::load(VERIFIER);
    let mut evm = Evm::new();
    let (verifier, gas) = evm.create(artifact.bytes("bytecode"));
    assert!(gas < GAS_CAP, "creation takes {gas}");
    for nonce in 1..=3 {
        let code = evm.code(verifier.create(nonce));
        assert!((1..=CODE_BYTES_MAX).contains(&code), "part {nonce}: {code} bytes");
    }
    let code = evm.code(verifier);
    assert!((1..=CODE_BYTES_MAX).contains(&code), "verifier: {code} bytes");
    let proof = fixture::load("live_state_0.bin");
    let outcome = fixture::ask(&mut evm, verifier, &proof.statement_words(), &proof.bytes);
    assert!(fixture::accepted(&outcome));
    assert!(outcome.gas_used < GAS_CAP / 3, "a margin of three against repricing: {outcome:?}");
}
