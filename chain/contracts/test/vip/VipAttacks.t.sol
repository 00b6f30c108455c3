// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice What somebody would try. Each story says what it would gain, and the test says what it does.
contract VipAttacksTest is VipTest {
    uint256 private constant ONE = 1e18;

    /// @dev Through a channel of the attacker's own, which names the pool: the only gift that the pool counts.
    function _gift(uint112 amount) private {
        IVipe.OpenRequest memory r = _request(amount);
        r.counterparty = vm.addr(0x5715);
        uint56 id = _open(r);
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory consent = _sign65(0x5715, _consentDigest(id, participant, r, 0, deadline));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.accept, (id, 0, deadline, consent)));
        vm.deal(r.counterparty, 1e30);
        _dispute(id, r.counterparty, _state(1, 1, 0), amount);
        _settle(id);
    }

    function test_inflating_the_first_share_costs_the_attacker_and_not_the_victim() public {
        _join(stranger, 1);
        does(address(token), stranger, 0, abi.encodeCall(token.transfer, (vip, 100 * ONE)));
        eq(pool.totalAssets(), 1, "a transfer is no gift");
        _gift(uint112(100 * ONE));
        _collect();
        vm.warp(block.timestamp + VESTING);
        isTrue(pool.totalAssets() > 100 * ONE, "a gift is one, in the end");
        uint256 shares = _join(alice, ONE);
        uint256 worth = pool.convertToAssets(shares);
        isTrue(worth > ONE - ONE / 5000, "the victim loses less than a part in 5000 by rounding");
        _unlock();
        isTrue(pool.convertToAssets(pool.balanceOf(stranger)) < 51 * ONE, "the attacker has lost half of its gift");
    }

    /// @notice Deposit one block before a gain is credited, redeem after.
    function test_sandwiching_a_gain_gains_nothing_in_the_block_and_cannot_leave() public {
        _join(alice, 1000 * ONE);
        uint56 id = _channel(uint112(500 * ONE), uint112(500 * ONE));
        _due(id, uint112(1000 * ONE));
        uint256 before = _wealth(stranger);
        _join(stranger, 9000 * ONE);
        _settleNow(id);
        _collect();
        isTrue(_wealth(stranger) <= before, "nothing is released");
        eq(pool.maxRedeem(stranger), 0, "and nothing can leave");
    }

    /// @notice The gain is there to be seen, held back, and a lock-up is shorter than its release: join, wait, leave.
    function test_joining_after_a_gain_takes_no_part_of_it() public {
        _join(alice, 1000 * ONE);
        uint56 id = _channel(uint112(500 * ONE), uint112(500 * ONE));
        _end(id, uint112(1000 * ONE));
        uint256 before = _wealth(stranger);
        _join(stranger, 9000 * ONE);
        vm.warp(block.timestamp + 30 days);
        isTrue(_wealth(stranger) <= before, "it was paid for");
        isTrue(pool.convertToAssets(pool.balanceOf(alice)) >= 1500 * ONE - 1, "all of it is who was there");
    }

    /// @notice Losses have left little but a gain that is held back: a base unit would have bought half of it.
    function test_a_base_unit_does_not_buy_what_is_held_back() public {
        _join(alice, 10_000);
        uint56 id = _channel(5000, 10_000);
        _end(id, 15_000);
        _collect();
        _end(_channel(5000, 15_000), 1000);
        eq(pool.totalAssets(), 0, "worth nothing yet");
        does(vip, stranger, 0, abi.encodeCall(pool.deposit, (10, stranger)));
        vm.warp(block.timestamp + 30 days);
        isTrue(pool.convertToAssets(pool.balanceOf(stranger)) <= 10, "what it paid");
        isTrue(pool.convertToAssets(pool.balanceOf(alice)) >= 990, "the rest is who was there");
    }

    /// @notice Redeem before a loss that everybody sees coming, and join again after it, cheaper.
    function test_sandwiching_a_loss_keeps_a_part_of_idle_assets_and_no_more() public {
        _join(alice, 500 * ONE);
        _join(bob, 500 * ONE);
        _unlock();
        uint56 id = _channel(uint112(100 * ONE), uint112(800 * ONE));
        _due(id, 0);
        uint256 before = _wealth(alice);
        uint256 got = _redeem(alice, pool.maxRedeem(alice));
        isTrue(got <= 100 * ONE, "half of the 200 that are idle");
        _settleNow(id);
        _join(alice, got);
        isTrue(_wealth(alice) <= before - 300 * ONE, "the rest bears the loss");
        eq(pool.maxRedeem(alice), 0, "and waits a lock-up once more");
        isTrue(
            pool.convertToAssets(pool.balanceOf(bob)) >= 50 * ONE, "half of what was idle is still there for who stayed"
        );
    }

    /// @notice A settlement that pays nothing moves no credit: whoever knew of it would leave at the old price first.
    function test_no_order_of_calls_finds_the_price_from_before_a_loss() public {
        _join(alice, 1000 * ONE);
        _unlock();
        uint56 id = _channel(uint112(100 * ONE), uint112(800 * ONE));
        _end(id, 0);
        eq(pool.totalAssets(), 200 * ONE, "nobody had to tell the pool");
        eq(_redeem(alice, pool.maxRedeem(alice)), 200 * ONE, "what is there");
    }

    /// @notice A large owner queues everything to starve the operator, and a small one to be served first.
    function test_the_queue_takes_no_more_than_its_part_of_a_return() public {
        _join(alice, 900 * ONE);
        _join(bob, 100 * ONE);
        _unlock();
        uint56 first = _channel(uint112(100 * ONE), uint112(500 * ONE));
        _channel(uint112(100 * ONE), uint112(500 * ONE));
        _exit(alice, pool.balanceOf(alice));
        _end(first, uint112(500 * ONE));
        _collect();
        isTrue(pool.idle() >= 50 * ONE, "the operator has the others' tenth");
        isTrue(pool.setAside() <= 450 * ONE, "the queue has nine tenths");
        uint256 idle = pool.idle();
        _join(bob, 300 * ONE);
        _collect();
        eq(pool.idle(), idle + 300 * ONE, "a fresh deposit is not the queue's");
    }

    /// @notice I17: within one block, whatever the order of calls, the caller's assets do not grow.
    function test_fuzz_within_one_block_no_order_of_calls_makes_anybody_richer(uint256 seed) public {
        _join(alice, 1000 * ONE + seed % 1000);
        _join(bob, 700 * ONE + seed % 777);
        _unlock();
        uint56[3] memory ids;
        for (uint256 i = 0; i < 3; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            ids[i] = _channel(uint112(200 * ONE), uint112(bound(seed, 1, 500 * ONE)));
        }
        for (uint256 i = 0; i < 3; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint112 escrow = vipe.escrow(ids[i], 2);
            uint112 toVip = uint112(bound(seed, 0, escrow));
            _dispute(ids[i], counterparty, _state(1, 2, escrow - toVip), toVip);
        }
        vm.warp(block.timestamp + WINDOW);
        if (seed % 2 == 0) {
            _settleNow(ids[0]);
            _collect();
            vm.warp(block.timestamp + seed % VESTING);
        }
        _oneBlock(seed, ids);
    }

    uint256[] private _requests;

    function _oneBlock(uint256 seed, uint56[3] memory ids) private {
        uint256 last = _allOf(alice);
        for (uint256 i = 0; i < 12; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 amount = seed >> 8;
            if (seed % 8 == 0) _join(alice, bound(amount, 1000, 5000 * ONE));
            if (seed % 8 == 1) _tryWithdraw(bound(amount, 0, pool.maxWithdraw(alice)));
            if (seed % 8 == 2) _tryRedeem(bound(amount, 0, pool.maxRedeem(alice)));
            if (seed % 8 == 3) _tryExit(amount);
            if (seed % 8 == 4) _collect();
            if (seed % 8 == 5) _tryTake(amount);
            if (seed % 8 > 5 && vipe.channel(ids[amount % 3]).status == IVipe.Status.Disputed) {
                _settleNow(ids[amount % 3]);
            }
            uint256 all = _allOf(alice);
            // a payment to the queue is rounded against it, in favour of all shares: a unit of that may be hers
            isTrue(all <= last + 1, "richer");
            last = all;
        }
        delete _requests;
    }

    function _tryWithdraw(uint256 assets) private {
        if (assets != 0) _withdraw(alice, assets);
    }

    function _tryRedeem(uint256 shares) private {
        if (pool.previewRedeem(shares) != 0) _redeem(alice, shares);
    }

    function _tryExit(uint256 amount) private {
        (uint256 locked,) = pool.lockedShares(alice);
        uint256 free = pool.balanceOf(alice) - locked;
        if (free == 0) return;
        (, uint256 id) = _exit(alice, bound(amount, 1, free));
        if (id != 0) _requests.push(id);
    }

    function _tryTake(uint256 pick) private {
        if (_requests.length == 0) return;
        uint256 id = _requests[pick % _requests.length];
        if (pool.exitOf(id).owner == alice) _take(alice, id);
    }

    /// @dev In hand, due, and all shares, waiting ones too, at the price of who leaves.
    function _allOf(address who) private view returns (uint256 all) {
        all = token.balanceOf(who);
        uint256 shares = pool.balanceOf(who);
        for (uint256 i = 0; i < _requests.length; ++i) {
            IVip.Exit memory e = pool.exitOf(_requests[i]);
            all += e.assets;
            shares += e.shares;
        }
        all += pool.convertToAssets(shares);
    }
}
