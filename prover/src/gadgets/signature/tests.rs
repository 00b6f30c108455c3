//! The rows of a signature against the chain of `protocol`: the same R, and the same refusals.

use protocol::ecgfp5::chain::{Step, commitment, constants, steps};
use protocol::ecgfp5::{AffinePoint, Point};

use super::*;
use crate::gates::formula::{Formula, NoSuchRow, Row};
use crate::gates::testing::violated;

fn row<G: Formula>() -> Row {
    Row { wires: vec![F::ZERO; G::WIRES] }
}

fn point(affine: &AffinePoint) -> Point {
    Point::decode(&affine.encode()).unwrap()
}

/// The encoding of R as an honest prover calculates it, row by row, or the refusal of a row. Every row satisfies its gate.
fn by_rows(key: &AffinePoint, s: &Scalar, e: &[F; 2]) -> Result<[F; 5], NoSuchRow> {
    let digits = SignatureDigits { s: s.nibbles(), e: chain::challenge_digits(e) };
    let mut ends = row::<Endpoint>();
    ends.set(endpoint::WIRES_KEY, &key.encode());
    ends.set(endpoint::WIRES_OTHER_KEY, &[F::ONE; 5]);
    let [begin, end] = Endpoint::stages().try_into().unwrap();
    (begin.complete)(&mut ends)?;
    let (x, y) = constants().start.coordinates();
    let mut accumulator = [x, y].concat();
    for window in (0..chain::WINDOWS).rev() {
        let mut row = row::<Window>();
        row.set(window::WIRES_IN, &accumulator);
        row.set(window::WIRES_KEY, &ends.wires[endpoint::WIRES_TABLE..endpoint::WIRES_TABLE + 30]);
        let e = digits.e[2 * window] + 4 * digits.e[2 * window + 1];
        let nibbles = [e, digits.s[window], digits.s[window + chain::WINDOWS]];
        for (wire, nibble) in [window::WIRES_CHALLENGE, window::WIRES_LOW, window::WIRES_HIGH]
            .into_iter()
            .zip(nibbles)
        {
            row.wires[wire + 1] = F::from_canonical_u64(nibble.into());
        }
        (Window::stages()[0].complete)(&mut row)?;
        assert_eq!(violated::<Window>(&row.wires, &[]), []);
        accumulator = row.wires[window::WIRES_OUT..window::WIRES_OUT + 10].to_vec();
    }
    ends.set(endpoint::WIRES_ACCUMULATOR, &accumulator);
    (end.complete)(&mut ends)?;
    assert_eq!(violated::<Endpoint>(&ends.wires, &[]), []);
    Ok(core::array::from_fn(|k| ends.wires[endpoint::WIRES_COMMITMENT + k]))
}

#[test]
fn the_rows_calculate_the_commitment_of_the_chain() {
    let element = |value: u64| F::from_canonical_u64(value);
    for seed in 1..5u64 {
        let s = Scalar::from_wide_bytes(&[seed as u8 * 31; 64]);
        let e = [
            element(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1),
            element(u64::MAX / (seed + 2)),
        ];
        let key = Point::multiply_generator(&Scalar::from_words(seed, 3)).to_affine().unwrap();
        assert_eq!(
            by_rows(&key, &s, &e).ok(),
            commitment(&key, &s, &e).ok().map(|point| point.encode())
        );
    }
    // Digits of zero, and the largest.
    let key = Point::multiply_generator(&Scalar::from_words(9, 3)).to_affine().unwrap();
    let largest = Scalar::ZERO.minus(&Scalar::ONE);
    for (s, e) in [(Scalar::ONE, [F::ZERO, F::ONE]), (largest, [F::NEG_ONE, F::NEG_ONE])] {
        assert_eq!(
            by_rows(&key, &s, &e).ok(),
            commitment(&key, &s, &e).ok().map(|point| point.encode())
        );
    }
}

/// The sum before `stop`, by complete formulas.
fn sum_before(stop: Step, key: &Point, s: &Scalar, e: &[F; 2]) -> Point {
    let (s, e) = (s.nibbles(), chain::challenge_digits(e));
    let offset = point(&constants().table_offset);
    steps().take_while(|step| *step != stop).fold(point(&constants().start), |sum, step| match step
    {
        Step::DoubleTwice => sum.double().double(),
        Step::AddLow { digit } => sum.plus(&point(&constants().low[usize::from(s[digit])])),
        Step::AddHigh { digit } => sum.plus(&point(&constants().high[usize::from(s[digit])])),
        Step::AddKey { digit } => {
            sum.plus(&offset).plus(&key.multiply(&Scalar::from_words(u64::from(e[digit]), 0)))
        }
        Step::AddCorrection => sum.plus(&point(&constants().correction)),
    })
}

/// 1 / 4 modulo n: (n + 1) / 2, squared.
fn quarter() -> Scalar {
    let mut bytes = [0; 40];
    let mut carry = 0;
    for (to, from) in bytes.iter_mut().zip(Scalar::ZERO.minus(&Scalar::ONE).to_bytes()).rev() {
        *to = from >> 1 | carry;
        carry = from << 7;
    }
    let half = Scalar::from_bytes(&bytes).unwrap().plus(&Scalar::ONE);
    half.times(&half)
}

/// Keys crafted so that one addition meets equal or opposite points. Complete formulas would have an answer; chain and rows refuse.
#[test]
fn chain_and_rows_refuse_the_same_colliding_points() {
    let s = Scalar::from_wide_bytes(&[0x5a; 64]);
    // Digit 62 of e is 1, all others are 0: the key is added once.
    let e = [F::ZERO, F::from_canonical_u64(1 << 60)];
    let offset = point(&constants().table_offset);
    let nibbles = s.nibbles();
    let first = Step::AddKey { digit: 62 };
    let stops = [
        first,
        Step::AddLow { digit: 31 },
        Step::AddHigh { digit: 71 },
        Step::AddKey { digit: 61 },
        Step::AddKey { digit: 0 },
        Step::AddLow { digit: 0 },
        Step::AddHigh { digit: 40 },
        Step::AddCorrection,
    ];
    for stop in stops {
        for sign in [Scalar::ONE, Scalar::ZERO.minus(&Scalar::ONE)] {
            let rest = sum_before(stop, &Point::NEUTRAL, &s, &e);
            let key = if stop == first {
                rest.multiply(&sign).plus(&offset.negate())
            } else {
                let since =
                    steps().skip_while(|step| *step != first).take_while(|step| *step != stop);
                let doublings = since.filter(|step| *step == Step::DoubleTwice).count();
                let unit = (0..doublings).fold(Scalar::ONE, |unit, _| unit.times(&quarter()));
                let other = match stop {
                    Step::AddLow { digit } => constants().low[usize::from(nibbles[digit])],
                    Step::AddHigh { digit } => constants().high[usize::from(nibbles[digit])],
                    Step::AddKey { .. } => constants().table_offset,
                    Step::AddCorrection | Step::DoubleTwice => constants().correction,
                };
                point(&other).multiply(&sign).plus(&rest.negate()).multiply(&unit)
            };
            let key = key.to_affine().unwrap();
            assert!(commitment(&key, &s, &e).is_err(), "{stop:?}");
            assert!(by_rows(&key, &s, &e).is_err(), "{stop:?}");
        }
    }
}
