// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVip} from "../../src/interfaces/IVip.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {VipTest} from "../utils/VipTest.sol";

/// @notice Drives a pool and its vault in random order: every call is valid, so none may revert. Channels gain and lose by
/// dispute, in whatever order and without anybody telling the pool; strangers give to it.
/// Keeps its own books, from which the invariants are checked, and asserts around each action what it may move.
contract VipHandler is VipTest {
    /// @notice How often each action had an effect.
    enum Action {
        Join,
        Leave,
        Exit,
        Take,
        Send,
        Open,
        Allocate,
        Fund,
        Dispute,
        Gain,
        Loss,
        TotalLoss,
        Collect,
        PayQueue,
        Donate,
        Pass,
        Withdraw,
        Close
    }

    struct Snapshot {
        uint256 assets;
        uint256 gross;
        uint256 supply;
        uint256 wealth;
        uint256 most;
    }

    uint256 private constant MOST_CHANNELS = 12;
    uint256 private constant VIRTUAL = 1e6;

    address[] public owners;
    uint56[] public ids;
    uint256[] public exits;
    mapping(Action => uint256) public count;
    /// @notice Sent to the pool's address without being asked.
    uint256 public donated;
    /// @notice Sum over all ended channels of what they paid beyond their cost.
    uint256 public gains;
    mapping(uint56 => uint112) private _toVip;

    constructor() {
        setUp();
        owners = [alice, bob, stranger];
    }

    function parts() external view returns (IVip, IVipe, address) {
        return (pool, vipe, address(token));
    }

    function channels() external view returns (uint256) {
        return ids.length;
    }

    function requests() external view returns (uint256) {
        return exits.length;
    }

    // ------------------------------------------------------------------------------------------------ shareholders

    function join(uint256 who, uint256 assets, bool minted) external {
        address owner = owners[who % 3];
        assets = bound(assets, 1, 1e27);
        uint256 shares = pool.previewDeposit(assets);
        if (shares == 0 || assets > pool.maxDeposit(owner)) return;
        Snapshot memory s = _snapshot(owner);
        if (minted) does(vip, owner, 0, abi.encodeCall(pool.mint, (shares, owner)));
        else _join(owner, assets);
        _noPriceFalls(s, owner);
        ++count[Action.Join];
    }

    function depart(uint256 who, uint256 amount, bool redeemed) external {
        address owner = owners[who % 3];
        Snapshot memory s = _snapshot(owner);
        if (redeemed) {
            uint256 shares = bound(amount, 0, pool.maxRedeem(owner));
            if (pool.previewRedeem(shares) == 0) return;
            _redeem(owner, shares);
        } else {
            uint256 assets = bound(amount, 0, pool.maxWithdraw(owner));
            if (assets == 0) return;
            _withdraw(owner, assets);
        }
        _noPriceFalls(s, owner);
        ++count[Action.Leave];
    }

    function exit(uint256 who, uint256 shares) external {
        address owner = owners[who % 3];
        uint256 free = _free(owner);
        if (free == 0) return;
        Snapshot memory s = _snapshot(owner);
        (, uint256 id) = _exit(owner, bound(shares, 1, free));
        if (id != 0) {
            exits.push(id);
            ++count[Action.Exit];
        }
        _noPriceFalls(s, owner);
    }

    function take(uint256 pick) external {
        if (exits.length == 0) return;
        uint256 id = exits[pick % exits.length];
        address owner = pool.exitOf(id).owner;
        if (owner == address(0)) return;
        Snapshot memory s = _snapshot(owner);
        if (_take(owner, id) != 0) ++count[Action.Take];
        _noPriceFalls(s, owner);
    }

    function send(uint256 from, uint256 to, uint256 shares) external {
        address owner = owners[from % 3];
        uint256 free = _free(owner);
        if (free == 0) return;
        does(vip, owner, 0, abi.encodeCall(pool.transfer, (owners[to % 3], bound(shares, 0, free))));
        ++count[Action.Send];
    }

    // ------------------------------------------------------------------------------------------------ channels

    function open(uint256 amount, uint256 share) external {
        if (_living() >= MOST_CHANNELS) return;
        uint112 put = uint112(bound(amount, 1, 1e26));
        uint256 most = pool.idle() < uint256(put) * RATIO ? pool.idle() : uint256(put) * RATIO;
        Snapshot memory s = _snapshot(alice);
        ids.push(_channel(put, uint112(bound(share, 0, most))));
        _noPriceFalls(s, alice);
        ++count[Action.Open];
    }

    function allocate(uint256 pick, uint256 amount, bool signed) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        uint112 put = uint112(bound(amount, 0, _room(id)));
        if (put == 0) return;
        uint256 uncounted = _below(id);
        if (uncounted > put) uncounted = put;
        uint256 before = pool.totalAssets();
        if (signed) _allocateSigned(id, put);
        else does(vip, counterparty, 0, abi.encodeCall(pool.allocate, (id, put)));
        eq(pool.totalAssets(), before > uncounted ? before - uncounted : 0, "capital counts at cost");
        ++count[Action.Allocate];
    }

    function _allocateSigned(uint56 id, uint112 put) private {
        uint64 until = uint64(block.timestamp);
        bytes memory signature = _sign65(H_KEY, _allocateDigest(id, put, pool.allocationSeq(id), until));
        does(vip, stranger, 0, abi.encodeCall(pool.allocateWithSignature, (id, put, until, signature)));
    }

    /// @dev What may still go into a channel.
    function _room(uint56 id) private view returns (uint256) {
        (int128 p,) = vipe.ledger(id, vipe.channel(id).version);
        uint256 limit = p > 0 ? uint256(int256(p)) * RATIO : 0;
        uint256 cost = _costOf(id);
        uint256 room = limit > cost ? limit - cost : 0;
        return pool.idle() < room ? pool.idle() : room;
    }

    /// @dev By how much the pool took out more than it put in: so much of what is put back does not count.
    function _below(uint56 id) private view returns (uint256) {
        (, int128 h) = vipe.ledger(id, vipe.channel(id).version);
        return h < 0 ? uint256(-int256(h)) : 0;
    }

    function fund(uint256 pick, uint256 amount) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (id, uint112(bound(amount, 1, 1e26)))));
        ++count[Action.Fund];
    }

    function dispute(uint256 pick, uint256 amount) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        uint56 version = vipe.channel(id).version;
        uint112 escrow = vipe.escrow(id, version);
        uint56 nonce = vipe.channel(id).checkpoint.nonce + 1;
        uint112 toVip = amount % 5 == 0 ? 0 : uint112(bound(amount, 0, escrow));
        _dispute(id, counterparty, _state(nonce, version, escrow - toVip), toVip);
        _toVip[id] = toVip;
        ++count[Action.Dispute];
    }

    function settle(uint256 pick) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Disputed);
        if (!found || block.timestamp < vipe.disputeOf(id).deadline) return;
        uint256 cost = _costOf(id);
        Snapshot memory s = _snapshot(alice);
        _settleNow(id);
        _ended(s, cost, _toVip[id]);
    }

    /// @notice Both parties take something out.
    function withdraw(uint256 pick, uint256 toVip, uint256 toParticipant) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        uint56 version = vipe.channel(id).version;
        uint112 escrow = vipe.escrow(id, version);
        (, int128 h) = vipe.ledger(id, version);
        uint112 paid = uint112(bound(toVip, 0, escrow));
        uint112 out = uint112(bound(toParticipant, 0, escrow - paid));
        Snapshot memory s = _snapshot(alice);
        _withdraw(id, _state(vipe.channel(id).checkpoint.nonce + 1, version, escrow - paid), out, paid);
        uint256 cost = h > 0 ? uint256(int256(h)) : 0;
        if (paid > cost) gains += paid - cost;
        eq(pool.totalAssets(), s.assets, "neither capital nor a gain changes the price");
        ++count[Action.Withdraw];
    }

    /// @notice Both parties agree on an end.
    function close(uint256 pick, uint256 toVip) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found || pick % 4 != 0) return;
        uint112 escrow = vipe.escrow(id, vipe.channel(id).version);
        uint112 paid = uint112(bound(toVip, 0, escrow));
        uint256 cost = _costOf(id);
        Snapshot memory s = _snapshot(alice);
        _close(id, 0, escrow - paid, paid);
        _ended(s, cost, paid);
        ++count[Action.Close];
    }

    function collect() external {
        Snapshot memory s = _snapshot(alice);
        uint256 aside = pool.setAside();
        if (_collect() != 0) ++count[Action.Collect];
        if (pool.setAside() != aside) ++count[Action.PayQueue];
        // what each of at most two rounds is paid is rounded down, in favour of whoever stays
        _noPriceFalls(s, alice, 2);
        eq(_owed(), 0, "all is home");
    }

    function donate(uint256 amount) external {
        amount = bound(amount, 1, 1e27);
        Snapshot memory s = _snapshot(alice);
        token.mint(vip, amount);
        donated += amount;
        eq(pool.totalAssets(), s.assets, "a transfer changes no figure");
        ++count[Action.Donate];
    }

    function pass(uint32 time) external {
        uint256 before = pool.totalAssets();
        vm.warp(block.timestamp + bound(time, 1, 2 days));
        isTrue(pool.totalAssets() >= before, "time only releases");
        ++count[Action.Pass];
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _costOf(uint56 id) private view returns (uint256) {
        (, int128 h) = vipe.ledger(id, vipe.channel(id).version);
        return h > 0 ? uint256(int256(h)) : 0;
    }

    /// @dev A channel that cost the pool `cost` has ended and paid it `paid`.
    function _ended(Snapshot memory s, uint256 cost, uint256 paid) private {
        if (paid >= cost) {
            gains += paid - cost;
            eq(pool.totalAssets(), s.assets, "a gain is held back");
            if (paid > cost) ++count[Action.Gain];
        } else {
            uint256 loss = cost - paid;
            eq(pool.totalAssets(), s.assets > loss ? s.assets - loss : 0, "a loss counts at once");
            ++count[paid == 0 ? Action.TotalLoss : Action.Loss];
        }
    }

    function _living() private view returns (uint256 living) {
        for (uint256 i = 0; i < ids.length; ++i) {
            if (vipe.channel(ids[i]).status != IVipe.Status.Settled) ++living;
        }
    }

    function _pick(uint256 pick, IVipe.Status status) private view returns (uint56, bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint56 id = ids[(pick % ids.length + i) % ids.length];
            if (vipe.channel(id).status == status) return (id, true);
        }
        return (0, false);
    }

    function _free(address owner) private view returns (uint256) {
        (uint256 locked,) = pool.lockedShares(owner);
        return pool.balanceOf(owner) - locked;
    }

    function _snapshot(address owner) private view returns (Snapshot memory s) {
        s.assets = pool.totalAssets();
        s.gross = s.assets + _unvested();
        s.supply = pool.totalSupply();
        s.wealth = token.balanceOf(owner);
        uint256 shares = pool.balanceOf(owner);
        uint256 waiting = 0;
        for (uint256 i = 0; i < exits.length; ++i) {
            IVip.Exit memory e = pool.exitOf(exits[i]);
            if (e.owner != owner) continue;
            s.wealth += e.assets;
            shares += e.shares;
            ++waiting;
        }
        // a request shows its share of what waits and of what was paid rounded down: less than one share and one unit are not seen
        s.most = s.wealth + waiting + pool.convertToAssets(shares + waiting);
        s.wealth += pool.convertToAssets(shares);
    }

    function _noPriceFalls(Snapshot memory s, address owner) private view {
        _noPriceFalls(s, owner, 1);
    }

    /// @dev Neither price falls by what anybody does, and who does it is not richer by it, but for `units` of rounding.
    function _noPriceFalls(Snapshot memory s, address owner, uint256 units) private view {
        Snapshot memory t = _snapshot(owner);
        isTrue((t.assets + 1) * (s.supply + VIRTUAL) >= (s.assets + 1) * (t.supply + VIRTUAL), "price of who leaves");
        isTrue((t.gross + 1) * (s.supply + VIRTUAL) >= (s.gross + 1) * (t.supply + VIRTUAL), "price of who joins");
        isTrue(t.wealth <= s.most + units, "richer");
    }
}
