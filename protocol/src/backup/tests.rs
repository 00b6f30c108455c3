use alloy_primitives::{B256, keccak256};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::{
    encoding::DecodeError,
    ids::{Nonce, Role},
    schnorr::SignatureError,
    testing::{HEDGE, Pair, account, nonce},
    zksc::VerifyError,
};

fn reread(envelope: &Envelope) -> UnverifiedEnvelope {
    UnverifiedEnvelope::from_bytes(&envelope.to_bytes()).unwrap()
}

// ---------------------------------------------------------------------------------------------------- the key

#[test]
fn both_parties_derive_the_one_key_that_the_channel_registered() {
    let pair = Pair::new(1);
    for role in Role::BOTH {
        let key = DisputeKey::of(&pair.channel, role, pair.signer(role).channel_key()).unwrap();
        assert_eq!(key.hash(), pair.channel.terms().dispute_hash);
        assert_eq!(key.reveal(), pair.dispute_key.reveal());
    }
    assert_eq!(pair.dispute_key.hash(), keccak256(pair.dispute_key.reveal()));
    assert_eq!(format!("{:?}", pair.dispute_key), "DisputeKey(..)");
}

#[test]
fn a_channel_with_another_dispute_hash_is_not_consented_to() {
    let pair = Pair::with(1, |terms| terms.dispute_hash = B256::repeat_byte(1));
    let key = DisputeKey::of(&pair.channel, Role::Counterparty, pair.counterparty.channel_key());
    assert_eq!(key.unwrap_err(), DisputeKeyError::OtherHash);
}

#[test]
fn another_salt_or_another_partner_gives_another_key() {
    let (one, two) = (Pair::new(1), Pair::new(2));
    let secret = one.participant.channel_key();
    let salt = one.channel.terms().salt;
    let derive = |other: &Pair, salt: &B256| {
        let key = other.counterparty.channel_key().public_key();
        DisputeKey::derive(secret, key, salt).unwrap().hash()
    };
    assert_eq!(derive(&one, &salt), one.dispute_key.hash());
    assert_ne!(derive(&one, &B256::ZERO), one.dispute_key.hash());
    assert_ne!(derive(&two, &salt), one.dispute_key.hash());
}

// ---------------------------------------------------------------------------------------------------- sealing

#[test]
fn a_sealed_state_opens_to_itself_after_the_key_is_revealed() {
    let pair = Pair::new(1);
    let state = pair.final_state(5, 77);
    for role in Role::BOTH {
        let envelope = reread(&pair.seal(role, &state)).admit(&pair.channel).unwrap();
        let revealed = DisputeKey::from_bytes(*pair.dispute_key.reveal());
        assert_eq!(open(&envelope, &pair.channel, &revealed).unwrap(), state);
    }
}

#[test]
fn sealing_again_gives_the_same_id_whatever_the_randomness() {
    let pair = Pair::new(1);
    let state = pair.final_state(5, 77);
    let one = pair.seal(Role::Participant, &state);
    let two = seal(&state, &pair.channel, &pair.dispute_key, &pair.participant, &[1; 32]).unwrap();
    assert_eq!(one.id(), two.id());
    assert_eq!(two.order(&one), Order::Same);
}

#[test]
fn every_envelope_has_one_length_and_the_roles_share_no_bytes() {
    let pair = Pair::new(1);
    let [one, two] = Role::BOTH.map(|role| pair.seal(role, &pair.final_state(5, 77)).to_bytes());
    assert_eq!((one.len(), two.len()), (Envelope::LEN, Envelope::LEN));
    let equal = one[Header::LEN..].iter().zip(&two[Header::LEN..]).filter(|(a, b)| a == b).count();
    assert!(equal < 20, "{equal} of 480 bytes are equal: the slots share a key stream");
}

