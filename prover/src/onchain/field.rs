//! Numbers of the Goldilocks field that the generated contracts need as constants.

use plonky2::field::types::PrimeField64;
use plonky2_field::{goldilocks_field::GoldilocksField as F, types::Field};

use super::{memory::WORD, template::Values};
use crate::encoding::ELEMENT_BYTES;

/// The order of the field.
pub(super) const ORDER: u64 = 0xffff_ffff_0000_0001;

/// 0..`bits`, read backwards.
pub(super) fn reverse_bits(value: usize, bits: usize) -> usize {
    (0..bits).fold(0, |reversed, bit| reversed << 1 | (value >> bit & 1))
}

/// The word whose big-endian lanes are these elements.
pub(super) fn word(lanes: &[F]) -> String {
    let hex = |lane: &F| format!("{:016x}", lane.to_canonical_u64());
    let filled = lanes.iter().map(hex).collect::<String>();
    format!("0x{filled:0<width$}", width = 2 * WORD)
}

/// A literal.
pub(super) fn literal(value: F) -> String {
    format!("{:#x}", value.to_canonical_u64())
}

/// Constants that every contract's templates use.
pub(super) fn set_constants(values: &mut Values) {
    let even_lanes = |lane: u64| format!("0x{lane:x}{:016x}{lane:016x}", 0);
    values
        .hex("P", ORDER)
        .set("TWO_P", "0x1fffffffe00000002")
        .hex("LANE", u64::MAX)
        .hex("SEVEN_BYTES", u64::MAX >> ELEMENT_BYTES)
        .set("EVEN_LANES", even_lanes(u64::MAX))
        .set("EVEN_ADDEND", even_lanes(u64::from(u32::MAX)))
        .set("EVEN_CARRIES", format_args!("0x1{:016x}{:016x}{:016x}", 0, 1, 0))
        // A multiple of p above 2^79, to subtract from.
        .set("MULTIPLE", "0xffffffff000000010000");
}

/// By bit of an index of the domain with 2^bits points: what a set bit multiplies the point with. Points are numbered in
/// bit-reversed order.
pub(super) fn point_factors(bits: usize) -> impl Iterator<Item = F> {
    let root = F::primitive_root_of_unity(bits);
    (0..bits).map(move |bit| root.exp_power_of_2(bits - 1 - bit))
}
