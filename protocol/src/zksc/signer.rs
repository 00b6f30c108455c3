//! The one holder of a party's two secret keys.

use alloy_primitives::Address;

use crate::{
    hash::Digest,
    ids::Role,
    schnorr::SecretKey,
    session::SessionKey,
    zksc::{
        channel::Channel,
        signed::{StateSignatures, VerifyError, state_tag},
        state::State,
    },
};

/// The keys of one party in one channel. Does not print its secrets.
#[derive(Debug, Clone)]
pub struct Signer {
    role: Role,
    channel_key: SecretKey,
    session_key: SessionKey,
}

impl Signer {
    /// The signer of `role` with its two keys.
    #[must_use]
    pub const fn new(role: Role, channel_key: SecretKey, session_key: SessionKey) -> Self {
        Self { role, channel_key, session_key }
    }

    /// Whose keys these are.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The secret channel key.
    #[must_use]
    pub const fn channel_key(&self) -> &SecretKey {
        &self.channel_key
    }

    pub(crate) const fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// The address of the session key.
    #[must_use]
    pub fn session_address(&self) -> Address {
        self.session_key.address().get()
    }

    /// Whether these are the keys that `channel` has for the role.
    #[must_use]
    pub fn is_of(&self, channel: &Channel) -> bool {
        let party = channel.party(self.role);
        party.channel_key == *self.channel_key.public_key()
            && party.session == self.session_key.address()
    }

    /// Signs `state` with both keys. `hedge` is 32 fresh random bytes.
    ///
    /// This is the raw act. Whoever calls it MUST have made the state durable before the signatures leave the machine,
    /// and MUST NOT sign another state with that nonce: [`crate::zksc::handshake`] keeps both.
    ///
    /// # Errors
    /// [`VerifyError::Session`], with a chance of 2^-127.
    pub fn sign_state(
        &self,
        channel: &Channel,
        state: &State,
        hedge: &[u8; 32],
    ) -> Result<StateSignatures, VerifyError> {
        self.sign_digest(channel, state, &state.digest(), hedge)
    }

    /// [`Signer::sign_state`], with the state's digest, which the caller has.
    pub(super) fn sign_digest(
        &self,
        channel: &Channel,
        state: &State,
        digest: &Digest,
        hedge: &[u8; 32],
    ) -> Result<StateSignatures, VerifyError> {
        let role = self.role;
        let session = self
            .session_key
            .sign(&channel.session_domain(), &state.session())
            .map_err(|error| VerifyError::Session { role, error })?;
        let channel = self.channel_key.sign(state_tag(role), digest, hedge);
        Ok(StateSignatures { channel, session })
    }
}
