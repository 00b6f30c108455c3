// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice What the vault's calls cost as transactions of their own, calldata included, kept in snapshots/GasTest.json.
/// The verifier of these tests costs next to nothing and its proof is one word: what the real one adds is measured elsewhere.
/// forge-config: default.isolate = true
contract GasTest is VipeTest {
    function test_gas_of_the_life_of_a_channel() public {
        _open(1e18); // first writes of shared slots
        IVipe.OpenRequest memory r = _request(6e18);
        uint56 id = _open(r);
        vm.snapshotGasLastCall("open");
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory consent = _sign65(H_KEY, _consentDigest(id, participant, r, 4e18, deadline));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.accept, (id, 4e18, deadline, consent)));
        vm.snapshotGasLastCall("accept with an allocation");
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (id, 1e18)));
        vm.snapshotGasLastCall("deposit");

        _dispute(id, participant, _state(3, 2, 9e18), 9e18);
        vm.snapshotGasLastCall("dispute, proven");
        _override(id, tower, _state(4, 2, 5e18), tower, 0);
        vm.snapshotGasLastCall("override, first lowering");
        _override(id, tower, _state(5, 2, 4e18), tower, 0);
        vm.snapshotGasLastCall("override, second lowering");
        _settle(id);
        vm.snapshotGasLastCall("settle");
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimAsset, (address(token), participant)));
        vm.snapshotGasLastCall("claimAsset");
        does(address(vipe), tower, 0, abi.encodeCall(vipe.claimEther, (payable(tower))));
        vm.snapshotGasLastCall("claimEther");
    }

    function test_gas_of_a_dispute_from_the_checkpoint() public {
        uint56 id = _live(6e18, 4e18);
        _dispute(id, participant, _state(0, 0, 0), 6e18);
        vm.snapshotGasLastCall("dispute, checkpoint");
    }
}
