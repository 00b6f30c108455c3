// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice TEST ONLY. Answers every call with the bytes it was made with.
contract FixedAnswer {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    fallback() external {
        bytes memory answer = _answer;
        assembly {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice TEST ONLY. Reverts, with the word 1 as its reason.
contract RevertingAnswer {
    fallback() external {
        assembly {
            mstore(0, 1)
            revert(0, 0x20)
        }
    }
}

/// @notice TEST ONLY. Burns all gas it is given.
contract BurningAnswer {
    fallback() external {
        assembly {
            invalid()
        }
    }
}
