//! What happened on chain, in the protocol's words.
//!
//! A log of the vault becomes exactly one [`ChainEvent`] or a typed error; nothing is skipped and nothing is guessed. The
//! vault is immutable, so a log that does not decode means that we read the wrong contract: the follower stops on it
//! rather than miss a dispute.

use alloy_primitives::{
    Address, B256, U256,
    aliases::{U56, U112},
};
use alloy_sol_types::SolEvent;
use protocol::ids::{Amount, ChannelId, EscrowVersion, IdError, Nonce};
use serde::{Deserialize, Serialize};

use crate::{bindings::IVipe, cursor::BlockId, provider::Log};

/// One thing that happened, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEvent {
    /// The block that holds it.
    pub block: BlockId,
    /// The transaction that caused it.
    pub transaction: B256,
    /// Position of its log in the block; with the block's hash it identifies the event.
    pub index: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A participant opened a channel; it waits for the counterparty's consent.
    ChannelOpened(Box<ChannelOpened>),
    /// The counterparty consented: the channel is live.
    Accepted {
        /// The channel.
        channel: ChannelId,
        /// What the VIP put in at once.
        allocation: Amount,
    },
    /// The participant took its deposit back before any consent.
    Cancelled {
        /// The channel.
        channel: ChannelId,
    },
    /// A new version of a channel's ledger.
    LedgerAppended(LedgerAppended),
    /// Somebody put a state forward; its dispute key is now public.
    DisputeOpened(DisputeOpened),
    /// A newer state took the place of the one that stood.
    Overridden(Overridden),
    /// What stood was paid.
    Settled(Settled),
    /// An account may now claim more of an asset.
    AssetCredited {
        /// Whose credit grew.
        account: Address,
        /// The asset.
        asset: Address,
        /// By how many base units.
        amount: U256,
    },
    /// An account may now claim more ether.
    EtherCredited {
        /// Whose credit grew.
        account: Address,
        /// By how many wei.
        amount: U256,
    },
    /// An account's credit of an asset was paid out.
    AssetClaimed {
        /// Whose credit it was.
        account: Address,
        /// The asset.
        asset: Address,
        /// Who received it.
        to: Address,
        /// Base units.
        amount: U256,
    },
    /// An account's ether credit was paid out.
    EtherClaimed {
        /// Whose credit it was.
        account: Address,
        /// Who received it.
        to: Address,
        /// Wei.
        amount: U256,
    },
}

/// A channel as its participant fixed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelOpened {
    /// The new channel.
    pub channel: ChannelId,
    /// The participant's account.
    pub participant: Address,
    /// The counterparty's account.
    pub counterparty: Address,
    /// The counterparty's pool, or the zero address.
    pub vip: Address,
    /// The asset in escrow.
    pub asset: Address,
    /// The participant's channel key as five elements; not yet checked to be a key.
    pub participant_key: [u64; 5],
    /// The counterparty's channel key as five elements; not yet checked to be a key.
    pub counterparty_key: [u64; 5],
    /// What the participant says is the digest of both keys; a channel where it is not is ignored.
    pub keys_digest: B256,
    /// The participant's session account.
    pub participant_session: Address,
    /// The counterparty's session account.
    pub counterparty_session: Address,
    /// Keccak-256 of the dispute key.
    pub dispute_hash: B256,
    /// With it and their own channel keys both sides derive the dispute key.
    pub salt: B256,
    /// Bond in wei per base unit of claim, times 2^64; below 2^96.
    pub rate: U256,
    /// The participant's first deposit.
    pub deposit: Amount,
    /// Last second at which the counterparty may accept.
    pub accept_by: u64,
}

/// A new version of a channel's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerAppended {
    /// The channel.
    pub channel: ChannelId,
    /// The new version.
    pub version: EscrowVersion,
    /// What the participant put in less what it took out.
    #[serde(with = "decimal")]
    pub participant: i128,
    /// The same for the VIP.
    #[serde(with = "decimal")]
    pub vip: i128,
}

/// A dispute, and everything that a tower needs to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisputeOpened {
    /// The disputed channel.
    pub channel: ChannelId,
    /// The party that disputes.
    pub disputer: Address,
    /// Which dispute of the channel this is.
    pub epoch: u64,
    /// Nonce of the state put forward.
    pub nonce: Nonce,
    /// Ledger version of that state.
    pub version: EscrowVersion,
    /// The participant's balance in that state.
    pub balance: Amount,
    /// What the disputer claims (W).
    pub claim: Amount,
    /// Overrides are accepted in blocks with a timestamp below this, in seconds.
    pub deadline: u64,
    /// The fee (F), in wei.
    pub fee: U256,
    /// The bond (u(W)), in wei.
    pub bond: U256,
    /// Opens the channel's backups.
    pub dispute_key: B256,
}

/// What an override did to the claim that stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideKind {
    /// The claim fell.
    Lower,
    /// The nonce moved and nothing else.
    Equal,
    /// The disputer raised its claim; the window starts anew.
    Raise,
}

/// A newer state took the place of the one that stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overridden {
    /// The disputed channel.
    pub channel: ChannelId,
    /// Bound inside the proof; got `reward` and, while it is the last corrector, expects the fee.
    pub beneficiary: Address,
    /// What it did to the claim.
    pub kind: OverrideKind,
    /// Nonce of the state that stands now.
    pub nonce: Nonce,
    /// Its ledger version.
    pub version: EscrowVersion,
    /// The participant's balance in it.
    pub balance: Amount,
    /// What the disputer is now paid (W').
    pub claim: Amount,
    /// The deadline now, in seconds.
    pub deadline: u64,
    /// Credited to the beneficiary at once, in wei.
    pub reward: U256,
}

/// The end of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// The channel.
    pub channel: ChannelId,
    /// Credited to the participant.
    pub to_participant: Amount,
    /// Credited to the VIP.
    pub to_vip: Amount,
    /// How much of the disputer's claim was slashed; contained in the other side's amount.
    pub slash: Amount,
    /// Who got the fee; none if nobody corrected.
    pub corrector: Option<Address>,
    /// The fee, in wei.
    pub fee: U256,
    /// Bond given back to who paid it, in wei.
    pub bond_returned: U256,
}

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

impl Event {
    /// The channel that it is about; none for credits, which belong to accounts.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::ChannelOpened(opened) => Some(opened.channel),
            Self::Accepted { channel, .. } | Self::Cancelled { channel } => Some(*channel),
            Self::LedgerAppended(appended) => Some(appended.channel),
            Self::DisputeOpened(dispute) => Some(dispute.channel),
            Self::Overridden(overridden) => Some(overridden.channel),
            Self::Settled(settled) => Some(settled.channel),
            Self::AssetCredited { .. }
            | Self::EtherCredited { .. }
            | Self::AssetClaimed { .. }
            | Self::EtherClaimed { .. } => None,
        }
    }
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

/// Wide integers as decimal text: readers of JSON round large numbers.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<i128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
