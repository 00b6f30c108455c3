//! From logs to events, strictly.

use alloy_primitives::{
    Address, U256,
    aliases::{U56, U112},
};
use alloy_sol_types::SolEvent;
use protocol::ids::{Amount, ChannelId, EscrowVersion, IdError, Nonce};

use super::{
    ChainEvent, ChannelOpened, CloseAnnounced, DisputeOpened, Event, LedgerAppended, Overridden,
    OverrideKind, Settled, Withdrawn,
};
use crate::{bindings::IVipe, cursor::BlockId, provider::Log};

/// Why a log of the vault is no event of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The log came from another contract than the one asked for.
    #[error("log {index} of block {block} is from {found}, not from the vault")]
    Address {
        /// The block.
        block: BlockId,
        /// Position in the block.
        index: u64,
        /// Who wrote it.
        found: Address,
    },
    /// The vault has no such event.
    #[error("log {index} of block {block} is no event of this vault")]
    Unknown {
        /// The block.
        block: BlockId,
        /// Position in the block.
        index: u64,
    },
    /// The fields do not have the event's form.
    #[error("log {index} of block {block} does not decode: {reason}")]
    Fields {
        /// The block.
        block: BlockId,
        /// Position in the block.
        index: u64,
        /// What did not fit.
        reason: String,
    },
}

/// Decodes one log of the vault at `vipe`.
///
/// # Errors
/// When the log is of another contract, of an unknown event, or not of that event's form: also when a padded field
/// has non-zero padding, or an identifier is out of its range.
pub fn decode(vipe: Address, log: &Log) -> Result<ChainEvent, DecodeError> {
    let (block, index) = (log.block, log.index);
    if log.address != vipe {
        return Err(DecodeError::Address { block, index, found: log.address });
    }
    let event = match decode_fields(log) {
        Ok(Some(event)) => event,
        Ok(None) => return Err(DecodeError::Unknown { block, index }),
        Err(reason) => {
            return Err(DecodeError::Fields { block, index, reason: reason.to_string() });
        }
    };
    Ok(ChainEvent { block, transaction: log.transaction, index, event })
}

