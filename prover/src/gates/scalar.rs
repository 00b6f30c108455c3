//! The scalar gate: the integers of one signature, in one row.
//!
//! s < n and s is not zero; the challenge's bits are the canonical ones of two elements that are not both zero. s comes as
//! six limbs in mixed radix, s = s_0 + 2^56 s_1 + 2^112 s_2 + 2^160 (s_3 + 2^56 s_4 + 2^112 s_5), already known to be at least 0
//! and below their radix (56, 56, 48, 56, 56, 48 bits) because they are running sums of nibbles. The row shows limbs t with
//! s + t = n - 1; whoever uses the gate range-checks t, which makes n - 1 - s no less than zero.
//!
//! # Wires
//! | wires | what |
//! |---|---|
//! | 0..6 | s_0 .. s_5 |
//! | 6..12 | t_0 .. t_5, **to be range-checked** to 56 bits each by the user |
//! | 12, 13 | first challenge element: its high 32 bits; the element |
//! | 14, 15 | second challenge element: likewise |
//! | 16, 17 | constants of the row |
//! | 18..23 | borrows c_1 .. c_5 |
//! | 23 | inverse of s_0 + .. + s_5 |
//! | 24, 25 | for each challenge element, an inverse of 2^32 - 1 - high, if that is not zero |
//! | 26, 27 | a, b with a e_0 + b e_1 = 1 |
//!
//! # Constraints, in order
//! | constraints | each is zero |
//! |---|---|
//! | 1 to 6 | N_i - s_i - c_i + 2^width_i c_(i+1) - t_i, where N_i are the limbs of n - 1 and c_0 = c_6 = 0 |
//! | 7 to 11 | c_i (c_i - 1) |
//! | 12 | (s_0 + .. + s_5) inverse - 1: s is not zero (the sum is below 2^59, so it is zero only if all limbs are) |
//! | 13, 14 | for each element e with high part h: (e - 2^32 h)(1 - (2^32 - 1 - h) inverse). So h = 2^32 - 1 forces the low part to zero, and e's bits are those of an integer below p. |
//! | 15 | a e_0 + b e_1 - 1: not both are zero |
//! | 16, 17 | constant - wire 16, constant - wire 17 |
//!
//! Limbs t of at most 56 bits suffice although two radices are smaller: sum of t_i 2^(position i) = n - 1 - s holds for the
//! integers whatever the borrows are, and a sum of what is not negative is not negative.

use plonky2::field::types::{Field, Field64, PrimeField64};

use super::arithmetic::Arithmetic;
use super::formula::{Formula, NoSuchRow, Row, Stage};
use crate::config::F;

/// Wires 0..6: the limbs of s.
pub const WIRES_S: usize = 0;
/// Wires 6..12: the limbs of n - 1 - s.
pub const WIRES_T: usize = 6;
/// Wires 12..16: high 32 bits and value of both challenge elements.
pub const WIRES_CHALLENGE: usize = 12;
/// Wires 16 and 17: the constants of the row.
pub const WIRES_CONSTANTS: usize = 16;

const WIRES_BORROWS: usize = 18;
const WIRE_S_INVERSE: usize = 23;
const WIRES_HIGH_INVERSES: usize = 24;
const WIRES_NONZERO: usize = 26;
const WIRES_END: usize = 28;

/// Limbs of s.
pub const LIMBS: usize = 6;

/// Bits of each limb of s; also the radix that its borrow has.
pub const LIMB_BITS: [u32; LIMBS] = [56, 56, 48, 56, 56, 48];

/// The limbs of n - 1, where n = 2^319 - .. is the order of the group; a test derives them from the decimal number.
pub const ORDER_MINUS_ONE: [u64; LIMBS] = [
    0xf_d996_948b_ffe0,
    0x5c_39d7_24a0_9ce8,
    0xcfb8_0639_e888,
    0x16_7fff_ffe6,
    0x77f_ffff_f100,
    0x7fff_fffd_8000,
];

