//! Native twin and circuit agree; each statement violated in turn is refused.
//!
//! Most tests build the circuit at a low rate (the constraints are the same, the build takes milliseconds) and check a witness
//! row by row instead of proving it: that names the constraint that is violated.

mod harness;

use plonky2::field::extension::quintic::QuinticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::generator::generate_partial_witness;
use plonky2::iop::witness::Witness;
use protocol::ecgfp5::{Point, Scalar};
use protocol::hash::poseidon as native_poseidon;
use protocol::schnorr::{SecretKey, Signature, challenge};
use protocol::testing::{HEDGE, Pair, signer};
use protocol::zksc::Statement;
use protocol::{Address, Role, tags};

use self::harness::{Harness, with_harness};
use super::*;
use crate::config::circuit_config;
use crate::gates::arithmetic::CURVE_B1;
use crate::gates::endpoint;
use crate::gates::formula::{Formula, Row};
use crate::zksc::{NotLive, PartyWitness};

fn beneficiary() -> Address {
    Address::repeat_byte(0xb7)
}

fn live(seed: u64) -> LiveState {
    let pair = Pair::new(seed);
    LiveState::new(
        &pair.final_state(seed + 5, u128::from(seed) * 1_000 + 1),
        &pair.channel,
        beneficiary(),
    )
}

fn secret(seed: u64, role: Role) -> SecretKey {
    signer(seed, role).channel_key().clone()
}

/// `live` with both signatures made anew for its elements, whatever they are.
fn signed_again(mut live: LiveState, seed: u64) -> LiveState {
    let digest = native_poseidon(tags::STATE, live.state);
    live.participant.signature =
        secret(seed, Role::Participant).sign(Tag::StateParticipant, &digest, &HEDGE);
    live.counterparty.signature =
        secret(seed, Role::Counterparty).sign(Tag::StateCounterparty, &digest, &HEDGE);
    live
}

#[test]
fn native_and_circuit_agree() {
    with_harness(|harness| {
        for seed in 0..8 {
            let live = live(seed);
            assert!(live.check().is_ok());
            assert_eq!(harness.violations(harness.witness(&live)).unwrap(), []);
            let partition = generate_partial_witness(
                harness.witness(&live),
                &harness.data.prover_only,
                &harness.data.common,
            )
            .unwrap();
            let inputs = partition.get_targets(&harness.data.prover_only.public_inputs);
            assert_eq!(inputs, live.check().unwrap());
        }
    });
}

#[test]
fn the_public_inputs_are_those_of_the_protocols_statement() {
    let pair = Pair::new(3);
    let state = pair.final_state(9, 777);
    let statement = Statement::new(&state, &pair.channel, beneficiary()).unwrap();
    let live = LiveState::new(&state, &pair.channel, beneficiary());
    assert_eq!(live.check().unwrap(), statement.to_elements());
}

#[test]
fn the_extremes_of_every_range_are_provable() {
    with_harness(|harness| {
        let mut live = live(1);
        for limb in 0..8 {
            live.state[limb] = F::from_canonical_u64((1 << 56) - 1);
        }
        live.state[8..].copy_from_slice(&[F::NEG_ONE, F::ZERO, F::NEG_ONE, F::ONE]);
        live.beneficiary =
            [(1 << 56) - 1, (1 << 56) - 1, (1u64 << 48) - 1].map(F::from_canonical_u64);
        let live = signed_again(live, 1);
        assert!(live.check().is_ok());
        assert!(harness.provable(&live));
    });
}

#[test]
fn statement_1_is_enforced() {
    with_harness(|harness| {
        for element in 0..11 {
            for excess in [1 << 56, if element == 10 { 1 << 48 } else { 1 << 60 }] {
                let mut live = live(2);
                let value = F::from_canonical_u64(excess);
                if element < 8 {
                    live.state[element] = value;
                } else {
                    live.beneficiary[element - 8] = value;
                }
                let live = signed_again(live, 2);
                assert_eq!(live.check(), Err(NotLive::OutOfRange { element }));
                let violations = harness.violations(harness.witness(&live)).unwrap();
                assert_eq!(violations.len(), 1, "only the range check: {violations:?}");
                assert_eq!(violations[0].0, "RangeGate");
            }
        }
    });
}

/// s + n has the same R: only the range of s can refuse it.
#[test]
fn statement_1_is_enforced_for_scalars() {
    with_harness(|harness| {
        let live = live(3);
        let digits = SignatureDigits::from(&live.participant.signature);
        let mut carry = 1;
        let mut sum = digits;
        for (digit, other) in sum.s.iter_mut().zip(Scalar::ZERO.minus(&Scalar::ONE).nibbles()) {
            let value = *digit + other + carry;
            *digit = value & 15;
            carry = value >> 4;
        }
        assert_eq!(carry, 0, "n + s fits 320 bits");
        for (participant, expected) in [(digits, 0), (sum, 1)] {
            let mut witness = PartialWitness::new();
            let parties = [
                (live.participant.key.to_elements(), participant),
                (
                    live.counterparty.key.to_elements(),
                    SignatureDigits::from(&live.counterparty.signature),
                ),
            ];
            harness
                .targets
                .fill_digits(&mut witness, &live.state, &live.beneficiary, parties)
                .unwrap();
            let violations = harness.violations(witness).unwrap();
            assert!(violations.iter().all(|(gate, _)| gate == "RangeGate"), "{violations:?}");
            assert_eq!(usize::from(!violations.is_empty()), expected);
        }
    });
}

