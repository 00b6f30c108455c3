// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice dispute: Dispute.tree. The locks are in Locks.t.sol.
contract DisputeTest is VipeTest {
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(600, 400);
    }

    function _refusesDispute(address by, uint256 value, IVipe.StateClaim memory s, uint112 claim, bytes memory why)
        private
    {
        refuses(address(vipe), by, value, _disputeCall(_id, by, s, claim), why);
    }

    function test_only_a_live_channel_can_be_disputed() public {
        _id = _open(100);
        _refusesDispute(participant, 1 ether, _state(0, 0, 0), 0, _wrongStatus(_id, IVipe.Status.Open));
    }

    function test_a_second_dispute_is_refused_at_once_and_after_settlement() public {
        _dispute(_id, participant, _state(3, 2, 500), 500);
        _refusesDispute(counterparty, 1 ether, _state(4, 2, 0), 0, _wrongStatus(_id, IVipe.Status.Disputed));
        _settle(_id);
        _refusesDispute(counterparty, 1 ether, _state(4, 2, 0), 0, _wrongStatus(_id, IVipe.Status.Settled));
    }

    function test_only_a_party_disputes() public {
        bytes memory why = err(IVipeErrors.NotParty.selector);
        _refusesDispute(stranger, 1 ether, _state(3, 2, 500), 500, why);
        _refusesDispute(vip, 0, _state(3, 2, 500), 500, why);
    }

    function test_a_wrong_dispute_key_is_refused() public {
        IVipe.StateClaim memory s = _state(3, 2, 500);
        bytes memory data = abi.encodeCall(
            vipe.dispute, (_id, s, 500, _key(_id + 1), _signatures(_id, s), _proof(_id, s, participant))
        );
        refuses(address(vipe), participant, 1 ether, data, err(IVipeErrors.WrongDisputeKey.selector));
    }

    function test_a_version_that_does_not_exist_is_refused() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.UnknownVersion.selector, uint56(3), uint56(2));
        _refusesDispute(participant, 1 ether, _state(3, 3, 0), 0, why);
    }

    function test_a_balance_above_the_escrow_of_its_version_is_refused() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.BalanceAboveEscrow.selector, uint112(601), uint112(600));
        _refusesDispute(participant, 1 ether, _state(3, 1, 601), 0, why);
        why = abi.encodeWithSelector(IVipeErrors.BalanceAboveEscrow.selector, uint112(1001), uint112(1000));
        _refusesDispute(participant, 1 ether, _state(3, 2, 1001), 0, why);
        _dispute(_id, participant, _state(3, 2, 1000), 1000);
    }

    function test_a_claim_above_what_the_state_pays_is_refused() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.ClaimAbovePay.selector, uint112(501), uint112(500));
        _refusesDispute(participant, 1 ether, _state(3, 2, 500), 501, why);
        why = abi.encodeWithSelector(IVipeErrors.ClaimAbovePay.selector, uint112(701), uint112(700));
        _refusesDispute(counterparty, 1 ether, _state(3, 2, 300), 701, why);
        why = abi.encodeWithSelector(IVipeErrors.ClaimAbovePay.selector, uint112(601), uint112(600));
        _refusesDispute(participant, 1 ether, _state(0, 0, 0), 601, why);
    }

    function test_less_than_fee_and_bond_is_refused() public {
        uint256 due = FEE_FLOOR + _bond(500);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WrongValue.selector, due, due - 1);
        _refusesDispute(participant, due - 1, _state(3, 2, 500), 500, why);
    }

    function test_the_excess_is_credited_back() public {
        uint256 due = FEE_FLOOR + _bond(500);
        does(address(vipe), participant, due + 77, _disputeCall(_id, participant, _state(3, 2, 500), 500));
        eq(vipe.etherCredit(participant), 77, "excess");
        eq(address(vipe).balance, due + 77, "held: fee + bond + credits");
    }

    function test_the_fee_follows_the_base_fee_above_the_floor() public {
        vm.fee(1 gwei);
        eq(vipe.openingFee(), FEE_FLOOR, "floor: 10 M gas at 1 gwei is less");
        vm.fee(3 gwei);
        eq(vipe.openingFee(), 0.03 ether, "10 M gas at 3 gwei");
        does(address(vipe), participant, 1 ether, _disputeCall(_id, participant, _state(3, 2, 500), 500));
        eq(vipe.disputeOf(_id).fee, 0.03 ether, "fixed at opening");
        vm.fee(100 gwei);
        _settle(_id);
        eq(vipe.etherCredit(participant), 1 ether, "returns to the wei");
    }

    function test_the_checkpoint_needs_neither_proof_nor_signatures() public {
        _dispute(_id, participant, _state(0, 0, 0), 600);
        IVipe.Dispute memory d = vipe.disputeOf(_id);
        eq(d.nonce, 0, "nonce");
        eq(d.claim, 600, "a depositor that never got a signature takes back what it put in");
        _settle(_id);
        eq(vipe.assetCredit(participant, address(token)), 600, "participant");
        eq(vipe.assetCredit(vip, address(token)), 400, "vip");
    }

    function test_a_state_with_the_checkpoints_nonce_that_is_not_the_checkpoint_is_refused() public {
        bytes memory why = err(IVipeErrors.NotTheCheckpoint.selector);
        _refusesDispute(participant, 1 ether, _state(0, 2, 0), 0, why);
        _refusesDispute(participant, 1 ether, _state(0, 2, 1000), 0, why);
        _refusesDispute(participant, 1 ether, _state(0, 1, 600), 0, why);
    }

    function test_a_proof_with_the_checkpoint_is_refused() public {
        IVipe.StateClaim memory s = _state(0, 0, 0);
        bytes memory data =
            abi.encodeCall(vipe.dispute, (_id, s, 600, _key(_id), _signatures(_id, s), _proof(_id, s, participant)));
        refuses(address(vipe), participant, 1 ether, data, err(IVipeErrors.UnexpectedProof.selector));
    }

    function test_a_dispute_is_stored_and_announced_whole() public {
        vm.warp(START + 1000);
        bytes memory data = _disputeCall(_id, participant, _state(3, 2, 500), 450);
        uint64 deadline = START + 1000 + WINDOW;
        vm.expectEmit(address(vipe));
        emit IVipe.DisputeOpened(_id, participant, 1, 3, 2, 500, 450, deadline, FEE_FLOOR, _bond(450), _key(_id));
        does(address(vipe), participant, FEE_FLOOR + _bond(450), data);

        IVipe.Dispute memory d = vipe.disputeOf(_id);
        eq(d.disputer, participant, "disputer");
        eq(d.payer, participant, "payer");
        eq(d.corrector, address(0), "no corrector");
        isTrue(!d.raised && d.byParticipant, "flags");
        eq(d.nonce, 3, "nonce");
        eq(d.openedAt, START + 1000, "openedAt");
        eq(d.deadline, deadline, "deadline");
        eq(d.windowEnd, deadline, "windowEnd");
        eq(d.claim, 450, "claim");
        eq(d.peak, 450, "peak");
        eq(d.fee, FEE_FLOOR, "fee");
        _statusIs(_id, IVipe.Status.Disputed);
        eq(vipe.channel(_id).epoch, 1, "epoch");
        eq(address(vipe).balance, FEE_FLOOR + _bond(450), "held");
        eq(vipe.etherCredit(participant), 0, "nothing to credit back");
    }

    function test_the_counterparty_disputes_for_its_vip() public {
        _dispute(_id, counterparty, _state(3, 2, 300), 700);
        IVipe.Dispute memory d = vipe.disputeOf(_id);
        isTrue(!d.byParticipant, "side");
        eq(d.claim, 700, "what the VIP gets");
        _settle(_id);
        eq(vipe.assetCredit(vip, address(token)), 700, "to the VIP, not to the operator");
        eq(vipe.assetCredit(participant, address(token)), 300, "participant");
        eq(vipe.etherCredit(counterparty), FEE_FLOOR + _bond(700), "ether to the operator");
    }

    function test_a_claim_of_zero_is_harmless() public {
        _dispute(_id, participant, _state(3, 2, 500), 0);
        eq(address(vipe).balance, FEE_FLOOR, "no bond");
        _settle(_id);
        eq(vipe.assetCredit(vip, address(token)), 1000, "all to the other side");
        eq(vipe.etherCredit(participant), FEE_FLOOR, "fee back");
    }

    function test_money_added_after_the_named_version_returns_to_who_added_it() public {
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (_id, 30)));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.allocate, (_id, 5)));
        (uint112 toParticipant, uint112 toVip) = vipe.payout(_id, 2, 500);
        eq(toParticipant, 530, "500 and the 30 added later");
        eq(toVip, 505, "500 and the 5 added later");
        (toParticipant, toVip) = vipe.payout(_id, 0, 0);
        eq(toParticipant, 630, "from nothing: what it put in");
        eq(toVip, 405, "the VIP likewise");
    }
}
