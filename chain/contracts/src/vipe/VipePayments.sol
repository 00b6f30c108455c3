// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IVipe} from "../interfaces/IVipe.sol";
import {VipeBase} from "./VipeBase.sol";

/// @title Money in and out of the vault
/// @notice Every payment is a credit that its owner collects: a receiver that reverts, or that a token blocks, holds up
/// nobody else. There is no sweep: what is sent here by mistake stays.
/// @dev **Invariant:** the vault holds of each asset exactly the escrow of all channels not yet ended plus all credits, and
/// of ether exactly F + u(W) of each open dispute plus all credits (and what was forced upon it, which nothing here reads).
abstract contract VipePayments is VipeBase {
    using SafeERC20 for IERC20;

    mapping(address account => mapping(address asset => uint256)) private _assetCredit;
    mapping(address account => uint256) private _etherCredit;

    /// @inheritdoc IVipe
    function assetCredit(address account, address asset) external view returns (uint256) {
        return _assetCredit[account][asset];
    }

    /// @inheritdoc IVipe
    function etherCredit(address account) external view returns (uint256) {
        return _etherCredit[account];
    }

    /// @inheritdoc IVipe
    function claimAsset(address asset, address to) external nonReentrant returns (uint256 amount) {
        if (to == address(0)) revert ZeroAddress();
        if (to == address(this)) revert SameAccount(to);
        amount = _assetCredit[msg.sender][asset];
        if (amount == 0) revert NothingToClaim();
        _assetCredit[msg.sender][asset] = 0;
        emit AssetClaimed(msg.sender, asset, to, amount);
        IERC20(asset).safeTransfer(to, amount);
    }

    /// @inheritdoc IVipe
    function claimEther(address payable to) external nonReentrant returns (uint256 amount) {
        if (to == address(0)) revert ZeroAddress();
        amount = _etherCredit[msg.sender];
        if (amount == 0) revert NothingToClaim();
        _etherCredit[msg.sender] = 0;
        emit EtherClaimed(msg.sender, to, amount);
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert EtherTransferFailed();
    }

    function _creditAsset(address account, address asset, uint256 amount) internal {
        if (amount == 0) return;
        _assetCredit[account][asset] += amount;
        emit AssetCredited(account, asset, amount);
    }

    function _creditEther(address account, uint256 amount) internal {
        if (amount == 0) return;
        _etherCredit[account] += amount;
        emit EtherCredited(account, amount);
    }

    /// @dev The last step of every way in. A token that delivers another amount than asked for is refused whole.
    function _pull(address asset, address from, uint256 amount) internal {
        uint256 before = IERC20(asset).balanceOf(address(this));
        IERC20(asset).safeTransferFrom(from, address(this), amount);
        uint256 received = IERC20(asset).balanceOf(address(this)) - before;
        if (received != amount) revert WrongAmountReceived(amount, received);
    }
}