#[test]
fn flipping_any_byte_of_an_envelope_is_noticed() {
    let pair = Pair::new(1);
    let good = pair.seal(Role::Participant, &pair.final_state(5, 77)).to_bytes();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let admitted =
            UnverifiedEnvelope::from_bytes(&bytes).map(|envelope| envelope.admit(&pair.channel));
        assert!(!matches!(admitted, Ok(Ok(_))), "byte {at} does not matter");
    }
    assert!(UnverifiedEnvelope::from_bytes(&good[1..]).is_err());
    assert!(UnverifiedEnvelope::from_bytes(&[good.as_slice(), &[0]].concat()).is_err());
}

/// The owner signs whatever it likes, so the checks inside must not lean on the signature outside.
#[test]
fn a_slots_owner_can_harm_only_itself_with_garbage() {
    let pair = Pair::new(1);
    let envelope = pair.seal(Role::Participant, &pair.final_state(5, 77));
    let header = *envelope.header();
    let signed = |header: Header, ciphertext| {
        Envelope::sign(header, ciphertext, pair.participant.channel_key(), &HEDGE)
    };
    let opened = |envelope: &Envelope| {
        let envelope = reread(envelope).admit(&pair.channel).unwrap();
        open(&envelope, &pair.channel, &pair.dispute_key)
    };
    let mut ciphertext = *envelope.ciphertext();
    let inflated = signed(Header { nonce: Nonce::MAX, ..header }, ciphertext);
    assert_eq!(opened(&inflated), Err(OpenError::Ciphertext), "the header is authenticated");
    for at in 0..ciphertext.len() {
        ciphertext[at] ^= 1;
        assert_eq!(opened(&signed(header, ciphertext)), Err(OpenError::Ciphertext));
        ciphertext[at] ^= 1;
    }
}

#[test]
fn a_state_with_another_nonce_than_the_header_is_discarded() {
    let pair = Pair::new(1);
    let lie = |header: u64, state: &[u8]| {
        let header = Header {
            domain: pair.channel.domain(),
            channel_id: pair.channel.id(),
            role: Role::Participant,
            nonce: nonce(header),
        };
        let mut plaintext = state.to_vec();
        plaintext.resize(envelope::PLAINTEXT_LEN, 0);
        let ciphertext = seal::encrypt(&pair.dispute_key, &header, &plaintext).unwrap();
        let secret = pair.participant.channel_key();
        let envelope = Envelope::sign(header, ciphertext, secret, &HEDGE);
        open(&envelope, &pair.channel, &pair.dispute_key)
    };
    let state = pair.final_state(5, 77).to_bytes();
    assert!(lie(5, &state).is_ok());
    assert!(matches!(lie(6, &state), Err(OpenError::NonceDiffers { .. })));
    assert!(matches!(lie(5, &[0; 10]), Err(OpenError::Plaintext(_))));
    let foreign = Pair::new(2).final_state(5, 77).to_bytes();
    assert_eq!(lie(5, &foreign), Err(OpenError::State(VerifyError::OtherDomain)));
    let mut padded = state;
    padded.extend([0, 1]);
    assert_eq!(lie(5, &padded), Err(OpenError::Padding));
}

#[test]
fn nobody_seals_with_a_key_that_will_not_open() {
    let (pair, other) = (Pair::new(1), Pair::new(2));
    let state = pair.final_state(5, 77);
    let refused = seal(&state, &pair.channel, &other.dispute_key, &pair.participant, &HEDGE);
    assert_eq!(refused, Err(SealError::OtherKey));
    let refused = seal(&state, &pair.channel, &pair.dispute_key, &other.participant, &HEDGE);
    assert_eq!(refused, Err(SealError::OtherChannel));
    let refused = seal(&state, &other.channel, &other.dispute_key, &other.participant, &HEDGE);
    assert_eq!(refused, Err(SealError::OtherChannel));
    let envelope = pair.seal(Role::Participant, &state);
    assert_eq!(open(&envelope, &pair.channel, &other.dispute_key), Err(OpenError::OtherKey));
}

