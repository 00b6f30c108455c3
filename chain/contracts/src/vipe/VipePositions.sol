// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../interfaces/IVipe.sol";
import {VipePayments} from "./VipePayments.sol";

/// @title What each VIP has at work
/// @notice One running pair of sums per VIP and asset, so that a pool is valued in constant time however many channels it
/// backs, and a channel that ends without paying it anything (a loss that leaves no credit behind) is seen at once.
/// @dev The cost of a channel to its VIP is max(0, h) until it ends and 0 after; a payment gains what it exceeds the fall of
/// that cost by. **Invariant:** `placed` is the sum of the costs of the VIP's channels of the asset. Nothing in the vault reads
/// these sums, so no claim depends on them.
abstract contract VipePositions is VipePayments {
    /// @dev `placed` is at most the escrow of all channels of the asset. `gained` wraps around, so that it can refuse nothing:
    /// who reads it takes differences.
    struct Position {
        uint128 placed;
        uint128 gained;
    }

    mapping(address vip => mapping(address asset => Position)) private _positions;

    /// @inheritdoc IVipe
    function position(address vip, address asset) external view returns (uint128 placed, uint128 gained) {
        Position storage s = _positions[vip][asset];
        return (s.placed, s.gained);
    }

    /// @dev The VIP's sum moves from `h` to `hAfter` by an allocation.
    function _placeForVip(ChannelRecord storage c, int128 h, int128 hAfter) internal {
        // A cost is at most h, and h is below 2^112.
        _positions[c.vip][c.asset].placed += _cost(hAfter) - _cost(h);
    }

    /// @dev The channel pays its VIP `paid`, and the VIP's sum moves from `h` to `hAfter`; zero once the channel has ended.
    function _payVip(ChannelRecord storage c, int128 h, int128 hAfter, uint112 paid) internal {
        uint128 fall = _cost(h) - _cost(hAfter);
        if (fall != 0 || paid != 0) {
            Position storage s = _positions[c.vip][c.asset];
            s.placed -= fall;
            unchecked {
                if (paid > fall) s.gained += paid - fall;
            }
        }
        _creditAsset(c.vip, c.asset, paid);
    }

    function _cost(int128 h) private pure returns (uint128) {
        return h > 0 ? uint128(h) : 0;
    }
}
