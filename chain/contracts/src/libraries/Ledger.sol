// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The versioned ledger of one channel's escrow
/// @notice Version v keeps two signed sums: p(v), what the participant put in less what it took out, and h(v), the same for
/// the VIP. escrow(v) = p(v) + h(v). A state names the version it spends from; what was added after it returns to who added
/// it, what was taken out after it is charged to who received it.
/// @dev **Invariant:** 0 <= p + h < 2^112 for every version, and both shares of a payout are non-negative and sum to escrow(now).
library Ledger {
    /// @notice One version.
    struct Entry {
        int128 p;
        int128 h;
    }

    /// @dev Both sums stay strictly between its negative and itself, so that every reader's arithmetic has room.
    int128 private constant SUM_END = 2 ** 112;

    /// @notice True when both sums are in (-2^112, 2^112) and the escrow is in [0, 2^112).
    function inRange(Entry memory entry) internal pure returns (bool) {
        if (entry.p <= -SUM_END || entry.p >= SUM_END || entry.h <= -SUM_END || entry.h >= SUM_END) return false;
        int128 sum = entry.p + entry.h;
        return sum >= 0 && sum < SUM_END;
    }

    /// @notice What the participant is due under a state, before the clamp: balance + p(now) - p(named).
    function due(Entry memory named, Entry memory current, uint112 balance) internal pure returns (int256) {
        return int256(uint256(balance)) + int256(current.p) - int256(named.p);
    }

    /// @notice escrow(v), in base units.
    function escrow(Entry memory entry) internal pure returns (uint112) {
        // Within [0, 2^112) by the invariant, so the narrowing loses nothing.
        return uint112(uint256(int256(entry.p) + int256(entry.h)));
    }

    /// @notice What a state with `balance` that names the version `named` pays when `current` is the newest version.
    /// @dev The caller checks `balance <= escrow(named)`. For states of honest nodes the clamp never acts.
    function payout(Entry memory named, Entry memory current, uint112 balance)
        internal
        pure
        returns (uint112 toParticipant, uint112 toVip)
    {
        uint112 all = escrow(current);
        int256 raw = due(named, current, balance);
        if (raw <= 0) {
            toParticipant = 0;
        } else if (raw >= int256(uint256(all))) {
            toParticipant = all;
        } else {
            toParticipant = uint112(uint256(raw));
        }
        toVip = all - toParticipant;
    }
}
