// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {Weth} from "../mocks/Weth.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice Ether as an asset: Weth.tree.
contract WethTest is VipTest {
    Weth private _weth;

    function setUp() public override {
        super.setUp();
        _weth = new Weth();
        vipe = _deploy(_rules(), _caps(address(_weth)));
        pool = _pool(_terms(address(_weth)));
        vip = address(pool);
        vm.deal(participant, 106 ether);
        vm.deal(alice, 40 ether);
        _wrap(participant, 6 ether, address(vipe));
        _wrap(alice, 40 ether, vip);
    }

    function _wrap(address who, uint256 amount, address spender) private {
        does(address(_weth), who, amount, abi.encodeCall(_weth.deposit, ()));
        does(address(_weth), who, 0, abi.encodeCall(_weth.approve, (spender, amount)));
    }

    function _unwrap(address who) private returns (uint256 amount) {
        amount = _weth.balanceOf(who);
        does(address(_weth), who, 0, abi.encodeCall(_weth.withdraw, (amount)));
    }

    function _wethRequest(uint112 amount) private returns (IVipe.OpenRequest memory r) {
        r = _request(amount);
        r.asset = address(_weth);
    }

    function test_ether_goes_in_wrapped_and_comes_out_of_a_dispute_and_of_the_pool_to_the_wei() public {
        _join(alice, 40 ether);
        IVipe.OpenRequest memory r = _wethRequest(6 ether);
        uint56 id = _open(r);
        does(vip, stranger, 0, _acceptCall(id, r, 4 ether));
        eq(_weth.balanceOf(address(vipe)), 10 ether, "escrow, wrapped");
        eq(_weth.allowance(vip, address(vipe)), 0, "no allowance is left");
        eq(address(vipe).balance, 0, "and no plain ether");

        _dispute(id, participant, _state(3, 2, 9 ether), 9 ether);
        eq(address(vipe).balance, FEE_FLOOR + _bond(9 ether), "bond and fee, plain");
        _override(id, tower, _state(8, 2, 7 ether), tower, 0);
        _settle(id);
        eq(_weth.balanceOf(address(vipe)), 10 ether, "an end moves credits, not money");
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimAsset, (address(_weth), participant)));
        does(address(vipe), participant, 0, abi.encodeCall(vipe.claimEther, (payable(participant))));
        eq(_unwrap(participant), 5 ether, "7 that stood, less a slash of 2");
        uint256 struck = _bond(9 ether) - _bond(7 ether);
        eq(participant.balance, 105 ether - FEE_FLOOR - struck, "the attacker is short of the fee and what was struck");

        eq(_collect(), 5 ether, "home");
        vm.warp(vipe.disputeOf(id).deadline + VESTING);
        (uint256 assets,) = _exit(alice, pool.balanceOf(alice));
        eq(_unwrap(alice), assets, "unwrapped");
        eq(alice.balance, 41 ether - 1, "hers, and the gain of 1, rounded down");
        eq(_weth.balanceOf(address(vipe)), 0, "nothing wrapped stays in the vault");
        eq(address(vipe).balance, struck + FEE_FLOOR, "what the tower and the victim have not claimed");
        eq(vipe.etherCredit(tower) + vipe.etherCredit(counterparty), struck + FEE_FLOOR, "is theirs");
    }

    function test_who_wrapped_less_than_it_deposits_opens_nothing() public {
        bytes memory data = abi.encodeCall(vipe.open, (_wethRequest(6 ether + 1)));
        vm.prank(participant);
        (bool ok,) = address(vipe).call(data);
        isTrue(!ok, "refused");
        eq(vipe.channelCount(), 0, "no channel");
        eq(_weth.balanceOf(participant), 6 ether, "nothing moved");
    }
}
