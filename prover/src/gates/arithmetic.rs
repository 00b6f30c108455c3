//! Where gate formulas are evaluated: one formula, several kinds of values.
//!
//! A gate's constraints are written once, against [`Arithmetic`], and evaluated by
//!
//! - [`Native`]`<F>`: the prover, on the quotient's domain;
//! - [`Native`]`<Ext>`: the native verifier, at the point zeta;
//! - [`InCircuit`]: a recursive verifier;
//! - `Degrees` (tests): the degree of every constraint, by calculation;
//! - the generator of the contract: an implementation that writes Yul instead of calculating.
//!
//! So the places cannot disagree about a gate. The quintic operations have default implementations in terms of the others; an
//! implementation may override them (one Yul function for a product instead of 25 multiplications), with the same meaning.

use core::marker::PhantomData;

use plonky2::field::types::Field;
use plonky2::iop::ext_target::ExtensionTarget;
use protocol::ecgfp5::AffinePoint;

use crate::config::{Builder, D, F};

/// Operations that gate formulas are made of. Constants are canonical elements of the base field.
pub trait Arithmetic {
    /// A value: something that stands for an element of the base field's extension.
    type Value: Copy;

    /// The constant `value`.
    fn constant(&mut self, value: F) -> Self::Value;
    /// a + b.
    fn add(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    /// a - b.
    fn sub(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    /// a b.
    fn mul(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    /// factor a, for a constant factor.
    fn scale(&mut self, factor: F, a: Self::Value) -> Self::Value;

    /// The product in GF(p^5) = F\[z\] / (z^5 - 3), coefficients by rising powers of z:
    /// c_k = sum over i + j = k of a_i b_j + 3 sum over i + j = k + 5 of a_i b_j.
    fn quintic_mul(
        &mut self,
        a: &Quintic<Self::Value>,
        b: &Quintic<Self::Value>,
    ) -> Quintic<Self::Value> {
        core::array::from_fn(|k| {
            let mut sum: Option<Self::Value> = None;
            // The high part first, so that one scaling serves all of it.
            for i in k + 1..5 {
                let product = self.mul(a[i], b[k + 5 - i]);
                sum = Some(sum.map_or(product, |sum| self.add(sum, product)));
            }
            sum = sum.map(|high| self.scale(F::from_canonical_u64(QUINTIC_W), high));
            for i in 0..k {
                let product = self.mul(a[i], b[k - i]);
                sum = Some(sum.map_or(product, |sum| self.add(sum, product)));
            }
            let last = self.mul(a[k], b[0]);
            sum.map_or(last, |sum| self.add(sum, last))
        })
    }

    /// The square in GF(p^5).
    fn quintic_square(&mut self, a: &Quintic<Self::Value>) -> Quintic<Self::Value> {
        self.quintic_mul(a, a)
    }

    /// factor a, by coefficient, for a factor that is a value.
    fn quintic_times(
        &mut self,
        factor: Self::Value,
        a: &Quintic<Self::Value>,
    ) -> Quintic<Self::Value> {
        core::array::from_fn(|k| self.mul(factor, a[k]))
    }

    /// a + b, by coefficient.
    fn quintic_add(
        &mut self,
        a: &Quintic<Self::Value>,
        b: &Quintic<Self::Value>,
    ) -> Quintic<Self::Value> {
        core::array::from_fn(|k| self.add(a[k], b[k]))
    }

    /// a - b, by coefficient.
    fn quintic_sub(
        &mut self,
        a: &Quintic<Self::Value>,
        b: &Quintic<Self::Value>,
    ) -> Quintic<Self::Value> {
        core::array::from_fn(|k| self.sub(a[k], b[k]))
    }

    /// factor a, by coefficient.
    fn quintic_scale(&mut self, factor: F, a: &Quintic<Self::Value>) -> Quintic<Self::Value> {
        core::array::from_fn(|k| self.scale(factor, a[k]))
    }

    /// A constant of GF(p^5).
    fn quintic_constant(&mut self, value: [F; 5]) -> Quintic<Self::Value> {
        value.map(|coefficient| self.constant(coefficient))
    }
}

/// An element of GF(p^5), lowest power of z first.
pub type Quintic<V> = [V; 5];

/// A point: x and y.
pub type PointOf<V> = (Quintic<V>, Quintic<V>);

/// z^5 in GF(p^5).
pub const QUINTIC_W: u64 = 3;

/// The curve is y^2 = x (x^2 + A x + b), b = `B1` z.
pub const CURVE_A: u64 = 2;

/// The coefficient of z in b.
pub const CURVE_B1: u64 = 263;

/// The coordinates of a constant point.
pub(crate) fn constant_point<A: Arithmetic>(on: &mut A, point: &AffinePoint) -> PointOf<A::Value> {
    let (x, y) = point.coordinates();
    (on.quintic_constant(x), on.quintic_constant(y))
}

/// The five wires from `start` on.
pub(crate) fn quintic_at<V: Copy>(wires: &[V], start: usize) -> Quintic<V> {
    core::array::from_fn(|k| wires[start + k])
}

/// The ten wires from `start` on: x, then y.
pub(crate) fn point_at<V: Copy>(wires: &[V], start: usize) -> PointOf<V> {
    (quintic_at(wires, start), quintic_at(wires, start + 5))
}

/// A chord or tangent, as far as constraints go: slope (x2 - x1) = y2 - y1, or slope 2 y1 = 3 x1^2 + 2 A x1 + b.
///
/// x_sum is what slope^2 - A must exceed the third x by: x3 = slope^2 - A - x_sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<V> {
    /// Five terms that must be zero for `slope` to be the line's slope.
    pub(crate) residue: Quintic<V>,
    /// x1 + x2.
    pub(crate) x_sum: Quintic<V>,
    /// x2 - x1 for a chord, and 2 y1 for a tangent.
    pub(crate) denominator: Quintic<V>,
}

/// The line through two points with different x.
pub(crate) fn chord<A: Arithmetic>(
    on: &mut A,
    slope: &Quintic<A::Value>,
    first: &PointOf<A::Value>,
    second: &PointOf<A::Value>,
) -> Line<A::Value> {
    let denominator = on.quintic_sub(&second.0, &first.0);
    let numerator = on.quintic_sub(&second.1, &first.1);
    let product = on.quintic_mul(slope, &denominator);
    Line {
        residue: on.quintic_sub(&product, &numerator),
        x_sum: on.quintic_add(&first.0, &second.0),
        denominator,
    }
}

/// The tangent at a point.
pub(crate) fn tangent<A: Arithmetic>(
    on: &mut A,
    slope: &Quintic<A::Value>,
    point: &PointOf<A::Value>,
) -> Line<A::Value> {
    let denominator = on.quintic_add(&point.1, &point.1);
    let product = on.quintic_mul(slope, &denominator);
    let square = on.quintic_square(&point.0);
    let numerator = {
        let cubic = on.quintic_scale(F::from_canonical_u64(3), &square);
        let linear = on.quintic_scale(F::from_canonical_u64(2 * CURVE_A), &point.0);
        let sum = on.quintic_add(&cubic, &linear);
        plus_b(on, &sum)
    };
    Line {
        residue: on.quintic_sub(&product, &numerator),
        x_sum: on.quintic_add(&point.0, &point.0),
        denominator,
    }
}

/// a + b, where b is the curve's constant.
pub(crate) fn plus_b<A: Arithmetic>(on: &mut A, a: &Quintic<A::Value>) -> Quintic<A::Value> {
    let b1 = on.constant(F::from_canonical_u64(CURVE_B1));
    let mut sum = *a;
    sum[1] = on.add(a[1], b1);
    sum
}

/// x3 = slope^2 - A - x_sum.
pub(crate) fn third_x<A: Arithmetic>(
    on: &mut A,
    slope: &Quintic<A::Value>,
    x_sum: &Quintic<A::Value>,
) -> Quintic<A::Value> {
    let square = on.quintic_square(slope);
    let mut x = on.quintic_sub(&square, x_sum);
    let a = on.constant(F::from_canonical_u64(CURVE_A));
    x[0] = on.sub(x[0], a);
    x
}

/// y3 = slope (x1 - x3) - y1.
pub(crate) fn third_y<A: Arithmetic>(
    on: &mut A,
    slope: &Quintic<A::Value>,
    first: &PointOf<A::Value>,
    x: &Quintic<A::Value>,
) -> Quintic<A::Value> {
    let run = on.quintic_sub(&first.0, x);
    let rise = on.quintic_mul(slope, &run);
    on.quintic_sub(&rise, &first.1)
}

/// Evaluation in a field: the base field or its extension.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native<K>(PhantomData<K>);

impl<K: Field + From<F>> Arithmetic for Native<K> {
    type Value = K;

    fn constant(&mut self, value: F) -> K {
        K::from(value)
    }

    fn add(&mut self, a: K, b: K) -> K {
        a + b
    }

    fn sub(&mut self, a: K, b: K) -> K {
        a - b
    }

    fn mul(&mut self, a: K, b: K) -> K {
        a * b
    }

    fn scale(&mut self, factor: F, a: K) -> K {
        K::from(factor) * a
    }
}

/// Evaluation inside a circuit, for a recursive verifier.
#[derive(Debug)]
pub struct InCircuit<'a>(pub &'a mut Builder);

impl Arithmetic for InCircuit<'_> {
    type Value = ExtensionTarget<D>;

    fn constant(&mut self, value: F) -> Self::Value {
        self.0.constant_extension(value.into())
    }

    fn add(&mut self, a: Self::Value, b: Self::Value) -> Self::Value {
        self.0.add_extension(a, b)
    }

    fn sub(&mut self, a: Self::Value, b: Self::Value) -> Self::Value {
        self.0.sub_extension(a, b)
    }

    fn mul(&mut self, a: Self::Value, b: Self::Value) -> Self::Value {
        self.0.mul_extension(a, b)
    }

    fn scale(&mut self, factor: F, a: Self::Value) -> Self::Value {
        self.0.mul_const_extension(factor, a)
    }
}
