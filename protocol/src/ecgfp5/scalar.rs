//! Integers modulo the prime order n of the group, about 2^319.
//!
//! **Invariant:** a [`Scalar`] is below n, and all arithmetic on it runs in constant time.

use core::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

/// Limbs of a scalar: 5 of 64 bits, lowest first.
const LIMBS: usize = 5;

/// n = 1067993516717146951041484916571792702745057740581727230159139685185762082554198619328292418486241.
const ORDER: [u64; LIMBS] = [
    0xe80f_d996_948b_ffe1,
    0xe888_5c39_d724_a09c,
    0x7fff_ffe6_cfb8_0639,
    0x7fff_fff1_0000_0016,
    0x7fff_fffd_8000_0007,
];

/// -1 / n modulo 2^64, by Newton's iteration: every step doubles the number of right bits.
const NEGATIVE_INVERSE: u64 = {
    let mut inverse = ORDER[0];
    let mut i = 0;
    while i < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(ORDER[0].wrapping_mul(inverse)));
        i += 1;
    }
    inverse.wrapping_neg()
};

/// 2^640 modulo n: Montgomery multiplication by it multiplies by 2^320.
const TWO_TO_640: [u64; LIMBS] = {
    let mut value = [1, 0, 0, 0, 0];
    let mut i = 0;
    while i < 640 {
        value = add_modulo(&value, &value);
        i += 1;
    }
    value
};

/// An integer modulo the order of the group.
#[derive(Clone, Copy, Default)]
pub struct Scalar([u64; LIMBS]);

impl DefaultIsZeroes for Scalar {}

/// Bytes that are not the encoding of any scalar: the integer in them is the group's order or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scalar is not below the order of the group")]
pub struct NonCanonicalScalar;

impl Scalar {
    /// Bytes of an encoded scalar.
    pub const LEN: usize = 40;
    /// Four-bit digits of a scalar.
    pub const NIBBLES: usize = 80;
    /// Zero.
    pub const ZERO: Self = Self([0; LIMBS]);
    /// One.
    pub const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// Reads 40 bytes, little endian.
    ///
    /// # Errors
    /// [`NonCanonicalScalar`] if the integer is n or more.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, NonCanonicalScalar> {
        let limbs = limbs_from_bytes(bytes);
        let (_difference, below) = subtract(&limbs, &ORDER);
        if below == 1 { Ok(Self(limbs)) } else { Err(NonCanonicalScalar) }
    }

    /// Writes 40 bytes, little endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    /// 64 bytes, little endian, reduced modulo n: uniform to within 2^-193 if the bytes are.
    #[must_use]
    pub fn from_wide_bytes(bytes: &[u8; 64]) -> Self {
        let mut low = [0; Self::LEN];
        low.copy_from_slice(&bytes[..Self::LEN]);
        let mut high = [0; Self::LEN];
        high[..64 - Self::LEN].copy_from_slice(&bytes[Self::LEN..]);
        // The low part may exceed n. Montgomery multiplication takes any operand below 2^320 beside a reduced one.
        let low = montgomery_multiply(
            &montgomery_multiply(&limbs_from_bytes(&low), &TWO_TO_640),
            &Self::ONE.0,
        );
        let high = montgomery_multiply(&limbs_from_bytes(&high), &TWO_TO_640);
        Self(add_modulo(&low, &high))
    }

    /// The scalar `low + 2^64 * high`.
    #[must_use]
    pub const fn from_words(low: u64, high: u64) -> Self {
        Self([low, high, 0, 0, 0])
    }

    /// Whether this is zero.
    #[must_use]
    pub fn is_zero(&self) -> Choice {
        self.ct_eq(&Self::ZERO)
    }

    /// The sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self(add_modulo(&self.0, &other.0))
    }

    /// The difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let (difference, borrow) = subtract(&self.0, &other.0);
        Self(add(&difference, &masked(&ORDER, borrow)))
    }

    /// The product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self(montgomery_multiply(&montgomery_multiply(&self.0, &TWO_TO_640), &other.0))
    }

    /// The 80 four-bit digits, lowest first.
    #[must_use]
    pub fn nibbles(&self) -> [u8; Self::NIBBLES] {
        let mut nibbles = [0; Self::NIBBLES];
        for (pair, byte) in nibbles.chunks_exact_mut(2).zip(self.to_bytes()) {
            pair.copy_from_slice(&[byte & 15, byte >> 4]);
        }
        nibbles
    }
}

