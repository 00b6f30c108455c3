//! Circuit, sources and artifact belong together: whoever changes one without the others is told.

use std::fs;

use prover::{onchain, zksc::LiveStateCircuit};
use sha2::{Digest, Sha256};

use crate::evm::{Artifact, root};

/// The compiler that built the artifact, and its settings, as `chain/contracts/build.mjs` writes them down.
const COMPILER: [&str; 2] = [
    "solc 0.8.37+commit.f401782d",
    r#"settings {"evmVersion":"osaka","viaIR":true,"optimizer":{"enabled":true,"runs":800},"metadata":{"bytecodeHash":"none","appendCBOR":false}}"#,
];

#[test]
fn the_checked_in_contracts_are_the_ones_this_circuit_generates() {
    let circuit = LiveStateCircuit::build().expect("the circuit is the pinned one");
    let data = circuit.verifier_data();
    let generated = onchain::generate(&data.verifier_only, &data.common).expect("it is covered");
    let directory = root().join("chain/contracts/src/zksc/generated");
    for file in &generated {
        let path = directory.join(&file.name);
        let checked_in = fs::read_to_string(&path).expect("the contract is checked in");
        // Not assert_eq: nobody wants to read both.
        assert!(
            checked_in == file.source,
            "{} differs: run `cargo run --release -p prover --bin generate_verifier`, then `npm run build` in chain/contracts",
            file.name
        );
    }
    let files = |directory: &std::path::Path| {
        let entries = fs::read_dir(directory).expect("the directory is there");
        entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count()
    };
    assert_eq!(
        files(&directory) + files(&directory.join("parts")),
        generated.len(),
        "left over files"
    );
}

#[test]
fn the_artifact_was_compiled_from_the_checked_in_contracts() {
    let artifact = Artifact::load("LiveStateVerifier");
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let mut lines = COMPILER.map(str::to_owned).to_vec();
    for source in artifact.strings("sources") {
        let bytes =
            fs::read(root().join("chain/contracts").join(source)).expect("the source is there");
        lines.push(format!("{source} {}", hash(&bytes)));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(
        hash(text.as_bytes()),
        artifact.text("sourceHash"),
        "run `npm run build` in chain/contracts"
    );
}
