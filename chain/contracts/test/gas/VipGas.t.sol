// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice What the pool's calls cost as transactions of their own, kept in snapshots/VipGasTest.json.
/// forge-config: default.isolate = true
contract VipGasTest is VipTest {
    function test_gas_of_the_life_of_a_pool() public {
        _join(alice, 600e18);
        vm.snapshotGasLastCall("deposit, first");
        _join(bob, 400e18);
        vm.snapshotGasLastCall("deposit, second");
        _unlock();
        IVipe.OpenRequest memory r = _request(100e18);
        uint56 id = _open(r);
        does(vip, stranger, 0, _acceptCall(id, r, 400e18));
        vm.snapshotGasLastCall("accept with an allocation");
        does(vip, counterparty, 0, abi.encodeCall(pool.allocate, (id, 100e18)));
        vm.snapshotGasLastCall("allocate");
        _redeem(alice, pool.maxRedeem(alice) / 2);
        vm.snapshotGasLastCall("redeem");
        (, uint256 exitId) = _exit(bob, 400e24);
        vm.snapshotGasLastCall("exit");
        _end(id, 550e18);
        vm.snapshotGasLastCall("settle");
        _collect();
        vm.snapshotGasLastCall("collect, with a gain and a queue");
        _take(bob, exitId);
        vm.snapshotGasLastCall("takeExit");
    }
}
