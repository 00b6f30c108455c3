//! GF(p^5) = GF(p)\[z\] / (z^5 - 3), the field of the curve's coordinates.
//!
//! An element is five coefficients, lowest power of z first. Products are accumulated over 160 bits and reduced once for
//! each coefficient of the result.
//!
//! **Invariant:** arithmetic runs in constant time; only the functions that say "public" branch on values.

use core::ops::{Add, Mul, Neg, Sub};

use plonky2_field::goldilocks_field::GoldilocksField;
use plonky2_field::types::{Field, PrimeField};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

use super::base;
use super::wide::Wide;
use crate::F;

/// An element of GF(p^5), coefficients in redundant form.
#[derive(Clone, Copy, Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Fe5([u64; 5]);

impl DefaultIsZeroes for Fe5 {}

/// z^p = ZETA z: a fifth root of unity, 3^((p - 1) / 5).
const ZETA: u64 = 1_041_288_259_238_279_555;

/// Powers of zeta^k for the Frobenius map applied k times.
const fn zeta_powers(k: u32) -> [u64; 5] {
    let mut root = 1;
    let mut i = 0;
    while i < k {
        root = base::mul(root, ZETA);
        i += 1;
    }
    let mut powers = [1; 5];
    let mut i = 1;
    while i < 5 {
        powers[i] = base::canonical(base::mul(powers[i - 1], root));
        i += 1;
    }
    powers
}

impl Fe5 {
    pub(crate) const ZERO: Self = Self([0; 5]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// The element with these coefficients, any `u64` each.
    pub(crate) const fn from_coefficients(coefficients: [u64; 5]) -> Self {
        Self(coefficients)
    }

    pub(crate) fn from_elements(elements: &[F; 5]) -> Self {
        Self(elements.map(|element| element.0))
    }

    /// The coefficients, canonical.
    pub(crate) fn to_elements(self) -> [F; 5] {
        self.0.map(|coefficient| GoldilocksField(base::canonical(coefficient)))
    }

    #[inline]
    pub(crate) fn double(self) -> Self {
        self + self
    }

    /// 4 times this.
    #[inline]
    pub(crate) fn quadruple(self) -> Self {
        self.times_small(4)
    }

    /// `factor` times this.
    #[inline]
    pub(crate) fn times_small(self, factor: u32) -> Self {
        Self(self.0.map(|coefficient| base::mul(coefficient, u64::from(factor))))
    }

    /// `factor` times z times this, for `factor` below 2^30.
    #[inline]
    pub(crate) fn times_small_z(self, factor: u32) -> Self {
        let factor = u64::from(factor);
        let [a0, a1, a2, a3, a4] = self.0;
        Self([
            base::mul(a4, factor.wrapping_mul(3)),
            base::mul(a0, factor),
            base::mul(a1, factor),
            base::mul(a2, factor),
            base::mul(a3, factor),
        ])
    }

    #[inline]
    pub(crate) fn square(self) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        let c0 = Wide::product(a1, a4).plus_product(a2, a3).times(6).plus_product(a0, a0);
        let c1 = Wide::product(a2, a4).doubled().plus_product(a3, a3).tripled();
        let c1 = c1.plus(Wide::product(a0, a1).doubled());
        let c2 =
            Wide::product(a3, a4).tripled().plus_product(a0, a2).doubled().plus_product(a1, a1);
        let c3 = Wide::product(a0, a3).plus_product(a1, a2).doubled();
        let c3 = c3.plus(Wide::product(a4, a4).tripled());
        let c4 = Wide::product(a0, a4).plus_product(a1, a3).doubled().plus_product(a2, a2);
        Self([c0.reduced(), c1.reduced(), c2.reduced(), c3.reduced(), c4.reduced()])
    }

    fn square_times(self, n: u32) -> Self {
        (0..n).fold(self, |value, _| value.square())
    }

