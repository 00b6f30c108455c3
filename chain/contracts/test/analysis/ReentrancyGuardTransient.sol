// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice For static analysis only: slither 0.11.6 cannot read the library's guard (transient storage behind a library of a
/// user-defined type) and then says nothing about any contract that uses it. The same lock, in plain storage.
abstract contract ReentrancyGuardTransient {
    error ReentrancyGuardReentrantCall();

    bool private _entered;

    modifier nonReentrant() {
        if (_entered) revert ReentrancyGuardReentrantCall();
        _entered = true;
        _;
        _entered = false;
    }
}
