// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILiveStateVerifier} from "../interfaces/ILiveStateVerifier.sol";
import {IVipe} from "../interfaces/IVipe.sol";
import {Goldilocks} from "./Goldilocks.sol";

/// @title The first lock: live-state proofs
/// @notice Builds the statement of a proof out of what the vault itself knows, so that no proof of another chain,
/// contract, channel or pair of keys can serve, and asks the verifier.
library LiveState {
    uint256 private constant LIMB = (1 << 56) - 1;

    /// @notice The 15 public inputs, each below 2^56 or, for the digest, canonical since `open`.
    function statement(
        bytes21 domain,
        uint56 channelId,
        IVipe.StateClaim calldata state,
        bytes32 keysDigest,
        address beneficiary
    ) internal pure returns (uint256[15] memory words) {
        uint256 d = uint168(domain);
        words[0] = d & LIMB;
        words[1] = (d >> 56) & LIMB;
        words[2] = d >> 112;
        words[3] = channelId;
        words[4] = state.nonce;
        words[5] = state.version;
        words[6] = state.balance & LIMB;
        words[7] = uint256(state.balance) >> 56;
        for (uint256 i = 0; i < 4; ++i) {
            words[8 + i] = Goldilocks.element(keysDigest, i);
        }
        uint256 b = uint160(beneficiary);
        words[12] = b & LIMB;
        words[13] = (b >> 56) & LIMB;
        words[14] = b >> 112;
    }

    /// @notice True only when `verifier` returns exactly one word, and that word is 1.
    /// @dev A low-level call to an address without code succeeds and returns nothing; a call that returns more than a word is
    /// not the function we mean. Both are refusals.
    function proven(address verifier, uint256[15] memory words, bytes calldata proof) internal view returns (bool ok) {
        bytes memory input = abi.encodeCall(ILiveStateVerifier.verify, (words, proof));
        assembly ("memory-safe") {
            ok := staticcall(gas(), verifier, add(input, 0x20), mload(input), 0x00, 0x20)
            ok := and(and(ok, eq(returndatasize(), 0x20)), eq(mload(0x00), 1))
        }
    }
}
