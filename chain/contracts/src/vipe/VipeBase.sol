// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IVipe} from "../interfaces/IVipe.sol";
import {IVipeErrors} from "../interfaces/IVipeErrors.sol";
import {DisputeRule} from "../libraries/DisputeRule.sol";
import {Ledger} from "../libraries/Ledger.sol";

/// @title What every part of the vault shares: rules, records, and reading them
/// @dev One reentrancy lock (transient storage) is shared by all entry points of all parts, also across channels: a token
/// that calls back can enter nothing. There is no owner and no way to change a rule, list an asset, pause or upgrade.
abstract contract VipeBase is IVipe, IVipeErrors, EIP712, ReentrancyGuardTransient {
    /// @dev No period of the rules may be longer; keeps every sum of times far below 2^64.
    uint64 private constant LONGEST = 365 days;

    /// @dev The part of `Channel` that is stored, and what only the counterparty's consent needs.
    struct ChannelRecord {
        address participant;
        Status status;
        uint56 version;
        address counterparty;
        uint64 acceptBy;
        address vip;
        uint96 rate;
        address asset;
        uint64 epoch;
        address participantSession;
        uint64 seq;
        address counterpartySession;
        bytes32 keysDigest;
        bytes32 disputeHash;
        bytes32 channelKeysHash;
        bytes32 salt;
        StateClaim checkpoint;
    }

    /// @dev `Dispute`, packed.
    struct DisputeRecord {
        address disputer;
        bool raised;
        bool byParticipant;
        uint56 nonce;
        address payer;
        uint64 openedAt;
        address corrector;
        uint64 deadline;
        bool closing;
        uint112 claim;
        uint112 peak;
        uint128 fee;
        uint64 windowEnd;
        uint112 raisedFrom;
        uint112 agreedToParticipant;
    }

    /// @inheritdoc IVipe
    bytes21 public immutable domain;

    uint64 internal immutable DISPUTE_WINDOW;
    uint64 internal immutable RESPONSE_EXTENSION;
    uint64 internal immutable MAX_EXTENSION;
    uint128 internal immutable FEE_FLOOR;
    uint64 internal immutable FEE_GAS;
    uint16 internal immutable TOWER_BPS;
    uint16 internal immutable SLASH_BPS;
    address internal immutable VERIFIER;
    bytes32 internal immutable VERIFIER_CODE_HASH;

    /// @inheritdoc IVipe
    uint56 public channelCount;

    mapping(uint56 channelId => ChannelRecord) internal _channels;
    mapping(uint56 channelId => DisputeRecord) internal _disputes;
    mapping(uint56 channelId => mapping(uint56 version => Ledger.Entry)) internal _ledgers;
    mapping(bytes32 disputeHash => bool) internal _disputeHashUsed;
    /// @dev Written by the constructor only.
    mapping(address asset => AssetCap) private _caps;
    /// @dev Sum of the escrow of all channels of an asset that are not settled or cancelled.
    mapping(address asset => uint256) internal _escrowed;

    /// @dev The verifier's code is compared once: code without an upgrade path cannot change afterwards, and a hash names code,
    /// not a promise. Deploy tools refuse a verifier that is a proxy or a delegation.
    constructor(Rules memory given, AssetCap[] memory caps) EIP712("VRC Vipe", "1") {
        _checkRules(given);
        DISPUTE_WINDOW = given.disputeWindow;
        RESPONSE_EXTENSION = given.responseExtension;
        MAX_EXTENSION = given.maxExtension;
        FEE_FLOOR = given.feeFloor;
        FEE_GAS = given.feeGas;
        TOWER_BPS = given.towerBps;
        SLASH_BPS = given.slashBps;
        VERIFIER = given.verifier;
        VERIFIER_CODE_HASH = given.verifierCodeHash;
        domain = bytes21(keccak256(abi.encode("vrc5", block.chainid, address(this))));
        for (uint256 i = 0; i < caps.length; ++i) {
            AssetCap memory cap = caps[i];
            if (
                cap.asset.code.length == 0 || _caps[cap.asset].asset != address(0) || cap.perChannel == 0
                    || cap.perChannel > cap.total
            ) revert BadAssetCap(cap.asset);
            _caps[cap.asset] = cap;
        }
    }

    function _checkRules(Rules memory given) private view {
        if (
            given.disputeWindow == 0 || given.disputeWindow > LONGEST || given.responseExtension > LONGEST
                || given.maxExtension > LONGEST || given.towerBps > DisputeRule.BPS || given.slashBps > DisputeRule.BPS
                || given.verifier.code.length == 0 || given.verifier.codehash != given.verifierCodeHash
        ) revert BadRules();
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IVipe
    function rules() external view returns (Rules memory) {
        return Rules({
            disputeWindow: DISPUTE_WINDOW,
            responseExtension: RESPONSE_EXTENSION,
            maxExtension: MAX_EXTENSION,
            feeFloor: FEE_FLOOR,
            feeGas: FEE_GAS,
            towerBps: TOWER_BPS,
            slashBps: SLASH_BPS,
            verifier: VERIFIER,
            verifierCodeHash: VERIFIER_CODE_HASH
        });
    }

    /// @inheritdoc IVipe
    /// @dev From the live chain id; `domain` keeps the one of construction.
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IVipe
    function channel(uint56 channelId) external view returns (Channel memory) {
        ChannelRecord storage c = _channels[channelId];
        return Channel({
            status: c.status,
            participant: c.participant,
            counterparty: c.counterparty,
            vip: c.vip,
            asset: c.asset,
            participantSession: c.participantSession,
            counterpartySession: c.counterpartySession,
            keysDigest: c.keysDigest,
            disputeHash: c.disputeHash,
            rate: c.rate,
            acceptBy: c.acceptBy,
            version: c.version,
            epoch: c.epoch,
            checkpoint: c.checkpoint,
            seq: c.seq
        });
    }

    /// @inheritdoc IVipe
    /// @dev Stays readable after settlement.
    function disputeOf(uint56 channelId) external view returns (Dispute memory) {
        DisputeRecord storage d = _disputes[channelId];
        return Dispute({
            disputer: d.disputer,
            payer: d.payer,
            corrector: d.corrector,
            raised: d.raised,
            byParticipant: d.byParticipant,
            nonce: d.nonce,
            openedAt: d.openedAt,
            deadline: d.deadline,
            windowEnd: d.windowEnd,
            claim: d.claim,
            peak: d.peak,
            fee: d.fee,
            raisedFrom: d.raisedFrom,
            closing: d.closing,
            agreedToParticipant: d.agreedToParticipant
        });
    }

    /// @inheritdoc IVipe
    function ledger(uint56 channelId, uint56 version) external view returns (int128 p, int128 h) {
        Ledger.Entry memory entry = _entry(channelId, version);
        return (entry.p, entry.h);
    }

    /// @inheritdoc IVipe
    /// @dev Speaks of the ledger alone: it stays what it was after the channel is settled or cancelled.
    function escrow(uint56 channelId, uint56 version) external view returns (uint112) {
        return Ledger.escrow(_entry(channelId, version));
    }

    /// @inheritdoc IVipe
    function payout(uint56 channelId, uint56 version, uint112 balance)
        external
        view
        returns (uint112 toParticipant, uint112 toVip)
    {
        return _payout(channelId, version, balance);
    }

    /// @inheritdoc IVipe
    function bond(uint56 channelId, uint112 claim) external view returns (uint256) {
        return DisputeRule.bond(claim, _channels[channelId].rate);
    }

    /// @inheritdoc IVipe
    function openingFee() public view returns (uint256) {
        return DisputeRule.fee(FEE_FLOOR, FEE_GAS, block.basefee);
    }

    /// @inheritdoc IVipe
    function assetCap(address asset) external view returns (uint112 perChannel, uint112 total) {
        AssetCap storage cap = _caps[asset];
        return (cap.perChannel, cap.total);
    }

    // ------------------------------------------------------------------------------------------------ for the parts

    function _inStatus(uint56 channelId, Status wanted) internal view returns (ChannelRecord storage c) {
        c = _channels[channelId];
        if (c.status != wanted) revert WrongStatus(channelId, c.status);
    }

    function _cap(address asset) internal view returns (AssetCap memory cap) {
        cap = _caps[asset];
        if (cap.asset == address(0)) revert AssetNotListed(asset);
    }

    function _entry(uint56 channelId, uint56 version) internal view returns (Ledger.Entry memory) {
        uint56 newest = _channels[channelId].version;
        if (version > newest) revert UnknownVersion(version, newest);
        return _ledgers[channelId][version];
    }

    /// @dev The version that a state names. Refuses a state that no escrow backs.
    function _backed(uint56 channelId, uint56 version, uint112 balance)
        internal
        view
        returns (Ledger.Entry memory named)
    {
        named = _entry(channelId, version);
        uint112 backing = Ledger.escrow(named);
        if (balance > backing) revert BalanceAboveEscrow(balance, backing);
    }

    function _payout(uint56 channelId, uint56 version, uint112 balance)
        internal
        view
        returns (uint112 toParticipant, uint112 toVip)
    {
        Ledger.Entry memory named = _backed(channelId, version, balance);
        return Ledger.payout(named, _ledgers[channelId][_channels[channelId].version], balance);
    }

    /// @dev The one place where a ledger grows.
    function _appendVersion(uint56 channelId, ChannelRecord storage c, Ledger.Entry memory entry) internal {
        if (!Ledger.inRange(entry)) revert LedgerOutOfRange();
        uint56 version = ++c.version;
        _ledgers[channelId][version] = entry;
        emit LedgerAppended(channelId, version, entry.p, entry.h);
    }
}
