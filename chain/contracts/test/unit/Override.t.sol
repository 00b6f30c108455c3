// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice overrideState: Override.tree.
contract OverrideTest is VipeTest {
    uint56 private _id;

    /// @dev A participant that disputes with nonce 10, claim 9e18 of an escrow of 1e19. Amounts are large against the rate's rounding.
    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
    }

    function _refusesOverride(address by, uint256 value, IVipe.StateClaim memory s, bytes memory why) private {
        refuses(address(vipe), by, value, _overrideCall(_id, s, tower), why);
    }

    function _d() private view returns (IVipe.Dispute memory) {
        return vipe.disputeOf(_id);
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function test_a_channel_without_an_open_dispute_is_refused() public {
        uint56 other = _live(100, 0);
        bytes memory data = _overrideCall(other, _state(11, 1, 0), tower);
        refuses(address(vipe), tower, 0, data, _wrongStatus(other, IVipe.Status.Live));
        _settle(_id);
        _refusesOverride(tower, 0, _state(11, 2, 0), _wrongStatus(_id, IVipe.Status.Settled));
    }

    function test_the_window_is_open_until_the_second_before_the_deadline() public {
        uint64 deadline = _d().deadline;
        vm.warp(deadline);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WindowClosed.selector, deadline);
        _refusesOverride(tower, 0, _state(11, 2, 0), why);
        vm.warp(deadline - 1);
        _override(_id, tower, _state(11, 2, 0), tower, 0);
    }

    function test_a_nonce_that_is_not_above_the_standing_one_is_refused() public {
        _refusesOverride(tower, 0, _state(10, 2, 0), abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, 10, 10));
        _refusesOverride(tower, 0, _state(9, 2, 0), abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, 9, 10));
        _override(_id, tower, _state(12, 2, 5e18), tower, 0);
        _refusesOverride(tower, 0, _state(12, 2, 5e18), abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, 12, 12));
    }

    function test_a_zero_beneficiary_is_refused() public {
        bytes memory data = _overrideCall(_id, _state(11, 2, 0), address(0));
        refuses(address(vipe), tower, 0, data, err(IVipeErrors.ZeroBeneficiary.selector));
    }

    function test_a_state_that_no_escrow_backs_is_refused() public {
        _refusesOverride(tower, 0, _state(11, 3, 0), abi.encodeWithSelector(IVipeErrors.UnknownVersion.selector, 3, 2));
        _refusesOverride(
            tower,
            0,
            _state(11, 2, 1e19 + 1),
            abi.encodeWithSelector(IVipeErrors.BalanceAboveEscrow.selector, 1e19 + 1, 1e19)
        );
    }

    function test_two_locks_a_proof_without_signatures_and_signatures_without_a_proof_are_refused() public {
        IVipe.StateClaim memory s = _state(11, 2, 0);
        bytes memory data = abi.encodeCall(vipe.overrideState, (_id, s, tower, _noSignatures(), _proof(_id, s, tower)));
        refuses(address(vipe), tower, 0, data, abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, true));
        data = abi.encodeCall(vipe.overrideState, (_id, s, tower, _signatures(_id, s), "no proof"));
        refuses(address(vipe), tower, 0, data, err(IVipeErrors.ProofRefused.selector));
    }

    function test_a_proof_copied_from_the_mempool_earns_the_copier_nothing() public {
        IVipe.StateClaim memory s = _state(11, 2, 0);
        bytes memory copied =
            abi.encodeCall(vipe.overrideState, (_id, s, stranger, _signatures(_id, s), _proof(_id, s, tower)));
        refuses(address(vipe), stranger, 0, copied, err(IVipeErrors.ProofRefused.selector));
        _override(_id, stranger, s, tower, 0);
        eq(vipe.etherCredit(tower), _bond(9e18) / 2, "sent by another, the reward is still the tower's");
        eq(vipe.etherCredit(stranger), 0, "and the sender has nothing");
    }

    // ------------------------------------------------------------------------------------------------ lower

    function test_a_lowering_with_ether_is_refused() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WrongValue.selector, 0, 1);
        _refusesOverride(tower, 1, _state(11, 2, 0), why);
    }

    function test_a_lowering_is_paid_at_once_by_its_size_alone() public {
        uint256 struck = _bond(9e18) - _bond(2e18);
        IVipe.StateClaim memory s = _state(11, 2, 2e18);
        uint64 deadline = _d().deadline;
        bytes memory data = _overrideCall(_id, s, tower);
        vm.expectEmit(address(vipe));
        emit IVipe.EtherCredited(tower, struck / 2);
        vm.expectEmit(address(vipe));
        emit IVipe.EtherCredited(counterparty, struck - struck / 2);
        vm.expectEmit(address(vipe));
        emit IVipe.Overridden(_id, tower, IVipe.OverrideKind.Lower, 11, 2, 2e18, 2e18, deadline, struck / 2);
        does(address(vipe), stranger, 0, data);
        eq(_d().corrector, tower, "corrector");
        eq(_d().claim, 2e18, "claim");
        eq(_d().peak, 9e18, "peak");
        eq(_d().nonce, 11, "nonce");
        eq(address(vipe).balance, FEE_FLOOR + _bond(2e18) + struck, "held: fee + bond + credits");
    }

    function test_of_a_counterpartys_struck_bond_the_participant_gets_the_other_share() public {
        uint56 id = _live(6e18, 4e18);
        _dispute(id, counterparty, _state(10, 2, 1e18), 9e18);
        _override(id, tower, _state(11, 2, 8e18), tower, 0);
        uint256 struck = _bond(9e18) - _bond(2e18);
        eq(vipe.etherCredit(tower), struck / 2, "tower");
        eq(vipe.etherCredit(participant), struck - struck / 2, "participant");
        eq(vipe.disputeOf(id).claim, 2e18, "claim");
    }

    function test_what_was_paid_for_a_lowering_no_later_step_takes_back() public {
        _override(_id, tower, _state(11, 2, 2e18), tower, 0);
        uint256 earned = vipe.etherCredit(tower);
        _override(_id, participant, _state(12, 2, 8e18), participant, _bond(8e18) - _bond(2e18));
        _override(_id, stranger, _state(13, 2, 0), stranger, 0);
        _settle(_id);
        eq(vipe.etherCredit(tower), earned, "kept");
    }

    function test_an_early_lowering_does_not_move_the_deadline() public {
        uint64 deadline = _d().deadline;
        _override(_id, tower, _state(11, 2, 6e18), tower, 0);
        eq(_d().deadline, deadline, "in the second of the opening");
        vm.warp(deadline - EXTENSION);
        _override(_id, tower, _state(12, 2, 5e18), tower, 0);
        eq(_d().deadline, deadline, "a whole extension is left");
    }

    function test_a_late_lowering_leaves_a_whole_response_extension() public {
        uint64 deadline = _d().deadline;
        vm.warp(deadline - 10);
        _override(_id, tower, _state(11, 2, 5e18), tower, 0);
        eq(_d().deadline, deadline - 10 + EXTENSION, "moved");
        eq(_d().windowEnd, deadline, "the window's own end stays");
    }

    function test_all_lowerings_together_extend_by_maxExtension_at_most() public {
        uint64 windowEnd = _d().windowEnd;
        uint56 nonce = 10;
        uint112 balance = 9e18;
        while (_d().deadline < windowEnd + MAX_EXTENSION) {
            vm.warp(_d().deadline - 1);
            _override(_id, tower, _state(++nonce, 2, --balance), tower, 0);
        }
        isTrue(nonce >= 24, "an hour less a second each");
        vm.warp(_d().deadline - 1);
        _override(_id, tower, _state(++nonce, 2, --balance), tower, 0);
        eq(_d().deadline, windowEnd + MAX_EXTENSION, "and no further");
    }

    // ------------------------------------------------------------------------------------------------ equal

    function test_an_equal_override_moves_the_nonce_and_nothing_else() public {
        uint64 deadline = _d().deadline;
        vm.warp(deadline - 10);
        bytes memory data = _overrideCall(_id, _state(11, 2, 9e18), tower);
        vm.expectEmit(address(vipe));
        emit IVipe.Overridden(_id, tower, IVipe.OverrideKind.Equal, 11, 2, 9e18, 9e18, deadline, 0);
        does(address(vipe), tower, 0, data);
        eq(_d().nonce, 11, "nonce");
        eq(_d().deadline, deadline, "deadline");
        eq(_d().corrector, address(0), "corrector");
        eq(vipe.etherCredit(tower), 0, "reward");
    }

    function test_an_equal_override_with_ether_is_refused() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WrongValue.selector, 0, 1);
        _refusesOverride(tower, 1, _state(11, 2, 9e18), why);
    }

    // ------------------------------------------------------------------------------------------------ raise

    function test_only_the_disputer_raises() public {
        _refusesOverride(tower, 1 ether, _state(11, 2, 1e19), err(IVipeErrors.RaiseByDisputerOnly.selector));
        _refusesOverride(counterparty, 1 ether, _state(11, 2, 1e19), err(IVipeErrors.RaiseByDisputerOnly.selector));
    }

    function test_a_raise_brings_exactly_its_own_bond() public {
        uint256 due = _bond(1e19) - _bond(9e18);
        for (uint256 i = 0; i < 3; ++i) {
            uint256 sent = i == 0 ? 0 : i == 1 ? due - 1 : due + 1;
            bytes memory why = abi.encodeWithSelector(IVipeErrors.WrongValue.selector, due, sent);
            _refusesOverride(participant, sent, _state(11, 2, 1e19), why);
        }
        _override(_id, participant, _state(11, 2, 1e19), participant, due);
        eq(address(vipe).balance, FEE_FLOOR + _bond(1e19), "held");
    }

    function test_a_second_raise_is_refused() public {
        _override(_id, participant, _state(11, 2, 95e17), participant, _bond(95e17) - _bond(9e18));
        _refusesOverride(participant, 1 ether, _state(12, 2, 1e19), err(IVipeErrors.AlreadyRaised.selector));
        _override(_id, tower, _state(12, 2, 1e18), tower, 0);
        _refusesOverride(participant, 1 ether, _state(13, 2, 1e19), err(IVipeErrors.AlreadyRaised.selector));
    }

    function test_a_raise_starts_the_window_anew_with_all_of_its_extension() public {
        vm.warp(_d().deadline - 5);
        uint64 end = uint64(block.timestamp) + WINDOW;
        _override(_id, participant, _state(11, 2, 1e19), participant, _bond(1e19) - _bond(9e18));
        eq(_d().deadline, end, "deadline");
        eq(_d().windowEnd, end, "windowEnd");
        eq(_d().peak, 1e19, "peak");
        isTrue(_d().raised, "raised");
        eq(_d().openedAt, START, "openedAt stays");
        vm.warp(end - 1);
        _override(_id, tower, _state(12, 2, 0), tower, 0);
        eq(_d().deadline, end - 1 + EXTENSION, "extended from the new end");
    }

    function test_dip_and_raise_leaves_the_tower_its_pay_and_the_fee() public {
        // the attacker lowers its own claim with an old state, then raises it again: both moves cost it, and the tower is paid all
        // the same for striking down what it finds
        _override(_id, stranger, _state(11, 2, 0), stranger, 0);
        _override(_id, participant, _state(12, 2, 9e18), participant, _bond(9e18));
        eq(_d().corrector, stranger, "the corrector stays");
        eq(_d().peak, 9e18, "the peak is not above");
        _override(_id, tower, _state(13, 2, 0), tower, 0);
        _settle(_id);
        eq(vipe.etherCredit(tower), _bond(9e18) / 2 + FEE_FLOOR, "tower");
        eq(vipe.etherCredit(participant), 0, "attacker");
        eq(vipe.assetCredit(vip, address(token)), 1e19, "victim");
    }

    function test_a_raise_after_a_lowering_keeps_the_larger_peak() public {
        _override(_id, tower, _state(11, 2, 1e18), tower, 0);
        _override(_id, participant, _state(12, 2, 5e18), participant, _bond(5e18) - _bond(1e18));
        eq(_d().peak, 9e18, "peak");
        eq(_d().claim, 5e18, "claim");
    }
}