fn limbs_from_bytes(bytes: &[u8; Scalar::LEN]) -> [u64; LIMBS] {
    let (chunks, _empty) = bytes.as_chunks::<8>();
    let mut limbs = [0; LIMBS];
    for (limb, chunk) in limbs.iter_mut().zip(chunks) {
        *limb = u64::from_le_bytes(*chunk);
    }
    limbs
}

/// a + b + carry as (low word, carry).
const fn add_with_carry(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = (a as u128).wrapping_add(b as u128).wrapping_add(carry as u128);
    (sum as u64, (sum >> 64) as u64)
}

/// a + b modulo 2^320.
const fn add(a: &[u64; LIMBS], b: &[u64; LIMBS]) -> [u64; LIMBS] {
    let mut sum = [0; LIMBS];
    let mut carry = 0;
    let mut i = 0;
    while i < LIMBS {
        (sum[i], carry) = add_with_carry(a[i], b[i], carry);
        i += 1;
    }
    sum
}

/// a - b modulo 2^320, and 1 if a < b, else 0.
const fn subtract(a: &[u64; LIMBS], b: &[u64; LIMBS]) -> ([u64; LIMBS], u64) {
    let mut difference = [0; LIMBS];
    let mut borrow = 0;
    let mut i = 0;
    while i < LIMBS {
        let word = (a[i] as u128).wrapping_sub(b[i] as u128).wrapping_sub(borrow as u128);
        difference[i] = word as u64;
        borrow = ((word >> 64) as u64) & 1;
        i += 1;
    }
    (difference, borrow)
}

/// `value` if `bit` is 1, zero if it is 0.
const fn masked(value: &[u64; LIMBS], bit: u64) -> [u64; LIMBS] {
    let mask = bit.wrapping_neg();
    [value[0] & mask, value[1] & mask, value[2] & mask, value[3] & mask, value[4] & mask]
}

/// `value` modulo n, for a value below 2n.
const fn subtract_order_once(value: &[u64; LIMBS]) -> [u64; LIMBS] {
    let (difference, borrow) = subtract(value, &ORDER);
    add(&difference, &masked(&ORDER, borrow))
}

/// a + b modulo n, both reduced: the sum is below 2^320.
const fn add_modulo(a: &[u64; LIMBS], b: &[u64; LIMBS]) -> [u64; LIMBS] {
    subtract_order_once(&add(a, b))
}

/// a * b / 2^320 modulo n, for a below 2^320 and b below n: the unreduced result is below 2n < 2^320.
const fn montgomery_multiply(a: &[u64; LIMBS], b: &[u64; LIMBS]) -> [u64; LIMBS] {
    let mut sum = [0u64; LIMBS + 2];
    let mut i = 0;
    while i < LIMBS {
        add_multiple(&mut sum, b, a[i]);
        let factor = sum[0].wrapping_mul(NEGATIVE_INVERSE);
        add_multiple(&mut sum, &ORDER, factor);
        // The lowest word is zero now: shift it out.
        let mut j = 0;
        while j <= LIMBS {
            sum[j] = sum[j + 1];
            j += 1;
        }
        sum[LIMBS + 1] = 0;
        i += 1;
    }
    subtract_order_once(&[sum[0], sum[1], sum[2], sum[3], sum[4]])
}

