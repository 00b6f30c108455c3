// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ExitQueue} from "../../src/libraries/ExitQueue.sol";
import {GainStream} from "../../src/libraries/GainStream.sol";
import {ShareLocks} from "../../src/libraries/ShareLocks.sol";
import {Check} from "../utils/Check.sol";

/// @notice The three libraries of the pool against models that keep every single item.
contract VipLibrariesTest is Check {
    using ExitQueue for ExitQueue.Queue;
    using GainStream for GainStream.Stream;
    using ShareLocks for ShareLocks.Locks;

    ShareLocks.Locks private _locks;
    ExitQueue.Queue private _queue;

    struct Lot {
        uint256 shares;
        uint64 from;
    }

    Lot[] private _lots;

    // ------------------------------------------------------------------------------------------------ locks

    function test_fuzz_locks_are_those_of_a_list_of_all_lots(uint256 seed) public {
        uint64 lockup = uint64(bound(seed, 1, 30 days));
        uint64 part = (lockup + 7) / 8;
        uint64 time = 1_800_000_000;
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            time += uint64(seed % (lockup / 3 + 2));
            _lots.push(Lot(seed >> 96, time));
            uint64 until = _locks.add(seed >> 96, lockup, time);
            isTrue(until >= time + lockup && until < time + lockup + part, "a lock-up, and less than a part more");
            uint256 atLeast = 0;
            uint256 atMost = 0;
            for (uint256 j = 0; j < _lots.length; ++j) {
                if (time < _lots[j].from + lockup) atLeast += _lots[j].shares;
                if (time < _lots[j].from + lockup + part) atMost += _lots[j].shares;
            }
            uint256 locked = _locks.locked(lockup, time);
            isTrue(locked >= atLeast && locked <= atMost, "what is locked");
            eq(_locks.locked(lockup, _locks.unlockedAt(lockup)), 0, "all is free in the end");
        }
    }

    // ------------------------------------------------------------------------------------------------ gains

    function test_fuzz_a_stream_falls_linearly(uint112 gain, uint64 vesting, uint64 when) public pure {
        vesting = uint64(bound(vesting, 1, 3650 days));
        GainStream.Stream memory s;
        s = s.add(gain, type(uint256).max, vesting, 1000);
        uint64 time = uint64(bound(when, 0, vesting));
        uint256 released = gain - s.unvested(1000 + time);
        isTrue(released * vesting <= uint256(gain) * time, "never early");
        isTrue((released + 1) * vesting > uint256(gain) * time, "never late by a unit");
    }

    function test_fuzz_a_joined_stream_is_never_ahead_of_both_at_the_start(
        uint112 first,
        uint112 second,
        uint64 vesting,
        uint64 between
    ) public pure {
        vesting = uint64(bound(vesting, 100, 3650 days));
        between = uint64(bound(between, 0, 2 * uint256(vesting)));
        GainStream.Stream memory s;
        s = s.add(first, type(uint256).max, vesting, 1000);
        uint256 left = s.unvested(1000 + between);
        GainStream.Stream memory t = s.add(second, type(uint256).max, vesting, 1000 + between);
        eq(t.unvested(1000 + between), left + second, "joining releases nothing");
        isTrue(t.until <= 1000 + between + vesting || left + second == 0, "it ends no later than the second would");
        isTrue(t.until + 1 >= s.until || left == 0, "and no earlier than the first");
        eq(t.unvested(1000 + between + vesting), 0, "all is released in the end");
    }

    function test_fuzz_no_more_is_held_back_than_there_is(uint128 gain, uint128 most) public pure {
        GainStream.Stream memory s;
        s = s.add(gain, most, 7 days, 1000);
        eq(s.unvested(1000), gain < most ? gain : most, "the smaller");
        s = s.add(0, most / 2, 7 days, 1000);
        isTrue(s.unvested(1000) <= most / 2, "what is lost has nothing to release");
    }

    // ------------------------------------------------------------------------------------------------ queue

    struct Model {
        uint256 id;
        /// @dev Shares that wait and assets due, times 2^64.
        uint256 shares;
        uint256 assets;
    }

    Model[] private _models;

    /// @notice At a price of one: payments are split in proportion to what still waits, over all requests.
    function test_fuzz_the_queue_pays_in_proportion(uint256 seed) public {
        uint256 paid = 0;
        uint256 took = 0;
        for (uint256 i = 0; i < 30; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 waiting = _waiting();
            if (seed % 3 == 0 || waiting == 0) {
                uint256 shares = bound(seed >> 8, 1e6, 1e30);
                _models.push(Model(_queue.join(address(this), shares), shares << 64, 0));
            } else if (seed % 3 == 1) {
                uint256 assets = bound(seed >> 8, 1, waiting);
                if (seed % 6 == 1) assets = waiting;
                _payAll(assets);
                paid += assets;
            } else {
                took += _queue.take(_models[(seed >> 8) % _models.length].id);
            }
        }
        for (uint256 i = 0; i < _models.length; ++i) {
            took += _queue.due(_models[i].id);
        }
        isTrue(took <= paid, "no more than was paid");
        isTrue(took + 40 * _models.length >= paid, "and next to all of it");
    }

    function _waiting() private view returns (uint256) {
        uint256 all = _queue.rounds[_queue.head].shares;
        return _queue.open == _queue.head ? all : all + _queue.rounds[_queue.open].shares;
    }

    function _payAll(uint256 assets) private {
        for (uint64 n = _queue.head; assets != 0 && n <= _queue.open; ++n) {
            uint256 part = assets < _queue.rounds[n].shares ? assets : _queue.rounds[n].shares;
            if (part == 0) continue;
            uint256 open = _queue.rounds[n].shares;
            for (uint256 i = 0; i < _models.length; ++i) {
                Model storage m = _models[i];
                if (_queue.requests[m.id].round != n || _queue.requests[m.id].owner == address(0)) continue;
                uint256 before = _queue.waiting(m.id);
                uint256 due = _queue.due(m.id);
                m.assets = due + before * part / open;
            }
            _queue.pay(n, part, part);
            for (uint256 i = 0; i < _models.length; ++i) {
                Model storage m = _models[i];
                if (_queue.requests[m.id].round != n || _queue.requests[m.id].owner == address(0)) continue;
                uint256 due = _queue.due(m.id);
                isTrue(due <= m.assets + 2 && due + 2 >= m.assets, "in proportion to what waits");
            }
            assets -= part;
        }
    }

    function test_a_nearly_paid_round_is_finished_before_the_next() public {
        uint256 a = _queue.join(address(1), 1 << 80);
        _queue.pay(0, (1 << 80) - (1 << 40), (1 << 80) - (1 << 40)); // 2^40 units for each share
        uint256 b = _queue.join(address(2), 1 << 90);
        eq(_queue.requests[b].round, 1, "a round of its own");
        eq(_queue.head, 0, "the old one first");
        eq(_queue.waiting(a), 1 << 40, "the rest of it");
        eq(_queue.waiting(b), 1 << 90, "all of it");
        _queue.pay(0, 1 << 40, 1 << 40);
        eq(_queue.head, 1, "then the new one");
        eq(_queue.due(a), 1 << 80, "paid in full");
        _queue.take(a);
        eq(_queue.requests[a].units, 0, "forgotten");
        eq(_queue.due(a), 0, "once");
        _queue.pay(1, 1 << 90, 1 << 90);
        eq(_queue.due(b), 1 << 90, "paid in full");
        uint256 c = _queue.join(address(3), 5e6);
        eq(_queue.requests[c].round, 2, "a paid round takes nobody");
        eq(_queue.head, 2, "and is passed");
    }
}
