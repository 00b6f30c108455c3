// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {VipeBase} from "../../src/vipe/VipeBase.sol";
import {VipeChannels} from "../../src/vipe/VipeChannels.sol";
import {VipeConsents} from "../../src/vipe/VipeConsents.sol";
import {VipeDisputes} from "../../src/vipe/VipeDisputes.sol";
import {Vm} from "../utils/Vm.sol";

/// @notice TEST ONLY. Says yes to everything.
contract Yes {
    fallback() external {
        assembly {
            mstore(0, 1)
            return(0, 0x20)
        }
    }
}

/// @notice TEST ONLY. The vault with its records laid open, so that a symbolic test starts from any of them.
/// @dev What names a storage slot is immutable, not constant: the compiler would fold the hash of a constant key, and halmos, which tells
/// mappings by what is hashed, would take the folded slot for another place.
abstract contract OpenVault is VipeChannels, VipeConsents, VipeDisputes {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint56 internal immutable ID = 1;
    uint56 internal immutable NEWEST = 1;
    address internal immutable P = address(0xaa01);
    address internal immutable H = address(0xaa02);
    address internal immutable VIP = address(0xaa03);
    address internal immutable TOWER = address(0xaa04);
    address internal immutable SPONSOR = address(0xaa05);
    address internal immutable ASSET = address(0xaa06);
    uint64 internal constant WINDOW = 1 days;
    uint64 internal constant EXTENSION = 1 hours;
    uint64 internal constant NOW = 1_000_000;

    constructor() VipeBase(_given(), new AssetCap[](0)) {}

    function _given() private returns (Rules memory) {
        Yes yes = new Yes();
        return Rules(WINDOW, EXTENSION, 1 days, 1, 0, 5_000, 10_000, address(yes), address(yes).codehash);
    }

    function _put(Status status, uint112 all, uint96 rate) internal returns (ChannelRecord storage c) {
        c = _channels[ID];
        (c.participant, c.counterparty, c.vip, c.asset) = (P, H, VIP, ASSET);
        (c.status, c.version, c.epoch, c.rate) = (status, NEWEST, 1, rate);
        (c.participantSession, c.counterpartySession) = (address(0xbb01), address(0xbb02));
        c.disputeHash = keccak256(abi.encodePacked(bytes32(uint256(7))));
        _ledgers[ID][NEWEST] = Ledger.Entry(int128(uint128(all)), 0);
        _escrowed[ASSET] = all;
    }

    function _putDispute(bool byParticipant, uint112 claim, uint112 peak, uint64 deadline)
        internal
        returns (DisputeRecord storage d)
    {
        d = _disputes[ID];
        (d.byParticipant, d.disputer) = (byParticipant, byParticipant ? P : H);
        (d.payer, d.claim, d.peak, d.deadline) = (d.disputer, claim, peak, deadline);
    }

    function _ether() internal view returns (uint256) {
        return this.etherCredit(P) + this.etherCredit(H) + this.etherCredit(TOWER) + this.etherCredit(SPONSOR);
    }

    function _settles() internal returns (bool ok) {
        (ok,) = address(this).call(abi.encodeCall(this.settle, (ID)));
    }

    function _cancels(address caller) internal returns (bool ok) {
        vm.prank(caller);
        (ok,) = address(this).call(abi.encodeCall(this.cancel, (ID)));
    }

    /// @dev The participant opens from the checkpoint (0, 0, 0).
    function _opens(uint112 claim, uint96 value, bytes32 key) internal returns (bool ok) {
        SessionSignatures memory none;
        vm.deal(P, value);
        vm.prank(P);
        (ok,) = address(this).call{value: value}(
            abi.encodeCall(this.dispute, (ID, StateClaim(0, 0, 0), claim, key, none, ""))
        );
    }

    /// @dev `caller` overrides for the tower with some signatures.
    function _overrides(address caller, uint96 value, uint56 nonce, uint112 pay) internal returns (bool ok) {
        SessionSignatures memory some = SessionSignatures(
            CompactSignature(bytes32(uint256(1)), bytes32(uint256(2))),
            CompactSignature(bytes32(uint256(3)), bytes32(uint256(4)))
        );
        vm.deal(caller, value);
        vm.prank(caller);
        (ok,) = address(this).call{value: value}(
            abi.encodeCall(this.overrideState, (ID, StateClaim(nonce, NEWEST, pay), TOWER, some, ""))
        );
    }
}
