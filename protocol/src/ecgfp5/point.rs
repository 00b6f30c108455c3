//! Elements of the group, with formulas that have no exceptions.
//!
//! Pornin's fractional coordinates: the coset is held by its member that is *not* of order n, as x = X / Z and
//! u = x / y = U / T; the neutral element is N = (0, 0) with u = 0. Formulas: sections 3.2 and 3.3 of the paper, for a = 2
//! and b = 263 z.
//!
//! **Invariant:** Z and T are never zero.

use core::fmt;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

use super::affine::AffinePoint;
use super::field::Fe5;
use crate::F;

/// b = B1 z in the curve equation y^2 = x (x^2 + 2 x + b).
pub(super) const B1: u32 = 263;

/// An element of the group.
#[derive(Clone, Copy)]
pub struct Point {
    x: Fe5,
    z: Fe5,
    u: Fe5,
    t: Fe5,
}

/// A point with Z = T = 1: half the additions of a table lookup are saved.
#[derive(Clone, Copy, Default)]
pub(super) struct TablePoint {
    pub(super) x: Fe5,
    pub(super) u: Fe5,
}

impl TablePoint {
    /// The opposite, if `negate`, in constant time.
    pub(super) fn negate_if(self, negate: Choice) -> Self {
        Self { u: Fe5::conditional_select(&self.u, &-self.u, negate), ..self }
    }
}

impl Point {
    /// The neutral element.
    pub const NEUTRAL: Self = Self { x: Fe5::ZERO, z: Fe5::ONE, u: Fe5::ZERO, t: Fe5::ONE };

    /// The generator: w = 4.
    pub const GENERATOR: Self = Self {
        x: Fe5::from_coefficients([
            12_883_135_586_176_881_569,
            4_356_519_642_755_055_268,
            5_248_930_565_894_896_907,
            2_165_973_894_480_315_022,
            2_448_410_071_095_648_785,
        ]),
        z: Fe5::ONE,
        u: Fe5::from_coefficients([13_835_058_052_060_938_241, 0, 0, 0, 0]),
        t: Fe5::ONE,
    };

    /// The element whose encoding is `w`, if there is one. Not for secrets: takes a variable time.
    ///
    /// Zero is the encoding of the neutral element. Any other w belongs to the roots x of
    /// x^2 + (2 - w^2) x + b = 0; their product b is no square, so exactly one of them is, that of the member of order n.
    #[must_use]
    pub fn decode(w: &[F; 5]) -> Option<Self> {
        let w = Fe5::from_elements(w);
        if w.is_zero().into() {
            return Some(Self::NEUTRAL);
        }
        let (x, other) = x_candidates(w)?;
        let x = if x.is_square_public() { other } else { x };
        Some(Self { x, z: Fe5::ONE, u: Fe5::ONE, t: w })
    }

    /// w = y / x: five elements, canonical; zeros for the neutral element.
    #[must_use]
    pub fn encode(&self) -> [F; 5] {
        (self.t * self.u.invert()).to_elements()
    }

    /// The member of order n of the coset, with the same w; none for the neutral element, where it is the point at
    /// infinity.
    #[must_use]
    pub fn to_affine(&self) -> Option<AffinePoint> {
        if self.is_neutral().into() {
            return None;
        }
        // The roots' product is b, so the other member has x' = b / x; y' = w x'.
        let inverse = (self.x * self.u).invert();
        let x = (self.z * self.u * inverse).times_small_z(B1);
        let y = x * (self.t * self.x * inverse);
        Some(AffinePoint::from_coordinates_of_order_n(x, y))
    }

    /// Whether this is the neutral element.
    #[must_use]
    pub fn is_neutral(&self) -> Choice {
        self.u.is_zero()
    }

