//! VRC-1: a state of a channel is signed by both parties.
//!
//! Proven statements:
//! 1. every number is in range: domain, channel id, nonce, escrow version, balance and beneficiary limbs below 2^56, the beneficiary's
//!    last limb below 2^48, and so are what is left of n - 1 after both signatures' s (so s < n, see [`crate::gates::scalar`]);
//! 2. both keys are elements of the group, not neutral, and differ;
//! 3. the keys digest is Poseidon(KEYS, participant's key, counterparty's key);
//! 4. m = Poseidon(STATE, domain, channel id, nonce, escrow version, balance, app root);
//! 5. the participant signed m under its own tag: s and e are not zero, e is canonical, R = s G + e PK by the
//!    acceptance chain, none of whose additions meets two points with the same x, and e is the start of Poseidon(tag, R, PK, m);
//! 6. the counterparty signed m under its own tag, likewise;
//! 7. the public inputs are domain (3), channel id, nonce, escrow version, balance (2), keys digest (4), beneficiary (3).
//!
//! The native twin is [`LiveState::check`]. The beneficiary takes part in nothing else: being a public input binds it.
//!
//! **Invariant:** [`LiveState::check`] accepts exactly what this circuit can be satisfied with.

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_data::{CircuitConfig, CircuitData};
use protocol::schnorr::Tag;
use protocol::tags;

use super::LiveState;
use crate::config::{Builder, D, EvmConfig, F};
use crate::gadgets::blinding::Blinding;
use crate::gadgets::poseidon;
use crate::gadgets::range::range_check;
use crate::gadgets::signature::{SignatureDigits, SignatureTargets};
use crate::gates::identity::formulas_digest;

/// Separates this circuit's transcripts from those of any other: with the digest of the gates' formulas it goes into the circuit
/// digest, seven bytes an element.
const DOMAIN_SEPARATOR: &[u8; 21] = b"vrc1 live state v1   ";

/// One party's values in the circuit.
#[derive(Clone, Debug)]
pub struct PartyTargets {
    /// The encoding of the key.
    pub key: [Target; 5],
    /// The signature.
    pub signature: SignatureTargets,
}

/// Where the values of a [`LiveState`] live in the circuit.
#[derive(Clone, Debug)]
pub struct LiveStateTargets {
    /// The state: eight limbs that are range-checked, then the app root, four arbitrary elements.
    pub state: [Target; 12],
    /// The participant.
    pub participant: PartyTargets,
    /// The counterparty.
    pub counterparty: PartyTargets,
    /// The beneficiary's limbs.
    pub beneficiary: [Target; 3],
    /// Random values that hide all the others.
    pub blinding: Blinding,
}

impl LiveStateTargets {
    /// Adds the circuit to an empty builder. The same every time.
    #[must_use]
    pub fn define(builder: &mut Builder) -> Self {
        let separator = [DOMAIN_SEPARATOR.as_slice(), &formulas_digest()[..28]].concat();
        builder.set_domain_separator(separator.chunks(7).map(seven_bytes).collect());

        let state: [Target; 12] = builder.add_virtual_target_arr();
        let keys: [[Target; 5]; 2] =
            [builder.add_virtual_target_arr(), builder.add_virtual_target_arr()];
        let beneficiary: [Target; 3] = builder.add_virtual_target_arr();

        // statement 4: the digest of the state
        let message = poseidon(builder, tags::STATE, &state);
        // end of statement 4

        // statements 2, 5 and 6: both keys, and their signatures of the digest
        let [participant, counterparty] = [(Tag::StateParticipant, 0), (Tag::StateCounterparty, 1)]
            .map(|(tag, party)| {
                let signers = [&keys[party], &keys[1 - party]];
                let signature =
                    SignatureTargets::add_unchecked(builder, tag.poseidon(), signers, &message);
                PartyTargets { key: keys[party], signature }
            });
        // end of statements 2, 5 and 6

        // statement 3: the digest of the keys
        let keys_digest = poseidon(builder, tags::KEYS, &keys.concat());
        // end of statement 3

        let blinding = Blinding::add(builder);
        let targets = Self { state, participant, counterparty, beneficiary, blinding };
        targets.register_range_checks(builder);

        // statement 7: the public inputs
        builder.register_public_inputs(&targets.state[..8]);
        builder.register_public_inputs(&keys_digest);
        builder.register_public_inputs(&targets.beneficiary);
        // end of statement 7
        targets
    }

    /// Statement 1: every range check of the circuit, in one place.
    fn register_range_checks(&self, builder: &mut Builder) {
        let parties = [&self.participant.signature, &self.counterparty.signature];
        let mut wide = self.state[..8].to_vec();
        wide.extend(&self.beneficiary[..2]);
        wide.extend(parties.iter().flat_map(|signature| signature.wide_limbs()));
        let mut narrow = vec![self.beneficiary[2]];
        narrow.extend(parties.iter().flat_map(|signature| signature.narrow_limbs()));
        range_check(builder, &wide, &narrow);
    }

    /// Sets every target from `live`. Values that no proof exists for are set as they are.
    ///
    /// # Errors
    /// When Plonky2 was given two values for one target, which this function never does.
    pub fn fill(&self, witness: &mut PartialWitness<F>, live: &LiveState) -> anyhow::Result<()> {
        self.fill_digits(
            witness,
            &live.state,
            &live.beneficiary,
            [
                (
                    live.participant.key.to_elements(),
                    SignatureDigits::from(&live.participant.signature),
                ),
                (
                    live.counterparty.key.to_elements(),
                    SignatureDigits::from(&live.counterparty.signature),
                ),
            ],
        )
    }

    /// Like [`LiveStateTargets::fill`], for keys and signatures that need not exist.
    pub(crate) fn fill_digits(
        &self,
        witness: &mut PartialWitness<F>,
        state: &[F; 12],
        beneficiary: &[F; 3],
        parties: [([F; 5], SignatureDigits); 2],
    ) -> anyhow::Result<()> {
        witness.set_target_arr(&self.state, state)?;
        witness.set_target_arr(&self.beneficiary, beneficiary)?;
        self.blinding.fill(witness)?;
        for (targets, (key, signature)) in
            [&self.participant, &self.counterparty].into_iter().zip(parties)
        {
            witness.set_target_arr(&targets.key, &key)?;
            targets.signature.fill(witness, &signature)?;
        }
        Ok(())
    }
}

/// Seven bytes as an element, big endian.
fn seven_bytes(chunk: &[u8]) -> F {
    F::from_canonical_u64(chunk.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte)))
}

/// The circuit built with `config`: its targets and its data. The latter takes about two seconds of processor time with
/// [`crate::config::circuit_config`]; [`crate::artifacts`] keeps the result.
#[must_use]
pub fn build(config: CircuitConfig) -> (LiveStateTargets, CircuitData<F, EvmConfig, D>) {
    let mut builder = Builder::new(config);
    let targets = LiveStateTargets::define(&mut builder);
    (targets, builder.build::<EvmConfig>())
}

#[cfg(test)]
mod tests;
