//! A key made ready for many signatures says what the acceptance chain says.

use plonky2_field::types::{Field, PrimeField64};
use proptest::prelude::*;
use protocol::F;
use protocol::ecgfp5::chain::constants;
use protocol::ecgfp5::{EqualX, Scalar};
use protocol::known_key::KnownKey;
use protocol::schnorr::{PublicKey, SecretKey, Signature, SignatureError, Tag, Verify, challenge};

use crate::schnorr::{message, secret};

/// Both verdicts, which must be one.
fn verdict(
    key: &PublicKey,
    tag: Tag,
    value: u64,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let (plain, known) = (key.verify(tag, &message(value), signature), KnownKey::new(*key));
    assert_eq!(known.verify(tag, &message(value), signature), plain);
    assert_eq!(known.verify(tag, &message(value), signature), plain, "the second time");
    plain
}

#[test]
fn it_accepts_its_key_tag_and_message_and_nothing_else() {
    let key = secret(1);
    for tag in Tag::ALL {
        let signature = key.sign(tag, &message(7), &[9; 32]);
        assert_eq!(verdict(key.public_key(), tag, 7, &signature), Ok(()));
        let mismatch = Err(SignatureError::Mismatch);
        assert_eq!(verdict(key.public_key(), tag, 8, &signature), mismatch);
        assert_eq!(verdict(secret(2).public_key(), tag, 7, &signature), mismatch);
        for other in Tag::ALL.into_iter().filter(|other| *other != tag) {
            assert_eq!(verdict(key.public_key(), other, 7, &signature), mismatch);
        }
    }
}

#[test]
fn it_refuses_a_neutral_commitment() {
    let scalar = Scalar::from_words(12_345, 678);
    let key = SecretKey::from_bytes(&scalar.to_bytes()).unwrap();
    let encoding = key.public_key().to_elements();
    let e = challenge(Tag::StateParticipant, &[F::ZERO; 5], &encoding, &message(1));
    let e_scalar = Scalar::from_words(e[0].to_canonical_u64(), e[1].to_canonical_u64());
    let s = Scalar::ZERO.minus(&e_scalar.times(&scalar));
    let signature = Signature::from_parts(e, s).unwrap();
    let verdict = verdict(key.public_key(), Tag::StateParticipant, 1, &signature);
    assert_eq!(verdict, Err(SignatureError::Unprovable(EqualX)));
}

#[test]
fn a_key_whose_table_has_an_exception_is_left_to_the_chain() {
    let offset = constants().table_offset;
    for encoding in [offset.encode(), offset.negate().encode()] {
        let key = PublicKey::from_elements(encoding).unwrap();
        let signature = secret(1).sign(Tag::Propose, &message(1), &[0; 32]);
        let verdict = verdict(&key, Tag::Propose, 1, &signature);
        assert_eq!(verdict, Err(SignatureError::Unprovable(EqualX)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_agrees_with_the_chain_on_true_and_on_damaged_signatures(
        seed in any::<[u8; 32]>(), value in 0..1_u64 << 56, byte in 0..Signature::LEN, flip in any::<u8>(),
    ) {
        let key = SecretKey::from_wide_bytes(&[seed, seed].concat().try_into().unwrap()).unwrap();
        let signature = key.sign(Tag::Envelope, &message(value), &seed);
        prop_assert_eq!(verdict(key.public_key(), Tag::Envelope, value, &signature), Ok(()));
        let mut bytes = signature.to_bytes();
        bytes[byte] ^= flip;
        if let Ok(damaged) = Signature::from_bytes(&bytes) {
            let accepted = verdict(key.public_key(), Tag::Envelope, value, &damaged).is_ok();
            prop_assert_eq!(accepted, flip == 0);
        }
    }

    #[test]
    fn it_agrees_with_the_chain_on_parts_out_of_the_air(
        seed in 1..255_u8, s in any::<[u8; 40]>(), e in prop::array::uniform2(0..0xffff_ffff_0000_0001_u64),
    ) {
        let parts = Scalar::from_bytes(&s).map(|s| Signature::from_parts(e.map(F::from_canonical_u64), s));
        if let Ok(Ok(signature)) = parts {
            let verdict = verdict(secret(seed).public_key(), Tag::Propose, 1, &signature);
            prop_assert_eq!(verdict, Err(SignatureError::Mismatch));
        }
    }
}
