//! What derives from a seed.

use protocol::schnorr::Tag;
use protocol::seed::Seed;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::schnorr::message;

#[test]
fn the_keys_of_a_seed_never_change() {
    let seed = Seed::from_bytes([7; 32]);
    let found = [
        seed.channel_key().public_key().to_string(),
        seed.session_key().address().to_string(),
        hex::encode(seed.identity_secret().as_slice()),
    ];
    let expected = [
        "0x6c7a6ce1c698eebcb67de2321f57d93d9bd5e518fcbce345213be8712b1e8347f6565cb86cbe0fc6",
        "0xcfC917468c923dF820816621DD89D6Ec5e134855",
        "7a5f9faf9ca7210b58030d58016bb57132bb350ea410c0c13eb10b9a7ca8f294",
    ];
    assert_eq!(found, expected);
}

#[test]
fn two_seeds_share_no_key_and_a_seeds_keys_are_unrelated() {
    let (a, b) = (Seed::from_bytes([1; 32]), Seed::from_bytes([2; 32]));
    assert_ne!(a.channel_key().public_key(), b.channel_key().public_key());
    assert_ne!(a.session_key().address(), b.session_key().address());
    assert_ne!(a.identity_secret(), b.identity_secret());
    assert_ne!(a.identity_secret().as_slice(), a.as_bytes());
}

#[test]
fn a_restored_seed_signs_for_the_same_key() {
    let seed = Seed::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let restored = Seed::from_bytes(*seed.as_bytes());
    let signature = restored.channel_key().sign(Tag::Envelope, &message(1), &[0; 32]);
    assert_eq!(
        seed.channel_key().public_key().verify(Tag::Envelope, &message(1), &signature),
        Ok(())
    );
}

#[test]
fn fresh_seeds_differ() {
    let mut source = ChaCha20Rng::seed_from_u64(2);
    assert_ne!(Seed::generate(&mut source).as_bytes(), Seed::generate(&mut source).as_bytes());
}

#[test]
fn a_seed_does_not_print() {
    assert_eq!(format!("{:?}", Seed::from_bytes([7; 32])), "Seed(..)");
}
