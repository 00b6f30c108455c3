//! Builders for tests: a channel with two keyed parties, and what they sign. Feature `testing`.
//!
//! Everything is derived from a number, so a test that prints its seed can be run again. The keys are worth nothing.
#![allow(clippy::expect_used, reason = "a builder that cannot build is a failed test")]
#![allow(
    clippy::missing_panics_doc,
    reason = "every builder panics when its test asks for the impossible"
)]

use alloy_primitives::{Address, B256, keccak256};

use crate::{
    backup::{DisputeKey, Envelope, seal},
    ids::{Amount, ChannelId, EscrowVersion, Nonce, Role},
    schnorr::{SecretKey, keys_digest},
    session::SessionKey,
    vipe::{Ledger, Rate},
    zksc::{
        Channel, ChannelTerms, FinalState, PartialState, PartyTerms, Signer, State, Transition,
    },
};

/// The randomness that the builders sign with.
pub const HEDGE: [u8; 32] = [0x5a; 32];

/// 32 bytes that depend on a seed and a name alone.
#[must_use]
pub fn derived(seed: u64, name: &str) -> B256 {
    keccak256([seed.to_be_bytes().as_slice(), name.as_bytes()].concat())
}

/// The account that a seed and a name give.
#[must_use]
pub fn account(seed: u64, name: &str) -> Address {
    Address::from_slice(derived(seed, name).get(12..).expect("a digest has 32 bytes"))
}

/// The signer of a role that a seed gives.
#[must_use]
pub fn signer(seed: u64, role: Role) -> Signer {
    let mut wide = [0; 64];
    for (chunk, part) in wide.chunks_mut(32).zip(["low", "high"]) {
        chunk.copy_from_slice(derived(seed, &format!("{role} channel {part}")).as_slice());
    }
    let channel_key = SecretKey::from_wide_bytes(&wide).expect("not zero");
    let session = derived(seed, &format!("{role} session"));
    let session_key = SessionKey::from_bytes(&session.0).expect("in range");
    Signer::new(role, channel_key, session_key)
}

/// A channel and both parties' secrets.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The channel, as the chain would show it.
    pub channel: Channel,
    /// The participant's keys.
    pub participant: Signer,
    /// The counterparty's keys.
    pub counterparty: Signer,
    /// The key of the channel's backups.
    pub dispute_key: DisputeKey,
    /// The escrow: version 1 is the participant's deposit of 1,000,000, version 2 adds as much from the pool.
    pub ledger: Ledger,
}

impl Pair {
    /// What the participant deposits, and what the pool allocates, in base units.
    pub const SIDE: u128 = 1_000_000;

    /// The pair of `seed`, in channel 1 of a vault on chain 31337.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::in_vault(seed, 31_337, account(seed, "vipe"), 1)
    }

    /// The pair of `seed` in a channel of a certain vault.
    #[must_use]
    pub fn in_vault(seed: u64, chain_id: u64, vipe: Address, channel_id: u64) -> Self {
        Self::with(seed, |terms| {
            terms.chain_id = chain_id;
            terms.vipe = vipe;
            terms.channel_id = ChannelId::try_from(channel_id).expect("1 .. 2^56");
        })
    }

    /// The pair of `seed` in a channel whose terms `change` altered; the keys and what follows from them stay.
    #[must_use]
    pub fn with(seed: u64, change: impl FnOnce(&mut ChannelTerms)) -> Self {
        let [participant, counterparty] = Role::BOTH.map(|role| signer(seed, role));
        let salt = derived(seed, "salt");
        let public = |signer: &Signer| *signer.channel_key().public_key();
        let dispute_key =
            DisputeKey::derive(participant.channel_key(), &public(&counterparty), &salt)
                .expect("two keys share a point");
        let digest =
            keys_digest(&public(&participant), &public(&counterparty)).expect("two keys differ");
        let mut terms = ChannelTerms {
            chain_id: 31_337,
            vipe: account(seed, "vipe"),
            channel_id: ChannelId::MIN,
            participant: party(seed, &participant),
            counterparty: party(seed, &counterparty),
            keys_digest: B256::new(digest.to_bytes()),
            asset: account(seed, "asset"),
            rate: Rate::try_from(1 << 64).expect("below 2^96"),
            dispute_hash: dispute_key.hash(),
            salt,
        };
        change(&mut terms);
        let channel = Channel::try_from(terms).expect("a sound channel");
        let mut ledger = Ledger::new();
        ledger.deposit(amount(Self::SIDE)).expect("in range");
        ledger.allocate(amount(Self::SIDE)).expect("in range");
        Self { channel, participant, counterparty, dispute_key, ledger }
    }

    /// One side's keys.
    #[must_use]
    pub const fn signer(&self, role: Role) -> &Signer {
        match role {
            Role::Participant => &self.participant,
            Role::Counterparty => &self.counterparty,
        }
    }

    /// The state with this nonce and balance at the newest version.
    #[must_use]
    pub fn state(&self, nonce: u64, balance: u128) -> State {
        self.state_at(nonce, self.ledger.last().get(), balance)
    }

    /// The state with this nonce, version and balance. Its app root is that of the nonce.
    #[must_use]
    pub fn state_at(&self, nonce: u64, version: u64, balance: u128) -> State {
        let transition = Transition {
            change: crate::zksc::Change::Rebase,
            version: EscrowVersion::ZERO,
            salt: crate::zksc::Salt::new(derived(nonce, "app").0),
            content: crate::hash::Digest::default(),
        };
        State {
            domain: self.channel.domain(),
            channel_id: self.channel.id(),
            nonce: Nonce::try_from(nonce).expect("below 2^56"),
            version: EscrowVersion::try_from(version).expect("below 2^56"),
            balance: amount(balance),
            app_root: transition.app_root(),
        }
    }

    /// The state with this nonce and balance at the newest version, signed by both.
    #[must_use]
    pub fn final_state(&self, nonce: u64, balance: u128) -> FinalState {
        self.sign(self.state(nonce, balance))
    }

    /// Any state of this channel, signed by the counterparty.
    #[must_use]
    pub fn sign_partial(&self, state: State) -> PartialState {
        PartialState::sign(state, &self.channel, &self.counterparty, &HEDGE).expect("their state")
    }

    /// Any state of this channel, signed by both.
    #[must_use]
    pub fn sign(&self, state: State) -> FinalState {
        let partial = self.sign_partial(state);
        partial.sign_final(&self.channel, &self.participant, &HEDGE).expect("their state")
    }

    /// The envelope of a final state in one party's slot.
    #[must_use]
    pub fn seal(&self, role: Role, state: &FinalState) -> Envelope {
        seal(state, &self.channel, &self.dispute_key, self.signer(role), &HEDGE)
            .expect("their state")
    }
}

fn party(seed: u64, signer: &Signer) -> PartyTerms {
    PartyTerms {
        account: account(seed, &format!("{} account", signer.role())),
        key: signer.channel_key().public_key().to_integers(),
        session: signer.session_address(),
    }
}

/// An amount in base units.
#[must_use]
pub fn amount(value: u128) -> Amount {
    Amount::try_from(value).expect("below 2^112")
}

/// A nonce.
#[must_use]
pub fn nonce(value: u64) -> Nonce {
    Nonce::try_from(value).expect("below 2^56")
}

/// A version of an escrow ledger.
#[must_use]
pub fn version(value: u64) -> EscrowVersion {
    EscrowVersion::try_from(value).expect("below 2^56")
}
