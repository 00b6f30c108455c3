// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {VipeBase} from "../../src/vipe/VipeBase.sol";
import {VipeChannels} from "../../src/vipe/VipeChannels.sol";
import {VipeConsents} from "../../src/vipe/VipeConsents.sol";
import {VipeDisputes} from "../../src/vipe/VipeDisputes.sol";
import {Check} from "../utils/Check.sol";

/// @notice TEST ONLY. The vault with its records laid open, so that a symbolic test starts from any of them.
contract OpenVault is VipeChannels, VipeConsents, VipeDisputes {
    constructor(Rules memory given, AssetCap[] memory caps) VipeBase(given, caps) {}

    function put(uint56 id, ChannelRecord calldata c, DisputeRecord calldata d, Ledger.Entry calldata entry) external {
        _channels[id] = c;
        _disputes[id] = d;
        _ledgers[id][c.version] = entry;
        _escrowed[c.asset] = Ledger.escrow(entry);
    }
}

/// @notice TEST ONLY. Says yes to everything.
contract Yes {
    fallback() external {
        assembly {
            mstore(0, 1)
            return(0, 0x20)
        }
    }
}

/// @notice Steps of the state machine from every record that the invariants allow: run by halmos (see the README), not by
/// forge. One wei a base unit, so that bonds are claims; half to the tower, all slashed.
contract SymbolicStates is Check {
    uint56 private constant ID = 1;
    address private constant P = address(0xaa01);
    address private constant H = address(0xaa02);
    address private constant VIP = address(0xaa03);
    address private constant TOWER = address(0xaa04);
    address private constant SPONSOR = address(0xaa05);
    address private constant ASSET = address(0xaa06);

    OpenVault private _vault;

    struct Any {
        uint64 nowAt;
        uint64 deadline;
        uint112 claim;
        uint112 peak;
        uint112 raisedFrom;
        uint112 agreed;
        uint128 fee;
        uint112 escrow;
        uint8 status;
        bool raised;
        bool byParticipant;
        bool closing;
        bool corrected;
        bool sponsored;
    }

    function setUp() public {
        Yes yes = new Yes();
        IVipe.Rules memory given = IVipe.Rules({
            disputeWindow: 1 days,
            responseExtension: 1 hours,
            maxExtension: 1 days,
            feeFloor: 1,
            feeGas: 0,
            towerBps: 5_000,
            slashBps: 10_000,
            verifier: address(yes),
            verifierCodeHash: address(yes).codehash
        });
        _vault = new OpenVault(given, new IVipe.AssetCap[](0));
    }

    function _put(Any memory a) private {
        VipeBase.ChannelRecord memory c;
        (c.participant, c.counterparty, c.vip, c.asset) = (P, H, VIP, ASSET);
        c.status = IVipe.Status(a.status);
        (c.version, c.epoch, c.rate) = (1, 1, 2 ** 64);
        VipeBase.DisputeRecord memory d;
        d.disputer = a.byParticipant ? P : H;
        d.payer = a.sponsored ? SPONSOR : d.disputer;
        if (a.corrected) d.corrector = TOWER;
        (d.raised, d.byParticipant, d.closing) = (a.raised, a.byParticipant, a.closing);
        (d.claim, d.peak, d.raisedFrom, d.agreedToParticipant) = (a.claim, a.peak, a.raisedFrom, a.agreed);
        (d.deadline, d.fee) = (a.deadline, a.fee);
        _vault.put(ID, c, d, Ledger.Entry(int128(uint128(a.escrow)), 0));
    }

    function _allowed(Any memory a) private pure {
        vm.assume(a.status <= uint8(IVipe.Status.Cancelled));
        vm.assume(a.claim <= a.peak && a.peak <= a.escrow && a.raisedFrom <= a.peak && a.agreed <= a.escrow);
    }

    /// @dev Settles exactly when disputed and due; pays all of the asset to the two sides and all of the ether to who brought or
    /// earned it; once.
    function check_settle(Any memory a) public {
        _allowed(a);
        _put(a);
        vm.warp(a.nowAt);
        (bool ok,) = address(_vault).call(abi.encodeCall(_vault.settle, (ID)));
        assert(ok == (a.status == uint8(IVipe.Status.Disputed) && a.nowAt >= a.deadline));
        if (!ok) return;
        assert(_vault.channel(ID).status == IVipe.Status.Settled);
        uint256 p = _vault.assetCredit(P, ASSET);
        uint256 h = _vault.assetCredit(VIP, ASSET);
        assert(p + h == a.escrow);
        if (a.closing) assert(p == a.agreed);
        else assert((a.byParticipant ? p : h) <= a.claim);
        uint256 ether_ =
            _vault.etherCredit(P) + _vault.etherCredit(H) + _vault.etherCredit(TOWER) + _vault.etherCredit(SPONSOR);
        assert(ether_ == uint256(a.fee) + a.claim);
        if (a.corrected) assert(_vault.etherCredit(TOWER) == a.fee);
        (bool again,) = address(_vault).call(abi.encodeCall(_vault.settle, (ID)));
        assert(!again);
    }

    /// @dev `settleMany` does what `settle` does, and skips where it would refuse.
    function check_settle_many(Any memory a) public {
        _allowed(a);
        _put(a);
        vm.warp(a.nowAt);
        uint56[] memory ids = new uint56[](2);
        (ids[0], ids[1]) = (ID, ID);
        uint256 settled = _vault.settleMany(ids);
        bool due = a.status == uint8(IVipe.Status.Disputed) && a.nowAt >= a.deadline;
        assert(settled == (due ? 1 : 0));
        if (due) assert(_vault.assetCredit(P, ASSET) + _vault.assetCredit(VIP, ASSET) == a.escrow);
        else assert(uint8(_vault.channel(ID).status) == a.status);
    }

    /// @dev Whatever the record, nobody but the participant takes the money of an unaccepted channel back, and all of it.
    function check_cancel(Any memory a, address caller) public {
        _allowed(a);
        _put(a);
        vm.prank(caller);
        (bool ok,) = address(_vault).call(abi.encodeCall(_vault.cancel, (ID)));
        assert(ok == (a.status == uint8(IVipe.Status.Open) && caller == P));
        if (ok) assert(_vault.assetCredit(P, ASSET) == a.escrow);
    }
}
