//! The messages of the handshake: fixed widths, big endian, a format byte and a kind byte in front.

use super::Acknowledgement;
use crate::{
    encoding::{DecodeError, Reader},
    hash::{Digest, poseidon},
    ids::Role,
    schnorr::{SecretKey, Signature, Tag, Verify},
    tags,
    zksc::{
        Channel, FinalState, PartialState, State, Transition, UnverifiedFinal, UnverifiedPartial,
        VerifyError,
    },
};

const FORMAT: u8 = 1;
const PROPOSE: u8 = 1;
const PARTIAL: u8 = 2;
const OUTSTANDING: u8 = 3;
const FINAL: u8 = 4;
const ACK: u8 = 5;

/// What the participant proposes: the next state, the transition that explains it, and its signature of both, so that
/// nobody else can use up a nonce. Nothing about it is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// The state that shall be next; not signed as a state.
    pub state: State,
    /// How it comes of the last one.
    pub transition: Transition,
    /// The participant's signature under [`Tag::Propose`].
    pub signature: Signature,
}

/// Poseidon(tag, state digest (4), transition digest (4)).
fn digest(state: &State, transition: &Transition) -> Digest {
    let [s0, s1, s2, s3] = state.digest().elements();
    let [t0, t1, t2, t3] = transition.digest().elements();
    poseidon(tags::PROPOSAL, [s0, s1, s2, s3, t0, t1, t2, t3])
}

impl Proposal {
    /// Bytes of an encoded proposal.
    pub const LEN: usize = State::LEN + Transition::LEN + Signature::LEN;

    pub(super) fn sign(
        state: State,
        transition: Transition,
        key: &SecretKey,
        hedge: &[u8; 32],
    ) -> Self {
        let signature = key.sign(Tag::Propose, &digest(&state, &transition), hedge);
        Self { state, transition, signature }
    }

    /// Checks that the channel's participant signed this proposal.
    ///
    /// # Errors
    /// [`VerifyError`] for another channel or signer.
    pub fn verify(&self, channel: &Channel) -> Result<(), VerifyError> {
        self.verify_by(channel, &channel.party(Role::Participant).channel_key)
    }

    /// [`Proposal::verify`] with the participant's key, made ready by the caller.
    pub(super) fn verify_by(
        &self,
        channel: &Channel,
        key: &impl Verify,
    ) -> Result<(), VerifyError> {
        if self.state.domain != channel.domain() {
            return Err(VerifyError::OtherDomain);
        }
        if self.state.channel_id != channel.id() {
            return Err(VerifyError::OtherChannel);
        }
        let role = Role::Participant;
        key.verify(Tag::Propose, &digest(&self.state, &self.transition), &self.signature)
            .map_err(|error| VerifyError::ChannelKey { role, error })
    }

    /// The same content, whatever the signature.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.state == other.state && self.transition == other.transition
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.state.to_bytes());
        out.extend(self.transition.to_bytes());
        out.extend(self.signature.to_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            state: State::read(reader)?,
            transition: Transition::read(reader)?,
            signature: reader.signature()?,
        })
    }
}

/// One message between the two nodes of a channel. Nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Participant: make this the next state.
    Propose(Box<Proposal>),
    /// Counterparty: signed first.
    Partial(Box<UnverifiedPartial>),
    /// Counterparty: this proposal of yours is signed and outstanding; finish it before another. Also how it asks again.
    Outstanding(Box<Proposal>, Box<UnverifiedPartial>),
    /// Participant: signed too. Also a counterparty's answer to a participant that forgot its newest state.
    Final(Box<UnverifiedFinal>),
    /// Counterparty: the final state is durable here.
    Ack(Acknowledgement),
}

impl Message {
    /// Bytes of the longest message.
    pub const MAX_LEN: usize = 2 + Proposal::LEN + PartialState::LEN;

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        match self {
            Self::Propose(proposal) => {
                out.push(PROPOSE);
                proposal.write(&mut out);
            }
            Self::Partial(partial) => {
                out.push(PARTIAL);
                out.extend(partial.to_bytes());
            }
            Self::Outstanding(proposal, partial) => {
                out.push(OUTSTANDING);
                proposal.write(&mut out);
                out.extend(partial.to_bytes());
            }
            Self::Final(state) => {
                out.push(FINAL);
                out.extend(state.to_bytes());
            }
            Self::Ack(ack) => {
                out.push(ACK);
                out.extend(ack.nonce.get().to_be_bytes());
                out.extend(ack.digest.to_bytes());
            }
        }
        out
    }

    /// Reads what [`Message::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, bytes.len().min(Self::MAX_LEN))?;
        match reader.byte()? {
            FORMAT => {}
            other => return Err(DecodeError::Version(other)),
        }
        let message = match reader.byte()? {
            PROPOSE => Self::Propose(Box::new(Proposal::read(&mut reader)?)),
            PARTIAL => Self::Partial(Box::new(partial(&mut reader)?)),
            OUTSTANDING => {
                let proposal = Box::new(Proposal::read(&mut reader)?);
                Self::Outstanding(proposal, Box::new(partial(&mut reader)?))
            }
            FINAL => {
                let state = UnverifiedFinal::from_bytes(reader.slice(FinalState::LEN)?)?;
                Self::Final(Box::new(state))
            }
            ACK => {
                let nonce = reader.nonce()?;
                Self::Ack(Acknowledgement { nonce, digest: reader.digest()? })
            }
            other => return Err(DecodeError::Kind(other)),
        };
        reader.finish()?;
        Ok(message)
    }
}

fn partial(reader: &mut Reader<'_>) -> Result<UnverifiedPartial, DecodeError> {
    UnverifiedPartial::from_bytes(reader.slice(PartialState::LEN)?)
}
