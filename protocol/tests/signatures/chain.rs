//! The acceptance chain: that it computes s G + e PK, step by step as written, and that it refuses every exception.

use num_bigint::BigUint;
use plonky2_field::types::{Field, PrimeField64};
use proptest::prelude::*;
use protocol::F;
use protocol::ecgfp5::chain::{
    KEY_DIGITS, KEY_TABLE_LEN, Step, TABLE_LEN, WINDOWS, challenge_digits, commitment, constants,
    key_table, steps,
};
use protocol::ecgfp5::{AffinePoint, EqualX, Point, Scalar};
use protocol::hash::element_to_bytes;

use crate::naive::{self, Curve, Fe};

fn point(affine: &AffinePoint) -> Point {
    Point::decode(&affine.encode()).unwrap()
}

fn curve(affine: &AffinePoint) -> Curve {
    let (x, y) = affine.coordinates();
    Some((Fe::from_elements(&x), Fe::from_elements(&y)))
}

fn order() -> BigUint {
    BigUint::from_bytes_le(&Scalar::ZERO.minus(&Scalar::ONE).to_bytes()) + 1u32
}

/// 1 / value modulo n.
fn inverse(value: u64) -> Scalar {
    let inverse = BigUint::from(value).modpow(&(order() - 2u32), &order());
    let mut bytes = inverse.to_bytes_le();
    bytes.resize(Scalar::LEN, 0);
    Scalar::from_bytes(&bytes.try_into().unwrap()).unwrap()
}

fn any_scalar() -> impl Strategy<Value = Scalar> {
    prop::collection::vec(any::<u8>(), 64)
        .prop_map(|bytes| Scalar::from_wide_bytes(&bytes.try_into().unwrap()))
}

fn any_challenge() -> impl Strategy<Value = [F; 2]> {
    [0..0xffff_ffff_0000_0001u64, 0..0xffff_ffff_0000_0001u64]
        .prop_map(|words| words.map(F::from_canonical_u64))
}

/// The sum before `stop`, as a point of the group, by complete formulas.
fn sum_before(stop: Step, key: &Point, s: &Scalar, e: &[F; 2]) -> Point {
    let (constants, s, e) = (constants(), s.nibbles(), challenge_digits(e));
    let offset = point(&constants.table_offset);
    steps().take_while(|step| *step != stop).fold(point(&constants.start), |sum, step| match step {
        Step::DoubleTwice => sum.double().double(),
        Step::AddLow { digit } => sum.plus(&point(&constants.low[usize::from(s[digit])])),
        Step::AddHigh { digit } => sum.plus(&point(&constants.high[usize::from(s[digit])])),
        Step::AddKey { digit } => {
            sum.plus(&offset).plus(&key.multiply(&Scalar::from_words(u64::from(e[digit]), 0)))
        }
        Step::AddCorrection => sum.plus(&point(&constants.correction)),
    })
}

#[test]
fn the_steps_are_40_windows_and_a_correction() {
    let steps: Vec<_> = steps().collect();
    assert_eq!(steps.len(), 6 * WINDOWS + 1);
    let first = [
        Step::DoubleTwice,
        Step::AddKey { digit: 79 },
        Step::DoubleTwice,
        Step::AddKey { digit: 78 },
        Step::AddLow { digit: 39 },
        Step::AddHigh { digit: 79 },
    ];
    assert_eq!(steps[..6], first);
    let last = [
        Step::DoubleTwice,
        Step::AddKey { digit: 1 },
        Step::DoubleTwice,
        Step::AddKey { digit: 0 },
        Step::AddLow { digit: 0 },
        Step::AddHigh { digit: 40 },
        Step::AddCorrection,
    ];
    assert_eq!(steps[steps.len() - 7..], last);
}

