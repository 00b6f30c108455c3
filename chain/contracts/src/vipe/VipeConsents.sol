// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../interfaces/IVipe.sol";
import {Consent} from "../libraries/Consent.sol";
import {DisputeRule} from "../libraries/DisputeRule.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {VipePositions} from "./VipePositions.sol";

/// @title What both parties do by consent: take money out, and end a channel
/// @notice Live -> Live (withdraw), Live -> Settled (close), Disputed -> Disputed with an announced end (close). Both parties
/// sign all of it (EIP-712); anybody may bring the two signatures, and gains nothing by it.
/// @dev **Invariant:** a consent is executed at most once: `seq` counts executions and each consent names its number, so that one
/// execution voids every other consent that was open. **Invariant:** nothing here asks the verifier: a flaw there cannot lock
/// in two parties that agree. **Invariant:** the checkpoint's nonce grows strictly.
abstract contract VipeConsents is VipePositions {
    /// @inheritdoc IVipe
    function withdraw(
        uint56 channelId,
        Withdrawal calldata withdrawal,
        bytes calldata participantSignature,
        bytes calldata counterpartySignature
    ) external nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Live);
        if (block.timestamp > withdrawal.deadline) revert ConsentExpired(withdrawal.deadline);
        StateClaim calldata state = withdrawal.state;
        if (state.nonce <= c.checkpoint.nonce) revert StaleNonce(state.nonce, c.checkpoint.nonce);
        Ledger.Entry memory entry = _takeOut(channelId, c, withdrawal);
        uint64 seq = c.seq;
        bytes32 structHash = Consent.structHash(
            Consent.Withdraw({
                channelId: channelId,
                participant: c.participant,
                counterparty: c.counterparty,
                seq: seq,
                nonce: state.nonce,
                version: state.version,
                balance: state.balance,
                toParticipant: withdrawal.toParticipant,
                toVip: withdrawal.toVip,
                deadline: withdrawal.deadline
            })
        );
        _checkConsents(c, structHash, participantSignature, counterpartySignature);

        c.seq = seq + 1;
        c.checkpoint = state;
        _escrowed[c.asset] -= uint256(withdrawal.toParticipant) + withdrawal.toVip;
        emit Withdrawn(
            channelId, seq, state.nonce, state.version, state.balance, withdrawal.toParticipant, withdrawal.toVip
        );
        _appendVersion(channelId, c, entry);
        _creditAsset(c.participant, c.asset, withdrawal.toParticipant);
        _payVip(c, entry.h + int128(uint128(withdrawal.toVip)), entry.h, withdrawal.toVip);
    }

    /// @inheritdoc IVipe
    function close(
        uint56 channelId,
        Closing calldata closing,
        bytes calldata participantSignature,
        bytes calldata counterpartySignature
    ) external nonReentrant {
        ChannelRecord storage c = _channels[channelId];
        Status status = c.status;
        if (status != Status.Live && status != Status.Disputed) revert WrongStatus(channelId, status);
        if (block.timestamp > closing.deadline) revert ConsentExpired(closing.deadline);
        uint64 epoch = status == Status.Disputed ? c.epoch : 0;
        if (closing.epoch != epoch) revert WrongEpoch(closing.epoch, epoch);
        uint112 all = Ledger.escrow(_ledgers[channelId][c.version]);
        uint256 paid = uint256(closing.toParticipant) + closing.toVip;
        if (paid != all) revert NotTheWholeEscrow(paid, all);
        uint64 seq = c.seq;
        bytes32 structHash = Consent.structHash(
            Consent.Close({
                channelId: channelId,
                participant: c.participant,
                counterparty: c.counterparty,
                seq: seq,
                disputeEpoch: epoch,
                toParticipant: closing.toParticipant,
                toVip: closing.toVip,
                deadline: closing.deadline
            })
        );
        _checkConsents(c, structHash, participantSignature, counterpartySignature);

        c.seq = seq + 1;
        if (status == Status.Disputed) return _announce(channelId, seq, closing);
        c.status = Status.Settled;
        _escrowed[c.asset] -= all;
        emit Closed(channelId, seq, closing.toParticipant, closing.toVip);
        _creditAsset(c.participant, c.asset, closing.toParticipant);
        _payVip(c, _ledgers[channelId][c.version].h, 0, closing.toVip);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// @dev The version that the withdrawal makes. The consented state must leave each side what it takes.
    function _takeOut(uint56 channelId, ChannelRecord storage c, Withdrawal calldata withdrawal)
        private
        view
        returns (Ledger.Entry memory entry)
    {
        StateClaim calldata state = withdrawal.state;
        entry = _ledgers[channelId][c.version];
        uint112 all = Ledger.escrow(entry);
        int256 due = Ledger.due(_backed(channelId, state.version, state.balance), entry, state.balance);
        int256 most = int256(uint256(all));
        if (
            due < 0 || due > most || int256(uint256(withdrawal.toParticipant)) > due
                || int256(uint256(withdrawal.toVip)) > most - due
        ) revert WithdrawalNotCovered(due, all);
        entry.p -= int128(uint128(withdrawal.toParticipant));
        entry.h -= int128(uint128(withdrawal.toVip));
    }

    function _checkConsents(
        ChannelRecord storage c,
        bytes32 structHash,
        bytes calldata participantSignature,
        bytes calldata counterpartySignature
    ) private view {
        bytes32 digest = _hashTypedDataV4(structHash);
        if (!Consent.stands(c.participant, digest, participantSignature)) revert NoConsentOf(c.participant);
        if (!Consent.stands(c.counterparty, digest, counterpartySignature)) revert NoConsentOf(c.counterparty);
    }

    /// @dev The end that both agreed on, announced: whoever has an override under way still lands it and is paid. It never lengthens
    /// a window, and after the deadline there is nothing left to agree on: what stands is paid.
    function _announce(uint56 channelId, uint64 seq, Closing calldata closing) private {
        DisputeRecord storage d = _disputes[channelId];
        uint64 deadline = d.deadline;
        if (block.timestamp >= deadline) revert WindowClosed(deadline);
        if (d.closing) revert AlreadyClosing();
        d.closing = true;
        d.agreedToParticipant = closing.toParticipant;
        deadline = DisputeRule.hasten(deadline, uint64(block.timestamp), RESPONSE_EXTENSION);
        d.deadline = deadline;
        emit CloseAnnounced(channelId, seq, closing.epoch, closing.toParticipant, closing.toVip, deadline);
    }
}
