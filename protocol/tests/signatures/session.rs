//! Session keys: against k256's own recovery, alloy's EIP-712 encoder and every refusal.

use alloy_primitives::{Address, B256, U256, address, b256, keccak256};
use alloy_sol_types::SolValue;
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use proptest::prelude::*;
use protocol::ids::{Amount, ChannelId, EscrowVersion, Nonce};
use protocol::session::{
    SessionAddress, SessionDomain, SessionError, SessionKey, SessionSignature, SessionState,
};

/// The order of secp256k1.
const ORDER: B256 = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

const DOMAIN: SessionDomain =
    SessionDomain { chain_id: 31_337, vipe: address!("5fbdb2315678afecb367f032d93f642f64180aa3") };

fn key(seed: u8) -> SessionKey {
    SessionKey::from_bytes(&[seed; 32]).unwrap()
}

fn state(nonce: u64) -> SessionState {
    SessionState {
        channel_id: ChannelId::try_from(7).unwrap(),
        nonce: Nonce::try_from(nonce).unwrap(),
        version: EscrowVersion::try_from(3).unwrap(),
        balance: Amount::try_from(10_u128.pow(30)).unwrap(),
    }
}

/// n - s, the other form of a signature.
fn negated(s: U256) -> B256 {
    B256::from(U256::from_be_bytes(ORDER.0) - s)
}

#[test]
fn the_digest_is_that_of_eip_712_written_out() {
    let type_hash = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
    );
    let separator = keccak256(
        (
            type_hash,
            keccak256("VRC Vipe"),
            keccak256("1"),
            U256::from(DOMAIN.chain_id),
            DOMAIN.vipe,
        )
            .abi_encode(),
    );
    let type_hash =
        keccak256("State(uint56 channelId,uint56 nonce,uint56 version,uint112 balance)");
    let fields =
        (type_hash, U256::from(7), U256::from(9), U256::from(3), U256::from(10_u128.pow(30)));
    let expected =
        keccak256([&[0x19, 0x01], &separator[..], &keccak256(fields.abi_encode())[..]].concat());
    assert_eq!(state(9).digest(&DOMAIN), expected);
}

#[test]
fn the_address_is_that_of_the_key() {
    // The first account of the well-known test mnemonic.
    let secret = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    let expected = address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    assert_eq!(SessionKey::from_bytes(&secret.0).unwrap().address().get(), expected);
}

#[test]
fn a_session_signature_is_of_its_key_state_and_domain_alone() {
    let signature = key(1).sign(&DOMAIN, &state(1)).unwrap();
    assert_eq!(signature.verify(&DOMAIN, &state(1), key(1).address()), Ok(()));
    let wrong = |verdict| matches!(verdict, Err(SessionError::WrongSigner { .. }));
    assert!(wrong(signature.verify(&DOMAIN, &state(1), key(2).address())));
    assert!(wrong(signature.verify(&DOMAIN, &state(2), key(1).address())));
    let other_chain = SessionDomain { chain_id: 1, ..DOMAIN };
    assert!(wrong(signature.verify(&other_chain, &state(1), key(1).address())));
    let other_vault = SessionDomain { vipe: Address::repeat_byte(1), ..DOMAIN };
    assert!(wrong(signature.verify(&other_vault, &state(1), key(1).address())));
}

#[test]
fn signing_a_state_again_gives_the_same_bytes() {
    let sign = || key(3).sign(&DOMAIN, &state(5)).unwrap().to_bytes();
    assert_eq!(sign(), sign());
}

#[test]
fn a_high_s_is_refused() {
    let mut bytes = key(1).sign(&DOMAIN, &state(1)).unwrap().to_bytes();
    // n / 2 + 1 is the smallest high s; it is below 2^255, so it fits beside the parity bit.
    let smallest_high: U256 = (U256::from_be_bytes(ORDER.0) >> 1) + U256::from(1);
    for s in [smallest_high, (U256::from(1) << 255) - U256::from(1)] {
        bytes[32..].copy_from_slice(&s.to_be_bytes::<32>());
        assert_eq!(SessionSignature::from_bytes(&bytes), Err(SessionError::HighS));
    }
    bytes[32..].copy_from_slice(negated(smallest_high).as_slice());
    assert!(SessionSignature::from_bytes(&bytes).is_ok());
}

