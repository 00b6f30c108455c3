//! The endpoint gate: what surrounds the forty windows of one signature, in one row.
//!
//! It checks the key and makes its table, and turns the last accumulator into the commitment R:
//!
//! ```text
//! w --> x = t^2, w^2 x = x^2 + 2 x + b, y = w x     (so (x, y) is on the curve and of order n)
//! key[0] = U (constant)    key[d + 1] = key[d] + (x, y)
//! R = acc + correction (constant)     w_R = y_R / x_R
//! w differs from the other key's w
//! ```
//!
//! # Wires
//! | wires | what |
//! |---|---|
//! | 0..5 | w: the key's encoding |
//! | 5..10 | w': the other party's key |
//! | 10..40 | key\[1\], key\[2\], key\[3\]: x (5), y (5) each |
//! | 40..50 | acc: x, y of the last window's P8 |
//! | 50..55 | w_R: the encoding of R |
//! | 55..60 | d: five elements with sum of (w_k - w'_k) d_k = 1 |
//! | 60..65 | x of the key |
//! | 65..70 | t, a square root of x |
//! | 70..85 | slopes of the three table additions |
//! | 85..90 | slope of the last addition |
//! | 90..95 | x of R |
//! | 95..100 | inverse of (x - x of key\[0\])(x - x of key\[1\]) |
//! | 100..105 | inverse of (x - x of key\[2\])(x of correction - x of acc) |
//!
//! # Constraints, in order
//! | constraints | each is zero |
//! |---|---|
//! | 1 | sum of (w_k - w'_k) d_k - 1: the keys differ |
//! | 2 to 6 | t^2 - x |
//! | 7 to 11 | w^2 x - (x^2 + 2 x + b); it excludes x = 0, since b is not zero |
//! | 12 to 56 | for d = 0, 1, 2, with the chord from key\[d\] to (x, y): slope denominator - numerator (5); x3 - wire (5); y3 - wire (5) |
//! | 57 to 61 | the last chord, from acc to correction: slope denominator - numerator |
//! | 62 to 66 | its third x - wire |
//! | 67 to 71 | w_R x_R - y_R, where y_R is the expression slope (x_acc - x_R) - y_acc |
//! | 72 to 76, 77 to 81 | inverse (product of both denominators) - 1 |
//!
//! **Invariant:** R is not the neutral element and the last addition no doubling: its denominator is invertible.

use plonky2::field::extension::quintic::QuinticExtension;
use plonky2::field::extension::{FieldExtension, Frobenius};
use plonky2::field::types::{Field, Field64, PrimeField};
use protocol::ecgfp5::AffinePoint;
use protocol::ecgfp5::chain;

use super::arithmetic::{
    Arithmetic, CURVE_A, Native, PointOf, Quintic, chord, constant_point, plus_b, point_at,
    quintic_at, third_x, third_y,
};
use super::formula::{Formula, NoSuchRow, Row, Stage};
use super::window::chord_slope;
use crate::config::F;

/// Wires 0..5: the key's encoding w.
pub const WIRES_KEY: usize = 0;
/// Wires 5..10: the other party's key.
pub const WIRES_OTHER_KEY: usize = 5;
/// Wires 10..40: key\[1\], key\[2\], key\[3\].
pub const WIRES_TABLE: usize = 10;
/// Wires 40..50: the accumulator after the last window.
pub const WIRES_ACCUMULATOR: usize = 40;
/// Wires 50..55: the encoding of R.
pub const WIRES_COMMITMENT: usize = 50;

const WIRES_DIFFERENCE: usize = 55;
const WIRES_X: usize = 60;
const WIRES_ROOT: usize = 65;
const WIRES_TABLE_SLOPES: usize = 70;
const WIRES_LAST_SLOPE: usize = 85;
const WIRES_COMMITMENT_X: usize = 90;
const WIRES_INVERSES: usize = 95;
const WIRES_END: usize = 105;

/// Additions that make the key's table.
const TABLE_STEPS: usize = 3;

/// The beginning and the end of one signature's chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoint;

impl Formula for Endpoint {
    const NAME: &'static str = "EndpointGate";
    const WIRES: usize = WIRES_END;
    const CONSTANTS: usize = 0;
    const DEGREE: usize = 3;
    const CONSTRAINTS: usize = 1 + 10 + 15 * TABLE_STEPS + 15 + 10;

