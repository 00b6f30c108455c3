//! What two nodes of a channel say to each other on the wire, around the handshake's and the payments' own messages.
//!
//! ```text
//!   participant                                       counterparty
//!     Ask(keys, possession, deposit)  ----------->    policy: Offer(possession, allocation) | Refused
//!     open on chain                                   accept on chain
//!     Hello(channel, signature) ----------------->    the peer speaks for this channel from here on
//!                               <-----------------    Welcome(fee, max_update)
//!     Handshake, Payment  <====================>      Handshake, Payment
//!     Withdraw, Close (own signature) ----------->    the same with the other signature | Refused
//!     Latest(none) ------------------------------>    Latest(newest final state)
//! ```
//!
//! A format byte, a kind byte, then fixed widths, big endian; a message of another layer and an account's signature come last and
//! are as long as they are. Every frame may be lost and repeated.
//!
//! **Invariant:** a [`Frame`] has one encoding, of at most [`Frame::MAX_LEN`] bytes.
//!
//! **Invariant:** a [`Hello`] is good for one pair of peers: a peer that copies it cannot use it.

mod terms;

use alloy_primitives::{B256, keccak256};

pub use terms::{Ask, CONSENT_MAX, Consent, Offer, Welcome};
use terms::{WITHDRAWAL_LEN, closing_bytes, read_closing, read_withdrawal, withdrawal_bytes};

use crate::{
    encoding::{DecodeError, Reader},
    ids::{ChannelId, Domain, Role},
    payment,
    session::{SessionError, SessionSignature},
    vipe::{Closing, Withdrawal},
    zksc::{Channel, FinalState, Signer, UnverifiedFinal, handshake},
};

const FORMAT: u8 = 1;
/// What is signed by a [`Hello`] begins with this.
const HELLO: &[u8] = b"vrc link hello v1";

/// Why the counterparty does not do what a frame asked for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Of another vault, or another chain.
    #[error("the other node serves another vault")]
    OtherVault,
    /// Possession of the channel key is not shown.
    #[error("possession of the channel key is not shown")]
    Possession,
    /// The deposit is outside the hub's limits.
    #[error("the deposit is outside the hub's limits")]
    Deposit,
    /// The hub takes no more channels now.
    #[error("the hub takes no more channels now")]
    Full,
    /// The channel is not one that both know to be live.
    #[error("the channel is not live for the other node")]
    NotLive,
    /// The terms are not those that the other node computes: an update is under way, or its view differs.
    #[error(
        "the other node computes other terms: an update is under way, or its view of the chain differs"
    )]
    Terms,
    /// A payment over the channel has not ended.
    #[error("a payment over the channel has not ended")]
    Busy,
    /// The other node's view of the chain is stale, or behind this one's.
    #[error("the other node signs nothing now: its view of the chain is stale or behind")]
    Stale,
    /// The hub's pool has too little idle capital.
    #[error("the hub's pool has too little idle capital for its side of the channel")]
    Liquidity,
    /// Of nodes that verify consents by ECDSA alone: the account is a contract.
    #[error(
        "the account is a contract, whose consents (ERC-1271) the other node cannot verify: use an account with a key"
    )]
    Contract,
    /// The close names another dispute than the one that stands, or one where none does.
    #[error("the close names another dispute than the one that the other node sees")]
    OtherDispute,
    /// The dispute's deadline is too near.
    #[error("the dispute's deadline is too near for a close: it is settled then")]
    TooLate,
    /// The other node's policy does not end this dispute by consent.
    #[error("the other node's policy does not end this dispute by consent")]
    Unwilling,
}

impl Refusal {
    const ALL: [Self; 13] = [
        Self::OtherVault,
        Self::Possession,
        Self::Deposit,
        Self::Full,
        Self::NotLive,
        Self::Terms,
        Self::Busy,
        Self::Stale,
        Self::Liquidity,
        Self::Contract,
        Self::OtherDispute,
        Self::TooLate,
        Self::Unwilling,
    ];

    fn byte(self) -> u8 {
        let at = Self::ALL.iter().position(|one| *one == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    }

    fn of(byte: u8) -> Result<Self, DecodeError> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(DecodeError::Kind(byte))
    }
}

/// A peer says that it speaks for the participant of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The channel.
    pub channel: ChannelId,
    /// By the participant's session key.
    pub signature: SessionSignature,
}

fn hello_digest(domain: &Domain, channel: ChannelId, from: &[u8], to: &[u8]) -> B256 {
    let (from, to) = (keccak256(from), keccak256(to));
    let id = channel.get().to_be_bytes();
    keccak256([HELLO, domain.as_bytes(), &id, from.as_slice(), to.as_slice()].concat())
}

impl Hello {
    /// The peer `from` introduces itself to the peer `to`; both as their names' bytes.
    ///
    /// # Errors
    /// [`SessionError::NotCompact`], with a chance of 2^-127.
    pub fn sign(
        domain: &Domain,
        channel: ChannelId,
        signer: &Signer,
        (from, to): (&[u8], &[u8]),
    ) -> Result<Self, SessionError> {
        let digest = hello_digest(domain, channel, from, to);
        let signature = signer.session_key().sign_digest(&digest)?;
        Ok(Self { channel, signature })
    }

    /// Checks that the participant of `channel` says so, of exactly these two peers.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn verify(&self, channel: &Channel, from: &[u8], to: &[u8]) -> Result<(), SessionError> {
        let found = self.signature.recover_digest(&hello_digest(
            &channel.domain(),
            self.channel,
            from,
            to,
        ))?;
        let expected = channel.party(Role::Participant).session;
        if self.channel == channel.id() && found == expected {
            Ok(())
        } else {
            Err(SessionError::WrongSigner { expected, found })
        }
    }
}