    /// This to the power p^k, with `powers` made by [`zeta_powers`].
    fn frobenius(self, powers: &[u64; 5]) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        Self([
            a0,
            base::mul(a1, powers[1]),
            base::mul(a2, powers[2]),
            base::mul(a3, powers[3]),
            base::mul(a4, powers[4]),
        ])
    }

    /// The constant coefficient of a product, for a product known to lie in GF(p).
    fn product_in_base_field(self, other: Self) -> u64 {
        let [a0, a1, a2, a3, a4] = self.0;
        let [b0, b1, b2, b3, b4] = other.0;
        let upper =
            Wide::product(a1, b4).plus_product(a2, b3).plus_product(a3, b2).plus_product(a4, b1);
        upper.tripled().plus_product(a0, b0).reduced()
    }

    /// The inverse, and 0 for 0. Itoh and Tsujii: a^-1 = a^(p + p^2 + p^3 + p^4) / N(a), the norm N(a) being in GF(p).
    pub(crate) fn invert(self) -> Self {
        const ONCE: [u64; 5] = zeta_powers(1);
        const TWICE: [u64; 5] = zeta_powers(2);
        let once = self.frobenius(&ONCE);
        let twice = once * once.frobenius(&ONCE);
        let conjugates = twice * twice.frobenius(&TWICE);
        let norm = self.product_in_base_field(conjugates);
        conjugates.times_base(base::invert(norm))
    }

    fn times_base(self, factor: u64) -> Self {
        Self(self.0.map(|coefficient| base::mul(coefficient, factor)))
    }

    /// This to the power (p + 1) / 2 = 2^63 - 2^31 + 1.
    fn half_power(self) -> Self {
        let low = self.square_times(31);
        let ones2 = low.square() * low;
        let ones4 = ones2.square_times(2) * ones2;
        let ones8 = ones4.square_times(4) * ones4;
        let ones16 = ones8.square_times(8) * ones8;
        ones16.square_times(16) * ones16 * self
    }

    /// (a^((p + p^2 + p^3 + p^4) / 2) up to a factor known to [`Fe5::sqrt_public`], the norm of a).
    fn half_conjugates_and_norm(self) -> (Self, F) {
        const ONCE: [u64; 5] = zeta_powers(1);
        const TWICE: [u64; 5] = zeta_powers(2);
        let half = self.half_power().frobenius(&ONCE);
        let halves = half * half.frobenius(&TWICE);
        let norm = self.product_in_base_field(halves.square());
        (halves, GoldilocksField(base::canonical(norm)))
    }

    /// Whether this is a square, 0 included: a is one in GF(p^5) exactly if its norm is one in GF(p), since
    /// (p^5 - 1) / (p - 1) is odd. For public values: takes a variable time.
    pub(crate) fn is_square_public(self) -> bool {
        let (_halves, norm) = self.half_conjugates_and_norm();
        norm.is_zero() || norm.is_quadratic_residue()
    }

    /// A square root, if there is one. For public values: takes a variable time.
    ///
    /// With h = (p + 1) / 2 and e = a^(p h + p^3 h) we have a e^2 = N(a), so (a e / sqrt(N(a)))^2 = a.
    pub(crate) fn sqrt_public(self) -> Option<Self> {
        let (halves, norm) = self.half_conjugates_and_norm();
        if norm.is_zero() {
            return Some(Self::ZERO);
        }
        let root = norm.sqrt()?;
        Some((self * halves).times_base(base::invert(root.0)))
    }

    /// Whether this is zero, in constant time.
    pub(crate) fn is_zero(self) -> Choice {
        self.ct_eq(&Self::ZERO)
    }
}

impl Add for Fe5 {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        Self([
            base::add(a0, b0),
            base::add(a1, b1),
            base::add(a2, b2),
            base::add(a3, b3),
            base::add(a4, b4),
        ])
    }
}

impl Sub for Fe5 {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        Self([
            base::sub(a0, b0),
            base::sub(a1, b1),
            base::sub(a2, b2),
            base::sub(a3, b3),
            base::sub(a4, b4),
        ])
    }
}

impl Neg for Fe5 {
    type Output = Self;

