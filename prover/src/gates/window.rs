//! The window gate: one window of the acceptance chain, in one row.
//!
//! From `acc` the row calculates, with the points of the tables described below,
//!
//! ```text
//! P0 = acc   P1 = 2 P0   P2 = 2 P1   P3 = P2 + key[e_high]   P4 = 2 P3   P5 = 2 P4   P6 = P5 + key[e_low]
//! P7 = P6 + low[s_low]   P8 = P7 + high[s_high]
//! ```
//!
//! where `key[d] = U + d PK` for a two-bit digit (U constant, the other three routed in), `low[d] = U + d G` and
//! `high[d] = U + d 2^160 G` for four-bit digits (constants of this file's formula). The digits come in and go out as running
//! sums, 16 out of one row into the next, so that whoever looks at a sum sees the digits as an integer.
//!
//! # Wires
//! | wires | what |
//! |---|---|
//! | 0..10 | P0: x (5), y (5) |
//! | 10..20 | P8: x, y |
//! | 20..50 | key\[1\], key\[2\], key\[3\]: x, y each |
//! | 50, 51 | e: the sum before and after this row's digit, after = 16 before + 4 e_high + e_low |
//! | 52, 53 | s low half: before, after = 16 before + s_low |
//! | 54, 55 | s high half: before, after = 16 before + s_high |
//! | 56..59 | bits 1, 2, 3 of e's nibble (bit 0 is what the sum leaves over) |
//! | 59..62 | bits 1, 2, 3 of s_low |
//! | 62, 63 | bit 0 bit 1, bit 2 bit 3 of s_low |
//! | 64..67 | bits 1, 2, 3 of s_high |
//! | 67, 68 | bit 0 bit 1, bit 2 bit 3 of s_high |
//! | 69..109 | slopes 1 to 8 (5 each): of the line that makes P1, .., P8 |
//! | 109..124 | x of P2, P4, P6 (5 each) |
//! | 124..129 | inverse of (x of key\[e_high\] - x of P2)(x of key\[e_low\] - x of P5) |
//! | 129..134 | inverse of (x of low\[s_low\] - x of P6)(x of high\[s_high\] - x of P7) |
//!
//! x of P1, P3, P5, P7 and all y are expressions: x_k = slope_k^2 - 2 - (sum of both operands' x), y_k = slope_k (x_(k-1) - x_k) - y_(k-1).
//! Bit 0 of a nibble is after - 16 before - 2 bit1 - 4 bit2 - 8 bit3. e_low has bits 0 and 1 of e's nibble, e_high bits 2 and 3.
//!
//! # Constraints, in order
//! | constraints | each is zero |
//! |---|---|
//! | 1 to 4 | b (b - 1) for e's bits 0 to 3 |
//! | 5 to 8, then 9 and 10 | b (b - 1) for s_low's bits 0 to 3; product - bit bit for its two products |
//! | 11 to 14, then 15 and 16 | the same for s_high |
//! | 17 to 76 | for k = 1 to 8: slope_k denominator - numerator (5 constraints); and for k = 2, 4, 6, 8 then expression - wire for the x of P_k (5) |
//! | 77 to 81 | expression - wire for the y of P8 |
//! | 82 to 86, 87 to 91 | inverse (product of both denominators) - 1 |
//!
//! **Invariant:** every addition's denominator is invertible, so no slope is free. A doubling needs no such check: 2 y is zero
//! only for the point of order two, and every point here has odd order.

use plonky2::field::extension::quintic::QuinticExtension;
use plonky2::field::types::{Field, PrimeField64};
use protocol::ecgfp5::AffinePoint;
use protocol::ecgfp5::chain;

use super::arithmetic::{
    Arithmetic, Line, Native, PointOf, Quintic, chord, constant_point, point_at, quintic_at,
    tangent, third_x, third_y,
};
use super::formula::{Formula, NoSuchRow, Row, Stage};
use crate::config::F;

/// Wires 0..10: the accumulator before.
pub const WIRES_IN: usize = 0;
/// Wires 10..20: the accumulator after.
pub const WIRES_OUT: usize = 10;
/// Wires 20..50: key\[1\], key\[2\], key\[3\].
pub const WIRES_KEY: usize = 20;
/// Wires 50 and 51: e's running sum, before and after.
pub const WIRES_CHALLENGE: usize = 50;
/// Wires 52 and 53: the running sum of the low half of s, before and after.
pub const WIRES_LOW: usize = 52;
/// Wires 54 and 55: the running sum of the high half of s, before and after.
pub const WIRES_HIGH: usize = 54;

