//! What nodes, towers and tools ask of the contracts, and the transactions they make.
//!
//! Builders ([`Vipe::open`] and so on) only build a [`Call`]; it reaches the chain through the submitter. Readers ask the
//! node and return the protocol's types.

mod consents;
mod tokens;
mod views;
mod vip;

use alloy_primitives::{
    Address, B256, Bytes, FixedBytes, U256,
    aliases::{U56, U96, U112},
};
use alloy_sol_types::SolCall;
use protocol::ids::{Amount, ChannelId, EscrowVersion, IdError, Nonce};
use serde::{Deserialize, Serialize};

pub use self::{
    consents::ExitOrder,
    tokens::Erc20,
    views::{ChannelView, DisputeView, Rules, Status},
    vip::{Books, ExitView, Vip},
};
use crate::{
    bindings::IVipe,
    error::{Retry, RpcError},
    provider::{At, CallError, CallRequest, Rpc},
    refusal::{Refusal, RefusalKind},
};

/// A call of a contract, ready to be sent by anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
    /// Wei sent along.
    pub value: U256,
}

/// Why a question to a contract has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The node gave no answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The contract refused.
    #[error("the contract refuses: {0}")]
    Refused(Refusal),
    /// The answer does not have the form that the contract's interface says.
    #[error("the contract's answer cannot be read: {0}")]
    Malformed(String),
}

impl ReadError {
    /// Whether the same question may be answered later.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Rpc(error) => error.retry(),
            Self::Refused(refusal) if matches!(refusal.kind, RefusalKind::Early) => {
                Retry::Later(None)
            }
            Self::Refused(_) | Self::Malformed(_) => Retry::Never,
        }
    }
}

impl From<IdError> for ReadError {
    fn from(error: IdError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The part of a channel state that the chain reads: (n, v, b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateClaim {
    /// The state's nonce.
    pub nonce: Nonce,
    /// The ledger version it spends from.
    pub version: EscrowVersion,
    /// The participant's balance.
    pub balance: Amount,
}

/// Both parties' session signatures over one state, each 64 bytes (EIP-2098).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSignatures {
    /// By the participant's session key.
    pub participant: [u8; 64],
    /// By the counterparty's session key.
    pub counterparty: [u8; 64],
}

impl SessionSignatures {
    /// What goes with the checkpoint, which needs none.
    pub const NONE: Self = Self { participant: [0; 64], counterparty: [0; 64] };
}

/// What a participant fixes when it opens a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The counterparty's account.
    pub counterparty: Address,
    /// The counterparty's pool.
    pub vip: Address,
    /// The asset in escrow.
    pub asset: Address,
    /// The participant's channel key as five elements.
    pub participant_key: [u64; 5],
    /// The counterparty's channel key as five elements.
    pub counterparty_key: [u64; 5],
    /// Digest of both keys.
    pub keys_digest: B256,
    /// The participant's session account.
    pub participant_session: Address,
    /// The counterparty's session account.
    pub counterparty_session: Address,
    /// Keccak-256 of the dispute key.
    pub dispute_hash: B256,
    /// The dispute key is derived with it.
    pub salt: B256,
    /// Bond in wei per base unit of claim, times 2^64; below 2^96.
    pub rate: u128,
    /// What the participant puts in; the vault must be allowed to take it.
    pub deposit: Amount,
    /// Last second at which the counterparty may accept.
    pub accept_by: u64,
}

/// Asks `to` one question.
async fn read<C: SolCall>(rpc: &Rpc, to: Address, call: C, at: At) -> Result<C::Return, ReadError> {
    let data = call.abi_encode().into();
    let request =
        CallRequest { from: Address::ZERO, to: Some(to), data, value: U256::ZERO, gas: None };
    match rpc.call(&request, at).await {
        Ok(answer) => C::abi_decode_returns_validate(&answer)
            .map_err(|error| ReadError::Malformed(error.to_string())),
        Err(CallError::Reverted { data }) => Err(ReadError::Refused(Refusal::read(&data))),
        Err(CallError::Rpc(error)) => Err(ReadError::Rpc(error)),
    }
}

fn build(to: Address, call: &impl SolCall) -> Call {
    Call { to, data: call.abi_encode().into(), value: U256::ZERO }
}

fn u56(value: u64) -> U56 {
    U56::saturating_from(value)
}

fn u112(amount: Amount) -> U112 {
    U112::saturating_from(amount.get())
}

fn state_claim(state: StateClaim) -> IVipe::StateClaim {
    IVipe::StateClaim {
        nonce: u56(state.nonce.get()),
        version: u56(state.version.get()),
        balance: u112(state.balance),
    }
}

fn session_signatures(signatures: &SessionSignatures) -> IVipe::SessionSignatures {
    let compact = |bytes: &[u8; 64]| {
        let (r, vs) = bytes.split_at(32);
        IVipe::CompactSignature { r: FixedBytes::from_slice(r), vs: FixedBytes::from_slice(vs) }
    };
    IVipe::SessionSignatures {
        participant: compact(&signatures.participant),
        counterparty: compact(&signatures.counterparty),
    }
}

/// The vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vipe {
    /// Its address.
    pub address: Address,
}

