//! The acceptance chain: the one definition of R = s G + e PK that native verification and the circuit share.
//!
//! The circuit adds points by the incomplete chord rule and constrains every denominator to be invertible. A verifier that
//! computed R by complete formulas would accept some signatures that cannot be proven. So R is *defined* as the result of
//! one fixed sequence of doublings and incomplete additions, beginning at a public offset point, and a signature for which
//! any addition of it meets two points with the same x is refused, by both.
//!
//! ```text
//!   tables   low[i] = U + i G     high[i] = U + i 2^160 G     key[i] = U + i PK, by key[0] = U, key[i + 1] = key[i] + PK
//!   digits   s = sum s_w 16^w, 80 of them; e = sum e_d 4^d, 32 of the first element, then 32 of the second, then 16 zeros
//!
//!   acc = H
//!   for w = 39, 38, ..., 0:
//!       acc = 4 acc;   acc = acc + key[e_(2 w + 1)]
//!       acc = 4 acc;   acc = acc + key[e_(2 w)]
//!       acc = acc + low[s_w]
//!       acc = acc + high[s_(w + 40)]
//!   R = acc + correction                     correction = -(16^40 H + 2 (16^40 - 1) / 15 U + (4^80 - 1) / 3 U)
//! ```
//!
//! All windows are alike, so the circuit has one gate for a window. Digits of e have two bits, so that the four-point table of
//! the key fits into that gate's row and no table has to be looked up elsewhere; it costs the native verifier about a sixth.
//!
//! U and H come out of a hash, so nobody knows a relation among U, H and G, and an honest signature meets an exception with
//! the chance of guessing a discrete logarithm. Who chooses a key as a multiple of U only makes keys that cannot sign.
//!
//! **Invariant:** [`steps`] is the order of operations, natively and in the circuit; neither has another list.
//! **Invariant:** R is never the neutral element: the last addition refuses it.

use std::sync::LazyLock;

use plonky2_field::types::{Field, PrimeField64};

use super::affine::{Accumulator, AffinePoint, EqualX};
use super::{Point, Scalar};
use crate::F;
use crate::hash::poseidon;
use crate::tags::{self, PoseidonTag};

/// Windows of the chain: each has four doublings and four additions.
pub const WINDOWS: usize = 40;

/// Two-bit digits of the challenge, two for each window. The highest 16 are always zero.
pub const KEY_DIGITS: usize = 2 * WINDOWS;

/// Entries of a table of the generator: one for each value of a four-bit digit.
pub const TABLE_LEN: usize = 16;

/// Entries of a key's table: one for each value of a two-bit digit.
pub const KEY_TABLE_LEN: usize = 4;

/// One step of the chain. A digit is counted from the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// acc = 4 acc: two doublings.
    DoubleTwice,
    /// acc = acc + low\[digit of s\].
    AddLow {
        /// Which digit of s: 0 to 39.
        digit: usize,
    },
    /// acc = acc + high\[digit of s\].
    AddHigh {
        /// Which digit of s: 40 to 79.
        digit: usize,
    },
    /// acc = acc + key\[digit of e\].
    AddKey {
        /// Which digit of e: 0 to 79.
        digit: usize,
    },
    /// acc = acc + correction: the last step.
    AddCorrection,
}

/// All steps, in order.
pub fn steps() -> impl Iterator<Item = Step> {
    let windows = (0..WINDOWS).rev().flat_map(|window| {
        [
            Step::DoubleTwice,
            Step::AddKey { digit: 2 * window + 1 },
            Step::DoubleTwice,
            Step::AddKey { digit: 2 * window },
            Step::AddLow { digit: window },
            Step::AddHigh { digit: window + WINDOWS },
        ]
    });
    windows.chain([Step::AddCorrection])
}

/// The public points of the chain.
#[derive(Debug)]
pub struct Constants {
    /// U: the offset of every table.
    pub table_offset: AffinePoint,
    /// H: where the accumulator starts.
    pub start: AffinePoint,
    /// low\[i\] = U + i G.
    pub low: [AffinePoint; TABLE_LEN],
    /// high\[i\] = U + i 2^160 G.
    pub high: [AffinePoint; TABLE_LEN],
    /// Minus everything that the offsets add up to.
    pub correction: AffinePoint,
}

static CONSTANTS: LazyLock<Constants> = LazyLock::new(Constants::compute);

/// The public points of the chain, made on first use in about a millisecond.
pub fn constants() -> &'static Constants {
    &CONSTANTS
}

