//! The values that a live-state proof is made from, and the statements about them in plain Rust.

use plonky2::field::types::PrimeField64;
use protocol::hash::{Digest, poseidon};
use protocol::ids::address_limbs;
use protocol::schnorr::{KeyError, PublicKey, Signature, SignatureError, Tag, keys_digest};
use protocol::zksc::{Channel, FinalState};
use protocol::{Address, Role, tags};

use crate::config::F;

/// A key and its signature of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyWitness {
    /// The channel key.
    pub key: PublicKey,
    /// Its signature of the state's digest.
    pub signature: Signature,
}

/// A signed state and whom its proof pays: the witness of the live-state circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveState {
    /// The twelve elements of the state: domain (3), channel, nonce, version, balance (2), app root (4).
    pub state: [F; 12],
    /// The participant.
    pub participant: PartyWitness,
    /// The counterparty.
    pub counterparty: PartyWitness,
    /// The three limbs of the beneficiary's address.
    pub beneficiary: [F; 3],
}

/// Which of the circuit's statements is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLive {
    /// Statement 1.
    #[error("element {element} of the state or the beneficiary is out of range")]
    OutOfRange {
        /// Which: 0 to 7 of the state, 8 to 10 of the beneficiary.
        element: usize,
    },
    /// Statement 2. (A [`PublicKey`] is in the group by construction.)
    #[error("keys: {0}")]
    Keys(#[from] KeyError),
    /// Statement 5 or 6.
    #[error("the {role}'s signature: {error}")]
    Signature {
        /// Whose.
        role: Role,
        /// Why.
        error: SignatureError,
    },
}

/// Bits of the elements that statement 1 is about: the state's first eight, then the beneficiary.
pub(super) const BITS: [u32; 11] = [56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 48];

impl LiveState {
    /// The witness that `state` is a final state of `channel`, for the good of `beneficiary`.
    #[must_use]
    pub fn new(state: &FinalState, channel: &Channel, beneficiary: Address) -> Self {
        let party = |role| PartyWitness {
            key: channel.party(role).channel_key,
            signature: state.signatures(role).channel,
        };
        Self {
            state: state.state().elements(),
            participant: party(Role::Participant),
            counterparty: party(Role::Counterparty),
            beneficiary: address_limbs(&beneficiary),
        }
    }

    /// The circuit's native twin: every statement about these values, and the public inputs that follow.
    ///
    /// # Errors
    /// [`NotLive`], of the first statement that is not true. Then no proof exists.
    pub fn check(&self) -> Result<[F; 15], NotLive> {
        let limbs = self.state[..8].iter().chain(&self.beneficiary);
        for (element, (limb, bits)) in limbs.zip(BITS).enumerate() {
            if limb.to_canonical_u64() >> bits != 0 {
                return Err(NotLive::OutOfRange { element });
            }
        }
        let keys_digest = keys_digest(&self.participant.key, &self.counterparty.key)?;
        let digest: Digest = poseidon(tags::STATE, self.state);
        for (role, tag, party) in [
            (Role::Participant, Tag::StateParticipant, &self.participant),
            (Role::Counterparty, Tag::StateCounterparty, &self.counterparty),
        ] {
            party
                .key
                .verify(tag, &digest, &party.signature)
                .map_err(|error| NotLive::Signature { role, error })?;
        }
        let mut inputs = [F::default(); 15];
        let elements =
            self.state[..8].iter().copied().chain(keys_digest.elements()).chain(self.beneficiary);
        inputs.iter_mut().zip(elements).for_each(|(input, element)| *input = element);
        Ok(inputs)
    }
}
