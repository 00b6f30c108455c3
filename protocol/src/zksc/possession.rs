//! Proof of possession: before a party pays in or consents, the other shows that it has the secret of its channel key,
//! and that signatures of that key can be proven.
//!
//! It signs a state of the all-zero domain, which no vault has, so the signature is worth nothing on any chain. The app
//! root is the digest of both keys, so it serves for this pair alone. Acceptance is that of every other state: what this
//! check accepts, the circuit can prove.

use crate::{
    hash::Digest,
    ids::{Amount, ChannelId, Domain, EscrowVersion, Nonce, Role},
    schnorr::{PublicKey, SecretKey, Signature, SignatureError},
    zksc::{
        signed::state_tag,
        state::{AppRoot, State},
    },
};

/// The state that is signed for the pair of keys with this digest.
#[must_use]
pub fn state(keys_digest: &Digest) -> State {
    let app_root: AppRoot = keys_digest.elements();
    State {
        domain: Domain::PROOF_OF_POSSESSION,
        channel_id: ChannelId::MIN,
        nonce: Nonce::ZERO,
        version: EscrowVersion::ZERO,
        balance: Amount::ZERO,
        app_root,
    }
}

/// Shows that this party has the secret of its channel key. `hedge` is 32 fresh random bytes.
#[must_use]
pub fn prove(role: Role, key: &SecretKey, keys_digest: &Digest, hedge: &[u8; 32]) -> Signature {
    key.sign(state_tag(role), &state(keys_digest).digest(), hedge)
}

/// Checks the other party's proof. Without it nothing MUST be paid in and nothing consented to.
///
/// # Errors
/// [`SignatureError`].
pub fn verify(
    role: Role,
    key: &PublicKey,
    keys_digest: &Digest,
    proof: &Signature,
) -> Result<(), SignatureError> {
    key.verify(state_tag(role), &state(keys_digest).digest(), proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HEDGE, Pair};

    #[test]
    fn a_proof_serves_for_its_own_role_key_and_pair_only() {
        let (pair, other) = (Pair::new(1), Pair::new(2));
        let digest = pair.channel.keys_digest();
        let (role, key) = (Role::Counterparty, pair.counterparty.channel_key());
        let proof = prove(role, key, digest, &HEDGE);
        verify(role, key.public_key(), digest, &proof).unwrap();
        assert!(verify(Role::Participant, key.public_key(), digest, &proof).is_err());
        assert!(verify(role, key.public_key(), other.channel.keys_digest(), &proof).is_err());
        let stranger = pair.participant.channel_key().public_key();
        assert!(verify(role, stranger, digest, &proof).is_err());
    }

    #[test]
    fn a_proof_is_no_state_of_any_channel() {
        let pair = Pair::new(1);
        let state = state(pair.channel.keys_digest());
        assert_ne!(state.domain, pair.channel.domain());
        let signed =
            crate::zksc::PartialState::sign(state, &pair.channel, &pair.counterparty, &HEDGE);
        assert_eq!(signed, Err(crate::zksc::VerifyError::OtherDomain));
    }
}