const WIRES_CHALLENGE_BITS: usize = 56;
const WIRES_LOW_BITS: usize = 59;
const WIRES_HIGH_BITS: usize = 64;
const WIRES_SLOPES: usize = 69;
const WIRES_X: usize = 109;
const WIRES_INVERSES: usize = 124;
const WIRES_END: usize = 134;

/// The eight steps of a window.
const STEPS: usize = 8;

/// One window of the acceptance chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window;

/// A nibble's bits and the products that four-bit tables need.
struct Nibble<V> {
    bits: [V; 4],
    products: [V; 2],
}

/// The bits of the nibble between two running sums; bit 0 is an expression.
fn bits<A: Arithmetic>(on: &mut A, wires: &[A::Value], sums: usize, rest: usize) -> [A::Value; 4] {
    let shifted = on.scale(F::from_canonical_u64(16), wires[sums]);
    let mut bit0 = on.sub(wires[sums + 1], shifted);
    for k in 0..3 {
        let part = on.scale(F::from_canonical_u64(2 << k), wires[rest + k]);
        bit0 = on.sub(bit0, part);
    }
    [bit0, wires[rest], wires[rest + 1], wires[rest + 2]]
}

fn constrain_bits<A: Arithmetic>(on: &mut A, bits: &[A::Value; 4], out: &mut Vec<A::Value>) {
    let one = on.constant(F::ONE);
    for bit in bits {
        let less = on.sub(*bit, one);
        out.push(on.mul(*bit, less));
    }
}

fn nibble<A: Arithmetic>(
    on: &mut A,
    wires: &[A::Value],
    sums: usize,
    rest: usize,
    out: &mut Vec<A::Value>,
) -> Nibble<A::Value> {
    let bits = bits(on, wires, sums, rest);
    constrain_bits(on, &bits, out);
    let products = [wires[rest + 3], wires[rest + 4]];
    for (product, pair) in products.iter().zip(bits.chunks_exact(2)) {
        let expected = on.mul(pair[0], pair[1]);
        out.push(on.sub(*product, expected));
    }
    Nibble { bits, products }
}

/// key\[2 high + low\] for bits: U + low (key1 - U) + high (key2 - U) + high low (key3 - key2 - key1 + U).
fn select_key<A: Arithmetic>(
    on: &mut A,
    table: &[PointOf<A::Value>; 4],
    low: A::Value,
    high: A::Value,
) -> PointOf<A::Value> {
    let both = on.mul(low, high);
    let mut select = |entries: [Quintic<A::Value>; 4]| {
        let [zero, one, two, three] = entries;
        let from_zero_to_one = on.quintic_sub(&one, &zero);
        let from_zero_to_two = on.quintic_sub(&two, &zero);
        let from_two_to_three = on.quintic_sub(&three, &two);
        let rest = on.quintic_sub(&from_two_to_three, &from_zero_to_one);
        let mut sum = zero;
        for (factor, term) in [(low, from_zero_to_one), (high, from_zero_to_two), (both, rest)] {
            let product = on.quintic_times(factor, &term);
            sum = on.quintic_add(&sum, &product);
        }
        sum
    };
    let x = select(table.map(|entry| entry.0));
    let y = select(table.map(|entry| entry.1));
    (x, y)
}

/// The coefficients of a table's multilinear polynomial: entry d is the sum of the coefficients whose index is a subset of d.
#[must_use]
pub fn multilinear(table: &[AffinePoint; chain::TABLE_LEN]) -> [[F; 10]; chain::TABLE_LEN] {
    let mut coefficients = table.map(|point| {
        let (x, y) = point.coordinates();
        core::array::from_fn(|k| if k < 5 { x[k] } else { y[k - 5] })
    });
    for bit in 0..4 {
        for entry in 0..chain::TABLE_LEN {
            if entry >> bit & 1 == 1 {
                let below = coefficients[entry ^ (1 << bit)];
                coefficients[entry]
                    .iter_mut()
                    .zip(below)
                    .for_each(|(above, below)| *above -= below);
            }
        }
    }
    coefficients
}

