//! The curve by its definition, slowly: coefficients by `u128` remainders, points of E in affine coordinates, inversion and
//! square tests by exponentiation. Shares no code with the crate.

use num_bigint::BigUint;
use plonky2_field::types::{Field, PrimeField64};
use protocol::F;

const P: u128 = 0xffff_ffff_0000_0001;

/// An element of GF(p)[z] / (z^5 - 3), lowest power first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fe(pub [u128; 5]);

impl Fe {
    pub const ZERO: Self = Self([0; 5]);
    pub const ONE: Self = Self([1, 0, 0, 0, 0]);
    /// b = 263 z.
    pub const B: Self = Self([0, 263, 0, 0, 0]);

    pub fn small(value: u128) -> Self {
        Self([value % P, 0, 0, 0, 0])
    }

    pub fn from_elements(elements: &[F; 5]) -> Self {
        Self(elements.map(|element| u128::from(element.to_canonical_u64())))
    }

    pub fn to_elements(self) -> [F; 5] {
        self.0.map(|coefficient| F::from_canonical_u64(coefficient.try_into().unwrap()))
    }

    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| (self.0[i] + other.0[i]) % P))
    }

    pub fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| (self.0[i] + P - other.0[i]) % P))
    }

    pub fn times(self, other: Self) -> Self {
        let mut product = [0; 5];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                let term = a * b % P;
                let term = if i + j >= 5 { term * 3 % P } else { term };
                product[(i + j) % 5] = (product[(i + j) % 5] + term) % P;
            }
        }
        Self(product)
    }

    pub fn power(self, exponent: &BigUint) -> Self {
        (0..exponent.bits()).rev().fold(Self::ONE, |power, bit| {
            let power = power.times(power);
            if exponent.bit(bit) { power.times(self) } else { power }
        })
    }

    pub fn inverse(self) -> Self {
        self.power(&(field_order() - 2u32))
    }

    /// Euler's criterion; zero is no square here.
    pub fn is_non_zero_square(self) -> bool {
        self.power(&((field_order() - 1u32) >> 1)) == Self::ONE
    }
}

fn field_order() -> BigUint {
    BigUint::from(P).pow(5)
}

/// A point of y^2 = x (x^2 + 2 x + 263 z); `None` is the point at infinity.
pub type Curve = Option<(Fe, Fe)>;

pub fn is_on_curve((x, y): (Fe, Fe)) -> bool {
    let right = x.times(x.times(x).plus(x.times(Fe::small(2))).plus(Fe::B));
    y.times(y) == right
}

/// The chord and tangent law, all cases.
pub fn add(a: Curve, b: Curve) -> Curve {
    let (Some((x1, y1)), Some((x2, y2))) = (a, b) else { return a.or(b) };
    let slope = if x1 == x2 {
        if y1 != y2 || y1 == Fe::ZERO {
            return None;
        }
        let numerator = x1.times(x1).times(Fe::small(3)).plus(x1.times(Fe::small(4))).plus(Fe::B);
        numerator.times(y1.plus(y1).inverse())
    } else {
        y2.minus(y1).times(x2.minus(x1).inverse())
    };
    let x = slope.times(slope).minus(Fe::small(2)).minus(x1).minus(x2);
    Some((x, slope.times(x1.minus(x)).minus(y1)))
}

pub fn negate(a: Curve) -> Curve {
    a.map(|(x, y)| (x, Fe::ZERO.minus(y)))
}

pub fn multiply(a: Curve, factor: &BigUint) -> Curve {
    (0..factor.bits()).rev().fold(None, |sum, bit| {
        let sum = add(sum, sum);
        if factor.bit(bit) { add(sum, a) } else { sum }
    })
}

/// w = y / x, and zeros for infinity.
pub fn encode(a: Curve) -> [F; 5] {
    a.map_or(Fe::ZERO, |(x, y)| y.times(x.inverse())).to_elements()
}