#[test]
fn statement_2_is_enforced() {
    with_harness(|harness| {
        // One key for both roles, which signs for both.
        let mut same = live(4);
        same.counterparty.key = same.participant.key;
        let digest = native_poseidon(tags::STATE, same.state);
        same.counterparty.signature =
            secret(4, Role::Participant).sign(Tag::StateCounterparty, &digest, &HEDGE);
        assert!(matches!(same.check(), Err(NotLive::Keys(_))));
        assert!(!harness.provable(&same));
        // No point, and the neutral element.
        let live = live(4);
        let digits = [&live.participant, &live.counterparty]
            .map(|party| SignatureDigits::from(&party.signature));
        for key in [[F::ONE, F::ONE, F::ZERO, F::ZERO, F::ZERO], [F::ZERO; 5]] {
            let mut witness = PartialWitness::new();
            let parties = [(key, digits[0]), (live.counterparty.key.to_elements(), digits[1])];
            harness
                .targets
                .fill_digits(&mut witness, &live.state, &live.beneficiary, parties)
                .unwrap();
            assert!(harness.violations(witness).is_err());
        }
    });
}

/// Each w = y / x belongs to two points: P of order n, and -P + N, where N is the point of order two. Who may use the latter
/// as his key can sign with s = k + e x where e is even, since then e N is neutral. Only "x is a square" refuses it.
#[test]
fn statement_2_is_enforced_for_points_outside_the_group() {
    let mut live = live(10);
    let secret = Scalar::from_words(2_718, 281);
    live.participant.key = *SecretKey::from_bytes(&secret.to_bytes()).unwrap().public_key();
    let live = LiveState { counterparty: signed_again(live, 10).counterparty, ..live };
    let key = live.participant.key.to_elements();
    let digest = native_poseidon(tags::STATE, live.state);
    let (k, e) = (1..)
        .map(|k| {
            let k = Scalar::from_words(k, 7);
            let commitment = Point::multiply_generator(&k).encode();
            (k, challenge(Tag::StateParticipant, &commitment, &key, &digest))
        })
        .find(|(_, e)| e[0].to_canonical_u64() % 2 == 0)
        .unwrap();
    let e_scalar = Scalar::from_words(e[0].to_canonical_u64(), e[1].to_canonical_u64());
    let signature = Signature::from_parts(e, k.plus(&e_scalar.times(&secret))).unwrap();
    assert!(live.participant.key.verify(Tag::StateParticipant, &digest, &signature).is_err());

    // The participant's endpoint row, made by hand for the other point: x' = b / x.
    let (x, _) = live.participant.key.affine().coordinates();
    let mut b = QuinticExtension([F::ZERO; 5]);
    b.0[1] = F::from_canonical_u64(CURVE_B1);
    let other_x = (b * QuinticExtension(x).inverse()).0;
    let mut row = Row { wires: vec![F::ZERO; endpoint::Endpoint::WIRES] };
    row.set(endpoint::WIRES_KEY, &key);
    row.set(endpoint::WIRES_OTHER_KEY, &live.counterparty.key.to_elements());
    endpoint::begin_with(&mut row, &other_x, &[F::TWO; 5]).unwrap();

    let harness = Harness::new().without_generator("EndpointGateGenerator");
    let mut witness = PartialWitness::new();
    let parties = [
        (key, SignatureDigits::from(&signature)),
        (live.counterparty.key.to_elements(), SignatureDigits::from(&live.counterparty.signature)),
    ];
    harness.targets.fill_digits(&mut witness, &live.state, &live.beneficiary, parties).unwrap();
    for wire in endpoint::Endpoint::stages()[0].outputs.clone() {
        let target = Target::wire(harness.targets.participant.signature.endpoint, wire);
        witness.set_target(target, row.wires[wire]).unwrap();
    }
    let violations = harness.violations(witness).unwrap();
    assert!(!violations.is_empty());
    for (gate, number) in &violations {
        assert!(gate == "EndpointGate" && (2..=6).contains(number), "{violations:?}");
    }
}