    fn constraints<A: Arithmetic>(
        on: &mut A,
        wires: &[A::Value],
        _constants: &[A::Value],
    ) -> Vec<A::Value> {
        let mut out = Vec::with_capacity(Self::CONSTRAINTS);
        let one = on.constant(F::ONE);
        let w: Quintic<A::Value> = quintic_at(wires, WIRES_KEY);
        let x = quintic_at(wires, WIRES_X);

        let apart = on.quintic_sub(&w, &quintic_at(wires, WIRES_OTHER_KEY));
        let mut sum = on.mul(apart[0], wires[WIRES_DIFFERENCE]);
        for k in 1..5 {
            let product = on.mul(apart[k], wires[WIRES_DIFFERENCE + k]);
            sum = on.add(sum, product);
        }
        out.push(on.sub(sum, one));

        let square = on.quintic_square(&quintic_at(wires, WIRES_ROOT));
        out.extend(on.quintic_sub(&square, &x));

        let y = on.quintic_mul(&w, &x);
        let left = on.quintic_mul(&w, &y);
        let right = {
            let square = on.quintic_square(&x);
            let linear = on.quintic_scale(F::from_canonical_u64(CURVE_A), &x);
            let sum = on.quintic_add(&square, &linear);
            plus_b(on, &sum)
        };
        out.extend(on.quintic_sub(&left, &right));

        let mut denominators = Vec::with_capacity(4);
        let mut entry = constant_point(on, &chain::constants().table_offset);
        for step in 0..TABLE_STEPS {
            let slope = quintic_at(wires, WIRES_TABLE_SLOPES + 5 * step);
            let next = point_at(wires, WIRES_TABLE + 10 * step);
            let line = chord(on, &slope, &entry, &(x, y));
            out.extend(line.residue);
            denominators.push(line.denominator);
            let third = third_x(on, &slope, &line.x_sum);
            out.extend(on.quintic_sub(&third, &next.0));
            let third = third_y(on, &slope, &entry, &next.0);
            out.extend(on.quintic_sub(&third, &next.1));
            entry = next;
        }

        let slope = quintic_at(wires, WIRES_LAST_SLOPE);
        let accumulator: PointOf<A::Value> = point_at(wires, WIRES_ACCUMULATOR);
        let correction = constant_point(on, &chain::constants().correction);
        let line = chord(on, &slope, &accumulator, &correction);
        out.extend(line.residue);
        denominators.push(line.denominator);
        let x = quintic_at(wires, WIRES_COMMITMENT_X);
        let third = third_x(on, &slope, &line.x_sum);
        out.extend(on.quintic_sub(&third, &x));
        let y = third_y(on, &slope, &accumulator, &x);
        let product = on.quintic_mul(&quintic_at(wires, WIRES_COMMITMENT), &x);
        out.extend(on.quintic_sub(&product, &y));

        for (index, pair) in denominators.chunks_exact(2).enumerate() {
            let product = on.quintic_mul(&pair[0], &pair[1]);
            let mut unit = on.quintic_mul(&quintic_at(wires, WIRES_INVERSES + 5 * index), &product);
            unit[0] = on.sub(unit[0], one);
            out.extend(unit);
        }
        out
    }

    /// The table comes first: the windows need it, and the accumulator comes out of them.
    fn stages() -> Vec<Stage> {
        let begin = Stage {
            inputs: (WIRES_KEY..WIRES_KEY + 10).collect(),
            outputs: (WIRES_TABLE..WIRES_TABLE + 30)
                .chain(WIRES_DIFFERENCE..WIRES_LAST_SLOPE)
                .chain(WIRES_INVERSES..WIRES_INVERSES + 5)
                .collect(),
            complete: begin,
        };
        let end = Stage {
            inputs: (WIRES_TABLE..WIRES_TABLE + 30)
                .chain(WIRES_ACCUMULATOR..WIRES_ACCUMULATOR + 10)
                .chain(WIRES_X..WIRES_X + 5)
                .collect(),
            outputs: (WIRES_COMMITMENT..WIRES_COMMITMENT + 5)
                .chain(WIRES_LAST_SLOPE..WIRES_INVERSES)
                .chain(WIRES_INVERSES + 5..WIRES_END)
                .collect(),
            complete: end,
        };
        vec![begin, end]
    }
}

const REFUSED: NoSuchRow = NoSuchRow { gate: Endpoint::NAME };

/// From both keys: the check of the key, and its table. A key that is no point of order n has no row.
fn begin(row: &mut Row) -> Result<(), NoSuchRow> {
    let (x, _) =
        AffinePoint::decode(&quintic_at(&row.wires, WIRES_KEY)).ok_or(REFUSED)?.coordinates();
    begin_with(row, &x, &square_root(&x).ok_or(REFUSED)?)
}

