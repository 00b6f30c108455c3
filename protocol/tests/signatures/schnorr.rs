//! Signing and verifying.

use plonky2_field::types::Field;
use proptest::prelude::*;
use protocol::F;
use protocol::hash::Digest;
use protocol::schnorr::{SecretKey, Signature, SignatureError, Tag};

pub fn secret(seed: u8) -> SecretKey {
    SecretKey::from_wide_bytes(&[seed; 64]).unwrap()
}

pub fn message(value: u64) -> Digest {
    Digest([1, 2, 3, value].map(F::from_canonical_u64))
}

#[test]
fn a_signature_verifies_for_its_key_tag_and_message_and_for_nothing_else() {
    let key = secret(1);
    for tag in Tag::ALL {
        let signature = key.sign(tag, &message(7), &[9; 32]);
        assert_eq!(key.public_key().verify(tag, &message(7), &signature), Ok(()));
        assert_eq!(
            key.public_key().verify(tag, &message(8), &signature),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(
            secret(2).public_key().verify(tag, &message(7), &signature),
            Err(SignatureError::Mismatch)
        );
        for other in Tag::ALL.into_iter().filter(|other| *other != tag) {
            assert_eq!(
                key.public_key().verify(other, &message(7), &signature),
                Err(SignatureError::Mismatch)
            );
        }
    }
}

#[test]
fn signing_is_deterministic_given_the_hedge() {
    let key = secret(3);
    let sign = |hedge: [u8; 32]| key.sign(Tag::Propose, &message(1), &hedge);
    assert_eq!(sign([0; 32]), sign([0; 32]));
    assert_ne!(sign([0; 32]), sign([1; 32]));
}

#[test]
fn a_nonce_never_serves_two_messages_or_two_tags() {
    // With one nonce for two challenges, s - s' = (e' - e) x would give the secret away; different nonces give
    // different commitments, and so signatures whose commitments can be compared.
    let key = secret(4);
    let mut commitments = Vec::new();
    for tag in Tag::ALL {
        for value in 0..8 {
            let signature = key.sign(tag, &message(value), &[0; 32]);
            let affine = key.public_key().affine();
            let commitment =
                protocol::ecgfp5::chain::commitment(affine, signature.s(), &signature.e()).unwrap();
            assert!(!commitments.contains(&commitment));
            commitments.push(commitment);
        }
    }
}

#[test]
fn a_signature_with_any_bit_flipped_is_refused() {
    let key = secret(5);
    let bytes = key.sign(Tag::Envelope, &message(0), &[1; 32]).to_bytes();
    for bit in 0..8 * Signature::LEN {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verdict = Signature::from_bytes(&flipped)
            .and_then(|signature| key.public_key().verify(Tag::Envelope, &message(0), &signature));
        assert!(verdict.is_err(), "bit {bit}");
    }
}

#[test]
fn both_sides_of_a_diffie_hellman_get_the_same_point_and_others_do_not() {
    let (a, b, c) = (secret(6), secret(7), secret(8));
    let shared = a.diffie_hellman(b.public_key()).unwrap();
    assert_eq!(shared.as_bytes(), b.diffie_hellman(a.public_key()).unwrap().as_bytes());
    assert_ne!(shared.as_bytes(), c.diffie_hellman(a.public_key()).unwrap().as_bytes());
}

#[test]
fn secrets_do_not_print() {
    let key = secret(9);
    let shared = key.diffie_hellman(secret(1).public_key()).unwrap();
    assert_eq!(format!("{key:?}"), format!("SecretKey(of {})", key.public_key()));
    assert_eq!(format!("{shared:?}"), "SharedPoint(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_signed_verifies(seed in any::<[u8; 32]>(), words in any::<[u32; 4]>(), hedge in any::<[u8; 32]>()) {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&seed);
        let key = SecretKey::from_wide_bytes(&wide).unwrap();
        let message = Digest(words.map(F::from_canonical_u32));
        let signature = key.sign(Tag::StateParticipant, &message, &hedge);
        let decoded = Signature::from_bytes(&signature.to_bytes()).unwrap();
        prop_assert_eq!(decoded, signature);
        prop_assert_eq!(key.public_key().verify(Tag::StateParticipant, &message, &decoded), Ok(()));
    }
}
