// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice collect, and what the pool is worth: VipCollect.tree.
contract VipCollectTest is VipTest {
    function setUp() public override {
        super.setUp();
        _join(alice, 10_000);
    }

    function test_capital_in_channels_counts_at_cost() public {
        _channel(100, 1000);
        _channel(200, 2000);
        eq(pool.idle(), 7000, "idle");
        eq(_placed(), 3000, "placed");
        eq(pool.totalAssets(), 10_000, "at cost");
    }

    function test_a_return_at_cost_changes_no_price_before_or_after_it_is_collected() public {
        uint56 id = _channel(100, 1000);
        _end(id, 1000);
        eq(_placed(), 0, "placed");
        eq(_owed(), 1000, "owed");
        eq(pool.totalAssets(), 10_000, "owed counts");
        vm.expectEmit(vip);
        emit IVip.Collected(1000);
        eq(_collect(), 1000, "collected");
        eq(pool.idle(), 10_000, "idle");
        eq(pool.totalAssets(), 10_000, "as before");
        eq(_collect(), 0, "nothing is left to collect");
    }

    function test_a_gain_is_released_linearly() public {
        uint56 id = _channel(700, 1000);
        _end(id, 1700);
        eq(pool.totalAssets(), 10_000, "held back before anybody has looked");
        vm.expectEmit(vip);
        emit IVip.GainStreamed(700, 700, uint64(block.timestamp) + VESTING);
        _collect();
        eq(pool.totalAssets(), 10_000, "held back");
        uint256 start = vipe.disputeOf(id).deadline; // the optimiser takes block.timestamp for a constant
        for (uint256 day = 1; day <= 7; ++day) {
            vm.warp(start + day * 1 days);
            eq(pool.totalAssets(), 10_000 + day * 100, "a hundred a day");
        }
        vm.warp(start + 30 days);
        eq(pool.totalAssets(), 10_700, "and no more");
    }

    function test_a_gain_that_nobody_collected_is_not_released() public {
        uint56 id = _channel(700, 1000);
        _end(id, 1700);
        vm.warp(block.timestamp + 30 days);
        eq(pool.totalAssets(), 10_000, "held back");
        _collect();
        eq(pool.totalAssets(), 10_000, "it starts now");
        vm.warp(block.timestamp + VESTING);
        eq(pool.totalAssets(), 10_700, "released");
    }

    function test_a_loss_counts_when_the_channel_ends() public {
        uint56 id = _channel(100, 1000);
        _due(id, 600);
        eq(pool.totalAssets(), 10_000, "at cost while it lives");
        _settleNow(id);
        eq(pool.totalAssets(), 9600, "at once");
        _collect();
        eq(pool.totalAssets(), 9600, "once");
    }

    function test_a_gain_and_a_loss_do_not_cancel_out() public {
        uint56 winner = _channel(500, 1000);
        uint56 loser = _channel(500, 1000);
        _dispute(winner, counterparty, _state(1, 2, 0), 1500);
        _dispute(loser, counterparty, _state(1, 2, 1000), 500);
        vm.warp(block.timestamp + WINDOW);
        _settleNow(winner);
        _settleNow(loser);
        eq(pool.totalAssets(), 9500, "the loss counts");
        eq(_unvested(), 500, "the gain is held back");
        _collect();
        vm.warp(block.timestamp + VESTING);
        eq(pool.totalAssets(), 10_000, "released");
    }

    function test_a_second_gain_runs_with_the_rest_of_the_first() public {
        uint56 first = _channel(700, 1000);
        uint56 second = _channel(700, 1000);
        _end(first, 1700);
        _collect();
        _due(second, 1700); // a day later
        eq(_unvested(), 600, "six days of the first are left");
        _settleNow(second);
        _collect();
        eq(_unvested(), 1300, "both");
        // (600 * 6 days + 700 * 7 days) / 1300
        vm.warp(block.timestamp + (uint256(600) * 6 days + 700 * 7 days) / 1300);
        eq(_unvested(), 0, "after the mean time");
    }

    function test_tiny_gains_do_not_keep_a_stream_from_ending() public {
        uint56 id = _channel(700, 1000);
        _end(id, 1700);
        _collect();
        uint256 end = vipe.disputeOf(id).deadline + VESTING + 1 days;
        for (uint256 i = 0; i < 6; ++i) {
            uint56 dust = _channel(1, 0);
            _end(dust, 1);
            _collect();
        }
        vm.warp(end);
        isTrue(_unvested() <= 6, "only dust is held back");
    }

    function test_an_own_channel_without_an_allocation_pays_a_gain() public {
        uint56 id = _channel(700, 0);
        _end(id, 700);
        eq(_unvested(), 700, "all of it");
        eq(pool.totalAssets(), 10_000, "held back");
    }

    function test_a_withdrawal_by_consent_returns_capital_and_then_gains() public {
        uint56 id = _channel(1000, 1000);
        _withdraw(id, _state(1, 2, 500), 0, 600);
        eq(_placed(), 400, "cost falls by what came back");
        eq(_owed(), 600, "owed");
        eq(pool.totalAssets(), 10_000, "capital, no gain");
        _collect();
        _withdraw(id, _state(2, 3, 200), 0, 700);
        eq(_placed(), 0, "no cost is left");
        eq(_unvested(), 300, "what exceeds the cost is a gain");
        eq(pool.totalAssets(), 10_000, "held back");
        _close(id, 0, 600, 100);
        eq(_unvested(), 400, "and so is all that follows");
        _collect();
        vm.warp(block.timestamp + VESTING);
        eq(pool.totalAssets(), 10_400, "released");
    }

    function test_a_participants_withdrawal_changes_nothing_here() public {
        uint56 id = _channel(1000, 1000);
        _withdraw(id, _state(1, 2, 500), 500, 0);
        eq(_placed(), 1000, "at cost");
        eq(pool.totalAssets(), 10_000, "as before");
        _close(id, 0, 1500, 0);
        eq(_placed(), 0, "ended");
        eq(pool.totalAssets(), 9000, "a close that pays the pool nothing is a loss at once");
        eq(_owed(), 0, "and moves no credit");
    }

    function test_an_announced_close_counts_when_it_is_settled() public {
        uint56 id = _channel(1000, 1000);
        _dispute(id, participant, _state(0, 0, 0), 1000);
        _close(id, 1, 1500, 500);
        eq(pool.totalAssets(), 10_000, "at cost until then");
        _settle(id);
        eq(pool.totalAssets(), 9500, "as agreed");
        eq(_placed(), 0, "ended");
    }

    function test_capital_that_is_put_back_below_zero_counts_only_above_it() public {
        uint56 id = _channel(1000, 1000);
        _withdraw(id, _state(1, 2, 0), 0, 1500);
        eq(_unvested(), 500, "a gain; h is -500 now");
        does(vip, counterparty, 0, abi.encodeCall(pool.allocate, (id, 600)));
        eq(_placed(), 100, "the cost is max(0, h)");
        eq(pool.totalAssets(), 9500, "500 of it do not count");
        _close(id, 0, 500, 600);
        eq(pool.totalAssets(), 9500, "until they come back as a gain");
        eq(_unvested(), 1000, "held back");
    }

    function test_settling_many_needs_no_word_to_the_pool() public {
        uint56 first = _channel(1000, 1000);
        uint56 second = _channel(1000, 1000);
        _dispute(first, counterparty, _state(1, 2, 2000), 0);
        _dispute(second, counterparty, _state(1, 2, 0), 2000);
        vm.warp(block.timestamp + WINDOW);
        uint56[] memory ids = new uint56[](2);
        (ids[0], ids[1]) = (first, second);
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settleMany, (ids)));
        eq(pool.totalAssets(), 9000, "the loss counts");
        eq(_unvested(), 1000, "the gain is held back");
    }

    function test_a_gift_through_a_strangers_channel_is_held_back_like_a_gain() public {
        IVipe.OpenRequest memory r = _request(500);
        r.counterparty = vm.addr(0x5715);
        uint56 id = _open(r);
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory consent = _sign65(0x5715, _consentDigest(id, participant, r, 0, deadline));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.accept, (id, 0, deadline, consent)));
        vm.deal(r.counterparty, 1e20);
        _dispute(id, r.counterparty, _state(1, 1, 0), 500);
        _settle(id);
        eq(pool.totalAssets(), 10_000, "no price jumps");
        eq(_unvested(), 500, "held back");
    }

    function test_a_transfer_to_its_address_changes_no_figure() public {
        token.mint(vip, 777);
        _collect();
        eq(pool.idle(), 10_000, "idle");
        eq(pool.totalAssets(), 10_000, "assets");
    }

    function test_a_lost_gain_has_nothing_left_to_release() public {
        uint56 id = _channel(5000, 10_000);
        _end(id, 15_000);
        _collect();
        eq(_unvested(), 5000, "a gain");
        uint56 sink = _channel(5000, 15_000);
        _end(sink, 1000);
        eq(pool.totalAssets(), 0, "14,000 of 15,000 are lost: the rest is not released");
        eq(_unvested(), 1000, "no more than is there");
        _collect();
        vm.warp(block.timestamp + VESTING);
        eq(pool.totalAssets(), 1000, "and all that is there in the end");
    }

    /// @notice Hundreds of channels that end at once need no look at any of them.
    function test_a_mass_settlement_costs_the_pool_one_call() public {
        for (uint256 i = 0; i < 300; ++i) {
            uint56 id = _channel(10, 10);
            _dispute(id, counterparty, _state(1, 2, uint112(i % 21)), uint112(20 - i % 21));
        }
        vm.warp(block.timestamp + WINDOW);
        for (uint56 id = 1; id <= 300; ++id) {
            _settleNow(id);
        }
        uint256 before = gasleft();
        _collect();
        isTrue(before - gasleft() < 200_000, "one call, whatever the number");
        eq(_placed(), 0, "all have ended");
        eq(pool.idle(), 10_000 - 3000 + _returned(), "all that came home");
        uint256 gains = 0;
        for (uint256 i = 0; i < 300; ++i) {
            if (i % 21 < 10) gains += 10 - i % 21;
        }
        eq(_unvested(), gains, "each gain for itself");
    }

    function _returned() private pure returns (uint256 sum) {
        for (uint256 i = 0; i < 300; ++i) {
            sum += 20 - i % 21;
        }
    }
}
