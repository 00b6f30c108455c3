// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice cancel, deposit, allocate: Funding.tree.
contract FundingTest is VipeTest {
    function _cancel(uint56 id) private view returns (bytes memory) {
        return abi.encodeCall(vipe.cancel, (id));
    }

    function _deposit(uint56 id, uint112 amount) private view returns (bytes memory) {
        return abi.encodeCall(vipe.deposit, (id, amount));
    }

    function _allocate(uint56 id, uint112 amount) private view returns (bytes memory) {
        return abi.encodeCall(vipe.allocate, (id, amount));
    }

    // ------------------------------------------------------------------------------------------------ cancel

    function test_a_live_channel_cannot_be_cancelled() public {
        uint56 id = _live(100, 0);
        refuses(address(vipe), participant, 0, _cancel(id), _wrongStatus(id, IVipe.Status.Live));
    }

    function test_only_the_participant_cancels() public {
        uint56 id = _open(100);
        refuses(address(vipe), counterparty, 0, _cancel(id), err(IVipeErrors.NotParticipant.selector));
    }

    function test_cancelling_credits_the_whole_deposit_once() public {
        uint56 id = _open(100);
        vm.warp(block.timestamp + 30 days);
        vm.expectEmit(address(vipe));
        emit IVipe.Cancelled(id);
        vm.expectEmit(address(vipe));
        emit IVipe.AssetCredited(participant, address(token), 100);
        does(address(vipe), participant, 0, _cancel(id));
        eq(vipe.assetCredit(participant, address(token)), 100, "credit");
        _statusIs(id, IVipe.Status.Cancelled);
        refuses(address(vipe), participant, 0, _cancel(id), _wrongStatus(id, IVipe.Status.Cancelled));
    }

    // ------------------------------------------------------------------------------------------------ deposit

    function test_an_open_or_disputed_or_settled_channel_takes_no_deposit() public {
        uint56 id = _open(100);
        refuses(address(vipe), participant, 0, _deposit(id, 1), _wrongStatus(id, IVipe.Status.Open));
        id = _live(100, 0);
        _dispute(id, participant, _state(0, 0, 0), 100);
        refuses(address(vipe), participant, 0, _deposit(id, 1), _wrongStatus(id, IVipe.Status.Disputed));
        _settle(id);
        refuses(address(vipe), participant, 0, _deposit(id, 1), _wrongStatus(id, IVipe.Status.Settled));
    }

    function test_only_the_participant_deposits() public {
        uint56 id = _live(100, 0);
        refuses(address(vipe), vip, 0, _deposit(id, 1), err(IVipeErrors.NotParticipant.selector));
        refuses(address(vipe), counterparty, 0, _deposit(id, 1), err(IVipeErrors.NotParticipant.selector));
    }

    function test_a_deposit_of_nothing_or_beyond_the_cap_is_refused() public {
        uint56 id = _live(100, 0);
        refuses(address(vipe), participant, 0, _deposit(id, 0), err(IVipeErrors.ZeroAmount.selector));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.ChannelCapExceeded.selector, CAP_CHANNEL + 1, CAP_CHANNEL);
        refuses(address(vipe), participant, 0, _deposit(id, CAP_CHANNEL - 99), why);
        does(address(vipe), participant, 0, _deposit(id, CAP_CHANNEL - 100));
    }

    function test_a_deposit_appends_a_version_on_the_participants_side() public {
        uint56 id = _live(100, 50);
        vm.expectEmit(address(vipe));
        emit IVipe.LedgerAppended(id, 3, 107, 50);
        does(address(vipe), participant, 0, _deposit(id, 7));
        (int128 p, int128 h) = vipe.ledger(id, 3);
        isTrue(p == 107 && h == 50, "ledger");
        (p, h) = vipe.ledger(id, 2);
        isTrue(p == 100 && h == 50, "older versions stay");
        eq(token.balanceOf(address(vipe)), 157, "held");
    }

    // ------------------------------------------------------------------------------------------------ allocate

    function test_an_open_or_disputed_or_settled_channel_takes_no_allocation() public {
        uint56 id = _open(100);
        refuses(address(vipe), vip, 0, _allocate(id, 1), _wrongStatus(id, IVipe.Status.Open));
        id = _live(100, 0);
        _dispute(id, participant, _state(0, 0, 0), 100);
        refuses(address(vipe), vip, 0, _allocate(id, 1), _wrongStatus(id, IVipe.Status.Disputed));
        _settle(id);
        refuses(address(vipe), vip, 0, _allocate(id, 1), _wrongStatus(id, IVipe.Status.Settled));
    }

    function test_only_the_vip_allocates() public {
        uint56 id = _live(100, 0);
        refuses(address(vipe), participant, 0, _allocate(id, 1), err(IVipeErrors.NotVip.selector));
        refuses(address(vipe), counterparty, 0, _allocate(id, 1), err(IVipeErrors.NotVip.selector));
    }

    function test_an_allocation_of_nothing_or_beyond_the_cap_is_refused() public {
        uint56 id = _live(100, 0);
        refuses(address(vipe), vip, 0, _allocate(id, 0), err(IVipeErrors.ZeroAmount.selector));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.ChannelCapExceeded.selector, CAP_CHANNEL + 1, CAP_CHANNEL);
        refuses(address(vipe), vip, 0, _allocate(id, CAP_CHANNEL - 99), why);
        does(address(vipe), vip, 0, _allocate(id, CAP_CHANNEL - 100));
    }

    function test_an_allocation_appends_a_version_on_the_vips_side() public {
        uint56 id = _live(100, 0);
        vm.expectEmit(address(vipe));
        emit IVipe.LedgerAppended(id, 2, 100, 9);
        does(address(vipe), vip, 0, _allocate(id, 9));
        eq(vipe.escrow(id, 2), 109, "escrow");
        eq(vipe.escrow(id, 1), 100, "older versions stay");
        refuses(
            address(vipe),
            stranger,
            0,
            abi.encodeCall(vipe.escrow, (id, 3)),
            abi.encodeWithSelector(IVipeErrors.UnknownVersion.selector, uint56(3), uint56(2))
        );
    }
}
