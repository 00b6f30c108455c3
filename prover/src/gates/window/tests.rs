//! The window gate, row by row.

use protocol::ecgfp5::{Point, Scalar};

use super::*;
use crate::gates::testing::{
    assert_evaluations_agree, assert_every_wire_is_constrained, assert_shape, completed, violated,
};

fn coordinates(affine: &AffinePoint) -> [F; 10] {
    let (x, y) = affine.coordinates();
    core::array::from_fn(|k| if k < 5 { x[k] } else { y[k - 5] })
}

fn affine(point: &Point) -> AffinePoint {
    point.to_affine().unwrap()
}

/// The inputs of a row with this accumulator and these nibbles (of e, s low, s high).
fn inputs(start: &AffinePoint, key: &AffinePoint, nibbles: [u64; 3]) -> Vec<(usize, F)> {
    let mut inputs: Vec<_> = (WIRES_IN..).zip(coordinates(start)).collect();
    let table = chain::key_table(key).unwrap();
    inputs.extend((WIRES_KEY..).zip(table[1..].iter().flat_map(coordinates)));
    for (wire, nibble) in [WIRES_CHALLENGE, WIRES_LOW, WIRES_HIGH].into_iter().zip(nibbles) {
        let before = 0x1234_5678;
        inputs.push((wire, F::from_canonical_u64(before)));
        inputs.push((wire + 1, F::from_canonical_u64(16 * before + nibble)));
    }
    inputs
}

fn key() -> Point {
    Point::multiply_generator(&Scalar::from_words(5, 6))
}

#[test]
fn the_shape_is_as_declared() {
    assert_shape::<Window>();
}

#[test]
fn the_evaluations_agree() {
    assert_evaluations_agree::<Window>();
}

#[test]
fn a_row_is_a_window_of_the_chain() {
    let constants = chain::constants();
    let point = |affine: &AffinePoint| Point::decode(&affine.encode()).unwrap();
    let table = chain::key_table(&affine(&key())).unwrap();
    for (e, low, high) in [(0, 0, 0), (15, 15, 15), (6, 1, 8), (9, 14, 3)] {
        let row = completed::<Window>(&inputs(&constants.start, &affine(&key()), [e, low, high]))
            .unwrap();
        assert_eq!(violated::<Window>(&row, &[]), []);
        let add_key =
            |sum: Point, digit: u64| sum.double().double().plus(&point(&table[digit as usize]));
        let sum = add_key(add_key(point(&constants.start), e >> 2), e & 3);
        let sum = sum
            .plus(&point(&constants.low[low as usize]))
            .plus(&point(&constants.high[high as usize]));
        assert_eq!(row[WIRES_OUT..WIRES_OUT + 10], coordinates(&affine(&sum)));
    }
}

#[test]
fn every_wire_is_constrained() {
    let start = chain::constants().start;
    // A row reads the two entries of the key's table that its digits select: 1 and 2, then 3 twice.
    for (e, free) in [(6, WIRES_KEY + 20..WIRES_KEY + 30), (15, WIRES_KEY..WIRES_KEY + 20)] {
        let row = completed::<Window>(&inputs(&start, &affine(&key()), [e, 9, 5])).unwrap();
        assert_every_wire_is_constrained::<Window>(&row, &[], &free.collect::<Vec<_>>());
    }
}

#[test]
fn a_running_sum_grows_by_one_nibble() {
    for nibbles in [[16, 0, 0], [0, 16, 0], [0, 0, 16], [1 << 40, 0, 0]] {
        let row = completed::<Window>(&inputs(&chain::constants().start, &affine(&key()), nibbles))
            .unwrap();
        assert!(!violated::<Window>(&row, &[]).is_empty(), "{nibbles:?}");
    }
}

/// Two points with the same x would leave the slope free: the row must not exist, whatever its slope and inverse are.
#[test]
fn an_addition_of_points_with_the_same_x_violates_the_inverse() {
    let constants = chain::constants();
    let point = |affine: &AffinePoint| Point::decode(&affine.encode()).unwrap();
    // 4 start = U: the first addition, of key[0] = U, meets itself.
    let quarter = {
        let mut bytes = [0; 40];
        // 1 / 4 modulo n: (n + 1) / 2 squared.
        let half = {
            let order_minus_one = Scalar::ZERO.minus(&Scalar::ONE).to_bytes();
            let mut carry = 0;
            for (to, from) in bytes.iter_mut().zip(order_minus_one).rev() {
                *to = from >> 1 | carry;
                carry = from << 7;
            }
            Scalar::from_bytes(&bytes).unwrap().plus(&Scalar::ONE)
        };
        half.times(&half)
    };
    for sign in [Scalar::ONE, Scalar::ZERO.minus(&Scalar::ONE)] {
        let start = point(&constants.table_offset).multiply(&quarter).multiply(&sign);
        let inputs = inputs(&affine(&start), &affine(&key()), [0, 1, 2]);
        assert_eq!(completed::<Window>(&inputs), Err(NoSuchRow { gate: "WindowGate" }));
        // The row up to the addition, then with an arbitrary slope. Where both points are one, the slope's own constraints
        // (32 to 36) accept it; the inverse (82 to 86) does not.
        let mut row = Row { wires: vec![F::ZERO; Window::WIRES] };
        inputs.iter().for_each(|(wire, value)| row.wires[*wire] = *value);
        assert!(complete(&mut row).is_err());
        row.set(WIRES_SLOPES + 10, &[F::from_canonical_u64(31337); 5]);
        let found = violated::<Window>(&row.wires, &[]);
        assert!(!found.iter().any(|number| (17..=31).contains(number)), "{found:?}");
        assert_eq!(
            found.iter().any(|number| (32..=36).contains(number)),
            sign != Scalar::ONE,
            "{found:?}"
        );
        assert!(found.contains(&82), "{found:?}");
    }
}

#[test]
fn constant_tables_interpolate_their_entries() {
    for table in [&chain::constants().low, &chain::constants().high] {
        let coefficients = multilinear(table);
        for (entry, point) in table.iter().enumerate() {
            let subsets = (0..chain::TABLE_LEN).filter(|subset| subset & !entry == 0);
            let sum = subsets.fold([F::ZERO; 10], |sum, subset| {
                core::array::from_fn(|k| sum[k] + coefficients[subset][k])
            });
            assert_eq!(sum, coordinates(point));
        }
    }
}