#[test]
fn the_tables_are_offset_multiples_of_the_generator() {
    let constants = constants();
    let offset = curve(&constants.table_offset);
    let generator = curve(&Point::GENERATOR.to_affine().unwrap());
    let high = naive::multiply(generator, &(BigUint::from(1u32) << 160u32));
    for i in 0..TABLE_LEN {
        let factor = BigUint::from(i);
        assert_eq!(
            curve(&constants.low[i]),
            naive::add(offset, naive::multiply(generator, &factor))
        );
        assert_eq!(curve(&constants.high[i]), naive::add(offset, naive::multiply(high, &factor)));
    }
}

#[test]
fn the_offsets_have_order_n_and_the_correction_cancels_them() {
    let constants = constants();
    let one = BigUint::from(1u32);
    let all_windows = ((&one << (4 * WINDOWS)) - 1u32) / 15u32;
    let key_digits = ((&one << (2 * KEY_DIGITS)) - 1u32) / 3u32;
    let (offset, start) = (curve(&constants.table_offset), curve(&constants.start));
    assert_eq!(naive::multiply(offset, &order()), None);
    assert_eq!(naive::multiply(start, &order()), None);
    let offsets = naive::multiply(offset, &(all_windows * 2u32 + key_digits));
    let total = naive::add(naive::multiply(start, &(&one << (4 * WINDOWS))), offsets);
    assert_eq!(naive::add(total, curve(&constants.correction)), None);
}

