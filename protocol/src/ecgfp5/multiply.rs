//! Scalar multiplication in constant time: of the generator, by a table; of any point, by windows.
//!
//! **Invariant:** the sequence of operations and of memory accesses is the same for every scalar.

use std::sync::LazyLock;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{DefaultIsZeroes, Zeroizing};

use super::point::{Point, TablePoint};
use super::scalar::Scalar;

/// Entries of a table of multiples: one for each value of a four-bit digit.
const ENTRIES: usize = 16;

/// Digits of five bits and a sign that a scalar has.
const SIGNED: usize = 64;

/// `GENERATOR_TABLE[i][j]` = (j + 1) 32^i G. 80 KiB, made on first use in under a millisecond.
static GENERATOR_TABLE: LazyLock<Vec<[TablePoint; ENTRIES]>> = LazyLock::new(|| {
    let mut power = Point::GENERATOR;
    (0..SIGNED)
        .map(|_window| {
            let [_neutral, rest @ ..] = multiples(&power);
            let last = rest[ENTRIES - 2].plus(&power);
            let mut multiples = [last; ENTRIES];
            multiples[..ENTRIES - 1].copy_from_slice(&rest);
            power = last.double();
            Point::normalise(&multiples)
        })
        .collect()
});

/// A digit between -15 and 16.
#[derive(Clone, Copy, Default)]
struct Signed {
    magnitude: u8,
    /// 1 or 0.
    negative: u8,
}

impl DefaultIsZeroes for Signed {}

/// A scalar is the sum of its digits times 32^i. The highest takes no carry: a scalar is below 2^319.
fn signed_digits(scalar: &Scalar) -> [Signed; SIGNED] {
    let bytes = Zeroizing::new(scalar.to_bytes());
    let mut digits = [Signed::default(); SIGNED];
    let mut carry = 0_u8;
    for (eight, five) in digits.chunks_exact_mut(8).zip(bytes.chunks_exact(5)) {
        let word = five.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        for (digit, shift) in eight.iter_mut().zip((0..40_u32).step_by(5)) {
            let value = (((word >> shift) & 31) as u8).wrapping_add(carry);
            // 17 and more are 32 less a digit.
            carry = value.wrapping_add(15) >> 5;
            let mask = carry.wrapping_neg();
            let magnitude = (value ^ mask).wrapping_sub(mask).wrapping_add(32 & mask);
            *digit = Signed { magnitude, negative: carry };
        }
    }
    digits
}

/// The entry of a digit, reading every entry; the neutral element for 0.
fn select_signed(table: &[TablePoint; ENTRIES], digit: Signed) -> TablePoint {
    let mut selected = TablePoint::default();
    for (entry, magnitude) in table.iter().zip(1_u8..) {
        selected.conditional_assign(entry, magnitude.ct_eq(&digit.magnitude));
    }
    selected.negate_if(Choice::from(digit.negative))
}

/// 0, P, 2 P, ..., 15 P.
fn multiples(point: &Point) -> [Point; ENTRIES] {
    let mut multiples = [Point::NEUTRAL; ENTRIES];
    let mut next = Point::NEUTRAL;
    for multiple in &mut multiples {
        *multiple = next;
        next = next.plus(point);
    }
    multiples
}

/// `table[digit]`, reading every entry.
fn select<T: ConditionallySelectable + Default>(table: &[T; ENTRIES], digit: u8) -> T {
    let mut selected = T::default();
    for (entry, index) in table.iter().zip(0u8..) {
        selected.conditional_assign(entry, index.ct_eq(&digit));
    }
    selected
}

impl Point {
    /// `scalar` times the generator, in constant time. 64 additions.
    #[must_use]
    pub fn multiply_generator(scalar: &Scalar) -> Self {
        let digits = Zeroizing::new(signed_digits(scalar));
        let windows = GENERATOR_TABLE.iter().zip(digits.iter());
        windows.fold(Self::NEUTRAL, |sum, (table, digit)| {
            sum.plus_table(&select_signed(table, *digit))
        })
    }

    /// `scalar` times this, in constant time. 320 doublings and 80 additions.
    #[must_use]
    pub fn multiply(&self, scalar: &Scalar) -> Self {
        let digits = Zeroizing::new(scalar.nibbles());
        let table = multiples(self);
        digits.iter().rev().fold(Self::NEUTRAL, |sum, digit| {
            sum.double().double().double().double().plus(&select(&table, *digit))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The scalar whose digits of five bits are all `value`, the highest one `top`.
    fn all(value: u8, top: u8) -> Scalar {
        let mut bits = [0_u8; 320];
        for (at, bit) in bits.iter_mut().enumerate() {
            let digit = if at < 315 { value } else { top };
            *bit = digit >> (at % 5) & 1;
        }
        let mut bytes = [0; Scalar::LEN];
        for (byte, eight) in bytes.iter_mut().zip(bits.chunks_exact(8)) {
            *byte = eight.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
        }
        Scalar::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_generators_table_agrees_with_windows_at_every_digits_edge() {
        let mut scalars = vec![Scalar::ZERO, Scalar::ONE, Scalar::ZERO.minus(&Scalar::ONE)];
        for value in [0, 1, 15, 16, 17, 30, 31] {
            scalars.extend([0, 1, 14].map(|top| all(value, top)));
        }
        for scalar in scalars {
            assert!(Point::multiply_generator(&scalar) == Point::GENERATOR.multiply(&scalar));
        }
    }

    #[test]
    fn digits_are_in_range_and_add_up() {
        let edge = [all(31, 14), all(16, 15 - 1), all(17, 0), Scalar::ZERO.minus(&Scalar::ONE)];
        for scalar in edge {
            let digits = signed_digits(&scalar);
            assert!(digits.iter().all(|one| one.magnitude <= 16 && one.negative <= 1));
            let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                let sum = sum.times(&Scalar::from_words(32, 0));
                let magnitude = Scalar::from_words(u64::from(digit.magnitude), 0);
                if digit.negative == 1 { sum.minus(&magnitude) } else { sum.plus(&magnitude) }
            });
            assert_eq!(sum.to_bytes(), scalar.to_bytes());
        }
    }

    proptest! {
        #[test]
        fn the_generators_table_agrees_with_windows(bytes in prop::collection::vec(any::<u8>(), 64)) {
            let scalar = Scalar::from_wide_bytes(&bytes.try_into().unwrap());
            prop_assert!(Point::multiply_generator(&scalar) == Point::GENERATOR.multiply(&scalar));
        }
    }
}
