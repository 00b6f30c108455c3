// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {BurningAnswer} from "../mocks/OddVerifiers.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice The invariants that speak of honest nodes, of attackers' losses and of the order of checks, on whole lives of a channel.
/// The numbers are those of the list in the contracts' README.
contract LivesTest is ConsentTest {
    /// @dev Any interleaving of deposits, allocations, updates and withdrawals, where honest nodes carry the balance from version
    /// u to v as b + p(v) - p(u): the live state pays exactly the true claims.
    function testFuzz_I5_the_live_state_pays_the_true_claims_unclamped(uint256 seed) public {
        uint56 id = _live(1e12, 1e12);
        IVipe.StateClaim memory live = _state(0, 0, 0);
        (uint256 p, uint256 h) = (1e12, 1e12);
        for (uint256 step = 0; step < 16; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 size = (seed >> 64) % 1e12 + 1;
            if (seed % 4 == 0) {
                does(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (id, uint112(size))));
                p += size;
            } else if (seed % 4 == 1) {
                does(address(vipe), vip, 0, abi.encodeCall(vipe.allocate, (id, uint112(size))));
                h += size;
            } else {
                // a payment, signed at the newest version or, often, still at the last one's
                uint56 version = (seed >> 32) % 2 == 0 ? live.version : vipe.channel(id).version;
                uint112 balance = _carried(id, live, version);
                uint256 paid = size % 2 == 0 ? size % (p + 1) : size % (h + 1);
                if (size % 2 == 0) {
                    if (paid > balance) paid = balance;
                    (p, h, balance) = (p - paid, h + paid, balance - uint112(paid));
                } else {
                    uint256 room = vipe.escrow(id, version) - balance;
                    if (paid > room) paid = room;
                    (p, h, balance) = (p + paid, h - paid, balance + uint112(paid));
                }
                live = _state(live.nonce + 1, version, balance);
                if (seed % 4 == 3) {
                    uint112 aP = uint112(p / 3);
                    uint112 aH = uint112(h / 5);
                    _withdraw(id, live, aP, aH);
                    (p, h) = (p - aP, h - aH);
                }
            }
            (uint112 toP, uint112 toH) = vipe.payout(id, live.version, live.balance);
            eq(toP, p, "I5: participant");
            eq(toH, h, "I5: VIP");
        }
    }

    function _carried(uint56 id, IVipe.StateClaim memory s, uint56 version) private view returns (uint112) {
        (int128 u,) = vipe.ledger(id, s.version);
        (int128 v,) = vipe.ledger(id, version);
        return uint112(uint256(int256(uint256(s.balance)) + v - u));
    }

    function testFuzz_I7_an_honest_exiter_is_paid_its_claim_and_every_wei(
        uint112 balance,
        uint96 extra,
        bool asParticipant
    ) public {
        uint56 id = _live(6e18, 4e18);
        balance = uint112(bound(balance, 0, 1e19));
        uint112 claim = asParticipant ? balance : 1e19 - balance;
        address party = asParticipant ? participant : counterparty;
        uint256 value = FEE_FLOOR + _bond(claim) + extra;
        does(address(vipe), party, value, _disputeCall(id, party, _state(3, 2, balance), claim));
        // whoever brings the same or an older state changes nothing
        _settle(id);
        eq(_creditOf(asParticipant ? participant : vip), claim, "I7: its claim");
        eq(vipe.etherCredit(party), value, "I7: every wei");
    }

    function test_I9_after_the_live_state_nothing_is_possible_short_of_new_signatures() public {
        uint56 id = _live(6e18, 4e18);
        _dispute(id, participant, _state(10, 2, 9e18), 9e18);
        _override(id, tower, _state(20, 2, 2e18), tower, 0);
        for (uint56 nonce = 1; nonce <= 20; ++nonce) {
            bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, nonce, uint56(20));
            bytes memory data = _overrideCall(id, _state(nonce, 2, nonce % 2 == 0 ? 0 : 1e19), participant);
            refuses(address(vipe), participant, 0, data, why);
        }
    }

    /// @dev What the attacker and its sybil lose of their ether, the other party and the tower gain: to the wei, and at least the
    /// other party's share of what is struck down.
    function testFuzz_I10_the_attackers_loss_is_the_others_gain(uint112 a, uint112 b, uint112 live, bool byTower)
        public
    {
        uint56 id = _live(6e18, 4e18);
        uint112 claim = uint112(bound(a, 2, 1e19));
        uint112 dip = uint112(bound(b, 1, claim - 1));
        live = uint112(bound(live, 0, dip - 1));
        uint256 brought = FEE_FLOOR + _bond(claim);
        _dispute(id, participant, _state(10, 2, claim), claim);
        _override(id, stranger, _state(11, 2, dip), stranger, 0);
        address last = byTower ? tower : stranger;
        _override(id, last, _state(20, 2, live), last, 0);
        _settle(id);
        uint256 left = vipe.etherCredit(participant) + vipe.etherCredit(stranger);
        uint256 others = vipe.etherCredit(counterparty) + vipe.etherCredit(tower);
        eq(brought - left, others, "I10: zero sum");
        uint256 least = (_bond(claim) - _bond(live)) / 2 + (byTower ? FEE_FLOOR : 0);
        isTrue(brought - left >= least, "I10: the attacker loses at least this");
    }

    /// @dev With a verifier that burns all gas it is given, every refusal that can be cheap still comes, and is the right one.
    function test_I14_no_call_reaches_the_verifier_before_every_cheap_check() public {
        uint56 id = _live(6e18, 4e18);
        uint56 live = _live(6e18, 4e18);
        _dispute(id, participant, _state(10, 2, 9e18), 9e18);
        vm.etch(verifier, address(new BurningAnswer()).code);
        IVipe.StateClaim memory s = _state(20, 2, 2e18);
        bytes[8] memory calls = [
            _overrideCall(live, s, tower),
            _overrideCall(id, _state(10, 2, 2e18), tower),
            _overrideCall(id, _state(20, 3, 2e18), tower),
            _overrideCall(id, _state(20, 2, 2e19), tower),
            _overrideCall(id, _state(20, 2, 1e19), tower),
            _overrideCall(id, s, address(0)),
            abi.encodeCall(vipe.overrideState, (id, s, tower, _noSignatures(), _proof(id, s, tower))),
            _disputeCall(live, counterparty, s, 9e18)
        ];
        bytes4[8] memory whys = [
            IVipeErrors.WrongStatus.selector,
            IVipeErrors.StaleNonce.selector,
            IVipeErrors.UnknownVersion.selector,
            IVipeErrors.BalanceAboveEscrow.selector,
            IVipeErrors.RaiseByDisputerOnly.selector,
            IVipeErrors.ZeroBeneficiary.selector,
            IVipeErrors.BadSessionSignature.selector,
            IVipeErrors.ClaimAbovePay.selector
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(i == 7 ? counterparty : tower);
            (bool ok, bytes memory returned) = address(vipe).call{gas: 300_000}(calls[i]);
            isTrue(!ok && bytes4(returned) == whys[i], string.concat("I14: ", vm.toString(i)));
        }
        vm.warp(vipe.disputeOf(id).deadline);
        vm.prank(tower);
        (bool late, bytes memory why) = address(vipe).call{gas: 300_000}(_overrideCall(id, s, tower));
        isTrue(!late && bytes4(why) == IVipeErrors.WindowClosed.selector, "I14: late");
    }
}
