//! The range gate: three values below 2^56 and one below 2^48, in one row.
//!
//! # Wires
//! | wires | what |
//! |---|---|
//! | 0..3 | values of 56 bits |
//! | 3 | a value of 48 bits |
//! | 4, 5 | constants of the row |
//! | 6..34, 34..62, 62..90 | base-4 digits of the 56-bit values, lowest first (28 each) |
//! | 90..114 | base-4 digits of the 48-bit value, lowest first (24) |
//!
//! # Constraints, in order
//! | constraints | each is zero |
//! |---|---|
//! | 1 to 4 | sum of 4^i digit_i - value |
//! | 5 to 112 | d (d - 3)(d (d - 3) + 2), which is d (d - 1)(d - 2)(d - 3), for every digit in the order of the wires |
//! | 113, 114 | constant - wire 4, constant - wire 5 |
//!
//! An unused value is to be connected to zero.

use plonky2::field::types::{Field, PrimeField64};

use super::arithmetic::Arithmetic;
use super::formula::{Formula, NoSuchRow, Row, Stage};
use crate::config::F;

/// Values of a row.
pub const VALUES: usize = 4;

/// Bits of each value of a row.
pub const VALUE_BITS: [usize; VALUES] = [56, 56, 56, 48];

/// Wires 4 and 5: the constants of the row.
pub const WIRES_CONSTANTS: usize = 4;

const WIRES_DIGITS: usize = 6;
const DIGITS: usize = (56 * 3 + 48) / 2;

/// Range checks of 56, 56, 56 and 48 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range;

/// For each value: its wire, and the wires of its digits.
fn values() -> impl Iterator<Item = (usize, core::ops::Range<usize>)> {
    let mut start = WIRES_DIGITS;
    VALUE_BITS.into_iter().enumerate().map(move |(value, bits)| {
        let digits = start..start + bits / 2;
        start = digits.end;
        (value, digits)
    })
}

impl Formula for Range {
    const NAME: &'static str = "RangeGate";
    const WIRES: usize = WIRES_DIGITS + DIGITS;
    const CONSTANTS: usize = 2;
    const DEGREE: usize = 4;
    const CONSTRAINTS: usize = VALUES + DIGITS + 2;

    fn constraints<A: Arithmetic>(
        on: &mut A,
        wires: &[A::Value],
        constants: &[A::Value],
    ) -> Vec<A::Value> {
        let mut out = Vec::with_capacity(Self::CONSTRAINTS);
        for (value, digits) in values() {
            let mut sum = wires[digits.end - 1];
            for digit in digits.rev().skip(1) {
                let shifted = on.scale(F::from_canonical_u64(4), sum);
                sum = on.add(shifted, wires[digit]);
            }
            out.push(on.sub(sum, wires[value]));
        }
        let two = on.constant(F::TWO);
        let three = on.constant(F::from_canonical_u64(3));
        for digit in &wires[WIRES_DIGITS..WIRES_DIGITS + DIGITS] {
            let less = on.sub(*digit, three);
            let outer = on.mul(*digit, less);
            let inner = on.add(outer, two);
            out.push(on.mul(outer, inner));
        }
        for (constant, wire) in Self::constant_wires() {
            out.push(on.sub(constants[constant], wires[wire]));
        }
        out
    }

    fn stages() -> Vec<Stage> {
        vec![Stage {
            inputs: (0..VALUES).collect(),
            outputs: (WIRES_DIGITS..WIRES_DIGITS + DIGITS).collect(),
            complete,
        }]
    }

    fn constant_wires() -> Vec<(usize, usize)> {
        vec![(0, WIRES_CONSTANTS), (1, WIRES_CONSTANTS + 1)]
    }
}

fn complete(row: &mut Row) -> Result<(), NoSuchRow> {
    for (value, digits) in values() {
        let value = row.wires[value].to_canonical_u64();
        for (index, digit) in digits.enumerate() {
            row.wires[digit] = F::from_canonical_u64(value >> (2 * index) & 3);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Field64;

    use super::*;
    use crate::gates::testing::{
        assert_evaluations_agree, assert_every_wire_is_constrained, assert_shape, completed,
        violated,
    };

    const CONSTANTS: [F; 2] = [F::ZERO; 2];

    fn inputs(values: [u64; VALUES]) -> Vec<(usize, F)> {
        (0..).zip(values.map(F::from_noncanonical_u64)).collect()
    }

    #[test]
    fn the_shape_is_as_declared() {
        assert_shape::<Range>();
    }

    #[test]
    fn the_evaluations_agree() {
        assert_evaluations_agree::<Range>();
    }

    #[test]
    fn values_in_range_have_a_row() {
        for values in [
            [0; VALUES],
            [(1 << 56) - 1, (1 << 56) - 1, (1 << 56) - 1, (1 << 48) - 1],
            [1, 2, 3, 4],
        ] {
            let row = completed::<Range>(&inputs(values)).unwrap();
            assert_eq!(violated::<Range>(&row, &CONSTANTS), []);
        }
    }

    #[test]
    fn a_value_out_of_range_violates_its_sum() {
        for value in 0..VALUES {
            for excess in [1 << VALUE_BITS[value], F::ORDER - 1] {
                let mut values = [7; VALUES];
                values[value] = excess;
                let row = completed::<Range>(&inputs(values)).unwrap();
                assert_eq!(violated::<Range>(&row, &CONSTANTS), [value + 1]);
            }
        }
    }

    #[test]
    fn a_digit_is_0_to_3() {
        let row = completed::<Range>(&inputs([0; VALUES])).unwrap();
        // A digit of 4 is worth 1 in the next one: the sum holds, the digit is refused.
        let mut row_with_four = row;
        row_with_four[WIRES_DIGITS] = F::from_canonical_u64(4);
        row_with_four[0] = F::from_canonical_u64(4);
        assert_eq!(violated::<Range>(&row_with_four, &CONSTANTS), [VALUES + 1]);
    }

    #[test]
    fn every_wire_is_constrained() {
        let row = completed::<Range>(&inputs([1 << 20, 5, 6, 7])).unwrap();
        assert_every_wire_is_constrained::<Range>(&row, &CONSTANTS, &[]);
    }
}
