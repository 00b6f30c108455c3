// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @notice Expectations, and calls that must be refused for one exact reason.
abstract contract Check {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 got, uint256 expected);
    error NotEqualBytes(string what, bytes got, bytes expected);
    error NotTrue(string what);
    error NotRefused(bytes expected);
    error RefusedForAnotherReason(bytes got, bytes expected);
    error Refused(bytes reason);

    function isTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function eq(uint256 got, uint256 expected, string memory what) internal pure {
        if (got != expected) revert NotEqual(what, got, expected);
    }

    function eq(address got, address expected, string memory what) internal pure {
        eq(uint160(got), uint160(expected), what);
    }

    function eq(bytes32 got, bytes32 expected, string memory what) internal pure {
        eq(uint256(got), uint256(expected), what);
    }

    function eq(bytes memory got, bytes memory expected, string memory what) internal pure {
        if (keccak256(got) != keccak256(expected)) revert NotEqualBytes(what, got, expected);
    }

    /// @notice Calls as `from`; the call must revert with exactly the bytes `why`.
    function refuses(address target, address from, uint256 value, bytes memory data, bytes memory why) internal {
        vm.prank(from);
        (bool ok, bytes memory returned) = target.call{value: value}(data);
        if (ok) revert NotRefused(why);
        if (keccak256(returned) != keccak256(why)) revert RefusedForAnotherReason(returned, why);
    }

    /// @notice Creates a contract; its constructor must revert with exactly the bytes `why`.
    function refusesCreation(bytes memory code, bytes memory why) internal {
        address made;
        bytes memory returned;
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
            let size := returndatasize()
            returned := mload(0x40)
            mstore(0x40, and(add(returned, add(size, 0x3f)), not(0x1f)))
            mstore(returned, size)
            returndatacopy(add(returned, 0x20), 0, size)
        }
        if (made != address(0)) revert NotRefused(why);
        if (keccak256(returned) != keccak256(why)) revert RefusedForAnotherReason(returned, why);
    }

    /// @notice Calls as `from`; the call must succeed.
    function does(address target, address from, uint256 value, bytes memory data) internal returns (bytes memory) {
        vm.prank(from);
        (bool ok, bytes memory returned) = target.call{value: value}(data);
        if (!ok) revert Refused(returned);
        return returned;
    }

    /// @notice Folds `x` into [low, high].
    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        uint256 size = high - low + 1;
        return size == 0 ? x : low + x % size;
    }

    function err(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }
}
