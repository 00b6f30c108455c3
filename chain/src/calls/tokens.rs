//! Assets, and the operator's pool.

use alloy_primitives::{Address, Bytes, U256};
use protocol::ids::{Amount, ChannelId};

use super::{Call, ReadError, build, read, u56, u112};
use crate::{
    bindings::{IDevToken, IErc20, IOperatorVip},
    provider::{At, Rpc},
};

/// An ERC-20 asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erc20 {
    /// Its address.
    pub address: Address,
}

impl Erc20 {
    /// The asset at `address`.
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// Lets `spender` take up to `amount` from the sender.
    pub fn approve(&self, spender: Address, amount: U256) -> Call {
        build(self.address, &IErc20::approveCall { spender, amount })
    }

    /// Sends `amount` to `to`.
    pub fn transfer(&self, to: Address, amount: U256) -> Call {
        build(self.address, &IErc20::transferCall { to, amount })
    }

    /// Makes `amount` base units for `to`; development asset only, by its deployer.
    pub fn mint(&self, to: Address, amount: U256) -> Call {
        build(self.address, &IDevToken::mintCall { to, amount })
    }

    /// The balance of `account` in base units.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn balance_of(&self, rpc: &Rpc, account: Address, at: At) -> Result<U256, ReadError> {
        read(rpc, self.address, IErc20::balanceOfCall { account }, at).await
    }

    /// How many decimals people show the asset with.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn decimals(&self, rpc: &Rpc) -> Result<u8, ReadError> {
        read(rpc, self.address, IErc20::decimalsCall {}, At::Latest).await
    }
}

/// The operator's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorVip {
    /// Its address.
    pub address: Address,
}

impl OperatorVip {
    /// The pool at `address`.
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// Puts capital in; sent by the operator, after [`Erc20::approve`].
    pub fn deposit(&self, amount: U256) -> Call {
        build(self.address, &IOperatorVip::depositCall { amount })
    }

    /// Accepts a channel with the operator's consent and puts `allocation` into it; sent by the operator.
    pub fn accept(
        &self,
        channel: ChannelId,
        allocation: Amount,
        deadline: u64,
        consent: Bytes,
    ) -> Call {
        let (channel_id, allocation) = (u56(channel.get()), u112(allocation));
        let call = IOperatorVip::acceptCall {
            channelId: channel_id,
            allocation,
            deadline,
            signature: consent,
        };
        build(self.address, &call)
    }

    /// Puts more into a live channel; sent by the operator.
    pub fn allocate(&self, channel: ChannelId, amount: Amount) -> Call {
        build(
            self.address,
            &IOperatorVip::allocateCall { channelId: u56(channel.get()), amount: u112(amount) },
        )
    }

    /// Brings home what the vault owes the pool; sent by anybody.
    pub fn collect(&self) -> Call {
        build(self.address, &IOperatorVip::collectCall {})
    }

    /// Takes idle capital out; sent by the operator.
    pub fn withdraw(&self, amount: U256, to: Address) -> Call {
        build(self.address, &IOperatorVip::withdrawCall { amount, to })
    }

    /// Capital that is in no channel, in base units.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn idle(&self, rpc: &Rpc, at: At) -> Result<U256, ReadError> {
        read(rpc, self.address, IOperatorVip::idleCall {}, at).await
    }
}
