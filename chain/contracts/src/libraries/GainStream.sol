// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Gains that are released over time
/// @notice What is held back falls linearly to zero. A new gain joins what is left of the earlier ones, and the whole runs
/// for the mean of both times, weighted by amount: one stream in one slot, whatever the number of gains.
/// @dev By the inequality of Cauchy and Schwarz the joined stream never starts out faster than the two would run side by
/// side, and it releases its mean unit at the same time. **Invariant:** without a new gain `unvested` never grows, and adding a
/// gain changes it by exactly that gain (or, rounded against the shareholders, by one unit more).
library GainStream {
    /// @param locked Held back at `since`, in base units.
    /// @param since When the last gain joined, in seconds.
    /// @param until When all is released.
    struct Stream {
        uint128 locked;
        uint64 since;
        uint64 until;
    }

    /// @notice What is held back now; rounded up.
    function unvested(Stream memory stream, uint64 nowAt) internal pure returns (uint256) {
        if (nowAt >= stream.until) return 0;
        return Math.mulDiv(stream.locked, stream.until - nowAt, stream.until - stream.since, Math.Rounding.Ceil);
    }

    /// @notice The stream after `gain` joined it for `vesting` seconds, with at most `most` held back in all: what has been
    /// lost meanwhile has no future to be released in.
    function add(Stream memory stream, uint256 gain, uint256 most, uint64 vesting, uint64 nowAt)
        internal
        pure
        returns (Stream memory)
    {
        most = Math.min(most, type(uint128).max);
        uint256 left = unvested(stream, nowAt);
        if (left > most) left = most;
        uint256 joined = Math.min(gain, most - left);
        uint256 total = left + joined;
        if (total == 0) return Stream(0, nowAt, nowAt);
        uint256 remaining = stream.until > nowAt ? stream.until - nowAt : 0;
        // Both amounts are below 2^128 and both times below 2^64. Rounded down: no row of tiny gains can keep it from ending.
        uint64 time = uint64((left * remaining + joined * vesting) / total);
        return Stream(uint128(total), nowAt, nowAt + (time == 0 ? 1 : time));
    }
}
