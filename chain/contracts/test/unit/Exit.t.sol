// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {OneDigestWallet} from "../mocks/Wallets.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice disputeFor: Exit.tree. `stranger` is the sponsor.
contract ExitTest is ConsentTest {
    uint112 private constant ALL = type(uint112).max;
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
    }

    function _call(IVipe.StateClaim memory s, IVipe.ExitOrder memory o) private view returns (bytes memory) {
        return _disputeForCall(_id, s, o);
    }

    function _sponsor(IVipe.StateClaim memory s, uint112 cap) private {
        does(address(vipe), stranger, 1 ether, _call(s, _order(_id, s.nonce, participant, cap, address(0))));
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function test_an_order_opens_at_most_one_dispute() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        bytes memory data = _call(s, _order(_id, 3, participant, ALL, address(0)));
        does(address(vipe), stranger, 1 ether, data);
        refuses(address(vipe), stranger, 1 ether, data, _wrongStatus(_id, IVipe.Status.Disputed));
        _settle(_id);
        refuses(address(vipe), stranger, 1 ether, data, _wrongStatus(_id, IVipe.Status.Settled));
    }

    function test_only_a_party_has_an_exit() public {
        IVipe.ExitOrder memory o = _order(_id, 3, participant, ALL, address(0));
        o.party = stranger;
        refuses(address(vipe), stranger, 1 ether, _call(_state(3, 2, 5e18), o), err(IVipeErrors.NotParty.selector));
    }

    function test_an_order_may_name_who_pays() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        bytes memory data = _call(s, _order(_id, 3, participant, ALL, tower));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.NotThePayer.selector, tower);
        refuses(address(vipe), stranger, 1 ether, data, why);
        refuses(address(vipe), participant, 1 ether, data, why);
        does(address(vipe), tower, 1 ether, data);
        eq(vipe.disputeOf(_id).payer, tower, "payer");
    }

    function test_an_order_is_good_until_its_deadline_inclusive() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        IVipe.ExitOrder memory o = _order(_id, 3, participant, ALL, address(0));
        o.deadline = START + 10;
        o.signature = _sign65(P_KEY, _exitDigest(_id, 3, o));
        bytes memory data = _call(s, o);
        vm.warp(START + 11);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.ConsentExpired.selector, START + 10);
        refuses(address(vipe), stranger, 1 ether, data, why);
        vm.warp(START + 10);
        does(address(vipe), stranger, 1 ether, data);
    }

    function test_the_party_signs_exactly_what_is_opened() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        for (uint256 field = 0; field < 6; ++field) {
            IVipe.ExitOrder memory o = _order(_id, 3, participant, 7e18, address(0));
            if (field == 0) o.signature = _sign65(P_KEY, _exitDigest(_id, 4, o)); // an order for another state
            if (field == 1) o.signature = _sign65(P_KEY, _exitDigest(_id + 1, 3, o));
            if (field == 2) o.cap -= 1; // the sponsor claims less
            if (field == 3) o.payer = stranger;
            if (field == 4) o.deadline -= 1;
            if (field == 5) o.signature = _sign65(H_KEY, _exitDigest(_id, 3, o)); // the other party's wish
            refuses(address(vipe), stranger, 1 ether, _call(s, o), _noConsentOf(participant));
        }
    }

    function test_locks_key_and_value_are_those_of_any_opening() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        IVipe.ExitOrder memory o = _order(_id, 3, participant, ALL, address(0));
        bytes memory data = abi.encodeCall(
            vipe.disputeFor, (_id, s, o, _key(_id + 1), _signatures(_id, s), _proof(_id, s, participant))
        );
        refuses(address(vipe), stranger, 1 ether, data, err(IVipeErrors.WrongDisputeKey.selector));
        data = abi.encodeCall(vipe.disputeFor, (_id, s, o, _key(_id), _signatures(_id, s), _proof(_id, s, stranger)));
        refuses(address(vipe), stranger, 1 ether, data, err(IVipeErrors.ProofRefused.selector));
        data = abi.encodeCall(vipe.disputeFor, (_id, s, o, _key(_id), _noSignatures(), _proof(_id, s, participant)));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, true);
        refuses(address(vipe), stranger, 1 ether, data, why);
        uint256 due = FEE_FLOOR + _bond(5e18);
        why = abi.encodeWithSelector(IVipeErrors.WrongValue.selector, due, due - 1);
        refuses(address(vipe), stranger, due - 1, _call(s, o), why);
        does(address(vipe), stranger, due, _call(s, o));
    }

    // ------------------------------------------------------------------------------------------------ effects

    function test_the_party_disputes_and_the_sponsor_pays_and_is_repaid() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        bytes memory data = _call(s, _order(_id, 3, participant, ALL, address(0)));
        uint64 end = START + WINDOW;
        vm.expectEmit(address(vipe));
        emit IVipe.DisputeOpened(_id, participant, 1, 3, 2, 5e18, 5e18, end, FEE_FLOOR, _bond(5e18), _key(_id));
        vm.expectEmit(address(vipe));
        emit IVipe.Sponsored(_id, stranger);
        does(address(vipe), stranger, 1 ether, data);
        eq(vipe.disputeOf(_id).disputer, participant, "disputer");
        eq(vipe.etherCredit(stranger), 1 ether - FEE_FLOOR - _bond(5e18), "the excess");
        _settle(_id);
        eq(vipe.etherCredit(stranger), 1 ether, "every wei back to who paid");
        eq(vipe.etherCredit(participant), 0, "nothing to the party");
        eq(_creditOf(participant), 5e18, "the asset to the party");
        eq(_creditOf(stranger), 0, "none to the sponsor");
    }

    function test_the_claim_is_the_smaller_of_cap_and_pay_and_not_the_callers_choice() public {
        _sponsor(_state(3, 2, 5e18), 45e17);
        eq(vipe.disputeOf(_id).claim, 45e17, "the cap: the party concedes");
        _id = _live(6e18, 4e18);
        _sponsor(_state(3, 2, 5e18), 51e17);
        eq(vipe.disputeOf(_id).claim, 5e18, "what the state pays");
    }

    function test_the_counterparty_exits_as_well() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        does(address(vipe), tower, 1 ether, _call(s, _order(_id, 3, counterparty, ALL, address(0))));
        isTrue(!vipe.disputeOf(_id).byParticipant, "side");
        _settle(_id);
        eq(_creditOf(vip), 5e18, "the asset to its VIP");
        eq(vipe.etherCredit(tower), 1 ether, "the ether to who paid");
    }

    function test_a_party_may_use_its_own_order() public {
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        vm.recordLogs();
        does(address(vipe), participant, 1 ether, _call(s, _order(_id, 3, participant, ALL, address(0))));
        for (uint256 i = 0; i < 1; ++i) {
            isTrue(vm.getRecordedLogs().length == 2, "opened and credited: nobody sponsored");
        }
    }

    function test_an_exit_from_the_checkpoint_needs_no_proof() public {
        does(address(vipe), stranger, 1 ether, _call(_state(0, 0, 0), _order(_id, 0, participant, ALL, address(0))));
        eq(vipe.disputeOf(_id).claim, 6e18, "what it put in");
        _settle(_id);
        eq(_creditOf(participant), 6e18, "participant");
    }

    function test_a_wallet_contract_orders_its_exit() public {
        OneDigestWallet wallet = new OneDigestWallet();
        IVipe.OpenRequest memory r = _request(6e18);
        r.counterparty = address(wallet);
        _id = _open(r);
        wallet.approve(_consentDigest(_id, participant, r, 0, FOREVER));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.accept, (_id, 0, FOREVER, "")));
        IVipe.ExitOrder memory o = IVipe.ExitOrder(address(wallet), ALL, address(0), FOREVER, "");
        bytes memory data = _call(_state(3, 1, 1e18), o);
        refuses(address(vipe), stranger, 1 ether, data, _noConsentOf(address(wallet)));
        wallet.approve(_exitDigest(_id, 3, o));
        does(address(vipe), stranger, 1 ether, data);
        eq(vipe.disputeOf(_id).disputer, address(wallet), "disputer");
    }

    // ------------------------------------------------------------------------------------------------ who is paid the bond

    function test_a_stale_exit_costs_who_paid_for_it() public {
        _sponsor(_state(3, 2, 9e18), ALL);
        _override(_id, tower, _state(4, 2, 2e18), tower, 0);
        _settle(_id);
        eq(vipe.etherCredit(stranger), 1 ether - FEE_FLOOR - _bond(9e18) + _bond(2e18), "what stands returns");
        eq(vipe.etherCredit(tower), (_bond(9e18) - _bond(2e18)) / 2 + FEE_FLOOR, "tower");
    }

    function test_only_the_disputer_raises_a_sponsored_claim_and_gets_its_own_bond_back() public {
        _sponsor(_state(3, 2, 5e18), ALL);
        uint256 due = _bond(8e18) - _bond(5e18);
        refuses(
            address(vipe),
            stranger,
            due,
            _overrideCall(_id, _state(4, 2, 8e18), stranger),
            err(IVipeErrors.RaiseByDisputerOnly.selector)
        );
        _override(_id, participant, _state(4, 2, 8e18), participant, due);
        eq(vipe.disputeOf(_id).raisedFrom, 5e18, "raised from");
        _settle(_id);
        eq(vipe.etherCredit(stranger), 1 ether, "the sponsor's");
        eq(vipe.etherCredit(participant), due, "the disputer's own");
    }

    function test_what_is_struck_after_a_raise_is_the_raised_part_first() public {
        _sponsor(_state(3, 2, 5e18), ALL);
        _override(_id, participant, _state(4, 2, 8e18), participant, _bond(8e18) - _bond(5e18));
        _override(_id, tower, _state(5, 2, 6e18), tower, 0);
        uint256 before = vipe.etherCredit(stranger);
        _settle(_id);
        eq(vipe.etherCredit(stranger) - before, _bond(5e18), "the sponsor's bond is whole");
        eq(vipe.etherCredit(participant), _bond(6e18) - _bond(5e18), "the disputer's is what is left");
    }

    function test_what_is_struck_below_the_raise_is_the_sponsors() public {
        _sponsor(_state(3, 2, 5e18), ALL);
        _override(_id, participant, _state(4, 2, 8e18), participant, _bond(8e18) - _bond(5e18));
        _override(_id, tower, _state(5, 2, 3e18), tower, 0);
        uint256 before = vipe.etherCredit(stranger);
        _settle(_id);
        eq(vipe.etherCredit(stranger) - before, _bond(3e18), "what stands");
        eq(vipe.etherCredit(participant), 0, "nothing is left of the raise");
        eq(
            address(vipe).balance,
            vipe.etherCredit(stranger) + vipe.etherCredit(tower) + vipe.etherCredit(counterparty),
            "every wei"
        );
    }
}
