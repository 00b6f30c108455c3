// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {OneDigestWallet} from "../mocks/Wallets.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice accept: Accept.tree.
contract AcceptTest is VipeTest {
    IVipe.OpenRequest private _r;
    uint56 private _id;
    uint64 private _deadline;

    function setUp() public override {
        super.setUp();
        _r = _request(1000);
        _id = _open(_r);
        _deadline = START + 60;
    }

    function _call(uint112 allocation, uint64 deadline, bytes memory signature) private view returns (bytes memory) {
        return abi.encodeCall(vipe.accept, (_id, allocation, deadline, signature));
    }

    function _good(uint112 allocation) private view returns (bytes memory) {
        bytes32 digest = _consentDigest(_id, participant, _r, allocation, _deadline);
        return _call(allocation, _deadline, _sign65(H_KEY, digest));
    }

    function _refusesConsent(bytes32 digest) private {
        bytes memory data = _call(0, _deadline, _sign65(H_KEY, digest));
        refuses(address(vipe), stranger, 0, data, err(IVipeErrors.ConsentRefused.selector));
    }

    function test_a_channel_that_is_not_open_is_refused() public {
        bytes memory data = _good(0);
        does(address(vipe), stranger, 0, data);
        refuses(address(vipe), stranger, 0, data, _wrongStatus(_id, IVipe.Status.Live));
        _id = 77;
        refuses(address(vipe), stranger, 0, _good(0), _wrongStatus(77, IVipe.Status.None));
    }

    function test_a_cancelled_channel_is_refused() public {
        bytes memory data = _good(0);
        does(address(vipe), participant, 0, abi.encodeCall(vipe.cancel, (_id)));
        refuses(address(vipe), stranger, 0, data, _wrongStatus(_id, IVipe.Status.Cancelled));
    }

    function test_after_acceptBy_the_counterparty_cannot_accept_whatever_it_signed() public {
        _deadline = type(uint64).max;
        bytes memory data = _good(0);
        vm.warp(_r.acceptBy + 1);
        refuses(
            address(vipe), stranger, 0, data, abi.encodeWithSelector(IVipeErrors.AcceptByPassed.selector, _r.acceptBy)
        );
        vm.warp(_r.acceptBy);
        does(address(vipe), stranger, 0, data);
    }

    function test_a_consent_is_good_until_its_deadline_inclusive() public {
        bytes memory data = _good(0);
        vm.warp(_deadline + 1);
        refuses(
            address(vipe), stranger, 0, data, abi.encodeWithSelector(IVipeErrors.ConsentExpired.selector, _deadline)
        );
        vm.warp(_deadline);
        does(address(vipe), stranger, 0, data);
    }

    function test_an_allocation_is_the_vips_alone_to_bring() public {
        refuses(address(vipe), counterparty, 0, _good(5), err(IVipeErrors.NotVip.selector));
        does(address(vipe), vip, 0, _good(5));
    }

    function test_a_consent_that_differs_in_any_field_is_refused() public {
        _refusesConsent(_consentDigest(_id + 1, participant, _r, 0, _deadline));
        _refusesConsent(_consentDigest(_id, stranger, _r, 0, _deadline));
        _refusesConsent(_consentDigest(_id, participant, _r, 1, _deadline));
        _refusesConsent(_consentDigest(_id, participant, _r, 0, _deadline + 1));
        for (uint256 field = 0; field < 15; ++field) {
            _refusesConsent(_consentDigest(_id, participant, _changed(field), 0, _deadline));
        }
        does(address(vipe), stranger, 0, _good(0));
    }

    function _changed(uint256 field) private view returns (IVipe.OpenRequest memory r) {
        r = _r;
        if (field == 0) r.counterparty = stranger;
        if (field == 1) r.vip = stranger;
        if (field == 2) r.asset = stranger;
        if (field == 3) r.participantKey[4] += 1;
        if (field == 4) r.counterpartyKey[0] += 1;
        if (field == 5) (r.participantKey, r.counterpartyKey) = (r.counterpartyKey, r.participantKey);
        if (field == 6) r.keysDigest = bytes32(uint256(1));
        if (field == 7) r.participantSession = stranger;
        if (field == 8) r.counterpartySession = stranger;
        if (field == 9) r.disputeHash = bytes32(uint256(1));
        if (field == 10) r.salt = bytes32(uint256(99));
        if (field == 11) r.rate += 1;
        if (field == 12) r.deposit += 1;
        if (field == 13) r.acceptBy += 1;
        if (field == 14) {
            (r.participantSession, r.counterpartySession) = (r.counterpartySession, r.participantSession);
        }
    }

    function test_somebody_elses_consent_is_refused() public {
        bytes32 digest = _consentDigest(_id, participant, _r, 0, _deadline);
        bytes memory data = _call(0, _deadline, _sign65(P_KEY, digest));
        refuses(address(vipe), counterparty, 0, data, err(IVipeErrors.ConsentRefused.selector));
    }

    function test_a_high_s_and_a_compact_or_empty_signature_are_refused() public {
        bytes32 digest = _consentDigest(_id, participant, _r, 0, _deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(H_KEY, digest);
        bytes32 mirrored = bytes32(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s));
        bytes memory why = err(IVipeErrors.ConsentRefused.selector);
        refuses(address(vipe), stranger, 0, _call(0, _deadline, abi.encodePacked(r, mirrored, v == 27 ? 28 : 27)), why);
        (bytes32 cr, bytes32 vs) = vm.signCompact(H_KEY, digest);
        refuses(address(vipe), stranger, 0, _call(0, _deadline, abi.encodePacked(cr, vs)), why);
        refuses(address(vipe), stranger, 0, _call(0, _deadline, ""), why);
    }

    function test_a_consent_for_another_chain_id_is_refused() public {
        bytes memory data = _good(0);
        vm.chainId(999);
        refuses(address(vipe), stranger, 0, data, err(IVipeErrors.ConsentRefused.selector));
        does(address(vipe), stranger, 0, _good(0));
    }

    function test_a_wallet_contract_stands_behind_exactly_what_it_approved() public {
        OneDigestWallet wallet = new OneDigestWallet();
        _r = _request(1000);
        _r.counterparty = address(wallet);
        _id = _open(_r);
        bytes memory data = _call(0, _deadline, hex"c0ffee");
        refuses(address(vipe), stranger, 0, data, err(IVipeErrors.ConsentRefused.selector));
        wallet.approve(_consentDigest(_id, participant, _r, 0, _deadline));
        does(address(vipe), stranger, 0, data);
        _statusIs(_id, IVipe.Status.Live);
    }

    function test_an_account_that_delegates_its_code_still_signs_with_its_key() public {
        vm.etch(counterparty, abi.encodePacked(hex"ef0100", address(new OneDigestWallet())));
        does(address(vipe), stranger, 0, _good(0));
    }

    function test_an_allocation_above_the_cap_is_refused() public {
        refuses(
            address(vipe),
            vip,
            0,
            _good(CAP_CHANNEL),
            abi.encodeWithSelector(IVipeErrors.ChannelCapExceeded.selector, CAP_CHANNEL + 1000, CAP_CHANNEL)
        );
        does(address(vipe), vip, 0, _good(CAP_CHANNEL - 1000));
    }

    function test_without_an_allocation_anybody_brings_the_consent() public {
        bytes memory data = _good(0);
        vm.expectEmit(address(vipe));
        emit IVipe.Accepted(_id, 0);
        does(address(vipe), stranger, 0, data);
        _statusIs(_id, IVipe.Status.Live);
        eq(vipe.channel(_id).version, 1, "no version is added");
    }

    function test_with_an_allocation_the_ledger_grows_on_the_vips_side() public {
        bytes memory data = _good(250);
        vm.expectEmit(address(vipe));
        emit IVipe.Accepted(_id, 250);
        vm.expectEmit(address(vipe));
        emit IVipe.LedgerAppended(_id, 2, 1000, 250);
        does(address(vipe), vip, 0, data);
        eq(vipe.escrow(_id, 2), 1250, "escrow");
        eq(vipe.escrow(_id, 1), 1000, "older versions stay");
        eq(token.balanceOf(address(vipe)), 1250, "held");
    }
}
