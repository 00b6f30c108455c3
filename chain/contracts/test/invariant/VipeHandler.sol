// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice Drives a vault through lives of channels in random order: every call is valid, so none may revert. The other
/// party of every dispute has a tower with the live state, which acts before the deadline; everybody else does what they like.
/// Keeps its own books, from which the invariants are checked.
contract VipeHandler is ConsentTest {
    /// @notice How often each action had an effect.
    enum Action {
        Open,
        Accept,
        Cancel,
        Deposit,
        Allocate,
        Sign,
        Dispute,
        Lower,
        Equal,
        Raise,
        Rescue,
        Settle,
        Claim,
        Slash,
        Withdraw,
        Close,
        Announce,
        Sponsor
    }

    uint256 private constant MOST_CHANNELS = 6;

    uint56[] public ids;
    address[] public accounts;
    mapping(Action => uint256) public count;
    /// @notice What both sides put in less what they took out by consent, by channel.
    mapping(uint56 => uint256) public putIn;
    /// @notice How many consents of both were executed.
    mapping(uint56 => uint64) public consents;
    /// @notice The version at which a dispute froze the ledger.
    mapping(uint56 => uint56) public frozenAt;
    /// @notice The ether that each account is due by this handler's own arithmetic.
    mapping(address => uint256) public etherDue;
    /// @dev What the participant is paid by an announced close, and one; zero without one.
    mapping(uint56 => uint256) private _agreed;
    /// @notice What was credited at a channel's end.
    mapping(uint56 => uint256) public paidOut;
    mapping(uint56 => uint256) public ends;
    mapping(uint56 => IVipe.OpenRequest) private _requests;
    /// @dev What both parties ever signed; the first is the checkpoint, the last is the live state.
    mapping(uint56 => IVipe.StateClaim[]) private _signed;

    constructor() {
        setUp();
        accounts = [participant, counterparty, vip, tower, stranger];
    }

    function channels() external view returns (uint256) {
        return ids.length;
    }

    function vault() external view returns (IVipe, address) {
        return (vipe, address(token));
    }

    // ------------------------------------------------------------------------------------------------ funding

    function open(uint112 amount) external {
        if (ids.length == MOST_CHANNELS) return;
        IVipe.OpenRequest memory r = _request(uint112(bound(amount, 1, 1e29)));
        r.acceptBy = uint64(block.timestamp) + 3 days;
        uint56 id = _open(r);
        _requests[id] = r;
        _signed[id].push(_state(0, 0, 0));
        ids.push(id);
        putIn[id] = r.deposit;
        ++count[Action.Open];
    }

    function accept(uint256 pick, uint112 allocation) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Open);
        IVipe.OpenRequest memory r = _requests[id];
        if (!found || block.timestamp > r.acceptBy) return;
        allocation = uint112(bound(allocation, 0, 1e29));
        uint64 until = uint64(block.timestamp);
        bytes memory consent = _sign65(H_KEY, _consentDigest(id, participant, r, allocation, until));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.accept, (id, allocation, until, consent)));
        putIn[id] += allocation;
        ++count[Action.Accept];
    }

    function cancel(uint256 pick) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Open);
        if (!found || pick % 8 != 0) return;
        uint256 before = vipe.assetCredit(participant, address(token));
        does(address(vipe), participant, 0, abi.encodeCall(vipe.cancel, (id)));
        _ended(id, vipe.assetCredit(participant, address(token)) - before);
        ++count[Action.Cancel];
    }

    function deposit(uint256 pick, uint112 amount) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        amount = uint112(bound(amount, 1, 1e27));
        does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (id, amount)));
        putIn[id] += amount;
        ++count[Action.Deposit];
    }

    function allocate(uint256 pick, uint112 amount) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        amount = uint112(bound(amount, 1, 1e27));
        does(address(vipe), vip, 0, abi.encodeCall(vipe.allocate, (id, amount)));
        putIn[id] += amount;
        ++count[Action.Allocate];
    }

    // ------------------------------------------------------------------------------------------------ states and disputes

    /// @notice Both parties sign one more state, of the newest version or of the last one's. Honest nodes sign nothing in a dispute.
    function sign(uint256 pick, uint112 balance, uint8 skipped) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found) return;
        IVipe.StateClaim memory last = _live(id);
        uint56 version = skipped % 2 == 0 ? last.version : vipe.channel(id).version;
        balance = uint112(bound(balance, 0, vipe.escrow(id, version)));
        // an update may also move nothing
        if (skipped % 3 == 0) (version, balance) = (last.version, last.balance);
        _signed[id].push(_state(last.nonce + 1 + skipped % 4, version, balance));
        ++count[Action.Sign];
    }

    function dispute(uint256 pick, uint256 which, uint112 conceded, bool asParticipant) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Live);
        if (!found || (_signed[id].length < 2 && which % 4 != 0)) return;
        IVipe.StateClaim memory s = _signed[id][which % _signed[id].length];
        uint112 pay = _payOf(id, s, asParticipant);
        uint112 claim = conceded % 3 == 0 ? uint112(bound(conceded, 0, pay)) : pay;
        uint256 value = vipe.openingFee() + vipe.bond(id, claim) + conceded % 2;
        address party = asParticipant ? participant : counterparty;
        address payer = which % 5 == 0 ? stranger : party;
        bytes memory data = payer == party
            ? _disputeCall(id, party, s, claim)
            : _disputeForCall(id, s, _order(id, s.nonce, party, claim, conceded % 4 < 2 ? payer : address(0)));
        does(address(vipe), payer, value, data);
        etherDue[payer] += conceded % 2;
        frozenAt[id] = vipe.channel(id).version;
        if (payer != party) ++count[Action.Sponsor];
        ++count[Action.Dispute];
    }

    function overrideWith(uint256 pick, uint256 which, uint8 who) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Disputed);
        if (!found) return;
        IVipe.Dispute memory d = vipe.disputeOf(id);
        IVipe.StateClaim memory s = _newer(id, d.nonce, which);
        if (block.timestamp >= d.deadline || s.nonce <= d.nonce) return;
        uint112 pay = _payOf(id, s, d.byParticipant);
        if (pay > d.claim && (d.raised || d.closing)) return;
        uint256 value = pay > d.claim ? vipe.bond(id, pay) - vipe.bond(id, d.claim) : 0;
        address sender = pay > d.claim ? d.disputer : accounts[who % 5];
        _override(id, sender, s, accounts[who / 8 % 5], value);
        _bookMove(id, d, pay, accounts[who / 8 % 5]);
        ++count[pay < d.claim ? Action.Lower : pay == d.claim ? Action.Equal : Action.Raise];
    }

    /// @notice Time passes; first the towers answer what would otherwise run out.
    function pass(uint32 time) external {
        uint256 then = block.timestamp + bound(time, 1, 12 hours);
        for (uint256 i = 0; i < ids.length; ++i) {
            if (vipe.channel(ids[i]).status == IVipe.Status.Disputed) _rescue(ids[i], then);
        }
        vm.warp(then);
    }

    function settle(uint256 pick) external {
        (uint56 id, bool found) = _pick(pick, IVipe.Status.Disputed);
        if (!found) return;
        IVipe.Dispute memory d = vipe.disputeOf(id);
        if (block.timestamp < d.deadline) return;
        uint256 p = vipe.assetCredit(participant, address(token));
        uint256 h = vipe.assetCredit(vip, address(token));
        _bookEnd(id, d);
        _settleCall(id, pick);
        p = vipe.assetCredit(participant, address(token)) - p;
        h = vipe.assetCredit(vip, address(token)) - h;
        _ended(id, p + h);
        if (_agreed[id] != 0) {
            eq(p, _agreed[id] - 1, "as both signed");
        } else {
            uint112 due = _payOf(id, _live(id), !d.byParticipant);
            isTrue((d.byParticipant ? h : p) >= due, "I6: the victim is never below the live state");
            isTrue((d.byParticipant ? p : h) <= d.claim, "the disputer is never paid more than stands");
            if ((d.byParticipant ? p : h) < d.claim) ++count[Action.Slash];
        }
        refuses(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (id)), _wrongStatus(id, IVipe.Status.Settled));
        ++count[Action.Settle];
    }

    /// @dev Alone, or among others that are not due.
    function _settleCall(uint56 id, uint256 pick) private {
        if (pick % 2 == 0) {
            does(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (id)));
            return;
        }
        uint56[] memory many = new uint56[](3);
        (many[0], many[1], many[2]) = (uint56(pick), id, id);
        if (many[0] <= ids.length) many[0] = 0; // another one that is due would be settled as well
        bytes memory returned = does(address(vipe), stranger, 0, abi.encodeCall(vipe.settleMany, (many)));
        eq(abi.decode(returned, (uint256)), 1, "settled once");
    }

    function collect(uint8 who, bool inEther) external {
        address account = accounts[who % 5];
        if (inEther) {
            if (vipe.etherCredit(account) == 0) return;
            does(address(vipe), account, 0, abi.encodeCall(vipe.claimEther, (payable(account))));
            etherDue[account] = 0;
        } else {
            if (vipe.assetCredit(account, address(token)) == 0) return;
            does(address(vipe), account, 0, abi.encodeCall(vipe.claimAsset, (address(token), account)));
        }
        ++count[Action.Claim];
    }

    // ------------------------------------------------------------------------------------------------ consents of both

    /// @notice Both take something out under one more state; every older state is dead.
    function withdraw(uint256 pick, uint112 balance, uint112 p, uint112 h) external {
        if (pick % 8 != 0) return;
        (uint56 id, bool found) = _pick(pick / 8, IVipe.Status.Live);
        if (!found) return;
        IVipe.Channel memory c = vipe.channel(id);
        uint112 all = vipe.escrow(id, c.version);
        balance = uint112(bound(balance, 0, all));
        // seldom all of it: a channel without escrow is soon dull
        p = uint112(bound(p, 0, balance / (p % 8 == 0 ? 1 : 4)));
        h = uint112(bound(h, 0, (all - balance) / (h % 8 == 0 ? 1 : 4)));
        IVipe.StateClaim memory s = _state(_live(id).nonce + 1 + uint56(pick % 3), c.version, balance);
        isTrue(s.nonce > c.checkpoint.nonce, "I12: the checkpoint grows");
        _withdraw(id, s, p, h);
        delete _signed[id];
        _signed[id].push(s);
        putIn[id] -= uint256(p) + h;
        ++consents[id];
        ++count[Action.Withdraw];
    }

    function close(uint256 pick, uint112 p) external {
        if (pick % 16 != 0) return;
        (uint56 id, bool found) = _pick(pick / 16, IVipe.Status.Live);
        if (!found) return;
        uint112 all = vipe.escrow(id, vipe.channel(id).version);
        p = uint112(bound(p, 0, all));
        uint256 before = _creditOf(participant) + _creditOf(vip);
        _close(id, 0, p, all - p);
        _ended(id, _creditOf(participant) + _creditOf(vip) - before);
        ++consents[id];
        ++count[Action.Close];
    }

    function announce(uint256 pick, uint112 p) external {
        if (pick % 4 != 0) return;
        (uint56 id, bool found) = _pick(pick / 4, IVipe.Status.Disputed);
        if (!found) return;
        IVipe.Dispute memory d = vipe.disputeOf(id);
        if (d.closing || block.timestamp >= d.deadline) return;
        uint112 all = vipe.escrow(id, vipe.channel(id).version);
        p = uint112(bound(p, 0, all));
        _close(id, 1, p, all - p);
        _agreed[id] = uint256(p) + 1;
        isTrue(vipe.disputeOf(id).deadline <= d.deadline, "a close lengthens nothing");
        ++consents[id];
        ++count[Action.Announce];
    }

    // ------------------------------------------------------------------------------------------------ own arithmetic

    /// @dev I4, I8, I11, I12: what an override pays, by its size alone, and what it does to nonce and time.
    function _bookMove(uint56 id, IVipe.Dispute memory before, uint112 pay, address beneficiary) private {
        IVipe.Dispute memory d = vipe.disputeOf(id);
        isTrue(d.nonce > before.nonce, "I12: the standing nonce grows");
        if (pay < before.claim) {
            uint256 struck = _bond(before.claim) - _bond(pay);
            etherDue[beneficiary] += struck / 2;
            etherDue[d.byParticipant ? counterparty : participant] += struck - struck / 2;
            uint256 room = d.windowEnd + MAX_EXTENSION - block.timestamp;
            uint256 least = d.closing ? before.deadline - block.timestamp : EXTENSION < room ? EXTENSION : room;
            isTrue(d.deadline - block.timestamp >= least, "I11: time to answer a lowering");
        } else if (pay > before.claim) {
            eq(d.deadline - block.timestamp, WINDOW, "I11: a raise leaves a whole window");
        } else {
            eq(d.deadline, before.deadline, "an equal override moves the nonce alone");
        }
    }

    function _bookEnd(uint56 id, IVipe.Dispute memory d) private {
        uint256 bonded = _bond(d.claim);
        uint256 paid = d.raised && d.raisedFrom < d.claim ? _bond(d.raisedFrom) : bonded;
        etherDue[d.payer] += paid;
        etherDue[d.disputer] += bonded - paid;
        etherDue[d.corrector == address(0) ? d.payer : d.corrector] += d.fee;
        isTrue(vipe.channel(id).version == frozenAt[id], "I13: nothing changed the ledger in the dispute");
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// @notice What both parties signed since the last withdrawal.
    function signed(uint56 id) external view returns (IVipe.StateClaim[] memory) {
        return _signed[id];
    }

    /// @dev A channel in `status`, if there is one.
    function _pick(uint256 pick, IVipe.Status status) private view returns (uint56, bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint56 id = ids[(pick % ids.length + i) % ids.length];
            if (vipe.channel(id).status == status) return (id, true);
        }
        return (0, false);
    }

    function _live(uint56 id) private view returns (IVipe.StateClaim memory) {
        return _signed[id][_signed[id].length - 1];
    }

    /// @dev One of the states above `nonce`; the live state when there is none.
    function _newer(uint56 id, uint56 nonce, uint256 which) private view returns (IVipe.StateClaim memory) {
        IVipe.StateClaim[] storage all = _signed[id];
        uint256 first = all.length - 1;
        while (first > 0 && all[first - 1].nonce > nonce) --first;
        return all[first + which % (all.length - first)];
    }

    function _payOf(uint56 id, IVipe.StateClaim memory s, bool toTheParticipant) private view returns (uint112) {
        (uint112 toParticipant, uint112 toVip) = vipe.payout(id, s.version, s.balance);
        return toTheParticipant ? toParticipant : toVip;
    }

    /// @dev The tower acts when the deadline would pass and the live state pays the disputer less.
    function _rescue(uint56 id, uint256 then) private {
        IVipe.Dispute memory d = vipe.disputeOf(id);
        if (block.timestamp >= d.deadline || then < d.deadline) return;
        IVipe.StateClaim memory s = _live(id);
        if (s.nonce <= d.nonce || _payOf(id, s, d.byParticipant) >= d.claim) return;
        uint256 before = vipe.etherCredit(tower);
        uint256 struck = vipe.bond(id, d.claim) - vipe.bond(id, _payOf(id, s, d.byParticipant));
        uint112 pay = _payOf(id, s, d.byParticipant);
        _override(id, tower, s, tower, 0);
        _bookMove(id, d, pay, tower);
        eq(vipe.etherCredit(tower) - before, struck / 2, "I8: the tower is paid at once, by size alone");
        ++count[Action.Rescue];
    }

    function _ended(uint56 id, uint256 paid) private {
        ++ends[id];
        paidOut[id] = paid;
    }
}
