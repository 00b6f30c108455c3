//! Constants of Poseidon for the contract that hashes the public inputs and evaluates the Poseidon gate.
//!
//! Plonky2 has a faster form of the partial rounds, with other constants. The form used here is the plain one: its S-boxes
//! get the same inputs, so it computes the same hash and the same constraints, and one small loop serves all rounds.

use plonky2::hash::poseidon::{ALL_ROUND_CONSTANTS, N_ROUNDS, Poseidon, SPONGE_WIDTH};
use plonky2_field::goldilocks_field::GoldilocksField as F;

use super::{
    memory::WORD,
    template::{Code, Values},
};

/// Lanes mixed in one word, and their width in bits.
const LANES: usize = 3;
const LANE_BITS: usize = 85;
/// Words for the twelve lanes.
const WORDS: usize = SPONGE_WIDTH / LANES;

/// Three values in the lanes of a word.
fn packed(lanes: [u64; LANES]) -> String {
    // The highest lane starts at bit 170, so a word's 256 bits are not exceeded.
    let mut word = alloy_primitives::U256::ZERO;
    for (index, lane) in lanes.into_iter().enumerate() {
        word |= alloy_primitives::U256::from(lane) << (index * LANE_BITS);
    }
    format!("{word:#x}")
}

/// The entry of the matrix in this row and column, but for the diagonal that is added to it.
fn circulant(row: usize, column: usize) -> u64 {
    <F as Poseidon>::MDS_MATRIX_CIRC[(column + SPONGE_WIDTH - row) % SPONGE_WIDTH]
}

/// The packed entries of the first three rows, by column; further rows are the same ones, rotated.
fn matrix_columns() -> [String; SPONGE_WIDTH] {
    core::array::from_fn(|column| packed(core::array::from_fn(|row| circulant(row, column))))
}

/// The state at `state` times the matrix, plus the words at `constants`, accumulated in four words.
fn mix(state: usize, columns: usize) -> String {
    let mut code = Code::new(16);
    for word in 0..WORDS {
        let mut sum = match word {
            0 => format!("mul({}, mload({state:#x}))", <F as Poseidon>::MDS_MATRIX_DIAG[0]),
            _ => String::new(),
        };
        for column in 0..SPONGE_WIDTH {
            let from = state + (column + word * LANES) % SPONGE_WIDTH * WORD;
            let term = format!("mul(mload({from:#x}), mload({:#x}))", columns + column * WORD);
            sum = if sum.is_empty() { term } else { format!("add({term}, {sum})") };
        }
        let at = format!("add(constants, {})", word * WORD);
        code.line(format_args!("mstore(add(sums, {}), add(mload({at}), {sum}))", word * WORD));
    }
    code.finish()
}

/// The four words back to twelve reduced elements.
fn unmix(state: usize, order: u64) -> String {
    let mut code = Code::new(16);
    for word in 0..WORDS {
        code.line("{");
        code.line(format_args!("    let sum := mload(add(sums, {}))", word * WORD));
        for lane in 0..LANES {
            let to = state + (word * LANES + lane) * WORD;
            let value = match lane {
                0 => "and(sum, mask)".to_owned(),
                1 => format!("and(shr({LANE_BITS}, sum), mask)"),
                _ => format!("shr({}, sum)", lane * LANE_BITS),
            };
            code.line(format_args!("    mstore({to:#x}, mod({value}, {order:#x}))"));
        }
        code.line("}");
    }
    code.finish()
}

/// Bytes of the table of round constants: four words per round, those of the next round; none follow the last.
const CONSTANTS_BYTES: usize = N_ROUNDS * WORDS * WORD;

/// Bytes of all tables: round constants, the matrix, sums on their way, and the mask of a lane.
pub(super) const TABLE_BYTES: usize = CONSTANTS_BYTES + (SPONGE_WIDTH + WORDS + 1) * WORD;

/// Sets what the Poseidon templates need. The table of round constants goes to `table`.
pub(super) fn set_code(state: usize, table: usize, order: u64, values: &mut Values) {
    let mut first = Code::new(16);
    for (index, constant) in ALL_ROUND_CONSTANTS.iter().take(SPONGE_WIDTH).enumerate() {
        let at = state + index * WORD;
        first.line(format_args!("mstore({at:#x}, add(mload({at:#x}), {constant:#x}))"));
    }
    let mut stores = Code::new(12);
    for (round, constants) in ALL_ROUND_CONSTANTS.chunks(SPONGE_WIDTH).enumerate().skip(1) {
        for (word, lanes) in constants.chunks(LANES).enumerate() {
            let at = table + ((round - 1) * WORDS + word) * WORD;
            let lanes = core::array::from_fn(|lane| lanes.get(lane).copied().unwrap_or_default());
            stores.line(format_args!("mstore({at:#x}, {})", packed(lanes)));
        }
    }
    let columns = table + CONSTANTS_BYTES;
    for (column, entries) in matrix_columns().into_iter().enumerate() {
        stores.line(format_args!("mstore({:#x}, {entries})", columns + column * WORD));
    }
    let im = state + SPONGE_WIDTH * WORD;
    values
        .set("MIX_RE", mix(state, columns))
        .set("UNMIX_RE", unmix(state, order))
        .set("MIX_IM", mix(im, columns))
        .set("UNMIX_IM", unmix(im, order))
        .set("MIX_SUMS", columns + SPONGE_WIDTH * WORD)
        .set("LANE_MASK_AT", columns + (SPONGE_WIDTH + WORDS) * WORD)
        .set("LANE_MASK", format_args!("0x1f{}", "f".repeat(LANE_BITS / 4 - 1)))
        .set("FIRST_CONSTANTS", first.finish())
        .set("ROUND_CONSTANT_STORES", stores.finish())
        .set("ROUND_CONSTANTS", table)
        // After the last round nothing is added: the last four words of the table stay zero.
        .set("NO_CONSTANTS", table + (N_ROUNDS - 1) * WORDS * WORD)
        .set("STATE", state)
        .set("STATE_IM", state + SPONGE_WIDTH * WORD)
        .set("STATE_END", state + SPONGE_WIDTH * WORD)
        .set("ROUNDS", N_ROUNDS)
        .set("LAST_FIRST_HALF", 3)
        .set("SECOND_HALF", N_ROUNDS - 4);
}
