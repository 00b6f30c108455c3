// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IVipErrors} from "../../src/interfaces/IVipErrors.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice withdraw, redeem: VipLeave.tree.
contract VipLeaveTest is VipTest {
    bytes4 private constant MAX_WITHDRAW = bytes4(keccak256("ERC4626ExceededMaxWithdraw(address,uint256,uint256)"));
    bytes4 private constant MAX_REDEEM = bytes4(keccak256("ERC4626ExceededMaxRedeem(address,uint256,uint256)"));

    /// @dev Alice and Bob own 600 and 400; 700 are at work; all shares are free.
    function _atWork() private returns (uint56 id) {
        _join(alice, 600);
        _join(bob, 400);
        _unlock();
        id = _channel(100, 700);
    }

    function test_all_of_it_leaves_when_all_of_it_is_idle() public {
        uint256 shares = _join(alice, 1000);
        _unlock();
        eq(pool.maxWithdraw(alice), 1000, "all");
        vm.expectEmit(vip);
        emit IERC4626.Withdraw(alice, tower, alice, 1000, shares);
        does(vip, alice, 0, abi.encodeCall(pool.redeem, (shares, tower, alice)));
        eq(token.balanceOf(tower), 1000, "paid");
        eq(pool.totalSupply(), 0, "no shares");
        eq(pool.idle(), 0, "idle");
    }

    function test_at_once_leaves_the_pro_rata_part_of_idle_assets() public {
        _atWork();
        eq(pool.idle(), 300, "idle");
        eq(pool.maxWithdraw(alice), 180, "six tenths of 300");
        eq(pool.maxWithdraw(bob), 120, "four tenths of 300");
        bytes memory why = abi.encodeWithSelector(MAX_WITHDRAW, alice, 181, 180);
        refuses(vip, alice, 0, abi.encodeCall(pool.withdraw, (181, alice, alice)), why);
        uint256 most = pool.maxRedeem(alice);
        why = abi.encodeWithSelector(MAX_REDEEM, alice, most + 1, most);
        refuses(vip, alice, 0, abi.encodeCall(pool.redeem, (most + 1, alice, alice)), why);
        eq(_redeem(alice, most), 180, "paid");
        eq(pool.maxWithdraw(bob), 58, "of what is left: 120 * 400 / 820");
    }

    function test_a_part_taken_again_and_again_is_taken_once() public {
        _atWork();
        uint256 got = 0;
        for (uint256 i = 0; i < 5; ++i) {
            uint256 most = pool.maxWithdraw(alice);
            if (most == 0) break;
            _withdraw(alice, most);
            got += most;
        }
        eq(got, 180, "once");
        (uint256 locked,) = pool.lockedShares(alice);
        isTrue(pool.balanceOf(alice) - locked < 1e7, "what used its right is locked");
        refuses(vip, alice, 0, abi.encodeCall(pool.transfer, (bob, 1e8)), _locked(alice, 0, 1e8));
        vm.warp(block.timestamp + LOCKUP + LOCKUP / 8);
        isTrue(pool.maxWithdraw(alice) > 0, "and free again after a lock-up");
    }

    function test_half_of_the_part_uses_half_of_the_right() public {
        _atWork();
        _withdraw(alice, 90);
        (uint256 locked,) = pool.lockedShares(alice);
        eq(locked, 210e6, "300 used their right and 90 are burnt");
        eq(pool.maxWithdraw(alice), uint256(210) * 300e6 / 910e6, "the right of the other 300");
    }

    /// @notice In whatever steps and split over whatever accounts, no more than the pro-rata part.
    function test_fuzz_no_order_of_redemptions_gives_more_than_the_part(uint256 seed) public {
        _atWork();
        address[4] memory mine = [alice, address(0x1001), address(0x1002), address(0x1003)];
        for (uint256 i = 1; i < 4; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 part = bound(seed, 0, pool.balanceOf(alice) / 3);
            does(vip, alice, 0, abi.encodeCall(pool.transfer, (mine[i], part)));
        }
        uint256 got = 0;
        for (uint256 i = 0; i < 16; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            address who = mine[seed % 4];
            uint256 most = pool.maxWithdraw(who);
            uint256 assets = bound(seed >> 8, 0, most);
            if (assets == 0) continue;
            _withdraw(who, assets);
            got += assets;
        }
        isTrue(got <= 180, "no more than six tenths of 300");
    }

    function test_nothing_pays_nothing() public {
        _join(alice, 1000);
        _unlock();
        bytes memory why = err(IVipErrors.ZeroAmount.selector);
        refuses(vip, alice, 0, abi.encodeCall(pool.redeem, (0, alice, alice)), why);
        refuses(vip, alice, 0, abi.encodeCall(pool.redeem, (1, alice, alice)), why);
        refuses(vip, alice, 0, abi.encodeCall(pool.withdraw, (0, alice, alice)), why);
    }

    function test_the_pool_its_vault_and_nobody_receive_nothing() public {
        _join(alice, 1000);
        _unlock();
        address[3] memory bad = [address(0), vip, address(vipe)];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory why = _badReceiver(bad[i]);
            refuses(vip, alice, 0, abi.encodeCall(pool.redeem, (1e9, bad[i], alice)), why);
            refuses(vip, alice, 0, abi.encodeCall(pool.withdraw, (10, bad[i], alice)), why);
            refuses(vip, alice, 0, abi.encodeCall(pool.exit, (1e9, bad[i], alice)), why);
        }
    }

    function test_anothers_shares_need_an_allowance() public {
        _join(alice, 1000);
        _unlock();
        bytes memory why =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, bob, 0, uint256(100e6));
        refuses(vip, bob, 0, abi.encodeCall(pool.redeem, (100e6, bob, alice)), why);
        refuses(vip, bob, 0, abi.encodeCall(pool.exit, (100e6, bob, alice)), why);
        does(vip, alice, 0, abi.encodeCall(pool.approve, (bob, 100e6)));
        does(vip, bob, 0, abi.encodeCall(pool.redeem, (100e6, bob, alice)));
        eq(pool.allowance(alice, bob), 0, "used up");
    }

    function test_a_loss_counts_at_once_for_who_leaves() public {
        uint56 id = _atWork();
        _due(id, 200);
        uint256 before = pool.maxWithdraw(alice);
        _settleNow(id);
        eq(pool.totalAssets(), 500, "300 idle, 200 owed");
        eq(pool.convertToAssets(600e6), 300, "six tenths of it");
        isTrue(pool.maxWithdraw(alice) + 1 >= before, "the part of idle assets is the same, for more shares");
    }

    function test_a_channel_that_ends_without_a_payment_counts_at_once_too() public {
        uint56 id = _atWork();
        _due(id, 0);
        eq(pool.totalAssets(), 1000, "at cost");
        _settleNow(id);
        eq(_owed(), 0, "no credit moved");
        eq(pool.totalAssets(), 300, "the loss counts all the same");
        eq(pool.maxRedeem(alice), 600e6, "all of her shares");
        eq(_redeem(alice, 600e6), 180, "for six tenths of the rest");
    }
}