/// One frame. Nothing in it is checked but its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The sender speaks for a channel.
    Hello(Hello),
    /// A message of the handshake.
    Handshake(ChannelId, handshake::Message),
    /// A message about a payment.
    Payment(ChannelId, payment::Message),
    /// A participant wants a channel.
    Ask(Box<Ask>),
    /// The hub will accept it.
    Offer(Box<Offer>),
    /// What was asked for is not done. The channel is none for an [`Ask`].
    Refused(Option<ChannelId>, Refusal),
    /// The newest final state of the channel is asked for (none), or shown.
    Latest(ChannelId, Option<Box<UnverifiedFinal>>),
    /// Consent to a withdrawal.
    Withdraw(Box<Consent<Withdrawal>>),
    /// Consent to a close.
    Close(Box<Consent<Closing>>),
    /// The participant may say hello again: the hub does not know whom it speaks for.
    Who(ChannelId),
    /// The hub answers a hello: its terms for payments over this channel.
    Welcome(ChannelId, Welcome),
}

impl Frame {
    /// Bytes of the longest frame.
    pub const MAX_LEN: usize = {
        let nested = 2 + 8 + handshake::Message::MAX_LEN + FinalState::LEN;
        let consent = 2 + 8 + 8 + WITHDRAWAL_LEN + CONSENT_MAX;
        if nested > consent { nested } else { consent }
    };

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let id = |channel: &ChannelId| channel.get().to_be_bytes().to_vec();
        let (kind, body) = match self {
            Self::Hello(hello) => {
                (1, [id(&hello.channel), hello.signature.to_bytes().to_vec()].concat())
            }
            Self::Handshake(channel, message) => (2, [id(channel), message.to_bytes()].concat()),
            Self::Payment(channel, message) => (3, [id(channel), message.to_bytes()].concat()),
            Self::Ask(ask) => (4, ask.to_bytes()),
            Self::Offer(offer) => (5, offer.to_bytes()),
            Self::Refused(channel, refusal) => {
                let number = channel.map_or(0, ChannelId::get);
                (6, [number.to_be_bytes().as_slice(), &[refusal.byte()]].concat())
            }
            Self::Latest(channel, state) => {
                let state = state.as_ref().map(|state| state.to_bytes()).unwrap_or_default();
                (7, [id(channel), state].concat())
            }
            Self::Withdraw(consent) => (8, consent.to_bytes(withdrawal_bytes)),
            Self::Close(consent) => (9, consent.to_bytes(closing_bytes)),
            Self::Who(channel) => (10, id(channel)),
            Self::Welcome(channel, welcome) => (11, [id(channel), welcome.to_bytes()].concat()),
        };
        [&[FORMAT, kind], body.as_slice()].concat()
    }

    /// Reads what [`Frame::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, bytes.len().min(Self::MAX_LEN))?;
        match reader.byte()? {
            FORMAT => {}
            other => return Err(DecodeError::Version(other)),
        }
        let kind = reader.byte()?;
        // A format byte, a kind byte and a channel come before a message of another layer.
        let nested = |skipped: usize| bytes.get(skipped..).unwrap_or_default();
        let frame = match kind {
            1 => {
                let channel = reader.channel_id()?;
                Self::Hello(Hello { channel, signature: reader.session_signature()? })
            }
            2 => {
                let channel = reader.channel_id()?;
                return Ok(Self::Handshake(channel, handshake::Message::from_bytes(nested(10))?));
            }
            3 => {
                let channel = reader.channel_id()?;
                return Ok(Self::Payment(channel, payment::Message::from_bytes(nested(10))?));
            }
            4 => Self::Ask(Box::new(Ask::read(&mut reader)?)),
            5 => Self::Offer(Box::new(Offer::read(&mut reader)?)),
            6 => {
                let number = u64::from_be_bytes(reader.take()?);
                let channel = (number != 0).then(|| ChannelId::try_from(number)).transpose()?;
                Self::Refused(channel, Refusal::of(reader.byte()?)?)
            }
            7 => {
                let channel = reader.channel_id()?;
                let state = match nested(10) {
                    [] => None,
                    bytes => Some(Box::new(UnverifiedFinal::from_bytes(bytes)?)),
                };
                return Ok(Self::Latest(channel, state));
            }
            8 => Self::Withdraw(Box::new(Consent::read(&mut reader, read_withdrawal)?)),
            9 => Self::Close(Box::new(Consent::read(&mut reader, read_closing)?)),
            10 => Self::Who(reader.channel_id()?),
            11 => Self::Welcome(reader.channel_id()?, Welcome::read(&mut reader)?),
            other => return Err(DecodeError::Kind(other)),
        };
        reader.finish()?;
        Ok(frame)
    }

    /// The channel that it is about, where it is about one.
    #[must_use]
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Hello(hello) => Some(hello.channel),
            Self::Handshake(channel, _)
            | Self::Payment(channel, _)
            | Self::Latest(channel, _)
            | Self::Who(channel)
            | Self::Welcome(channel, _) => Some(*channel),
            Self::Refused(channel, _) => *channel,
            Self::Withdraw(consent) => Some(consent.channel),
            Self::Close(consent) => Some(consent.channel),
            Self::Ask(_) | Self::Offer(_) => None,
        }
    }
}
