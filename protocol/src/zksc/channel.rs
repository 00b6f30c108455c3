//! What both parties and every tower know of a channel, from the chain alone.
//!
//! **Invariant:** a [`Channel`] is one whose keys make its digest and whose parties differ. Channels where they do not
//! are ignored: no signature of theirs could be trusted or proven.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{
    hash::{Digest, NonCanonicalElement, element},
    ids::{ChannelId, Domain, Role},
    schnorr::{KeyError, PublicKey, keys_digest},
    session::{SessionAddress, SessionDomain},
    vipe::Rate,
};

/// Why a channel is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// A channel key is no key, or both are the same.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A channel key has an element that is not below the prime.
    #[error("channel key: {0}")]
    Element(#[from] NonCanonicalElement),
    /// The digest that the chain keeps is not that of the keys that it emitted.
    #[error("the keys digest on the chain is not that of the keys")]
    KeysDigest,
    /// Both parties have the same account, or a party has none.
    #[error("the parties' accounts are the same or missing")]
    Accounts,
    /// Both parties have the same session key, or a party has none.
    #[error("the parties' session keys are the same or missing")]
    Sessions,
    /// The dispute hash or the vault's address is zero.
    #[error("the dispute hash or the vault is zero")]
    Missing,
}

/// One side as the chain emits it; nothing is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyTerms {
    /// Pays, receives and consents.
    pub account: Address,
    /// The channel key: five integers, w = y / x, lowest power of z first.
    pub key: [u64; 5],
    /// The address of the session key.
    pub session: Address,
}

/// A channel as the chain emits it; nothing is checked yet. [`Channel::try_from`] checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTerms {
    /// The settlement layer's chain id.
    pub chain_id: u64,
    /// The vault.
    pub vipe: Address,
    /// The channel's id in that vault.
    pub channel_id: ChannelId,
    /// The participant.
    pub participant: PartyTerms,
    /// The counterparty.
    pub counterparty: PartyTerms,
    /// What the chain keeps of the keys.
    pub keys_digest: B256,
    /// The one asset of the channel.
    pub asset: Address,
    /// The bond's rate.
    pub rate: Rate,
    /// Keccak-256 of the dispute key.
    pub dispute_hash: B256,
    /// The dispute key is derived with it.
    pub salt: B256,
}

/// One side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// Pays, receives and consents.
    pub account: Address,
    /// Signs states, proposals and envelopes.
    pub channel_key: PublicKey,
    /// The second lock: signs every state by EIP-712 as well.
    pub session: SessionAddress,
}

impl Party {
    fn read(terms: &PartyTerms) -> Result<Self, ChannelError> {
        let [k0, k1, k2, k3, k4] = terms.key;
        let elements = [element(k0)?, element(k1)?, element(k2)?, element(k3)?, element(k4)?];
        Ok(Self {
            account: terms.account,
            channel_key: PublicKey::from_elements(elements)?,
            session: SessionAddress::try_from(terms.session)
                .map_err(|_zero| ChannelError::Sessions)?,
        })
    }
}

/// A channel whose keys and parties were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ChannelTerms", into = "ChannelTerms")]
pub struct Channel {
    terms: ChannelTerms,
    domain: Domain,
    participant: Party,
    counterparty: Party,
    keys_digest: Digest,
}

impl TryFrom<ChannelTerms> for Channel {
    type Error = ChannelError;

    /// Checks the keys, recomputes their digest and compares it with the chain's.
    fn try_from(terms: ChannelTerms) -> Result<Self, ChannelError> {
        let said = terms.keys_digest;
        let channel = Self::with_digest_of_keys(terms)?;
        if channel.terms.keys_digest == said { Ok(channel) } else { Err(ChannelError::KeysDigest) }
    }
}

impl Channel {
    /// The channel with these terms, its digest made from the keys instead of compared with what the terms say: for terms
    /// that were compared before and are kept without it. What comes from a chain or a stranger goes through `try_from`.
    ///
    /// # Errors
    /// Every [`ChannelError`] but [`ChannelError::KeysDigest`].
    pub fn with_digest_of_keys(mut terms: ChannelTerms) -> Result<Self, ChannelError> {
        let participant = Party::read(&terms.participant)?;
        let counterparty = Party::read(&terms.counterparty)?;
        let differ = |one: Address, two: Address| one != two && !one.is_zero() && !two.is_zero();
        if !differ(terms.participant.account, terms.counterparty.account) {
            return Err(ChannelError::Accounts);
        }
        if !differ(terms.participant.session, terms.counterparty.session) {
            return Err(ChannelError::Sessions);
        }
        if terms.dispute_hash.is_zero() || terms.vipe.is_zero() {
            return Err(ChannelError::Missing);
        }
        let keys_digest = keys_digest(&participant.channel_key, &counterparty.channel_key)?;
        terms.keys_digest = keys_digest.to_bytes().into();
        let domain = Domain::derive(terms.chain_id, terms.vipe);
        Ok(Self { terms, domain, participant, counterparty, keys_digest })
    }
}

impl From<Channel> for ChannelTerms {
    fn from(channel: Channel) -> Self {
        channel.terms
    }
}

impl Channel {
    /// The channel's id.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.terms.channel_id
    }

    /// The vault's domain.
    #[must_use]
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// The EIP-712 domain of session signatures.
    #[must_use]
    pub const fn session_domain(&self) -> SessionDomain {
        SessionDomain { chain_id: self.terms.chain_id, vipe: self.terms.vipe }
    }

    /// What the chain emitted.
    #[must_use]
    pub const fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// One side.
    #[must_use]
    pub const fn party(&self, role: Role) -> &Party {
        match role {
            Role::Participant => &self.participant,
            Role::Counterparty => &self.counterparty,
        }
    }

    /// Poseidon of the two channel keys.
    #[must_use]
    pub const fn keys_digest(&self) -> &Digest {
        &self.keys_digest
    }

    /// The bond's rate.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.terms.rate
    }

    /// Which side has this account, if any.
    #[must_use]
    pub fn role_of(&self, account: Address) -> Option<Role> {
        Role::BOTH.into_iter().find(|role| self.party(*role).account == account)
    }
}
