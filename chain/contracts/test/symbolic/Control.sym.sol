// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DisputeRule} from "../../src/libraries/DisputeRule.sol";
import {Check} from "../utils/Check.sol";
import {OpenVault} from "./OpenVault.sol";

/// @notice Statements that are false by one unit: `./analyze.sh halmos` fails unless each is refuted. A prover that says yes to
/// everything (a solver that is missing, an assumption that nothing satisfies) is found out here.
contract SymbolicControl is Check {
    function check_false_a_bond_is_the_floor(uint112 claim, uint96 rate) public pure {
        assert(DisputeRule.bond(claim, rate) * 2 ** 64 <= uint256(claim) * rate);
    }

    function check_false_a_slash_spares_the_last_unit(uint112 claim, uint112 peak, uint16 slashBps) public pure {
        vm.assume(claim != 0 && slashBps <= 10_000);
        assert(DisputeRule.slash(claim, peak, slashBps) < claim);
    }

    function check_false_steps_pay_what_one_step_pays(uint128 first, uint128 second, uint16 towerBps) public pure {
        vm.assume(towerBps <= 10_000);
        (uint256 a,) = DisputeRule.split(first, towerBps);
        (uint256 b,) = DisputeRule.split(second, towerBps);
        (uint256 whole,) = DisputeRule.split(uint256(first) + second, towerBps);
        assert(a + b == whole);
    }
}

/// @notice The same for the steps of the state machine: each of these happens, so that what is asserted about them is not empty.
contract SymbolicControlStates is OpenVault {
    function check_false_nothing_settles(uint64 nowAt, uint112 all, uint112 claim) public {
        vm.assume(claim <= all);
        _put(Status.Disputed, all, 2 ** 64);
        _putDispute(true, claim, claim, NOW);
        vm.warp(nowAt);
        assert(!_settles());
    }

    function check_false_nothing_is_cancelled(uint8 status, address caller) public {
        vm.assume(status <= uint8(Status.Cancelled));
        _put(Status(status), 10, 0);
        assert(!_cancels(caller));
    }

    function check_false_nothing_is_opened(uint112 all, uint112 claim, uint96 value, bytes32 key) public {
        _put(Status.Live, all, 2 ** 64);
        vm.warp(NOW);
        assert(!_opens(claim, value, key));
    }

    function check_false_nothing_is_lowered(uint112 claim, uint112 pay, uint56 nonce) public {
        vm.assume(pay < claim);
        _put(Status.Disputed, type(uint112).max, 2 ** 64);
        _putDispute(true, claim, claim, NOW + 1);
        vm.warp(NOW);
        assert(!_overrides(TOWER, 0, nonce, pay));
    }

    function check_false_nothing_is_raised(uint112 claim, uint112 pay, uint96 value) public {
        vm.assume(pay > claim);
        _put(Status.Disputed, type(uint112).max, 2 ** 64);
        _putDispute(true, claim, claim, NOW + 1);
        vm.warp(NOW);
        assert(!_overrides(P, value, 1, pay));
    }
}
