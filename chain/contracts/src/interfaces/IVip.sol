// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVipe} from "./IVipe.sol";

/// @title VRC-4: the pool of one counterparty, in one asset
/// @notice Anybody deposits and takes out idle assets; the operator puts them into channels of one vault; what channels pay
/// comes back here. Shares are ERC-20, the pool is an ERC-4626 vault with four rules of its own:
///
/// 1. Capital in channels counts at cost. A realised loss counts at once, a realised gain over `gainVesting`.
/// 2. Who joins pays for realised gains that are not yet released; who leaves does not get them.
/// 3. Fresh shares are locked for `lockup` and cannot be transferred meanwhile.
/// 4. At once an owner takes out at most its pro-rata part of idle assets (`redeem`, `withdraw`). `exit` queues the rest, which is
///    paid pro rata from what channels return.
///
/// **A shareholder trusts the operator.** It decides which channels get capital and signs what becomes of it; by playing
/// against itself it can lose all of it, and no rule here prevents that. It cannot take idle assets out in any other way
/// than every shareholder, and what happens here cannot touch any channel's escrow: the vault reads nothing of this contract.
///
/// Nobody owns, pauses or upgrades it.
interface IVip is IERC4626 {
    /// @notice The rules of a pool; immutable.
    /// @param vault The vault whose channels this pool backs; it lists `asset`.
    /// @param asset The one asset of the pool.
    /// @param operator The counterparty account of its channels.
    /// @param allocRatio A channel holds at most this many times its participant's net deposits, so that a channel of one base unit
    /// cannot lock the pool.
    /// @param lockup Seconds for which fresh shares are locked; at least twice the longest dispute without a raise.
    /// @param gainVesting Seconds over which a gain is released.
    struct Terms {
        IVipe vault;
        address asset;
        address operator;
        uint16 allocRatio;
        uint64 lockup;
        uint64 gainVesting;
    }

    /// @notice A request to leave.
    /// @param shares That still wait, worth what a share is worth when they are paid.
    /// @param assets Paid and not yet taken, in base units.
    struct Exit {
        address owner;
        uint256 shares;
        uint256 assets;
    }

    // ------------------------------------------------------------------------------------------------ events

    /// @notice Idle assets went into a channel.
    /// @param seq How many allocations the channel has had since: what the next signature must name.
    event Allocated(uint56 indexed channelId, uint112 amount, uint64 seq);
    /// @notice The operator voided its signature of the last `seq`.
    event AllocationSkipped(uint56 indexed channelId, uint64 seq);
    /// @notice What the vault owed came home.
    event Collected(uint256 assets);
    /// @notice A gain joined the stream, which now holds back `unvested` until `until`.
    event GainStreamed(uint256 gain, uint256 unvested, uint64 until);
    /// @notice `shares` of `owner` cannot move before `until`.
    event SharesLocked(address indexed owner, uint256 shares, uint64 until);
    /// @notice A request to leave waits with `shares`, priced when they are paid.
    event ExitQueued(uint256 indexed exitId, address indexed owner, uint256 shares);
    /// @notice The requests of a round were paid `assets` for `shares` of theirs, which are burnt.
    event ExitsPaid(uint64 indexed round, uint256 assets, uint256 shares);
    /// @notice The owner of a request sent `to` what was paid for it, in base units.
    event ExitTaken(uint256 indexed exitId, address indexed owner, address to, uint256 assets);

    // ------------------------------------------------------------------------------------------------ shareholders

    /// @notice Leaves with `shares`: pays `receiver` at once their pro-rata part of idle assets, at most what they are worth, and queues
    /// the rest for `owner`. A request is final. It still gains and loses with the pool until it is paid.
    /// @return assets Paid at once.
    /// @return exitId The request; zero if nothing, or dust, was left (dust stays `owner`'s, locked).
    function exit(uint256 shares, address receiver, address owner) external returns (uint256 assets, uint256 exitId);

    /// @notice Sends `to` what was paid for a request so far. Its owner only.
    function takeExit(uint256 exitId, address to) external returns (uint256 assets);

    // ------------------------------------------------------------------------------------------------ operator

    /// @notice Brings the operator's consent to a channel (the vault's `Accept`, which names this pool and the allocation) together
    /// with the allocation. Anybody.
    function accept(uint56 channelId, uint112 allocation, uint64 deadline, bytes calldata signature) external;

    /// @notice Puts more of the idle assets into a live channel. The operator only.
    function allocate(uint56 channelId, uint112 amount) external;

    /// @notice The same by anybody with the operator's signature (EIP-712 in the vault's domain; ECDSA, then ERC-1271):
    /// `Allocate(uint56 channelId,address vip,uint112 amount,uint64 seq,uint64 deadline)`.
    /// @param deadline Last second at which it may be used.
    function allocateWithSignature(uint56 channelId, uint112 amount, uint64 deadline, bytes calldata signature) external;

    /// @notice Voids every signature over the channel's present `seq`. The operator only.
    function skipAllocation(uint56 channelId) external;

    // ------------------------------------------------------------------------------------------------ everybody

    /// @notice Brings home what the vault owes, starts the streams of new gains and pays the queue its part. May find nothing to do.
    /// @return assets What came home.
    function collect() external returns (uint256 assets);

    // ------------------------------------------------------------------------------------------------ views

    /// @notice The rules of this pool.
    function terms() external view returns (Terms memory);
    /// @notice The counterparty account of its channels.
    function operator() external view returns (address);
    /// @notice Assets in the pool's own hands, without what is set aside for the queue. Counted, never measured.
    function idle() external view returns (uint256);
    /// @notice Paid to requests and not yet taken.
    function setAside() external view returns (uint256);
    /// @notice The books that `totalAssets` is made of: `idle + placed + owed - unvested`.
    /// @return placed Capital in channels, at cost.
    /// @return owed What the vault owes the pool.
    /// @return unvested Realised gains that are not released.
    function books() external view returns (uint256 placed, uint256 owed, uint256 unvested);
    /// @notice Shares of `account` that can be neither moved nor redeemed nor queued, and when all are free.
    function lockedShares(address account) external view returns (uint256 shares, uint64 until);
    /// @notice Shares that wait in the queue.
    function queuedShares() external view returns (uint256);
    /// @notice A request to leave; its owner is zero once nothing more can come of it.
    function exitOf(uint256 exitId) external view returns (Exit memory);
    /// @notice What the operator's next signature for this channel must name.
    function allocationSeq(uint56 channelId) external view returns (uint64);
}