/// The largest high half of a canonical element: p = 2^64 - 2^32 + 1, so it comes with a low half of zero only.
const HIGH_MAX: u64 = (1 << 32) - 1;

/// The integers of one signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScalarRange;

impl Formula for ScalarRange {
    const NAME: &'static str = "ScalarRangeGate";
    const WIRES: usize = WIRES_END;
    const CONSTANTS: usize = 2;
    const DEGREE: usize = 3;
    const CONSTRAINTS: usize = LIMBS + (LIMBS - 1) + 1 + 2 + 1 + 2;

    fn constraints<A: Arithmetic>(
        on: &mut A,
        wires: &[A::Value],
        constants: &[A::Value],
    ) -> Vec<A::Value> {
        let mut out = Vec::with_capacity(Self::CONSTRAINTS);
        let one = on.constant(F::ONE);
        let borrows = &wires[WIRES_BORROWS..WIRES_BORROWS + LIMBS - 1];
        for limb in 0..LIMBS {
            let of_order = on.constant(F::from_canonical_u64(ORDER_MINUS_ONE[limb]));
            let mut rest = on.sub(of_order, wires[WIRES_S + limb]);
            if limb > 0 {
                rest = on.sub(rest, borrows[limb - 1]);
            }
            if limb < LIMBS - 1 {
                let lent = on.scale(F::from_canonical_u64(1 << LIMB_BITS[limb]), borrows[limb]);
                rest = on.add(rest, lent);
            }
            out.push(on.sub(rest, wires[WIRES_T + limb]));
        }
        for borrow in borrows {
            let less = on.sub(*borrow, one);
            out.push(on.mul(*borrow, less));
        }
        let mut sum = wires[WIRES_S];
        for limb in 1..LIMBS {
            sum = on.add(sum, wires[WIRES_S + limb]);
        }
        let product = on.mul(sum, wires[WIRE_S_INVERSE]);
        out.push(on.sub(product, one));
        for element in 0..2 {
            let (high, value) =
                (wires[WIRES_CHALLENGE + 2 * element], wires[WIRES_CHALLENGE + 2 * element + 1]);
            let shifted = on.scale(F::from_canonical_u64(1 << 32), high);
            let low = on.sub(value, shifted);
            let largest = on.constant(F::from_canonical_u64(HIGH_MAX));
            let distance = on.sub(largest, high);
            let product = on.mul(distance, wires[WIRES_HIGH_INVERSES + element]);
            let is_largest = on.sub(one, product);
            out.push(on.mul(low, is_largest));
        }
        let first = on.mul(wires[WIRES_NONZERO], wires[WIRES_CHALLENGE + 1]);
        let second = on.mul(wires[WIRES_NONZERO + 1], wires[WIRES_CHALLENGE + 3]);
        let sum = on.add(first, second);
        out.push(on.sub(sum, one));
        for (constant, wire) in Self::constant_wires() {
            out.push(on.sub(constants[constant], wires[wire]));
        }
        out
    }

    fn stages() -> Vec<Stage> {
        vec![Stage {
            inputs: (WIRES_S..WIRES_S + LIMBS)
                .chain(WIRES_CHALLENGE..WIRES_CHALLENGE + 4)
                .collect(),
            outputs: (WIRES_T..WIRES_T + LIMBS).chain(WIRES_BORROWS..WIRES_END).collect(),
            complete,
        }]
    }

    fn constant_wires() -> Vec<(usize, usize)> {
        vec![(0, WIRES_CONSTANTS), (1, WIRES_CONSTANTS + 1)]
    }
}

