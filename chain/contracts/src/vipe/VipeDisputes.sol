// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IVipe} from "../interfaces/IVipe.sol";
import {Consent} from "../libraries/Consent.sol";
import {DisputeRule} from "../libraries/DisputeRule.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {LiveState} from "../libraries/LiveState.sol";
import {SessionLock} from "../libraries/SessionLock.sol";
import {VipePositions} from "./VipePositions.sol";

/// @title Disputes
/// @notice Live -> Disputed -> Settled. Somebody puts a state forward with a claim and a bond; anybody may replace it by a
/// newer one while the window is open; a lowering is paid at once, by its size alone; what stands at the end is paid out, or
/// what both parties announced instead.
/// @dev **Invariant:** for an open dispute the vault holds exactly fee + u(claim). **Invariant:** the standing nonce grows
/// strictly. **Invariant:** no call reaches the verifier before every cheaper check has passed.
abstract contract VipeDisputes is VipePositions {
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
        bool byParticipant = _isParticipant(c, msg.sender);
        uint112 pay = _pay(channelId, state, byParticipant);
        if (claim > pay) revert ClaimAbovePay(claim, pay);
        (uint256 fee, uint256 bonded) = _checkOpening(c, claim, disputeKey);
        if (!_isCheckpoint(c.checkpoint, state, proof)) {
            _checkLocks(channelId, c, state, msg.sender, signatures, proof);
        }

        _begin(channelId, c, msg.sender, byParticipant, state, claim, fee, disputeKey);
        _creditEther(msg.sender, msg.value - fee - bonded);
    }

    /// @inheritdoc IVipe
    /// @dev The claim is not the caller's to choose: a sponsor in league with the other party would claim nothing.
    function disputeFor(
        uint56 channelId,
        StateClaim calldata state,
        ExitOrder calldata order,
        bytes32 disputeKey,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) external payable nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Live);
        bool byParticipant = _isParticipant(c, order.party);
        uint112 claim = _pay(channelId, state, byParticipant);
        if (order.cap < claim) claim = order.cap;
        (uint256 fee, uint256 bonded) = _checkOpening(c, claim, disputeKey);
        bool fromCheckpoint = _isCheckpoint(c.checkpoint, state, proof);
        _checkOrder(channelId, state.nonce, order);
        if (!fromCheckpoint) _checkLocks(channelId, c, state, order.party, signatures, proof);

        _begin(channelId, c, order.party, byParticipant, state, claim, fee, disputeKey);
        if (msg.sender != order.party) emit Sponsored(channelId, msg.sender);
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

        uint112 found = d.claim;
        d.nonce = state.nonce;
        d.claim = pay;
        uint256 reward = 0;
        if (kind == OverrideKind.Lower) reward = _lower(c, d, beneficiary, moved);
        else if (kind == OverrideKind.Raise) _raise(d, found, pay);
        emit Overridden(
            channelId, beneficiary, kind, state.nonce, state.version, state.balance, pay, d.deadline, reward
        );
    }

    /// @inheritdoc IVipe
    function settle(uint56 channelId) external nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Disputed);
        uint64 deadline = _disputes[channelId].deadline;
        if (block.timestamp < deadline) revert WindowOpen(deadline);
        _end(channelId, c);
    }

    /// @inheritdoc IVipe
    /// @dev An id that is unknown, named twice, not due or ended costs its reads and stops nobody.
    function settleMany(uint56[] calldata channelIds) external nonReentrant returns (uint256 settled) {
        for (uint256 i = 0; i < channelIds.length; ++i) {
            uint56 channelId = channelIds[i];
            ChannelRecord storage c = _channels[channelId];
            if (c.status != Status.Disputed || block.timestamp < _disputes[channelId].deadline) continue;
            _end(channelId, c);
            ++settled;
        }
    }

    // ------------------------------------------------------------------------------------------------ checks

    /// @dev Which side `account` is; refuses everybody else.
    function _isParticipant(ChannelRecord storage c, address account) private view returns (bool) {
        if (account == c.participant) return true;
        if (account != c.counterparty) revert NotParty();
        return false;
    }

    /// @dev The key, and the ether: what an opening with this claim costs in this block.
    function _checkOpening(ChannelRecord storage c, uint112 claim, bytes32 disputeKey)
        private
        view
        returns (uint256 fee, uint256 bonded)
    {
        if (keccak256(abi.encodePacked(disputeKey)) != c.disputeHash) revert WrongDisputeKey();
        fee = openingFee();
        bonded = DisputeRule.bond(claim, c.rate);
        if (msg.value < fee + bonded) revert WrongValue(fee + bonded, msg.value);
    }

    /// @dev That the party wants this caller to open with the state of this nonce.
    function _checkOrder(uint56 channelId, uint56 nonce, ExitOrder calldata order) private view {
        if (order.payer != address(0) && order.payer != msg.sender) revert NotThePayer(order.payer);
        if (block.timestamp > order.deadline) revert ConsentExpired(order.deadline);
        bytes32 structHash = Consent.structHash(
            Consent.Exit({
                channelId: channelId,
                party: order.party,
                nonce: nonce,
                cap: order.cap,
                payer: order.payer,
                deadline: order.deadline
            })
        );
        if (!Consent.stands(order.party, _hashTypedDataV4(structHash), order.signature)) {
            revert NoConsentOf(order.party);
        }
    }

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
            if (d.closing) revert AlreadyClosing();
            moved = DisputeRule.bond(pay, rate) - DisputeRule.bond(claim, rate);
            if (msg.value != moved) revert WrongValue(moved, msg.value);
            return (OverrideKind.Raise, moved);
        }
        if (msg.value != 0) revert WrongValue(0, msg.value);
        if (pay == claim) return (OverrideKind.Equal, 0);
        return (OverrideKind.Lower, DisputeRule.bond(claim, rate) - DisputeRule.bond(pay, rate));
    }

    // ------------------------------------------------------------------------------------------------ effects

    function _begin(
        uint56 channelId,
        ChannelRecord storage c,
        address disputer,
        bool byParticipant,
        StateClaim calldata state,
        uint112 claim,
        uint256 fee,
        bytes32 disputeKey
    ) private {
        uint64 deadline = uint64(block.timestamp) + DISPUTE_WINDOW;
        c.status = Status.Disputed;
        uint64 epoch = ++c.epoch;
        DisputeRecord storage d = _disputes[channelId];
        d.disputer = disputer;
        d.byParticipant = byParticipant;
        d.nonce = state.nonce;
        d.payer = msg.sender;
        d.openedAt = uint64(block.timestamp);
        d.deadline = deadline;
        d.claim = claim;
        d.peak = claim;
        d.fee = fee.toUint128();
        d.windowEnd = deadline;
        emit DisputeOpened(
            channelId,
            disputer,
            epoch,
            state.nonce,
            state.version,
            state.balance,
            claim,
            deadline,
            fee,
            DisputeRule.bond(claim, c.rate),
            disputeKey
        );
    }

    /// @dev Pays what stands, or what was announced; the ether is the same in both cases.
    function _end(uint56 channelId, ChannelRecord storage c) private {
        DisputeRecord memory d = _disputes[channelId];
        c.status = Status.Settled;
        uint112 all = Ledger.escrow(_ledgers[channelId][c.version]);
        _escrowed[c.asset] -= all;

        uint112 slash = d.closing ? 0 : DisputeRule.slash(d.claim, d.peak, SLASH_BPS);
        uint112 toParticipant = d.agreedToParticipant;
        if (!d.closing) toParticipant = d.byParticipant ? d.claim - slash : all - (d.claim - slash);
        uint256 bonded = DisputeRule.bond(d.claim, c.rate);
        emit Settled(channelId, toParticipant, all - toParticipant, slash, d.corrector, d.fee, bonded);
        _creditAsset(c.participant, c.asset, toParticipant);
        _payVip(c, _ledgers[channelId][c.version].h, 0, all - toParticipant);
        uint256 toPayer = _payersBond(d, c.rate, bonded);
        _creditEther(d.payer, toPayer);
        _creditEther(d.disputer, bonded - toPayer);
        _creditEther(d.corrector == address(0) ? d.payer : d.corrector, d.fee);
    }

    /// @dev Who brought the bond that stands: above the claim that a raise found it is the disputer's own.
    function _payersBond(DisputeRecord memory d, uint96 rate, uint256 bonded) private pure returns (uint256) {
        if (!d.raised || d.payer == d.disputer || d.claim <= d.raisedFrom) return bonded;
        return DisputeRule.bond(d.raisedFrom, rate);
    }

    /// @dev The struck-down bond leaves the dispute at once: a share to the beneficiary, the rest to the other party's account.
    function _lower(ChannelRecord storage c, DisputeRecord storage d, address beneficiary, uint256 struck)
        private
        returns (uint256 reward)
    {
        uint256 toOther;
        (reward, toOther) = DisputeRule.split(struck, TOWER_BPS);
        d.corrector = beneficiary;
        if (!d.closing) {
            d.deadline = DisputeRule.extend(
                d.deadline, uint64(block.timestamp), RESPONSE_EXTENSION, d.windowEnd + MAX_EXTENSION
            );
        }
        _creditEther(beneficiary, reward);
        _creditEther(d.byParticipant ? c.counterparty : c.participant, toOther);
    }

    /// @dev A raise is a fresh opening: its own bond, a whole window. The corrector stays: it was the last to lower.
    function _raise(DisputeRecord storage d, uint112 found, uint112 pay) private {
        d.raised = true;
        d.raisedFrom = found;
        if (pay > d.peak) d.peak = pay;
        d.deadline = uint64(block.timestamp) + DISPUTE_WINDOW;
        d.windowEnd = d.deadline;
    }
}
