// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVip} from "../interfaces/IVip.sol";
import {IVipErrors} from "../interfaces/IVipErrors.sol";
import {IVipe} from "../interfaces/IVipe.sol";
import {GainStream} from "../libraries/GainStream.sol";

/// @title What every part of the pool shares: terms and valuation
/// @notice totalAssets = idle + placed + owed - unvested, where
///
/// - `idle` is an internal count of what the pool holds; a transfer to its address changes nothing, and is lost;
/// - `placed` is the sum over its channels of max(0, h) until they end: capital at cost;
/// - `owed` is what the vault has credited to it and it has not collected;
/// - `unvested` is what is not yet released of the gains, where a payment gains what it exceeds the fall of `placed` by.
///
/// **Why no valuation is ever stale.** Channels change without the pool: anybody settles, both parties withdraw or close by
/// consent, and the vault credits one sum per account and asset, which does not say which channel paid it. A pool that
/// looked at its channels one by one would be wrong until somebody had pointed at each that ended: it could not tell from
/// its own books that a channel ended and paid nothing at all (no credit moves), and whoever knew would redeem at the
/// old price first. A loop over all channels in every deposit would be right, and impossible with thousands of them.
/// So the vault keeps two sums for each VIP and asset (`IVipe.position`): `placed`, and the running sum of all gains. Both move in
/// the very call that moves a ledger or ends a channel. Every price here is read from them, in constant time: there is nothing to
/// be realised first, no order of calls in which a settled loss does not count yet, and no operator to be asked.
/// Losses show because `placed` falls by more than `owed` grows. Gains are counted gross by the vault, so a gain and a loss between
/// two looks do not cancel out: the loss counts, and the gain is held back.
///
/// **When a gain starts to be released.** With the first call that changes anything here after it (`collect` is open to all).
/// Until then all of it is held back, in the views as well, so that no call can find it released by surprise.
///
/// **Two prices.** Who leaves is paid by `totalAssets`. Who joins pays by `totalAssets + unvested`: the gains were made by those who
/// bore the risk, and at the lower price a deposit of one base unit could buy most of them when losses have left the pool little else.
/// A deposit meanwhile lifts the first price towards the second, at the joiner's expense, and never beyond it.
/// Otherwise the formulas are those of ERC-4626 with 10^6 virtual shares and one virtual base unit; all rounding is against the
/// caller.
///
/// So within one block nobody gains by any order of deposits, redemptions, settlements and collections: a gain moves neither price
/// in favour of who joined (it is paid for or held back), a loss lowers both, and fresh shares do not move at all.
///
/// **What cost does not know.** A channel that paid out more than was put in (h < 0) has no cost; capital that is put into
/// it again counts only above zero, as the rule says, and returns as a gain. Credits of channels that name this pool without
/// being its operator's are gifts: they are gains, and held back as such. Gifts and capital lower no price.
abstract contract VipBase is ERC4626, IVip, IVipErrors, ReentrancyGuardTransient {
    using GainStream for GainStream.Stream;
    using Math for uint256;

    /// @dev No time of the terms may be longer; keeps every sum of times far below 2^64.
    uint64 private constant LONGEST = 10 * 365 days;
    uint8 private constant VIRTUAL_DECIMALS = 6;

    IVipe internal immutable VAULT;
    uint16 internal immutable ALLOC_RATIO;
    uint64 internal immutable LOCKUP;
    uint64 internal immutable GAIN_VESTING;
    /// @inheritdoc IVip
    address public immutable operator;

    /// @inheritdoc IVip
    uint256 public idle;
    /// @inheritdoc IVip
    uint256 public setAside;
    GainStream.Stream private _stream;
    /// @dev The vault's `gained` up to which gains are in the stream.
    uint128 private _gainSeen;

    modifier onlyOperator() {
        if (msg.sender != operator) revert NotOperator();
        _;
    }

    constructor(Terms memory given) {
        _checkTerms(given);
        VAULT = given.vault;
        ALLOC_RATIO = given.allocRatio;
        LOCKUP = given.lockup;
        GAIN_VESTING = given.gainVesting;
        operator = given.operator;
    }

    /// @dev A lock-up outlasts twice a dispute: capital that was at risk when a share was made has come home when it can leave.
    function _checkTerms(Terms memory given) private view {
        if (
            given.operator == address(0) || given.operator == address(given.vault) || given.allocRatio == 0
                || given.lockup > LONGEST || given.gainVesting == 0 || given.gainVesting > LONGEST
                || address(given.vault).code.length == 0
        ) revert BadTerms();
        (uint112 perChannel,) = given.vault.assetCap(given.asset);
        IVipe.Rules memory rules = given.vault.rules();
        if (perChannel == 0 || given.lockup < 2 * (rules.disputeWindow + rules.maxExtension)) revert BadTerms();
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IVip
    function terms() external view returns (Terms memory) {
        return Terms(VAULT, asset(), operator, ALLOC_RATIO, LOCKUP, GAIN_VESTING);
    }

    /// @inheritdoc IVip
    function books() external view returns (uint256 placed, uint256 owed, uint256 unvested) {
        (placed,) = VAULT.position(address(this), asset());
        owed = VAULT.assetCredit(address(this), asset());
        (, unvested) = _valuation();
    }

    /// @inheritdoc IERC4626
    function totalAssets() public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 gross, uint256 unvested) = _valuation();
        return gross - unvested;
    }

    /// @inheritdoc ERC4626
    function decimals() public view override(ERC4626, IERC20Metadata) returns (uint8) {
        return super.decimals();
    }

    /// @inheritdoc ERC4626
    function asset() public view override(ERC4626, IERC4626) returns (address) {
        return super.asset();
    }

    // ------------------------------------------------------------------------------------------------ for the parts

    /// @dev All that is the pool's, and the part of it that is not released.
    function _valuation() internal view returns (uint256 gross, uint256 unvested) {
        (uint128 placed, uint128 gained) = VAULT.position(address(this), asset());
        gross = idle + placed + VAULT.assetCredit(address(this), asset());
        uint128 fresh;
        unchecked {
            fresh = gained - _gainSeen;
        }
        unvested = Math.min(gross, _stream.unvested(uint64(block.timestamp)) + fresh);
    }

    /// @dev Starts the streams of new gains. First step of every call that changes anything here.
    function _streamGains() internal {
        (uint128 placed, uint128 gained) = VAULT.position(address(this), asset());
        uint256 gross = idle + placed + VAULT.assetCredit(address(this), asset());
        uint128 fresh;
        unchecked {
            fresh = gained - _gainSeen;
        }
        GainStream.Stream memory stream = _stream;
        if (fresh == 0 && stream.unvested(uint64(block.timestamp)) <= gross) return;
        _gainSeen = gained;
        stream = stream.add(fresh, gross, GAIN_VESTING, uint64(block.timestamp));
        _stream = stream;
        emit GainStreamed(fresh, stream.locked, stream.until);
    }

    /// @dev The pool, its vault and nobody are no receivers of assets.
    function _checkReceiver(address receiver) internal view {
        if (receiver == address(0) || receiver == address(this) || receiver == address(VAULT)) {
            revert BadReceiver(receiver);
        }
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return VIRTUAL_DECIMALS;
    }

    function _virtualShares() internal pure returns (uint256) {
        return 10 ** VIRTUAL_DECIMALS;
    }
}