// ---------------------------------------------------------------------------------------------------- slots

#[test]
fn neither_party_can_write_the_others_slot() {
    let pair = Pair::new(1);
    let header = *pair.seal(Role::Counterparty, &pair.final_state(5, 77)).header();
    let ciphertext = [0; envelope::CIPHERTEXT_LEN];
    let forged = Envelope::sign(header, ciphertext, pair.participant.channel_key(), &HEDGE);
    assert_eq!(
        reread(&forged).admit(&pair.channel),
        Err(AdmitError::Signature(SignatureError::Mismatch))
    );
}

#[test]
fn an_envelope_of_another_channel_or_vault_is_not_admitted() {
    let pair = Pair::new(1);
    let envelope = pair.seal(Role::Participant, &pair.final_state(5, 77));
    let other = Pair::in_vault(1, 31_337, account(1, "vipe"), 2).channel;
    assert_eq!(reread(&envelope).admit(&other), Err(AdmitError::OtherChannel));
    let other = Pair::in_vault(1, 1, account(1, "vipe"), 1).channel;
    assert_eq!(reread(&envelope).admit(&other), Err(AdmitError::OtherDomain));
}

#[test]
fn an_unknown_format_or_role_is_refused() {
    let pair = Pair::new(1);
    let mut bytes = pair.seal(Role::Participant, &pair.final_state(5, 77)).to_bytes();
    bytes[0] = 2;
    assert_eq!(UnverifiedEnvelope::from_bytes(&bytes), Err(DecodeError::Version(2)));
    bytes[0] = 1;
    bytes[30] = 2;
    assert!(matches!(UnverifiedEnvelope::from_bytes(&bytes), Err(DecodeError::Id(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Replicas that get the same envelopes in any order end with the same one; two ids at one nonce are evidence.
    #[test]
    fn replicas_converge_on_the_greatest_nonce_and_then_the_smallest_id(
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let pair = Pair::new(1);
        let all: Vec<Envelope> = [(4, 1), (5, 1), (5, 2), (5, 3), (3, 9), (5, 1)]
            .map(|(nonce, balance)| pair.seal(Role::Participant, &pair.final_state(nonce, balance)))
            .into();
        let best = all[1..4].iter().min_by_key(|envelope| envelope.id()).unwrap();
        let mut stored = all[order[0]].clone();
        for at in &order[1..] {
            if all[*at].order(&stored).replaces() {
                stored = all[*at].clone();
            }
        }
        prop_assert_eq!(stored.id(), best.id());
        prop_assert_eq!(all[0].order(&all[1]), Order::Older);
        prop_assert_eq!(all[1].order(&all[0]), Order::Newer);
        let conflict = matches!(all[1].order(&all[2]), Order::Conflict { .. });
        prop_assert!(conflict);
    }
}

#[test]
fn a_slot_rises_by_no_more_than_its_allowance_in_an_hour() {
    let mut rate = SlotRate::new(nonce(10), 0);
    rate.rise(nonce(10), nonce(60), 100, 10).unwrap();
    rate.rise(nonce(60), nonce(110), 100, 20).unwrap();
    let refused = rate.rise(nonce(110), nonce(111), 100, 3_599);
    assert!(matches!(refused, Err(AdmitError::TooFast { limit: 100, .. })));
    rate.rise(nonce(110), nonce(210), 100, 3_600).unwrap();
    assert!(rate.rise(nonce(210), Nonce::MAX, 100, 90_000).is_err());
    rate.rise(nonce(210), nonce(211), 100, 90_000).unwrap();
}

// ---------------------------------------------------------------------------------------------------- receipts

#[test]
fn a_receipt_is_the_named_towers_word_about_one_envelope() {
    let pair = Pair::new(1);
    let key = SigningKey::from_slice(&[3; 32]).unwrap();
    let tower = alloy_primitives::Address::from_public_key(key.verifying_key());
    let terms = pair.channel.terms();
    let envelope = pair.seal(Role::Participant, &pair.final_state(5, 77));
    let receipt = Receipt::new(&envelope, terms.chain_id, terms.vipe, tower, 1_900_000_000);
    let signed = receipt.sign(&key).unwrap();
    signed.covers(&envelope, terms.chain_id, terms.vipe).unwrap();
    let newer = pair.seal(Role::Participant, &pair.final_state(6, 77));
    let other = signed.covers(&newer, terms.chain_id, terms.vipe);
    assert_eq!(other, Err(ReceiptError::OtherEnvelope));
    assert!(signed.covers(&envelope, 1, terms.vipe).is_err());

    let json = serde_json::to_value(signed).unwrap();
    assert_eq!(serde_json::from_value::<SignedReceipt>(json.clone()).unwrap(), signed);
    for (field, value) in [
        ("nonce", serde_json::json!(6)),
        ("until", serde_json::json!(1_900_000_001)),
        ("role", serde_json::json!("counterparty")),
        ("tower", serde_json::json!(account(1, "another"))),
        ("chain_id", serde_json::json!(1)),
        ("envelope_id", serde_json::json!(B256::ZERO)),
    ] {
        let mut forged = json.clone();
        forged["receipt"][field] = value;
        assert!(serde_json::from_value::<SignedReceipt>(forged).is_err(), "{field} is not signed");
    }
    let stranger = SigningKey::from_slice(&[4; 32]).unwrap();
    assert!(matches!(receipt.sign(&stranger), Err(ReceiptError::OtherSigner(_))));
}

#[test]
fn a_receipt_is_signed_as_whoever_reads_it_recovers_it() {
    let pair = Pair::new(1);
    let envelope = pair.seal(Role::Participant, &pair.final_state(5, 10));
    for seed in 1..=64 {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let tower = alloy_primitives::Address::from_private_key(&key);
        let receipt = Receipt::new(&envelope, 1, account(1, "vipe"), tower, u64::from(seed));
        let signed = receipt.sign(&key).unwrap();
        assert_eq!(receipt.sign(&key).unwrap(), signed, "the same bytes again");
        let read = receipt.signed(alloy_primitives::Signature::from_erc2098(signed.signature()));
        assert_eq!(read, Ok(signed));
    }
}

#[test]
fn a_receipt_holds_for_its_validity_and_is_the_same_for_an_eighth_of_it() {
    let day = 86_400;
    let untils: Vec<u64> = (0..=day).step_by(60).map(|now| Receipt::until(7 + now, day)).collect();
    for (now, until) in (0..=day).step_by(60).zip(&untils) {
        assert!((day..=day + day / 8).contains(&(until - 7 - now)), "{until} at {now}");
    }
    let different: std::collections::BTreeSet<_> = untils.into_iter().collect();
    assert!(different.len() <= 9, "{different:?}");
    assert_eq!((Receipt::until(10, 0), Receipt::until(u64::MAX, 60)), (10, u64::MAX));
}

#[test]
fn a_receipt_with_a_high_s_is_refused() {
    let key = SigningKey::from_slice(&[3; 32]).unwrap();
    let tower = alloy_primitives::Address::from_public_key(key.verifying_key());
    let pair = Pair::new(1);
    let envelope = pair.seal(Role::Participant, &pair.final_state(5, 77));
    let receipt = Receipt::new(&envelope, 1, account(1, "vipe"), tower, 1);
    let signed = receipt.sign(&key).unwrap();
    let low = alloy_primitives::Signature::from_erc2098(signed.signature());
    let order = alloy_primitives::uint!(
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256
    );
    let high = alloy_primitives::Signature::new(low.r(), order - low.s(), !low.v());
    assert_eq!(receipt.signed(high), Err(ReceiptError::Malformed));
}
