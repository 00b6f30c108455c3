// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {FixedAnswer} from "../mocks/OddVerifiers.sol";
import {FeeToken, HookToken, SilentToken} from "../mocks/Tokens.sol";
import {EtherRefuser} from "../mocks/Wallets.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice One test for each attack that the chain decides: Attacks.tree. Unless said otherwise the participant attacks with
/// nonce 10, which pays it 9 of 10; the live state is nonce 20 and pays it 2.
contract AttacksTest is ConsentTest {
    uint56 private _id;
    IVipe.StateClaim private _stale = IVipe.StateClaim(10, 2, 9e18);
    IVipe.StateClaim private _live20 = IVipe.StateClaim(20, 2, 2e18);

    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
    }

    function _attack() private {
        _dispute(_id, participant, _stale, 9e18);
    }

    function _rescue() private returns (uint256 earned) {
        uint256 before = vipe.etherCredit(tower);
        _override(_id, tower, _live20, tower, 0);
        earned = vipe.etherCredit(tower) - before;
    }

    function test_stale_state_with_the_victim_offline() public {
        _attack();
        uint256 earned = _rescue();
        _settle(_id);
        eq(earned, (_bond(9e18) - _bond(2e18)) / 2, "the tower at once");
        eq(vipe.etherCredit(tower), earned + FEE_FLOOR, "and the fee");
        eq(_creditOf(vip), 1e19, "the victim's 8, and all of the attacker's 2 as a slash");
        isTrue(vipe.etherCredit(counterparty) >= earned, "and half the struck-down bond");
    }

    function test_self_override_dip_and_raise_and_dilution_take_nothing_from_the_tower() public {
        // dilution: the attacker confesses most of it to itself first
        _attack();
        _override(_id, stranger, _state(11, 2, 3e18), stranger, 0);
        eq(_rescue(), (_bond(3e18) - _bond(2e18)) / 2, "by size alone");
        // dip and raise
        _id = _live(6e18, 4e18);
        _attack();
        _override(_id, stranger, _state(11, 2, 0), stranger, 0);
        _override(_id, participant, _state(12, 2, 9e18), participant, _bond(9e18));
        eq(_rescue(), (_bond(9e18) - _bond(2e18)) / 2, "by size alone");
        _settle(_id);
        eq(vipe.etherCredit(participant), _bond(2e18), "the attacker has the bond of what stands");
    }

    function test_one_more_state_of_both_denies_the_tower_nothing_it_was_credited() public {
        _attack();
        uint256 earned = _rescue();
        _override(_id, stranger, _state(21, 2, 0), stranger, 0); // both signed it after the fact
        _settle(_id);
        eq(vipe.etherCredit(tower), earned, "all but the fee");
    }

    function test_a_proof_copied_from_the_mempool_pays_its_beneficiary() public {
        _attack();
        bytes memory towers = _overrideCall(_id, _live20, tower);
        IVipe.StateClaim memory s = _live20;
        bytes memory copied =
            abi.encodeCall(vipe.overrideState, (_id, s, stranger, _signatures(_id, s), _proof(_id, s, tower)));
        refuses(address(vipe), stranger, 0, copied, err(IVipeErrors.ProofRefused.selector));
        does(address(vipe), stranger, 0, towers); // the copier pays the gas
        eq(vipe.etherCredit(tower), (_bond(9e18) - _bond(2e18)) / 2, "the tower is paid");
        eq(vipe.etherCredit(stranger), 0, "the copier is not");
    }

    function test_a_state_or_proof_of_another_channel_chain_or_contract_is_refused() public {
        uint56 other = _live(6e18, 4e18);
        _attack();
        IVipe.StateClaim memory s = _live20;
        bytes memory why = abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, true);
        bytes memory data =
            abi.encodeCall(vipe.overrideState, (_id, s, tower, _signatures(other, s), _proof(other, s, tower)));
        refuses(address(vipe), tower, 0, data, why);
        data = abi.encodeCall(vipe.overrideState, (_id, s, tower, _signatures(_id, s), _proof(other, s, tower)));
        refuses(address(vipe), tower, 0, data, err(IVipeErrors.ProofRefused.selector));
        IVipe here = vipe;
        vipe = _deploy(_rules(), _caps(address(token)));
        (IVipe.SessionSignatures memory signatures, bytes memory proof) = (_signatures(_id, s), _proof(_id, s, tower));
        vipe = here;
        data = abi.encodeCall(vipe.overrideState, (_id, s, tower, signatures, _proof(_id, s, tower)));
        refuses(address(vipe), tower, 0, data, why);
        data = abi.encodeCall(vipe.overrideState, (_id, s, tower, _signatures(_id, s), proof));
        refuses(address(vipe), tower, 0, data, err(IVipeErrors.ProofRefused.selector));
        vm.chainId(999);
        (signatures, proof) = (_signatures(_id, s), _proof(_id, s, tower));
        vm.chainId(31337);
        data = abi.encodeCall(vipe.overrideState, (_id, s, tower, signatures, _proof(_id, s, tower)));
        refuses(address(vipe), tower, 0, data, why);
        data = abi.encodeCall(vipe.overrideState, (_id, s, tower, _signatures(_id, s), proof));
        refuses(address(vipe), tower, 0, data, err(IVipeErrors.ProofRefused.selector));
    }

    function test_old_state_after_a_cooperative_withdrawal() public {
        // the participant takes out 5 of its 9, then comes with the state that gave it 9
        _withdraw(_id, _state(15, 2, 9e18), 5e18, 0);
        bytes memory old = _disputeForCall(_id, _stale, _order(_id, 10, participant, 9e18, address(0)));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, uint56(10), uint56(15));
        refuses(address(vipe), participant, 1 ether, old, why);
        // and a newer state that still names the old version is charged with the 5
        (uint112 p, uint112 h) = vipe.payout(_id, 2, 9e18);
        eq(p, 4e18, "what is left");
        eq(h, 1e18, "the VIP is whole");
        _dispute(_id, participant, _state(16, 2, 9e18), 4e18);
        _settle(_id);
        eq(_creditOf(participant), 9e18, "5 and 4: nothing twice");
    }

    function test_two_disputes_at_once_or_one_after_settlement() public {
        _attack();
        bytes memory again = _disputeCall(_id, counterparty, _live20, 0);
        refuses(address(vipe), counterparty, 1 ether, again, _wrongStatus(_id, IVipe.Status.Disputed));
        _settle(_id);
        refuses(address(vipe), counterparty, 1 ether, again, _wrongStatus(_id, IVipe.Status.Settled));
        refuses(address(vipe), tower, 0, _overrideCall(_id, _live20, tower), _wrongStatus(_id, IVipe.Status.Settled));
        refuses(address(vipe), tower, 0, _closeCall(_id, _closing(1, 1e19, 0)), _wrongStatus(_id, IVipe.Status.Settled));
    }

    function test_a_key_registered_without_consent() public {
        IVipe.OpenRequest memory asked = _request(100);
        uint56 id = _open(asked);
        IVipe.OpenRequest memory signed = asked;
        bytes32 good = _consentDigest(id, participant, asked, 0, FOREVER);
        signed.participantKey[0] += 1;
        bytes32 other = _consentDigest(id, participant, signed, 0, FOREVER);
        bytes memory data = abi.encodeCall(vipe.accept, (id, 0, FOREVER, _sign65(H_KEY, other)));
        refuses(address(vipe), stranger, 0, data, err(IVipeErrors.ConsentRefused.selector));
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.accept, (id, 0, FOREVER, _sign65(H_KEY, good))));
    }

    function test_mass_stale_exit() public {
        uint56[] memory ids = new uint56[](12);
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = i == 0 ? _id : _live(6e18, 4e18);
            _id = ids[i];
            _attack();
        }
        for (uint256 i = 0; i < ids.length; ++i) {
            _id = ids[i];
            _rescue();
        }
        vm.warp(vipe.disputeOf(_id).deadline);
        bytes memory returned = does(address(vipe), stranger, 0, abi.encodeCall(vipe.settleMany, (ids)));
        eq(abi.decode(returned, (uint256)), 12, "all in one call");
        eq(_creditOf(vip), 12e19, "every victim is whole");
        eq(vipe.etherCredit(tower), 12 * ((_bond(9e18) - _bond(2e18)) / 2 + FEE_FLOOR), "and every rescue paid");
    }

    function test_a_token_with_a_fee_on_transfer_is_refused_whole() public {
        FeeToken fee = new FeeToken();
        vipe = _deploy(_rules(), _caps(address(fee)));
        fee.mint(participant, 1e18);
        does(address(fee), participant, 0, abi.encodeCall(fee.approve, (address(vipe), 1e18)));
        IVipe.OpenRequest memory r = _request(1000);
        r.asset = address(fee);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WrongAmountReceived.selector, 1000, 990);
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.open, (r)), why);
        eq(fee.balanceOf(participant), 1e18, "nothing moved");
    }

    function test_a_token_that_returns_nothing_goes_in_and_out() public {
        SilentToken silent = new SilentToken();
        vipe = _deploy(_rules(), _caps(address(silent)));
        silent.mint(participant, 1000);
        IVipe.OpenRequest memory r = _request(1000);
        r.asset = address(silent);
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        _id = _live(r, 0);
        _withdraw(_id, _state(1, 1, 1000), 400, 0);
        _close(_id, 0, 600, 0);
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimAsset, (address(silent), participant)));
        eq(silent.balanceOf(participant), 1000, "all of it");
        eq(silent.balanceOf(address(vipe)), 0, "none left");
    }

    function test_a_token_with_hooks_cannot_reenter_a_claim_after_a_withdrawal() public {
        HookToken hook = new HookToken();
        vipe = _deploy(_rules(), _caps(address(hook)));
        hook.mint(participant, 1000);
        does(address(hook), participant, 0, abi.encodeCall(hook.approve, (address(vipe), 1000)));
        IVipe.OpenRequest memory r = _request(1000);
        r.asset = address(hook);
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        _id = _live(r, 0);
        _withdraw(_id, _state(1, 1, 1000), 400, 0);
        bytes memory claim = abi.encodeCall(vipe.claimAsset, (address(hook), participant));
        hook.arm(address(vipe), claim);
        does(address(vipe), participant, 0, claim);
        isTrue(!hook.reentered(), "the inner claim does not go through");
        eq(hook.balanceOf(participant), 400, "paid once");
    }

    function test_a_receiver_that_reverts_holds_up_nobody() public {
        EtherRefuser refuser = new EtherRefuser();
        _attack();
        _override(_id, tower, _live20, address(refuser), 0);
        _settle(_id);
        does(address(vipe), counterparty, 0, abi.encodeCall(vipe.claimEther, (payable(counterparty))));
        does(address(vipe), address(refuser), 0, abi.encodeCall(vipe.claimEther, (payable(tower))));
    }

    function test_late_sniping_leaves_an_extension_and_a_late_raise_a_window() public {
        _dispute(_id, participant, _state(10, 2, 5e18), 5e18);
        vm.warp(vipe.disputeOf(_id).deadline - 1);
        _override(_id, stranger, _state(11, 2, 4e18), stranger, 0);
        eq(vipe.disputeOf(_id).deadline - block.timestamp, EXTENSION, "time to answer");
        vm.warp(vipe.disputeOf(_id).deadline - 1);
        _override(_id, participant, _state(12, 2, 9e18), participant, _bond(9e18) - _bond(4e18));
        eq(vipe.disputeOf(_id).deadline - block.timestamp, WINDOW, "a whole window");
        isTrue(_rescue() > 0, "and the tower answers");
    }

    function test_front_running_the_tower_with_the_live_state() public {
        _attack();
        _override(_id, participant, _live20, participant, 0); // ahead of the tower
        bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, uint56(20), uint56(20));
        refuses(address(vipe), tower, 0, _overrideCall(_id, _live20, tower), why);
        _settle(_id);
        uint256 struck = _bond(9e18) - _bond(2e18);
        eq(vipe.etherCredit(counterparty), struck - struck / 2, "the other party's share of the bond is lost");
        eq(_creditOf(vip), 1e19, "and the slash");
        eq(_creditOf(participant), 0, "the attacker keeps nothing");
    }

    function test_a_consent_kept_as_an_abort_button() public {
        bytes memory close = _closeCall(_id, _closing(0, 5e18, 5e18));
        bytes memory withdraw = _withdrawCall(_id, _withdrawal(_state(15, 2, 9e18), 5e18, 0));
        _attack();
        bytes memory why = abi.encodeWithSelector(IVipeErrors.WrongEpoch.selector, uint64(0), uint64(1));
        refuses(address(vipe), participant, 0, close, why);
        refuses(address(vipe), participant, 0, withdraw, _wrongStatus(_id, IVipe.Status.Disputed));
        isTrue(_rescue() > 0, "the tower is paid");
    }

    function test_bait_with_a_proofless_dispute_and_a_close() public {
        // a pair of sybils: opens without a proof, waits for the tower's transaction, closes in front of it
        _dispute(_id, participant, _state(0, 0, 0), 6e18);
        _close(_id, 1, 6e18, 4e18);
        isTrue(_rescue() > 0, "the override in flight lands and is paid");
        _settle(_id);
        eq(vipe.etherCredit(tower), (_bond(6e18) - _bond(2e18)) / 2 + FEE_FLOOR, "with the fee");
        eq(vipe.etherCredit(participant), _bond(2e18), "the bait cost its bond");
    }

    function test_the_counterparty_cannot_choose_the_keys_digest() public {
        IVipe.OpenRequest memory r = _request(100);
        uint56 id = _open(r);
        r.keysDigest = bytes32(uint256(7)); // of two keys of its own
        bytes32 digest = _consentDigest(id, participant, r, 0, FOREVER);
        bytes memory data = abi.encodeCall(vipe.accept, (id, 0, FOREVER, _sign65(H_KEY, digest)));
        refuses(address(vipe), counterparty, 0, data, err(IVipeErrors.ConsentRefused.selector));
    }

    function test_either_lock_alone_opens_nothing_and_caps_bound_the_rest() public {
        // a verifier that proves everything: the session signatures still bind the state
        verifier = address(new FixedAnswer(abi.encode(1)));
        vipe = _deploy(_rules(), _caps(address(token)));
        does(address(token), participant, 0, abi.encodeCall(token.approve, (address(vipe), type(uint256).max)));
        IVipe.OpenRequest memory r = _request(6e18);
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        _id = _live(r, 0);
        IVipe.StateClaim memory forged = _state(99, 1, 6e18);
        bytes memory data = abi.encodeCall(vipe.dispute, (_id, forged, 0, _key(1), _noSignatures(), bytes("x")));
        bytes memory why = abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, true);
        refuses(address(vipe), counterparty, 1 ether, data, why);
        // one stolen session key: the other signature is still missing
        IVipe.SessionSignatures memory one = _signatures(_id, forged);
        one.counterparty = one.participant;
        data = abi.encodeCall(vipe.dispute, (_id, forged, 0, _key(1), one, bytes("x")));
        refuses(
            address(vipe),
            participant,
            1 ether,
            data,
            abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, false)
        );
        // both stolen, an honest verifier: the proof is missing
        super.setUp();
        r = _request(6e18);
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        _id = _live(r, 4e18);
        data = abi.encodeCall(vipe.dispute, (_id, forged, 0, _key(_id), _signatures(_id, forged), bytes("x")));
        refuses(address(vipe), participant, 1 ether, data, err(IVipeErrors.ProofRefused.selector));
        // both locks broken: the caps bound it
        r = _request(CAP_CHANNEL + 1);
        why = abi.encodeWithSelector(IVipeErrors.ChannelCapExceeded.selector, uint256(CAP_CHANNEL) + 1, CAP_CHANNEL);
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.open, (r)), why);
    }

    function test_a_party_that_restored_an_old_backup_raises_once_to_its_live_state() public {
        // honest: opens with an older state that pays it less, is pushed down further, and brings the live one
        _dispute(_id, participant, _state(10, 2, 3e18), 3e18);
        _override(_id, stranger, _state(12, 2, 1e18), stranger, 0);
        _override(_id, participant, _state(20, 2, 8e18), participant, _bond(8e18) - _bond(1e18));
        _settle(_id);
        eq(_creditOf(participant), 8e18, "all of its live claim, no slash");
        eq(_creditOf(vip), 2e18, "and the other side's");
    }
}
