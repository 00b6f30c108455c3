//! The counterparty's pool (VRC-4): an ERC-4626 vault whose idle assets the operator puts into channels.
//!
//! Amounts are base units of the pool's asset; shares have six decimals more.

use alloy_primitives::{Address, Bytes, U256};
use protocol::ids::{Amount, ChannelId};

use super::{Call, ReadError, build, read, u56, u112};
use crate::{
    bindings::pool::Vip as Abi,
    provider::{At, Rpc},
};

/// A pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vip {
    /// Its address, which is that of its shares as well.
    pub address: Address,
}

/// What a pool's assets consist of, beside the idle ones: `total_assets = idle + placed + owed - unvested`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Capital in channels that have not ended, at cost.
    pub placed: U256,
    /// What the vault has credited and the pool has not collected.
    pub owed: U256,
    /// Realised gains that are not yet released.
    pub unvested: U256,
}

/// A request to leave a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitView {
    /// Who made it; the zero address once it is paid and taken, or if there never was one.
    pub owner: Address,
    /// Shares that still wait.
    pub shares: U256,
    /// Paid and not yet taken.
    pub assets: U256,
}

/// Transactions of shareholders.
impl Vip {
    /// The pool at `address`.
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// Buys shares for `receiver`; sent by anybody, after [`super::Erc20::approve`]. They are locked for the pool's lock-up.
    pub fn deposit(&self, assets: U256, receiver: Address) -> Call {
        build(self.address, &Abi::depositCall { assets, receiver })
    }

    /// Takes out `assets` at once, at most [`Self::max_withdraw`]; sent by `owner` or with its allowance.
    pub fn withdraw(&self, assets: U256, receiver: Address, owner: Address) -> Call {
        build(self.address, &Abi::withdrawCall { assets, receiver, owner })
    }

    /// Leaves with `shares`: what is their part of idle assets goes to `receiver` at once, the rest is queued for `owner`.
    pub fn exit(&self, shares: U256, receiver: Address, owner: Address) -> Call {
        build(self.address, &Abi::exitCall { shares, receiver, owner })
    }

    /// Takes what was paid for a request so far; sent by its owner.
    pub fn take_exit(&self, exit: U256, to: Address) -> Call {
        build(self.address, &Abi::takeExitCall { exitId: exit, to })
    }

    /// Brings home what the vault owes and pays the queue its part; sent by anybody.
    pub fn collect(&self) -> Call {
        build(self.address, &Abi::collectCall {})
    }
}

/// Transactions that the operator sends or signs.
impl Vip {
    /// Accepts a channel with the operator's consent and puts `allocation` into it; sent by anybody.
    pub fn accept(
        &self,
        channel: ChannelId,
        allocation: Amount,
        deadline: u64,
        consent: Bytes,
    ) -> Call {
        let call = Abi::acceptCall {
            channelId: u56(channel.get()),
            allocation: u112(allocation),
            deadline,
            signature: consent,
        };
        build(self.address, &call)
    }

    /// Puts more into a live channel; sent by the operator.
    pub fn allocate(&self, channel: ChannelId, amount: Amount) -> Call {
        let call = Abi::allocateCall { channelId: u56(channel.get()), amount: u112(amount) };
        build(self.address, &call)
    }

    /// The same, sent by anybody with the operator's signature over [`crate::allocation::digest`].
    pub fn allocate_with_signature(
        &self,
        channel: ChannelId,
        amount: Amount,
        deadline: u64,
        signature: Bytes,
    ) -> Call {
        let call = Abi::allocateWithSignatureCall {
            channelId: u56(channel.get()),
            amount: u112(amount),
            deadline,
            signature,
        };
        build(self.address, &call)
    }

    /// Voids every signature over the channel's present number; sent by the operator.
    pub fn skip_allocation(&self, channel: ChannelId) -> Call {
        build(self.address, &Abi::skipAllocationCall { channelId: u56(channel.get()) })
    }
}

/// Questions.
impl Vip {
    /// Assets in the pool's own hands, without what is set aside for the queue.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn idle(&self, rpc: &Rpc, at: At) -> Result<U256, ReadError> {
        read(rpc, self.address, Abi::idleCall {}, at).await
    }

    /// What all shares together are worth.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn total_assets(&self, rpc: &Rpc, at: At) -> Result<U256, ReadError> {
        read(rpc, self.address, Abi::totalAssetsCall {}, at).await
    }

    /// What the rest of them consists of.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn books(&self, rpc: &Rpc, at: At) -> Result<Books, ReadError> {
        let raw = read(rpc, self.address, Abi::booksCall {}, at).await?;
        Ok(Books { placed: raw.placed, owed: raw.owed, unvested: raw.unvested })
    }

    /// The most that `owner` may take out at once.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn max_withdraw(&self, rpc: &Rpc, owner: Address, at: At) -> Result<U256, ReadError> {
        read(rpc, self.address, Abi::maxWithdrawCall { owner }, at).await
    }

    /// What `shares` are worth to who leaves.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn convert_to_assets(
        &self,
        rpc: &Rpc,
        shares: U256,
        at: At,
    ) -> Result<U256, ReadError> {
        read(rpc, self.address, Abi::convertToAssetsCall { shares }, at).await
    }

    /// Shares of `account` that cannot move, and the second from which all of them can.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn locked_shares(
        &self,
        rpc: &Rpc,
        account: Address,
        at: At,
    ) -> Result<(U256, u64), ReadError> {
        let raw = read(rpc, self.address, Abi::lockedSharesCall { account }, at).await?;
        Ok((raw.shares, raw.until))
    }

    /// A request to leave.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn exit_of(&self, rpc: &Rpc, exit: U256, at: At) -> Result<ExitView, ReadError> {
        let raw = read(rpc, self.address, Abi::exitOfCall { exitId: exit }, at).await?;
        Ok(ExitView { owner: raw.owner, shares: raw.shares, assets: raw.assets })
    }

    /// The number that the operator's next signature for this channel must name.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn allocation_seq(
        &self,
        rpc: &Rpc,
        channel: ChannelId,
        at: At,
    ) -> Result<u64, ReadError> {
        let call = Abi::allocationSeqCall { channelId: u56(channel.get()) };
        read(rpc, self.address, call, at).await
    }
}
