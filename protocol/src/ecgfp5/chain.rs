//! The acceptance chain: the one definition of R = s G + e PK that native verification and the circuit share.
//!
//! The circuit adds points by the incomplete chord rule and constrains every denominator to be invertible. A verifier that
//! computed R by complete formulas would accept some signatures that cannot be proven. So R is *defined* as the result of
//! one fixed sequence of doublings and incomplete additions, beginning at a public offset point, and a signature for which
//! any addition of it meets two points with the same x is refused, by both.
//!
//! ```text
//!   tables   low[i] = U + i G     high[i] = U + i 2^160 G     key[i] = U + i PK, by key[0] = U, key[i + 1] = key[i] + PK
//!   digits   s = sum s_w 16^w, 80 of them; e = sum e_w 16^w, 16 of the first element, then 16 of the second
//!
//!   acc = H
//!   for w = 39, 38, ..., 0:
//!       acc = 16 acc
//!       acc = acc + low[s_w]
//!       acc = acc + high[s_(w + 40)]
//!       acc = acc + key[e_w]                 only if w < 32
//!   R = acc + correction                     correction = -(16^40 H + 2 (16^40 - 1) / 15 U + (16^32 - 1) / 15 U)
//! ```
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

/// Windows of the chain: each has four doublings and two or three additions.
pub const WINDOWS: usize = 40;

/// Windows that add a multiple of the key: the lowest ones, one for each digit of the challenge.
pub const KEY_WINDOWS: usize = 32;

/// Entries of a table: one for each value of a four-bit digit.
pub const TABLE_LEN: usize = 16;

/// One step of the chain. A digit is counted from the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// acc = 16 acc: four doublings.
    DoubleFourTimes,
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
        /// Which digit of e: 0 to 31.
        digit: usize,
    },
    /// acc = acc + correction: the last step.
    AddCorrection,
}

/// All steps, in order.
pub fn steps() -> impl Iterator<Item = Step> {
    let windows = (0..WINDOWS).rev().flat_map(|window| {
        let key = (window < KEY_WINDOWS).then_some(Step::AddKey { digit: window });
        [
            Step::DoubleFourTimes,
            Step::AddLow { digit: window },
            Step::AddHigh { digit: window + WINDOWS },
        ]
        .into_iter()
        .chain(key)
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
        let high = times_16_to_the(Point::GENERATOR, WINDOWS);
        // The accumulator's offset, by the chain itself: every step that adds a table entry adds U.
        let mut total = start_point;
        for step in steps() {
            total = match step {
                Step::DoubleFourTimes => times_16_to_the(total, 1),
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

fn times_16_to_the(point: Point, exponent: usize) -> Point {
    (0..exponent).fold(point, |point, _| point.double().double().double().double())
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

/// The 32 digits of a challenge: 16 of the first element, then 16 of the second, lowest first.
#[must_use]
pub fn challenge_digits(challenge: &[F; 2]) -> [u8; KEY_WINDOWS] {
    let mut digits = [0; KEY_WINDOWS];
    let bytes = challenge.iter().flat_map(|element| element.to_canonical_u64().to_le_bytes());
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[byte & 15, byte >> 4]);
    }
    digits
}

/// key\[i\] = U + i PK, by 15 incomplete additions.
///
/// # Errors
/// [`EqualX`] if PK is one of the few multiples of U for which one of them has no answer.
pub fn key_table(key: &AffinePoint) -> Result<[AffinePoint; TABLE_LEN], EqualX> {
    let mut table = [Accumulator::from(constants().table_offset); TABLE_LEN];
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
            Step::DoubleFourTimes => sum.double_four_times(),
            Step::AddLow { digit } => sum.plus(&constants.low[usize::from(s_digits[digit])])?,
            Step::AddHigh { digit } => sum.plus(&constants.high[usize::from(s_digits[digit])])?,
            Step::AddKey { digit } => sum.plus(&key_table[usize::from(e_digits[digit])])?,
            Step::AddCorrection => sum.plus(&constants.correction)?,
        };
    }
    let [commitment] = Accumulator::to_affine(&[sum]);
    Ok(commitment)
}
