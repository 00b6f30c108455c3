//! The published vectors of the group: computed with the reference implementation of eprint 2022/274.

use plonky2_field::types::Field;
use protocol::F;
use protocol::ecgfp5::{AffinePoint, Point, Scalar};
use protocol::hash::element_from_bytes;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    mul_generator: Vec<MulGenerator>,
    add: Vec<Add>,
    mul_add: Vec<MulAdd>,
    undecodable_w: Vec<[String; 5]>,
    noncanonical_must_be_refused: NonCanonical,
}

#[derive(Deserialize)]
struct MulGenerator {
    scalar_le_hex: String,
    w: [String; 5],
}

#[derive(Deserialize)]
struct Add {
    a: [String; 5],
    b: [String; 5],
    sum: [String; 5],
    double_a: [String; 5],
    neg_b_sum: [String; 5],
}

#[derive(Deserialize)]
struct MulAdd {
    s_le_hex: String,
    k_le_hex: String,
    q: [String; 5],
    #[serde(rename = "sG_plus_kQ")]
    sum: [String; 5],
}

#[derive(Deserialize)]
struct NonCanonical {
    field_element_le_hex: Vec<String>,
    scalar_le_hex: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/ecgfp5.json")).unwrap()
}

fn elements(decimal: &[String; 5]) -> [F; 5] {
    decimal.each_ref().map(|value| F::from_canonical_u64(value.parse().unwrap()))
}

fn point(decimal: &[String; 5]) -> Point {
    Point::decode(&elements(decimal)).unwrap()
}

fn scalar_bytes(text: &str) -> [u8; 40] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// A scalar of a vector: the integers are below n or reduced here, as the vectors' 320-bit integers are.
fn scalar(text: &str) -> Scalar {
    let mut wide = [0; 64];
    wide[..40].copy_from_slice(&scalar_bytes(text));
    Scalar::from_wide_bytes(&wide)
}

#[test]
fn multiples_of_the_generator_are_those_published() {
    let vectors = vectors().mul_generator;
    assert_eq!(vectors.len(), 32);
    for vector in vectors {
        let scalar = scalar(&vector.scalar_le_hex);
        let expected = elements(&vector.w);
        assert_eq!(Point::multiply_generator(&scalar).encode(), expected);
        assert_eq!(Point::GENERATOR.multiply(&scalar).encode(), expected);
    }
}

#[test]
fn sums_doubles_and_differences_are_those_published() {
    let vectors = vectors().add;
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let (a, b) = (point(&vector.a), point(&vector.b));
        assert_eq!(a.plus(&b).encode(), elements(&vector.sum));
        assert_eq!(b.plus(&a), a.plus(&b));
        assert_eq!(a.double().encode(), elements(&vector.double_a));
        assert_eq!(a.plus(&a).encode(), elements(&vector.double_a));
        assert_eq!(a.plus(&b).plus(&b.negate()), a);
        let negative = elements(&vector.neg_b_sum);
        assert!(
            [
                a.plus(&b.negate()).encode(),
                a.plus(&b).negate().encode(),
                b.negate().plus(&a).encode()
            ]
            .contains(&negative)
        );
    }
}

#[test]
fn sums_of_two_multiples_are_those_published() {
    let vectors = vectors().mul_add;
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let q = point(&vector.q);
        let sum = Point::multiply_generator(&scalar(&vector.s_le_hex))
            .plus(&q.multiply(&scalar(&vector.k_le_hex)));
        assert_eq!(sum.encode(), elements(&vector.sum));
    }
}

#[test]
fn what_the_reference_does_not_decode_is_not_decoded() {
    let vectors = vectors().undecodable_w;
    assert_eq!(vectors.len(), 16);
    for vector in vectors {
        assert!(Point::decode(&elements(&vector)).is_none());
        assert!(AffinePoint::decode(&elements(&vector)).is_none());
    }
}

#[test]
fn zero_decodes_as_the_neutral_element_and_as_no_affine_point() {
    let zero = [F::ZERO; 5];
    assert_eq!(Point::decode(&zero), Some(Point::NEUTRAL));
    assert_eq!(Point::NEUTRAL.encode(), zero);
    assert!(AffinePoint::decode(&zero).is_none());
    assert!(Point::NEUTRAL.to_affine().is_none());
}

#[test]
fn non_canonical_encodings_are_refused() {
    let vectors = vectors().noncanonical_must_be_refused;
    for text in vectors.field_element_le_hex {
        let mut bytes: [u8; 8] = hex::decode(text).unwrap().try_into().unwrap();
        bytes.reverse();
        assert!(element_from_bytes(bytes).is_err());
    }
    for text in vectors.scalar_le_hex {
        assert!(Scalar::from_bytes(&scalar_bytes(&text)).is_err());
    }
}
