// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {OperatorVip} from "../../src/vip/OperatorVip.sol";
import {FeeToken} from "../mocks/Tokens.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice OperatorVip: OperatorVip.tree.
contract OperatorVipTest is VipeTest {
    OperatorVip private _pool;

    function setUp() public override {
        super.setUp();
        _pool = new OperatorVip(vipe, address(token), counterparty, 10);
        vip = address(_pool);
        token.mint(counterparty, 1e24);
        does(address(token), counterparty, 0, abi.encodeCall(token.approve, (vip, type(uint256).max)));
        _deposit(5000);
    }

    function _deposit(uint256 amount) private {
        does(vip, counterparty, 0, abi.encodeCall(_pool.deposit, (amount)));
    }

    function _acceptCall(uint56 id, IVipe.OpenRequest memory r, uint112 allocation)
        private
        view
        returns (bytes memory)
    {
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory signature = _sign65(H_KEY, _consentDigest(id, participant, r, allocation, deadline));
        return abi.encodeCall(_pool.accept, (id, allocation, deadline, signature));
    }

    function _liveChannel(uint112 amount, uint112 allocation) private returns (uint56 id) {
        IVipe.OpenRequest memory r = _request(amount);
        id = _open(r);
        does(vip, counterparty, 0, _acceptCall(id, r, allocation));
    }

    function test_its_money_is_its_operators_alone_to_move() public {
        bytes memory why = err(OperatorVip.NotOperator.selector);
        refuses(vip, stranger, 0, abi.encodeCall(_pool.deposit, (1)), why);
        refuses(vip, stranger, 0, abi.encodeCall(_pool.withdraw, (1, stranger)), why);
        refuses(vip, stranger, 0, abi.encodeCall(_pool.allocate, (1, 1)), why);
        refuses(vip, stranger, 0, abi.encodeCall(_pool.accept, (1, 1, type(uint64).max, "")), why);
    }

    function test_deposits_and_withdrawals_are_counted() public {
        eq(_pool.idle(), 5000, "idle");
        uint256 before = token.balanceOf(tower);
        does(vip, counterparty, 0, abi.encodeCall(_pool.withdraw, (2000, tower)));
        eq(token.balanceOf(tower) - before, 2000, "received");
        eq(_pool.idle(), 3000, "idle");
        refuses(
            vip,
            counterparty,
            0,
            abi.encodeCall(_pool.withdraw, (3001, tower)),
            abi.encodeWithSelector(OperatorVip.IdleTooSmall.selector, 3000, 3001)
        );
        refuses(vip, counterparty, 0, abi.encodeCall(_pool.withdraw, (0, tower)), err(OperatorVip.ZeroAmount.selector));
        refuses(
            vip, counterparty, 0, abi.encodeCall(_pool.withdraw, (1, address(0))), err(OperatorVip.ZeroAddress.selector)
        );
        refuses(vip, counterparty, 0, abi.encodeCall(_pool.withdraw, (1, vip)), err(OperatorVip.ZeroAddress.selector));
        refuses(vip, counterparty, 0, abi.encodeCall(_pool.deposit, (0)), err(OperatorVip.ZeroAmount.selector));
    }

    function test_a_transfer_to_its_address_changes_no_figure() public {
        token.mint(vip, 777);
        eq(_pool.idle(), 5000, "idle");
    }

    function test_a_token_that_keeps_a_fee_is_refused() public {
        FeeToken fee = new FeeToken();
        OperatorVip pool = new OperatorVip(vipe, address(fee), counterparty, 10);
        fee.mint(counterparty, 1000);
        does(address(fee), counterparty, 0, abi.encodeCall(fee.approve, (address(pool), 1000)));
        refuses(
            address(pool),
            counterparty,
            0,
            abi.encodeCall(pool.deposit, (1000)),
            abi.encodeWithSelector(OperatorVip.WrongAmountReceived.selector, 1000, 990)
        );
    }

    function test_it_accepts_a_channel_with_an_allocation() public {
        uint56 id = _liveChannel(100, 400);
        eq(_pool.idle(), 4600, "idle");
        eq(vipe.escrow(id, 2), 500, "escrow");
        eq(token.allowance(vip, address(vipe)), 0, "no allowance is left");
        does(vip, counterparty, 0, abi.encodeCall(_pool.allocate, (id, 50)));
        eq(vipe.escrow(id, 3), 550, "escrow");
        eq(_pool.idle(), 4550, "idle");
    }

    function test_a_channel_of_one_base_unit_cannot_lock_the_pool() public {
        uint56 id = _liveChannel(100, 1000);
        refuses(
            vip,
            counterparty,
            0,
            abi.encodeCall(_pool.allocate, (id, 1)),
            abi.encodeWithSelector(OperatorVip.RatioExceeded.selector, 1001, 1000)
        );
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (id, 1)));
        does(vip, counterparty, 0, abi.encodeCall(_pool.allocate, (id, 10)));
        eq(_pool.idle(), 3990, "idle");
    }

    function test_a_channel_of_another_pool_or_operator_is_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.vip = address(0x1234);
        uint56 id = _open(r);
        bytes memory why = abi.encodeWithSelector(OperatorVip.ForeignChannel.selector, id);
        refuses(vip, counterparty, 0, _acceptCall(id, r, 10), why);
        r = _request(100);
        r.counterparty = stranger;
        id = _open(r);
        why = abi.encodeWithSelector(OperatorVip.ForeignChannel.selector, id);
        refuses(vip, counterparty, 0, _acceptCall(id, r, 10), why);
    }

    function test_more_than_is_idle_cannot_be_allocated() public {
        uint56 id = _liveChannel(1000, 4000);
        refuses(
            vip,
            counterparty,
            0,
            abi.encodeCall(_pool.allocate, (id, 1001)),
            abi.encodeWithSelector(OperatorVip.IdleTooSmall.selector, 1000, 1001)
        );
        refuses(vip, counterparty, 0, abi.encodeCall(_pool.allocate, (id, 0)), err(OperatorVip.ZeroAmount.selector));
    }

    function test_anybody_collects_what_the_vault_owes_it() public {
        uint56 id = _liveChannel(1000, 400);
        _dispute(id, counterparty, _state(5, 2, 300), 1100);
        _settle(id);
        does(vip, stranger, 0, abi.encodeCall(_pool.collect, ()));
        eq(_pool.idle(), 4600 + 1100, "idle");
        eq(token.balanceOf(vip), 4600 + 1100, "held");
        refuses(vip, stranger, 0, abi.encodeCall(_pool.collect, ()), err(IVipeErrors.NothingToClaim.selector));
    }

    function test_draining_the_pool_touches_no_channels_escrow() public {
        uint56 id = _liveChannel(1000, 400);
        does(vip, counterparty, 0, abi.encodeCall(_pool.withdraw, (4600, counterparty)));
        eq(token.balanceOf(vip), 0, "drained");
        _dispute(id, participant, _state(5, 2, 1400), 1400);
        _settle(id);
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimAsset, (address(token), tower)));
        eq(token.balanceOf(tower), 1400, "the participant is paid in full");
    }

    function test_construction_refuses_what_is_missing() public {
        bytes memory code = type(OperatorVip).creationCode;
        isTrue(!_makes(code, abi.encode(address(0), token, counterparty, 10)), "vault");
        isTrue(!_makes(code, abi.encode(vipe, address(0), counterparty, 10)), "asset");
        isTrue(!_makes(code, abi.encode(vipe, token, address(0), 10)), "operator");
        isTrue(!_makes(code, abi.encode(vipe, token, counterparty, 0)), "ratio");
        isTrue(_makes(code, abi.encode(vipe, token, counterparty, 1)), "all good");
    }

    function _makes(bytes memory code, bytes memory arguments) private returns (bool) {
        bytes memory all = bytes.concat(code, arguments);
        address made;
        assembly {
            made := create(0, add(all, 0x20), mload(all))
        }
        return made != address(0);
    }
}
