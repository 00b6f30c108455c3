// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice Bugs that other contracts of this kind had in earnest: KnownBugs.tree.
contract KnownBugsTest is ConsentTest {
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
    }

    function test_a_challenge_is_bound_to_the_disputed_channel_and_side() public {
        uint56 other = _live(6e18, 4e18);
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        _dispute(other, counterparty, _state(10, 2, 1e18), 9e18);
        // a good challenge of one dispute is none of the other's
        IVipe.StateClaim memory s = _state(20, 2, 2e18);
        bytes memory data =
            abi.encodeCall(vipe.overrideState, (other, s, tower, _signatures(_id, s), _proof(_id, s, tower)));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, true);
        refuses(address(vipe), tower, 0, data, why);
        // and the same figures, signed in both, are measured against each disputer's own side
        _override(_id, tower, s, tower, 0);
        eq(vipe.disputeOf(_id).claim, 2e18, "the participant's claim");
        _override(other, tower, s, tower, 0);
        eq(vipe.disputeOf(other).claim, 8e18, "the counterparty's claim");
    }

    function test_no_call_changes_a_key_an_account_or_a_digest() public {
        bytes32 before = _identity();
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (_id, 5)));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.allocate, (_id, 5)));
        _withdraw(_id, _state(5, 2, 5e18), 1, 1);
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        _override(_id, tower, _state(11, 2, 5e18), tower, 0);
        _override(_id, participant, _state(12, 2, 6e18), participant, _bond(6e18) - _bond(5e18));
        uint112 all = vipe.escrow(_id, vipe.channel(_id).version);
        _close(_id, 1, 1, all - 1);
        _settle(_id);
        eq(_identity(), before, "the channel's identity");
    }

    function _identity() private view returns (bytes32) {
        IVipe.Channel memory c = vipe.channel(_id);
        return keccak256(
            abi.encode(
                c.participant,
                c.counterparty,
                c.vip,
                c.asset,
                c.participantSession,
                c.counterpartySession,
                c.keysDigest,
                c.disputeHash,
                c.rate
            )
        );
    }

    function test_one_counter_per_channel_so_that_of_two_consents_one_works() public {
        bytes memory a = _withdrawCall(_id, _withdrawal(_state(5, 2, 6e18), 3e18, 0));
        bytes memory b = _withdrawCall(_id, _withdrawal(_state(6, 2, 6e18), 3e18, 0));
        bytes memory c = _closeCall(_id, _closing(0, 6e18, 4e18));
        does(address(vipe), stranger, 0, b);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, uint56(5), uint56(6));
        refuses(address(vipe), participant, 0, a, why);
        why = abi.encodeWithSelector(IVipeErrors.NotTheWholeEscrow.selector, uint256(1e19), uint112(7e18));
        refuses(address(vipe), participant, 0, c, why);
        eq(_creditOf(participant), 3e18, "once");
    }

    function test_a_front_runner_burns_no_signature() public {
        bytes memory data = _withdrawCall(_id, _withdrawal(_state(5, 2, 6e18), 3e18, 1e18));
        // with one signature spoiled the call fails and uses up nothing
        bytes memory spoiled = bytes.concat(data);
        spoiled[data.length - 64] ^= 0x01;
        vm.prank(stranger);
        (bool ok,) = address(vipe).call(spoiled);
        isTrue(!ok, "spoiled");
        eq(vipe.channel(_id).seq, 0, "nothing is used up");
        // a front-runner that brings the good one only does the parties' errand
        does(address(vipe), stranger, 0, data);
        eq(_creditOf(participant), 3e18, "participant");
        eq(_creditOf(vip), 1e18, "vip");
        eq(_creditOf(stranger), 0, "front-runner");
        // a failed override leaves its state as good as before
        _dispute(_id, participant, _state(10, 2, 9e18), 6e18);
        bytes memory good = _overrideCall(_id, _state(20, 2, 5e18), tower);
        IVipe.StateClaim memory s = _state(20, 2, 5e18);
        bytes memory copied =
            abi.encodeCall(vipe.overrideState, (_id, s, stranger, _signatures(_id, s), _proof(_id, s, tower)));
        refuses(address(vipe), stranger, 0, copied, err(IVipeErrors.ProofRefused.selector));
        does(address(vipe), tower, 0, good);
    }

    function test_nothing_is_paid_before_the_deadline_without_both_consents() public {
        bytes32 alone = _closeDigest(_id, 0, _closing(0, 1e19, 0));
        bytes memory mine = _sign65(P_KEY, alone);
        bytes memory data = abi.encodeCall(vipe.close, (_id, _closing(0, 1e19, 0), mine, mine));
        refuses(address(vipe), participant, 0, data, _noConsentOf(counterparty));
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.settle, (_id)), _wrongStatus(_id, IVipe.Status.Live));
        _dispute(_id, participant, _state(0, 0, 0), 6e18);
        uint64 deadline = vipe.disputeOf(_id).deadline;
        uint56[] memory one = new uint56[](1);
        one[0] = _id;
        for (uint64 early = 1; early < WINDOW; early = early * 2 + 1) {
            vm.warp(deadline - early);
            bytes memory why = abi.encodeWithSelector(IVipeErrors.WindowOpen.selector, deadline);
            refuses(address(vipe), participant, 0, abi.encodeCall(vipe.settle, (_id)), why);
            bytes memory settled = does(address(vipe), participant, 0, abi.encodeCall(vipe.settleMany, (one)));
            eq(abi.decode(settled, (uint256)), 0, "not due");
        }
        eq(_creditOf(participant) + _creditOf(vip), 0, "nothing is paid");
    }

    function test_a_withdrawal_is_charged_to_every_state() public {
        (uint112 p, uint112 h) = vipe.payout(_id, 2, 7e18);
        isTrue(p == 7e18 && h == 3e18, "before");
        _withdraw(_id, _state(5, 2, 7e18), 2e18, 1e18);
        (p, h) = vipe.payout(_id, 2, 7e18);
        isTrue(p == 5e18 && h == 2e18, "a state of the older version");
        (p, h) = vipe.payout(_id, 3, 5e18);
        isTrue(p == 5e18 && h == 2e18, "a state of the newer version");
        (p, h) = vipe.payout(_id, 0, 0);
        isTrue(p == 4e18 && h == 3e18, "and the state of nothing");
    }

    function test_there_is_no_pause_no_owner_and_no_upgrade() public {
        string[8] memory names = [
            "pause()",
            "unpause()",
            "owner()",
            "transferOwnership(address)",
            "upgradeTo(address)",
            "upgradeToAndCall(address,bytes)",
            "setVerifier(address)",
            "sweep(address)"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            bytes memory data = abi.encodeWithSelector(bytes4(keccak256(bytes(names[i]))), stranger, "");
            refuses(address(vipe), participant, 0, data, "");
        }
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        vm.warp(vipe.disputeOf(_id).deadline - 1);
        _override(_id, tower, _state(11, 2, 0), tower, 0); // open to the last second
    }

    function testFuzz_at_every_second_exactly_one_of_override_and_settle_is_possible(uint256 time, uint8 how) public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        uint64 deadline = vipe.disputeOf(_id).deadline;
        if (how % 3 == 1) {
            vm.warp(deadline - 7);
            _override(_id, stranger, _state(11, 2, 8e18), stranger, 0); // extended
        } else if (how % 3 == 2) {
            _close(_id, 1, 5e18, 5e18); // hastened
        }
        deadline = vipe.disputeOf(_id).deadline;
        // mostly the seconds around the deadline
        uint256 low = how % 2 == 0 ? deadline - 2 : block.timestamp;
        vm.warp(bound(time, low, deadline + 2));
        bytes memory lower = _overrideCall(_id, _state(20, 2, 1e18), tower);
        bytes memory settle = abi.encodeCall(vipe.settle, (_id));
        if (block.timestamp < deadline) {
            refuses(
                address(vipe), stranger, 0, settle, abi.encodeWithSelector(IVipeErrors.WindowOpen.selector, deadline)
            );
            does(address(vipe), tower, 0, lower);
        } else {
            refuses(address(vipe), tower, 0, lower, abi.encodeWithSelector(IVipeErrors.WindowClosed.selector, deadline));
            does(address(vipe), stranger, 0, settle);
        }
    }
}
