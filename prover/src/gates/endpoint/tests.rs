//! The endpoint gate, row by row.

use protocol::ecgfp5::{Point, Scalar};

use super::*;
use crate::gates::testing::{
    assert_evaluations_agree, assert_every_wire_is_constrained, assert_shape, completed, violated,
};

fn multiple(factor: u64) -> AffinePoint {
    Point::multiply_generator(&Scalar::from_words(factor, 1)).to_affine().unwrap()
}

fn inputs(key: &[F; 5], other: &[F; 5], accumulator: &AffinePoint) -> Vec<(usize, F)> {
    let (x, y) = accumulator.coordinates();
    let keys = (WIRES_KEY..).zip(key.iter().chain(other).copied());
    keys.chain((WIRES_ACCUMULATOR..).zip(x.into_iter().chain(y))).collect()
}

fn valid() -> Vec<F> {
    completed::<Endpoint>(&inputs(&multiple(1).encode(), &multiple(2).encode(), &multiple(3)))
        .unwrap()
}

#[test]
fn the_shape_is_as_declared() {
    assert_shape::<Endpoint>();
}

#[test]
fn the_evaluations_agree() {
    assert_evaluations_agree::<Endpoint>();
}

#[test]
fn a_row_makes_the_keys_table_and_ends_the_chain() {
    let row = valid();
    assert_eq!(violated::<Endpoint>(&row, &[]), []);
    let table = chain::key_table(&multiple(1)).unwrap();
    for (start, entry) in (WIRES_TABLE..).step_by(10).zip(&table[1..]) {
        assert_eq!(point_at(&row, start), entry.coordinates());
    }
    let correction = Point::decode(&chain::constants().correction.encode()).unwrap();
    let commitment = Point::decode(&multiple(3).encode()).unwrap().plus(&correction);
    assert_eq!(quintic_at(&row, WIRES_COMMITMENT), commitment.encode());
}

#[test]
fn every_wire_is_constrained() {
    // The row shows that the keys differ in their first coefficients; the other key's other ones may be anything.
    let free: Vec<usize> = (WIRES_OTHER_KEY + 1..WIRES_OTHER_KEY + 5).collect();
    assert_every_wire_is_constrained::<Endpoint>(&valid(), &[], &free);
}

#[test]
fn equal_keys_have_no_row() {
    let key = multiple(1).encode();
    assert!(completed::<Endpoint>(&inputs(&key, &key, &multiple(3))).is_err());
    let mut row = valid();
    row[WIRES_OTHER_KEY..WIRES_OTHER_KEY + 5].copy_from_slice(&key);
    assert_eq!(violated::<Endpoint>(&row, &[]), [1]);
}

#[test]
fn keys_that_differ_in_one_coefficient_differ() {
    for k in 0..5 {
        let key = multiple(1).encode();
        let mut other = key;
        other[k] += F::ONE;
        let row = completed::<Endpoint>(&inputs(&key, &other, &multiple(3))).unwrap();
        assert_eq!(violated::<Endpoint>(&row, &[]), []);
    }
}

/// The coset's other member has the same curve equation and its x is b / x, no square: it has no root t.
#[test]
fn a_key_outside_the_group_violates_the_square() {
    let (x, _) = multiple(1).coordinates();
    let mut b = QuinticExtension([F::ZERO; 5]);
    b.0[1] = F::from_canonical_u64(crate::gates::arithmetic::CURVE_B1);
    let other_x = b * QuinticExtension(x).inverse();
    assert_eq!(square_root(&other_x.0), None);
    assert!(square_root(&x).is_some());
    let mut row = valid();
    row[WIRES_X..WIRES_X + 5].copy_from_slice(&other_x.0);
    let found = violated::<Endpoint>(&row, &[]);
    assert!(found.iter().any(|number| (2..=6).contains(number)), "{found:?}");
}

#[test]
fn a_key_that_is_no_point_has_no_row() {
    let undecodable = (0..).map(|k| [F::from_canonical_u64(k), F::ONE, F::ZERO, F::ZERO, F::ZERO]);
    let key = undecodable.into_iter().find(|w| AffinePoint::decode(w).is_none()).unwrap();
    assert!(completed::<Endpoint>(&inputs(&key, &multiple(2).encode(), &multiple(3))).is_err());
    let mut row = valid();
    row[..5].copy_from_slice(&key);
    let found = violated::<Endpoint>(&row, &[]);
    assert!(found.iter().any(|number| (7..=11).contains(number)), "{found:?}");
    // The neutral element: w = 0 would need x^2 + 2 x + b = 0.
    assert!(
        completed::<Endpoint>(&inputs(&[F::ZERO; 5], &multiple(2).encode(), &multiple(3))).is_err()
    );
}

#[test]
fn a_neutral_commitment_has_no_row() {
    let correction = &chain::constants().correction;
    for accumulator in [correction.negate(), *correction] {
        let inputs = inputs(&multiple(1).encode(), &multiple(2).encode(), &accumulator);
        assert!(completed::<Endpoint>(&inputs).is_err());
        let mut row = valid();
        inputs.iter().for_each(|(wire, value)| row[*wire] = *value);
        let found = violated::<Endpoint>(&row, &[]);
        assert!(found.iter().any(|number| (77..=81).contains(number)), "{found:?}");
    }
}
