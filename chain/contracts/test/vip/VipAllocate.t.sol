// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipErrors} from "../../src/interfaces/IVipErrors.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {OneDigestWallet} from "../mocks/Wallets.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice accept, allocate, allocateWithSignature, skipAllocation: VipAllocate.tree.
contract VipAllocateTest is VipTest {
    function setUp() public override {
        super.setUp();
        _join(alice, 5000);
    }

    function _allocateCall(uint56 id, uint112 amount) private view returns (bytes memory) {
        return abi.encodeCall(pool.allocate, (id, amount));
    }

    function _signedCall(uint256 key, uint56 id, uint112 amount, uint64 seq, uint64 deadline)
        private
        view
        returns (bytes memory)
    {
        bytes memory signature = _sign65(key, _allocateDigest(id, amount, seq, deadline));
        return abi.encodeCall(pool.allocateWithSignature, (id, amount, deadline, signature));
    }

    function test_anybody_brings_the_operators_consent_with_its_allocation() public {
        IVipe.OpenRequest memory r = _request(100);
        uint56 id = _open(r);
        vm.expectEmit(vip);
        emit IVip.Allocated(id, 400, 1);
        does(vip, stranger, 0, _acceptCall(id, r, 400));
        eq(pool.idle(), 4600, "idle");
        eq(_placed(), 400, "placed");
        eq(pool.totalAssets(), 5000, "at cost");
        eq(vipe.escrow(id, 2), 500, "escrow");
        eq(token.allowance(vip, address(vipe)), 0, "no allowance is left");
    }

    function test_a_consent_that_is_not_the_operators_is_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        uint56 id = _open(r);
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory consent = _sign65(P_KEY, _consentDigest(id, participant, r, 400, deadline));
        bytes memory call = abi.encodeCall(pool.accept, (id, 400, deadline, consent));
        refuses(vip, counterparty, 0, call, err(IVipeErrors.ConsentRefused.selector));
        consent = _sign65(H_KEY, _consentDigest(id, participant, r, 399, deadline));
        call = abi.encodeCall(pool.accept, (id, 400, deadline, consent));
        refuses(vip, counterparty, 0, call, err(IVipeErrors.ConsentRefused.selector));
    }

    function test_the_operator_allocates_by_its_own_call() public {
        uint56 id = _channel(100, 400);
        does(vip, counterparty, 0, _allocateCall(id, 50));
        eq(vipe.escrow(id, 3), 550, "escrow");
        eq(pool.idle(), 4550, "idle");
        eq(pool.allocationSeq(id), 2, "two allocations");
        refuses(vip, stranger, 0, _allocateCall(id, 1), err(IVipErrors.NotOperator.selector));
        refuses(vip, alice, 0, _allocateCall(id, 1), err(IVipErrors.NotOperator.selector));
    }

    function test_anybody_allocates_with_the_operators_signature_once() public {
        uint56 id = _channel(100, 400);
        uint64 deadline = uint64(block.timestamp);
        bytes memory call = _signedCall(H_KEY, id, 50, 1, deadline);
        does(vip, stranger, 0, call);
        eq(pool.idle(), 4550, "idle");
        eq(_placed(), 450, "placed");
        refuses(vip, stranger, 0, call, err(IVipErrors.AllocationRefused.selector));
    }

    function test_a_signature_is_for_one_channel_amount_pool_seq_and_time() public {
        uint56 id = _channel(100, 400);
        uint56 other = _channel(100, 400);
        uint64 deadline = uint64(block.timestamp);
        bytes memory signature = _sign65(H_KEY, _allocateDigest(id, 50, 1, deadline));
        bytes memory why = err(IVipErrors.AllocationRefused.selector);
        bytes memory call = abi.encodeCall(pool.allocateWithSignature, (id, 51, deadline, signature));
        refuses(vip, stranger, 0, call, why);
        call = abi.encodeCall(pool.allocateWithSignature, (other, 50, deadline, signature));
        refuses(vip, stranger, 0, call, why);
        call = abi.encodeCall(pool.allocateWithSignature, (id, 50, deadline + 1, signature));
        refuses(vip, stranger, 0, call, why);
        refuses(vip, stranger, 0, _signedCall(H_KEY, id, 50, 0, deadline), why);
        refuses(vip, stranger, 0, _signedCall(H_KEY, id, 50, 2, deadline), why);
        refuses(vip, stranger, 0, _signedCall(P_KEY, id, 50, 1, deadline), why);
        IVip second = _pool(_terms(address(token)));
        call = abi.encodeCall(second.allocateWithSignature, (id, 50, deadline, signature));
        refuses(address(second), stranger, 0, call, why);
        vm.warp(deadline + 1);
        why = abi.encodeWithSelector(IVipErrors.AllocationExpired.selector, deadline);
        refuses(vip, stranger, 0, _signedCall(H_KEY, id, 50, 1, deadline), why);
    }

    function test_the_operator_voids_its_signature() public {
        uint56 id = _channel(100, 400);
        bytes memory call = _signedCall(H_KEY, id, 50, 1, uint64(block.timestamp));
        bytes memory skip = abi.encodeCall(pool.skipAllocation, (id));
        refuses(vip, stranger, 0, skip, err(IVipErrors.NotOperator.selector));
        vm.expectEmit(vip);
        emit IVip.AllocationSkipped(id, 2);
        does(vip, counterparty, 0, skip);
        refuses(vip, stranger, 0, call, err(IVipErrors.AllocationRefused.selector));
    }

    function test_a_wallet_contract_operates_a_pool() public {
        OneDigestWallet wallet = new OneDigestWallet();
        counterparty = address(wallet);
        pool = _pool(_terms(address(token)));
        vip = address(pool);
        does(address(token), alice, 0, abi.encodeCall(token.approve, (vip, 1000)));
        _join(alice, 1000);
        IVipe.OpenRequest memory r = _request(100);
        uint56 id = _open(r);
        uint64 deadline = uint64(block.timestamp);
        wallet.approve(_consentDigest(id, participant, r, 400, deadline));
        does(vip, stranger, 0, abi.encodeCall(pool.accept, (id, 400, deadline, "")));
        wallet.approve(_allocateDigest(id, 50, 1, deadline));
        does(vip, stranger, 0, abi.encodeCall(pool.allocateWithSignature, (id, 50, deadline, "")));
        eq(_placed(), 450, "placed");
    }

    function test_a_channel_of_one_base_unit_cannot_lock_the_pool() public {
        uint56 id = _channel(100, 1000);
        bytes memory why = abi.encodeWithSelector(IVipErrors.RatioExceeded.selector, 1001, 1000);
        refuses(vip, counterparty, 0, _allocateCall(id, 1), why);
        refuses(vip, stranger, 0, _signedCall(H_KEY, id, 1, 1, uint64(block.timestamp)), why);
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (id, 1)));
        does(vip, counterparty, 0, _allocateCall(id, 10));
        eq(pool.idle(), 3990, "idle");
    }

    function test_a_channel_of_another_pool_or_operator_is_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.vip = address(0x1234);
        uint56 id = _open(r);
        bytes memory why = abi.encodeWithSelector(IVipErrors.ForeignChannel.selector, id);
        refuses(vip, counterparty, 0, _acceptCall(id, r, 10), why);
        refuses(vip, counterparty, 0, _allocateCall(id, 10), why);
        r = _request(100);
        r.counterparty = stranger;
        id = _open(r);
        why = abi.encodeWithSelector(IVipErrors.ForeignChannel.selector, id);
        refuses(vip, counterparty, 0, _acceptCall(id, r, 10), why);
    }

    function test_no_more_than_is_idle_and_not_nothing_is_allocated() public {
        uint56 id = _channel(1000, 4000);
        bytes memory why = abi.encodeWithSelector(IVipErrors.IdleTooSmall.selector, 1000, 1001);
        refuses(vip, counterparty, 0, _allocateCall(id, 1001), why);
        refuses(vip, counterparty, 0, _allocateCall(id, 0), err(IVipErrors.ZeroAmount.selector));
    }

    function test_what_is_set_aside_for_the_queue_is_not_the_operators_to_allocate() public {
        uint56 id = _channel(500, 4000);
        uint56 other = _channel(500, 500);
        _unlock();
        (, uint256 exitId) = _exit(alice, pool.balanceOf(alice) / 2);
        _end(id, 4000);
        _collect();
        uint256 free = pool.idle();
        isTrue(pool.setAside() > 0 && token.balanceOf(vip) == free + pool.setAside(), "set aside");
        bytes memory why = abi.encodeWithSelector(IVipErrors.IdleTooSmall.selector, free, free + 1);
        refuses(vip, counterparty, 0, _allocateCall(other, uint112(free + 1)), why);
        does(vip, counterparty, 0, _allocateCall(other, uint112(free)));
        isTrue(_take(alice, exitId) > 0, "the queue's money is still there");
    }

    function test_draining_the_pool_touches_no_channels_escrow() public {
        uint56 id = _channel(1000, 400);
        _unlock();
        _withdraw(alice, 2000);
        uint256 left = pool.idle();
        uint56 sink = _channel(1000, uint112(left));
        _end(sink, 0);
        eq(pool.totalAssets(), 400, "all is lost but what the other channel cost");
        eq(vipe.escrow(id, 2), 1400, "and that one is as it was");
        _dispute(id, participant, _state(5, 2, 1400), 1400);
        _settle(id);
        uint256 before = token.balanceOf(tower);
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimAsset, (address(token), tower)));
        eq(token.balanceOf(tower) - before, 1400 + 1000 + left, "the participant is paid in full, by both");
        eq(pool.totalAssets(), 0, "a pool of nothing");
    }
}
