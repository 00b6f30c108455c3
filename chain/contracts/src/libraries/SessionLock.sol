// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IVipe} from "../interfaces/IVipe.sol";

/// @title The second lock: session signatures
/// @notice Each final state also carries the secp256k1 signatures of both parties' session keys. A flaw of circuit, prover
/// or verifier alone then opens nothing, and neither does a stolen session key.
library SessionLock {
    bytes32 internal constant STATE_TYPEHASH =
        keccak256("State(uint56 channelId,uint56 nonce,uint56 version,uint112 balance)");

    /// @notice EIP-712 struct hash of a state.
    function structHash(uint56 channelId, IVipe.StateClaim calldata state) internal pure returns (bytes32) {
        return keccak256(abi.encode(STATE_TYPEHASH, channelId, state.nonce, state.version, state.balance));
    }

    /// @notice True when the registered session key `signer` signed `digest`, with low s.
    /// @dev A failed recovery is never taken for the zero address: session keys are not zero, and the error is looked at.
    function signed(address signer, bytes32 digest, IVipe.CompactSignature calldata signature)
        internal
        pure
        returns (bool)
    {
        (address recovered, ECDSA.RecoverError err,) = ECDSA.tryRecover(digest, signature.r, signature.vs);
        return err == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
