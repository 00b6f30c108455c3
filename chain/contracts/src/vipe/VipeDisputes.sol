// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IVipe} from "../interfaces/IVipe.sol";
import {DisputeRule} from "../libraries/DisputeRule.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {LiveState} from "../libraries/LiveState.sol";
import {SessionLock} from "../libraries/SessionLock.sol";
import {VipePayments} from "./VipePayments.sol";

/// @title Disputes
/// @notice Live -> Disputed -> Settled. Somebody puts a state forward with a claim and a bond; anybody may replace it by a
/// newer one while the window is open; a lowering is paid at once, by its size alone; what stands at the end is paid out.
/// A close by consent inside a dispute, and openings by authorisation (`Exit`), belong here in a later release.
/// @dev **Invariant:** for an open dispute the vault holds exactly fee + u(claim). **Invariant:** the standing nonce grows
/// strictly. **Invariant:** no call reaches the verifier before every cheaper check has passed.
abstract contract VipeDisputes is VipePayments {
    using SafeCast for uint256;

    /// @inheritdoc IVipe
    function dispute(
        uint56 channelId,
        StateClaim calldata state,
        uint112 claim,
        bytes32 disputeKey,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) external payable nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Live);
        bool byParticipant = msg.sender == c.participant;
        if (!byParticipant && msg.sender != c.counterparty) revert NotParty();
        if (keccak256(abi.encodePacked(disputeKey)) != c.disputeHash) revert WrongDisputeKey();
        uint112 pay = _pay(channelId, state, byParticipant);
        if (claim > pay) revert ClaimAbovePay(claim, pay);
        uint256 fee = openingFee();
        uint256 bonded = DisputeRule.bond(claim, c.rate);
        if (msg.value < fee + bonded) revert WrongValue(fee + bonded, msg.value);
        if (!_isCheckpoint(c.checkpoint, state, proof)) {
            _checkLocks(channelId, c, state, msg.sender, signatures, proof);
        }

        uint64 deadline = uint64(block.timestamp) + DISPUTE_WINDOW;
        c.status = Status.Disputed;
        uint64 epoch = ++c.epoch;
        _disputes[channelId] = DisputeRecord({
            disputer: msg.sender,
            raised: false,
            byParticipant: byParticipant,
            nonce: state.nonce,
            payer: msg.sender,
            openedAt: uint64(block.timestamp),
            corrector: address(0),
            deadline: deadline,
            claim: claim,
            peak: claim,
            fee: fee.toUint128(),
            windowEnd: deadline
        });
        emit DisputeOpened(
            channelId,
            msg.sender,
            epoch,
            state.nonce,
            state.version,
            state.balance,
            claim,
            deadline,
            fee,
            bonded,
            disputeKey
        );
        _creditEther(msg.sender, msg.value - fee - bonded);
    }

    /// @inheritdoc IVipe
    function overrideState(
        uint56 channelId,
        StateClaim calldata state,
        address beneficiary,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) external payable nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Disputed);
        DisputeRecord storage d = _disputes[channelId];
        if (block.timestamp >= d.deadline) revert WindowClosed(d.deadline);
        if (state.nonce <= d.nonce) revert StaleNonce(state.nonce, d.nonce);
        if (beneficiary == address(0)) revert ZeroBeneficiary();
        uint112 pay = _pay(channelId, state, d.byParticipant);
        (OverrideKind kind, uint256 moved) = _checkMove(d, pay, c.rate);
        _checkLocks(channelId, c, state, beneficiary, signatures, proof);

        d.nonce = state.nonce;
        d.claim = pay;
        uint256 reward = 0;
        if (kind == OverrideKind.Lower) reward = _lower(c, d, beneficiary, moved);
        else if (kind == OverrideKind.Raise) _raise(d, pay);
        emit Overridden(
            channelId, beneficiary, kind, state.nonce, state.version, state.balance, pay, d.deadline, reward
        );
    }

    /// @inheritdoc IVipe
    function settle(uint56 channelId) external nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Disputed);
        DisputeRecord memory d = _disputes[channelId];
        if (block.timestamp < d.deadline) revert WindowOpen(d.deadline);
        c.status = Status.Settled;

        uint112 all = Ledger.escrow(_ledgers[channelId][c.version]);
        uint112 slash = DisputeRule.slash(d.claim, d.peak, SLASH_BPS);
        uint112 toDisputer = d.claim - slash;
        (uint112 toParticipant, uint112 toVip) =
            d.byParticipant ? (toDisputer, all - toDisputer) : (all - toDisputer, toDisputer);
        uint256 bonded = DisputeRule.bond(d.claim, c.rate);
        _escrowed[c.asset] -= all;
        emit Settled(channelId, toParticipant, toVip, slash, d.corrector, d.fee, bonded);
        _creditAsset(c.participant, c.asset, toParticipant);
        _creditAsset(c.vip, c.asset, toVip);
        _creditEther(d.payer, bonded);
        _creditEther(d.corrector == address(0) ? d.payer : d.corrector, d.fee);
    }

    // ------------------------------------------------------------------------------------------------ checks

    /// @dev pay(state): what the state pays the disputer's side.
    function _pay(uint56 channelId, StateClaim calldata state, bool toTheParticipant) private view returns (uint112) {
        (uint112 toParticipant, uint112 toVip) = _payout(channelId, state.version, state.balance);
        return toTheParticipant ? toParticipant : toVip;
    }

    /// @dev True for the checkpoint itself, which both parties (or nobody, at first) agreed on before the chain; false for a
    /// newer state, which needs both locks; everything else is refused.
    function _isCheckpoint(StateClaim storage checkpoint, StateClaim calldata state, bytes calldata proof)
        private
        view
        returns (bool)
    {
        if (state.nonce > checkpoint.nonce) return false;
        if (state.nonce < checkpoint.nonce) revert StaleNonce(state.nonce, checkpoint.nonce);
        if (state.version != checkpoint.version || state.balance != checkpoint.balance) revert NotTheCheckpoint();
        if (proof.length != 0) revert UnexpectedProof();
        return true;
    }

    /// @dev Both locks, the cheap one first.
    function _checkLocks(
        uint56 channelId,
        ChannelRecord storage c,
        StateClaim calldata state,
        address beneficiary,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) private view {
        bytes32 digest = _hashTypedDataV4(SessionLock.structHash(channelId, state));
        if (!SessionLock.signed(c.participantSession, digest, signatures.participant)) {
            revert BadSessionSignature(true);
        }
        if (!SessionLock.signed(c.counterpartySession, digest, signatures.counterparty)) {
            revert BadSessionSignature(false);
        }
        uint256[15] memory words = LiveState.statement(domain, channelId, state, c.keysDigest, beneficiary);
        if (!LiveState.proven(VERIFIER, words, proof)) revert ProofRefused();
    }

    /// @dev What the override would do, and the bond that moves: struck down by a lowering, brought by a raise.
    function _checkMove(DisputeRecord storage d, uint112 pay, uint96 rate)
        private
        view
        returns (OverrideKind kind, uint256 moved)
    {
        uint112 claim = d.claim;
        if (pay > claim) {
            if (msg.sender != d.disputer) revert RaiseByDisputerOnly();
            if (d.raised) revert AlreadyRaised();
            moved = DisputeRule.bond(pay, rate) - DisputeRule.bond(claim, rate);
            if (msg.value != moved) revert WrongValue(moved, msg.value);
            return (OverrideKind.Raise, moved);
        }
        if (msg.value != 0) revert WrongValue(0, msg.value);
        if (pay == claim) return (OverrideKind.Equal, 0);
        return (OverrideKind.Lower, DisputeRule.bond(claim, rate) - DisputeRule.bond(pay, rate));
    }

    // ------------------------------------------------------------------------------------------------ effects

    /// @dev The struck-down bond leaves the dispute at once: a share to the beneficiary, the rest to the other party's account.
    function _lower(ChannelRecord storage c, DisputeRecord storage d, address beneficiary, uint256 struck)
        private
        returns (uint256 reward)
    {
        uint256 toOther;
        (reward, toOther) = DisputeRule.split(struck, TOWER_BPS);
        d.corrector = beneficiary;
        d.deadline =
            DisputeRule.extend(d.deadline, uint64(block.timestamp), RESPONSE_EXTENSION, d.windowEnd + MAX_EXTENSION);
        _creditEther(beneficiary, reward);
        _creditEther(d.byParticipant ? c.counterparty : c.participant, toOther);
    }

    /// @dev A raise is a fresh opening: its own bond, a whole window. The corrector stays: it was the last to lower.
    function _raise(DisputeRecord storage d, uint112 pay) private {
        d.raised = true;
        if (pay > d.peak) d.peak = pay;
        d.deadline = uint64(block.timestamp) + DISPUTE_WINDOW;
        d.windowEnd = d.deadline;
    }
}
