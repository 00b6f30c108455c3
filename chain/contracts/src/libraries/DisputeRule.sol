// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The arithmetic of a dispute
/// @notice Pure integer formulas; `test/reference/dispute_rule.py` states the same in another language and the tests compare
/// both to the wei. W is the claim that stands, C the largest one that the disputer ever put forward.
/// @dev **Invariant:** what an override is paid depends on two claims only, the one it found and the one it leaves, so no
/// earlier and no later step can change it.
library DisputeRule {
    /// @notice 1/10,000.
    uint256 internal constant BPS = 10_000;

    /// @notice u(W): the bond of a claim, in wei; rounded up, so that claim and bond vanish together.
    /// @param rate Wei per base unit, times 2^64.
    /// @dev W < 2^112 and rate < 2^96: below 2^209 before the shift.
    function bond(uint112 claim, uint96 rate) internal pure returns (uint256) {
        return (uint256(claim) * rate + type(uint64).max) >> 64;
    }

    /// @notice F: the fee of an opening, in wei.
    function fee(uint128 feeFloor, uint64 feeGas, uint256 baseFee) internal pure returns (uint256) {
        uint256 byGas = uint256(feeGas) * baseFee;
        return byGas > feeFloor ? byGas : feeFloor;
    }

    /// @notice How the struck-down part of a bond is divided: the override's beneficiary gets its share rounded down, the
    /// other party the rest. A part always goes to neither the beneficiary nor the disputer: that is what deters.
    function split(uint256 struck, uint16 towerBps) internal pure returns (uint256 toBeneficiary, uint256 toOther) {
        toBeneficiary = struck * towerBps / BPS;
        toOther = struck - toBeneficiary;
    }

    /// @notice The slash of a settlement, in base units: a share of what was claimed at most less what stands, never more
    /// than what stands.
    function slash(uint112 claim, uint112 peak, uint16 slashBps) internal pure returns (uint112) {
        if (peak <= claim) return 0;
        // At most 2^112 * 10^4 / 10^4, so the narrowing loses nothing.
        uint112 share = uint112(uint256(peak - claim) * slashBps / BPS);
        return share < claim ? share : claim;
    }

    /// @notice The deadline after a lowering: at least `extension` from now, but never beyond `latest`, and never earlier than before.
    function extend(uint64 deadline, uint64 nowAt, uint64 extension, uint64 latest) internal pure returns (uint64) {
        uint64 wanted = nowAt + extension;
        if (wanted > latest) wanted = latest;
        return wanted > deadline ? wanted : deadline;
    }

    /// @notice The deadline after a close was announced: `notice` from now, but never later than before.
    function hasten(uint64 deadline, uint64 nowAt, uint64 notice) internal pure returns (uint64) {
        uint64 wanted = nowAt + notice;
        return wanted < deadline ? wanted : deadline;
    }
}
