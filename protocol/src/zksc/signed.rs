//! The ladder of signed states.
//!
//! ```text
//!            counterparty signs                participant signs
//!   State --------------------> PartialState --------------------> FinalState
//!                                    ^                                  ^
//!   bytes -> UnverifiedPartial --verify--        UnverifiedFinal --verify--
//! ```
//!
//! **Invariant:** a [`PartialState`] carries the counterparty's two valid signatures, a [`FinalState`] both parties', all
//! made for the channel they were checked against. Only the checks in this file make them.

use crate::{
    encoding::{DecodeError, Reader},
    hash::Digest,
    ids::Role,
    schnorr::{Signature, SignatureError, Tag, Verify},
    session::{SessionError, SessionSignature},
    zksc::{channel::Channel, signer::Signer, state::State},
};

/// Why a state is not accepted as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The state belongs to another vault.
    #[error("the state is of another vault")]
    OtherDomain,
    /// The state belongs to another channel.
    #[error("the state is of another channel")]
    OtherChannel,
    /// The first checkpoint is never signed.
    #[error("nonce 0 is the first checkpoint, which nobody signs")]
    NonceZero,
    /// A channel key's signature is refused.
    #[error("the {role}'s channel signature: {error}")]
    ChannelKey {
        /// Whose.
        role: Role,
        /// Why.
        error: SignatureError,
    },
    /// A session key's signature is refused.
    #[error("the {role}'s session signature: {error}")]
    Session {
        /// Whose.
        role: Role,
        /// Why.
        error: SessionError,
    },
    /// The final state is not the partial one that was signed before.
    #[error("the state is not the one whose signature is outstanding")]
    OtherState,
}

/// The tag under which a role signs states.
pub(super) const fn state_tag(role: Role) -> Tag {
    match role {
        Role::Participant => Tag::StateParticipant,
        Role::Counterparty => Tag::StateCounterparty,
    }
}

/// One party's two signatures of a state. Whether they are valid, the type that holds them says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSignatures {
    /// By the channel key, over the state's digest.
    pub channel: Signature,
    /// By the session key, over the state's EIP-712 digest.
    pub session: SessionSignature,
}

impl StateSignatures {
    /// Bytes of both.
    pub const LEN: usize = Signature::LEN + SessionSignature::LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = reader.signature()?;
        Ok(Self { channel, session: reader.session_signature()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.channel.to_bytes());
        out.extend(self.session.to_bytes());
    }

    fn verify(
        &self,
        channel: &Channel,
        (role, key): (Role, &impl Verify),
        state: &State,
        digest: &Digest,
    ) -> Result<(), VerifyError> {
        let party = channel.party(role);
        self.session
            .verify(&channel.session_domain(), &state.session(), party.session)
            .map_err(|error| VerifyError::Session { role, error })?;
        key.verify(state_tag(role), digest, &self.channel)
            .map_err(|error| VerifyError::ChannelKey { role, error })
    }
}

/// The state is one of `channel`, and one that may be signed.
fn check_place(state: &State, channel: &Channel) -> Result<(), VerifyError> {
    if state.domain != channel.domain() {
        return Err(VerifyError::OtherDomain);
    }
    if state.channel_id != channel.id() {
        return Err(VerifyError::OtherChannel);
    }
    if state.nonce == crate::ids::Nonce::ZERO {
        return Err(VerifyError::NonceZero);
    }
    Ok(())
}

/// What claims to be a partial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedPartial {
    /// The state.
    pub state: State,
    /// What claims to be the counterparty's signatures.
    pub counterparty: StateSignatures,
}

impl UnverifiedPartial {
    /// Reads an encoded partial state.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, PartialState::LEN)?;
        let state = State::read(&mut reader)?;
        let counterparty = StateSignatures::read(&mut reader)?;
        reader.finish()?;
        Ok(Self { state, counterparty })
    }

    /// The encoding: the state, then the counterparty's two signatures.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PartialState::LEN);
        bytes.extend(self.state.to_bytes());
        self.counterparty.write(&mut bytes);
        bytes
    }

    /// Checks the state's place and both signatures.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(self, channel: &Channel) -> Result<PartialState, VerifyError> {
        self.verify_by(channel, &channel.party(Role::Counterparty).channel_key)
    }

    /// [`UnverifiedPartial::verify`] with the counterparty's key, made ready by the caller.
    pub(super) fn verify_by(
        self,
        channel: &Channel,
        key: &impl Verify,
    ) -> Result<PartialState, VerifyError> {
        let Self { state, counterparty } = self;
        check_place(&state, channel)?;
        let digest = state.digest();
        counterparty.verify(channel, (Role::Counterparty, key), &state, &digest)?;
        Ok(PartialState { state, digest, counterparty })
    }
}

/// A state that the counterparty signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialState {
    state: State,
    digest: Digest,
    counterparty: StateSignatures,
}

impl PartialState {
    /// Bytes of an encoded partial state.
    pub const LEN: usize = State::LEN + StateSignatures::LEN;

