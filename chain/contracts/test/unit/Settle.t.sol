// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice settle: Settle.tree.
contract SettleTest is VipeTest {
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
    }

    function _call() private view returns (bytes memory) {
        return abi.encodeCall(vipe.settle, (_id));
    }

    function _paid(uint256 toParticipant, uint256 toVip) private view {
        eq(vipe.assetCredit(participant, address(token)), toParticipant, "participant's asset");
        eq(vipe.assetCredit(vip, address(token)), toVip, "vip's asset");
    }

    function test_a_channel_without_a_dispute_is_refused() public {
        refuses(address(vipe), stranger, 0, _call(), _wrongStatus(_id, IVipe.Status.Live));
    }

    function test_no_second_too_early_and_no_second_too_late() public {
        _dispute(_id, participant, _state(3, 2, 5e18), 5e18);
        uint64 deadline = vipe.disputeOf(_id).deadline;
        vm.warp(deadline - 1);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WindowOpen.selector, deadline);
        refuses(address(vipe), stranger, 0, _call(), why);
        vm.warp(deadline);
        why = abi.encodeWithSelector(IVipeErrors.WindowClosed.selector, deadline);
        refuses(address(vipe), tower, 0, _overrideCall(_id, _state(4, 2, 0), tower), why);
        does(address(vipe), stranger, 0, _call());
    }

    function test_a_channel_settles_once() public {
        _dispute(_id, participant, _state(3, 2, 5e18), 5e18);
        _settle(_id);
        refuses(address(vipe), stranger, 0, _call(), _wrongStatus(_id, IVipe.Status.Settled));
        _paid(5e18, 5e18);
    }

    function test_an_honest_exiter_gets_its_claim_and_every_wei_back() public {
        bytes memory data = _disputeCall(_id, participant, _state(3, 2, 5e18), 5e18);
        does(address(vipe), participant, 1 ether, data);
        vm.warp(vipe.disputeOf(_id).deadline);
        vm.expectEmit(address(vipe));
        emit IVipe.Settled(_id, 5e18, 5e18, 0, address(0), FEE_FLOOR, _bond(5e18));
        does(address(vipe), stranger, 0, _call());
        _paid(5e18, 5e18);
        eq(vipe.etherCredit(participant), 1 ether, "ether");
        eq(address(vipe).balance, 1 ether, "held: credits alone");
    }

    function test_an_opener_that_claims_less_than_its_state_pays_is_not_slashed_by_the_newer_one() public {
        _dispute(_id, counterparty, _state(3, 2, 3e18), 6e18); // its state pays 7e18, an unanswered newer one 6e18
        _override(_id, participant, _state(4, 2, 4e18), participant, 0);
        _settle(_id);
        _paid(4e18, 6e18);
        eq(vipe.etherCredit(counterparty), FEE_FLOOR + _bond(6e18), "every wei back");
    }

    function test_a_stale_disputer_is_slashed_and_the_victim_is_more_than_whole() public {
        _dispute(_id, participant, _state(3, 2, 9e18), 9e18);
        _override(_id, tower, _state(8, 2, 7e18), tower, 0);
        vm.warp(vipe.disputeOf(_id).deadline);
        vm.expectEmit(address(vipe));
        emit IVipe.Settled(_id, 5e18, 5e18, 2e18, tower, FEE_FLOOR, _bond(7e18));
        does(address(vipe), stranger, 0, _call());
        _paid(5e18, 5e18); // live: 7 and 3; slash 2
        uint256 struck = _bond(9e18) - _bond(7e18);
        eq(vipe.etherCredit(tower), struck / 2 + FEE_FLOOR, "tower");
        eq(vipe.etherCredit(counterparty), struck - struck / 2, "victim");
        eq(vipe.etherCredit(participant), _bond(7e18), "attacker: the bond of what stands");
    }

    function test_a_slash_never_exceeds_what_stands() public {
        _dispute(_id, counterparty, _state(3, 2, 0), 1e19);
        _override(_id, tower, _state(8, 2, 8e18), tower, 0);
        _settle(_id);
        _paid(1e19, 0);
    }

    function test_only_the_last_corrector_gets_the_fee() public {
        _dispute(_id, participant, _state(3, 2, 9e18), 9e18);
        _override(_id, stranger, _state(4, 2, 8e18), stranger, 0);
        _override(_id, tower, _state(8, 2, 2e18), tower, 0);
        _override(_id, stranger, _state(9, 2, 2e18), stranger, 0); // equal: corrects nothing
        _settle(_id);
        eq(vipe.etherCredit(stranger), (_bond(9e18) - _bond(8e18)) / 2, "the first has its lowering");
        eq(vipe.etherCredit(tower), (_bond(8e18) - _bond(2e18)) / 2 + FEE_FLOOR, "the last has the fee as well");
    }

    function test_a_participants_rate_of_zero_makes_bonds_of_zero() public {
        IVipe.OpenRequest memory r = _request(6e18);
        r.rate = 0;
        uint56 id = _live(r, 0);
        does(address(vipe), participant, FEE_FLOOR, _disputeCall(id, participant, _state(3, 1, 6e18), 6e18));
        _override(id, tower, _state(4, 1, 0), tower, 0);
        _settle(id);
        eq(vipe.etherCredit(tower), FEE_FLOOR, "the fee alone");
    }

    function test_settling_one_channel_leaves_the_others_escrow_alone() public {
        uint56 other = _live(1e18, 2e18);
        _dispute(_id, participant, _state(3, 2, 5e18), 5e18);
        _settle(_id);
        eq(vipe.escrow(other, 2), 3e18, "escrow");
        _statusIs(other, IVipe.Status.Live);
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimAsset, (address(token), participant)));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.claimAsset, (address(token), vip)));
        eq(token.balanceOf(address(vipe)), 3e18, "what is left is the other channel's");
    }

    function test_a_settled_channel_makes_room_under_the_assets_cap() public {
        uint56 id = _live(CAP_CHANNEL, 0);
        _live(CAP_CHANNEL, 0);
        _live(CAP_CHANNEL - 1e19, 0); // with the channel of setUp, all of it
        IVipe.OpenRequest memory r = _request(1);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.AssetCapExceeded.selector, CAP_TOTAL + 1, CAP_TOTAL);
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.open, (r)), why);
        _dispute(id, participant, _state(0, 0, 0), CAP_CHANNEL);
        _settle(id);
        r.acceptBy = uint64(block.timestamp);
        _open(r);
        r = _request(CAP_CHANNEL);
        why = abi.encodeWithSelector(IVipeErrors.AssetCapExceeded.selector, CAP_TOTAL + 1, CAP_TOTAL);
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.open, (r)), why);
    }

    // ------------------------------------------------------------------------------------------------ settleMany

    function _many(uint56[] memory ids) private returns (uint256) {
        return abi.decode(does(address(vipe), stranger, 0, abi.encodeCall(vipe.settleMany, (ids))), (uint256));
    }

    function test_many_settles_what_is_due_and_skips_the_rest() public {
        uint56 live = _live(1e18, 0);
        uint56 early = _live(6e18, 4e18);
        uint56 second = _live(6e18, 4e18);
        _dispute(_id, participant, _state(3, 2, 5e18), 5e18);
        _dispute(second, counterparty, _state(3, 2, 5e18), 5e18);
        vm.warp(START + 1);
        _dispute(early, participant, _state(3, 2, 5e18), 5e18);
        vm.warp(START + WINDOW);
        uint56[] memory ids = new uint56[](7);
        (ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]) = (live, _id, _id, early, 0, 77);
        ids[6] = second;
        eq(_many(ids), 2, "two were due");
        _statusIs(_id, IVipe.Status.Settled);
        _statusIs(second, IVipe.Status.Settled);
        _statusIs(early, IVipe.Status.Disputed);
        _statusIs(live, IVipe.Status.Live);
        _paid(1e19, 1e19);
        eq(vipe.etherCredit(participant), FEE_FLOOR + _bond(5e18), "participant's ether");
        eq(vipe.etherCredit(counterparty), FEE_FLOOR + _bond(5e18), "counterparty's ether");
        eq(_many(ids), 0, "nothing twice");
        eq(_many(new uint56[](0)), 0, "nothing of nothing");
        vm.warp(START + WINDOW + 1);
        eq(_many(ids), 1, "the third in its time");
    }
}
