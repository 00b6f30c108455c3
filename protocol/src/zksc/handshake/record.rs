//! What a node keeps of its end of a channel, durable before anything leaves the machine.

use super::message::Proposal;
use crate::{
    encoding::{DecodeError, Reader},
    ids::Role,
    zksc::{
        Channel, FinalState, PartialState, State, UnverifiedFinal, UnverifiedPartial, VerifyError,
    },
};

const FORMAT: u8 = 1;

/// Why a record is not this channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are no record.
    #[error("the record: {0}")]
    Decode(#[from] DecodeError),
    /// A signature in it is refused.
    #[error("the record: {0}")]
    Verify(#[from] VerifyError),
    /// The record is of the other role, or of another channel.
    #[error("the record is of another channel or role")]
    Other,
}

/// What is between the last final state and the next.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per channel, and it is copied once per record"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// Nothing.
    None,
    /// Participant: proposed, not signed as a state.
    Proposed(Proposal),
    /// Participant: the last final state was sent and not acknowledged.
    Unconfirmed,
    /// Counterparty: signed this, and waits for the participant's signature.
    Outstanding(Proposal, PartialState),
}

/// One end of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Whose end it is.
    pub(super) role: Role,
    /// The state that the next one follows.
    pub(super) base: State,
    /// The newest state that both signed.
    pub(super) latest: Option<FinalState>,
    /// What is under way.
    pub(super) pending: Pending,
    /// Nothing is signed any more.
    pub(super) stopped: bool,
}

impl Record {
    /// The record of a new channel.
    #[must_use]
    pub fn new(role: Role, channel: &Channel) -> Self {
        let base = State::genesis(channel.domain(), channel.id());
        Self { role, base, latest: None, pending: Pending::None, stopped: false }
    }

    /// The state that the next one follows: the newest final one, a consented one, or the first checkpoint.
    #[must_use]
    pub const fn base(&self) -> &State {
        &self.base
    }

    /// The newest state that both signed.
    #[must_use]
    pub const fn latest(&self) -> Option<&FinalState> {
        self.latest.as_ref()
    }

    /// What is under way.
    #[must_use]
    pub const fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Whether the node decided to exit or saw a dispute.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![FORMAT, self.role.to_byte(), u8::from(self.stopped)];
        out.extend(self.base.to_bytes());
        out.push(u8::from(self.latest.is_some()));
        if let Some(state) = &self.latest {
            out.extend(state.to_bytes());
        }
        match &self.pending {
            Pending::None => out.push(0),
            Pending::Proposed(proposal) => {
                out.push(1);
                proposal.write(&mut out);
            }
            Pending::Unconfirmed => out.push(2),
            Pending::Outstanding(proposal, partial) => {
                out.push(3);
                proposal.write(&mut out);
                out.extend(partial.to_bytes());
            }
        }
        out
    }

    /// Reads a record of `channel` and checks every signature in it again: a disk is not to be trusted more than a peer.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_bytes(bytes: &[u8], role: Role, channel: &Channel) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes, bytes.len())?;
        match reader.byte()? {
            FORMAT => {}
            other => return Err(DecodeError::Version(other).into()),
        }
        let found = reader.role().map_err(RecordError::Decode)?;
        let stopped = flag(&mut reader)?;
        let base = State::read(&mut reader)?;
        if found != role || base.domain != channel.domain() || base.channel_id != channel.id() {
            return Err(RecordError::Other);
        }
        let latest = if flag(&mut reader)? {
            let bytes = reader.slice(FinalState::LEN)?;
            Some(UnverifiedFinal::from_bytes(bytes)?.verify(channel)?)
        } else {
            None
        };
        let pending = read_pending(&mut reader, role, latest.is_some(), channel)?;
        reader.finish()?;
        Ok(Self { role, base, latest, pending, stopped })
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::Kind(other)),
    }
}

fn read_pending(
    reader: &mut Reader<'_>,
    role: Role,
    has_final: bool,
    channel: &Channel,
) -> Result<Pending, RecordError> {
    let pending = match (reader.byte()?, role) {
        (0, _) => Pending::None,
        (1, Role::Participant) => {
            let proposal = Proposal::read(reader)?;
            proposal.verify(channel)?;
            Pending::Proposed(proposal)
        }
        (2, Role::Participant) if has_final => Pending::Unconfirmed,
        (3, Role::Counterparty) => {
            let proposal = Proposal::read(reader)?;
            proposal.verify(channel)?;
            let partial = UnverifiedPartial::from_bytes(reader.slice(PartialState::LEN)?)?;
            if partial.state != proposal.state {
                return Err(DecodeError::Shape.into());
            }
            Pending::Outstanding(proposal, partial.verify(channel)?)
        }
        (1..=3, _) => return Err(DecodeError::Shape.into()),
        (other, _) => return Err(DecodeError::Kind(other).into()),
    };
    Ok(pending)
}
