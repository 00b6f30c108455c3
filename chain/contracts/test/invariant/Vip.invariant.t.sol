// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {Check} from "../utils/Check.sol";
import {VipHandler} from "./VipHandler.sol";

interface IBalance {
    function balanceOf(address account) external view returns (uint256);
}

/// @notice What holds after any sequence of valid calls. That no price falls by what a shareholder does, that nobody is richer by
/// it, that a loss counts at once and a gain does not is asserted inside the handler's actions.
contract VipInvariantTest is Check {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant ACTIONS = 18;

    VipHandler private _handler;
    IVip private _pool;
    IVipe private _vipe;
    address private _token;

    function setUp() public {
        _handler = new VipHandler();
        (_pool, _vipe, _token) = _handler.parts();
    }

    /// @dev Read by forge: what it may call.
    function targetContracts() external view returns (address[] memory all) {
        all = new address[](1);
        all[0] = address(_handler);
    }

    /// @dev Read by forge: the actions, without what the handler inherits.
    function targetSelectors() external view returns (FuzzSelector[] memory all) {
        bytes4[] memory actions = new bytes4[](15);
        actions[0] = _handler.join.selector;
        actions[1] = _handler.depart.selector;
        actions[2] = _handler.exit.selector;
        actions[3] = _handler.take.selector;
        actions[4] = _handler.send.selector;
        actions[5] = _handler.open.selector;
        actions[6] = _handler.allocate.selector;
        actions[7] = _handler.fund.selector;
        actions[8] = _handler.dispute.selector;
        actions[9] = _handler.settle.selector;
        actions[10] = _handler.collect.selector;
        actions[11] = _handler.donate.selector;
        actions[12] = _handler.pass.selector;
        actions[13] = _handler.withdraw.selector;
        actions[14] = _handler.close.selector;
        all = new FuzzSelector[](1);
        all[0] = FuzzSelector(address(_handler), actions);
    }

    function invariant_the_pool_holds_what_it_counts() public view {
        uint256 counted = _pool.idle() + _pool.setAside() + _handler.donated();
        eq(IBalance(_token).balanceOf(address(_pool)), counted, "held");
    }

    function invariant_the_books_are_those_of_the_channels() public view {
        uint256 cost = 0;
        for (uint256 i = 0; i < _handler.channels(); ++i) {
            uint56 id = _handler.ids(i);
            IVipe.Channel memory c = _vipe.channel(id);
            if (c.status != IVipe.Status.Live && c.status != IVipe.Status.Disputed) continue;
            (, int128 h) = _vipe.ledger(id, c.version);
            if (h > 0) cost += uint256(int256(h));
        }
        (uint256 placed, uint256 owed, uint256 unvested) = _pool.books();
        eq(placed, cost, "the sum of all costs");
        (, uint128 gained) = _vipe.position(address(_pool), _token);
        eq(gained, _handler.gains(), "the sum of all gains");
        eq(owed, _vipe.assetCredit(address(_pool), _token), "the vault's credit");
        eq(_pool.totalAssets(), _pool.idle() + placed + owed - unvested, "the sum of its parts");
        isTrue(unvested <= gained, "no more is held back than was gained");
    }

    function invariant_the_queue_is_covered() public view {
        uint256 due = 0;
        uint256 waiting = 0;
        for (uint256 i = 0; i < _handler.requests(); ++i) {
            IVip.Exit memory e = _pool.exitOf(_handler.exits(i));
            due += e.assets;
            waiting += e.shares;
        }
        isTrue(due <= _pool.setAside(), "what is due is set aside");
        isTrue(waiting <= _pool.queuedShares(), "what waits is queued");
        isTrue(waiting + _handler.requests() >= _pool.queuedShares(), "all that is queued is somebody's");
        eq(_pool.queuedShares(), _pool.balanceOf(address(_pool)), "the pool's own shares");
    }

    function invariant_shares_are_whole_and_locks_within_them() public view {
        uint256 shares = _pool.queuedShares();
        for (uint256 i = 0; i < 3; ++i) {
            address owner = _handler.owners(i);
            (uint256 locked,) = _pool.lockedShares(owner);
            isTrue(locked <= _pool.balanceOf(owner), "locked shares are owned");
            isTrue(_pool.maxWithdraw(owner) <= _pool.idle(), "only idle assets leave");
            isTrue(_pool.maxRedeem(owner) + locked <= _pool.balanceOf(owner), "only free shares leave");
            shares += _pool.balanceOf(owner);
        }
        eq(_pool.totalSupply(), shares, "supply");
    }

    /// @notice The invariants would hold of a handler that does nothing: here it does everything, many times.
    function test_the_handler_reaches_every_action() public {
        uint256 random = 0x56524334;
        for (uint256 life = 0; life < 8; ++life) {
            setUp();
            for (uint256 i = 0; i < 300; ++i) {
                random = uint256(keccak256(abi.encode(random)));
                _act(random % 18, random >> 8, random >> 80, random >> 192);
            }
            invariant_the_pool_holds_what_it_counts();
            invariant_the_books_are_those_of_the_channels();
            invariant_the_queue_is_covered();
            invariant_shares_are_whole_and_locks_within_them();
            for (uint256 i = 0; i < ACTIONS; ++i) {
                _reached[i] += _handler.count(VipHandler.Action(i));
            }
        }
        for (uint256 i = 0; i < ACTIONS; ++i) {
            isTrue(_reached[i] >= 5, string.concat("hardly reached: ", vm.toString(i), ": ", vm.toString(_reached[i])));
        }
    }

    uint256[18] private _reached;

    function _act(uint256 action, uint256 a, uint256 b, uint256 c) private {
        if (action < 2) _handler.join(a, b, c % 2 == 0);
        if (action == 2) _handler.depart(a, b, c % 2 == 0);
        if (action == 3) _handler.exit(a, b);
        if (action == 4) _handler.take(a);
        if (action == 5) _handler.send(a, b, c);
        if (action == 6 || action == 7) _handler.open(a, b);
        if (action == 8) _handler.allocate(a, b, c % 2 == 0);
        if (action == 9) _handler.fund(a, b);
        if (action == 10) _handler.dispute(a, b);
        if (action == 11) _handler.settle(a);
        if (action == 12) _handler.collect();
        if (action == 13) _handler.donate(a);
        if (action == 14) _handler.withdraw(a, b, c);
        if (action == 15) _handler.close(a, b);
        if (action > 15) _handler.pass(uint32(a));
    }
}
