// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {VipeTest} from "./VipeTest.sol";

/// @notice What both parties sign together, and what one of them signs for a sponsor. The EIP-712 types are written out here
/// a second time, on purpose.
abstract contract ConsentTest is VipeTest {
    uint64 internal constant FOREVER = type(uint64).max;

    function _withdrawDigest(uint56 id, uint64 seq, IVipe.Withdrawal memory w) internal view returns (bytes32) {
        return _withdrawDigest(id, seq, w, vipe.channel(id).participant, vipe.channel(id).counterparty);
    }

    function _withdrawDigest(uint56 id, uint64 seq, IVipe.Withdrawal memory w, address p, address h)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                "Withdraw(uint56 channelId,address participant,address counterparty,uint64 seq,uint56 nonce,",
                "uint56 version,uint112 balance,uint112 toParticipant,uint112 toVip,uint64 deadline)"
            )
        );
        bytes memory head = abi.encode(typeHash, id, p, h, seq);
        bytes memory rest =
            abi.encode(w.state.nonce, w.state.version, w.state.balance, w.toParticipant, w.toVip, w.deadline);
        return _typed(keccak256(bytes.concat(head, rest)));
    }

    function _closeDigest(uint56 id, uint64 seq, IVipe.Closing memory c) internal view returns (bytes32) {
        return _closeDigest(id, seq, c, vipe.channel(id).participant, vipe.channel(id).counterparty);
    }

    function _closeDigest(uint56 id, uint64 seq, IVipe.Closing memory c, address p, address h)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                "Close(uint56 channelId,address participant,address counterparty,uint64 seq,uint64 disputeEpoch,",
                "uint112 toParticipant,uint112 toVip,uint64 deadline)"
            )
        );
        bytes memory head = abi.encode(typeHash, id, p, h, seq);
        return _typed(keccak256(bytes.concat(head, abi.encode(c.epoch, c.toParticipant, c.toVip, c.deadline))));
    }

    function _exitDigest(uint56 id, uint56 nonce, IVipe.ExitOrder memory o) internal view returns (bytes32) {
        bytes32 typeHash =
            keccak256("Exit(uint56 channelId,address party,uint56 nonce,uint112 cap,address payer,uint64 deadline)");
        return _typed(keccak256(abi.encode(typeHash, id, o.party, nonce, o.cap, o.payer, o.deadline)));
    }

    // ------------------------------------------------------------------------------------------------ calls

    function _withdrawal(IVipe.StateClaim memory s, uint112 toParticipant, uint112 toVip)
        internal
        pure
        returns (IVipe.Withdrawal memory)
    {
        return IVipe.Withdrawal({state: s, toParticipant: toParticipant, toVip: toVip, deadline: FOREVER});
    }

    function _withdrawCall(uint56 id, IVipe.Withdrawal memory w) internal view returns (bytes memory) {
        bytes32 digest = _withdrawDigest(id, vipe.channel(id).seq, w);
        return abi.encodeCall(vipe.withdraw, (id, w, _sign65(P_KEY, digest), _sign65(H_KEY, digest)));
    }

    function _withdraw(uint56 id, IVipe.StateClaim memory s, uint112 toParticipant, uint112 toVip) internal {
        does(address(vipe), stranger, 0, _withdrawCall(id, _withdrawal(s, toParticipant, toVip)));
    }

    function _closing(uint64 epoch, uint112 toParticipant, uint112 toVip) internal pure returns (IVipe.Closing memory) {
        return IVipe.Closing({epoch: epoch, toParticipant: toParticipant, toVip: toVip, deadline: FOREVER});
    }

    function _closeCall(uint56 id, IVipe.Closing memory c) internal view returns (bytes memory) {
        bytes32 digest = _closeDigest(id, vipe.channel(id).seq, c);
        return abi.encodeCall(vipe.close, (id, c, _sign65(P_KEY, digest), _sign65(H_KEY, digest)));
    }

    function _close(uint56 id, uint64 epoch, uint112 toParticipant, uint112 toVip) internal {
        does(address(vipe), stranger, 0, _closeCall(id, _closing(epoch, toParticipant, toVip)));
    }

    /// @notice An order that the party signed.
    function _order(uint56 id, uint56 nonce, address party, uint112 cap, address payer)
        internal
        view
        returns (IVipe.ExitOrder memory o)
    {
        o = IVipe.ExitOrder({party: party, cap: cap, payer: payer, deadline: FOREVER, signature: ""});
        o.signature = _sign65(party == participant ? P_KEY : H_KEY, _exitDigest(id, nonce, o));
    }

    function _disputeForCall(uint56 id, IVipe.StateClaim memory s, IVipe.ExitOrder memory o)
        internal
        view
        returns (bytes memory)
    {
        bool proven = s.nonce > vipe.channel(id).checkpoint.nonce;
        return abi.encodeCall(
            vipe.disputeFor,
            (
                id,
                s,
                o,
                _key(id),
                proven ? _signatures(id, s) : _noSignatures(),
                proven ? _proof(id, s, o.party) : bytes("")
            )
        );
    }

    function _creditOf(address account) internal view returns (uint256) {
        return vipe.assetCredit(account, address(token));
    }

    function _noConsentOf(address account) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("NoConsentOf(address)", account);
    }
}
