// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice TEST ONLY. Keeps 1 % of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, value);
        uint256 kept = value / 100;
        super._update(from, address(0), kept);
        super._update(from, to, value - kept);
    }
}

/// @notice TEST ONLY. Calls back into a target during `transferFrom` and `transfer`, as a token with hooks does, and bubbles
/// up nothing: it keeps what came of the call.
contract HookToken is ERC20("Hook", "HOOK") {
    address private _target;
    bytes private _data;
    bool public reentered;
    bytes public returned;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function arm(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    function approveAs(address spender, uint256 amount) external {
        _approve(address(this), spender, amount);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (_target == address(0) || from == address(0)) return;
        (reentered, returned) = _target.call(_data);
    }
}

/// @notice TEST ONLY. Says no without reverting, whatever is asked.
contract SayNoToken is ERC20("No", "NO") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @notice TEST ONLY. Moves tokens and returns nothing, as some old tokens do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
