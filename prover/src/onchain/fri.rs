//! The queries of FRI: tables, leaves and folding steps, written out for the circuit's shape.

use plonky2::plonk::config::GenericHashOut;
use plonky2_field::{goldilocks_field::GoldilocksField as F, types::Field};

use super::{
    Circuit, GenerateError,
    field::{literal, point_factors, reverse_bits},
    memory::{Block, CELL, Regions, WORD},
    template::{Code, Values},
};
use crate::encoding::{ELEMENT_BYTES, EXTENSION_BYTES, ORACLES, StepShape};

/// Coefficients of the final polynomial that are added up before the sum is reduced.
const FINAL_BLOCK: usize = 16;

/// Lanes of a word.
const LANES: usize = WORD / ELEMENT_BYTES;

const FOLD: &str = include_str!("yul/fold.yul");

/// Addresses of one folding step's tables.
#[derive(Debug)]
struct StepTables {
    roots: usize,
    twiddles: usize,
}

/// Addresses of what the queries use.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) caps: usize,
    pub(super) fri_betas: usize,
    leaf: usize,
    x: usize,
    x_inverse: usize,
    factors: usize,
    inverse_factors: usize,
    steps: Vec<StepTables>,
}

impl Addresses {
    /// Takes the regions of the queries, and sets the addresses that only templates use.
    pub(super) fn take(
        circuit: &Circuit<'_>,
        regions: &mut Regions,
        values: &mut Values,
        (caps, fri_betas): (usize, usize),
    ) -> Self {
        let shape = &circuit.shape;
        for name in ["REDUCED", "REDUCED_NEXT", "ALPHA_SHIFT", "NEXT_SUM"] {
            values.set(name, regions.take(CELL));
        }
        for name in ["MINUS_ZETA", "MINUS_ZETA_NEXT", "WANTED", "SCALE"] {
            values.set(name, regions.take(CELL));
        }
        let (x, x_inverse) = (regions.take(WORD), regions.take(WORD));
        values.set("X", x).set("X_INVERSE", x_inverse);
        for name in ["SUM0", "SUM1"] {
            values.set(name, regions.take(WORD));
        }
        let block = shape.final_coefficients.min(FINAL_BLOCK);
        let x_powers = regions.take(block * WORD);
        values
            .set("X_POWERS", x_powers)
            .set("X_POWERS_END", x_powers + block * WORD)
            .set("BLOCK_BYTES", block * CELL)
            .set("FINAL_BLOCK", final_block(block, x_powers));
        let last = regions.take(shape.final_coefficients * CELL);
        values.set("FINAL", last).set("FINAL_END", last + shape.final_coefficients * CELL);
        let widest = shape.steps.iter().map(|step| 1 << step.arity_bits).max().unwrap_or(0);
        let longest = shape.leaf_lens().into_iter().max().unwrap_or(0).max(2 * widest);
        // A word of zeros follows the longest leaf.
        let leaf = regions.take(longest * ELEMENT_BYTES + 2 * WORD);
        values.set("LEAF", leaf);
        values.set("FOLD", regions.take(widest * CELL));
        let steps = shape
            .steps
            .iter()
            .map(|step| StepTables {
                roots: regions.take(WORD << step.arity_bits),
                twiddles: regions.take(WORD << step.arity_bits >> 1),
            })
            .collect();
        let factors = regions.take(shape.domain_bits * WORD);
        let inverse_factors = regions.take(shape.steps.len().min(1) * shape.domain_bits * WORD);
        Self { caps, fri_betas, leaf, x, x_inverse, factors, inverse_factors, steps }
    }

    fn cap(&self, circuit: &Circuit<'_>, number: usize) -> usize {
        self.caps + number * circuit.shape.cap_len * WORD
    }
}

/// Sets what the FRI templates need.
pub(super) fn set_code(
    circuit: &Circuit<'_>,
    block: &Block,
    at: &Addresses,
    values: &mut Values,
) -> Result<(), GenerateError> {
    let shape = &circuit.shape;
    values
        .set("FINAL_AT", shape.final_offset())
        .set("GRINDING_AT", shape.grinding_offset())
        .set("QUERIES_AT", shape.queries_offset())
        .set("PATH_LEN", shape.path_len)
        .set("ROW_ROOT", literal(F::primitive_root_of_unity(shape.degree_bits)))
        .set("TABLES", tables(circuit, at))
        .set("PATH_BYTES", shape.path_len * shape.digest_bytes)
        .set("CLIMB", climb(shape.path_len, shape.digest_bytes))
        .set("OPEN_LEAVES", open_leaves(circuit, at));
    let openings = openings(circuit, block, at, values);
    values.set("OPENINGS", openings);
    let mut functions = String::new();
    let mut calls = Code::new(16);
    if !shape.steps.is_empty() {
        calls.line("inversePoint(index)");
    }
    let mut shift = 0;
    for (number, step) in shape.steps.iter().enumerate() {
        functions.push_str(&step_values(circuit, at, number, step, values).fill(FOLD)?);
        let index = if shift == 0 { "index".to_owned() } else { format!("shr({shift}, index)") };
        calls.line(format_args!("at := foldStep{number}(at, {index})"));
        shift += step.arity_bits;
    }
    if !shape.steps.is_empty() {
        functions.insert_str(0, include_str!("yul/halve.yul"));
        functions = values.fill(&functions)?;
    }
    let points = domain_points(circuit, at, values)?;
    values.set("POINT", points);
    values.set("FOLD_FUNCTIONS", functions).set("FOLD_STEPS", calls.finish());
    Ok(())
}

