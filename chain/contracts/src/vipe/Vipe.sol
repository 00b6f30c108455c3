// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {VipeBase} from "./VipeBase.sol";
import {VipeChannels} from "./VipeChannels.sol";
import {VipeConsents} from "./VipeConsents.sol";
import {VipeDisputes} from "./VipeDisputes.sol";

/// @title VRC-3: the vault of isolated participant escrow
/// @notice Holds the escrow of many channels. Each channel's money is its own ledger and never pays another's claim.
/// Nobody owns, pauses or upgrades this contract: a freeze that blocks challenges while clocks run is itself an attack. What
/// bounds a flaw instead: two locks on every disputed state, immutable caps, and a verifier pinned by the hash of its code.
/// @dev The parts: `VipeBase` rules, records and views; `VipePayments` credits and transfers; `VipeChannels` how a channel
/// begins and is funded; `VipeConsents` what both parties do by consent; `VipeDisputes` disputes. Formulas and signatures are in
/// `libraries/`.
contract Vipe is VipeChannels, VipeConsents, VipeDisputes {
    /// @param given The rules of this deployment.
    /// @param caps The assets of this deployment, with their caps. A listed token takes no fee on transfer and changes no balance
    /// by itself; a deposit that violates the first is refused, a violation of the second is confined to channels of that asset.
    constructor(Rules memory given, AssetCap[] memory caps) VipeBase(given, caps) {}
}