/// The entry of a constant table for a nibble: sum over subsets m of {0, 1, 2, 3} of coefficient\[m\] times the bits in m.
fn select_constant<A: Arithmetic>(
    on: &mut A,
    table: &[AffinePoint; chain::TABLE_LEN],
    nibble: &Nibble<A::Value>,
) -> PointOf<A::Value> {
    let [bit0, bit1, bit2, bit3] = nibble.bits;
    let [product01, product23] = nibble.products;
    let coefficients = multilinear(table);
    // monomials[m] for m = 1 to 15; the empty product is the constant term.
    let low = [bit0, bit1, product01];
    let high = [bit2, bit3, product23];
    let mut monomials = Vec::with_capacity(chain::TABLE_LEN - 1);
    monomials.extend(low);
    for h in high {
        monomials.push(h);
        monomials.extend(low.map(|l| on.mul(l, h)));
    }
    let mut coordinate = |k: usize| {
        let mut sum = on.constant(coefficients[0][k]);
        for (coefficient, monomial) in coefficients[1..].iter().zip(&monomials) {
            let term = on.scale(coefficient[k], *monomial);
            sum = on.add(sum, term);
        }
        sum
    };
    (core::array::from_fn(&mut coordinate), core::array::from_fn(|k| coordinate(5 + k)))
}

/// What step k adds: nothing (a doubling), or the point at this index of the addends.
const ADDENDS: [Option<usize>; STEPS] =
    [None, None, Some(0), None, None, Some(1), Some(2), Some(3)];

/// Where P_k's x is a wire, for k = 1 to 8.
const X_WIRES: [Option<usize>; STEPS] =
    [None, Some(WIRES_X), None, Some(WIRES_X + 5), None, Some(WIRES_X + 10), None, Some(WIRES_OUT)];

fn addends<A: Arithmetic>(
    on: &mut A,
    wires: &[A::Value],
    out: &mut Vec<A::Value>,
) -> [PointOf<A::Value>; 4] {
    let constants = chain::constants();
    let challenge = bits(on, wires, WIRES_CHALLENGE, WIRES_CHALLENGE_BITS);
    constrain_bits(on, &challenge, out);
    let low = nibble(on, wires, WIRES_LOW, WIRES_LOW_BITS, out);
    let high = nibble(on, wires, WIRES_HIGH, WIRES_HIGH_BITS, out);
    let key = [
        constant_point(on, &constants.table_offset),
        point_at(wires, WIRES_KEY),
        point_at(wires, WIRES_KEY + 10),
        point_at(wires, WIRES_KEY + 20),
    ];
    [
        select_key(on, &key, challenge[2], challenge[3]),
        select_key(on, &key, challenge[0], challenge[1]),
        select_constant(on, &constants.low, &low),
        select_constant(on, &constants.high, &high),
    ]
}

impl Formula for Window {
    const NAME: &'static str = "WindowGate";
    const WIRES: usize = WIRES_END;
    const CONSTANTS: usize = 0;
    const DEGREE: usize = 7;
    const CONSTRAINTS: usize = 16 + 5 * (STEPS + 4) + 5 + 10;

    fn constraints<A: Arithmetic>(
        on: &mut A,
        wires: &[A::Value],
        _constants: &[A::Value],
    ) -> Vec<A::Value> {
        let mut out = Vec::with_capacity(Self::CONSTRAINTS);
        let addends = addends(on, wires, &mut out);
        let mut point = point_at(wires, WIRES_IN);
        let mut denominators = Vec::with_capacity(4);
        for step in 0..STEPS {
            let slope = quintic_at(wires, WIRES_SLOPES + 5 * step);
            let line: Line<A::Value> = if let Some(addend) = ADDENDS[step] {
                let line = chord(on, &slope, &point, &addends[addend]);
                denominators.push(line.denominator);
                line
            } else {
                tangent(on, &slope, &point)
            };
            out.extend(line.residue);
            let mut x = third_x(on, &slope, &line.x_sum);
            if let Some(start) = X_WIRES[step] {
                let wire = quintic_at(wires, start);
                out.extend(on.quintic_sub(&x, &wire));
                x = wire;
            }
            point = (x, third_y(on, &slope, &point, &x));
        }
        out.extend(on.quintic_sub(&point.1, &quintic_at(wires, WIRES_OUT + 5)));
        for (index, pair) in denominators.chunks_exact(2).enumerate() {
            let product = on.quintic_mul(&pair[0], &pair[1]);
            let mut one = on.quintic_mul(&quintic_at(wires, WIRES_INVERSES + 5 * index), &product);
            let unit = on.constant(F::ONE);
            one[0] = on.sub(one[0], unit);
            out.extend(one);
        }
        out
    }

