// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DisputeRule} from "../../src/libraries/DisputeRule.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Check} from "../utils/Check.sol";

/// @notice The formulas for every input at once: run by halmos (see the README), not by forge. Where a rate or a share would make
/// the arithmetic non-linear it is one of the deployed values; the fuzz tests take any.
contract SymbolicFormulas is Check {
    uint96 private constant RATE = uint96(uint256(2) << 64) / 100;

    function check_a_payout_divides_the_escrow(int128 pv, int128 hv, int128 p, int128 h, uint112 balance) public pure {
        Ledger.Entry memory named = Ledger.Entry(pv, hv);
        Ledger.Entry memory current = Ledger.Entry(p, h);
        vm.assume(Ledger.inRange(named) && Ledger.inRange(current));
        vm.assume(balance <= Ledger.escrow(named));
        uint256 all = Ledger.escrow(current);
        (uint112 toParticipant, uint112 toVip) = Ledger.payout(named, current, balance);
        assert(uint256(toParticipant) + toVip == all);
        int256 due = Ledger.due(named, current, balance);
        if (due >= 0 && uint256(due) <= all) assert(toParticipant == uint256(due));
        if (due < 0) assert(toParticipant == 0);
    }

    function check_an_entry_in_range_has_an_escrow_below_2_to_112(int128 p, int128 h) public pure {
        Ledger.Entry memory entry = Ledger.Entry(p, h);
        if (!Ledger.inRange(entry)) return;
        assert(int256(uint256(Ledger.escrow(entry))) == int256(p) + h);
    }

    function check_all_of_a_struck_bond_is_divided(uint128 struck) public pure {
        (uint256 toBeneficiary, uint256 toOther) = DisputeRule.split(struck, 5_000);
        assert(toBeneficiary + toOther == struck);
        assert(toBeneficiary <= toOther && toOther - toBeneficiary <= 1);
    }

    function check_a_slash_is_what_was_struck_or_what_stands(uint112 claim, uint112 peak) public pure {
        uint112 slash = DisputeRule.slash(claim, peak, 10_000);
        if (peak <= claim) assert(slash == 0);
        else assert(slash == (peak - claim < claim ? peak - claim : claim));
    }

    function check_a_greater_claim_needs_no_smaller_bond(uint112 low, uint112 high) public pure {
        vm.assume(low <= high);
        assert(DisputeRule.bond(low, RATE) <= DisputeRule.bond(high, RATE));
    }

    function check_a_bond_vanishes_with_its_claim_alone(uint112 claim) public pure {
        assert((DisputeRule.bond(claim, RATE) == 0) == (claim == 0));
    }

    function check_an_extension_leaves_time_and_ends(uint64 deadline, uint64 nowAt, uint64 extension, uint64 windowEnd)
        public
        pure
    {
        vm.assume(nowAt < 2 ** 62 && extension < 2 ** 62 && windowEnd < 2 ** 62);
        uint64 latest = windowEnd + 1 days;
        vm.assume(nowAt < deadline && deadline <= latest);
        uint64 moved = DisputeRule.extend(deadline, nowAt, extension, latest);
        assert(moved >= deadline && moved <= latest);
        assert(moved == latest || moved >= nowAt + extension);
    }

    function check_a_close_never_makes_a_window_longer_or_shorter_than_the_notice(
        uint64 deadline,
        uint64 nowAt,
        uint64 notice
    ) public pure {
        vm.assume(nowAt < 2 ** 62 && notice < 2 ** 62 && nowAt < deadline);
        uint64 moved = DisputeRule.hasten(deadline, nowAt, notice);
        assert(moved <= deadline && (moved == deadline || moved == nowAt + notice));
        assert(moved >= nowAt);
    }
}