/// Why the fields of a log do not fit.
#[derive(Debug, thiserror::Error)]
enum FieldError {
    #[error("{0}")]
    Abi(#[from] alloy_sol_types::Error),
    #[error("{0}")]
    Id(#[from] IdError),
    #[error("unknown kind of override")]
    OverrideKind,
}

fn fields<E: SolEvent>(log: &Log) -> Result<E, alloy_sol_types::Error> {
    E::decode_raw_log_validate(log.topics.iter().copied(), &log.data)
}

fn decode_fields(log: &Log) -> Result<Option<Event>, FieldError> {
    let Some(topic) = log.topics.first() else { return Ok(None) };
    Ok(Some(match *topic {
        IVipe::Opened::SIGNATURE_HASH => opened(&fields(log)?)?,
        IVipe::Accepted::SIGNATURE_HASH => {
            let raw: IVipe::Accepted = fields(log)?;
            Event::Accepted {
                channel: channel(raw.channelId)?,
                allocation: amount(raw.allocation)?,
            }
        }
        IVipe::Cancelled::SIGNATURE_HASH => {
            let raw: IVipe::Cancelled = fields(log)?;
            Event::Cancelled { channel: channel(raw.channelId)? }
        }
        IVipe::LedgerAppended::SIGNATURE_HASH => {
            let raw: IVipe::LedgerAppended = fields(log)?;
            Event::LedgerAppended(LedgerAppended {
                channel: channel(raw.channelId)?,
                version: version(raw.version)?,
                participant: raw.p,
                vip: raw.h,
            })
        }
        IVipe::Withdrawn::SIGNATURE_HASH => withdrawn(&fields(log)?)?,
        IVipe::Closed::SIGNATURE_HASH => {
            let raw: IVipe::Closed = fields(log)?;
            Event::Closed {
                channel: channel(raw.channelId)?,
                seq: raw.seq,
                to_participant: amount(raw.toParticipant)?,
                to_vip: amount(raw.toVip)?,
            }
        }
        IVipe::CloseAnnounced::SIGNATURE_HASH => close_announced(&fields(log)?)?,
        IVipe::Sponsored::SIGNATURE_HASH => {
            let IVipe::Sponsored { channelId, payer } = fields(log)?;
            Event::Sponsored { channel: channel(channelId)?, payer }
        }
        IVipe::DisputeOpened::SIGNATURE_HASH => dispute_opened(&fields(log)?)?,
        IVipe::Overridden::SIGNATURE_HASH => overridden(&fields(log)?)?,
        IVipe::Settled::SIGNATURE_HASH => settled(&fields(log)?)?,
        IVipe::AssetCredited::SIGNATURE_HASH => {
            let IVipe::AssetCredited { account, asset, amount } = fields(log)?;
            Event::AssetCredited { account, asset, amount }
        }
        IVipe::EtherCredited::SIGNATURE_HASH => {
            let IVipe::EtherCredited { account, amount } = fields(log)?;
            Event::EtherCredited { account, amount }
        }
        IVipe::AssetClaimed::SIGNATURE_HASH => {
            let IVipe::AssetClaimed { account, asset, to, amount } = fields(log)?;
            Event::AssetClaimed { account, asset, to, amount }
        }
        IVipe::EtherClaimed::SIGNATURE_HASH => {
            let IVipe::EtherClaimed { account, to, amount } = fields(log)?;
            Event::EtherClaimed { account, to, amount }
        }
        _ => return Ok(None),
    }))
}

fn channel(raw: U56) -> Result<ChannelId, IdError> {
    ChannelId::try_from(raw.saturating_to::<u64>())
}

fn nonce(raw: U56) -> Result<Nonce, IdError> {
    Nonce::try_from(raw.saturating_to::<u64>())
}

fn version(raw: U56) -> Result<EscrowVersion, IdError> {
    EscrowVersion::try_from(raw.saturating_to::<u64>())
}

fn amount(raw: U112) -> Result<Amount, IdError> {
    Amount::try_from(raw.saturating_to::<u128>())
}

fn opened(raw: &IVipe::Opened) -> Result<Event, FieldError> {
    Ok(Event::ChannelOpened(Box::new(ChannelOpened {
        channel: channel(raw.channelId)?,
        participant: raw.participant,
        counterparty: raw.counterparty,
        vip: raw.vip,
        asset: raw.asset,
        participant_key: raw.participantKey,
        counterparty_key: raw.counterpartyKey,
        keys_digest: raw.keysDigest,
        participant_session: raw.participantSession,
        counterparty_session: raw.counterpartySession,
        dispute_hash: raw.disputeHash,
        salt: raw.salt,
        rate: U256::from(raw.rate),
        deposit: amount(raw.deposit)?,
        accept_by: raw.acceptBy,
    })))
}

fn withdrawn(raw: &IVipe::Withdrawn) -> Result<Event, FieldError> {
    Ok(Event::Withdrawn(Withdrawn {
        channel: channel(raw.channelId)?,
        seq: raw.seq,
        nonce: nonce(raw.nonce)?,
        version: version(raw.version)?,
        balance: amount(raw.balance)?,
        to_participant: amount(raw.toParticipant)?,
        to_vip: amount(raw.toVip)?,
    }))
}

fn close_announced(raw: &IVipe::CloseAnnounced) -> Result<Event, FieldError> {
    Ok(Event::CloseAnnounced(CloseAnnounced {
        channel: channel(raw.channelId)?,
        seq: raw.seq,
        epoch: raw.epoch,
        to_participant: amount(raw.toParticipant)?,
        to_vip: amount(raw.toVip)?,
        deadline: raw.deadline,
    }))
}

fn dispute_opened(raw: &IVipe::DisputeOpened) -> Result<Event, FieldError> {
    Ok(Event::DisputeOpened(DisputeOpened {
        channel: channel(raw.channelId)?,
        disputer: raw.disputer,
        epoch: raw.epoch,
        nonce: nonce(raw.nonce)?,
        version: version(raw.version)?,
        balance: amount(raw.balance)?,
        claim: amount(raw.claim)?,
        deadline: raw.deadline,
        fee: raw.fee,
        bond: raw.bond,
        dispute_key: raw.disputeKey,
    }))
}

fn overridden(raw: &IVipe::Overridden) -> Result<Event, FieldError> {
    Ok(Event::Overridden(Overridden {
        channel: channel(raw.channelId)?,
        beneficiary: raw.beneficiary,
        kind: match raw.kind {
            IVipe::OverrideKind::Lower => OverrideKind::Lower,
            IVipe::OverrideKind::Equal => OverrideKind::Equal,
            IVipe::OverrideKind::Raise => OverrideKind::Raise,
            IVipe::OverrideKind::__Invalid => return Err(FieldError::OverrideKind),
        },
        nonce: nonce(raw.nonce)?,
        version: version(raw.version)?,
        balance: amount(raw.balance)?,
        claim: amount(raw.claim)?,
        deadline: raw.deadline,
        reward: raw.reward,
    }))
}

fn settled(raw: &IVipe::Settled) -> Result<Event, FieldError> {
    Ok(Event::Settled(Settled {
        channel: channel(raw.channelId)?,
        to_participant: amount(raw.toParticipant)?,
        to_vip: amount(raw.toVip)?,
        slash: amount(raw.slash)?,
        corrector: (!raw.corrector.is_zero()).then_some(raw.corrector),
        fee: raw.fee,
        bond_returned: raw.bondReturned,
    }))
}