#[test]
fn r_or_s_of_zero_and_r_of_the_order_or_more_are_refused() {
    let bytes = key(1).sign(&DOMAIN, &state(1)).unwrap().to_bytes();
    for r in [B256::ZERO, ORDER, B256::repeat_byte(0xff)] {
        let mut bytes = bytes;
        bytes[..32].copy_from_slice(r.as_slice());
        assert_eq!(SessionSignature::from_bytes(&bytes), Err(SessionError::OutOfRange));
    }
    for first in [0, 0x80] {
        let mut bytes = bytes;
        bytes[32..].fill(0);
        bytes[32] = first;
        assert_eq!(SessionSignature::from_bytes(&bytes), Err(SessionError::OutOfRange));
    }
}

#[test]
fn an_r_that_is_no_coordinate_is_refused() {
    // x = 5 is the x-coordinate of no point of secp256k1.
    let mut bytes = [0; 64];
    bytes[31] = 5;
    bytes[63] = 1;
    let signature = SessionSignature::from_bytes(&bytes).unwrap();
    assert_eq!(signature.recover(&DOMAIN, &state(1)), Err(SessionError::Unrecoverable));
}

#[test]
fn a_signature_of_the_point_at_infinity_is_refused() {
    // R = G and s = z make the key (z G - z G) / r.
    let digest = B256::repeat_byte(0x11);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(
        &b256!("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798").0,
    );
    bytes[32..].copy_from_slice(digest.as_slice());
    let signature = SessionSignature::from_bytes(&bytes).unwrap();
    assert_eq!(signature.recover_digest(&digest), Err(SessionError::Unrecoverable));
}

#[test]
fn the_zero_address_is_no_session_address() {
    assert_eq!(SessionAddress::try_from(Address::ZERO), Err(SessionError::ZeroAddress));
}

#[test]
fn a_secret_session_key_out_of_range_is_refused_and_none_prints() {
    for bytes in [[0; 32], ORDER.0, [0xff; 32]] {
        assert_eq!(SessionKey::from_bytes(&bytes).err(), Some(SessionError::SecretOutOfRange));
    }
    assert_eq!(format!("{:?}", key(1)), format!("SessionKey(of {})", key(1).address()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn recovery_agrees_with_k256(r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), digest in any::<[u8; 32]>()) {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&r);
        bytes[32..].copy_from_slice(&s);
        let is_y_odd = s[0] & 0x80 != 0;
        let mut low = s;
        low[0] &= 0x7f;
        let expected = Signature::from_scalars(r, low).ok().filter(|signature| signature.normalize_s().is_none());
        let signature = SessionSignature::from_bytes(&bytes).ok();
        prop_assert_eq!(signature.is_some(), expected.is_some());
        if let (Some(signature), Some(expected)) = (signature, expected) {
            prop_assert_eq!(signature.to_bytes(), bytes);
            let recovery = RecoveryId::new(is_y_odd, false);
            let expected = VerifyingKey::recover_from_prehash(&digest, &expected, recovery).ok();
            let expected = expected.map(|key| Address::from_public_key(&key));
            prop_assert_eq!(signature.recover_digest(&digest.into()).ok().map(SessionAddress::get), expected);
        }
    }

    #[test]
    fn signing_agrees_with_k256(secret in any::<[u8; 32]>(), digest in any::<[u8; 32]>()) {
        let Ok(key) = SessionKey::from_bytes(&secret) else { return Ok(()) };
        let plain = SigningKey::from_bytes(&secret.into()).unwrap();
        let (signature, recovery) = plain.sign_prehash_recoverable(&digest).unwrap();
        let ours = key.sign_digest(&digest.into()).unwrap();
        prop_assert_eq!(ours.r().0, <[u8; 32]>::from(signature.r().to_bytes()));
        let mut vs = <[u8; 32]>::from(signature.s().to_bytes());
        vs[0] |= u8::from(recovery.is_y_odd()) << 7;
        prop_assert_eq!(ours.vs().0, vs);
    }

    #[test]
    fn what_a_session_key_signs_verifies(secret in any::<[u8; 32]>(), nonce in 0..1_u64 << 56) {
        let Ok(key) = SessionKey::from_bytes(&secret) else { return Ok(()) };
        let signature = key.sign(&DOMAIN, &state(nonce)).unwrap();
        let decoded = SessionSignature::from_bytes(&signature.to_bytes()).unwrap();
        prop_assert_eq!(decoded, signature);
        prop_assert_eq!(decoded.verify(&DOMAIN, &state(nonce), key.address()), Ok(()));
    }
}