/// The circuit and every verifier contract contain these points: they change only on purpose.
#[test]
fn the_public_points_are_pinned() {
    let text = |affine: &AffinePoint| hex::encode(affine.encode().map(element_to_bytes).concat());
    let constants = constants();
    let found =
        [constants.table_offset, constants.start, constants.correction].map(|affine| text(&affine));
    let expected = [
        "5b22104cb5d621ced734980259804f4646987839785bd30613ac7223f245fe3aa7c0dfe67795f62d",
        "acd2a09f27d12a7c890a12f66b8eba5fe34c37e855bae5791a76d94050856f7db179b1744823f345",
        "3af876ae4ad43262d028fcddd6e85f6bfac8764595f6967f989b5863893a7b95a105863a2906d896",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_step_is_the_naive_chord_or_tangent() {
    let s = Scalar::from_wide_bytes(&[0xb7; 64]);
    let e = [
        F::from_canonical_u64(0x0123_4567_89ab_cdef),
        F::from_canonical_u64(0xfedc_ba98_7654_3210),
    ];
    let key = Point::multiply_generator(&Scalar::from_words(77, 99)).to_affine().unwrap();
    let (constants, s_digits, e_digits) = (constants(), s.nibbles(), challenge_digits(&e));
    let table = key_table(&key).unwrap();
    let sum = steps().fold(curve(&constants.start), |sum, step| match step {
        Step::DoubleTwice => (0..2).fold(sum, |sum, _| naive::add(sum, sum)),
        Step::AddLow { digit } => {
            naive::add(sum, curve(&constants.low[usize::from(s_digits[digit])]))
        }
        Step::AddHigh { digit } => {
            naive::add(sum, curve(&constants.high[usize::from(s_digits[digit])]))
        }
        Step::AddKey { digit } => naive::add(sum, curve(&table[usize::from(e_digits[digit])])),
        Step::AddCorrection => naive::add(sum, curve(&constants.correction)),
    });
    assert_eq!(sum, curve(&commitment(&key, &s, &e).unwrap()));
}

#[test]
fn the_digits_of_a_challenge_are_lowest_first_and_element_by_element() {
    let e = [F::from_canonical_u64(0xfedc_ba98_7654_3210), F::from_canonical_u64(5)];
    let digits = challenge_digits(&e);
    let nibbles = |digits: &[u8]| {
        digits.chunks_exact(2).map(|pair| pair[0] + 4 * pair[1]).collect::<Vec<_>>()
    };
    assert_eq!(nibbles(&digits[..32]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(digits[32..35], [1, 1, 0]);
    assert_eq!(digits[64..], [0; 16]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_chain_computes_the_sum_of_both_products(s in any_scalar(), e in any_challenge(), secret in any_scalar()) {
        let key = Point::multiply_generator(&secret);
        let e_scalar = Scalar::from_words(e[0].to_canonical_u64(), e[1].to_canonical_u64());
        let expected = Point::multiply_generator(&s).plus(&key.multiply(&e_scalar)).to_affine();
        prop_assert_eq!(commitment(&key.to_affine().unwrap(), &s, &e).ok(), expected);
    }
}

#[test]
fn a_key_whose_table_meets_an_exception_is_refused() {
    let offset = point(&constants().table_offset);
    for i in 0..KEY_TABLE_LEN as u64 - 1 {
        // key[i] = -PK: U = -(1 + i) PK.
        let opposite = offset.multiply(&inverse(i + 1)).negate().to_affine().unwrap();
        assert_eq!(key_table(&opposite), Err(EqualX), "{i}");
        // key[i] = PK: U = (1 - i) PK, which has no solution for i = 1.
        if i != 1 {
            let same = match i {
                0 => offset,
                _ => offset.multiply(&inverse(i - 1)).negate(),
            };
            assert_eq!(key_table(&same.to_affine().unwrap()), Err(EqualX), "{i}");
        }
    }
    // The next multiple meets no exception any more.
    let harmless = offset.multiply(&inverse(KEY_TABLE_LEN as u64)).negate().to_affine().unwrap();
    assert!(key_table(&harmless).is_ok());
}

#[test]
fn an_addition_of_equal_or_opposite_points_is_refused_at_every_kind_of_step() {
    let s = Scalar::from_wide_bytes(&[0x5a; 64]);
    // Digit 62 of e is 1, all others are 0: the key is added once, in the ninth window.
    let e = [F::ZERO, F::from_canonical_u64(1 << 60)];
    let offset = point(&constants().table_offset);
    let digits = s.nibbles();
    let other = |step: Step, key: &Point| match step {
        Step::AddLow { digit } => point(&constants().low[usize::from(digits[digit])]),
        Step::AddHigh { digit } => point(&constants().high[usize::from(digits[digit])]),
        Step::AddKey { digit: 62 } => offset.plus(key),
        Step::AddKey { .. } => offset,
        Step::AddCorrection | Step::DoubleTwice => point(&constants().correction),
    };
    let first = Step::AddKey { digit: 62 };
    let stops = [
        first,
        Step::AddLow { digit: 30 },
        Step::AddHigh { digit: 70 },
        Step::AddKey { digit: 61 },
        Step::AddKey { digit: 60 },
        Step::AddKey { digit: 1 },
        Step::AddLow { digit: 0 },
        Step::AddHigh { digit: 40 },
        Step::AddKey { digit: 0 },
        Step::AddCorrection,
    ];
    for stop in stops {
        for sign in [Scalar::ONE, Scalar::ZERO.minus(&Scalar::ONE)] {
            // The sum before `stop` is A + f PK, with f = 4^(pairs of doublings since the key was added).
            let rest = sum_before(stop, &Point::NEUTRAL, &s, &e);
            let key = if stop == first {
                // A = +-(U + PK)
                rest.multiply(&sign).plus(&offset.negate())
            } else {
                let windows =
                    steps().skip_while(|step| *step != first).take_while(|step| *step != stop);
                let doublings = windows.filter(|step| *step == Step::DoubleTwice).count();
                let unit = (0..doublings).fold(Scalar::ONE, |unit, _| unit.times(&inverse(4)));
                let target = other(stop, &Point::NEUTRAL).multiply(&sign);
                target.plus(&rest.negate()).multiply(&unit)
            };
            let reached = sum_before(stop, &key, &s, &e);
            assert_eq!(
                reached,
                other(stop, &key).multiply(&sign),
                "the key was crafted for {stop:?}"
            );
            assert_eq!(commitment(&key.to_affine().unwrap(), &s, &e), Err(EqualX), "{stop:?}");
        }
    }
}
