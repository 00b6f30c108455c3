// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DisputeRule} from "../../src/libraries/DisputeRule.sol";
import {OpenVault} from "./OpenVault.sol";

/// @notice Single steps of the state machine from every record that the invariants allow: run by halmos (`./analyze.sh halmos`), not by
/// forge. The test is the vault. Amounts, times and nonces are symbolic at full width. The verifier says yes, signatures recover to
/// any signer (recovery is a function of which nothing is known), all of a slash is taken, half of a struck bond goes to the tower, and a
/// bond is a wei a base unit, or none where no ether is looked at. Reverts are caught and looked at: none hides a case.
contract SymbolicStates is OpenVault {
    // ------------------------------------------------------------------------------------------------ the end

    /// @dev At the second of the deadline, and in no other status: no gap, no overlap, once.
    function check_settles_exactly_when_disputed_and_due(uint8 status, uint64 nowAt, uint64 deadline) public {
        vm.assume(status <= uint8(Status.Cancelled));
        _put(Status(status), 10, 0);
        _putDispute(true, 5, 5, deadline);
        vm.warp(nowAt);
        bool ok = _settles();
        assert(ok == (status == uint8(Status.Disputed) && nowAt >= deadline));
        if (!ok) return;
        assert(_channels[ID].status == Status.Settled);
        assert(!_settles());
    }

    /// @dev `settleMany` does what `settle` does, skips where it would refuse, and counts a channel that is named twice once.
    function check_settle_many_skips_what_is_not_due(uint8 status, uint64 nowAt, uint64 deadline) public {
        vm.assume(status <= uint8(Status.Cancelled));
        _put(Status(status), 10, 0);
        _putDispute(true, 5, 5, deadline);
        vm.warp(nowAt);
        uint56[] memory ids = new uint56[](2);
        (ids[0], ids[1]) = (ID, ID);
        bool due = status == uint8(Status.Disputed) && nowAt >= deadline;
        (bool ok, bytes memory settled) = address(this).call(abi.encodeCall(this.settleMany, (ids)));
        assert(ok && abi.decode(settled, (uint256)) == (due ? 1 : 0));
        assert(uint8(_channels[ID].status) == (due ? uint8(Status.Settled) : status));
    }

    /// @dev Who was never corrected gets its claim, the other side the rest.
    function check_a_settlement_pays_the_escrow(bool byParticipant, uint112 all, uint112 claim) public {
        vm.assume(claim <= all);
        _put(Status.Disputed, all, 0);
        _putDispute(byParticipant, claim, claim, 0);
        assert(_settles());
        assert(this.assetCredit(byParticipant ? P : VIP, ASSET) == claim);
        assert(this.assetCredit(byParticipant ? VIP : P, ASSET) == all - claim);
        assert(_escrowed[ASSET] == 0);
    }

    /// @dev The slash goes from the disputer's claim to the other side, whatever the escrow: a claim that keeps a part (5 of 8 claimed
    /// stand, 3 are slashed), and one that keeps nothing. The formula itself is proven in `Formulas.sym.sol`.
    function check_a_slash_goes_to_the_other_side(bool byParticipant, bool most, uint112 all) public {
        (uint112 claim, uint112 peak) = most ? (uint112(3), uint112(8)) : (uint112(5), uint112(8));
        vm.assume(peak <= all);
        _put(Status.Disputed, all, 0);
        _putDispute(byParticipant, claim, peak, 0);
        assert(_settles());
        uint256 toDisputer = this.assetCredit(byParticipant ? P : VIP, ASSET);
        assert(toDisputer == (most ? 0 : 2));
        assert(this.assetCredit(byParticipant ? VIP : P, ASSET) == all - toDisputer);
    }

    /// @dev What both announced is paid as they said, without a slash.
    function check_an_announced_end_pays_what_was_agreed(uint112 all, uint112 agreed, uint112 claim, uint112 peak)
        public
    {
        vm.assume(claim <= peak && peak <= all && agreed <= all);
        _put(Status.Disputed, all, 0);
        DisputeRecord storage d = _putDispute(true, claim, peak, 0);
        (d.closing, d.agreedToParticipant) = (true, agreed);
        assert(_settles());
        assert(this.assetCredit(P, ASSET) == agreed && this.assetCredit(VIP, ASSET) == all - agreed);
    }

    /// @dev F + u(claim), which the vault holds for a dispute, is credited whole; the fee to the corrector, if there is one.
    function check_a_settlement_pays_the_ether(uint112 claim, uint128 fee, bool corrected, bool closing) public {
        _put(Status.Disputed, claim, 2 ** 64);
        DisputeRecord storage d = _putDispute(true, claim, claim, 0);
        (d.fee, d.closing) = (fee, closing);
        if (corrected) d.corrector = TOWER;
        assert(_settles());
        assert(_ether() == uint256(fee) + claim);
        assert(this.etherCredit(TOWER) == (corrected ? fee : 0));
        assert(this.etherCredit(P) == (corrected ? claim : uint256(fee) + claim));
    }

    /// @dev A sponsor gets back what it brought: all, or after the disputer's own raise what the raise found (7).
    function check_a_sponsor_has_its_bond_back(uint112 claim, bool raised, uint128 fee) public {
        _put(Status.Disputed, claim, 2 ** 64);
        DisputeRecord storage d = _putDispute(true, claim, claim, 0);
        (d.fee, d.payer, d.raised, d.raisedFrom) = (fee, SPONSOR, raised, 7);
        assert(_settles());
        uint256 brought = raised && claim > 7 ? 7 : claim;
        assert(this.etherCredit(SPONSOR) == brought + fee);
        assert(this.etherCredit(P) == claim - brought);
    }

    function check_only_the_participant_cancels_only_what_is_open(uint8 status, uint112 all, address caller) public {
        vm.assume(status <= uint8(Status.Cancelled));
        _put(Status(status), all, 0);
        bool ok = _cancels(caller);
        assert(ok == (status == uint8(Status.Open) && caller == P));
        if (ok) assert(this.assetCredit(P, ASSET) == all);
    }

    // ------------------------------------------------------------------------------------------------ moves

    /// @dev From the checkpoint: the claim is within what it pays, the ether is F + u(claim) and the rest comes back, the window is whole.
    function check_an_opening_from_the_checkpoint(uint112 all, uint112 claim, uint96 value, bytes32 key, uint8 status)
        public
    {
        vm.assume(status <= uint8(Status.Cancelled));
        ChannelRecord storage c = _put(Status(status), all, 2 ** 64);
        vm.warp(NOW);
        bool ok = _opens(claim, value, key);
        if (!ok) return;
        assert(status == uint8(Status.Live) && claim <= all && value >= uint256(claim) + 1);
        DisputeRecord storage d = _disputes[ID];
        assert(c.status == Status.Disputed && c.epoch == 2 && d.disputer == P && d.byParticipant);
        assert(d.claim == claim && d.peak == claim && d.nonce == 0 && d.deadline == NOW + WINDOW);
        assert(this.etherCredit(P) == uint256(value) - claim - 1);
    }

    /// @dev An override: before the deadline, with a greater nonce, and by the rule of its direction. Whoever signed.
    function check_an_override_moves_by_the_rule(
        uint112 claim,
        uint112 pay,
        uint64 nowAt,
        uint64 deadline,
        uint56 standing,
        uint56 nonce
    ) public {
        _put(Status.Disputed, type(uint112).max, 2 ** 64);
        DisputeRecord storage d = _putDispute(true, claim, claim, deadline);
        (d.nonce, d.windowEnd) = (standing, deadline);
        vm.assume(nowAt < 2 ** 62 && deadline < 2 ** 62);
        vm.warp(nowAt);
        bool ok = _overrides(TOWER, 0, nonce, pay);
        if (!ok) return;
        // without value and not by the disputer: it lowers, or moves the nonce
        assert(nowAt < deadline && nonce > standing && pay <= claim);
        assert(d.nonce == nonce && d.claim == pay && d.peak == claim);
        assert(d.deadline >= deadline && d.deadline <= deadline + 1 days);
        if (pay == claim) return assert(_ether() == 0 && d.corrector == address(0) && d.deadline == deadline);
        assert(d.corrector == TOWER && d.deadline >= nowAt + EXTENSION);
        uint256 struck = DisputeRule.bond(claim, 2 ** 64) - DisputeRule.bond(pay, 2 ** 64);
        (uint256 toTower, uint256 toOther) = DisputeRule.split(struck, 5_000);
        assert(this.etherCredit(TOWER) == toTower && this.etherCredit(H) == toOther);
    }

    /// @dev Nothing but the disputer raises, once, with exactly the bond that is missing, and then the window is whole again.
    function check_a_raise_is_the_disputers_once(
        uint112 claim,
        uint112 pay,
        uint96 value,
        address caller,
        bool raised,
        bool closing
    ) public {
        vm.assume(pay > claim);
        _put(Status.Disputed, type(uint112).max, 2 ** 64);
        DisputeRecord storage d = _putDispute(true, claim, claim, NOW + 1);
        (d.raised, d.closing) = (raised, closing);
        vm.warp(NOW);
        vm.assume(caller != address(this));
        bool ok = _overrides(caller, value, 1, pay);
        if (!ok) return;
        assert(caller == P && !raised && !closing && value == pay - claim);
        assert(d.raised && d.claim == pay && d.peak == pay && d.raisedFrom == claim);
        assert(d.deadline == NOW + WINDOW && d.windowEnd == d.deadline && _ether() == 0);
    }

    /// @dev In no status but Live does a ledger grow, whoever calls.
    function check_a_ledger_is_frozen_but_while_live(uint8 status, address caller, uint112 amount, bool byParticipant)
        public
    {
        vm.assume(status <= uint8(Status.Cancelled) && status != uint8(Status.Live));
        _put(Status(status), 10, 0);
        vm.prank(caller);
        (bool ok,) = address(this)
            .call(
                byParticipant ? abi.encodeCall(this.deposit, (ID, amount)) : abi.encodeCall(this.allocate, (ID, amount))
            );
        assert(!ok && _channels[ID].version == 1);
    }
}
