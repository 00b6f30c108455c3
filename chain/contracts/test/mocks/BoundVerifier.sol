// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILiveStateVerifier} from "../../src/interfaces/ILiveStateVerifier.sol";

/// @notice TEST ONLY, proves nothing. Stands in for the live-state verifier in these tests, pinned by its code hash as
/// the real one is; the real one is tested end to end elsewhere. A "proof" is the hash of the statement, so a test still sees
/// which statement the vault asked about: a proof for another beneficiary, channel, key or state is refused here too.
contract BoundVerifier is ILiveStateVerifier {
    function verify(uint256[15] calldata statement, bytes calldata proof) external pure returns (uint256) {
        return proof.length == 32 && bytes32(proof) == keccak256(abi.encode(statement)) ? 1 : 0;
    }
}
