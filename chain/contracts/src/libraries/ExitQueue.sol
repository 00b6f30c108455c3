// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The queue of those who leave
/// @notice All requests that wait are paid together, in proportion to their shares, in constant time: a payment moves two
/// numbers of a round, and each owner computes its own part of it.
///
/// A request holds units of its round. Units stay what they are while payments burn the round's shares, so a unit stands for fewer and
/// fewer shares; who joins later gets more units for a share. Before that ratio gets out of hand (when 2^32 units stand for
/// one share) new requests start a round of their own: the old one, down to a dust of what it was, is paid first.
/// @dev **Invariant:** `head <= open <= head + 1`; a round has at least as many units as shares, and rounds before `head` have no
/// shares. Everything rounds against the requests: their parts never sum to more than was paid.
library ExitQueue {
    /// @dev Payments per unit are kept times 2^160. A share is worth less than 2^93 base units (10^6 virtual shares, assets
    /// below 2^112) and payments burn each share once, so the sum stays below 2^253.
    uint256 private constant SCALE = 1 << 160;
    uint256 private constant RATIO_BITS = 32;

    /// @param units Of all requests that joined.
    /// @param shares That wait to be paid.
    /// @param paidPerUnit Base units paid for a unit so far, times 2^160.
    struct Round {
        uint256 units;
        uint256 shares;
        uint256 paidPerUnit;
    }

    /// @param paidPerUnit Of the round when this request last took its part.
    struct Request {
        address owner;
        uint64 round;
        uint256 units;
        uint256 paidPerUnit;
    }

    struct Queue {
        uint64 head;
        uint64 open;
        uint128 count;
        mapping(uint64 number => Round) rounds;
        mapping(uint256 id => Request) requests;
    }

    /// @notice Adds a request; ids start at 1. `shares` is not zero.
    function join(Queue storage queue, address owner, uint256 shares) internal returns (uint256 id) {
        uint64 number = queue.open;
        Round storage round = queue.rounds[number];
        if (round.units != 0 && round.units >> RATIO_BITS >= round.shares) {
            bool ended = round.shares == 0;
            queue.open = ++number;
            if (ended) queue.head = number;
            round = queue.rounds[number];
        }
        uint256 units = round.units == 0 ? shares : Math.mulDiv(shares, round.units, round.shares);
        round.units += units;
        round.shares += shares;
        id = ++queue.count;
        queue.requests[id] = Request(owner, number, units, round.paidPerUnit);
    }

    /// @notice Gives `assets` to the requests of a round and burns `shares` of theirs.
    function pay(Queue storage queue, uint64 number, uint256 assets, uint256 shares) internal {
        Round storage round = queue.rounds[number];
        round.shares -= shares;
        round.paidPerUnit += Math.mulDiv(assets, SCALE, round.units);
        if (round.shares == 0 && number < queue.open) queue.head = number + 1;
    }

    /// @notice Takes what was paid for a request since last time; forgets it once nothing more can come.
    function take(Queue storage queue, uint256 id) internal returns (uint256 assets) {
        Request storage request = queue.requests[id];
        assets = due(queue, id);
        Round storage round = queue.rounds[request.round];
        if (round.shares == 0) delete queue.requests[id];
        else request.paidPerUnit = round.paidPerUnit;
    }

    /// @notice What a request may take now, in base units.
    function due(Queue storage queue, uint256 id) internal view returns (uint256) {
        Request storage request = queue.requests[id];
        if (request.units == 0) return 0;
        return Math.mulDiv(request.units, queue.rounds[request.round].paidPerUnit - request.paidPerUnit, SCALE);
    }

    /// @notice The shares of a request that still wait.
    function waiting(Queue storage queue, uint256 id) internal view returns (uint256) {
        Request storage request = queue.requests[id];
        if (request.units == 0) return 0;
        Round storage round = queue.rounds[request.round];
        return Math.mulDiv(request.units, round.shares, round.units);
    }
}
