//! Everything that MUST be refused, one test each.

use plonky2_field::types::{Field, Field64, PrimeField64};
use protocol::F;
use protocol::ecgfp5::chain::constants;
use protocol::ecgfp5::{EqualX, Point, Scalar};
use protocol::hash::{Digest, NonCanonicalElement, element_to_bytes};
use protocol::schnorr::{
    KeyError, PublicKey, SecretKey, Signature, SignatureError, Tag, challenge, keys_digest,
};

use crate::schnorr::{message, secret};

const ORDER_LESS_ONE: fn() -> Scalar = || Scalar::ZERO.minus(&Scalar::ONE);

/// `value + n` as 40 bytes little endian.
fn plus_order(value: &Scalar) -> [u8; Scalar::LEN] {
    let mut carry = 1;
    let mut sum = value.to_bytes();
    for (byte, other) in sum.iter_mut().zip(ORDER_LESS_ONE().to_bytes()) {
        let word = u16::from(*byte) + u16::from(other) + carry;
        *byte = (word & 0xff) as u8;
        carry = word >> 8;
    }
    assert_eq!(carry, 0, "n + value fits 320 bits");
    sum
}

#[test]
fn a_signature_with_s_plus_n_is_refused() {
    let signature = secret(1).sign(Tag::Propose, &message(1), &[0; 32]);
    let mut bytes = signature.to_bytes();
    bytes[16..].copy_from_slice(&plus_order(signature.s()));
    assert!(matches!(Signature::from_bytes(&bytes), Err(SignatureError::NonCanonicalScalar(_))));
    bytes[16..].copy_from_slice(&plus_order(&Scalar::ZERO));
    assert!(matches!(Signature::from_bytes(&bytes), Err(SignatureError::NonCanonicalScalar(_))));
}

#[test]
fn a_signature_with_s_zero_is_refused() {
    let e = [F::ONE, F::ONE];
    assert_eq!(Signature::from_parts(e, Scalar::ZERO), Err(SignatureError::ZeroScalar));
    let mut bytes = Signature::from_parts(e, Scalar::ONE).unwrap().to_bytes();
    bytes[16..].fill(0);
    assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::ZeroScalar));
}

#[test]
fn a_signature_with_a_challenge_of_zero_is_refused() {
    assert_eq!(
        Signature::from_parts([F::ZERO; 2], Scalar::ONE),
        Err(SignatureError::ZeroChallenge)
    );
    // The prime is zero in redundant form.
    let redundant = plonky2_field::goldilocks_field::GoldilocksField(F::ORDER);
    assert_eq!(
        Signature::from_parts([redundant; 2], Scalar::ONE),
        Err(SignatureError::ZeroChallenge)
    );
    assert!(Signature::from_parts([F::ZERO, F::ONE], Scalar::ONE).is_ok());
}

#[test]
fn a_signature_with_a_non_canonical_challenge_is_refused() {
    let bytes = secret(1).sign(Tag::Propose, &message(1), &[0; 32]).to_bytes();
    for position in [0, 8] {
        for value in [F::ORDER, u64::MAX] {
            let mut bytes = bytes;
            bytes[position..position + 8].copy_from_slice(&value.to_be_bytes());
            let expected = SignatureError::NonCanonicalChallenge(NonCanonicalElement { value });
            assert_eq!(Signature::from_bytes(&bytes), Err(expected));
        }
    }
}

/// A verifier with complete formulas accepts this signature; it cannot be proven, so it MUST NOT be accepted.
#[test]
fn a_signature_with_a_neutral_commitment_is_refused() {
    let secret_scalar = Scalar::from_words(12345, 678);
    let key = SecretKey::from_bytes(&secret_scalar.to_bytes()).unwrap();
    let e = challenge(
        Tag::StateParticipant,
        &[F::ZERO; 5],
        &key.public_key().to_elements(),
        &message(1),
    );
    let e_scalar = Scalar::from_words(e[0].to_canonical_u64(), e[1].to_canonical_u64());
    let s = Scalar::ZERO.minus(&e_scalar.times(&secret_scalar));
    let point = Point::decode(&key.public_key().to_elements()).unwrap();
    assert_eq!(Point::multiply_generator(&s).plus(&point.multiply(&e_scalar)), Point::NEUTRAL);
    let signature = Signature::from_parts(e, s).unwrap();
    let verdict = key.public_key().verify(Tag::StateParticipant, &message(1), &signature);
    assert_eq!(verdict, Err(SignatureError::Unprovable(EqualX)));
}

