// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {OneDigestWallet} from "../mocks/Wallets.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice withdraw: Withdraw.tree.
contract WithdrawTest is ConsentTest {
    uint56 private _id;

    /// @dev 600 of the participant, 400 of the VIP.
    function setUp() public override {
        super.setUp();
        _id = _live(600, 400);
    }

    function _refusesWithdraw(IVipe.Withdrawal memory w, bytes memory why) private {
        refuses(address(vipe), stranger, 0, _withdrawCall(_id, w), why);
    }

    /// @dev The good withdrawal under two digests.
    function _signedCall(IVipe.Withdrawal memory w, bytes32 byParticipant, bytes32 byCounterparty)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(vipe.withdraw, (_id, w, _sign65(P_KEY, byParticipant), _sign65(H_KEY, byCounterparty)));
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function test_only_a_live_channel_pays_out_by_consent() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(1, 0, 0), 0, 0);
        uint56 live = _id;
        _id = _open(100);
        _refusesWithdraw(w, _wrongStatus(_id, IVipe.Status.Open));
        _id = live;
        _dispute(_id, participant, _state(0, 0, 0), 600);
        _refusesWithdraw(w, _wrongStatus(_id, IVipe.Status.Disputed));
        _settle(_id);
        _refusesWithdraw(w, _wrongStatus(_id, IVipe.Status.Settled));
        _id = 99;
        bytes memory data = _signedCall(w, 0, 0);
        refuses(address(vipe), stranger, 0, data, _wrongStatus(99, IVipe.Status.None));
    }

    function test_consents_are_good_until_their_deadline_inclusive() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(1, 2, 600), 1, 0);
        w.deadline = START + 10;
        bytes memory data = _withdrawCall(_id, w);
        vm.warp(START + 11);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.ConsentExpired.selector, START + 10);
        refuses(address(vipe), stranger, 0, data, why);
        vm.warp(START + 10);
        does(address(vipe), stranger, 0, data);
    }

    function test_the_consented_nonce_is_above_the_checkpoints() public {
        _refusesWithdraw(
            _withdrawal(_state(0, 0, 0), 1, 0),
            abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, uint56(0), uint56(0))
        );
        _withdraw(_id, _state(7, 2, 600), 1, 0);
        for (uint56 nonce = 6; nonce <= 7; ++nonce) {
            _refusesWithdraw(
                _withdrawal(_state(nonce, 2, 600), 1, 0),
                abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, nonce, uint56(7))
            );
        }
        _withdraw(_id, _state(8, 2, 600), 1, 0);
    }

    function test_the_consented_state_is_backed() public {
        _refusesWithdraw(
            _withdrawal(_state(1, 3, 0), 0, 0),
            abi.encodeWithSelector(IVipeErrors.UnknownVersion.selector, uint56(3), uint56(2))
        );
        _refusesWithdraw(
            _withdrawal(_state(1, 1, 601), 0, 0),
            abi.encodeWithSelector(IVipeErrors.BalanceAboveEscrow.selector, uint112(601), uint112(600))
        );
    }

    function test_neither_side_takes_more_than_the_state_leaves_it() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WithdrawalNotCovered.selector, int256(250), uint112(1000));
        _refusesWithdraw(_withdrawal(_state(1, 2, 250), 251, 0), why);
        _refusesWithdraw(_withdrawal(_state(1, 2, 250), 0, 751), why);
        _refusesWithdraw(_withdrawal(_state(1, 2, 250), type(uint112).max, type(uint112).max), why);
        _withdraw(_id, _state(1, 2, 250), 250, 750);
        eq(vipe.escrow(_id, 3), 0, "all of it may be taken");
    }

    /// @dev No honest node makes such states; the formula must not clamp here as a payout does.
    function test_a_state_that_leaves_a_side_less_than_nothing_is_refused() public {
        _withdraw(_id, _state(1, 2, 600), 600, 0); // p = 0, h = 400
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WithdrawalNotCovered.selector, int256(-600), uint112(400));
        _refusesWithdraw(_withdrawal(_state(2, 2, 0), 0, 0), why);
        why = abi.encodeWithSelector(IVipeErrors.WithdrawalNotCovered.selector, int256(-1), uint112(400));
        _refusesWithdraw(_withdrawal(_state(2, 2, 599), 0, 0), why);
        _withdraw(_id, _state(2, 2, 601), 1, 399);
        eq(vipe.escrow(_id, 4), 0, "to the last unit");
    }

    // ------------------------------------------------------------------------------------------------ consents

    function test_a_consent_that_differs_in_any_field_is_refused() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(5, 2, 600), 10, 20);
        bytes32 good = _withdrawDigest(_id, 0, w);
        for (uint256 field = 0; field < 10; ++field) {
            bytes32 bad = _changedDigest(w, field);
            refuses(address(vipe), stranger, 0, _signedCall(w, bad, good), _noConsentOf(participant));
            refuses(address(vipe), stranger, 0, _signedCall(w, good, bad), _noConsentOf(counterparty));
        }
        does(address(vipe), stranger, 0, _signedCall(w, good, good));
    }

    function _changedDigest(IVipe.Withdrawal memory good, uint256 field) private view returns (bytes32) {
        IVipe.Withdrawal memory w = _withdrawal(good.state, good.toParticipant, good.toVip);
        w.state = _state(good.state.nonce, good.state.version, good.state.balance);
        if (field == 0) return _withdrawDigest(_id + 1, 0, w, participant, counterparty);
        if (field == 1) return _withdrawDigest(_id, 0, w, counterparty, participant);
        if (field == 2) return _withdrawDigest(_id, 1, w);
        if (field == 3) w.state.nonce += 1;
        if (field == 4) w.state.version -= 1;
        if (field == 5) w.state.balance -= 1;
        if (field == 6) w.toParticipant += 1;
        if (field == 7) w.toVip += 1;
        if (field == 8) w.deadline -= 1;
        if (field == 9) return _withdrawDigest(_id, 0, w, participant, stranger);
        return _withdrawDigest(_id, 0, w);
    }

    function test_one_signature_is_no_consent_of_both() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(5, 2, 600), 10, 20);
        bytes32 digest = _withdrawDigest(_id, 0, w);
        bytes memory mine = _sign65(P_KEY, digest);
        bytes memory data = abi.encodeCall(vipe.withdraw, (_id, w, mine, mine));
        refuses(address(vipe), participant, 0, data, _noConsentOf(counterparty));
        data = abi.encodeCall(vipe.withdraw, (_id, w, mine, bytes("")));
        refuses(address(vipe), counterparty, 0, data, _noConsentOf(counterparty));
        data = abi.encodeCall(vipe.withdraw, (_id, w, _sign65(H_KEY, digest), mine));
        refuses(address(vipe), stranger, 0, data, _noConsentOf(participant));
    }

    function test_session_keys_move_no_escrow() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(5, 2, 600), 10, 20);
        bytes32 digest = _withdrawDigest(_id, 0, w);
        bytes memory data =
            abi.encodeCall(vipe.withdraw, (_id, w, _sign65(P_SESSION, digest), _sign65(H_SESSION, digest)));
        refuses(address(vipe), stranger, 0, data, _noConsentOf(participant));
    }

    function test_a_high_s_is_refused() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(5, 2, 600), 10, 20);
        bytes32 digest = _withdrawDigest(_id, 0, w);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(P_KEY, digest);
        bytes32 mirrored = bytes32(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s));
        bytes memory high = abi.encodePacked(r, mirrored, v == 27 ? 28 : 27);
        bytes memory data = abi.encodeCall(vipe.withdraw, (_id, w, high, _sign65(H_KEY, digest)));
        refuses(address(vipe), stranger, 0, data, _noConsentOf(participant));
    }

    function test_a_consent_for_another_vault_or_chain_is_refused() public {
        IVipe.Withdrawal memory w = _withdrawal(_state(5, 2, 600), 10, 20);
        IVipe here = vipe;
        vipe = _deploy(_rules(), _caps(address(token)));
        bytes32 there = _withdrawDigest(_id, 0, w, participant, counterparty);
        vipe = here;
        refuses(address(vipe), stranger, 0, _signedCall(w, there, there), _noConsentOf(participant));
        bytes32 good = _withdrawDigest(_id, 0, w);
        vm.chainId(999);
        refuses(address(vipe), stranger, 0, _signedCall(w, good, good), _noConsentOf(participant));
    }

    function test_a_wallet_contract_consents_to_exactly_what_it_approved() public {
        OneDigestWallet wallet = new OneDigestWallet();
        IVipe.OpenRequest memory r = _request(600);
        r.counterparty = address(wallet);
        _id = _open(r);
        wallet.approve(_consentDigest(_id, participant, r, 0, FOREVER));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.accept, (_id, 0, FOREVER, "")));
        IVipe.Withdrawal memory w = _withdrawal(_state(1, 1, 600), 10, 0);
        bytes32 digest = _withdrawDigest(_id, 0, w);
        bytes memory data = abi.encodeCall(vipe.withdraw, (_id, w, _sign65(P_KEY, digest), bytes("any")));
        refuses(address(vipe), stranger, 0, data, _noConsentOf(address(wallet)));
        wallet.approve(digest);
        does(address(vipe), stranger, 0, data);
    }

    // ------------------------------------------------------------------------------------------------ effects

    function test_both_sides_are_credited_and_charged_at_once() public {
        bytes memory data = _withdrawCall(_id, _withdrawal(_state(5, 2, 450), 100, 30));
        vm.expectEmit(address(vipe));
        emit IVipe.Withdrawn(_id, 0, 5, 2, 450, 100, 30);
        vm.expectEmit(address(vipe));
        emit IVipe.LedgerAppended(_id, 3, 500, 370);
        vm.expectEmit(address(vipe));
        emit IVipe.AssetCredited(participant, address(token), 100);
        vm.expectEmit(address(vipe));
        emit IVipe.AssetCredited(vip, address(token), 30);
        does(address(vipe), stranger, 0, data);
        eq(_creditOf(participant), 100, "participant");
        eq(_creditOf(vip), 30, "vip");
        eq(vipe.escrow(_id, 3), 870, "what is left");
        eq(vipe.escrow(_id, 2), 1000, "older versions stay");
        _statusIs(_id, IVipe.Status.Live);
        (uint112 p, uint112 h) = vipe.payout(_id, 2, 450);
        eq(p, 350, "what was taken out is charged to who received it");
        eq(h, 520, "the VIP likewise");
    }

    function test_the_consented_state_becomes_the_checkpoint_and_older_ones_are_dead() public {
        _withdraw(_id, _state(5, 2, 450), 100, 30);
        IVipe.StateClaim memory now_ = vipe.channel(_id).checkpoint;
        isTrue(now_.nonce == 5 && now_.version == 2 && now_.balance == 450, "checkpoint");
        for (uint56 nonce = 1; nonce < 5; ++nonce) {
            IVipe.StateClaim memory old = _state(nonce, 2, 1000);
            bytes memory data = abi.encodeCall(
                vipe.dispute, (_id, old, 0, _key(_id), _signatures(_id, old), _proof(_id, old, participant))
            );
            bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, nonce, uint56(5));
            refuses(address(vipe), participant, 1 ether, data, why);
        }
        _dispute(_id, participant, _state(5, 2, 450), 350); // no proof, no signatures
        _settle(_id);
        eq(_creditOf(participant), 450, "100 taken out, 350 left");
        eq(_creditOf(vip), 550, "30 taken out, 520 left");
    }

    function test_a_consent_works_once_and_voids_every_other_open_consent() public {
        bytes memory first = _withdrawCall(_id, _withdrawal(_state(5, 2, 600), 100, 0));
        bytes memory second = _withdrawCall(_id, _withdrawal(_state(6, 2, 600), 200, 0));
        bytes memory end = _closeCall(_id, _closing(0, 500, 400));
        does(address(vipe), stranger, 0, first);
        refuses(
            address(vipe),
            stranger,
            0,
            first,
            abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, uint56(5), uint56(5))
        );
        refuses(address(vipe), stranger, 0, second, _noConsentOf(participant));
        refuses(address(vipe), stranger, 0, end, _noConsentOf(participant));
        eq(vipe.channel(_id).seq, 1, "one was executed");
        _withdraw(_id, _state(6, 2, 600), 200, 0);
        eq(vipe.channel(_id).seq, 2, "two");
    }

    function test_a_consent_to_nothing_moves_the_checkpoint_alone() public {
        _withdraw(_id, _state(9, 2, 123), 0, 0);
        eq(vipe.channel(_id).checkpoint.nonce, 9, "checkpoint");
        eq(vipe.escrow(_id, 3), 1000, "escrow");
        eq(_creditOf(participant) + _creditOf(vip), 0, "nobody is credited");
    }

    function test_a_withdrawal_makes_room_under_the_assets_cap() public {
        uint56 full = _live(CAP_CHANNEL, 0);
        _live(CAP_CHANNEL, 0);
        _live(CAP_CHANNEL - 1000, 0);
        bytes memory data = abi.encodeCall(vipe.open, (_request(5)));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.AssetCapExceeded.selector, CAP_TOTAL + 5, CAP_TOTAL);
        refuses(address(vipe), participant, 0, data, why);
        _withdraw(full, _state(1, 1, CAP_CHANNEL), 5, 0);
        does(address(vipe), participant, 0, data);
    }

    /// @dev Neither honest parties nor listed caps come near; the check keeps the chain's readers out of undefined sums.
    function test_a_sum_beyond_112_bits_is_refused() public {
        IVipe.AssetCap[] memory caps = _caps(address(token));
        (caps[0].perChannel, caps[0].total) = (type(uint112).max, type(uint112).max);
        vipe = _deploy(_rules(), caps);
        uint112 most = type(uint112).max;
        token.mint(vip, uint256(most) * 2);
        does(address(token), vip, 0, abi.encodeCall(token.approve, (address(vipe), type(uint256).max)));
        does(address(token), participant, 0, abi.encodeCall(token.approve, (address(vipe), type(uint256).max)));
        IVipe.OpenRequest memory r = _request(1);
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        _id = _live(r, most - 1);
        _withdraw(_id, _state(1, 2, most), most, 0); // p = 2 - 2^112, h = 2^112 - 2
        bytes memory data = abi.encodeCall(vipe.allocate, (_id, 2));
        refuses(address(vipe), vip, 0, data, err(IVipeErrors.LedgerOutOfRange.selector));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.allocate, (_id, 1)));
        _withdraw(_id, _state(2, 2, most), 0, 1);
    }
}