/// Transactions.
impl Vipe {
    /// The vault at `address`.
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// Opens a channel; sent by the participant, after [`Erc20::approve`].
    ///
    /// # Errors
    /// When the rate does not fit its 96 bits.
    pub fn open(&self, request: &OpenRequest) -> Result<Call, ReadError> {
        let rate = U96::try_from(request.rate)
            .map_err(|_too_wide| ReadError::Malformed("a rate is below 2^96".to_owned()))?;
        let request = IVipe::OpenRequest {
            counterparty: request.counterparty,
            vip: request.vip,
            asset: request.asset,
            participantKey: request.participant_key,
            counterpartyKey: request.counterparty_key,
            keysDigest: request.keys_digest,
            participantSession: request.participant_session,
            counterpartySession: request.counterparty_session,
            disputeHash: request.dispute_hash,
            salt: request.salt,
            rate,
            deposit: u112(request.deposit),
            acceptBy: request.accept_by,
        };
        Ok(build(self.address, &IVipe::openCall { request }))
    }

    /// Brings the counterparty's consent without an allocation; sent by anybody.
    pub fn accept(&self, channel: ChannelId, deadline: u64, consent: Bytes) -> Call {
        let (channel_id, allocation) = (u56(channel.get()), U112::ZERO);
        build(
            self.address,
            &IVipe::acceptCall { channelId: channel_id, allocation, deadline, signature: consent },
        )
    }

    /// Takes the deposit back before any consent; sent by the participant.
    pub fn cancel(&self, channel: ChannelId) -> Call {
        build(self.address, &IVipe::cancelCall { channelId: u56(channel.get()) })
    }

    /// Adds to the participant's side; sent by the participant, after [`Erc20::approve`].
    pub fn deposit(&self, channel: ChannelId, amount: Amount) -> Call {
        build(
            self.address,
            &IVipe::depositCall { channelId: u56(channel.get()), amount: u112(amount) },
        )
    }

    /// Opens a dispute; sent by a party. `value` is at least the fee and the bond of `claim`, in wei.
    pub fn dispute(
        &self,
        channel: ChannelId,
        state: StateClaim,
        (claim, value): (Amount, U256),
        dispute_key: B256,
        (signatures, proof): (&SessionSignatures, Bytes),
    ) -> Call {
        let call = IVipe::disputeCall {
            channelId: u56(channel.get()),
            state: state_claim(state),
            claim: u112(claim),
            disputeKey: dispute_key,
            signatures: session_signatures(signatures),
            proof,
        };
        Call { value, ..build(self.address, &call) }
    }

    /// Puts a newer state in the place of the one that stands; sent by anybody for `beneficiary`. `value` is zero but
    /// for a raise.
    pub fn override_state(
        &self,
        channel: ChannelId,
        state: StateClaim,
        beneficiary: Address,
        (signatures, proof): (&SessionSignatures, Bytes),
        value: U256,
    ) -> Call {
        let call = IVipe::overrideStateCall {
            channelId: u56(channel.get()),
            state: state_claim(state),
            beneficiary,
            signatures: session_signatures(signatures),
            proof,
        };
        Call { value, ..build(self.address, &call) }
    }

    /// Pays what stands; sent by anybody once the deadline has come.
    pub fn settle(&self, channel: ChannelId) -> Call {
        build(self.address, &IVipe::settleCall { channelId: u56(channel.get()) })
    }

    /// Pays what stands in those of `channels` that are due, and skips the others; sent by anybody.
    pub fn settle_many(&self, channels: &[ChannelId]) -> Call {
        let ids = channels.iter().map(|channel| u56(channel.get())).collect();
        build(self.address, &IVipe::settleManyCall { channelIds: ids })
    }

    /// Sends the caller's credit of `asset` to `to`.
    pub fn claim_asset(&self, asset: Address, to: Address) -> Call {
        build(self.address, &IVipe::claimAssetCall { asset, to })
    }

    /// Sends the caller's ether credit to `to`.
    pub fn claim_ether(&self, to: Address) -> Call {
        build(self.address, &IVipe::claimEtherCall { to })
    }
}
