// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {VipTest} from "../utils/VipTest.sol";

/// @notice The properties of ERC-4626, in pools of any history: round trips never gain, previews are what happens, and
/// the maxima can be done and not exceeded.
contract VipErc4626Test is VipTest {
    /// @dev A pool with two owners, capital at work, a gain that is partly released, or a loss, or both.
    function _history(uint256 seed) private {
        _join(alice, bound(seed, 1, 1e27));
        _join(bob, bound(seed >> 32, 1e6, 1e27));
        _unlock();
        uint112 capital = uint112(bound(seed >> 64, 0, pool.idle() * 9 / 10));
        if (capital == 0) return;
        uint56 id = _channel(capital, capital);
        uint56 other = seed % 3 == 0 ? id : _channel(uint112(pool.idle() / 20 + 1), uint112(pool.idle() / 20 + 1));
        _end(id, uint112(bound(seed >> 96, 0, 2 * uint256(capital))));
        if (seed % 2 == 0) _collect();
        vm.warp(block.timestamp + (seed >> 128) % (2 * VESTING));
        if (seed % 5 == 0 && other != id) _due(other, 0);
    }

    function test_fuzz_round_trips_never_gain(uint256 seed, uint256 amount) public {
        _history(seed);
        amount = bound(amount, 0, 1e28);
        isTrue(pool.previewRedeem(pool.previewDeposit(amount)) <= amount, "deposit, redeem");
        isTrue(pool.previewMint(pool.previewWithdraw(amount)) >= amount, "withdraw, mint");
        isTrue(pool.convertToAssets(pool.convertToShares(amount)) <= amount, "assets, shares, assets");
        uint256 shares = bound(amount, 0, 1e33);
        isTrue(pool.previewDeposit(pool.previewRedeem(shares)) <= shares, "redeem, deposit");
        isTrue(pool.previewWithdraw(pool.previewMint(shares)) >= shares, "mint, withdraw");
        isTrue(pool.convertToShares(pool.convertToAssets(shares)) <= shares, "shares, assets, shares");
        isTrue(pool.previewMint(shares) >= pool.previewRedeem(shares), "mint costs what redeem pays, or more");
        isTrue(pool.previewDeposit(amount) <= pool.previewWithdraw(amount), "withdraw burns what deposit buys, or more");
    }

    function test_fuzz_previews_are_what_happens(uint256 seed, uint256 amount) public {
        _history(seed);
        uint256 assets = bound(amount, 1e10, 1e27);
        uint256 expected = pool.previewDeposit(assets);
        if (expected != 0) eq(_join(stranger, assets), expected, "deposit");
        uint256 shares = bound(amount, 1, 1e30);
        expected = pool.previewMint(shares);
        uint256 before = token.balanceOf(stranger);
        does(vip, stranger, 0, abi.encodeCall(pool.mint, (shares, stranger)));
        eq(before - token.balanceOf(stranger), expected, "mint");
        assets = bound(amount, 0, pool.maxWithdraw(alice));
        expected = pool.previewWithdraw(assets);
        if (assets != 0) eq(_withdraw(alice, assets), expected, "withdraw");
        shares = bound(amount, 0, pool.maxRedeem(bob));
        expected = pool.previewRedeem(shares);
        if (expected != 0) eq(_redeem(bob, shares), expected, "redeem");
    }

    function test_fuzz_maxima_can_be_done(uint256 seed) public {
        _history(seed);
        uint256 assets = pool.maxWithdraw(alice);
        uint256 shares = pool.maxRedeem(alice);
        isTrue(assets <= pool.idle(), "only idle assets leave");
        isTrue(pool.previewRedeem(shares) == assets, "the maxima agree");
        isTrue(assets <= pool.idle() * pool.balanceOf(alice) / pool.totalSupply(), "the part of idle assets");
        if (assets != 0 && seed % 2 == 0) _withdraw(alice, assets);
        else if (shares != 0) _redeem(alice, shares);
        uint256 most = pool.maxDeposit(stranger);
        token.mint(stranger, most);
        if (most != 0) _join(stranger, most);
        isTrue(pool.idle() <= type(uint112).max, "no more than the vault can count");
    }

    function test_fuzz_the_most_shares_can_be_minted(uint256 seed) public {
        _history(seed);
        uint256 shares = pool.maxMint(stranger);
        token.mint(stranger, type(uint112).max);
        does(vip, stranger, 0, abi.encodeCall(pool.mint, (shares, stranger)));
        eq(pool.balanceOf(stranger), shares, "minted");
    }

    /// @notice After a total loss the shares of a day are worth nothing; whoever joins then owns what it brings.
    /// @dev ERC-4626: the maxima name only what would not be refused, also for shares worth less than a base unit.
    function test_the_maxima_are_zero_where_nothing_would_be_paid() public {
        _join(alice, 1e24);
        _join(bob, 1);
        uint56 id = _channel(1e24, uint112(pool.idle()));
        _unlock();
        _end(id, 1e12);
        eq(pool.idle(), 0, "nothing idle");
        eq(pool.maxRedeem(alice), 0, "shares worth something, nothing idle");
        eq(pool.maxRedeem(bob), 0, "shares worth nothing");
        eq(pool.maxWithdraw(bob), 0, "of no assets");
        _collect();
        eq(pool.maxRedeem(bob), 0, "shares worth less than a base unit");
        uint256 shares = pool.maxRedeem(alice);
        isTrue(shares > 0 && _redeem(alice, shares) > 0, "what is named is paid");
    }

    function test_a_pool_that_lost_everything_still_works() public {
        _join(alice, 1e24);
        _end(_channel(1e24, 1e24), 0);
        eq(pool.totalAssets(), 0, "nothing");
        isTrue(pool.maxDeposit(bob) > 1e24, "there is room");
        uint256 shares = _join(bob, 1e24);
        isTrue(pool.convertToAssets(shares) >= 1e24 - 1, "bob's");
        isTrue(pool.convertToAssets(pool.balanceOf(alice)) <= 1, "and not alice's");
        _end(_channel(1e24, uint112(pool.idle())), 0);
        eq(pool.totalAssets(), 0, "nothing again");
        isTrue(pool.maxDeposit(bob) > 0 && pool.maxMint(bob) > 0, "the views still answer");
        _join(bob, pool.maxDeposit(bob));
        _unlock();
        isTrue(pool.maxWithdraw(bob) > 0, "and it still pays");
    }
}
