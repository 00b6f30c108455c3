// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice Read by slither in place of the library's guard, which it cannot parse (a library of user-defined types over `tstore`: it
/// then says nothing about any contract that uses it). The same lock in the compiler's own words; nothing is deployed of it.
abstract contract ReentrancyGuardTransient {
    error ReentrancyGuardReentrantCall();

    bool private transient _entered;

    modifier nonReentrant() {
        if (_entered) revert ReentrancyGuardReentrantCall();
        _entered = true;
        _;
        _entered = false;
    }
}