/// Like [`begin`], for a key with this x and root, whatever they are.
pub(crate) fn begin_with(
    row: &mut Row,
    x: &Quintic<F>,
    root: &Quintic<F>,
) -> Result<(), NoSuchRow> {
    let w: Quintic<F> = quintic_at(&row.wires, WIRES_KEY);
    let other: Quintic<F> = quintic_at(&row.wires, WIRES_OTHER_KEY);
    let k = (0..5).find(|k| w[*k] != other[*k]).ok_or(REFUSED)?;
    row.wires[WIRES_DIFFERENCE + k] = (w[k] - other[k]).inverse();

    let (x, y) = (*x, (QuinticExtension(w) * QuinticExtension(*x)).0);
    row.set(WIRES_X, &x);
    row.set(WIRES_ROOT, root);

    let mut denominators = [[F::ZERO; 5]; TABLE_STEPS];
    let mut entry = chain::constants().table_offset.coordinates();
    for (step, found) in denominators.iter_mut().enumerate() {
        let (slope, denominator) = chord_slope(&entry, &(x, y));
        let slope = slope.ok_or(REFUSED)?;
        row.set(WIRES_TABLE_SLOPES + 5 * step, &slope);
        *found = denominator;
        entry = third(&slope, &entry, &x);
        row.set(WIRES_TABLE + 10 * step, &entry.0);
        row.set(WIRES_TABLE + 10 * step + 5, &entry.1);
    }
    row.set(WIRES_INVERSES, &inverse_of_product(&denominators[0], &denominators[1])?);
    Ok(())
}

/// From the accumulator: R. There is no row if R is neutral.
fn end(row: &mut Row) -> Result<(), NoSuchRow> {
    let accumulator = point_at(&row.wires, WIRES_ACCUMULATOR);
    let correction = chain::constants().correction.coordinates();
    let (slope, denominator) = chord_slope(&accumulator, &correction);
    let slope = slope.ok_or(REFUSED)?;
    row.set(WIRES_LAST_SLOPE, &slope);
    let (x, y) = third(&slope, &accumulator, &correction.0);
    row.set(WIRES_COMMITMENT_X, &x);
    let inverse = QuinticExtension(x).try_inverse().ok_or(REFUSED)?;
    row.set(WIRES_COMMITMENT, &(QuinticExtension(y) * inverse).0);
    let of_table = {
        let key: Quintic<F> = quintic_at(&row.wires, WIRES_X);
        let entry = quintic_at(&row.wires, WIRES_TABLE + 10);
        Native::<F>::default().quintic_sub(&key, &entry)
    };
    row.set(WIRES_INVERSES + 5, &inverse_of_product(&of_table, &denominator)?);
    Ok(())
}

fn inverse_of_product(a: &Quintic<F>, b: &Quintic<F>) -> Result<Quintic<F>, NoSuchRow> {
    (QuinticExtension(*a) * QuinticExtension(*b))
        .try_inverse()
        .map(|inverse| inverse.0)
        .ok_or(REFUSED)
}

/// The third point of the chord with this slope, mirrored: the sum.
fn third(slope: &Quintic<F>, first: &PointOf<F>, second_x: &Quintic<F>) -> PointOf<F> {
    let on = &mut Native::<F>::default();
    let x_sum = on.quintic_add(&first.0, second_x);
    let x = third_x(on, slope, &x_sum);
    (x, third_y(on, slope, first, &x))
}

/// A square root in GF(p^5), if there is one.
///
/// With r = 1 + p + .. + p^4, which is odd, a^r is in the base field and a = (a^r) / a^(r - 1); r - 1 is even, so
/// a root is root(a^r) / a^((r - 1) / 2), and (r - 1) / 2 = p (p + 1) / 2 + p^3 (p + 1) / 2.
fn square_root(a: &Quintic<F>) -> Option<Quintic<F>> {
    let a = QuinticExtension(*a);
    let half = {
        // a^((p + 1) / 2)
        let mut power = QuinticExtension::<F>::ONE;
        let exponent = F::ORDER.div_ceil(2);
        for bit in (0..64).rev() {
            power = power * power;
            if exponent >> bit & 1 == 1 {
                power *= a;
            }
        }
        power
    };
    let low = half.frobenius();
    let denominator = low * low.repeated_frobenius(2);
    let norm = denominator * denominator * a;
    let root = FieldExtension::<5>::to_basefield_array(&norm)[0].sqrt()?;
    let candidate = QuinticExtension::from(root) * denominator.try_inverse()?;
    (candidate * candidate == a).then_some(candidate.0)
}

#[cfg(test)]
mod tests;
