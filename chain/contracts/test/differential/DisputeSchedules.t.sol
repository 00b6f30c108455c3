// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice Replays the schedules that test/reference/dispute_rule.py makes against the deployed vault, and compares every
/// outcome, deadline, credit and payment, and after each step what the vault holds, to the wei.
contract DisputeSchedulesTest is ConsentTest {
    struct Step {
        uint256 time;
        uint256 sender;
        uint256 beneficiary;
        uint256 nonce;
        uint256 pays;
        uint256 value;
        uint256 outcome;
        uint256 claim;
        uint256 deadline;
        uint256 held;
        uint256 kind;
    }

    struct Schedule {
        uint256 window;
        uint256 extension;
        uint256 maxExtension;
        uint256 feeFloor;
        uint256 feeGas;
        uint256 towerBps;
        uint256 slashBps;
        uint256 byParticipant;
        uint256 sponsored;
        uint256 deposit;
        uint256 allocation;
        uint256 rate;
        uint256 baseFee;
        uint256 pays;
        uint256 claim;
        uint256 value;
        uint256 fee;
        Step[] steps;
        uint256 slash;
        uint256 disputerAsset;
        uint256 otherAsset;
        uint256[] credits;
    }

    address private constant SPONSOR = address(0x5b05);
    string private constant FILE = "test/vectors/dispute_schedules.json";
    string private constant STEP =
        "Step(uint256 time,uint256 sender,uint256 beneficiary,uint256 nonce,uint256 pays,uint256 value,uint256 outcome,uint256 claim,uint256 deadline,uint256 held,uint256 kind)";
    string private constant SCHEDULE =
        "Schedule(uint256 window,uint256 extension,uint256 maxExtension,uint256 feeFloor,uint256 feeGas,uint256 towerBps,uint256 slashBps,uint256 byParticipant,uint256 sponsored,uint256 deposit,uint256 allocation,uint256 rate,uint256 baseFee,uint256 pays,uint256 claim,uint256 value,uint256 fee,Step[] steps,uint256 slash,uint256 disputerAsset,uint256 otherAsset,uint256[] credits)";

    function setUp() public override {
        super.setUp();
        _fundMore(participant);
        _fundMore(vip);
        address[5] memory senders = [participant, counterparty, stranger, tower, SPONSOR];
        for (uint256 i = 0; i < 5; ++i) {
            vm.deal(senders[i], 1 << 200);
        }
    }

    function _fundMore(address account) private {
        token.mint(account, 1 << 150);
    }

    function test_every_schedule_ends_as_the_rule_says_to_the_wei() public {
        string memory json = vm.readFile(FILE);
        bytes memory encoded = vm.parseJsonTypeArray(json, ".schedules", string.concat(SCHEDULE, STEP));
        Schedule[] memory all = abi.decode(encoded, (Schedule[]));
        uint256 steps = 0;
        for (uint256 i = 0; i < all.length; ++i) {
            this.replay(all[i]);
            steps += all[i].steps.length;
        }
        eq(all.length, vm.parseJsonUint(json, ".count"), "all schedules were read");
        isTrue(all.length >= 400 && steps >= 1500, "enough of them");
    }

    // ------------------------------------------------------------------------------------------------ one schedule

    /// @dev A call of its own, so that its memory is given back.
    function replay(Schedule memory s) external {
        vm.warp(START);
        vm.fee(s.baseFee);
        vipe = _deploy(_rulesOf(s), _wideCaps());
        _approve(participant);
        _approve(vip);
        uint56 id = _liveOf(s);
        bool byParticipant = s.byParticipant == 1;
        address disputer = byParticipant ? participant : counterparty;
        address[5] memory actors = [disputer, byParticipant ? counterparty : participant, stranger, tower, SPONSOR];
        address payer = s.sponsored == 1 ? SPONSOR : disputer;

        IVipe.StateClaim memory first = _pays(s, 1, s.pays);
        bytes memory data = _openingCall(id, disputer, first, uint112(s.claim), s);
        if (s.fee + _bondOf(s, s.claim) > 0) {
            uint256 due = s.fee + _bondOf(s, s.claim);
            refuses(
                address(vipe),
                payer,
                due - 1,
                data,
                abi.encodeWithSelector(IVipeErrors.WrongValue.selector, due, due - 1)
            );
        }
        does(address(vipe), payer, s.value, data);
        eq(address(vipe).balance, s.value, "held after the opening");
        for (uint256 i = 0; i < s.steps.length; ++i) {
            _step(id, s, s.steps[i], actors);
        }
        _end(id, s, actors);
    }

    function _step(uint56 id, Schedule memory s, Step memory step, address[5] memory actors) private {
        vm.warp(START + step.time);
        bytes memory data = step.kind == 1
            ? _closingCall(id, s, uint112(step.pays))
            : _overrideCall(id, _pays(s, step.nonce, step.pays), actors[step.beneficiary]);
        if (step.outcome <= 2 || step.outcome == 8) {
            does(address(vipe), actors[step.sender], step.value, data);
        } else {
            refuses(address(vipe), actors[step.sender], step.value, data, _why(id, s, step));
        }
        IVipe.Dispute memory d = vipe.disputeOf(id);
        eq(d.claim, step.claim, "claim");
        eq(d.deadline, START + step.deadline, "deadline");
        eq(address(vipe).balance, step.held, "held");
    }

    /// @dev The refusal in full, with what the vault held against the call.
    function _why(uint56 id, Schedule memory s, Step memory step) private view returns (bytes memory) {
        IVipe.Dispute memory d = vipe.disputeOf(id);
        if (step.outcome == 3) return abi.encodeWithSelector(IVipeErrors.WindowClosed.selector, d.deadline);
        if (step.outcome == 4) return abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, step.nonce, d.nonce);
        if (step.outcome == 5) return err(IVipeErrors.RaiseByDisputerOnly.selector);
        if (step.outcome == 6) return err(IVipeErrors.AlreadyRaised.selector);
        if (step.outcome == 9) return err(IVipeErrors.AlreadyClosing.selector);
        uint256 due = step.pays > d.claim ? _bondOf(s, step.pays) - _bondOf(s, d.claim) : 0;
        return abi.encodeWithSelector(IVipeErrors.WrongValue.selector, due, step.value);
    }

    function _end(uint56 id, Schedule memory s, address[5] memory actors) private {
        uint64 deadline = vipe.disputeOf(id).deadline;
        vm.warp(deadline > block.timestamp ? deadline : block.timestamp);
        uint256 mine = vipe.assetCredit(s.byParticipant == 1 ? participant : vip, address(token));
        uint256 theirs = vipe.assetCredit(s.byParticipant == 1 ? vip : participant, address(token));
        eq(mine + theirs, 0, "a fresh vault owes no asset");
        vm.recordLogs();
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (id)));
        eq(_slashOf(vm.getRecordedLogs()[0].data), s.slash, "slash");
        mine = vipe.assetCredit(s.byParticipant == 1 ? participant : vip, address(token));
        theirs = vipe.assetCredit(s.byParticipant == 1 ? vip : participant, address(token));
        eq(mine, s.disputerAsset, "the disputer's asset");
        eq(theirs, s.otherAsset, "the other party's asset");
        eq(mine + theirs, token.balanceOf(address(vipe)), "held of the asset");
        uint256 sum = 0;
        for (uint256 i = 0; i < 5; ++i) {
            eq(vipe.etherCredit(actors[i]), s.credits[i], "ether of an actor");
            sum += s.credits[i];
        }
        eq(address(vipe).balance, sum, "held after settlement: credits alone");
        _collect(actors);
    }

    /// @dev `Settled(channelId, toParticipant, toVip, slash, corrector, fee, bondReturned)`: the third word of the data.
    function _slashOf(bytes memory data) private pure returns (uint256 slash) {
        (,, slash,,) = abi.decode(data, (uint256, uint256, uint256, uint256, uint256));
    }

    function _collect(address[5] memory actors) private {
        for (uint256 i = 0; i < 5; ++i) {
            if (vipe.etherCredit(actors[i]) == 0) continue;
            does(address(vipe), actors[i], 0, abi.encodeCall(vipe.claimEther, (payable(actors[i]))));
        }
        eq(address(vipe).balance, 0, "every wei left the vault");
    }

    // ------------------------------------------------------------------------------------------------ what the schedule fixes

    /// @dev A close that pays the disputer `mine`.
    function _closingCall(uint56 id, Schedule memory s, uint112 mine) private view returns (bytes memory) {
        uint112 others = uint112(s.deposit + s.allocation - mine);
        return _closeCall(id, s.byParticipant == 1 ? _closing(1, mine, others) : _closing(1, others, mine));
    }

    /// @dev The state with `nonce` that pays the disputer `amount`.
    function _pays(Schedule memory s, uint256 nonce, uint256 amount) private pure returns (IVipe.StateClaim memory) {
        uint256 escrow = s.deposit + s.allocation;
        uint256 balance = s.byParticipant == 1 ? amount : escrow - amount;
        return _state(uint56(nonce), s.allocation == 0 ? 1 : 2, uint112(balance));
    }

    function _bondOf(Schedule memory s, uint256 claim) private pure returns (uint256) {
        return (claim * s.rate + 2 ** 64 - 1) >> 64;
    }

    function _rulesOf(Schedule memory s) private view returns (IVipe.Rules memory given) {
        given = _rules();
        given.disputeWindow = uint64(s.window);
        given.responseExtension = uint64(s.extension);
        given.maxExtension = uint64(s.maxExtension);
        given.feeFloor = uint128(s.feeFloor);
        given.feeGas = uint64(s.feeGas);
        given.towerBps = uint16(s.towerBps);
        given.slashBps = uint16(s.slashBps);
    }

    function _wideCaps() private view returns (IVipe.AssetCap[] memory caps) {
        caps = _caps(address(token));
        caps[0].perChannel = type(uint112).max;
        caps[0].total = type(uint112).max;
    }

    function _approve(address account) private {
        does(address(token), account, 0, abi.encodeCall(token.approve, (address(vipe), type(uint256).max)));
    }

    function _liveOf(Schedule memory s) private returns (uint56) {
        IVipe.OpenRequest memory r = _request(uint112(s.deposit));
        r.disputeHash = keccak256(abi.encodePacked(_key(1)));
        r.rate = uint96(s.rate);
        return _live(r, uint112(s.allocation));
    }

    function _openingCall(uint56 id, address disputer, IVipe.StateClaim memory state, uint112 claim, Schedule memory s)
        private
        view
        returns (bytes memory)
    {
        eq(vipe.openingFee(), s.fee, "fee");
        eq(vipe.bond(id, claim), _bondOf(s, claim), "bond");
        if (s.sponsored == 0) return _disputeCall(id, disputer, state, claim);
        return _disputeForCall(id, state, _order(id, state.nonce, disputer, claim, SPONSOR));
    }
}
