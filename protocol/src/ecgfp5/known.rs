//! s G + e P in a variable time, for a point P that is met again and again: tables made once, hardly any doubling.
//!
//! ```text
//!   of G   generator[i][d] = d 256^i G      one addition for each of the 40 bytes of s
//!   of P   blocks[j][d] = d 2^(16 j) P      e has 128 bits: eight blocks of four digits of four bits
//!
//!   acc = 0
//!   for k = 3, 2, 1, 0:  acc = 16 acc;  acc = acc + blocks[j][digit k of block j of e], for every j
//!   acc = acc + generator[i][byte i of s], for every i
//! ```
//!
//! 72 additions and 12 doublings by formulas without exceptions; the acceptance chain ([`super::chain`]) has 160 and 160.
//! What follows from that for acceptance, [`crate::known_key`] says.
//!
//! **Invariant:** public values only: digits choose what is read and what is left out.

use std::sync::LazyLock;

use plonky2_field::types::PrimeField64;

use super::point::{Point, TablePoint};
use super::scalar::Scalar;
use crate::F;

/// Blocks of a challenge, of 16 bits each.
const BLOCKS: usize = 8;
/// Four-bit digits of a block.
const DIGITS: usize = 4;
/// Values of a four-bit digit.
const NIBBLE: usize = 16;
/// Values of a byte.
const BYTE: usize = 256;

/// 800 KiB, made on first use in a few milliseconds.
static GENERATOR: LazyLock<Vec<[TablePoint; BYTE]>> = LazyLock::new(|| {
    let mut power = Point::GENERATOR;
    (0..Scalar::LEN)
        .map(|_byte| {
            let table = Point::normalise(&multiples::<BYTE>(&power));
            power = (0..8).fold(power, |power, _bit| power.double());
            table
        })
        .collect()
});

/// 0, P, 2 P, ...
fn multiples<const N: usize>(point: &Point) -> [Point; N] {
    let mut multiples = [Point::NEUTRAL; N];
    let mut next = Point::NEUTRAL;
    for multiple in &mut multiples {
        *multiple = next;
        next = next.plus(point);
    }
    multiples
}

/// A point and its tables: 10 KiB.
pub(crate) struct KnownPoint {
    blocks: [[TablePoint; NIBBLE]; BLOCKS],
}

impl KnownPoint {
    /// Makes the tables: about the cost of a verification by the acceptance chain.
    pub(crate) fn new(point: &Point) -> Self {
        let mut power = *point;
        let blocks = core::array::from_fn(|_block| {
            let table = Point::normalise(&multiples::<NIBBLE>(&power));
            power = (0..16).fold(power, |power, _bit| power.double());
            table
        });
        Self { blocks }
    }

    /// s G + e P.
    pub(crate) fn sum(&self, s: &Scalar, e: &[F; 2]) -> Point {
        let mut sum = Point::NEUTRAL;
        let digits = digits(e);
        for (place, row) in digits.iter().rev().enumerate() {
            if place > 0 {
                sum = sum.double().double().double().double();
            }
            for (table, digit) in self.blocks.iter().zip(row) {
                sum = add(&sum, table, *digit);
            }
        }
        let bytes = s.to_bytes();
        GENERATOR.iter().zip(bytes).fold(sum, |sum, (table, byte)| add(&sum, table, byte))
    }
}

fn add<const N: usize>(sum: &Point, table: &[TablePoint; N], digit: u8) -> Point {
    match table.get(usize::from(digit)) {
        Some(entry) if digit != 0 => sum.plus_table(entry),
        _ => *sum,
    }
}

/// The digits of a challenge, lowest first: of each place those of all blocks.
fn digits(e: &[F; 2]) -> [[u8; BLOCKS]; DIGITS] {
    let [e0, e1] = e.map(|element| element.to_canonical_u64());
    let all = u128::from(e0) | u128::from(e1) << 64;
    let mut digits = [[0; BLOCKS]; DIGITS];
    for (row, place) in digits.iter_mut().zip((0_u32..).step_by(4)) {
        for (digit, block) in row.iter_mut().zip((0_u32..).step_by(16)) {
            *digit = (all >> block.wrapping_add(place)) as u8 & 15;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use plonky2_field::types::Field;
    use proptest::prelude::*;

    use super::*;

    fn plain(point: &Point, s: &Scalar, e: &[F; 2]) -> Point {
        let [e0, e1] = e.map(|element| element.to_canonical_u64());
        Point::multiply_generator(s).plus(&point.multiply(&Scalar::from_words(e0, e1)))
    }

    fn any_scalar() -> impl Strategy<Value = Scalar> {
        let bytes = prop::collection::vec(any::<u8>(), 64);
        bytes.prop_map(|bytes| Scalar::from_wide_bytes(&bytes.try_into().unwrap()))
    }

    #[test]
    fn the_sum_is_right_where_digits_are_zero_all_ones_or_cancel() {
        let point = Point::GENERATOR.double().double().plus(&Point::GENERATOR);
        let known = KnownPoint::new(&point);
        let most = Scalar::ZERO.minus(&Scalar::ONE);
        let words = [0, 1, 15, 16, 1 << 31, 1 << 32, u64::from(u32::MAX), 0xffff_ffff_0000_0000];
        for low in words {
            for high in words {
                let e = [low, high].map(F::from_canonical_u64);
                let opposite = Scalar::from_words(low, high).times(&Scalar::from_words(5, 0));
                for s in [Scalar::ZERO, Scalar::ONE, most, Scalar::ZERO.minus(&opposite)] {
                    assert!(known.sum(&s, &e) == plain(&point, &s, &e), "{low} {high}");
                }
                // 5 G is the point: the sum vanishes.
                assert!(bool::from(known.sum(&Scalar::ZERO.minus(&opposite), &e).is_neutral()));
            }
        }
    }

    proptest! {
        #[test]
        fn the_sum_agrees_with_the_plain_multiplications(
            s in any_scalar(), of in any_scalar(), words in prop::array::uniform2(0..0xffff_ffff_0000_0001_u64),
        ) {
            let point = Point::multiply_generator(&of);
            let e = words.map(F::from_canonical_u64);
            prop_assert!(KnownPoint::new(&point).sum(&s, &e) == plain(&point, &s, &e));
        }
    }
}
