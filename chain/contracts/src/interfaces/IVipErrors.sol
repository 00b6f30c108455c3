// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Why a pool refuses
/// @notice Besides the errors of ERC-20 and ERC-4626; a call that is refused changes nothing.
interface IVipErrors {
    /// @notice A term is missing or out of range, or the vault does not list the asset.
    error BadTerms();
    /// @notice Only the operator may call this.
    error NotOperator();
    /// @notice Only the request's owner may call this.
    error NotExitOwner(uint256 exitId);
    /// @notice Nothing would be paid, minted, burnt or allocated.
    error ZeroAmount();
    /// @notice The pool, its vault and the zero address receive nothing.
    error BadReceiver(address receiver);
    /// @notice The pool has `idle` in its own hands, in base units; the call wants more.
    error IdleTooSmall(uint256 idle, uint256 wanted);
    /// @notice The channel is of another asset, another operator or another pool.
    error ForeignChannel(uint56 channelId);
    /// @notice Would put more than `allocRatio` times the participant's net deposits into its channel.
    error RatioExceeded(uint256 wanted, uint256 limit);
    /// @notice The signature's deadline has passed.
    error AllocationExpired(uint64 deadline);
    /// @notice Neither the operator's key nor its contract stands behind the allocation.
    error AllocationRefused();
    /// @notice Only `free` shares of the account are not locked.
    error SharesAreLocked(address account, uint256 free, uint256 wanted);
    /// @notice The token moved another amount than it was asked to.
    error WrongAmountReceived(uint256 expected, uint256 received);
}
