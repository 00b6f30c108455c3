// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVip} from "../interfaces/IVip.sol";
import {ExitQueue} from "../libraries/ExitQueue.sol";
import {VipShares} from "./VipShares.sol";

/// @title Leaving for good
/// @notice `exit` pays the pro-rata part of idle assets at once and queues the rest; the queue is paid pro rata as capital returns.
///
/// **How much of a return is the queue's.** Who waits has had its part of the idle assets, so its shares, worth V, stand for the
/// capital that is not idle, I (in channels or owed by the vault): of x that comes home, x * V / I is paid to the queue, and the rest is
/// idle. When all of it has come home the queue is paid in full, and nobody who leaves takes more of what is liquid than who
/// stays: a run empties nothing. (Who leaves before a loss still keeps its part of what was idle; all shares have one price,
/// so those that remain bear the loss together.) When losses make V exceed I the excess is paid from idle assets at once: no return
/// could ever pay it.
///
/// Waiting shares belong to the pool's own account and still are shares: they gain, and lose, and are burnt at the price of the
/// moment when they are paid. Nobody waits for anybody else's action: each owner takes its own part, and `collect` is open to all.
/// @dev **Invariant:** the parts of all requests never exceed `setAside`. **Invariant:** the pool's own shares are those that wait.
abstract contract VipQueue is VipShares {
    using ExitQueue for ExitQueue.Queue;
    using Math for uint256;

    ExitQueue.Queue private _queue;

    /// @inheritdoc IVip
    function exit(uint256 shares, address receiver, address owner)
        external
        nonReentrant
        returns (uint256 assets, uint256 exitId)
    {
        _streamGains();
        if (shares == 0) revert ZeroAmount();
        _checkReceiver(receiver);
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        uint256 free = _freeShares(owner);
        if (shares > free) revert SharesAreLocked(owner, free, shares);

        uint256 burnt;
        (assets, burnt) = _atOnce(shares);
        if (assets != 0) _burnFor(receiver, owner, assets, burnt);
        exitId = _enqueue(owner, shares - burnt);
        if (assets != 0) _sendNow(msg.sender, receiver, owner, assets, burnt);
    }

    /// @inheritdoc IVip
    function takeExit(uint256 exitId, address to) external nonReentrant returns (uint256 assets) {
        if (_queue.requests[exitId].owner != msg.sender) revert NotExitOwner(exitId);
        _checkReceiver(to);
        assets = _queue.take(exitId);
        setAside -= assets;
        emit ExitTaken(exitId, msg.sender, to, assets);
        if (assets != 0) _transferOut(to, assets);
    }

    /// @inheritdoc IVip
    function queuedShares() public view returns (uint256) {
        return balanceOf(address(this));
    }

    /// @inheritdoc IVip
    function exitOf(uint256 exitId) external view returns (Exit memory) {
        return Exit(_queue.requests[exitId].owner, _queue.waiting(exitId), _queue.due(exitId));
    }

    /// @dev What `shares` get at once, and how many of them are burnt for it: all, when that is their whole worth.
    function _atOnce(uint256 shares) private view returns (uint256 assets, uint256 burnt) {
        uint256 worth = convertToAssets(shares);
        assets = idle.mulDiv(shares, totalSupply());
        if (worth <= assets) return (worth, worth == 0 ? 0 : shares);
        return (assets, previewWithdraw(assets));
    }

    /// @dev Queues what is left; what is worth less than a base unit at the first price stays, locked.
    function _enqueue(address owner, uint256 shares) private returns (uint256 exitId) {
        if (shares == 0) return 0;
        if (shares < _virtualShares()) {
            _lock(owner, shares);
            return 0;
        }
        _moveToQueue(owner, shares);
        exitId = _queue.join(owner, shares);
        emit ExitQueued(exitId, owner, shares);
    }

    /// @dev Pays the queue its part of `returned`, which was a part of `illiquid` and now is idle.
    function _payQueue(uint256 returned, uint256 illiquid) internal {
        uint256 worth = convertToAssets(queuedShares());
        if (worth == 0) return;
        uint256 part = worth > illiquid ? returned + (worth - illiquid) : returned.mulDiv(worth, illiquid);
        part = Math.min(part, Math.min(worth, idle));
        // At most two rounds: what is left of an old one, and the open one.
        for (uint64 number = _queue.head; part != 0 && number <= _queue.open; ++number) {
            part -= _payRound(number, part);
        }
    }

    /// @dev Pays a round at most `most`; returns what it got.
    function _payRound(uint64 number, uint256 most) private returns (uint256 assets) {
        uint256 shares = _queue.rounds[number].shares;
        uint256 worth = convertToAssets(shares);
        assets = Math.min(most, worth);
        if (assets < worth) {
            // Whole shares for what they are worth: what would not pay for one more share stays idle, and the share waits.
            shares = Math.min(shares, convertToShares(assets));
            assets = convertToAssets(shares);
        }
        if (shares == 0) return 0;
        idle -= assets;
        setAside += assets;
        _burn(address(this), shares);
        _queue.pay(number, assets, shares);
        emit ExitsPaid(number, assets, shares);
    }
}
