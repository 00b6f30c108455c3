//! Assets.

use alloy_primitives::{Address, U256};

use super::{Call, ReadError, build, read};
use crate::{
    bindings::{IDevToken, IErc20},
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
