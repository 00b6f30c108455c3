//! What happened on chain, in the protocol's words.
//!
//! A log of the vault becomes exactly one [`ChainEvent`] or a typed error; nothing is skipped and nothing is guessed. The
//! vault is immutable, so a log that does not decode means that we read the wrong contract: the follower stops on it
//! rather than miss a dispute.

mod decode;

use alloy_primitives::{Address, B256, U256};
use protocol::ids::{Amount, ChannelId, EscrowVersion, Nonce};
use serde::{Deserialize, Serialize};

pub use self::decode::{DecodeError, decode};
use crate::cursor::BlockId;

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
    /// Both parties took something out of a live channel; a [`LedgerAppended`] follows.
    Withdrawn(Withdrawn),
    /// Both parties ended a live channel: it is paid out.
    Closed {
        /// The channel.
        channel: ChannelId,
        /// The number of the consent.
        seq: u64,
        /// Credited to the participant.
        to_participant: Amount,
        /// Credited to the VIP.
        to_vip: Amount,
    },
    /// Both parties agreed on how the open dispute ends; overrides stay valid and paid until the deadline.
    CloseAnnounced(CloseAnnounced),
    /// Somebody put a state forward; its dispute key is now public.
    DisputeOpened(DisputeOpened),
    /// The dispute that was just opened is paid for by somebody else than the party.
    Sponsored {
        /// The disputed channel.
        channel: ChannelId,
        /// Who paid, and gets bond and fee back.
        payer: Address,
    },
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

/// A withdrawal by consent of both parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// The channel.
    pub channel: ChannelId,
    /// The number of the consent.
    pub seq: u64,
    /// Nonce of the new checkpoint; states up to it are dead.
    pub nonce: Nonce,
    /// Its ledger version.
    pub version: EscrowVersion,
    /// The participant's balance in it.
    pub balance: Amount,
    /// Credited to the participant.
    pub to_participant: Amount,
    /// Credited to the VIP.
    pub to_vip: Amount,
}

/// The end of a dispute that both parties agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseAnnounced {
    /// The channel.
    pub channel: ChannelId,
    /// The number of the consent.
    pub seq: u64,
    /// The dispute that ends.
    pub epoch: u64,
    /// What the participant will be credited.
    pub to_participant: Amount,
    /// What the VIP will be credited.
    pub to_vip: Amount,
    /// The deadline now, in seconds: never later than before, and no longer extended.
    pub deadline: u64,
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

impl Event {
    /// The channel that it is about; none for credits, which belong to accounts.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::ChannelOpened(opened) => Some(opened.channel),
            Self::Accepted { channel, .. }
            | Self::Cancelled { channel }
            | Self::Closed { channel, .. }
            | Self::Sponsored { channel, .. } => Some(*channel),
            Self::Withdrawn(withdrawn) => Some(withdrawn.channel),
            Self::CloseAnnounced(announced) => Some(announced.channel),
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
