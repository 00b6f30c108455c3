//! What a live-state proof states: the layout that prover, contract and node share.
//!
//! Fifteen field elements: domain (3 limbs of 56 bits, low first), channel id, nonce, escrow version, balance (2 limbs),
//! keys digest (4), beneficiary (3 limbs of 56, 56 and 48 bits).
//!
//! **Invariant:** a [`Statement`] is about a state that both parties signed, and its beneficiary is not zero.

use alloy_primitives::{Address, U256};
use plonky2_field::types::PrimeField64;

use crate::{
    F,
    hash::Digest,
    ids::{Amount, ChannelId, Domain, EscrowVersion, Nonce, address_limbs},
    zksc::{channel::Channel, signed::FinalState},
};

/// Why there is no such statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Nobody would be paid.
    #[error("the beneficiary is the zero address")]
    ZeroBeneficiary,
    /// The state is not one of this channel.
    #[error("the state is of another channel")]
    OtherChannel,
}

/// The public inputs of a live-state proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    domain: Domain,
    channel_id: ChannelId,
    nonce: Nonce,
    version: EscrowVersion,
    balance: Amount,
    keys_digest: Digest,
    beneficiary: Address,
}

impl Statement {
    /// How many field elements a statement has.
    pub const LEN: usize = 15;

    /// The statement that `state` is a final state of `channel`, for the good of `beneficiary`.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn new(
        state: &FinalState,
        channel: &Channel,
        beneficiary: Address,
    ) -> Result<Self, StatementError> {
        let state = state.state();
        if state.domain != channel.domain() || state.channel_id != channel.id() {
            return Err(StatementError::OtherChannel);
        }
        if beneficiary.is_zero() {
            return Err(StatementError::ZeroBeneficiary);
        }
        Ok(Self {
            domain: state.domain,
            channel_id: state.channel_id,
            nonce: state.nonce,
            version: state.version,
            balance: state.balance,
            keys_digest: *channel.keys_digest(),
            beneficiary,
        })
    }

    /// Whom the proof pays.
    #[must_use]
    pub const fn beneficiary(&self) -> Address {
        self.beneficiary
    }

    /// The nonce of the state.
    #[must_use]
    pub const fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The fifteen elements, in the order of the circuit's public inputs.
    #[must_use]
    pub fn to_elements(&self) -> [F; Self::LEN] {
        let [d0, d1, d2] = self.domain.limbs();
        let [b0, b1] = self.balance.limbs();
        let [k0, k1, k2, k3] = self.keys_digest.elements();
        let [a0, a1, a2] = address_limbs(&self.beneficiary);
        let (channel, nonce) = (self.channel_id.element(), self.nonce.element());
        let version = self.version.element();
        [d0, d1, d2, channel, nonce, version, b0, b1, k0, k1, k2, k3, a0, a1, a2]
    }

    /// The fifteen words that the contract passes to the verifier.
    #[must_use]
    pub fn to_words(&self) -> [U256; Self::LEN] {
        self.to_elements().map(|element| U256::from(element.to_canonical_u64()))
    }
}