    #[inline]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Fe5 {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        let [b0, b1, b2, b3, b4] = other.0;
        let c0 =
            Wide::product(a1, b4).plus_product(a2, b3).plus_product(a3, b2).plus_product(a4, b1);
        let c0 = c0.tripled().plus_product(a0, b0);
        let c1 = Wide::product(a2, b4).plus_product(a3, b3).plus_product(a4, b2);
        let c1 = c1.tripled().plus_product(a0, b1).plus_product(a1, b0);
        let c2 = Wide::product(a3, b4).plus_product(a4, b3);
        let c2 = c2.tripled().plus_product(a0, b2).plus_product(a1, b1).plus_product(a2, b0);
        let c3 = Wide::product(a4, b4).tripled();
        let c3 =
            c3.plus_product(a0, b3).plus_product(a1, b2).plus_product(a2, b1).plus_product(a3, b0);
        let c4 = Wide::product(a0, b4).plus_product(a1, b3).plus_product(a2, b2);
        let c4 = c4.plus_product(a3, b1).plus_product(a4, b0);
        Self([c0.reduced(), c1.reduced(), c2.reduced(), c3.reduced(), c4.reduced()])
    }
}

impl ConstantTimeEq for Fe5 {
    fn ct_eq(&self, other: &Self) -> Choice {
        let difference = self
            .0
            .iter()
            .zip(other.0)
            .fold(0, |difference, (a, b)| difference | base::canonical(base::sub(*a, b)));
        difference.ct_eq(&0)
    }
}

impl ConditionallySelectable for Fe5 {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        let mut selected = [0; 5];
        for (selected, (a, b)) in selected.iter_mut().zip(a.0.iter().zip(&b.0)) {
            *selected = u64::conditional_select(a, b, choice);
        }
        Self(selected)
    }
}

impl PartialEq for Fe5 {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Fe5 {}

#[cfg(test)]
mod tests {
    use plonky2_field::extension::quintic::QuinticExtension;
    use plonky2_field::extension::{Extendable, FieldExtension, Frobenius};
    use plonky2_field::types::Field64;
    use proptest::prelude::*;

    use super::*;

    type Reference = QuinticExtension<F>;

    fn reference(value: Fe5) -> Reference {
        QuinticExtension(value.to_elements())
    }

    fn any_element() -> impl Strategy<Value = Fe5> {
        let edge = prop::sample::select(vec![
            0,
            1,
            F::ORDER - 1,
            F::ORDER,
            F::ORDER + 1,
            u64::MAX,
            u64::from(u32::MAX),
        ]);
        prop::array::uniform5(prop_oneof![any::<u64>(), edge]).prop_map(Fe5)
    }

    #[test]
    fn the_frobenius_constant_is_that_of_the_field() {
        assert_eq!(GoldilocksField(ZETA), <F as Extendable<5>>::DTH_ROOT);
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_plonky2(a in any_element(), b in any_element()) {
            prop_assert_eq!(reference(a + b), reference(a) + reference(b));
            prop_assert_eq!(reference(a - b), reference(a) - reference(b));
            prop_assert_eq!(reference(-a), -reference(a));
            prop_assert_eq!(reference(a * b), reference(a) * reference(b));
            prop_assert_eq!(reference(a.square()), reference(a) * reference(a));
            prop_assert_eq!(reference(a.frobenius(&zeta_powers(2))), reference(a).repeated_frobenius(2));
            prop_assert_eq!(reference(a.quadruple()), reference(a) * Reference::from_canonical_u64(4));
            let z = Reference::from_basefield_array([F::ZERO, F::ONE, F::ZERO, F::ZERO, F::ZERO]);
            prop_assert_eq!(reference(a.times_small_z(263)), reference(a) * z * Reference::from_canonical_u64(263));
        }

        #[test]
        fn an_inverse_times_its_element_is_one(a in any_element()) {
            prop_assert_eq!(a * a.invert() == Fe5::ONE, !bool::from(a.is_zero()));
        }

        #[test]
        fn a_square_has_a_root_and_a_non_square_has_none(a in any_element()) {
            // A non-residue of GF(p) stays one in an extension of odd degree.
            let non_square = Fe5::ONE.times_small(7);
            let square = a.square();
            prop_assert!(square.is_square_public());
            let root = square.sqrt_public();
            prop_assert!(root == Some(a) || root == Some(-a));
            if !bool::from(a.is_zero()) {
                prop_assert!(!(square * non_square).is_square_public());
                prop_assert!((square * non_square).sqrt_public().is_none());
            }
        }
    }
}