    /// The counterparty signs `state`.
    ///
    /// # Errors
    /// [`VerifyError`] when the state is not of the channel, or the signer is not its counterparty.
    pub fn sign(
        state: State,
        channel: &Channel,
        signer: &Signer,
        hedge: &[u8; 32],
    ) -> Result<Self, VerifyError> {
        check_place(&state, channel)?;
        check_signer(signer, channel, Role::Counterparty)?;
        let digest = state.digest();
        let counterparty = signer.sign_digest(channel, &state, &digest, hedge)?;
        Ok(Self { state, digest, counterparty })
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The encoding: the state, then the counterparty's two signatures.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.unverified().to_bytes()
    }

    /// This partial state before it was checked, as it is sent.
    #[must_use]
    pub const fn unverified(&self) -> UnverifiedPartial {
        UnverifiedPartial { state: self.state, counterparty: self.counterparty }
    }

    /// The participant signs too.
    ///
    /// # Errors
    /// [`VerifyError`] when the signer is not the channel's participant.
    pub fn sign_final(
        &self,
        channel: &Channel,
        signer: &Signer,
        hedge: &[u8; 32],
    ) -> Result<FinalState, VerifyError> {
        check_place(&self.state, channel)?;
        check_signer(signer, channel, Role::Participant)?;
        let Self { state, digest, counterparty } = *self;
        let participant = signer.sign_digest(channel, &state, &digest, hedge)?;
        Ok(FinalState { state, digest, participant, counterparty })
    }

    /// The counterparty gets the participant's signatures of what it signed itself. Its own are not checked again: they
    /// are compared.
    ///
    /// # Errors
    /// [`VerifyError::OtherState`] unless the state and the counterparty's signatures are those of this partial state,
    /// and [`VerifyError`] when the participant's signatures are refused.
    pub fn complete(
        &self,
        channel: &Channel,
        candidate: &UnverifiedFinal,
    ) -> Result<FinalState, VerifyError> {
        self.complete_by(channel, &channel.party(Role::Participant).channel_key, candidate)
    }

    /// [`PartialState::complete`] with the participant's key, made ready by the caller.
    pub(super) fn complete_by(
        &self,
        channel: &Channel,
        key: &impl Verify,
        candidate: &UnverifiedFinal,
    ) -> Result<FinalState, VerifyError> {
        let Self { state, digest, counterparty } = *self;
        if candidate.state != state || candidate.counterparty != counterparty {
            return Err(VerifyError::OtherState);
        }
        check_place(&state, channel)?;
        candidate.participant.verify(channel, (Role::Participant, key), &state, &digest)?;
        Ok(FinalState { state, digest, participant: candidate.participant, counterparty })
    }
}

/// The signer has the keys of `role` in this channel.
fn check_signer(signer: &Signer, channel: &Channel, role: Role) -> Result<(), VerifyError> {
    if signer.role() == role && signer.is_of(channel) {
        Ok(())
    } else {
        Err(VerifyError::ChannelKey { role, error: SignatureError::Mismatch })
    }
}

/// What claims to be a final state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedFinal {
    /// The state.
    pub state: State,
    /// What claims to be the participant's signatures.
    pub participant: StateSignatures,
    /// What claims to be the counterparty's signatures.
    pub counterparty: StateSignatures,
}

impl UnverifiedFinal {
    /// Reads an encoded final state.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, FinalState::LEN)?;
        let state = State::read(&mut reader)?;
        let participant = StateSignatures::read(&mut reader)?;
        let counterparty = StateSignatures::read(&mut reader)?;
        reader.finish()?;
        Ok(Self { state, participant, counterparty })
    }

    /// The encoding: the state, the participant's two signatures, the counterparty's two.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FinalState::LEN);
        bytes.extend(self.state.to_bytes());
        self.participant.write(&mut bytes);
        self.counterparty.write(&mut bytes);
        bytes
    }

    /// Checks the state's place and all four signatures.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(self, channel: &Channel) -> Result<FinalState, VerifyError> {
        let Self { state, participant, counterparty } = self;
        check_place(&state, channel)?;
        let digest = state.digest();
        for (role, signatures) in
            [(Role::Participant, &participant), (Role::Counterparty, &counterparty)]
        {
            let key = &channel.party(role).channel_key;
            signatures.verify(channel, (role, key), &state, &digest)?;
        }
        Ok(FinalState { state, digest, participant, counterparty })
    }
}

/// A state that both parties signed: what a backup keeps, a proof is about and a dispute pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalState {
    state: State,
    digest: Digest,
    participant: StateSignatures,
    counterparty: StateSignatures,
}

impl FinalState {
    /// Bytes of an encoded final state.
    pub const LEN: usize = State::LEN + 2 * StateSignatures::LEN;

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The state's Poseidon digest, which the channel signatures are of.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// One party's signatures.
    #[must_use]
    pub const fn signatures(&self, role: Role) -> &StateSignatures {
        match role {
            Role::Participant => &self.participant,
            Role::Counterparty => &self.counterparty,
        }
    }

    /// The encoding: the state, the participant's two signatures, the counterparty's two.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.unverified().to_bytes()
    }

    /// This final state before it was checked, as it is sent.
    #[must_use]
    pub const fn unverified(&self) -> UnverifiedFinal {
        let Self { state, participant, counterparty, .. } = *self;
        UnverifiedFinal { state, participant, counterparty }
    }
}