    /// The sum. 10 multiplications.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let t1 = self.x * other.x;
        let t2 = self.z * other.z;
        let t3 = self.u * other.u;
        let t4 = self.t * other.t;
        let t5 = (self.x + self.z) * (other.x + other.z) - t1 - t2;
        let t6 = (self.u + self.t) * (other.u + other.t) - t3 - t4;
        Self::from_products([t1, t2, t3, t4, t5, t6])
    }

    /// The sum with a point of a table. 8 multiplications.
    pub(super) fn plus_table(&self, other: &TablePoint) -> Self {
        let t1 = self.x * other.x;
        let t3 = self.u * other.u;
        let t5 = self.x + other.x * self.z;
        let t6 = self.u + other.u * self.t;
        Self::from_products([t1, self.z, t3, self.t, t5, t6])
    }

    /// The sum from t1 = X X', t2 = Z Z', t3 = U U', t4 = T T', t5 = X Z' + X' Z, t6 = U T' + U' T.
    #[inline]
    fn from_products([t1, t2, t3, t4, t5, t6]: [Fe5; 6]) -> Self {
        let t2_b = t2.times_small_z(B1);
        let t7 = t1 + t2_b;
        let t8 = t4 * t7;
        let t9 = t3 * (t5.times_small_z(2 * B1) + t7.double());
        let t10 = (t4 + t3.double()) * (t5 + t7);
        Self { x: (t10 - t8).times_small_z(B1), z: t8 - t9, u: t6 * (t2_b - t1), t: t8 + t9 }
    }

    /// Twice this. 4 multiplications and 5 squarings.
    #[must_use]
    pub fn double(&self) -> Self {
        let t1 = self.z * self.t;
        let t2 = t1 * self.t;
        let x1 = t2.square();
        let z1 = t1 * self.u;
        let w1 = t2 - (self.u.square() * (self.x + self.z)).double();
        let t4 = z1.square();
        let z = w1.square();
        Self {
            x: t4.times_small_z(4 * B1),
            z,
            u: (w1 + z1).square() - t4 - z,
            t: x1.double() - t4.quadruple() - z,
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negate(&self) -> Self {
        Self { u: -self.u, ..*self }
    }

    /// The same elements with Z = T = 1, for one inversion altogether.
    pub(super) fn normalise<const N: usize>(points: &[Self; N]) -> [TablePoint; N] {
        // prefix[i] is the product of Z T of all points before i.
        let mut prefix = [Fe5::ONE; N];
        let mut product = Fe5::ONE;
        for (prefix, point) in prefix.iter_mut().zip(points) {
            *prefix = product;
            product = product * point.z * point.t;
        }
        let mut inverse = product.invert();
        let mut normalised = [TablePoint::default(); N];
        for ((normalised, prefix), point) in normalised.iter_mut().zip(&prefix).zip(points).rev() {
            let of_point = inverse * *prefix;
            *normalised =
                TablePoint { x: point.x * point.t * of_point, u: point.u * point.z * of_point };
            inverse = inverse * point.z * point.t;
        }
        normalised
    }
}

/// The two roots of x^2 + (2 - w^2) x + b, if they are in the field.
pub(super) fn x_candidates(w: Fe5) -> Option<(Fe5, Fe5)> {
    let sum = w.square() - Fe5::ONE.double();
    let discriminant = sum.square() - Fe5::ONE.times_small_z(4 * B1);
    let root = discriminant.sqrt_public()?;
    let half = Fe5::ONE.double().invert();
    Some(((sum + root) * half, (sum - root) * half))
}

impl Default for Point {
    fn default() -> Self {
        Self::NEUTRAL
    }
}

/// Overwrites a point that was computed from a secret.
impl DefaultIsZeroes for Point {}

impl ConditionallySelectable for Point {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self {
            x: Fe5::conditional_select(&a.x, &b.x, choice),
            z: Fe5::conditional_select(&a.z, &b.z, choice),
            u: Fe5::conditional_select(&a.u, &b.u, choice),
            t: Fe5::conditional_select(&a.t, &b.t, choice),
        }
    }
}

impl ConditionallySelectable for TablePoint {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self {
            x: Fe5::conditional_select(&a.x, &b.x, choice),
            u: Fe5::conditional_select(&a.u, &b.u, choice),
        }
    }
}

impl ConstantTimeEq for Point {
    /// u determines the element: compares U T' with U' T.
    fn ct_eq(&self, other: &Self) -> Choice {
        (self.u * other.t).ct_eq(&(other.u * self.t))
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Point {}

/// A point may be a shared secret, so it does not print.
impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Point(..)")
    }
}
