// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice close: Close.tree.
contract CloseTest is ConsentTest {
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
    }

    function _refusesClose(IVipe.Closing memory c, bytes memory why) private {
        refuses(address(vipe), stranger, 0, _closeCall(_id, c), why);
    }

    function _epoch(uint64 named, uint64 current) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVipeErrors.WrongEpoch.selector, named, current);
    }

    function _d() private view returns (IVipe.Dispute memory) {
        return vipe.disputeOf(_id);
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function test_a_channel_that_is_neither_live_nor_disputed_is_refused() public {
        uint56 live = _id;
        _id = _open(100);
        _refusesClose(_closing(0, 100, 0), _wrongStatus(_id, IVipe.Status.Open));
        does(address(vipe), participant, 0, abi.encodeCall(vipe.cancel, (_id)));
        _refusesClose(_closing(0, 100, 0), _wrongStatus(_id, IVipe.Status.Cancelled));
        _id = live;
        _close(_id, 0, 6e18, 4e18);
        _refusesClose(_closing(0, 6e18, 4e18), _wrongStatus(_id, IVipe.Status.Settled));
        refuses(
            address(vipe),
            participant,
            1 ether,
            _disputeCall(_id, participant, _state(3, 2, 0), 0),
            _wrongStatus(_id, IVipe.Status.Settled)
        );
    }

    function test_consents_are_good_until_their_deadline_inclusive() public {
        IVipe.Closing memory c = _closing(0, 6e18, 4e18);
        c.deadline = START + 10;
        bytes memory data = _closeCall(_id, c);
        vm.warp(START + 11);
        refuses(
            address(vipe), stranger, 0, data, abi.encodeWithSelector(IVipeErrors.ConsentExpired.selector, START + 10)
        );
        vm.warp(START + 10);
        does(address(vipe), stranger, 0, data);
    }

    function test_a_close_names_the_dispute_that_it_ends() public {
        _refusesClose(_closing(1, 6e18, 4e18), _epoch(1, 0));
        bytes memory early = _closeCall(_id, _closing(0, 6e18, 4e18));
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        refuses(address(vipe), participant, 0, early, _epoch(0, 1));
        _refusesClose(_closing(2, 6e18, 4e18), _epoch(2, 1));
        _close(_id, 1, 6e18, 4e18);
    }

    function test_a_close_pays_the_whole_escrow_and_nothing_else() public {
        for (uint112 i = 0; i < 2; ++i) {
            uint112 toVip = i == 0 ? 4e18 - 1 : 4e18 + 1;
            bytes memory why =
                abi.encodeWithSelector(IVipeErrors.NotTheWholeEscrow.selector, uint256(6e18) + toVip, uint112(1e19));
            _refusesClose(_closing(0, 6e18, toVip), why);
        }
        uint112 most = type(uint112).max;
        bytes memory wide =
            abi.encodeWithSelector(IVipeErrors.NotTheWholeEscrow.selector, uint256(most) * 2, uint112(1e19));
        _refusesClose(_closing(0, most, most), wide);
    }

    function test_money_added_after_the_consent_voids_it() public {
        bytes memory data = _closeCall(_id, _closing(0, 6e18, 4e18));
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (_id, 1)));
        bytes memory why =
            abi.encodeWithSelector(IVipeErrors.NotTheWholeEscrow.selector, uint256(1e19), uint112(1e19 + 1));
        refuses(address(vipe), counterparty, 0, data, why);
    }

    function test_a_consent_that_differs_in_any_field_is_refused() public {
        IVipe.Closing memory c = _closing(0, 6e18, 4e18);
        bytes32 good = _closeDigest(_id, 0, c);
        for (uint256 field = 0; field < 8; ++field) {
            bytes32 bad = _changedDigest(field);
            bytes memory data = abi.encodeCall(vipe.close, (_id, c, _sign65(P_KEY, bad), _sign65(H_KEY, good)));
            refuses(address(vipe), stranger, 0, data, _noConsentOf(participant));
            data = abi.encodeCall(vipe.close, (_id, c, _sign65(P_KEY, good), _sign65(H_KEY, bad)));
            refuses(address(vipe), stranger, 0, data, _noConsentOf(counterparty));
        }
        bytes memory mine = _sign65(P_KEY, good);
        refuses(
            address(vipe), participant, 0, abi.encodeCall(vipe.close, (_id, c, mine, mine)), _noConsentOf(counterparty)
        );
    }

    function _changedDigest(uint256 field) private view returns (bytes32) {
        IVipe.Closing memory c = _closing(0, 6e18, 4e18);
        if (field == 0) return _closeDigest(_id + 1, 0, c, participant, counterparty);
        if (field == 1) return _closeDigest(_id, 0, c, counterparty, participant);
        if (field == 2) return _closeDigest(_id, 1, c);
        if (field == 3) c.epoch = 1;
        if (field == 4) c.toParticipant -= 1;
        if (field == 5) c.toVip += 1;
        if (field == 6) c.deadline -= 1;
        if (field == 7) return _closeDigest(_id, 0, c, participant, stranger);
        return _closeDigest(_id, 0, c);
    }

    // ------------------------------------------------------------------------------------------------ live

    function test_a_live_channel_is_paid_at_once_whoever_calls() public {
        bytes memory data = _closeCall(_id, _closing(0, 1e18, 9e18));
        vm.expectEmit(address(vipe));
        emit IVipe.Closed(_id, 0, 1e18, 9e18);
        vm.expectEmit(address(vipe));
        emit IVipe.AssetCredited(participant, address(token), 1e18);
        vm.expectEmit(address(vipe));
        emit IVipe.AssetCredited(vip, address(token), 9e18);
        does(address(vipe), stranger, 0, data);
        _statusIs(_id, IVipe.Status.Settled);
        eq(_creditOf(participant), 1e18, "participant");
        eq(_creditOf(vip), 9e18, "vip");
    }

    function test_a_close_makes_room_under_the_assets_cap() public {
        uint56 full = _live(CAP_CHANNEL, 0);
        _live(CAP_CHANNEL, 0);
        _live(CAP_CHANNEL - 1e19, 0);
        _close(full, 0, CAP_CHANNEL, 0);
        _open(CAP_CHANNEL);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.AssetCapExceeded.selector, CAP_TOTAL + 1, CAP_TOTAL);
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.open, (_request(1))), why);
    }

    function test_no_close_depends_on_the_verifier() public {
        uint56 other = _live(6e18, 0);
        _dispute(other, participant, _state(0, 0, 0), 6e18);
        vm.etch(verifier, "");
        _close(_id, 0, 5e18, 5e18);
        _close(other, 1, 0, 6e18);
        _settle(other);
        eq(_creditOf(participant) + _creditOf(vip), 16e18, "both are paid");
    }

    // ------------------------------------------------------------------------------------------------ disputed

    function test_a_close_in_a_dispute_is_announced_and_takes_effect_an_extension_later() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        bytes memory data = _closeCall(_id, _closing(1, 5e18, 5e18));
        vm.expectEmit(address(vipe));
        emit IVipe.CloseAnnounced(_id, 0, 1, 5e18, 5e18, START + EXTENSION);
        does(address(vipe), stranger, 0, data);
        isTrue(_d().closing, "announced");
        eq(_d().deadline, START + EXTENSION, "an extension from now");
        _statusIs(_id, IVipe.Status.Disputed);
        eq(_creditOf(participant) + _creditOf(vip), 0, "nobody is paid yet");
        vm.warp(START + EXTENSION - 1);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WindowOpen.selector, START + EXTENSION);
        refuses(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (_id)), why);
        vm.warp(START + EXTENSION);
        vm.expectEmit(address(vipe));
        emit IVipe.Settled(_id, 5e18, 5e18, 0, address(0), FEE_FLOOR, _bond(9e18));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (_id)));
        eq(_creditOf(participant), 5e18, "participant");
        eq(vipe.etherCredit(participant), FEE_FLOOR + _bond(9e18), "bond and fee as at any settlement");
    }

    function test_a_late_close_lengthens_nothing() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        uint64 deadline = _d().deadline;
        vm.warp(deadline - 1);
        _close(_id, 1, 5e18, 5e18);
        eq(_d().deadline, deadline, "the deadline stays");
    }

    function test_after_the_deadline_there_is_nothing_left_to_agree_on() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        uint64 deadline = _d().deadline;
        bytes memory data = _closeCall(_id, _closing(1, 5e18, 5e18));
        vm.warp(deadline);
        refuses(address(vipe), stranger, 0, data, abi.encodeWithSelector(IVipeErrors.WindowClosed.selector, deadline));
    }

    function test_an_announced_close_is_final() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        bytes memory first = _closeCall(_id, _closing(1, 5e18, 5e18));
        does(address(vipe), stranger, 0, first);
        refuses(address(vipe), stranger, 0, first, _noConsentOf(participant));
        _refusesClose(_closing(1, 6e18, 4e18), err(IVipeErrors.AlreadyClosing.selector));
    }

    function test_overrides_stay_valid_and_paid_until_the_close_takes_effect() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        _close(_id, 1, 9e18, 1e18); // the parties agree on the attack
        uint64 deadline = _d().deadline;
        vm.warp(deadline - 1);
        _override(_id, tower, _state(11, 2, 2e18), tower, 0);
        uint256 struck = _bond(9e18) - _bond(2e18);
        eq(vipe.etherCredit(tower), struck / 2, "paid by its size, at once");
        eq(vipe.etherCredit(counterparty), struck - struck / 2, "the other party's share");
        eq(_d().deadline, deadline, "no extension any more");
        vm.warp(deadline);
        vm.expectEmit(address(vipe));
        emit IVipe.Settled(_id, 9e18, 1e18, 0, tower, FEE_FLOOR, _bond(2e18));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (_id)));
        eq(vipe.etherCredit(tower), struck / 2 + FEE_FLOOR, "and the fee");
        eq(vipe.etherCredit(participant), _bond(2e18), "the bond of what stood");
        eq(_creditOf(participant), 9e18, "the asset as both signed, without slash");
        eq(_creditOf(vip), 1e18, "vip");
        eq(address(vipe).balance, vipe.etherCredit(tower) + struck - struck / 2 + _bond(2e18), "every wei");
    }

    function test_after_the_announcement_nothing_is_raised() public {
        _dispute(_id, participant, _state(10, 2, 5e18), 5e18);
        _close(_id, 1, 5e18, 5e18);
        refuses(
            address(vipe),
            participant,
            _bond(9e18) - _bond(5e18),
            _overrideCall(_id, _state(11, 2, 9e18), participant),
            err(IVipeErrors.AlreadyClosing.selector)
        );
        _override(_id, tower, _state(11, 2, 5e18), tower, 0); // equal is harmless
        eq(_d().nonce, 11, "nonce");
    }

    function test_the_ether_is_paid_exactly_as_without_the_close() public {
        uint56 other = _live(6e18, 4e18);
        uint56[2] memory both = [_id, other];
        for (uint256 i = 0; i < 2; ++i) {
            _dispute(both[i], counterparty, _state(10, 2, 1e18), 9e18);
            _override(both[i], stranger, _state(11, 2, 3e18), stranger, 0);
        }
        _close(_id, 1, 5e18, 5e18);
        for (uint256 i = 0; i < 2; ++i) {
            _override(both[i], tower, _state(12, 2, 4e18), tower, 0);
        }
        uint256[4] memory before = _ether();
        _settle(_id);
        uint256[4] memory between = _ether();
        _settle(other);
        uint256[4] memory after_ = _ether();
        for (uint256 i = 0; i < 4; ++i) {
            eq(between[i] - before[i], after_[i] - between[i], "the same ether");
        }
    }

    function _ether() private view returns (uint256[4] memory) {
        return [
            vipe.etherCredit(participant),
            vipe.etherCredit(counterparty),
            vipe.etherCredit(stranger),
            vipe.etherCredit(tower)
        ];
    }
}
