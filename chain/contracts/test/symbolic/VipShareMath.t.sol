// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {GainStream} from "../../src/libraries/GainStream.sol";

/// @notice For all values, by halmos (`check_` is its prefix; forge runs none of this):
/// `halmos --contract VipShareMathTest --solver-timeout-assertion 0`.
/// Widths are small enough for the solver and the formulas are those of `VipShares` and `VipQueue` word for word: assets and shares
/// are integers, and nothing in a proof for all integers of 16 bits depends on there being 16 of them but overflow, which
/// the fuzz tests cover at full width.
contract VipShareMathTest {
    uint256 private constant VIRTUAL = 1e6;

    function _toShares(uint256 assets, uint256 total, uint256 supply) private pure returns (uint256) {
        return assets * (supply + VIRTUAL) / (total + 1);
    }

    function _toAssets(uint256 shares, uint256 total, uint256 supply) private pure returns (uint256) {
        return shares * (total + 1) / (supply + VIRTUAL);
    }

    function check_deposit_then_redeem_never_gains(uint16 assets, uint16 total, uint24 supply) external pure {
        uint256 shares = _toShares(assets, total, supply);
        uint256 back = _toAssets(shares, uint256(total) + assets, uint256(supply) + shares);
        assert(back <= assets);
    }

    function check_redeem_pays_no_more_than_is_there(uint24 shares, uint16 total, uint24 supply) external pure {
        if (shares > supply) return;
        assert(_toAssets(shares, total, supply) <= total);
    }

    function check_a_redemption_lowers_no_price(uint24 shares, uint16 total, uint24 supply) external pure {
        if (shares > supply) return;
        uint256 paid = _toAssets(shares, total, supply);
        assert((total - paid + 1) * (uint256(supply) + VIRTUAL) >= (uint256(total) + 1) * (supply - shares + VIRTUAL));
    }

    /// @notice The queue's part of a return leaves it no more than the rest of the capital that is not idle stands for.
    function check_the_queue_never_waits_for_more_than_can_return(uint16 returned, uint16 worth, uint16 illiquid)
        external
        pure
    {
        if (returned > illiquid || worth == 0 || illiquid == 0) return;
        uint256 part = worth > illiquid ? uint256(returned) + (worth - illiquid) : uint256(returned) * worth / illiquid;
        assert(part <= worth);
        // what still waits fits into what can still return, up to the rounding of this payment
        assert(worth - part <= uint256(illiquid) - returned + 1);
    }

    function check_a_stream_holds_back_no_more_than_it_was_given(uint16 gain, uint8 vesting, uint8 time) external pure {
        if (vesting == 0) return;
        GainStream.Stream memory s = GainStream.Stream(gain, 0, vesting);
        assert(GainStream.unvested(s, time) <= gain);
        assert(time < vesting || GainStream.unvested(s, time) == 0);
    }
}
