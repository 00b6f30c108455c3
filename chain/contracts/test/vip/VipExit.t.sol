// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipErrors} from "../../src/interfaces/IVipErrors.sol";
import {Vm} from "../utils/Vm.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice exit, takeExit, and the queue: VipExit.tree.
contract VipExitTest is VipTest {
    uint256 private constant ONE = 1e18;

    /// @dev Alice and Bob own 600 and 400; two channels have 300 and 400 of it; all shares are free.
    function _atWork() private returns (uint56 first, uint56 second) {
        _join(alice, 600 * ONE);
        _join(bob, 400 * ONE);
        _unlock();
        first = _channel(uint112(100 * ONE), uint112(300 * ONE));
        second = _channel(uint112(100 * ONE), uint112(400 * ONE));
    }

    function _exitOf(uint256 id) private view returns (address owner, uint256 shares, uint256 assets) {
        IVip.Exit memory e = pool.exitOf(id);
        return (e.owner, e.shares, e.assets);
    }

    /// @dev Equal up to what rounding may take.
    function _near(uint256 got, uint256 expected, string memory what) private pure {
        if (got > expected || got + 10 < expected) revert NotEqual(what, got, expected);
    }

    function test_no_shares_and_locked_shares_do_not_leave() public {
        _join(alice, 1000);
        refuses(vip, alice, 0, abi.encodeCall(pool.exit, (0, alice, alice)), err(IVipErrors.ZeroAmount.selector));
        refuses(vip, alice, 0, abi.encodeCall(pool.exit, (1000e6, alice, alice)), _locked(alice, 0, 1000e6));
        _unlock();
        refuses(
            vip, alice, 0, abi.encodeCall(pool.exit, (1000e6 + 1, alice, alice)), _locked(alice, 1000e6, 1000e6 + 1)
        );
    }

    function test_it_pays_the_part_of_idle_assets_and_queues_the_rest() public {
        _atWork();
        vm.expectEmit(vip);
        emit IVip.ExitQueued(1, alice, 420e24);
        vm.expectEmit(vip);
        emit IERC4626.Withdraw(alice, alice, alice, 180 * ONE, 180e24);
        (uint256 assets, uint256 id) = _exit(alice, 600e24);
        eq(assets, 180 * ONE, "six tenths of 300");
        eq(id, 1, "the first request");
        eq(pool.balanceOf(alice), 0, "no shares left");
        eq(pool.queuedShares(), 420e24, "queued");
        (address owner, uint256 shares, uint256 due) = _exitOf(id);
        eq(owner, alice, "owner");
        eq(shares, 420e24, "waiting");
        eq(due, 0, "nothing yet");
        eq(pool.totalAssets(), 820 * ONE, "the rest of the pool is what it was");
        eq(pool.maxRedeem(vip), 0, "nobody redeems the queue");
    }

    function test_all_of_it_leaves_at_once_when_idle_assets_are_enough() public {
        _join(alice, 1000);
        _unlock();
        (uint256 assets, uint256 id) = _exit(alice, 1000e6);
        eq(assets, 1000, "all");
        eq(id, 0, "nothing is queued");
    }

    function test_dust_is_locked_and_not_queued() public {
        _join(alice, 1e6);
        _join(bob, 1e6);
        _unlock();
        _channel(1e6, 2e6);
        (uint256 assets, uint256 id) = _exit(alice, 1e6 - 1);
        eq(assets, 0, "nothing idle");
        eq(id, 0, "dust");
        (uint256 locked,) = pool.lockedShares(alice);
        eq(locked, 1e6 - 1, "locked");
    }

    function test_each_return_pays_the_queue_its_part_until_all_has_come_home() public {
        (uint56 first, uint56 second) = _atWork();
        (, uint256 id) = _exit(alice, 600e24); // 420 of the 700 at work are hers
        _end(first, uint112(300 * ONE));
        eq(_collect(), 300 * ONE, "home");
        _near(pool.setAside(), 180 * ONE, "six tenths of the return");
        _near(pool.idle(), 120 * ONE + 120 * ONE + 10, "the rest is idle");
        _near(_take(alice, id), 180 * ONE, "taken");
        does(vip, counterparty, 0, abi.encodeCall(pool.allocate, (second, uint112(100 * ONE))));
        _end(second, uint112(500 * ONE));
        _collect();
        _near(_take(alice, id), 240 * ONE, "all of the rest");
        eq(pool.queuedShares(), 0, "none waits");
        (address owner,,) = _exitOf(id);
        eq(owner, address(0), "forgotten");
        _near(pool.totalAssets(), 400 * ONE + 10, "bob has what he had");
    }

    function test_a_loss_while_waiting_is_borne_and_one_after_payment_is_not() public {
        (uint56 first, uint56 second) = _atWork();
        (, uint256 id) = _exit(alice, 600e24);
        _end(first, uint112(300 * ONE));
        _collect();
        _end(second, 0);
        _collect();
        // 240 of hers and 160 of Bob's were in the second channel; 240 idle are his, and the price is common to all shares
        uint256 paid = _take(alice, id);
        isTrue(paid > 180 * ONE && paid < 300 * ONE, "paid what her shares are worth after the loss");
        eq(pool.queuedShares(), 0, "no return can come any more: paid from idle assets");
        _near(pool.totalAssets() + paid, 420 * ONE, "nothing is made or lost by it");
    }

    function test_gains_reach_who_waits_only_as_they_are_released() public {
        (uint56 first, uint56 second) = _atWork();
        (, uint256 id) = _exit(alice, 600e24);
        _end(first, uint112(400 * ONE)); // a gain of 100
        _collect();
        _near(_take(alice, id), 400 * ONE * 420 / 800, "its part of the return, at the price without the gain");
        vm.warp(block.timestamp + VESTING);
        _end(second, uint112(400 * ONE));
        _collect();
        uint256 rest = _take(alice, id);
        isTrue(rest > 210 * ONE, "what still waited has gained");
    }

    function test_requests_are_paid_in_proportion_whoever_came_first() public {
        (uint56 first, uint56 second) = _atWork();
        (, uint256 a) = _exit(alice, 300e24);
        (, uint256 b) = _exit(bob, 400e24);
        (, uint256 sharesA,) = _exitOf(a);
        (, uint256 sharesB,) = _exitOf(b);
        _end(first, uint112(300 * ONE));
        _collect();
        (,, uint256 dueA) = _exitOf(a);
        (,, uint256 dueB) = _exitOf(b);
        uint256 crossA = dueA * sharesB;
        uint256 crossB = dueB * sharesA;
        uint256 apart = crossA > crossB ? crossA - crossB : crossB - crossA;
        isTrue(apart <= sharesA + sharesB, "in proportion, to the base unit");
        _end(second, uint112(400 * ONE));
        _collect();
        eq(pool.queuedShares(), 0, "both paid");
    }

    function test_what_is_paid_and_what_is_taken_is_told() public {
        (uint56 first,) = _atWork();
        (, uint256 id) = _exit(alice, 600e24);
        _end(first, uint112(300 * ONE));
        uint256 waited = pool.queuedShares();
        vm.recordLogs();
        _collect();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 told = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IVip.ExitsPaid.selector) continue;
            ++told;
            (uint256 assets, uint256 shares) = abi.decode(logs[i].data, (uint256, uint256));
            eq(assets, pool.setAside(), "set aside");
            eq(shares, waited - pool.queuedShares(), "burnt");
        }
        eq(told, 1, "one round");
        uint256 due = pool.exitOf(id).assets;
        isTrue(due > 179 * ONE, "her part");
        vm.expectEmit(vip);
        emit IVip.ExitTaken(id, alice, bob, due);
        does(vip, alice, 0, abi.encodeCall(pool.takeExit, (id, bob)));
    }

    function test_a_request_is_its_owners_alone() public {
        _atWork();
        (, uint256 id) = _exit(alice, 600e24);
        bytes memory why = abi.encodeWithSelector(IVipErrors.NotExitOwner.selector, id);
        refuses(vip, bob, 0, abi.encodeCall(pool.takeExit, (id, bob)), why);
        why = abi.encodeWithSelector(IVipErrors.NotExitOwner.selector, 77);
        refuses(vip, bob, 0, abi.encodeCall(pool.takeExit, (77, bob)), why);
        refuses(vip, alice, 0, abi.encodeCall(pool.takeExit, (id, vip)), _badReceiver(vip));
        eq(_take(alice, id), 0, "nothing yet, and no harm");
    }

    function test_a_thousand_requests_of_a_stranger_cost_nobody_else_anything() public {
        (uint56 first,) = _atWork();
        (, uint256 id) = _exit(alice, 600e24);
        _join(stranger, ONE);
        _unlock();
        for (uint256 i = 0; i < 1000; ++i) {
            does(vip, stranger, 0, abi.encodeCall(pool.exit, (2e6, stranger, stranger)));
        }
        _end(first, uint112(300 * ONE));
        uint256 gasBefore = gasleft();
        _collect();
        isTrue(gasBefore - gasleft() < 350_000, "one payment for all");
        isTrue(_take(alice, id) > 179 * ONE, "and alice has her part");
    }

    function test_when_all_has_come_home_who_stayed_leaves_at_once() public {
        _join(alice, 600 * ONE);
        _join(bob, 400 * ONE);
        _unlock();
        uint56 id = _channel(uint112(200 * ONE), uint112(1000 * ONE));
        (, uint256 a) = _exit(alice, 600e24);
        _end(id, uint112(1000 * ONE));
        _collect();
        eq(pool.queuedShares(), 0, "all paid");
        _near(_take(alice, a), 600 * ONE, "paid");
        (, uint256 b) = _exit(bob, 400e24);
        eq(b, 0, "all idle: nothing waits");
    }
}
