// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title VRC-4: what the vault needs of a counterparty's pool
/// @notice The vault calls nothing here: a pool calls the vault (`accept` with an allocation, `allocate`, `claimAsset`).
interface IVip {
    /// @notice The counterparty account that this pool belongs to.
    function operator() external view returns (address);
    /// @notice The one asset that this pool holds.
    function asset() external view returns (address);
}