/// sum += value * factor.
const fn add_multiple(sum: &mut [u64; LIMBS + 2], value: &[u64; LIMBS], factor: u64) {
    let mut carry = 0u64;
    let mut j = 0;
    while j < LIMBS {
        // At most (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1.
        let word = (value[j] as u128).wrapping_mul(factor as u128);
        let word = word.wrapping_add(sum[j] as u128).wrapping_add(carry as u128);
        sum[j] = word as u64;
        carry = (word >> 64) as u64;
        j += 1;
    }
    let (word, carry) = add_with_carry(sum[LIMBS], carry, 0);
    sum[LIMBS] = word;
    sum[LIMBS + 1] = sum[LIMBS + 1].wrapping_add(carry);
}

impl ConstantTimeEq for Scalar {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Scalar {}

/// A scalar may be a secret, so it does not print. A signature prints its own bytes.
impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalar(..)")
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    fn order() -> BigUint {
        integer(&ORDER)
    }

    fn integer(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::default(), |value, limb| (value << 64u32) + limb)
    }

    fn scalar(value: &BigUint) -> Scalar {
        let mut bytes = (value % order()).to_bytes_le();
        bytes.resize(Scalar::LEN, 0);
        Scalar::from_bytes(&bytes.try_into().unwrap()).unwrap()
    }

    fn wide() -> impl Strategy<Value = [u8; 64]> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 64),
            prop::collection::vec(prop::sample::select(vec![0u8, 0xff]), 64),
        ]
        .prop_map(|bytes| bytes.try_into().unwrap())
    }

    #[test]
    fn the_order_is_that_of_the_group() {
        let expected = "1067993516717146951041484916571792702745057740581727230159139685185762082554198619328292418486241";
        assert_eq!(order().to_string(), expected);
    }

    #[test]
    fn a_scalar_of_the_order_or_more_is_refused() {
        let order = order();
        let encode = |value: &BigUint| {
            let mut bytes = value.to_bytes_le();
            bytes.resize(Scalar::LEN, 0);
            <[u8; Scalar::LEN]>::try_from(bytes).unwrap()
        };
        assert!(Scalar::from_bytes(&encode(&(&order - 1u32))).is_ok());
        for value in
            [order.clone(), &order + 1u32, &order << 1, (BigUint::from(1u32) << 320u32) - 1u32]
        {
            let bytes = value.to_bytes_le();
            let mut padded = [0; Scalar::LEN];
            padded[..bytes.len()].copy_from_slice(&bytes);
            assert_eq!(Scalar::from_bytes(&padded), Err(NonCanonicalScalar));
        }
    }

    #[test]
    fn a_scalar_does_not_print() {
        assert_eq!(format!("{:?}", Scalar::ONE), "Scalar(..)");
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_big_integers(a in wide(), b in wide()) {
            let (integer_a, integer_b) = (BigUint::from_bytes_le(&a) % order(), BigUint::from_bytes_le(&b) % order());
            let (a, b) = (Scalar::from_wide_bytes(&a), Scalar::from_wide_bytes(&b));
            prop_assert_eq!(&integer(&a.0), &integer_a);
            prop_assert_eq!(a.plus(&b), scalar(&(&integer_a + &integer_b)));
            prop_assert_eq!(a.minus(&b), scalar(&(&integer_a + order() - &integer_b)));
            prop_assert_eq!(a.times(&b), scalar(&(&integer_a * &integer_b)));
            prop_assert_eq!(Scalar::from_bytes(&a.to_bytes()), Ok(a));
        }

        #[test]
        fn the_nibbles_add_up_to_the_scalar(bytes in wide()) {
            let scalar = Scalar::from_wide_bytes(&bytes);
            let sum = scalar.nibbles().iter().rev().fold(BigUint::default(), |sum, nibble| (sum << 4u32) + *nibble);
            prop_assert_eq!(sum, integer(&scalar.0));
        }
    }
}
