// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipErrors} from "../../src/interfaces/IVipErrors.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {FeeToken, SilentToken} from "../mocks/Tokens.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice deposit, mint, and the locks of fresh shares: VipJoin.tree.
contract VipJoinTest is VipTest {
    bytes4 private constant MAX_DEPOSIT = bytes4(keccak256("ERC4626ExceededMaxDeposit(address,uint256,uint256)"));
    bytes4 private constant MAX_MINT = bytes4(keccak256("ERC4626ExceededMaxMint(address,uint256,uint256)"));

    function _depositCall(uint256 assets, address receiver) private view returns (bytes memory) {
        return abi.encodeCall(pool.deposit, (assets, receiver));
    }

    /// @dev A lock-up later, rounded up to an eighth of it.
    function _unlockTime(uint64 from) private pure returns (uint64) {
        uint64 part = LOCKUP / 8;
        return (from + LOCKUP + part - 1) / part * part;
    }

    function test_nobody_and_the_pool_itself_receive_no_shares() public {
        refuses(vip, alice, 0, _depositCall(5, address(0)), abi.encodeWithSelector(MAX_DEPOSIT, address(0), 5, 0));
        refuses(vip, alice, 0, _depositCall(5, vip), abi.encodeWithSelector(MAX_DEPOSIT, vip, 5, 0));
        refuses(vip, alice, 0, abi.encodeCall(pool.mint, (5, vip)), abi.encodeWithSelector(MAX_MINT, vip, 5, 0));
    }

    function test_a_deposit_of_nothing_or_for_nothing_is_refused() public {
        bytes memory why = err(IVipErrors.ZeroAmount.selector);
        refuses(vip, alice, 0, _depositCall(0, alice), why);
        refuses(vip, alice, 0, abi.encodeCall(pool.mint, (0, alice)), why);
    }

    function test_the_first_share_is_worth_a_millionth_of_a_base_unit() public {
        vm.expectEmit(vip);
        emit IERC4626.Deposit(alice, bob, 1000, 1000e6);
        vm.expectEmit(vip);
        emit IVip.SharesLocked(bob, 1000e6, _unlockTime(START));
        does(vip, alice, 0, _depositCall(1000, bob));
        eq(pool.balanceOf(bob), 1000e6, "shares");
        eq(pool.idle(), 1000, "idle");
        eq(pool.totalAssets(), 1000, "assets");
        eq(pool.decimals(), 24, "six more decimals");
        eq(abi.decode(does(vip, alice, 0, abi.encodeCall(pool.mint, (1, alice))), (uint256)), 1, "rounded up");
    }

    function test_the_pool_takes_no_more_than_the_vault_can_count() public {
        uint256 most = type(uint112).max;
        token.mint(alice, most);
        _join(alice, 1000);
        eq(pool.maxDeposit(bob), most - 1000, "room");
        bytes memory why = abi.encodeWithSelector(MAX_DEPOSIT, alice, most - 999, most - 1000);
        refuses(vip, alice, 0, _depositCall(most - 999, alice), why);
        does(vip, alice, 0, _depositCall(most - 1000, alice));
        eq(pool.maxDeposit(bob), 0, "full");
        eq(pool.maxMint(bob), 0, "full");
    }

    function test_a_token_that_keeps_a_fee_is_refused() public {
        FeeToken fee = new FeeToken();
        vipe = _deploy(_rules(), _caps(address(fee)));
        IVip other = _pool(_terms(address(fee)));
        fee.mint(alice, 1000);
        does(address(fee), alice, 0, abi.encodeCall(fee.approve, (address(other), 1000)));
        bytes memory why = abi.encodeWithSelector(IVipErrors.WrongAmountReceived.selector, 1000, 990);
        refuses(address(other), alice, 0, abi.encodeCall(other.deposit, (1000, alice)), why);
    }

    function test_a_token_that_returns_nothing_is_handled() public {
        SilentToken silent = new SilentToken();
        vipe = _deploy(_rules(), _caps(address(silent)));
        IVip other = _pool(_terms(address(silent)));
        silent.mint(alice, 1000);
        does(address(other), alice, 0, abi.encodeCall(other.deposit, (1000, alice)));
        _unlock();
        does(address(other), alice, 0, abi.encodeCall(other.redeem, (1000e6, bob, alice)));
        eq(silent.balanceOf(bob), 1000, "paid");
    }

    function test_who_joins_pays_for_gains_that_are_not_released() public {
        _join(alice, 1000);
        uint56 id = _channel(500, 100);
        _end(id, 300); // a gain of 200
        eq(pool.totalAssets(), 1000, "held back");
        eq(pool.previewDeposit(1200), uint256(1200) * (1000e6 + 1e6) / 1201, "by all that is there");
        eq(pool.convertToShares(1200), uint256(1200) * (1000e6 + 1e6) / 1001, "who leaves: by what is released");
        uint256 shares = _join(bob, 1200);
        vm.warp(block.timestamp + VESTING);
        isTrue(pool.convertToAssets(shares) <= 1200, "bob has no part of the earlier gain");
        isTrue(pool.convertToAssets(shares) >= 1199, "and loses nothing");
    }

    function test_fresh_shares_do_not_move() public {
        uint256 shares = _join(alice, 1000);
        refuses(vip, alice, 0, abi.encodeCall(pool.transfer, (bob, 1)), _locked(alice, 0, 1));
        refuses(vip, alice, 0, abi.encodeCall(pool.exit, (1, alice, alice)), _locked(alice, 0, 1));
        eq(pool.maxRedeem(alice), 0, "none redeemable");
        eq(pool.maxWithdraw(alice), 0, "none redeemable");
        vm.warp(START + LOCKUP - 1);
        refuses(vip, alice, 0, abi.encodeCall(pool.transfer, (bob, 1)), _locked(alice, 0, 1));
        _unlock();
        eq(pool.maxRedeem(alice), shares, "all redeemable");
        does(vip, alice, 0, abi.encodeCall(pool.transfer, (bob, shares)));
        (uint256 locked,) = pool.lockedShares(bob);
        eq(locked, 0, "they are not fresh again");
    }

    function test_more_than_is_owned_is_refused_as_such() public {
        _join(alice, 1000);
        bytes memory why =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 1000e6, 1000e6 + 1);
        refuses(vip, alice, 0, abi.encodeCall(pool.transfer, (bob, 1000e6 + 1)), why);
    }

    function test_dust_from_a_stranger_locks_that_dust_alone() public {
        uint256 shares = _join(alice, 1000);
        _unlock();
        does(vip, stranger, 0, _depositCall(1, alice));
        (uint256 locked, uint64 until) = pool.lockedShares(alice);
        eq(locked, pool.balanceOf(alice) - shares, "the dust");
        isTrue(until >= block.timestamp + LOCKUP, "for a whole lock-up");
        eq(pool.maxRedeem(alice), shares, "the rest is free");
    }

    function test_shares_do_not_reach_the_pools_own_account() public {
        _join(alice, 1000);
        _unlock();
        refuses(vip, alice, 0, abi.encodeCall(pool.transfer, (vip, 1)), _badReceiver(vip));
    }

    function _refusesTerms(IVip.Terms memory t) private {
        refusesCreation(_creation(t), err(IVipErrors.BadTerms.selector));
    }

    function test_construction_refuses_bad_terms() public {
        _pool(_terms(address(token)));
        for (uint256 i = 0; i < 9; ++i) {
            IVip.Terms memory t = _terms(i == 1 ? address(0xdead) : address(token)); // the vault does not list it
            if (i == 0) t.vault = IVipe(address(0xdead));
            if (i == 2) t.operator = address(0);
            if (i == 3) t.operator = address(vipe);
            if (i == 4) t.allocRatio = 0;
            if (i == 5) t.lockup = 2 * (WINDOW + MAX_EXTENSION) - 1; // a dispute outlasts it
            if (i == 6) t.lockup = 3651 days;
            if (i == 7) t.gainVesting = 0;
            if (i == 8) t.gainVesting = 3651 days;
            _refusesTerms(t);
        }
    }
}