fn step_values(
    circuit: &Circuit<'_>,
    at: &Addresses,
    number: usize,
    step: &StepShape,
    values: &Values,
) -> Values {
    let bytes = EXTENSION_BYTES << step.arity_bits;
    let tables = &at.steps[number];
    values.with(|values| {
        values
            .set("STEP", number)
            .set("WITHIN_MASK", (1 << step.arity_bits) - 1)
            .set("STEP_BYTES", bytes)
            .set("ARITY_BITS", step.arity_bits)
            .set("ARITY", 1 << step.arity_bits)
            .set("HALF_ARITY", 1 << step.arity_bits >> 1)
            .set("STEP_PATH_LEN", step.path_len)
            .set("STEP_CAP", at.cap(circuit, ORACLES + number))
            .set("BETA", at.fri_betas + number * CELL)
            .set("ROOTS", tables.roots)
            .set("TWIDDLES", tables.twiddles);
    })
}

/// Functions for the point of the domain that a query is about, and for its inverse where something is folded.
fn domain_points(
    circuit: &Circuit<'_>,
    at: &Addresses,
    values: &Values,
) -> Result<String, GenerateError> {
    const POINT: &str = include_str!("yul/point.yul");
    let shift = <F as Field>::MULTIPLICATIVE_GROUP_GENERATOR;
    let point = values.with(|values| {
        values
            .set("POINT_DOC", "The point of the domain with this index")
            .set("POINT_NAME", "domainPoint")
            .set("POINT_SHIFT", literal(shift))
            .set("POINT_FACTORS", at.factors)
            .set("POINT_AT", at.x);
    });
    let inverse = values.with(|values| {
        values
            .set("POINT_DOC", "The inverse of that point")
            .set("POINT_NAME", "inversePoint")
            .set("POINT_SHIFT", literal(shift.inverse()))
            .set("POINT_FACTORS", at.inverse_factors)
            .set("POINT_AT", at.x_inverse);
    });
    let mut functions = point.fill(POINT)?;
    if !circuit.shape.steps.is_empty() {
        functions.push_str(&inverse.fill(POINT)?);
    }
    Ok(functions)
}

/// The cap of constants and sigmas, and the roots of unity of each step.
fn tables(circuit: &Circuit<'_>, at: &Addresses) -> String {
    let mut code = Code::new(16);
    for (index, digest) in circuit.verifier_only.constants_sigmas_cap.0.iter().enumerate() {
        let bytes: String = digest.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let address = at.caps + index * WORD;
        let shift = 8 * (WORD - circuit.shape.digest_bytes);
        code.line(format_args!("mstore({address:#x}, shl({shift}, 0x{bytes}))"));
    }
    for (bit, factor) in point_factors(circuit.shape.domain_bits).enumerate() {
        code.line(format_args!("mstore({:#x}, {})", at.factors + bit * WORD, literal(factor)));
        if !circuit.shape.steps.is_empty() {
            let address = at.inverse_factors + bit * WORD;
            code.line(format_args!("mstore({address:#x}, {})", literal(factor.inverse())));
        }
    }
    for (step, tables) in circuit.shape.steps.iter().zip(&at.steps) {
        let root = F::primitive_root_of_unity(step.arity_bits);
        let arity = 1 << step.arity_bits;
        for within in 0..arity {
            let power = root.exp_u64(reverse_bits(within, step.arity_bits) as u64);
            code.line(format_args!(
                "mstore({:#x}, {})",
                tables.roots + within * WORD,
                literal(power)
            ));
        }
        for pair in 0..arity / 2 {
            let power = root.inverse().exp_u64(reverse_bits(pair, step.arity_bits - 1) as u64);
            code.line(format_args!(
                "mstore({:#x}, {})",
                tables.twiddles + pair * WORD,
                literal(power)
            ));
        }
    }
    code.finish()
}