#[test]
fn a_signature_by_a_key_whose_table_has_an_exception_is_refused() {
    let offset = constants().table_offset;
    for encoding in [offset.encode(), offset.negate().encode()] {
        let key = PublicKey::from_elements(encoding).unwrap();
        let signature = secret(1).sign(Tag::Propose, &message(1), &[0; 32]);
        let verdict = key.verify(Tag::Propose, &message(1), &signature);
        assert_eq!(verdict, Err(SignatureError::Unprovable(EqualX)));
    }
}

#[test]
fn the_neutral_element_is_refused_as_a_key() {
    assert_eq!(PublicKey::from_bytes(&[0; 40]), Err(KeyError::Neutral));
    assert_eq!(PublicKey::from_elements([F::ZERO; 5]), Err(KeyError::Neutral));
    let redundant = plonky2_field::goldilocks_field::GoldilocksField(F::ORDER);
    assert_eq!(PublicKey::from_elements([redundant; 5]), Err(KeyError::Neutral));
}

#[test]
fn a_key_outside_the_group_is_refused() {
    let words = [
        13557832913345268708,
        15669280705791538619,
        8534654657267986396,
        12533218303838131749,
        5058070698878426028,
    ];
    let encoding = words.map(F::from_canonical_u64);
    assert_eq!(PublicKey::from_elements(encoding), Err(KeyError::NotInGroup));
    let bytes: Vec<u8> = encoding.into_iter().flat_map(element_to_bytes).collect();
    assert_eq!(PublicKey::from_bytes(&bytes.try_into().unwrap()), Err(KeyError::NotInGroup));
}

#[test]
fn a_key_with_a_non_canonical_element_is_refused() {
    let bytes = secret(1).public_key().to_bytes();
    assert_eq!(PublicKey::from_bytes(&bytes).as_ref(), Ok(secret(1).public_key()));
    for position in 0..5 {
        let mut bytes = bytes;
        bytes[8 * position..][..8].copy_from_slice(&F::ORDER.to_be_bytes());
        let expected = KeyError::NonCanonical(NonCanonicalElement { value: F::ORDER });
        assert_eq!(PublicKey::from_bytes(&bytes), Err(expected));
    }
}

#[test]
fn a_key_given_in_redundant_form_is_the_canonical_key() {
    let canonical = [4u64, 0, 0, 0, 0].map(F::from_canonical_u64);
    let redundant =
        [F::ORDER + 4, 0, 0, 0, 0].map(plonky2_field::goldilocks_field::GoldilocksField);
    let keys = [canonical, redundant].map(|encoding| PublicKey::from_elements(encoding).unwrap());
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].to_bytes(), keys[1].to_bytes());
}

#[test]
fn one_key_for_both_roles_is_refused() {
    let (a, b) = (secret(1), secret(2));
    assert_eq!(keys_digest(a.public_key(), a.public_key()), Err(KeyError::SameForBothRoles));
    let digest: Digest = keys_digest(a.public_key(), b.public_key()).unwrap();
    assert_ne!(keys_digest(b.public_key(), a.public_key()), Ok(digest));
}

#[test]
fn a_secret_of_zero_or_of_the_order_or_more_is_refused() {
    let refused = KeyError::SecretOutOfRange;
    assert_eq!(SecretKey::from_bytes(&[0; 40]).err(), Some(refused));
    assert_eq!(SecretKey::from_wide_bytes(&[0; 64]).err(), Some(refused));
    assert_eq!(SecretKey::from_bytes(&plus_order(&Scalar::ZERO)).err(), Some(refused));
    assert_eq!(SecretKey::from_bytes(&plus_order(&Scalar::ONE)).err(), Some(refused));
    assert_eq!(SecretKey::from_bytes(&[0xff; 40]).err(), Some(refused));
    assert!(SecretKey::from_bytes(&ORDER_LESS_ONE().to_bytes()).is_ok());
}
