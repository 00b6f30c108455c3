//! The group against the naive oracle.

use num_bigint::BigUint;
use proptest::prelude::*;
use protocol::ecgfp5::{AffinePoint, Point, Scalar};

use crate::naive::{self, Curve, Fe};

/// The oracle's picture of a point: the member of order n of its coset.
fn curve(point: &Point) -> Curve {
    point.to_affine().map(|affine| {
        let (x, y) = affine.coordinates();
        (Fe::from_elements(&x), Fe::from_elements(&y))
    })
}

fn integer(scalar: &Scalar) -> BigUint {
    BigUint::from_bytes_le(&scalar.to_bytes())
}

fn any_scalar() -> impl Strategy<Value = Scalar> {
    let edge = prop::sample::select(vec![
        Scalar::ZERO,
        Scalar::ONE,
        Scalar::from_words(2, 0),
        Scalar::from_words(16, 0),
        Scalar::ZERO.minus(&Scalar::ONE),
        Scalar::ZERO.minus(&Scalar::from_words(2, 0)),
    ]);
    let random = prop::collection::vec(any::<u8>(), 64)
        .prop_map(|bytes| Scalar::from_wide_bytes(&bytes.try_into().unwrap()));
    prop_oneof![1 => edge, 2 => random]
}

fn any_point() -> impl Strategy<Value = Point> {
    any_scalar().prop_map(|scalar| Point::multiply_generator(&scalar))
}

#[test]
fn the_generator_is_the_point_with_w_4() {
    let four = Fe::small(4).to_elements();
    assert_eq!(Point::GENERATOR.encode(), four);
    assert_eq!(Point::decode(&four), Some(Point::GENERATOR));
    let generator = curve(&Point::GENERATOR).unwrap();
    assert!(naive::is_on_curve(generator));
    assert!(generator.0.is_non_zero_square());
}

#[test]
fn the_generator_has_order_n() {
    let minus_one = Scalar::ZERO.minus(&Scalar::ONE);
    assert_eq!(Point::multiply_generator(&minus_one), Point::GENERATOR.negate());
    assert_eq!(naive::multiply(curve(&Point::GENERATOR), &(integer(&minus_one) + 1u32)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn addition_is_that_of_the_curve(a in any_point(), b in any_point()) {
        let sum = a.plus(&b);
        prop_assert_eq!(curve(&sum), naive::add(curve(&a), curve(&b)));
        prop_assert_eq!(sum.encode(), naive::encode(curve(&sum)));
        prop_assert_eq!(curve(&a.double()), naive::add(curve(&a), curve(&a)));
        prop_assert_eq!(curve(&a.negate()), naive::negate(curve(&a)));
        prop_assert_eq!(a.plus(&a), a.double());
        prop_assert_eq!(a.plus(&a.negate()), Point::NEUTRAL);
        prop_assert_eq!(a.plus(&Point::NEUTRAL), a);
        prop_assert_eq!(sum, b.plus(&a));
    }

    #[test]
    fn multiplication_is_repeated_addition(point in any_point(), scalar in any_scalar()) {
        let product = point.multiply(&scalar);
        prop_assert_eq!(curve(&product), naive::multiply(curve(&point), &integer(&scalar)));
        prop_assert_eq!(Point::multiply_generator(&scalar), Point::GENERATOR.multiply(&scalar));
    }

    #[test]
    fn an_encoding_decodes_to_its_point(point in any_point()) {
        let w = point.encode();
        let decoded = Point::decode(&w).unwrap();
        prop_assert_eq!(decoded, point);
        prop_assert_eq!(decoded.encode(), w);
        let affine = AffinePoint::decode(&w);
        prop_assert_eq!(affine, point.to_affine());
        if let Some(affine) = affine {
            prop_assert_eq!(affine.encode(), w);
            prop_assert_eq!(Some(affine.negate()), point.negate().to_affine());
        }
    }

    #[test]
    fn exactly_the_encodings_of_points_decode(w in prop::array::uniform5(0..0xffff_ffff_0000_0001_u64)) {
        // w is y / x of a point exactly if (w^2 - 2)^2 - 4 b is a square.
        let w = w.map(plonky2_field::goldilocks_field::GoldilocksField);
        let sum = Fe::from_elements(&w).times(Fe::from_elements(&w)).minus(Fe::small(2));
        let discriminant = sum.times(sum).minus(Fe::B.times(Fe::small(4)));
        let decoded = Point::decode(&w);
        prop_assert_eq!(decoded.is_some(), discriminant.is_non_zero_square());
        prop_assert_eq!(AffinePoint::decode(&w).is_some(), decoded.is_some());
        if let Some(point) = decoded {
            prop_assert_eq!(point.encode(), w);
            let (x, y) = curve(&point).unwrap();
            prop_assert!(naive::is_on_curve((x, y)));
            prop_assert!(x.is_non_zero_square());
            prop_assert_eq!(naive::multiply(Some((x, y)), &order()), None);
        }
    }
}

fn order() -> BigUint {
    integer(&Scalar::ZERO.minus(&Scalar::ONE)) + 1u32
}
