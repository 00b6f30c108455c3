// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {Check} from "../utils/Check.sol";
import {VipeHandler} from "./VipeHandler.sol";

interface IBalance {
    function balanceOf(address account) external view returns (uint256);
}

/// @notice What holds after any sequence of valid calls; the numbers are those of the list of invariants in the contracts'
/// README. That the victim of a dispute is never paid less than the live state (I6), that a tower is paid at once and by size
/// (I8), the times (I11) and the frozen ledger (I13) are asserted inside the handler's actions.
contract VipeInvariantTest is Check {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    VipeHandler private _handler;
    IVipe private _vipe;
    address private _token;

    function setUp() public {
        _handler = new VipeHandler();
        (_vipe, _token) = _handler.vault();
    }

    /// @dev Read by forge: what it may call.
    function targetContracts() external view returns (address[] memory all) {
        all = new address[](1);
        all[0] = address(_handler);
    }

    /// @dev Read by forge: the actions, without what the handler inherits.
    function targetSelectors() external view returns (FuzzSelector[] memory all) {
        bytes4[] memory actions = new bytes4[](14);
        actions[0] = _handler.open.selector;
        actions[1] = _handler.accept.selector;
        actions[2] = _handler.cancel.selector;
        actions[3] = _handler.deposit.selector;
        actions[4] = _handler.allocate.selector;
        actions[5] = _handler.sign.selector;
        actions[6] = _handler.dispute.selector;
        actions[7] = _handler.overrideWith.selector;
        actions[8] = _handler.pass.selector;
        actions[9] = _handler.settle.selector;
        actions[10] = _handler.collect.selector;
        actions[11] = _handler.withdraw.selector;
        actions[12] = _handler.close.selector;
        actions[13] = _handler.announce.selector;
        all = new FuzzSelector[](1);
        all[0] = FuzzSelector(address(_handler), actions);
    }

    function invariant_I1_the_vault_holds_of_the_asset_all_escrow_and_all_credits() public view {
        uint256 due = 0;
        for (uint256 i = 0; i < 5; ++i) {
            due += _vipe.assetCredit(_handler.accounts(i), _token);
        }
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            IVipe.Channel memory c = _vipe.channel(id);
            if (c.status != IVipe.Status.Settled && c.status != IVipe.Status.Cancelled) {
                due += _vipe.escrow(id, c.version);
            }
        }
        eq(IBalance(_token).balanceOf(address(_vipe)), due, "asset");
    }

    /// @dev A payout of any acceptable state is all of the escrow, to the last unit.
    function invariant_I2_every_signed_state_pays_the_whole_escrow() public view {
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            uint112 all = _vipe.escrow(id, _vipe.channel(id).version);
            IVipe.StateClaim[] memory signed = _handler.signed(id);
            for (uint256 j = 0; j < signed.length; ++j) {
                (uint112 p, uint112 h) = _vipe.payout(id, signed[j].version, signed[j].balance);
                eq(uint256(p) + h, all, "both parts");
            }
        }
    }

    /// @dev No credit is ever taken back, diluted or paid twice: each is what the sizes of the moves say.
    function invariant_I4_ether_credits_are_what_the_moves_sizes_say() public view {
        for (uint256 i = 0; i < 5; ++i) {
            address account = _handler.accounts(i);
            eq(_vipe.etherCredit(account), _handler.etherDue(account), "credit");
        }
    }

    function invariant_I3_the_vault_holds_of_ether_fee_and_bond_of_each_open_dispute_and_all_credits() public view {
        uint256 due = 0;
        for (uint256 i = 0; i < 5; ++i) {
            due += _vipe.etherCredit(_handler.accounts(i));
        }
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            if (_vipe.channel(id).status != IVipe.Status.Disputed) continue;
            IVipe.Dispute memory d = _vipe.disputeOf(id);
            due += d.fee + _vipe.bond(id, d.claim);
        }
        eq(address(_vipe).balance, due, "ether");
    }

    function invariant_I12_each_executed_consent_counts_one() public view {
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            eq(_vipe.channel(id).seq, _handler.consents(id), "seq");
        }
    }

    function invariant_I1_no_channel_pays_anothers_claim() public view {
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            IVipe.Channel memory c = _vipe.channel(id);
            eq(_vipe.escrow(id, c.version), _handler.putIn(id), "the ledger is what was put in");
            bool ended = c.status == IVipe.Status.Settled || c.status == IVipe.Status.Cancelled;
            eq(_handler.ends(id), ended ? 1 : 0, "a channel ends once");
            if (ended) eq(_handler.paidOut(id), _handler.putIn(id), "and pays out what was put into it");
        }
    }

    function invariant_I13_a_dispute_stays_within_its_bounds() public view {
        IVipe.Rules memory r = _vipe.rules();
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            IVipe.Channel memory c = _vipe.channel(id);
            IVipe.Dispute memory d = _vipe.disputeOf(id);
            if (c.epoch == 0) continue;
            eq(c.epoch, 1, "one dispute in its life");
            isTrue(d.claim <= d.peak && d.peak <= _vipe.escrow(id, c.version), "claim <= peak <= escrow");
            isTrue(d.closing || d.deadline >= d.windowEnd, "only a close makes it shorter");
            isTrue(d.deadline <= d.windowEnd + r.maxExtension, "deadline");
            if (c.status == IVipe.Status.Disputed) eq(c.version, _handler.frozenAt(id), "the ledger is frozen");
            isTrue(d.windowEnd >= d.openedAt + r.disputeWindow, "a whole window");
            isTrue(d.raised || d.windowEnd == d.openedAt + r.disputeWindow, "longer by a raise alone");
        }
    }

    /// @notice The invariants would hold of a handler that does nothing: here it does everything, many times.
    function test_the_handler_reaches_every_action() public {
        uint256 random = 0x56524335;
        for (uint256 life = 0; life < 20; ++life) {
            setUp();
            for (uint256 i = 0; i < 300; ++i) {
                random = uint256(keccak256(abi.encode(random)));
                _act(random % 20, random >> 8, random >> 80, random >> 192);
            }
            invariant_I1_the_vault_holds_of_the_asset_all_escrow_and_all_credits();
            invariant_I2_every_signed_state_pays_the_whole_escrow();
            invariant_I3_the_vault_holds_of_ether_fee_and_bond_of_each_open_dispute_and_all_credits();
            invariant_I4_ether_credits_are_what_the_moves_sizes_say();
            invariant_I1_no_channel_pays_anothers_claim();
            invariant_I12_each_executed_consent_counts_one();
            invariant_I13_a_dispute_stays_within_its_bounds();
            for (uint256 i = 0; i < ACTIONS; ++i) {
                _reached[i] += _handler.count(VipeHandler.Action(i));
            }
        }
        for (uint256 i = 0; i < ACTIONS; ++i) {
            isTrue(_reached[i] >= 5, string.concat("hardly reached: ", vm.toString(i), ": ", vm.toString(_reached[i])));
        }
    }

    uint256 private constant ACTIONS = 18;
    uint256[ACTIONS] private _reached;

    function _act(uint256 action, uint256 a, uint256 b, uint256 c) private {
        if (action == 0) _handler.open(uint112(a));
        if (action == 1) _handler.accept(a, uint112(b));
        if (action == 2) _handler.cancel(a);
        if (action == 3) _handler.deposit(a, uint112(b));
        if (action == 4) _handler.allocate(a, uint112(b));
        if (action == 5 || action == 6 || action == 13 || action > 17) _handler.sign(a, uint112(b), uint8(c));
        if (action == 7) _handler.dispute(a, b, uint112(c), c % 7 < 4);
        if (action == 8 || action == 17) _handler.overrideWith(a, b, uint8(c));
        if (action == 9 || action == 10) _handler.pass(uint32(a));
        if (action == 11) _handler.settle(a);
        if (action == 12) _handler.collect(uint8(a), b % 2 == 0);
        if (action == 14) _handler.withdraw(a, uint112(b), uint112(c), uint112(a >> 100));
        if (action == 15) _handler.close(a, uint112(b));
        if (action == 16) _handler.announce(a, uint112(b));
    }
}
