//! Where the gas of a verification goes.
//!
//! The phases are told apart from outside, by what is hashed and called: the transcript hashes 96 and 32 bytes at a time, an
//! inner node has 56 bytes, everything else that is hashed is a leaf. `ONCHAIN_GAS_TABLE=<file>` writes the table to a file.

use std::{collections::BTreeMap, fs};

use revm::{
    Inspector,
    interpreter::{CallInputs, CallOutcome, Interpreter, interpreter_types::Jumps},
};

use crate::{
    evm::{Artifact, Evm},
    fixture,
};

const KECCAK256: u8 = 0x20;
const NODE_BYTES: u64 = 56;
const TRANSCRIPT_BYTES: [u64; 2] = [96, 32];

/// Components, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    PublicInputs,
    Transcript,
    Gates,
    Curve,
    Poseidon,
    /// Openings and powers of alpha, the quotient check, openings reduced for FRI, tables.
    Openings,
    /// Leaves hashed and combined, and the final polynomial.
    Leaves,
    /// Merkle paths.
    Paths,
}

/// Charges what was spent since the last mark to a phase.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    depth: usize,
    calls: usize,
    mark: u64,
    pub(crate) spent: BTreeMap<Phase, u64>,
    pub(crate) total: u64,
    in_queries: bool,
}

impl Meter {
    fn charge(&mut self, phase: Phase, remaining: u64) {
        *self.spent.entry(phase).or_default() += self.mark - remaining;
        self.mark = remaining;
    }

    fn hashed(&mut self, bytes: u64, remaining: u64) {
        if TRANSCRIPT_BYTES.contains(&bytes) {
            self.charge(Phase::Transcript, remaining);
        } else if bytes == NODE_BYTES {
            self.charge(Phase::Paths, remaining);
        } else {
            self.charge(if self.in_queries { Phase::Leaves } else { Phase::Openings }, remaining);
            self.in_queries = true;
        }
    }
}

impl<CTX> Inspector<CTX> for Meter {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if self.depth == 1 && interpreter.bytecode.opcode() == KECCAK256 {
            let stack = interpreter.stack.data();
            let bytes = stack.len().checked_sub(2).map_or(0, |len| stack[len].as_limbs()[0]);
            self.hashed(bytes, interpreter.gas.remaining());
        }
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        if self.depth == 1 {
            self.mark = inputs.gas_limit;
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.depth -= 1;
        let spent = outcome.gas().total_gas_spent();
        if self.depth == 0 {
            self.total = spent;
            return;
        }
        let phase = [Phase::PublicInputs, Phase::Gates, Phase::Curve, Phase::Poseidon][self.calls];
        *self.spent.entry(phase).or_default() += spent;
        // The caller's own work around the call is charged by the next mark.
        self.mark -= spent;
        self.calls += 1;
    }
}

#[test]
fn the_gas_of_a_verification_by_component() {
    let mut evm = Evm::new();
    let (verifier, creation) = evm.create(Artifact::load("LiveStateVerifier").bytes("bytecode"));
    let proof = fixture::load("live_state_0.bin");
    let data = fixture::call_data(&proof.statement_words(), &proof.bytes);
    let (outcome, meter) = evm.metered(verifier, data.clone());
    assert!(fixture::accepted(&outcome));

    let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
    let others = data.len() as u64 - zeros;
    let (intrinsic, floor) = (21_000 + 4 * zeros + 16 * others, 21_000 + 10 * zeros + 40 * others);
    let mut table = format!("proof bytes {}, call data bytes {}\n", proof.bytes.len(), data.len());
    table += &format!("creation {creation}\nintrinsic (call data at 16 a byte) {intrinsic}\n");
    for (phase, gas) in &meter.spent {
        table += &format!("{phase:?} {gas}\n");
    }
    let rest = meter.total - meter.spent.values().sum::<u64>();
    table += &format!("after the last query's paths {rest}\nexecution {}\n", meter.total);
    table += &format!(
        "intrinsic and execution {}\nfloor (40 a byte) {floor}\n",
        intrinsic + meter.total
    );
    table += &format!("charged {}\n", outcome.gas_used);
    if let Some(path) = std::env::var_os("ONCHAIN_GAS_TABLE") {
        fs::write(path, &table).expect("the table can be written");
    }
    assert_eq!(outcome.gas_used, floor.max(intrinsic + meter.total));
    assert!(outcome.gas_used < 2_100_000, "{table}");
}
