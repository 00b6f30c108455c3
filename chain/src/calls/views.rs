//! What the vault answers.

use alloy_primitives::{Address, B256, U256, aliases::U112};
use protocol::ids::{Amount, ChannelId, Domain, EscrowVersion, IdError, Nonce};
use serde::{Deserialize, Serialize};

use super::{ReadError, StateClaim, Vipe, read, u56, u112};
use crate::{
    bindings::IVipe,
    provider::{At, Rpc},
};

/// The life of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There is no such channel.
    None,
    /// Waits for the counterparty's consent.
    Open,
    /// In use.
    Live,
    /// A dispute is open.
    Disputed,
    /// Paid out.
    Settled,
    /// Taken back before any consent.
    Cancelled,
}

/// One channel as it stands on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelView {
    /// Where it is in its life.
    pub status: Status,
    /// The participant's account.
    pub participant: Address,
    /// The counterparty's account.
    pub counterparty: Address,
    /// The counterparty's pool.
    pub vip: Address,
    /// The asset in escrow.
    pub asset: Address,
    /// The participant's session account.
    pub participant_session: Address,
    /// The counterparty's session account.
    pub counterparty_session: Address,
    /// Digest of both channel keys.
    pub keys_digest: B256,
    /// Keccak-256 of the dispute key.
    pub dispute_hash: B256,
    /// Bond in wei per base unit of claim, times 2^64.
    pub rate: u128,
    /// Last second at which the counterparty may accept.
    pub accept_by: u64,
    /// The newest ledger version.
    pub version: EscrowVersion,
    /// How many disputes it has had.
    pub epoch: u64,
    /// The state that needs no proof.
    pub checkpoint: StateClaim,
    /// How many consents of both parties were executed; the next one names this number.
    pub seq: u64,
}

/// A dispute as it stands on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeView {
    /// The party that disputes; the zero address if there never was a dispute.
    pub disputer: Address,
    /// Who gets the bond back.
    pub payer: Address,
    /// The beneficiary of the last lowering, if any.
    pub corrector: Option<Address>,
    /// Whether the disputer used its one raise.
    pub raised: bool,
    /// Whether the disputer is the participant.
    pub by_participant: bool,
    /// Nonce of the state that stands.
    pub nonce: Nonce,
    /// When it was opened, in seconds.
    pub opened_at: u64,
    /// Overrides are accepted in blocks with a timestamp below this, in seconds.
    pub deadline: u64,
    /// The deadline before extensions, in seconds.
    pub window_end: u64,
    /// What the disputer is paid as it stands (W).
    pub claim: Amount,
    /// The greatest claim it made (C).
    pub peak: Amount,
    /// The fee (F), in wei.
    pub fee: U256,
    /// The claim that the raise found, if it was raised: bond above it is the disputer's own.
    pub raised_from: Option<Amount>,
    /// What the participant is paid by an announced close, if there is one.
    pub agreed_to_participant: Option<Amount>,
}

/// The rules of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Seconds from the opening of a dispute, or from a raise, to its deadline.
    pub dispute_window_s: u64,
    /// Seconds that a lowering override leaves at least.
    pub response_extension_s: u64,
    /// Seconds by which all lowerings together may move one deadline.
    pub max_extension_s: u64,
    /// Smallest fee of an opening, in wei; below 2^128.
    pub fee_floor: U256,
    /// The fee is at least this much gas at the opening block's base fee.
    pub fee_gas: u64,
    /// Share of a struck-down bond that goes to the beneficiary, in 1/10,000.
    pub tower_bps: u16,
    /// Share of the struck-down claim that is slashed, in 1/10,000.
    pub slash_bps: u16,
    /// The live-state verifier.
    pub verifier: Address,
    /// The hash of its code.
    pub verifier_code_hash: B256,
}

/// Questions. Each takes the state of the chain that it is about.
impl Vipe {
    /// The rules of this deployment.
    ///
    /// # Errors
    /// See [`ReadError`]; the same holds for every question below.
    pub async fn rules(&self, rpc: &Rpc) -> Result<Rules, ReadError> {
        let rules = read(rpc, self.address, IVipe::rulesCall {}, At::Latest).await?;
        Ok(rules.into())
    }