/// A row with s = 0 or e = 0 has no completion; one with s of n or more gets limbs t that no range check accepts.
fn complete(row: &mut Row) -> Result<(), NoSuchRow> {
    let mut borrow = F::ZERO;
    let mut sum = F::ZERO;
    for limb in 0..LIMBS {
        let s = row.wires[WIRES_S + limb];
        sum += s;
        let rest = F::from_canonical_u64(ORDER_MINUS_ONE[limb]) - s - borrow;
        let negative = rest.to_canonical_u64() > F::ORDER / 2;
        borrow = F::from_bool(negative && limb < LIMBS - 1);
        row.wires[WIRES_T + limb] = rest + borrow * F::from_canonical_u64(1 << LIMB_BITS[limb]);
        if limb < LIMBS - 1 {
            row.wires[WIRES_BORROWS + limb] = borrow;
        }
    }
    row.wires[WIRE_S_INVERSE] = sum.try_inverse().ok_or(NoSuchRow { gate: ScalarRange::NAME })?;
    for element in 0..2 {
        let distance = F::from_canonical_u64(HIGH_MAX) - row.wires[WIRES_CHALLENGE + 2 * element];
        row.wires[WIRES_HIGH_INVERSES + element] = distance.try_inverse().unwrap_or(F::ZERO);
    }
    let challenge = [row.wires[WIRES_CHALLENGE + 1], row.wires[WIRES_CHALLENGE + 3]];
    let element =
        challenge.iter().position(F::is_nonzero).ok_or(NoSuchRow { gate: ScalarRange::NAME })?;
    row.wires[WIRES_NONZERO + element] = challenge[element].inverse();
    Ok(())
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;
    use crate::gates::testing::{
        assert_evaluations_agree, assert_every_wire_is_constrained, assert_shape, completed,
        violated,
    };

    const CONSTANTS: [F; 2] = [F::ZERO; 2];

    fn order() -> BigUint {
        "1067993516717146951041484916571792702745057740581727230159139685185762082554198619328292418486241".parse().unwrap()
    }

    fn limbs(value: &BigUint) -> [u64; LIMBS] {
        let mut rest = value.clone();
        LIMB_BITS.map(|bits| {
            let limb = &rest & ((BigUint::from(1u32) << bits) - 1u32);
            rest >>= bits;
            limb.iter_u64_digits().next().unwrap_or(0)
        })
    }

    fn inputs(s: &BigUint, challenge: [u64; 2]) -> Vec<(usize, F)> {
        let mut inputs: Vec<_> = (WIRES_S..).zip(limbs(s).map(F::from_canonical_u64)).collect();
        for (element, value) in challenge.into_iter().enumerate() {
            inputs.push((WIRES_CHALLENGE + 2 * element, F::from_canonical_u64(value >> 32)));
            inputs.push((WIRES_CHALLENGE + 2 * element + 1, F::from_noncanonical_u64(value)));
        }
        inputs
    }

    fn fits(row: &[F]) -> bool {
        row[WIRES_T..WIRES_T + LIMBS].iter().all(|limb| limb.to_canonical_u64() < 1 << 56)
    }

    #[test]
    fn the_limbs_are_those_of_the_order() {
        assert_eq!(ORDER_MINUS_ONE, limbs(&(order() - 1u32)));
    }

    #[test]
    fn the_shape_is_as_declared() {
        assert_shape::<ScalarRange>();
    }

    #[test]
    fn the_evaluations_agree() {
        assert_evaluations_agree::<ScalarRange>();
    }

    #[test]
    fn every_scalar_from_1_to_n_minus_1_has_a_row() {
        let one = BigUint::from(1u32);
        for s in [
            one.clone(),
            &one << 56u32,
            (&one << 112u32) - 1u32,
            &one << 160u32,
            order() >> 1u32,
            order() - 1u32,
        ] {
            let row = completed::<ScalarRange>(&inputs(&s, [5, 7])).unwrap();
            assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), []);
            assert!(fits(&row), "{s}");
            let mut sum = BigUint::from(0u32);
            for (limb, bits) in
                row[WIRES_T..WIRES_T + LIMBS].iter().zip([0u32, 56, 112, 160, 216, 272])
            {
                sum += BigUint::from(limb.to_canonical_u64()) << bits;
            }
            assert_eq!(sum, order() - 1u32 - &s);
        }
    }

    /// Whatever the borrows: with s = n or more, no choice of them makes all limbs fit.
    #[test]
    fn a_scalar_of_n_or_more_fits_no_range() {
        let largest = (BigUint::from(1u32) << 320u32) - 1u32;
        for s in [order(), order() + 1u32, (BigUint::from(1u32) << 319u32), largest] {
            let row = completed::<ScalarRange>(&inputs(&s, [5, 7])).unwrap();
            for borrows in 0..1u32 << (LIMBS - 1) {
                let mut row = row.clone();
                for limb in 0..LIMBS {
                    let borrow = |k: usize| F::from_bool(k < LIMBS - 1 && borrows >> k & 1 == 1);
                    let into = if limb > 0 { borrow(limb - 1) } else { F::ZERO };
                    row[WIRES_T + limb] =
                        F::from_canonical_u64(ORDER_MINUS_ONE[limb]) - row[WIRES_S + limb] - into
                            + borrow(limb) * F::from_canonical_u64(1 << LIMB_BITS[limb]);
                    if limb < LIMBS - 1 {
                        row[WIRES_BORROWS + limb] = borrow(limb);
                    }
                }
                assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), []);
                assert!(!fits(&row), "s = {s}, borrows {borrows:b}");
            }
        }
    }

    #[test]
    fn a_scalar_of_zero_has_no_row() {
        assert!(completed::<ScalarRange>(&inputs(&BigUint::from(0u32), [5, 7])).is_err());
        let mut row = completed::<ScalarRange>(&inputs(&BigUint::from(1u32), [5, 7])).unwrap();
        row[WIRES_S] = F::ZERO;
        row[WIRES_T] += F::ONE;
        assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), [12]);
    }

    #[test]
    fn the_bits_of_a_challenge_are_canonical() {
        let one = BigUint::from(1u32);
        // p - 1 has the high half 2^32 - 1 and a low half of zero.
        let row = completed::<ScalarRange>(&inputs(&one, [F::ORDER - 1, 1])).unwrap();
        assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), []);
        // The bits of p + 1 also stand for the element 1.
        for (value, constraint) in
            [([F::ORDER + 1, 1], 13), ([1, F::ORDER + 1], 14), ([1, u64::MAX], 14)]
        {
            let row = completed::<ScalarRange>(&inputs(&one, value)).unwrap();
            assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), [constraint]);
        }
    }

    #[test]
    fn a_challenge_of_zero_has_no_row() {
        let one = BigUint::from(1u32);
        assert!(completed::<ScalarRange>(&inputs(&one, [0, 0])).is_err());
        let mut row = completed::<ScalarRange>(&inputs(&one, [1, 0])).unwrap();
        row[WIRES_CHALLENGE + 1] = F::ZERO;
        assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), [15]);
        for challenge in [[0, 5], [5, 0]] {
            let row = completed::<ScalarRange>(&inputs(&one, challenge)).unwrap();
            assert_eq!(violated::<ScalarRange>(&row, &CONSTANTS), []);
        }
    }

    #[test]
    fn every_wire_is_constrained() {
        let s = order() >> 3u32;
        let (first, second) = (WIRES_CHALLENGE + 1, WIRES_CHALLENGE + 3);
        // The element that does not show that the challenge is not zero is free here: the windows' sums fix it. If it is
        // zero, so are its inverse and its factor.
        let row = completed::<ScalarRange>(&inputs(&s, [0x1234_5678_9abc_def0, 5])).unwrap();
        assert_every_wire_is_constrained::<ScalarRange>(&row, &CONSTANTS, &[second]);
        let row = completed::<ScalarRange>(&inputs(&s, [0, 0x0fed_cba9_8765_4321])).unwrap();
        let free = [first, WIRES_HIGH_INVERSES, WIRES_NONZERO];
        assert_every_wire_is_constrained::<ScalarRange>(&row, &CONSTANTS, &free);
    }
}