#[test]
fn statements_4_to_6_are_enforced() {
    with_harness(|harness| {
        let live = live(5);
        let digest = native_poseidon(tags::STATE, live.state);
        let other = native_poseidon(tags::TRANSITION, live.state);
        let mut cases = Vec::new();
        for tag in Tag::ALL {
            // Each key under every tag but its own.
            let (participant, counterparty) =
                (secret(5, Role::Participant), secret(5, Role::Counterparty));
            if tag != Tag::StateParticipant {
                let signature = participant.sign(tag, &digest, &HEDGE);
                cases.push(LiveState {
                    participant: PartyWitness { signature, ..live.participant },
                    ..live
                });
            }
            if tag != Tag::StateCounterparty {
                let signature = counterparty.sign(tag, &digest, &HEDGE);
                cases.push(LiveState {
                    counterparty: PartyWitness { signature, ..live.counterparty },
                    ..live
                });
            }
        }
        // Another message; swapped signatures; swapped parties; another's signature.
        let signature = secret(5, Role::Participant).sign(Tag::StateParticipant, &other, &HEDGE);
        cases.push(LiveState {
            participant: PartyWitness { signature, ..live.participant },
            ..live
        });
        let mut swapped = live;
        core::mem::swap(&mut swapped.participant.signature, &mut swapped.counterparty.signature);
        cases.push(swapped);
        cases.push(LiveState {
            participant: live.counterparty,
            counterparty: live.participant,
            ..live
        });
        let signature = secret(6, Role::Participant).sign(Tag::StateParticipant, &digest, &HEDGE);
        cases.push(LiveState {
            participant: PartyWitness { signature, ..live.participant },
            ..live
        });
        // Every element of the state is signed.
        for element in 0..12 {
            let mut changed = live;
            changed.state[element] += F::ONE;
            cases.push(changed);
        }
        assert!(harness.provable(&live));
        for (case, live) in cases.iter().enumerate() {
            assert!(matches!(live.check(), Err(NotLive::Signature { .. })), "case {case}");
            assert!(!harness.provable(live), "case {case}");
        }
    });
}

/// A signature with the nonce 0: R is the neutral element, whose encoding is zero. A verifier with complete formulas accepts it.
#[test]
fn a_neutral_commitment_is_refused_by_both() {
    with_harness(|harness| {
        let mut live = live(7);
        let secret_scalar = Scalar::from_words(12_345, 678);
        live.participant.key =
            *SecretKey::from_bytes(&secret_scalar.to_bytes()).unwrap().public_key();
        let digest = native_poseidon(tags::STATE, live.state);
        let e = challenge(
            Tag::StateParticipant,
            &[F::ZERO; 5],
            &live.participant.key.to_elements(),
            &digest,
        );
        let scalar = Scalar::from_words(e[0].to_canonical_u64(), e[1].to_canonical_u64());
        let s = Scalar::ZERO.minus(&scalar.times(&secret_scalar));
        live.participant.signature = Signature::from_parts(e, s).unwrap();
        assert!(matches!(live.check(), Err(NotLive::Signature { role: Role::Participant, .. })));
        assert!(!harness.provable(&live));
    });
}

/// Native acceptance and satisfiability, over signatures with one bit changed.
#[test]
fn native_and_circuit_agree_on_altered_signatures() {
    with_harness(|harness| {
        let live = live(8);
        let bytes = live.participant.signature.to_bytes();
        for bit in (0..8 * Signature::LEN).step_by(7) {
            let mut altered = bytes;
            altered[bit / 8] ^= 1 << (bit % 8);
            let Ok(signature) = Signature::from_bytes(&altered) else { continue };
            let live =
                LiveState { participant: PartyWitness { signature, ..live.participant }, ..live };
            assert_eq!(live.check().is_ok(), harness.provable(&live), "bit {bit}");
        }
    });
}

#[test]
fn statements_3_and_7_are_enforced() {
    with_harness(|harness| {
        let proof = harness.data.prove(harness.witness(&live(9))).unwrap();
        assert_eq!(proof.public_inputs, live(9).check().unwrap());
        harness.data.verify(proof.clone()).unwrap();
        for input in 0..15 {
            let mut changed = proof.clone();
            changed.public_inputs[input] += F::ONE;
            assert!(harness.data.verify(changed).is_err(), "public input {input}");
        }
    });
}

#[test]
fn the_circuit_has_128_rows_of_seven_kinds() {
    let mut builder = Builder::new(circuit_config());
    let _ = LiveStateTargets::define(&mut builder);
    let rows = builder.num_gates();
    let (_, data) = build(Harness::new().data.common.config);
    let names: Vec<_> = data.common.gates.iter().map(|gate| gate.0.id()).collect();
    let short: Vec<_> = names.iter().map(|name| name.split('(').next().unwrap()).collect();
    let expected = [
        "NoopGate",
        "PublicInputGate",
        "EndpointGate",
        "ScalarRangeGate",
        "RangeGate",
        "PoseidonGate",
        "WindowGate",
    ];
    assert_eq!(short, expected);
    assert_eq!(data.common.degree_bits(), 7);
    // Two rows of Poseidon and one of the public inputs' gate come with the build.
    assert_eq!(rows + 3, 101 + crate::gadgets::blinding::ROWS);
    assert_eq!(data.common.selectors_info.num_selectors(), 2);
    assert_eq!(data.common.num_constants, 4);
    assert_eq!(data.common.quotient_degree_factor, 8);
}

/// The contract is generated from this circuit: it changes only on purpose.
#[test]
fn the_circuit_digest_is_pinned() {
    let (_, data) = build(circuit_config());
    assert_eq!(data.verifier_only.circuit_digest, crate::zksc::CIRCUIT_DIGEST);
}
