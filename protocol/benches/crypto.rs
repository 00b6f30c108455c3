//! What one signature costs, and one whole update of a state: `cargo bench -p protocol`.
#![allow(missing_docs, reason = "made by the macro")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so at once")]

use alloy_primitives::Address;
use criterion::{Criterion, criterion_group, criterion_main};
use plonky2_field::types::Field;
use protocol::F;
use protocol::hash::{Digest, poseidon};
use protocol::ids::{Amount, ChannelId, EscrowVersion, Nonce};
use protocol::schnorr::{PublicKey, Tag};
use protocol::seed::Seed;
use protocol::session::{SessionDomain, SessionState};
use protocol::tags;
use std::hint::black_box;

fn message() -> Digest {
    poseidon(tags::STATE, [F::ONE; 12])
}

fn session() -> (SessionDomain, SessionState) {
    let domain = SessionDomain { chain_id: 1, vipe: Address::repeat_byte(7) };
    let state = SessionState {
        channel_id: ChannelId::try_from(1).unwrap(),
        nonce: Nonce::try_from(2).unwrap(),
        version: EscrowVersion::try_from(3).unwrap(),
        balance: Amount::try_from(4).unwrap(),
    };
    (domain, state)
}

fn schnorr(bencher: &mut Criterion) {
    let (key, other) =
        (Seed::from_bytes([1; 32]).channel_key(), Seed::from_bytes([2; 32]).channel_key());
    let message = message();
    let signature = key.sign(Tag::StateParticipant, &message, &[3; 32]);
    let encoded = key.public_key().to_bytes();
    bencher.bench_function("poseidon, 15 elements", |bencher| {
        bencher.iter(|| poseidon(tags::STATE, black_box([F::ONE; 14])));
    });
    bencher.bench_function("schnorr sign", |bencher| {
        bencher.iter(|| key.sign(Tag::StateParticipant, black_box(&message), &[3; 32]));
    });
    bencher.bench_function("schnorr verify", |bencher| {
        bencher.iter(|| {
            key.public_key()
                .verify(Tag::StateParticipant, black_box(&message), &signature)
                .unwrap();
        });
    });
    bencher.bench_function("decode a channel key", |bencher| {
        bencher.iter(|| PublicKey::from_bytes(black_box(&encoded)).unwrap());
    });
    bencher.bench_function("diffie-hellman", |bencher| {
        bencher.iter(|| key.diffie_hellman(black_box(other.public_key())).unwrap());
    });
}

fn secp256k1(bencher: &mut Criterion) {
    let key = Seed::from_bytes([1; 32]).session_key();
    let (domain, state) = session();
    let signature = key.sign(&domain, &state).unwrap();
    bencher.bench_function("session digest", |bencher| {
        bencher.iter(|| black_box(&state).digest(&domain));
    });
    bencher.bench_function("session sign", |bencher| {
        bencher.iter(|| key.sign(&domain, black_box(&state)).unwrap());
    });
    bencher.bench_function("session recover", |bencher| {
        bencher.iter(|| signature.recover(&domain, black_box(&state)).unwrap());
    });
}

/// All the signatures of one update, both sides together: proposal, partial state, final state, each made and checked.
fn update(bencher: &mut Criterion) {
    let (participant, counterparty) = (Seed::from_bytes([1; 32]), Seed::from_bytes([2; 32]));
    let (participant_key, counterparty_key) =
        (participant.channel_key(), counterparty.channel_key());
    let sessions = [participant.session_key(), counterparty.session_key()];
    let (domain, state) = session();
    let message = message();
    bencher.bench_function("all signatures of an update, both sides", |bencher| {
        bencher.iter(|| {
            for (key, tag) in [
                (&participant_key, Tag::Propose),
                (&counterparty_key, Tag::StateCounterparty),
                (&participant_key, Tag::StateParticipant),
            ] {
                let signature = key.sign(tag, black_box(&message), &[3; 32]);
                key.public_key().verify(tag, &message, &signature).unwrap();
            }
            for key in &sessions {
                let signature = key.sign(&domain, black_box(&state)).unwrap();
                signature.verify(&domain, &state, key.address()).unwrap();
            }
        });
    });
}

criterion_group!(benches, schnorr, secp256k1, update);
criterion_main!(benches);
