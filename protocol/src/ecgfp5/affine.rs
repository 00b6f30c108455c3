//! Points of order n in affine coordinates, and the accumulator that the acceptance chain runs on.
//!
//! The circuit adds affine points by the chord rule, which has no answer when both have the same x. The accumulator here is
//! the same thing without inversions: it refuses exactly where x1 = x2, found by cross-multiplication.
//!
//! **Invariant:** public values only: everything here takes a variable time.

use super::field::Fe5;
use super::point::{B1, x_candidates};
use crate::F;

/// A point of order n: x is a non-zero square, y^2 = x (x^2 + 2 x + 263 z), w = y / x.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AffinePoint {
    x: Fe5,
    y: Fe5,
}

/// The two operands of an incomplete addition have the same x, so the circuit's slope has no denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an addition of the acceptance chain meets two points with the same x")]
pub struct EqualX;

impl AffinePoint {
    /// Trusts the caller that the point has order n.
    pub(super) const fn from_coordinates_of_order_n(x: Fe5, y: Fe5) -> Self {
        Self { x, y }
    }

    /// The point of order n whose encoding is `w`, if there is one. Zero is refused: the neutral element is no affine point.
    #[must_use]
    pub fn decode(w: &[F; 5]) -> Option<Self> {
        let w = Fe5::from_elements(w);
        if w.is_zero().into() {
            return None;
        }
        let (x, other) = x_candidates(w)?;
        let x = if x.is_square_public() { x } else { other };
        Some(Self { x, y: w * x })
    }

    /// w = y / x: five elements, canonical, not all zero.
    #[must_use]
    pub fn encode(&self) -> [F; 5] {
        (self.y * self.x.invert()).to_elements()
    }

    /// (x, y), canonical.
    #[must_use]
    pub fn coordinates(&self) -> ([F; 5], [F; 5]) {
        (self.x.to_elements(), self.y.to_elements())
    }

    /// (x, -y).
    #[must_use]
    pub fn negate(&self) -> Self {
        Self { x: self.x, y: -self.y }
    }
}

impl core::fmt::Debug for AffinePoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (x, y) = self.coordinates();
        f.debug_struct("AffinePoint").field("x", &x).field("y", &y).finish()
    }
}

/// A point of order n in Jacobian coordinates: x = X / Z^2, y = Y / Z^3, Z not zero. Every step needs Z^2, so it is kept.
#[derive(Clone, Copy)]
pub(super) struct Accumulator {
    x: Fe5,
    y: Fe5,
    z: Fe5,
    z2: Fe5,
}

/// A point of order n between doublings: x = X / Z^2, w = W / Z.
#[derive(Clone, Copy)]
struct Doubling {
    x: Fe5,
    w: Fe5,
    z: Fe5,
}

impl Doubling {
    /// 2 multiplications and 6 squarings. With D = 2 x + 2 - w^2:
    /// x' = (D / (2 w))^2 and w' = (w^4 + 4 b - 4) / (2 w D).
    fn double(&self) -> Self {
        let w2 = self.w.square();
        let z2 = self.z.square();
        let d = (self.x + z2).double() - w2;
        let z4 = z2.square();
        let w = w2.square() + z4.times_small_z(4 * B1) - z4.quadruple();
        Self { x: d.square().square(), w, z: (self.w * self.z).double() * d }
    }
}

impl Accumulator {
    /// Twice this, leaving Jacobian coordinates. 4 multiplications and 5 squarings. With D = x^2 - b and s = x^2 + b:
    /// x' = (D / (2 y))^2 and w' = (s^2 + 4 x s + 4 b x^2) / (2 y D).
    fn double(&self) -> Doubling {
        let z4_b = self.z2.square().times_small_z(B1);
        let x2 = self.x.square();
        let (d, s) = (x2 - z4_b, x2 + z4_b);
        let a = self.x * self.z2;
        let w = s * (s + a.quadruple()) + a.square().times_small_z(4 * B1);
        Doubling { x: d.square().square(), w, z: (self.y * self.z).double() * d }
    }

    /// Four times this. No doubling of a point of odd order has an exception.
    pub(super) fn double_twice(&self) -> Self {
        let Doubling { x, w, z } = self.double().double();
        Self { x, y: w * x, z, z2: z.square() }
    }

    /// The sum by the chord rule. 8 multiplications and 3 squarings.
    ///
    /// # Errors
    /// [`EqualX`] if both points have the same x.
    pub(super) fn plus(&self, other: &AffinePoint) -> Result<Self, EqualX> {
        let h = other.x * self.z2 - self.x;
        if h.is_zero().into() {
            return Err(EqualX);
        }
        let r = other.y * self.z2 * self.z - self.y;
        let z = self.z * h;
        let h2 = h.square();
        let h3 = h2 * h;
        let v = self.x * h2;
        let z2 = z.square();
        // x' = slope^2 - 2 - x1 - x2.
        let x = r.square() - h3 - v.double() - z2.double();
        let y = r * (v - x) - self.y * h3;
        Ok(Self { x, y, z, z2 })
    }

    /// Affine coordinates of all points, for one inversion altogether.
    pub(super) fn to_affine<const N: usize>(points: &[Self; N]) -> [AffinePoint; N] {
        let mut prefix = [Fe5::ONE; N];
        let mut product = Fe5::ONE;
        for (prefix, point) in prefix.iter_mut().zip(points) {
            *prefix = product;
            product = product * point.z;
        }
        let mut inverse = product.invert();
        let mut affine = [AffinePoint { x: Fe5::ZERO, y: Fe5::ZERO }; N];
        for ((affine, prefix), point) in affine.iter_mut().zip(&prefix).zip(points).rev() {
            let of_point = inverse * *prefix;
            let of_point2 = of_point.square();
            *affine = AffinePoint { x: point.x * of_point2, y: point.y * of_point2 * of_point };
            inverse = inverse * point.z;
        }
        affine
    }
}

impl From<AffinePoint> for Accumulator {
    fn from(point: AffinePoint) -> Self {
        Self { x: point.x, y: point.y, z: Fe5::ONE, z2: Fe5::ONE }
    }
}
