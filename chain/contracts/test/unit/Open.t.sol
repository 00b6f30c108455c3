// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {FeeToken, SayNoToken, SilentToken} from "../mocks/Tokens.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice open: Open.tree.
contract OpenTest is VipeTest {
    function _refusesOpen(IVipe.OpenRequest memory r, bytes memory why) internal {
        refuses(address(vipe), participant, 0, abi.encodeCall(vipe.open, (r)), why);
    }

    function test_accounts_that_are_missing_are_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.counterparty = address(0);
        _refusesOpen(r, err(IVipeErrors.ZeroAddress.selector));
        r.counterparty = counterparty;
        r.vip = address(0);
        _refusesOpen(r, err(IVipeErrors.ZeroAddress.selector));
    }

    function test_accounts_that_are_the_same_are_refused() public {
        address[5] memory all = [participant, counterparty, vip, address(vipe), address(token)];
        for (uint256 i = 0; i < 5; ++i) {
            IVipe.OpenRequest memory r = _request(100);
            if (i != 1) {
                r.counterparty = all[i];
                _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.SameAccount.selector, all[i]));
                r.counterparty = counterparty;
            }
            if (i != 2) {
                r.vip = all[i];
                _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.SameAccount.selector, all[i]));
            }
        }
    }

    function test_a_channel_key_with_an_element_at_or_above_the_prime_is_refused() public {
        for (uint256 i = 0; i < 5; ++i) {
            IVipe.OpenRequest memory r = _request(100);
            r.participantKey[i] = 0xFFFFFFFF00000001;
            _refusesOpen(r, err(IVipeErrors.BadChannelKey.selector));
            r = _request(100);
            r.counterpartyKey[i] = type(uint64).max;
            _refusesOpen(r, err(IVipeErrors.BadChannelKey.selector));
        }
    }

    function test_the_neutral_channel_key_is_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.participantKey = [uint64(0), 0, 0, 0, 0];
        _refusesOpen(r, err(IVipeErrors.BadChannelKey.selector));
        r = _request(100);
        r.counterpartyKey = [uint64(0), 0, 0, 0, 0];
        _refusesOpen(r, err(IVipeErrors.BadChannelKey.selector));
    }

    function test_equal_channel_keys_are_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.counterpartyKey = r.participantKey;
        _refusesOpen(r, err(IVipeErrors.SameChannelKeys.selector));
    }

    function test_a_keys_digest_with_an_element_at_or_above_the_prime_is_refused() public {
        for (uint256 i = 0; i < 4; ++i) {
            IVipe.OpenRequest memory r = _request(100);
            r.keysDigest = bytes32(uint256(0xFFFFFFFF00000001) << (64 * i));
            _refusesOpen(r, err(IVipeErrors.BadKeysDigest.selector));
        }
    }

    function test_session_keys_that_are_zero_or_equal_are_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.participantSession = address(0);
        _refusesOpen(r, err(IVipeErrors.BadSessionKeys.selector));
        r = _request(100);
        r.counterpartySession = address(0);
        _refusesOpen(r, err(IVipeErrors.BadSessionKeys.selector));
        r.counterpartySession = r.participantSession;
        _refusesOpen(r, err(IVipeErrors.BadSessionKeys.selector));
    }

    function test_an_acceptBy_in_the_past_is_refused_and_now_is_not() public {
        IVipe.OpenRequest memory r = _request(100);
        r.acceptBy = uint64(block.timestamp) - 1;
        _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.AcceptByPassed.selector, r.acceptBy));
        r.acceptBy = uint64(block.timestamp);
        _open(r);
    }

    function test_a_dispute_hash_that_is_zero_or_was_seen_before_is_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.disputeHash = 0;
        _refusesOpen(r, err(IVipeErrors.ZeroDisputeHash.selector));
        r = _request(100);
        uint56 id = _open(r);
        _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.DisputeHashUsed.selector, r.disputeHash));
        // also after the channel ended
        does(address(vipe), participant, 0, abi.encodeCall(vipe.cancel, (id)));
        _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.DisputeHashUsed.selector, r.disputeHash));
    }

    function test_a_deposit_of_nothing_is_refused() public {
        _refusesOpen(_request(0), err(IVipeErrors.ZeroAmount.selector));
    }

    function test_a_rate_or_deposit_beyond_its_width_is_refused() public {
        bytes memory data = abi.encodeCall(vipe.open, (_request(100)));
        _refusesWord(data, 18, uint256(1) << 96); // rate
        _refusesWord(data, 19, uint256(1) << 112); // deposit
        does(address(vipe), participant, 0, data);
    }

    /// @dev `data` with another word in its place: refused by the decoder, which gives no reason.
    function _refusesWord(bytes memory data, uint256 word, uint256 value) private {
        bytes memory changed = bytes.concat(data);
        assembly ("memory-safe") {
            mstore(add(changed, add(0x24, mul(0x20, word))), value)
        }
        refuses(address(vipe), participant, 0, changed, "");
    }

    function test_an_escrow_stays_below_2_to_the_112_even_without_a_tighter_cap() public {
        IVipe.AssetCap[] memory caps = _caps(address(token));
        (caps[0].perChannel, caps[0].total) = (type(uint112).max, type(uint112).max);
        vipe = _deploy(_rules(), caps);
        token.mint(participant, 1 << 113);
        _fund(participant);
        uint56 id = _open(type(uint112).max);
        eq(vipe.escrow(id, 1), type(uint112).max, "all that fits");
        _refusesOpen(
            _request(1),
            abi.encodeWithSelector(IVipeErrors.AssetCapExceeded.selector, uint256(1) << 112, type(uint112).max)
        );
    }

    function test_an_asset_that_is_not_listed_is_refused() public {
        IVipe.OpenRequest memory r = _request(100);
        r.asset = address(verifier);
        _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.AssetNotListed.selector, verifier));
    }

    function test_a_deposit_above_the_channel_cap_is_refused_and_at_the_cap_is_not() public {
        _refusesOpen(
            _request(CAP_CHANNEL + 1),
            abi.encodeWithSelector(IVipeErrors.ChannelCapExceeded.selector, CAP_CHANNEL + 1, CAP_CHANNEL)
        );
        _open(CAP_CHANNEL);
    }

    function test_a_deposit_above_the_asset_cap_is_refused_and_an_end_makes_room() public {
        uint56 id = _open(CAP_CHANNEL);
        _open(CAP_CHANNEL);
        _open(CAP_CHANNEL);
        IVipe.OpenRequest memory r = _request(1);
        _refusesOpen(
            r, abi.encodeWithSelector(IVipeErrors.AssetCapExceeded.selector, uint256(CAP_TOTAL) + 1, CAP_TOTAL)
        );
        does(address(vipe), participant, 0, abi.encodeCall(vipe.cancel, (id)));
        _open(r);
    }

    function test_a_token_that_keeps_a_fee_is_refused() public {
        FeeToken fee = new FeeToken();
        vipe = _deploy(_rules(), _caps(address(fee)));
        fee.mint(participant, 1e6);
        does(address(fee), participant, 0, abi.encodeCall(fee.approve, (address(vipe), 1e6)));
        IVipe.OpenRequest memory r = _request(1000);
        r.asset = address(fee);
        _refusesOpen(r, abi.encodeWithSelector(IVipeErrors.WrongAmountReceived.selector, 1000, 990));
        eq(vipe.channelCount(), 0, "nothing stays of a refused opening");
    }

    function test_a_token_that_says_no_without_reverting_is_refused() public {
        SayNoToken no = new SayNoToken();
        vipe = _deploy(_rules(), _caps(address(no)));
        no.mint(participant, 1e6);
        IVipe.OpenRequest memory r = _request(1000);
        r.asset = address(no);
        _refusesOpen(r, abi.encodeWithSelector(bytes4(keccak256("SafeERC20FailedOperation(address)")), address(no)));
    }

    function test_a_token_that_returns_nothing_is_accepted() public {
        SilentToken silent = new SilentToken();
        vipe = _deploy(_rules(), _caps(address(silent)));
        silent.mint(participant, 1e6);
        IVipe.OpenRequest memory r = _request(1000);
        r.asset = address(silent);
        eq(vipe.escrow(_open(r), 1), 1000, "escrow");
    }

    function test_a_good_request_opens_a_channel_with_the_deposit_as_version_1() public {
        IVipe.OpenRequest memory r = _request(1000);
        uint256 before = token.balanceOf(participant);
        uint56 id = _open(r);
        eq(id, 1, "ids start at 1");
        eq(vipe.channelCount(), 1, "count");
        eq(before - token.balanceOf(participant), 1000, "paid");
        eq(token.balanceOf(address(vipe)), 1000, "held");
        (int128 p, int128 h) = vipe.ledger(id, 1);
        isTrue(p == 1000 && h == 0, "ledger");
        (p, h) = vipe.ledger(id, 0);
        isTrue(p == 0 && h == 0, "version 0 is (0, 0)");
        _channelIs(id, r);
        eq(_open(500), 2, "ids count up");
    }

    function _channelIs(uint56 id, IVipe.OpenRequest memory r) internal view {
        IVipe.Channel memory c = vipe.channel(id);
        eq(uint256(c.status), uint256(IVipe.Status.Open), "status");
        eq(c.participant, participant, "participant");
        eq(c.counterparty, r.counterparty, "counterparty");
        eq(c.vip, r.vip, "vip");
        eq(c.asset, r.asset, "asset");
        eq(c.participantSession, r.participantSession, "participant's session key");
        eq(c.counterpartySession, r.counterpartySession, "counterparty's session key");
        eq(c.keysDigest, r.keysDigest, "keys digest");
        eq(c.disputeHash, r.disputeHash, "dispute hash");
        eq(c.rate, r.rate, "rate");
        eq(c.acceptBy, r.acceptBy, "acceptBy");
        eq(c.version, 1, "version");
        eq(c.epoch, 0, "epoch");
        eq(c.checkpoint.nonce + c.checkpoint.version + c.checkpoint.balance, 0, "checkpoint (0, 0, 0)");
    }

    function test_opening_emits_all_that_others_need() public {
        IVipe.OpenRequest memory r = _request(1000);
        vm.expectEmit(address(vipe));
        emit IVipe.Opened(
            1,
            participant,
            r.counterparty,
            r.vip,
            r.asset,
            r.participantKey,
            r.counterpartyKey,
            r.keysDigest,
            r.participantSession,
            r.counterpartySession,
            r.disputeHash,
            r.salt,
            r.rate,
            r.deposit,
            r.acceptBy
        );
        vm.expectEmit(address(vipe));
        emit IVipe.LedgerAppended(1, 1, 1000, 0);
        vm.prank(participant);
        vipe.open(r);
    }
}
