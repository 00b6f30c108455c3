// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice What others read: Views.tree. What construction fixed is in Construction.t.sol.
contract ViewsTest is VipeTest {
    function test_of_what_is_unknown_nothing_is_shown() public {
        IVipe.Channel memory none;
        eq(abi.encode(vipe.channel(77)), abi.encode(none), "channel");
        IVipe.Dispute memory quiet;
        eq(abi.encode(vipe.disputeOf(77)), abi.encode(quiet), "dispute");
        (int128 p, int128 h) = vipe.ledger(77, 0);
        isTrue(p == 0 && h == 0 && vipe.escrow(77, 0) == 0, "version 0 is nothing, of every channel");
        eq(vipe.bond(77, 1e18), 0, "no rate");
        (uint128 placed, uint128 gained) = vipe.position(vip, address(token));
        eq(uint256(placed) + gained, 0, "nothing is placed");
        eq(vipe.assetCredit(stranger, address(token)) + vipe.etherCredit(stranger), 0, "nothing is owed");
        bytes memory why = abi.encodeWithSelector(IVipeErrors.UnknownVersion.selector, uint56(1), uint56(0));
        refuses(address(vipe), stranger, 0, abi.encodeCall(vipe.ledger, (77, 1)), why);
        refuses(address(vipe), stranger, 0, abi.encodeCall(vipe.escrow, (77, 1)), why);
        refuses(address(vipe), stranger, 0, abi.encodeCall(vipe.payout, (77, 1, 0)), why);
        why = abi.encodeWithSelector(IVipeErrors.BalanceAboveEscrow.selector, uint112(1), uint112(0));
        refuses(address(vipe), stranger, 0, abi.encodeCall(vipe.payout, (77, 0, 1)), why);
    }

    function test_of_a_channel_everything_is_shown_also_after_its_end() public {
        IVipe.OpenRequest memory r = _request(6e18);
        uint56 id = _live(r, 4e18);
        IVipe.Channel memory expected = IVipe.Channel({
            status: IVipe.Status.Live,
            participant: participant,
            counterparty: counterparty,
            vip: vip,
            asset: address(token),
            participantSession: r.participantSession,
            counterpartySession: r.counterpartySession,
            keysDigest: r.keysDigest,
            disputeHash: r.disputeHash,
            rate: RATE,
            acceptBy: r.acceptBy,
            version: 2,
            epoch: 0,
            checkpoint: _state(0, 0, 0),
            seq: 0
        });
        eq(abi.encode(vipe.channel(id)), abi.encode(expected), "live");
        (uint128 placed, uint128 gained) = vipe.position(vip, address(token));
        isTrue(placed == 4e18 && gained == 0, "at work");
        _dispute(id, participant, _state(3, 2, 5e18), 5e18);
        IVipe.Dispute memory stands = vipe.disputeOf(id);
        eq(stands.disputer, participant, "disputer");
        eq(stands.claim, 5e18, "claim");
        _settle(id);
        (expected.status, expected.epoch) = (IVipe.Status.Settled, 1);
        eq(abi.encode(vipe.channel(id)), abi.encode(expected), "settled");
        eq(abi.encode(vipe.disputeOf(id)), abi.encode(stands), "the dispute as it stood");
        (int128 p, int128 h) = vipe.ledger(id, 2);
        isTrue(p == 6e18 && h == 4e18 && vipe.escrow(id, 2) == 1e19, "the ledger as it stood");
        (uint112 toParticipant, uint112 toVip) = vipe.payout(id, 1, 5e18);
        isTrue(toParticipant == 5e18 && toVip == 5e18, "what a state paid");
        (placed, gained) = vipe.position(vip, address(token));
        isTrue(placed == 0 && gained == 1e18, "nothing is at work; 4 brought 5");
    }

    function test_the_eip712_domain_is_told_as_consents_are_signed() public view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = IERC5267(address(vipe)).eip712Domain();
        isTrue(fields == hex"0f", "name, version, chain and contract");
        eq(bytes(name), "VRC Vipe", "name");
        eq(bytes(version), "1", "version");
        eq(chainId, block.chainid, "chain");
        eq(verifyingContract, address(vipe), "contract");
        isTrue(salt == 0 && extensions.length == 0, "nothing else");
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                verifyingContract
            )
        );
        eq(vipe.domainSeparator(), separator, "separator");
    }
}
