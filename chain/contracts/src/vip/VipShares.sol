// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVip} from "../interfaces/IVip.sol";
import {ShareLocks} from "../libraries/ShareLocks.sol";
import {VipBase} from "./VipBase.sol";

/// @title Joining, and leaving at once
/// @notice ERC-4626 with locked shares and a limit on what leaves at once.
///
/// **The limit is on shares, not on calls.** Somebody with a fraction f of all shares may take out f of the idle assets. Taken
/// literally again and again, a fraction of what is left each time, that would empty the pool in one transaction. So whoever takes
/// `r` of the limit uses the right of `r * totalSupply / idle` shares: some of them are burnt for what they are worth, the others stay
/// locked for `lockup` as if they were fresh, and cannot be used again here or, by transfer, elsewhere. Who wants out for good
/// calls `exit`, which queues those others instead.
/// @dev **Invariant:** locked shares of an account never exceed its balance. **Invariant:** assets that leave are idle ones.
abstract contract VipShares is VipBase {
    using Math for uint256;
    using ShareLocks for ShareLocks.Locks;

    /// @dev No more of the asset than the vault can count, and no more shares than a lot can hold.
    uint256 private constant MOST_ASSETS = type(uint112).max;
    uint256 private constant MOST_SHARES = type(uint192).max;

    mapping(address account => ShareLocks.Locks) private _locks;

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IVip
    function lockedShares(address account) external view returns (uint256 shares, uint64 until) {
        return (_locks[account].locked(LOCKUP, uint64(block.timestamp)), _locks[account].unlockedAt(LOCKUP));
    }

    /// @inheritdoc IERC4626
    /// @dev By the price of who joins; see `VipBase`.
    function previewDeposit(uint256 assets) public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 gross,) = _valuation();
        return assets.mulDiv(totalSupply() + _virtualShares(), gross + 1);
    }

    /// @inheritdoc IERC4626
    function previewMint(uint256 shares) public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 gross,) = _valuation();
        return shares.mulDiv(gross + 1, totalSupply() + _virtualShares(), Math.Rounding.Ceil);
    }

    /// @inheritdoc IERC4626
    function maxDeposit(address receiver) public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 assets, uint256 shares) = _room(receiver);
        (uint256 gross,) = _valuation();
        uint256 supply = totalSupply() + _virtualShares();
        uint256 most = Math.min(assets, _mulDivOrMost(shares, gross + 1, supply));
        return most.mulDiv(supply, gross + 1) == 0 ? 0 : most;
    }

    /// @inheritdoc IERC4626
    function maxMint(address receiver) public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 assets, uint256 shares) = _room(receiver);
        (uint256 gross,) = _valuation();
        return Math.min(shares, _mulDivOrMost(assets, totalSupply() + _virtualShares(), gross + 1));
    }

    /// @inheritdoc IERC4626
    /// @dev `maxWithdraw` is what these are worth: min(worth of the free shares, idle * free shares / totalSupply). Shares worth less
    /// than a base unit cannot leave by `redeem`, which refuses to burn them for nothing.
    function maxRedeem(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        uint256 free = _freeShares(owner);
        if (free == 0) return 0;
        uint256 part = idle.mulDiv(free, totalSupply());
        uint256 worth = convertToAssets(free);
        if (worth <= part) return worth == 0 ? 0 : free;
        uint256 shares = Math.min(free, convertToShares(part));
        return convertToAssets(shares) == 0 ? 0 : shares;
    }

    // ------------------------------------------------------------------------------------------------ in and out

    /// @inheritdoc IERC4626
    function deposit(uint256 assets, address receiver)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256)
    {
        _streamGains();
        return super.deposit(assets, receiver);
    }

    /// @inheritdoc IERC4626
    function mint(uint256 shares, address receiver) public override(ERC4626, IERC4626) nonReentrant returns (uint256) {
        _streamGains();
        return super.mint(shares, receiver);
    }

    /// @inheritdoc IERC4626
    function withdraw(uint256 assets, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256)
    {
        _streamGains();
        return super.withdraw(assets, receiver, owner);
    }

    /// @inheritdoc IERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256)
    {
        _streamGains();
        return super.redeem(shares, receiver, owner);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// @dev A deposit that would buy nothing is refused. The token comes first: while it could call back, the books are as before.
    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        if (assets == 0 || shares == 0) revert ZeroAmount();
        super._deposit(caller, receiver, assets, shares);
        _lock(receiver, shares);
    }

    /// @dev A token that delivers another amount than asked for is refused whole.
    function _transferIn(address from, uint256 assets) internal override {
        IERC20 token = IERC20(asset());
        uint256 before = token.balanceOf(address(this));
        super._transferIn(from, assets);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != assets) revert WrongAmountReceived(assets, received);
        idle += assets;
    }

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
    {
        if (caller != owner) _spendAllowance(owner, caller, shares);
        uint256 used = _burnFor(receiver, owner, assets, shares);
        if (used > shares) _lock(owner, used - shares);
        _sendNow(caller, receiver, owner, assets, shares);
    }

    /// @dev Burns shares for idle assets that are about to leave; returns how many shares used their right by it, which may be fewer or
    /// more than were burnt.
    function _burnFor(address receiver, address owner, uint256 assets, uint256 shares) internal returns (uint256 used) {
        if (assets == 0 || shares == 0) revert ZeroAmount();
        _checkReceiver(receiver);
        used = assets.mulDiv(totalSupply(), idle, Math.Rounding.Ceil);
        idle -= assets;
        _burn(owner, shares);
    }

    function _sendNow(address caller, address receiver, address owner, uint256 assets, uint256 shares) internal {
        emit Withdraw(caller, receiver, owner, assets, shares);
        _transferOut(receiver, assets);
    }

    function _lock(address account, uint256 shares) internal {
        uint64 until = _locks[account].add(shares, LOCKUP, uint64(block.timestamp));
        emit SharesLocked(account, shares, until);
    }

    /// @dev Locked shares go nowhere; shares reach the pool's own account, the queue, by `exit` only.
    function _update(address from, address to, uint256 shares) internal override {
        if (to == address(this)) revert BadReceiver(to);
        if (from != address(0) && from != address(this)) {
            uint256 free = _freeShares(from);
            if (shares > free && balanceOf(from) >= shares) revert SharesAreLocked(from, free, shares);
        }
        super._update(from, to, shares);
    }

    /// @dev Moves shares into the queue; the caller has checked that they are free.
    function _moveToQueue(address owner, uint256 shares) internal {
        super._update(owner, address(this), shares);
    }

    /// @dev The queue's own shares are nobody's to redeem.
    function _freeShares(address account) internal view returns (uint256) {
        if (account == address(this)) return 0;
        return balanceOf(account) - _locks[account].locked(LOCKUP, uint64(block.timestamp));
    }

    /// @dev What still fits, in assets and in shares.
    function _room(address receiver) private view returns (uint256 assets, uint256 shares) {
        if (receiver == address(0) || receiver == address(this)) return (0, 0);
        (uint256 gross,) = _valuation();
        return (MOST_ASSETS.saturatingSub(gross), MOST_SHARES.saturatingSub(totalSupply()));
    }

    function _mulDivOrMost(uint256 x, uint256 y, uint256 divisor) private pure returns (uint256) {
        (uint256 high,) = Math.mul512(x, y);
        return high >= divisor ? type(uint256).max : Math.mulDiv(x, y, divisor);
    }
}