    fn stages() -> Vec<Stage> {
        vec![Stage {
            inputs: (WIRES_IN..WIRES_IN + 10).chain(WIRES_KEY..WIRES_CHALLENGE_BITS).collect(),
            outputs: (WIRES_OUT..WIRES_OUT + 10).chain(WIRES_CHALLENGE_BITS..WIRES_END).collect(),
            complete,
        }]
    }
}

/// All wires but those that are routed in.
fn complete(row: &mut Row) -> Result<(), NoSuchRow> {
    for (sums, rest, products) in [
        (WIRES_CHALLENGE, WIRES_CHALLENGE_BITS, false),
        (WIRES_LOW, WIRES_LOW_BITS, true),
        (WIRES_HIGH, WIRES_HIGH_BITS, true),
    ] {
        let nibble = row.wires[sums + 1] - F::from_canonical_u64(16) * row.wires[sums];
        let bit: [F; 4] =
            core::array::from_fn(|k| F::from_canonical_u64(nibble.to_canonical_u64() >> k & 1));
        row.set(rest, &bit[1..]);
        if products {
            row.set(rest + 3, &[bit[0] * bit[1], bit[2] * bit[3]]);
        }
    }
    let on = &mut Native::<F>::default();
    let addends = addends(on, &row.wires, &mut Vec::new());
    let mut point = point_at(&row.wires, WIRES_IN);
    let mut denominators = Vec::with_capacity(4);
    for step in 0..STEPS {
        let slope = match ADDENDS[step] {
            Some(addend) => {
                let (slope, denominator) = chord_slope(&point, &addends[addend]);
                denominators.push(denominator);
                slope
            }
            None => tangent_slope(&point),
        };
        let slope = slope.ok_or(NoSuchRow { gate: Window::NAME })?;
        row.set(WIRES_SLOPES + 5 * step, &slope);
        let x_sum = match ADDENDS[step] {
            Some(addend) => on.quintic_add(&point.0, &addends[addend].0),
            None => on.quintic_add(&point.0, &point.0),
        };
        let x = third_x(on, &slope, &x_sum);
        if let Some(start) = X_WIRES[step] {
            row.set(start, &x);
        }
        point = (x, third_y(on, &slope, &point, &x));
    }
    row.set(WIRES_OUT + 5, &point.1);
    for (index, pair) in denominators.chunks_exact(2).enumerate() {
        let product = QuinticExtension(pair[0]) * QuinticExtension(pair[1]);
        let inverse = product.try_inverse().ok_or(NoSuchRow { gate: Window::NAME })?;
        row.set(WIRES_INVERSES + 5 * index, &inverse.0);
    }
    Ok(())
}

/// The slope of the chord, if there is one, and its denominator x2 - x1.
pub(crate) fn chord_slope(
    first: &PointOf<F>,
    second: &PointOf<F>,
) -> (Option<Quintic<F>>, Quintic<F>) {
    let run = QuinticExtension(second.0) - QuinticExtension(first.0);
    let rise = QuinticExtension(second.1) - QuinticExtension(first.1);
    (run.try_inverse().map(|inverse| (rise * inverse).0), run.0)
}

/// The slope of the tangent, if it is not vertical.
fn tangent_slope(point: &PointOf<F>) -> Option<Quintic<F>> {
    let on = &mut Native::<F>::default();
    // With slope zero the residue is minus the numerator.
    let line = tangent(on, &[F::ZERO; 5], point);
    let inverse = QuinticExtension(line.denominator).try_inverse()?;
    Some((-QuinticExtension(line.residue) * inverse).0)
}

#[cfg(test)]
mod tests;
