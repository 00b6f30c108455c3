//! Writes the on-chain verifier of the live-state circuit.
//!
//! ```text
//! cargo run --release -p prover --bin generate_verifier [DIRECTORY]
//! ```
//!
//! The directory is by default the one that the contracts are built from. Afterwards `npm run build` in `chain/contracts` makes
//! the artifacts.

use std::{fs, path::PathBuf, process::ExitCode};

use prover::{onchain, zksc::LiveStateCircuit};

/// Where the contracts are built from.
const DIRECTORY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../chain/contracts/src/zksc/generated");

fn main() -> ExitCode {
    let directory =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from(DIRECTORY), PathBuf::from);
    match write(&directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program reports its failure there")]
fn report(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}

fn write(directory: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let circuit = LiveStateCircuit::build()?;
    let data = circuit.verifier_data();
    for file in onchain::generate(&data.verifier_only, &data.common)? {
        let path = directory.join(&file.name);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, &file.source)?;
    }
    Ok(())
}
