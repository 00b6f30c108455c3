// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Shares of one account that may not move yet
/// @notice Locked shares lie in lots by the time they unlock, an eighth of the lock-up apart, rounded up. So a stranger who
/// locks dust for somebody locks that dust and nothing else, and no account ever has more than nine lots.
/// @dev **Invariant:** a lot is overwritten only after it has unlocked. A lot ends at most `lockup + part` after now, so its
/// number is at most `floor(now / part) + 9`; the lot nine numbers before it, which shares its place, ended by now.
library ShareLocks {
    uint256 private constant PARTS = 8;
    uint256 private constant PLACES = 9;

    /// @param shares Locked in this lot.
    /// @param number It unlocks at `number * part` seconds.
    struct Lot {
        uint192 shares;
        uint64 number;
    }

    /// @param last The greatest number of all lots.
    struct Locks {
        uint64 last;
        Lot[9] lots;
    }

    /// @notice The spacing of unlock times, in seconds.
    function part(uint64 lockup) internal pure returns (uint64) {
        return uint64((lockup + PARTS - 1) / PARTS);
    }

    /// @notice Locks `shares` for at least `lockup` seconds; returns when they unlock.
    /// @param shares Below 2^192, as is the sum of all: the caller bounds the supply.
    function add(Locks storage locks, uint256 shares, uint64 lockup, uint64 nowAt) internal returns (uint64 unlockAt) {
        uint64 size = part(lockup);
        uint64 number = (nowAt + lockup + size - 1) / size;
        Lot storage lot = locks.lots[number % PLACES];
        uint192 kept = lot.number == number ? lot.shares : 0;
        (lot.shares, lot.number) = (kept + uint192(shares), number);
        if (number > locks.last) locks.last = number;
        return number * size;
    }

    /// @notice How many shares are locked.
    function locked(Locks storage locks, uint64 lockup, uint64 nowAt) internal view returns (uint256 shares) {
        uint64 size = part(lockup);
        if (uint256(locks.last) * size <= nowAt) return 0;
        for (uint256 i = 0; i < PLACES; ++i) {
            Lot storage lot = locks.lots[i];
            if (uint256(lot.number) * size > nowAt) shares += lot.shares;
        }
    }

    /// @notice When all are unlocked, in seconds; in the past if none is locked.
    function unlockedAt(Locks storage locks, uint64 lockup) internal view returns (uint64) {
        return locks.last * part(lockup);
    }
}