impl Constants {
    fn compute() -> Self {
        let (table_offset, offset) = nothing_up_my_sleeve(tags::OFFSET_U);
        let (start, start_point) = nothing_up_my_sleeve(tags::OFFSET_H);
        let high = times_4_to_the(Point::GENERATOR, 2 * WINDOWS);
        // The accumulator's offset, by the chain itself: every step that adds a table entry adds U.
        let mut total = start_point;
        for step in steps() {
            total = match step {
                Step::DoubleTwice => times_4_to_the(total, 1),
                Step::AddLow { .. } | Step::AddHigh { .. } | Step::AddKey { .. } => {
                    total.plus(&offset)
                }
                Step::AddCorrection => total.negate(),
            };
        }
        Self {
            table_offset,
            start,
            low: offset_multiples(table_offset, offset, Point::GENERATOR),
            high: offset_multiples(table_offset, offset, high),
            correction: total.to_affine().unwrap_or(start),
        }
    }
}

/// A point that nobody chose: the first decodable w among the hashes of a counter under `tag`, as both representations.
///
/// w is the four elements of Poseidon(tag, counter, 0) and the first of Poseidon(tag, counter, 1). Decoding lands in the
/// group of prime order by itself; no cofactor has to be cleared.
fn nothing_up_my_sleeve(tag: PoseidonTag) -> (AffinePoint, Point) {
    let mut counter = F::ZERO;
    loop {
        let [w0, w1, w2, w3] = poseidon(tag, [counter, F::ZERO]).elements();
        let [w4, ..] = poseidon(tag, [counter, F::ONE]).elements();
        let w = [w0, w1, w2, w3, w4];
        if let (Some(affine), Some(point)) = (AffinePoint::decode(&w), Point::decode(&w)) {
            return (affine, point);
        }
        counter += F::ONE;
    }
}

fn times_4_to_the(point: Point, exponent: usize) -> Point {
    (0..exponent).fold(point, |point, _| point.double().double())
}

/// `offset + i base` for i in 0..16.
fn offset_multiples(first: AffinePoint, offset: Point, base: Point) -> [AffinePoint; TABLE_LEN] {
    let mut table = [first; TABLE_LEN];
    let mut sum = offset;
    for entry in table.iter_mut().skip(1) {
        sum = sum.plus(&base);
        // Neutral only for an offset among the multiples: the constants are pinned by a test.
        *entry = sum.to_affine().unwrap_or(first);
    }
    table
}

/// The digits of a challenge, two bits each, lowest first: 32 of the first element, 32 of the second, 16 zeros.
#[must_use]
pub fn challenge_digits(challenge: &[F; 2]) -> [u8; KEY_DIGITS] {
    let mut digits = [0; KEY_DIGITS];
    let bytes = challenge.iter().flat_map(|element| element.to_canonical_u64().to_le_bytes());
    for (four, byte) in digits.chunks_exact_mut(4).zip(bytes) {
        four.copy_from_slice(&[byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6]);
    }
    digits
}

/// key\[i\] = U + i PK, by three incomplete additions.
///
/// # Errors
/// [`EqualX`] if PK is one of the few multiples of U for which one of them has no answer.
pub fn key_table(key: &AffinePoint) -> Result<[AffinePoint; KEY_TABLE_LEN], EqualX> {
    let mut table = [Accumulator::from(constants().table_offset); KEY_TABLE_LEN];
    let mut sum = table[0];
    for entry in table.iter_mut().skip(1) {
        sum = sum.plus(key)?;
        *entry = sum;
    }
    Ok(Accumulator::to_affine(&table))
}

/// R = s G + e PK, by the chain.
///
/// # Errors
/// [`EqualX`] if one of the additions meets two points with the same x. In particular if the sum is the neutral element.
pub fn commitment(
    key: &AffinePoint,
    s: &Scalar,
    challenge: &[F; 2],
) -> Result<AffinePoint, EqualX> {
    let constants = constants();
    let key_table = key_table(key)?;
    let s_digits = s.nibbles();
    let e_digits = challenge_digits(challenge);
    let mut sum = Accumulator::from(constants.start);
    for step in steps() {
        sum = match step {
            Step::DoubleTwice => sum.double_twice(),
            Step::AddLow { digit } => sum.plus(&constants.low[usize::from(s_digits[digit])])?,
            Step::AddHigh { digit } => sum.plus(&constants.high[usize::from(s_digits[digit])])?,
            Step::AddKey { digit } => sum.plus(&key_table[usize::from(e_digits[digit])])?,
            Step::AddCorrection => sum.plus(&constants.correction)?,
        };
    }
    let [commitment] = Accumulator::to_affine(&[sum]);
    Ok(commitment)
}
