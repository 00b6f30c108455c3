// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Verifier of live-state proofs (VRC-1)
interface ILiveStateVerifier {
    /// @notice Returns exactly 1 when `proof` proves `statement`, and 0 or reverts otherwise. Only the returned word 1 is success.
    /// @param statement The 15 public inputs, each below the Goldilocks prime: domain (3 limbs of 56 bits, low first), channel id,
    /// nonce, escrow version, balance (2 limbs), keys digest (4 elements), beneficiary (3 limbs).
    function verify(uint256[15] calldata statement, bytes calldata proof) external view returns (uint256);
}
