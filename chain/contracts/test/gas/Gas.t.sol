// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice What the vault's calls cost as transactions of their own, calldata included, kept in snapshots/GasTest.json.
/// The verifier of these tests costs next to nothing and its proof is one word: what the real one adds is measured elsewhere.
/// forge-config: default.isolate = true
contract GasTest is ConsentTest {
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

    function test_gas_of_consents() public {
        uint56 id = _live(6e18, 4e18);
        _withdraw(id, _state(3, 2, 6e18), 1e18, 1e18);
        vm.snapshotGasLastCall("withdraw");
        _withdraw(id, _state(4, 2, 6e18), 1e18, 1e18);
        vm.snapshotGasLastCall("withdraw, second");
        _close(id, 0, 3e18, 3e18);
        vm.snapshotGasLastCall("close");
        id = _live(6e18, 4e18);
        IVipe.StateClaim memory s = _state(3, 2, 5e18);
        bytes memory data = _disputeForCall(id, s, _order(id, 3, participant, 5e18, address(0)));
        does(address(vipe), stranger, 1 ether, data);
        vm.snapshotGasLastCall("disputeFor, proven");
        _close(id, 1, 5e18, 5e18);
        vm.snapshotGasLastCall("close, announced");
    }

    function test_gas_of_settling_many() public {
        uint56[] memory ids = new uint56[](10);
        for (uint256 i = 0; i < 10; ++i) {
            ids[i] = _live(6e18, 4e18);
            _dispute(ids[i], participant, _state(0, 0, 0), 6e18);
        }
        vm.warp(block.timestamp + WINDOW);
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settleMany, (ids)));
        vm.snapshotGasLastCall("settleMany, ten");
    }
}
