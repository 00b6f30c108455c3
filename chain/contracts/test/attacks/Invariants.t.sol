// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {HostileWallet, OverrideEach} from "../mocks/HostileWallets.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";

/// @notice The chain's part of the invariants that speak of nodes, circuits and batches, and accounts that misbehave when they are
/// asked for a consent: Invariants.tree.
contract InvariantsTest is ConsentTest {
    uint56 private _id;

    function setUp() public override {
        super.setUp();
        _id = _live(6e18, 4e18);
    }

    // ------------------------------------------------------------------------------------------------ I15

    /// @dev A node never signs two states at one nonce. If both parties did, the first that is brought stands, whoever gains.
    function test_I15_of_two_states_at_one_nonce_the_first_that_is_brought_stands() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        _override(_id, tower, _state(20, 2, 4e18), tower, 0);
        bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, uint56(20), uint56(20));
        refuses(address(vipe), stranger, 0, _overrideCall(_id, _state(20, 2, 1e18), stranger), why);
        refuses(address(vipe), participant, _bond(5e18), _overrideCall(_id, _state(20, 2, 9e18), participant), why);
        eq(vipe.disputeOf(_id).claim, 4e18, "I15: what was brought first");
    }

    /// @dev A node never signs a state at a nonce that a consent used; the chain takes none, neither to open nor to override.
    function test_I15_no_state_at_or_below_a_nonce_that_a_consent_used() public {
        _withdraw(_id, _state(10, 2, 5e18), 1e18, 1e18);
        bytes memory data = abi.encodeCall(
            vipe.dispute,
            (
                _id,
                _state(10, 2, 6e18),
                1,
                _key(_id),
                _signatures(_id, _state(10, 2, 6e18)),
                _proof(_id, _state(10, 2, 6e18), participant)
            )
        );
        refuses(address(vipe), participant, 1 ether, data, err(IVipeErrors.NotTheCheckpoint.selector));
        _dispute(_id, participant, _state(10, 2, 5e18), 4e18);
        for (uint56 nonce = 1; nonce <= 10; ++nonce) {
            bytes memory why = abi.encodeWithSelector(IVipeErrors.StaleNonce.selector, nonce, uint56(10));
            refuses(address(vipe), tower, 0, _overrideCall(_id, _state(nonce, 2, 0), tower), why);
        }
    }

    /// @dev A node never signs on a version that is not final. A version that a reorganisation took away is unknown to the chain; that
    /// the same number then means other money is why nodes wait.
    function test_I15_a_version_that_is_not_on_the_chain_pays_nothing() public {
        bytes memory why = abi.encodeWithSelector(IVipeErrors.UnknownVersion.selector, uint56(3), uint56(2));
        IVipe.StateClaim memory s = _state(10, 3, 1e18);
        refuses(address(vipe), participant, 1 ether, _disputeCall(_id, participant, s, 1), why);
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        refuses(address(vipe), tower, 0, _overrideCall(_id, _state(20, 3, 1e18), tower), why);
    }

    /// @dev A node signs nothing while a dispute is known. What both sign all the same cannot take money out, only end the dispute as
    /// announced, and a newer state counts only as an override.
    function test_I15_what_is_signed_in_a_dispute_takes_nothing_out() public {
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        bytes memory why = _wrongStatus(_id, IVipe.Status.Disputed);
        refuses(address(vipe), stranger, 0, _withdrawCall(_id, _withdrawal(_state(20, 2, 9e18), 9e18, 1e18)), why);
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.deposit, (_id, 1)), why);
        refuses(address(vipe), vip, 0, abi.encodeCall(vipe.allocate, (_id, 1)), why);
        eq(_creditOf(participant) + _creditOf(vip), 0, "I15: nothing");
    }

    // ------------------------------------------------------------------------------------------------ I16

    /// @dev node.verify(sig) <=> the circuit is satisfiable is shown in Rust. The chain's part: its range of every field of a statement is
    /// the circuit's, at both ends, and what is in range reaches the verifier unchanged.
    function test_I16_the_whole_range_of_a_statement_is_accepted() public {
        uint56 last = type(uint56).max;
        _dispute(_id, participant, _state(last - 1, 2, 1e19), 1e19);
        _override(_id, tower, _state(last, 2, 0), tower, 0);
        eq(vipe.disputeOf(_id).nonce, last, "I16: the last nonce");
        bytes memory data = abi.encodePacked(_overrideCall(_id, _state(last, 2, 0), tower));
        // one more does not fit its 56 bits: the decoder refuses it before anything looks at it
        data[4 + 32 + 24] = 0x01;
        vm.prank(tower);
        (bool ok,) = address(vipe).call(data);
        isTrue(!ok, "I16: a nonce beyond its width");
    }

    // ------------------------------------------------------------------------------------------------ I18

    /// @dev Overrides need no account of their own, so any contract tries many in one transaction: the effect is that of the singles in
    /// order, one that is moot is passed over and costs the others nothing, and no lock outlives a call.
    function test_I18_many_in_one_transaction_are_the_singles_in_order() public {
        uint56 other = _live(6e18, 4e18);
        uint56 settled = _live(6e18, 4e18);
        _dispute(settled, participant, _state(10, 2, 9e18), 9e18);
        _settle(settled);
        _dispute(_id, participant, _state(10, 2, 9e18), 9e18);
        _dispute(other, counterparty, _state(10, 2, 1e18), 9e18);
        bytes[] memory calls = new bytes[](5);
        calls[0] = _overrideCall(_id, _state(20, 2, 6e18), tower);
        calls[1] = _overrideCall(settled, _state(20, 2, 6e18), tower); // ended
        calls[2] = _overrideCall(_id, _state(15, 2, 1e18), tower); // older than the first
        calls[3] = _overrideCall(other, _state(20, 2, 3e18), tower);
        calls[4] = _overrideCall(_id, _state(30, 2, 2e18), stranger); // its own beneficiary
        OverrideEach each = new OverrideEach();
        bytes memory done = does(address(each), stranger, 0, abi.encodeCall(each.all, (address(vipe), calls)));
        eq(abi.decode(done, (uint256)), 3, "I18: the moot ones are passed over");
        eq(vipe.disputeOf(_id).claim, 2e18, "I18: the newest of the first");
        eq(vipe.disputeOf(other).claim, 7e18, "I18: the second channel");
        uint256 towers = (_bond(9e18) - _bond(6e18)) / 2 + (_bond(9e18) - _bond(7e18)) / 2;
        eq(vipe.etherCredit(tower), towers, "I18: paid as by singles");
        eq(vipe.etherCredit(stranger), (_bond(6e18) - _bond(2e18)) / 2, "I18: each to its own beneficiary");
        eq(vipe.etherCredit(address(each)), 0, "I18: the caller gets nothing");
    }

    // ------------------------------------------------------------------------------------------------ wallets

    function _walletsChannel(HostileWallet wallet) private returns (uint56 id) {
        IVipe.OpenRequest memory r = _request(6e18);
        r.counterparty = address(wallet);
        id = _open(r);
        does(address(vipe), vip, 0, abi.encodeCall(vipe.accept, (id, 4e18, FOREVER, "")));
    }

    /// @dev Nobody else's way out asks a wallet: dispute, override, settlement and the claims go on, and only its own consents fail.
    function test_a_wallet_that_burns_all_gas_holds_up_nobody_else() public {
        HostileWallet wallet = new HostileWallet(address(vipe));
        uint56 id = _walletsChannel(wallet);
        wallet.arm(true, "");
        bytes memory close = _closeCall(id, _closing(0, 6e18, 4e18));
        vm.prank(stranger);
        (bool closed,) = address(vipe).call{gas: 2_000_000}(close);
        isTrue(!closed, "no consent");
        _dispute(id, participant, _state(10, 2, 9e18), 9e18);
        _override(id, tower, _state(20, 2, 5e18), tower, 0);
        _settle(id);
        eq(_creditOf(participant) + _creditOf(vip), 10e18, "all is paid");
    }

    /// @dev It is asked statically, so that it can neither call back nor change what it is asked about.
    function test_a_wallet_that_is_asked_can_enter_nothing() public {
        HostileWallet wallet = new HostileWallet(address(vipe));
        uint56 id = _walletsChannel(wallet);
        uint56 due = _live(6e18, 4e18);
        _dispute(due, participant, _state(0, 0, 0), 1e18);
        vm.warp(vipe.disputeOf(due).deadline);
        bytes[3] memory inner = [
            abi.encodeCall(vipe.settle, (due)),
            abi.encodeCall(vipe.withdraw, (id, _withdrawal(_state(2, 2, 6e18), 2e18, 0), "", "")),
            abi.encodeCall(vipe.claimEther, (payable(address(wallet))))
        ];
        for (uint56 i = 0; i < 3; ++i) {
            wallet.arm(false, inner[i]);
            _withdraw(id, _state(i + 1, 2, 6e18), 1e17, 0);
            eq(vipe.channel(id).seq, i + 1, "one consent");
            _statusIs(due, IVipe.Status.Disputed);
        }
        eq(_creditOf(participant), 3e17, "what was consented to, three times");
    }
}