/// Opens the four leaves, and combines each with the powers of alpha that its polynomials have.
fn open_leaves(circuit: &Circuit<'_>, at: &Addresses) -> String {
    let mut code = Code::new(16);
    for oracle in 0..ORACLES {
        let cap = at.cap(circuit, oracle);
        code.line(format_args!("at := openLeaf{oracle}(at, index, add(zero, {cap:#x}))"));
        if oracle == 2 {
            code.line("nextSum()");
        }
    }
    code.finish()
}

/// For each oracle, a function that opens its leaf. Written out, because this is where most of the verification's
/// multiplications are. The climb stands between the check and the sums so that the compiler does not mix them.
fn openings(circuit: &Circuit<'_>, block: &Block, at: &Addresses, values: &Values) -> String {
    let value = |name| values.get(name);
    let mut code = Code::new(12);
    let mut power = block.cells;
    for (oracle, len) in circuit.shape.leaf_lens().into_iter().enumerate() {
        let (bytes, words) = (len * ELEMENT_BYTES, len.div_ceil(LANES));
        let word = |index: usize| format!("mload({:#x})", at.leaf + index * WORD);
        let high = |index: usize| format!("and(shr(64, {}), even)", word(index));
        let low = |index: usize| format!("and({}, even)", word(index));
        code.line(format_args!("// Oracle {oracle}, {len} lanes: they are below p, their digest climbs to the cap, and they are added"));
        code.line("// up times powers of alpha. A lane that is not below p leaves a carry behind.");
        code.line(format_args!("function openLeaf{oracle}(at, index, cap) -> end {{"));
        code.line(format_args!("    let even := mload({})", value("EVEN_LANES_AT")));
        code.line(format_args!("    calldatacopy({:#x}, at, {bytes})", at.leaf));
        code.line(format_args!("    mstore({:#x}, 0)", at.leaf + bytes));
        code.line("    {");
        code.line(format_args!("        let addend := mload({})", value("EVEN_ADDEND_AT")));
        code.line("        let carries");
        for index in 0..words {
            let (high, low) = (high(index), low(index));
            code.line(format_args!(
                "        carries := or(carries, or(add({high}, addend), add({low}, addend)))"
            ));
        }
        code.line(format_args!("        if and(carries, {}) {{ fail() }}", value("EVEN_CARRIES")));
        code.line("    }");
        code.line(format_args!("    at := add(at, {bytes})"));
        code.line(format_args!(
            "    end := add(at, {})",
            circuit.shape.path_len * circuit.shape.digest_bytes
        ));
        code.line(format_args!("    climb(keccak256({:#x}, {bytes}), at, index, cap)", at.leaf));
        code.line(format_args!("    let lane := mload({})", value("LANE_AT")));
        code.line(format_args!("    let s0 := mload({})", value("SUM0")));
        code.line(format_args!("    let s1 := mload({})", value("SUM1")));
        for lane in 0..len {
            let word = word(lane / LANES);
            let cut = match LANES - 1 - lane % LANES {
                0 => format!("and({word}, lane)"),
                3 => format!("shr(192, {word})"),
                above => format!("and(shr({}, {word}), lane)", 64 * above),
            };
            code.line("    {");
            code.line(format_args!("        let v := {cut}"));
            code.line(format_args!("        s0 := add(s0, mul(v, mload({power:#x})))"));
            code.line(format_args!("        s1 := add(s1, mul(v, mload({:#x})))", power + WORD));
            code.line("    }");
            power += CELL;
        }
        code.line(format_args!("    mstore({}, s0)", value("SUM0")));
        code.line(format_args!("    mstore({}, s1)", value("SUM1")));
        code.line("}");
    }
    code.finish()
}

/// The levels of a Merkle path, written out: the bit of the index says which half the digest so far is.
fn climb(levels: usize, digest_bytes: usize) -> String {
    let mut code = Code::new(16);
    for level in 0..levels {
        let bit = if level == 0 {
            "and(index, 1)".to_owned()
        } else {
            format!("and(shr({level}, index), 1)")
        };
        let from =
            if level == 0 { "at".to_owned() } else { format!("add(at, {})", level * digest_bytes) };
        code.line(format_args!("place := mul({digest_bytes}, {bit})"));
        code.line("mstore(place, h)");
        code.line(format_args!("calldatacopy(sub({digest_bytes}, place), {from}, {digest_bytes})"));
        code.line(format_args!("h := keccak256(0, {})", 2 * digest_bytes));
    }
    code.finish()
}

/// The sum of a block of coefficients times powers of x, as an expression that is not reduced.
fn final_block(count: usize, x_powers: usize) -> String {
    (1..count).fold("mload(cell)".to_owned(), |sum, index| {
        let coefficient = format!("mload(add(cell, {}))", index * CELL);
        format!("add({sum}, mul({coefficient}, mload({:#x})))", x_powers + index * WORD)
    })
}
