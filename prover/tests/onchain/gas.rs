//! Where the gas of a verification goes.
//!
//! The phases are told apart from outside, by what is hashed and called: the transcript hashes 96 and 32 bytes at a time, an
//! inner node has 56 bytes, everything else that is hashed is a leaf. `ONCHAIN_GAS_TABLE=write` writes the table into `docs/gas.md`.

use std::{collections::BTreeMap, fs};

use revm::{
    Inspector,
    interpreter::{CallInputs, CallOutcome, Interpreter, interpreter_types::Jumps},
};

use crate::{
    evm::{Artifact, Evm, root},
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

/// What a row of the table says.
fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::PublicInputs => "Poseidon hash of the public inputs",
        Phase::Transcript => "transcript: absorbing the proof, drawing the challenges",
        Phase::Gates => "permutation argument and small gates",
        Phase::Curve => "window and endpoint gates",
        Phase::Poseidon => "Poseidon gate",
        Phase::Openings => "openings, powers of alpha, quotient check, reduction for FRI, tables",
        Phase::Leaves => "FRI: leaves hashed and combined, final polynomial",
        Phase::Paths => "FRI: Merkle paths",
    }
}

/// The table as the documentation has it.
fn table(data: &[u8], proof_bytes: usize, charged: u64, meter: &Meter) -> String {
    let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
    let others = data.len() as u64 - zeros;
    let calldata = 4 * zeros + 16 * others;
    let floor = 21_000 + 10 * zeros + 40 * others;
    assert_eq!(charged, floor.max(21_000 + calldata + meter.total));
    let mut table = format!(
        "One transaction that calls `verify` with a proof of {proof_bytes} bytes; call data {} bytes, {zeros} of them zero.\n\n\
         | component | gas |\n|---|---:|\n| transaction | 21,000 |\n| call data, 16 a byte (4 a zero) | {} |\n",
        data.len(),
        grouped(calldata)
    );
    for (phase, gas) in &meter.spent {
        table += &format!("| {} | {} |\n", words(*phase), grouped(*gas));
    }
    let rest = meter.total - meter.spent.values().sum::<u64>();
    table += &format!("| after the last query's paths | {} |\n", grouped(rest));
    table += &format!("| **all together, what is charged** | **{}** |\n", grouped(charged));
    table += &format!("| of it execution | {} |\n", grouped(meter.total));
    table
        + &format!(
            "| least charge for these call data (EIP-7623: 40 a byte, 10 a zero) | {} |\n",
            grouped(floor)
        )
}

/// A number with commas.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

/// The page that holds the table, and the lines that it stands between.
const PAGE: &str = "docs/gas.md";
const BEGIN: &str = "<!-- verifier: begin -->\n";
const END: &str = "<!-- verifier: end -->\n";

#[test]
fn the_gas_of_a_verification_by_component_is_what_the_page_says() {
    let mut evm = Evm::new();
    let (verifier, creation) = evm.create(Artifact::load("LiveStateVerifier").bytes("bytecode"));
    let proof = fixture::load("live_state_0.bin");
    let data = fixture::call_data(&proof.statement_words(), &proof.bytes);
    let (outcome, meter) = evm.inspected(verifier, data.clone(), Meter::default());
    assert!(fixture::accepted(&outcome));
    let measured = format!(
        "{}\nCreating the verifier with its parts: {} gas.\n",
        table(&data, proof.bytes.len(), outcome.gas_used, &meter),
        grouped(creation)
    );
    assert!(outcome.gas_used < 2_100_000, "{measured}");

    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the table begins");
    let (written, after) = rest.split_once(END).expect("the table ends");
    if std::env::var_os("ONCHAIN_GAS_TABLE").is_some() {
        fs::write(path, [before, BEGIN, &measured, END, after].concat())
            .expect("it can be written");
    } else {
        assert_eq!(written, measured, "run this test with ONCHAIN_GAS_TABLE=write");
    }
}
