// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DisputeRule} from "../../src/libraries/DisputeRule.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Check} from "../utils/Check.sol";

/// @notice The formulas of bond, slash, window and ledger for every input at once, of the full width that the vault stores (claims
/// below 2^112, rates below 2^96, any share up to 10^4): run by halmos (`./analyze.sh halmos`), not by forge. Four checks take the
/// default rate or share, because two symbolic products of two variables are compared; `dispute_math.py` proves those for all.
contract SymbolicFormulas is Check {
    uint256 private constant BPS = 10_000;
    /// @dev 2 % of one wei a base unit.
    uint96 private constant RATE = uint96(uint256(2) << 64) / 100;

    // ------------------------------------------------------------------------------------------------ bond

    /// @dev u(W) = ceil(W * rate / 2^64).
    function check_a_bond_is_the_ceiling(uint112 claim, uint96 rate) public pure {
        uint256 product = uint256(claim) * rate;
        uint256 bond = DisputeRule.bond(claim, rate);
        assert(bond * 2 ** 64 >= product);
        assert(bond * 2 ** 64 < product + 2 ** 64);
    }

    function check_a_greater_claim_needs_no_smaller_bond(uint112 low, uint112 high) public pure {
        vm.assume(low <= high);
        assert(DisputeRule.bond(low, RATE) <= DisputeRule.bond(high, RATE));
    }

    function check_a_bond_vanishes_with_its_claim_alone(uint112 claim, uint96 rate) public pure {
        vm.assume(rate != 0);
        assert((DisputeRule.bond(claim, rate) == 0) == (claim == 0));
    }

    // ------------------------------------------------------------------------------------------------ lowering

    function check_a_struck_bond_is_divided_without_remainder(uint128 struck, uint16 towerBps) public pure {
        vm.assume(towerBps <= BPS);
        (uint256 toBeneficiary, uint256 toOther) = DisputeRule.split(struck, towerBps);
        assert(toBeneficiary + toOther == struck);
        assert(toBeneficiary * BPS <= uint256(struck) * towerBps);
        assert((toBeneficiary + 1) * BPS > uint256(struck) * towerBps);
    }

    /// @dev What deters: of every struck bond the other share goes to neither the beneficiary nor the disputer.
    function check_the_other_party_has_its_share_of_a_struck_bond(uint128 struck) public pure {
        (uint256 toBeneficiary, uint256 toOther) = DisputeRule.split(struck, 5_000);
        assert(toBeneficiary <= toOther && toOther - toBeneficiary <= 1);
    }

    /// @dev F + u(W) before an override is F + u(W') after it and what the override paid out: nothing else moves.
    function check_a_lowering_conserves_ether(uint112 claim, uint112 pay, uint96 rate, uint16 towerBps, uint128 fee)
        public
        pure
    {
        vm.assume(pay < claim && towerBps <= BPS);
        uint256 held = uint256(fee) + DisputeRule.bond(claim, rate);
        uint256 struck = DisputeRule.bond(claim, rate) - DisputeRule.bond(pay, rate);
        (uint256 toBeneficiary, uint256 toOther) = DisputeRule.split(struck, towerBps);
        assert(held == uint256(fee) + DisputeRule.bond(pay, rate) + toBeneficiary + toOther);
    }

    /// @dev A lowering in two steps strikes down what one step would, and pays the beneficiaries no more, a wei less at most.
    function check_steps_strike_what_one_step_strikes(uint128 first, uint128 second) public pure {
        (uint256 a,) = DisputeRule.split(first, 5_000);
        (uint256 b,) = DisputeRule.split(second, 5_000);
        (uint256 whole,) = DisputeRule.split(uint256(first) + second, 5_000);
        assert(a + b <= whole && whole <= a + b + 1);
    }

    /// @dev The tower's floor: (W - W') * rate / 2^64 less a wei is struck whatever came before.
    function check_a_struck_bond_is_the_size_of_the_correction(uint112 claim, uint112 pay) public pure {
        vm.assume(pay < claim);
        uint256 struck = DisputeRule.bond(claim, RATE) - DisputeRule.bond(pay, RATE);
        uint256 exact = uint256(claim - pay) * RATE;
        assert((struck + 1) * 2 ** 64 > exact);
        assert(struck * 2 ** 64 < exact + 2 ** 64);
    }

    // ------------------------------------------------------------------------------------------------ slash

    function check_a_slash_is_a_share_of_what_was_struck_or_all_that_stands(
        uint112 claim,
        uint112 peak,
        uint16 slashBps
    ) public pure {
        vm.assume(slashBps <= BPS);
        uint256 slash = DisputeRule.slash(claim, peak, slashBps);
        assert(slash <= claim);
        if (peak <= claim) return assert(slash == 0);
        uint256 share = uint256(peak - claim) * slashBps;
        assert(slash * BPS <= share);
        assert(slash == claim || (slash + 1) * BPS > share);
    }

    /// @dev The victim is whole: it is paid at least its part under the state that stands, and the disputer never more than its own.
    function check_a_settlement_leaves_the_victim_whole(uint112 all, uint112 claim, uint112 peak, uint16 slashBps)
        public
        pure
    {
        vm.assume(claim <= all && slashBps <= BPS);
        uint112 slash = DisputeRule.slash(claim, peak, slashBps);
        uint112 toDisputer = claim - slash;
        uint112 toOther = all - toDisputer;
        assert(uint256(toDisputer) + toOther == all);
        assert(toOther >= all - claim);
        if (peak == claim) assert(toDisputer == claim);
    }

    // ------------------------------------------------------------------------------------------------ fee and window

    function check_a_fee_is_the_greater_of_floor_and_gas(uint128 feeFloor, uint64 feeGas, uint64 baseFee) public pure {
        uint256 fee = DisputeRule.fee(feeFloor, feeGas, baseFee);
        uint256 byGas = uint256(feeGas) * baseFee;
        assert(fee >= feeFloor && fee >= byGas && (fee == feeFloor || fee == byGas));
    }

    function check_an_extension_leaves_time_and_ends(
        uint64 deadline,
        uint64 nowAt,
        uint64 extension,
        uint64 windowEnd,
        uint64 maxExtension
    ) public pure {
        vm.assume(nowAt < 2 ** 62 && extension < 2 ** 62 && windowEnd < 2 ** 62 && maxExtension < 2 ** 62);
        uint64 latest = windowEnd + maxExtension;
        vm.assume(nowAt < deadline && deadline <= latest);
        uint64 moved = DisputeRule.extend(deadline, nowAt, extension, latest);
        assert(moved >= deadline && moved <= latest);
        assert(moved == latest || moved >= nowAt + extension);
        assert(moved == deadline || moved <= nowAt + extension);
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

    // ------------------------------------------------------------------------------------------------ ledger

    function check_a_payout_divides_the_escrow(int128 pv, int128 hv, int128 p, int128 h, uint112 balance) public pure {
        Ledger.Entry memory named = Ledger.Entry(pv, hv);
        Ledger.Entry memory current = Ledger.Entry(p, h);
        vm.assume(Ledger.inRange(named) && Ledger.inRange(current));
        vm.assume(balance <= Ledger.escrow(named));
        uint256 all = Ledger.escrow(current);
        (uint112 toParticipant, uint112 toVip) = Ledger.payout(named, current, balance);
        assert(uint256(toParticipant) + toVip == all);
        int256 due = Ledger.due(named, current, balance);
        // forge-lint: disable-next-line(unsafe-typecast)
        if (due >= 0 && uint256(due) <= all) assert(toParticipant == uint256(due)); // not negative here
        if (due < 0) assert(toParticipant == 0);
    }

    function check_an_entry_in_range_has_an_escrow_below_2_to_112(int128 p, int128 h) public pure {
        Ledger.Entry memory entry = Ledger.Entry(p, h);
        if (!Ledger.inRange(entry)) return;
        assert(int256(uint256(Ledger.escrow(entry))) == int256(p) + h);
    }

    /// @dev What the participant adds after a state is its own, to the unit, and the VIP's payout stays what it was.
    function check_a_later_deposit_returns_to_who_added_it(int128 p, int128 h, uint112 balance, uint112 added)
        public
        pure
    {
        Ledger.Entry memory named = Ledger.Entry(p, h);
        vm.assume(Ledger.inRange(named) && balance <= Ledger.escrow(named));
        vm.assume(added < 2 ** 111 && p < 2 ** 111);
        Ledger.Entry memory current = Ledger.Entry(p + int128(uint128(added)), h);
        vm.assume(Ledger.inRange(current));
        (uint112 toParticipant, uint112 toVip) = Ledger.payout(named, current, balance);
        assert(toParticipant == uint256(balance) + added);
        assert(toVip == Ledger.escrow(named) - balance);
    }

    /// @dev After a withdrawal that the state covers, the same state pays what it paid less what each side took.
    function check_a_covered_withdrawal_is_charged_to_who_took_it(
        int128 p,
        int128 h,
        uint112 balance,
        uint112 tookP,
        uint112 tookH
    ) public pure {
        Ledger.Entry memory named = Ledger.Entry(p, h);
        vm.assume(Ledger.inRange(named) && balance <= Ledger.escrow(named));
        uint112 toVipBefore = Ledger.escrow(named) - balance;
        vm.assume(tookP <= balance && tookH <= toVipBefore);
        vm.assume(p > -(2 ** 111) && h > -(2 ** 111) && tookP < 2 ** 111 && tookH < 2 ** 111);
        Ledger.Entry memory current = Ledger.Entry(p - int128(uint128(tookP)), h - int128(uint128(tookH)));
        assert(Ledger.inRange(current));
        (uint112 toParticipant, uint112 toVip) = Ledger.payout(named, current, balance);
        assert(toParticipant == balance - tookP && toVip == toVipBefore - tookH);
    }
}
