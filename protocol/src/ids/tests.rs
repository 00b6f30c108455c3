use alloy_primitives::address;
use plonky2_field::types::PrimeField64;

use super::*;

const VIPE: Address = address!("00112233445566778899aabbccddeeff01234567");

#[test]
fn numbers_hold_their_bounds() {
    assert_eq!(ChannelId::try_from(0), Err(IdError::ChannelId(0)));
    assert_eq!(ChannelId::try_from(1).unwrap().get(), 1);
    assert_eq!(ChannelId::try_from(1 << 56), Err(IdError::ChannelId(1 << 56)));
    assert_eq!(Nonce::try_from((1 << 56) - 1).unwrap(), Nonce::MAX);
    assert_eq!(Nonce::try_from(1 << 56), Err(IdError::Nonce(1 << 56)));
    assert_eq!(EscrowVersion::try_from(1 << 56), Err(IdError::EscrowVersion(1 << 56)));
    assert_eq!(Amount::try_from((1_u128 << 112) - 1).unwrap(), Amount::MAX);
    assert_eq!(Amount::try_from(1_u128 << 112), Err(IdError::Amount(1 << 112)));
    assert!(Amount::try_from(U256::MAX).is_err());
    assert_eq!(Nonce::MAX.next(), None);
    assert_eq!(Nonce::ZERO.next(), Some(Nonce(1)));
    assert_eq!(Amount::MAX.checked_add(Amount(1)), None);
    assert_eq!(Amount::ZERO.checked_sub(Amount(1)), None);
}

/// The encoding is assembled here by hand: three words of head, then the string's length and its bytes.
#[test]
fn the_domain_is_that_of_the_abi_encoding() {
    let mut encoded = [0_u8; 160];
    encoded[31] = 0x60;
    encoded[32 + 30..64].copy_from_slice(&31_337_u16.to_be_bytes());
    encoded[64 + 12..96].copy_from_slice(VIPE.as_slice());
    encoded[127] = 4;
    encoded[128..132].copy_from_slice(b"vrc5");
    let domain = Domain::derive(31_337, VIPE);
    assert_eq!(domain.as_bytes()[..], keccak256(encoded)[..21]);
    assert_eq!(domain.to_string(), "0xc2ed13febd5294564a086940a7d5e6ae33120648cd");
}

#[test]
fn limbs_are_56_bits_low_first() {
    let amount = Amount((7 << 56) | 5);
    assert_eq!(amount.limbs().map(|l| l.to_canonical_u64()), [5, 7]);
    let end = (1_u64 << 56) - 1;
    assert_eq!(Amount::MAX.limbs().map(|l| l.to_canonical_u64()), [end, end]);
    let mut bytes = [0_u8; 21];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::try_from(at).unwrap();
    }
    let domain = Domain::from_bytes(bytes);
    assert_eq!(
        domain.limbs().map(|l| l.to_canonical_u64()),
        [0x0e_0f10_1112_1314, 0x07_0809_0a0b_0c0d, 0x00_0102_0304_0506]
    );
    assert_eq!(
        address_limbs(&VIPE).map(|l| l.to_canonical_u64()),
        [0xdd_eeff_0123_4567, 0x66_7788_99aa_bbcc, 0x0011_2233_4455]
    );
}

#[test]
fn json_is_checked_like_everything_else() {
    assert!(serde_json::from_str::<ChannelId>("0").is_err());
    assert!(serde_json::from_str::<Nonce>("72057594037927936").is_err());
    assert!(serde_json::from_str::<Amount>("5").is_err());
    assert_eq!(serde_json::from_str::<Amount>("\"5\"").unwrap(), Amount(5));
    let domain = Domain::derive(1, VIPE);
    let text = serde_json::to_string(&domain).unwrap();
    assert_eq!(serde_json::from_str::<Domain>(&text).unwrap(), domain);
    assert!("0x00".parse::<Domain>().is_err());
}
