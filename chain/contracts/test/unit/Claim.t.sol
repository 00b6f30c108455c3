// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {HookToken} from "../mocks/Tokens.sol";
import {EtherReenterer, EtherRefuser} from "../mocks/Wallets.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice claimAsset, claimEther, and the lock over all entry points: Claim.tree.
contract ClaimTest is VipeTest {
    bytes4 private constant REENTERED = bytes4(keccak256("ReentrancyGuardReentrantCall()"));

    function _asset(address to) private view returns (bytes memory) {
        return abi.encodeCall(vipe.claimAsset, (address(token), to));
    }

    function _ether(address to) private view returns (bytes memory) {
        return abi.encodeCall(vipe.claimEther, (payable(to)));
    }

    function _settled() private {
        uint56 id = _live(600, 400);
        does(address(vipe), participant, 1 ether, _disputeCall(id, participant, _state(3, 2, 500), 500));
        _settle(id);
    }

    function test_a_receiver_that_would_lose_the_money_is_refused() public {
        _settled();
        refuses(address(vipe), participant, 0, _asset(address(0)), err(IVipeErrors.ZeroAddress.selector));
        refuses(
            address(vipe),
            participant,
            0,
            _asset(address(vipe)),
            abi.encodeWithSelector(IVipeErrors.SameAccount.selector, address(vipe))
        );
        refuses(address(vipe), participant, 0, _ether(address(0)), err(IVipeErrors.ZeroAddress.selector));
        refuses(address(vipe), participant, 0, _ether(address(vipe)), err(IVipeErrors.EtherTransferFailed.selector));
    }

    function test_who_has_no_credit_is_refused() public {
        _settled();
        refuses(address(vipe), stranger, 0, _asset(stranger), err(IVipeErrors.NothingToClaim.selector));
        refuses(address(vipe), stranger, 0, _ether(stranger), err(IVipeErrors.NothingToClaim.selector));
    }

    function test_an_asset_credit_is_sent_whole_and_once() public {
        _settled();
        address to = address(0xd00d);
        vm.expectEmit(address(vipe));
        emit IVipe.AssetClaimed(participant, address(token), to, 500);
        bytes memory returned = does(address(vipe), participant, 0, _asset(to));
        eq(abi.decode(returned, (uint256)), 500, "returned");
        eq(token.balanceOf(to), 500, "received");
        refuses(address(vipe), participant, 0, _asset(to), err(IVipeErrors.NothingToClaim.selector));
    }

    function test_an_ether_credit_is_sent_whole_and_once() public {
        _settled();
        address to = address(0xd00d);
        vm.expectEmit(address(vipe));
        emit IVipe.EtherClaimed(participant, to, 1 ether);
        does(address(vipe), participant, 0, _ether(to));
        eq(to.balance, 1 ether, "received");
        eq(address(vipe).balance, 0, "nothing stays");
        refuses(address(vipe), participant, 0, _ether(to), err(IVipeErrors.NothingToClaim.selector));
    }

    function test_a_receiver_that_reverts_holds_up_nobody_else() public {
        EtherRefuser refuser = new EtherRefuser();
        uint56 id = _live(6e18, 4e18);
        _dispute(id, participant, _state(3, 2, 5e18), 5e18);
        _override(id, stranger, _state(4, 2, 1e18), address(refuser), 0);
        _settle(id);
        uint256 credit = vipe.etherCredit(address(refuser));
        isTrue(credit > 0, "it has earned");
        refuses(
            address(vipe), address(refuser), 0, _ether(address(refuser)), err(IVipeErrors.EtherTransferFailed.selector)
        );
        eq(vipe.etherCredit(address(refuser)), credit, "the credit stays");
        does(address(vipe), participant, 0, _ether(participant));
        does(address(vipe), counterparty, 0, _ether(counterparty));
        does(address(vipe), address(refuser), 0, _ether(tower));
    }

    function test_the_vault_takes_no_ether_by_the_way() public {
        vm.prank(participant);
        (bool ok,) = address(vipe).call{value: 1}("");
        isTrue(!ok, "there is no receive function");
    }

    // ------------------------------------------------------------------------------------------------ reentrancy

    /// @dev Every entry point, with arguments that get as far as the lock.
    function _entries(IVipe v) private returns (bytes[] memory all) {
        IVipe.SessionSignatures memory none;
        IVipe.Withdrawal memory withdrawal;
        IVipe.Closing memory closing;
        IVipe.ExitOrder memory order;
        all = new bytes[](14);
        all[0] = abi.encodeCall(v.open, (_request(1)));
        all[1] = abi.encodeCall(v.accept, (1, 0, type(uint64).max, ""));
        all[2] = abi.encodeCall(v.cancel, (1));
        all[3] = abi.encodeCall(v.deposit, (1, 1));
        all[4] = abi.encodeCall(v.allocate, (1, 1));
        all[5] = abi.encodeCall(v.dispute, (1, _state(0, 0, 0), 0, _key(1), none, ""));
        all[6] = abi.encodeCall(v.overrideState, (1, _state(1, 0, 0), tower, none, ""));
        all[7] = abi.encodeCall(v.settle, (1));
        all[8] = abi.encodeCall(v.claimAsset, (address(token), tower));
        all[9] = abi.encodeCall(v.claimEther, (payable(tower)));
        all[10] = abi.encodeCall(v.withdraw, (1, withdrawal, "", ""));
        all[11] = abi.encodeCall(v.close, (1, closing, "", ""));
        all[12] = abi.encodeCall(v.disputeFor, (1, _state(0, 0, 0), order, _key(1), none, ""));
        all[13] = abi.encodeCall(v.settleMany, (new uint56[](1)));
    }

    function test_a_receiver_of_ether_can_enter_nothing() public {
        EtherReenterer receiver = new EtherReenterer(address(vipe));
        uint56 id = _live(6e18, 4e18);
        _dispute(id, participant, _state(3, 2, 9e18), 9e18);
        bytes[] memory entries = _entries(vipe);
        for (uint256 i = 0; i < entries.length; ++i) {
            _override(id, tower, _state(uint56(4 + i), 2, uint112(8e18 - 1e17 * i)), address(receiver), 0);
            uint256 credit = vipe.etherCredit(address(receiver));
            uint256 before = address(receiver).balance;
            receiver.arm(entries[i]);
            isTrue(receiver.relay(0, _ether(address(receiver))), "the claim itself goes through");
            isTrue(!receiver.reentered(), "the inner call does not");
            eq(receiver.returned(), err(REENTERED), "because of the lock");
            eq(address(receiver).balance - before, credit, "paid once");
        }
    }

    function test_a_token_with_hooks_can_enter_nothing() public {
        HookToken hook = new HookToken();
        vipe = _deploy(_rules(), _caps(address(hook)));
        hook.mint(participant, 1e6);
        does(address(hook), participant, 0, abi.encodeCall(hook.approve, (address(vipe), 1e6)));
        bytes[] memory entries = _entries(vipe);
        for (uint256 i = 0; i < entries.length; ++i) {
            hook.arm(address(vipe), entries[i]);
            IVipe.OpenRequest memory r = _request(1000);
            r.asset = address(hook);
            uint56 id = _open(r);
            isTrue(!hook.reentered(), "the inner call does not go through");
            eq(hook.returned(), err(REENTERED), "because of the lock");
            eq(vipe.escrow(id, 1), 1000, "counted once");
        }
    }
}
