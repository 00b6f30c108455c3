// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DisputeRule} from "../../src/libraries/DisputeRule.sol";
import {Goldilocks} from "../../src/libraries/Goldilocks.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Check} from "../utils/Check.sol";

/// @notice Properties of the pure formulas, for any input that the vault can pass.
contract FormulasTest is Check {
    // ------------------------------------------------------------------------------------------------ bonds

    function testFuzz_a_bond_is_the_claim_times_the_rate_rounded_up(uint112 claim, uint96 rate) public pure {
        uint256 bond = DisputeRule.bond(claim, rate);
        uint256 exact = uint256(claim) * rate;
        isTrue(bond << 64 >= exact, "never less");
        isTrue(bond == 0 || (bond - 1) << 64 < exact, "never a whole wei more");
        isTrue(bond < 1 << 144, "fits");
    }

    function testFuzz_a_greater_claim_needs_no_smaller_bond(uint112 a, uint112 b, uint96 rate) public pure {
        (uint112 low, uint112 high) = a < b ? (a, b) : (b, a);
        isTrue(DisputeRule.bond(low, rate) <= DisputeRule.bond(high, rate), "monotone");
    }

    /// @dev Splitting one correction into two strikes down the same bond and pays at most one wei less.
    function testFuzz_a_staircase_gains_nothing(uint112 a, uint112 b, uint112 c, uint96 rate, uint16 bps) public pure {
        (uint112 high, uint112 middle, uint112 low) = _sorted(a, b, c);
        bps = uint16(bound(bps, 0, 10_000));
        uint256 top = DisputeRule.bond(high, rate);
        uint256 step = DisputeRule.bond(middle, rate);
        uint256 end = DisputeRule.bond(low, rate);
        (uint256 whole, uint256 other) = DisputeRule.split(top - end, bps);
        (uint256 first, uint256 otherFirst) = DisputeRule.split(top - step, bps);
        (uint256 second, uint256 otherSecond) = DisputeRule.split(step - end, bps);
        eq(whole + other, top - end, "all of it is divided");
        eq(first + otherFirst + second + otherSecond, top - end, "also in two steps");
        isTrue(first + second <= whole && whole - first - second <= 1, "one wei at most");
    }

    function _sorted(uint112 a, uint112 b, uint112 c) private pure returns (uint112, uint112, uint112) {
        if (a < b) (a, b) = (b, a);
        if (b < c) (b, c) = (c, b);
        if (a < b) (a, b) = (b, a);
        return (a, b, c);
    }

    // ------------------------------------------------------------------------------------------------ fee, slash, deadline

    function testFuzz_the_fee_is_the_larger_of_floor_and_gas(uint128 floor, uint64 gas_, uint64 baseFee) public pure {
        uint256 fee = DisputeRule.fee(floor, gas_, baseFee);
        isTrue(fee >= floor && fee >= uint256(gas_) * baseFee, "at least both");
        isTrue(fee == floor || fee == uint256(gas_) * baseFee, "one of them");
    }

    function testFuzz_a_slash_is_at_most_what_stands_and_at_most_what_was_struck(uint112 w, uint112 c, uint16 bps)
        public
        pure
    {
        bps = uint16(bound(bps, 0, 10_000));
        uint112 slash = DisputeRule.slash(w, c, bps);
        isTrue(slash <= w, "of what stands");
        isTrue(c > w ? slash <= c - w : slash == 0, "of what was struck down");
        if (c > w && bps == 10_000) eq(slash, c - w < w ? c - w : w, "all of it by default");
    }

    function testFuzz_a_deadline_never_moves_back_nor_beyond_the_latest(uint40 d, uint40 now_, uint32 ext, uint32 max)
        public
        pure
    {
        uint64 latest = uint64(d) + max;
        uint64 moved = DisputeRule.extend(d, now_, ext, latest);
        isTrue(moved >= d, "not back");
        isTrue(moved <= latest, "not beyond");
        isTrue(moved == latest || moved >= uint64(now_) + ext, "a whole extension, if there is room");
        if (uint64(now_) + ext <= d) eq(moved, d, "unmoved while enough is left");
    }

    // ------------------------------------------------------------------------------------------------ payouts

    function testFuzz_a_payout_divides_the_escrow(int128 p, int128 h, int128 pv, uint112 balance) public pure {
        // any sums that a channel can have: escrow below 2^112, single sums of either sign
        p = int128(int256(bound(uint256(int256(p)), 0, 2 ** 111)) - 2 ** 110);
        uint256 all = bound(uint256(int256(h)), 0, 2 ** 112 - 1);
        h = int128(int256(all) - p);
        pv = int128(int256(bound(uint256(int256(pv)), 0, 2 ** 111)) - 2 ** 110);
        (uint112 toParticipant, uint112 toVip) = Ledger.payout(Ledger.Entry(pv, 0), Ledger.Entry(p, h), balance);
        eq(uint256(toParticipant) + toVip, all, "all of the escrow");
        int256 raw = int256(uint256(balance)) + p - pv;
        if (raw >= 0 && uint256(raw) <= all) eq(toParticipant, uint256(raw), "exactly, where it can");
        else eq(toParticipant, raw < 0 ? 0 : all, "clamped, where it cannot");
    }

    function testFuzz_later_additions_return_to_who_added_them(uint104 p, uint104 h, uint104 dp, uint104 dh, uint112 b)
        public
        pure
    {
        b = uint112(bound(b, 0, uint256(p) + h));
        Ledger.Entry memory named = Ledger.Entry(int128(uint128(p)), int128(uint128(h)));
        Ledger.Entry memory current = Ledger.Entry(named.p + int128(uint128(dp)), named.h + int128(uint128(dh)));
        (uint112 toParticipant, uint112 toVip) = Ledger.payout(named, current, b);
        eq(toParticipant, uint256(b) + dp, "participant");
        eq(toVip, uint256(p) + h - b + dh, "vip");
    }

    // ------------------------------------------------------------------------------------------------ elements

    function testFuzz_the_elements_of_a_digest_are_its_four_words_in_order(bytes32 digest) public pure {
        uint256 joined = 0;
        bool canonical = true;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 e = Goldilocks.element(digest, i);
            canonical = canonical && e < 0xFFFFFFFF00000001;
            joined = (joined << 64) | e;
        }
        eq(joined, uint256(digest), "big endian, first element first");
        isTrue(Goldilocks.isDigest(digest) == canonical, "canonical");
    }
}