    /// Whether anything answered at the vault's address in `block`; only for blocks whose state the node still keeps.
    pub(crate) async fn exists_at(&self, rpc: &Rpc, block: u64) -> Result<bool, ReadError> {
        match read(rpc, self.address, IVipe::channelCountCall {}, At::Number(block)).await {
            Ok(_count) => Ok(true),
            // What has no code answers with nothing.
            Err(ReadError::Malformed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where states of this vault are valid.
    pub async fn domain(&self, rpc: &Rpc) -> Result<Domain, ReadError> {
        Ok(Domain::from_bytes(read(rpc, self.address, IVipe::domainCall {}, At::Latest).await?.0))
    }

    /// The vault's EIP-712 domain separator.
    pub async fn domain_separator(&self, rpc: &Rpc) -> Result<B256, ReadError> {
        read(rpc, self.address, IVipe::domainSeparatorCall {}, At::Latest).await
    }

    /// One channel as it stands.
    pub async fn channel(
        &self,
        rpc: &Rpc,
        channel: ChannelId,
        at: At,
    ) -> Result<ChannelView, ReadError> {
        let call = IVipe::channelCall { channelId: u56(channel.get()) };
        channel_view(&read(rpc, self.address, call, at).await?)
    }

    /// The channel's dispute as it stands, also after it is settled.
    pub async fn dispute_of(
        &self,
        rpc: &Rpc,
        channel: ChannelId,
        at: At,
    ) -> Result<DisputeView, ReadError> {
        let call = IVipe::disputeOfCall { channelId: u56(channel.get()) };
        dispute_view(&read(rpc, self.address, call, at).await?)
    }

    /// What each side put in less what it took out, as of a version: the participant, then the VIP.
    pub async fn ledger(
        &self,
        rpc: &Rpc,
        channel: ChannelId,
        version: EscrowVersion,
        at: At,
    ) -> Result<(i128, i128), ReadError> {
        let call = IVipe::ledgerCall { channelId: u56(channel.get()), version: u56(version.get()) };
        let entry = read(rpc, self.address, call, at).await?;
        Ok((entry.p, entry.h))
    }

    /// What a state would pay now: the participant, then the VIP.
    pub async fn payout(
        &self,
        rpc: &Rpc,
        channel: ChannelId,
        (version, balance): (EscrowVersion, Amount),
        at: At,
    ) -> Result<(Amount, Amount), ReadError> {
        let (version, balance) = (u56(version.get()), u112(balance));
        let call = IVipe::payoutCall { channelId: u56(channel.get()), version, balance };
        let paid = read(rpc, self.address, call, at).await?;
        Ok((amount(paid.toParticipant)?, amount(paid.toVip)?))
    }

    /// The bond of a claim, in wei.
    pub async fn bond(
        &self,
        rpc: &Rpc,
        channel: ChannelId,
        claim: Amount,
    ) -> Result<U256, ReadError> {
        let call = IVipe::bondCall { channelId: u56(channel.get()), claim: u112(claim) };
        read(rpc, self.address, call, At::Latest).await
    }

    /// The fee of an opening in the newest block, in wei.
    pub async fn opening_fee(&self, rpc: &Rpc) -> Result<U256, ReadError> {
        read(rpc, self.address, IVipe::openingFeeCall {}, At::Latest).await
    }

    /// How much of an asset the vault takes in one channel, and in all together; zero if it is not listed.
    pub async fn asset_cap(
        &self,
        rpc: &Rpc,
        asset: Address,
    ) -> Result<(Amount, Amount), ReadError> {
        let cap = read(rpc, self.address, IVipe::assetCapCall { asset }, At::Latest).await?;
        Ok((amount(cap.perChannel)?, amount(cap.total)?))
    }

    /// What `account` may claim of `asset`, in base units.
    pub async fn asset_credit(
        &self,
        rpc: &Rpc,
        account: Address,
        asset: Address,
        at: At,
    ) -> Result<U256, ReadError> {
        read(rpc, self.address, IVipe::assetCreditCall { account, asset }, at).await
    }

    /// What `account` may claim of ether, in wei.
    pub async fn ether_credit(
        &self,
        rpc: &Rpc,
        account: Address,
        at: At,
    ) -> Result<U256, ReadError> {
        read(rpc, self.address, IVipe::etherCreditCall { account }, at).await
    }
}

fn amount(raw: U112) -> Result<Amount, IdError> {
    Amount::try_from(raw.saturating_to::<u128>())
}

impl From<IVipe::Rules> for Rules {
    fn from(raw: IVipe::Rules) -> Self {
        Self {
            dispute_window_s: raw.disputeWindow,
            response_extension_s: raw.responseExtension,
            max_extension_s: raw.maxExtension,
            fee_floor: U256::from(raw.feeFloor),
            fee_gas: raw.feeGas,
            tower_bps: raw.towerBps,
            slash_bps: raw.slashBps,
            verifier: raw.verifier,
            verifier_code_hash: raw.verifierCodeHash,
        }
    }
}

fn channel_view(raw: &IVipe::Channel) -> Result<ChannelView, ReadError> {
    let status = match raw.status {
        IVipe::Status::None => Status::None,
        IVipe::Status::Open => Status::Open,
        IVipe::Status::Live => Status::Live,
        IVipe::Status::Disputed => Status::Disputed,
        IVipe::Status::Settled => Status::Settled,
        IVipe::Status::Cancelled => Status::Cancelled,
        IVipe::Status::__Invalid => {
            return Err(ReadError::Malformed("an unknown status".to_owned()));
        }
    };
    Ok(ChannelView {
        status,
        participant: raw.participant,
        counterparty: raw.counterparty,
        vip: raw.vip,
        asset: raw.asset,
        participant_session: raw.participantSession,
        counterparty_session: raw.counterpartySession,
        keys_digest: raw.keysDigest,
        dispute_hash: raw.disputeHash,
        rate: raw.rate.saturating_to(),
        accept_by: raw.acceptBy,
        version: EscrowVersion::try_from(raw.version.saturating_to::<u64>())?,
        epoch: raw.epoch,
        checkpoint: StateClaim {
            nonce: Nonce::try_from(raw.checkpoint.nonce.saturating_to::<u64>())?,
            version: EscrowVersion::try_from(raw.checkpoint.version.saturating_to::<u64>())?,
            balance: amount(raw.checkpoint.balance)?,
        },
        seq: raw.seq,
    })
}

fn dispute_view(raw: &IVipe::Dispute) -> Result<DisputeView, ReadError> {
    Ok(DisputeView {
        disputer: raw.disputer,
        payer: raw.payer,
        corrector: (!raw.corrector.is_zero()).then_some(raw.corrector),
        raised: raw.raised,
        by_participant: raw.byParticipant,
        nonce: Nonce::try_from(raw.nonce.saturating_to::<u64>())?,
        opened_at: raw.openedAt,
        deadline: raw.deadline,
        window_end: raw.windowEnd,
        claim: amount(raw.claim)?,
        peak: amount(raw.peak)?,
        fee: raw.fee,
        raised_from: raw.raised.then(|| amount(raw.raisedFrom)).transpose()?,
        agreed_to_participant: raw.closing.then(|| amount(raw.agreedToParticipant)).transpose()?,
    })
}
