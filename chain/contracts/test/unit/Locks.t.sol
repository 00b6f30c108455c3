// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {BurningAnswer, FixedAnswer, RevertingAnswer} from "../mocks/OddVerifiers.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice The two locks of a disputed state: Dispute.tree and Override.tree, their branches about signatures and proofs.
contract LocksTest is VipeTest {
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(600, 400);
    }

    function _with(IVipe.StateClaim memory s, IVipe.SessionSignatures memory signatures, bytes memory proof)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(vipe.dispute, (_id, s, 500, _key(_id), signatures, proof));
    }

    function _refusesSignatures(IVipe.SessionSignatures memory signatures, bool ofParticipant) private {
        IVipe.StateClaim memory s = _state(3, 2, 500);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.BadSessionSignature.selector, ofParticipant);
        refuses(address(vipe), participant, 1 ether, _with(s, signatures, _proof(_id, s, participant)), why);
    }

    function _refusesProof(bytes memory proof) private {
        IVipe.StateClaim memory s = _state(3, 2, 500);
        refuses(
            address(vipe),
            participant,
            1 ether,
            _with(s, _signatures(_id, s), proof),
            err(IVipeErrors.ProofRefused.selector)
        );
    }

    // ------------------------------------------------------------------------------------------------ signatures

    function test_a_good_proof_with_wrong_session_signatures_is_refused() public {
        IVipe.SessionSignatures memory good = _signatures(_id, _state(3, 2, 500));
        IVipe.SessionSignatures memory bad = _signatures(_id, _state(3, 2, 500));
        bad.participant.r = bytes32(uint256(bad.participant.r) ^ 1);
        _refusesSignatures(bad, true);
        bad = IVipe.SessionSignatures(good.participant, good.participant);
        _refusesSignatures(bad, false);
        bad = IVipe.SessionSignatures(good.counterparty, good.participant);
        _refusesSignatures(bad, true);
        _refusesSignatures(_noSignatures(), true);
        bad = _noSignatures();
        bad.participant = good.participant;
        _refusesSignatures(bad, false);
    }

    function test_session_signatures_of_another_state_are_refused() public {
        _refusesSignatures(_signatures(_id, _state(4, 2, 500)), true);
        _refusesSignatures(_signatures(_id, _state(3, 1, 500)), true);
        _refusesSignatures(_signatures(_id, _state(3, 2, 501)), true);
        _refusesSignatures(_signatures(_id + 1, _state(3, 2, 500)), true);
    }

    function test_session_signatures_of_another_vault_or_chain_are_refused() public {
        IVipe here = vipe;
        vipe = _deploy(_rules(), _caps(address(token)));
        IVipe.SessionSignatures memory there = _signatures(_id, _state(3, 2, 500));
        vipe = here;
        _refusesSignatures(there, true);
        vm.chainId(999);
        IVipe.SessionSignatures memory elsewhere = _signatures(_id, _state(3, 2, 500));
        vm.chainId(31337);
        _refusesSignatures(elsewhere, true);
    }

    function test_a_session_signature_with_high_s_has_no_compact_form_and_its_bits_are_refused() public {
        IVipe.SessionSignatures memory both = _signatures(_id, _state(3, 2, 500));
        uint256 low = uint256(both.participant.vs) & (2 ** 255 - 1);
        uint256 n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        both.participant.vs = bytes32(n - low); // bit 255 reads as the parity
        _refusesSignatures(both, true);
    }

    // ------------------------------------------------------------------------------------------------ proofs

    function test_good_session_signatures_with_a_wrong_proof_are_refused() public {
        _refusesProof("");
        _refusesProof(hex"00");
        _refusesProof(abi.encodePacked(bytes32(uint256(1))));
    }

    function test_a_proof_of_another_state_channel_or_beneficiary_is_refused() public {
        _refusesProof(_proof(_id, _state(4, 2, 500), participant));
        _refusesProof(_proof(_id, _state(3, 1, 500), participant));
        _refusesProof(_proof(_id, _state(3, 2, 501), participant));
        _refusesProof(_proof(_id + 1, _state(3, 2, 500), participant));
        _refusesProof(_proof(_id, _state(3, 2, 500), counterparty));
    }

    function test_a_proof_for_the_disputer_alone_opens_a_dispute() public {
        IVipe.StateClaim memory s = _state(3, 2, 500);
        bytes memory stolen = _with(s, _signatures(_id, s), _proof(_id, s, participant));
        refuses(address(vipe), counterparty, 1 ether, stolen, err(IVipeErrors.ProofRefused.selector));
        does(address(vipe), participant, 1 ether, stolen);
    }

    function test_a_proof_of_another_vault_or_pair_of_keys_is_refused() public {
        IVipe here = vipe;
        vipe = _deploy(_rules(), _caps(address(token)));
        bytes memory there = _proof(_id, _state(3, 2, 500), participant);
        vipe = here;
        _refusesProof(there);
        IVipe.OpenRequest memory r = _request(1000);
        r.keysDigest = bytes32(uint256(5));
        _id = _live(r, 1);
        _refusesProof(_proof(_id, _state(3, 2, 500), participant));
    }

    // ------------------------------------------------------------------------------------------------ the answer of the verifier

    /// @dev The same dispute, with a verifier that answers oddly.
    function _answered(address by) private returns (bool) {
        verifier = by;
        vipe = _deploy(_rules(), _caps(address(token)));
        does(address(token), participant, 0, abi.encodeCall(token.approve, (address(vipe), 1000)));
        IVipe.OpenRequest memory r = _request(600);
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        _id = _live(r, 0);
        IVipe.StateClaim memory s = _state(3, 1, 500);
        bytes memory data = _with(s, _signatures(_id, s), "x");
        vm.prank(participant);
        (bool ok, bytes memory returned) = address(vipe).call{value: 1 ether, gas: 3_000_000}(data);
        if (!ok) eq(returned, err(IVipeErrors.ProofRefused.selector), "reason");
        return ok;
    }

    function test_only_the_exact_returned_word_1_is_success() public {
        isTrue(_answered(address(new FixedAnswer(abi.encode(1)))), "1");
        isTrue(!_answered(address(new FixedAnswer(abi.encode(0)))), "0");
        isTrue(!_answered(address(new FixedAnswer(abi.encode(2)))), "2");
        isTrue(!_answered(address(new FixedAnswer(abi.encode(type(uint256).max)))), "all ones");
        isTrue(!_answered(address(new FixedAnswer(abi.encode(1, 0)))), "two words");
        isTrue(!_answered(address(new FixedAnswer(abi.encodePacked(bytes31(0), bytes2(0x0100))))), "33 bytes");
        isTrue(!_answered(address(new FixedAnswer(hex"01"))), "one byte");
        isTrue(!_answered(address(new FixedAnswer(""))), "nothing");
        isTrue(!_answered(address(new RevertingAnswer())), "a revert with the word 1");
        isTrue(!_answered(address(new BurningAnswer())), "out of gas");
    }

    function test_a_verifier_whose_code_vanished_proves_nothing() public {
        IVipe.StateClaim memory s = _state(3, 2, 500);
        bytes memory data = _with(s, _signatures(_id, s), _proof(_id, s, participant));
        vm.etch(verifier, "");
        refuses(address(vipe), participant, 1 ether, data, err(IVipeErrors.ProofRefused.selector));
    }

    function test_the_statement_is_laid_out_as_specified() public view {
        uint256[15] memory w = _statement(_id, _state(3, 2, 2 ** 112 - 1), address(type(uint160).max));
        bytes21 domain = vipe.domain();
        eq(w[0] + (w[1] << 56) + (w[2] << 112), uint168(domain), "the domain, big endian, low limb first");
        eq(w[6], 2 ** 56 - 1, "balance, low");
        eq(w[7], 2 ** 56 - 1, "balance, high");
        eq(w[14], 2 ** 48 - 1, "beneficiary, high");
    }
}
