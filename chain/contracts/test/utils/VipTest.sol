// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipErrors} from "../../src/interfaces/IVipErrors.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {ConsentTest} from "./ConsentTest.sol";

/// @notice A pool of `counterparty` beside a deployed vault, and two shareholders.
/// @dev The pool is the checked-in artifact, as the vault is.
abstract contract VipTest is ConsentTest {
    uint16 internal constant RATIO = 10;
    uint64 internal constant LOCKUP = 4 days;
    uint64 internal constant VESTING = 7 days;

    IVip internal pool;
    address internal alice = address(0xa11ce);
    address internal bob = address(0xb0bb1);

    function setUp() public virtual override {
        super.setUp();
        pool = _pool(_terms(address(token)));
        vip = address(pool);
        _rich(alice);
        _rich(bob);
        _rich(counterparty);
        _rich(stranger);
    }

    // ------------------------------------------------------------------------------------------------ deployment

    function _terms(address asset) internal view returns (IVip.Terms memory) {
        return IVip.Terms({
            vault: vipe, asset: asset, operator: counterparty, allocRatio: RATIO, lockup: LOCKUP, gainVesting: VESTING
        });
    }

    /// @notice What creates the artifact.
    function _creation(IVip.Terms memory given) internal view returns (bytes memory) {
        return bytes.concat(vm.getCode("../artifacts/Vip.json"), abi.encode(given, "VIP Development asset", "vipDEV"));
    }

    function _pool(IVip.Terms memory given) internal returns (IVip) {
        bytes memory code = _creation(given);
        address made;
        assembly {
            made := create(0, add(code, 0x20), mload(code))
        }
        isTrue(made != address(0), "the pool deploys");
        return IVip(made);
    }

    function _rich(address account) internal {
        token.mint(account, 1e30);
        does(address(token), account, 0, abi.encodeCall(token.approve, (address(pool), type(uint256).max)));
    }

    // ------------------------------------------------------------------------------------------------ shareholders

    function _join(address who, uint256 assets) internal returns (uint256) {
        return abi.decode(does(vip, who, 0, abi.encodeCall(pool.deposit, (assets, who))), (uint256));
    }

    function _redeem(address who, uint256 shares) internal returns (uint256) {
        return abi.decode(does(vip, who, 0, abi.encodeCall(pool.redeem, (shares, who, who))), (uint256));
    }

    function _withdraw(address who, uint256 assets) internal returns (uint256) {
        return abi.decode(does(vip, who, 0, abi.encodeCall(pool.withdraw, (assets, who, who))), (uint256));
    }

    function _exit(address who, uint256 shares) internal returns (uint256 assets, uint256 exitId) {
        return abi.decode(does(vip, who, 0, abi.encodeCall(pool.exit, (shares, who, who))), (uint256, uint256));
    }

    function _take(address who, uint256 exitId) internal returns (uint256) {
        return abi.decode(does(vip, who, 0, abi.encodeCall(pool.takeExit, (exitId, who))), (uint256));
    }

    function _collect() internal returns (uint256) {
        return abi.decode(does(vip, stranger, 0, abi.encodeCall(pool.collect, ())), (uint256));
    }

    /// @notice What an account has: assets in hand, and its shares at the price of who leaves.
    function _wealth(address who) internal view returns (uint256) {
        return token.balanceOf(who) + pool.convertToAssets(pool.balanceOf(who));
    }

    function _unlock() internal {
        vm.warp(block.timestamp + LOCKUP + LOCKUP / 8);
    }

    function _unvested() internal view returns (uint256 unvested) {
        (,, unvested) = pool.books();
    }

    function _placed() internal view returns (uint256 placed) {
        (placed,,) = pool.books();
    }

    function _owed() internal view returns (uint256 owed) {
        (, owed,) = pool.books();
    }

    // ------------------------------------------------------------------------------------------------ channels

    function _acceptCall(uint56 id, IVipe.OpenRequest memory r, uint112 allocation)
        internal
        view
        returns (bytes memory)
    {
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory consent = _sign65(H_KEY, _consentDigest(id, participant, r, allocation, deadline));
        return abi.encodeCall(pool.accept, (id, allocation, deadline, consent));
    }

    /// @notice A live channel with the pool's allocation.
    function _channel(uint112 amount, uint112 allocation) internal returns (uint56 id) {
        IVipe.OpenRequest memory r = _request(amount);
        id = _open(r);
        if (allocation == 0) {
            uint64 deadline = uint64(block.timestamp) + 60;
            bytes memory consent = _sign65(H_KEY, _consentDigest(id, participant, r, 0, deadline));
            does(address(vipe), stranger, 0, abi.encodeCall(vipe.accept, (id, 0, deadline, consent)));
        } else {
            does(vip, stranger, 0, _acceptCall(id, r, allocation));
        }
    }

    /// @notice Opens a dispute that will pay the pool `toVip`, and goes to its deadline.
    function _due(uint56 id, uint112 toVip) internal {
        uint56 version = vipe.channel(id).version;
        uint112 escrow = vipe.escrow(id, version);
        _dispute(id, counterparty, _state(vipe.channel(id).checkpoint.nonce + 1, version, escrow - toVip), toVip);
        vm.warp(vipe.disputeOf(id).deadline);
    }

    function _settleNow(uint56 id) internal {
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (id)));
    }

    function _end(uint56 id, uint112 toVip) internal {
        _due(id, toVip);
        _settleNow(id);
    }

    function _allocateDigest(uint56 id, uint112 amount, uint64 seq, uint64 deadline) internal view returns (bytes32) {
        bytes32 typeHash = keccak256("Allocate(uint56 channelId,address vip,uint112 amount,uint64 seq,uint64 deadline)");
        return _typed(keccak256(abi.encode(typeHash, id, vip, amount, seq, deadline)));
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function _locked(address who, uint256 free, uint256 wanted) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IVipErrors.SharesAreLocked.selector, who, free, wanted);
    }

    function _badReceiver(address who) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IVipErrors.BadReceiver.selector, who);
    }
}
