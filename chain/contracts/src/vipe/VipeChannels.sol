// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../interfaces/IVipe.sol";
import {Consent} from "../libraries/Consent.sol";
import {Goldilocks} from "../libraries/Goldilocks.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {VipePositions} from "./VipePositions.sol";

/// @title The beginning of a channel, and money into it
/// @notice None -> Open -> Live, or Open -> Cancelled. The participant fixes everything at `open`; the counterparty's consent
/// repeats it and can only accept it.
/// @dev **Invariant:** a channel's ledger grows in `Open` (once) and `Live` only; it is frozen in a dispute.
abstract contract VipeChannels is VipePositions {
    /// @inheritdoc IVipe
    /// @dev The keys digest is the participant's word: whoever reads `Opened` recomputes it from the keys and ignores the channel
    /// when it differs. A deposit of nothing is refused: only a channel with escrow may burden the towers.
    function open(OpenRequest calldata request) external nonReentrant returns (uint56 channelId) {
        _checkAccounts(request);
        _checkKeys(request);
        if (request.acceptBy < block.timestamp) revert AcceptByPassed(request.acceptBy);
        if (request.disputeHash == 0) revert ZeroDisputeHash();
        if (_disputeHashUsed[request.disputeHash]) revert DisputeHashUsed(request.disputeHash);
        _disputeHashUsed[request.disputeHash] = true;

        channelId = ++channelCount;
        ChannelRecord storage c = _channels[channelId];
        c.participant = msg.sender;
        c.status = Status.Open;
        c.counterparty = request.counterparty;
        c.acceptBy = request.acceptBy;
        c.vip = request.vip;
        c.rate = request.rate;
        c.asset = request.asset;
        c.participantSession = request.participantSession;
        c.counterpartySession = request.counterpartySession;
        c.keysDigest = request.keysDigest;
        c.disputeHash = request.disputeHash;
        c.channelKeysHash = keccak256(abi.encode(request.participantKey, request.counterpartyKey));
        c.salt = request.salt;
        _emitOpened(channelId, request);
        _append(channelId, c, request.deposit, true);
        _pull(request.asset, msg.sender, request.deposit);
    }

    /// @inheritdoc IVipe
    function accept(uint56 channelId, uint112 allocation, uint64 deadline, bytes calldata signature)
        external
        nonReentrant
    {
        ChannelRecord storage c = _inStatus(channelId, Status.Open);
        if (block.timestamp > c.acceptBy) revert AcceptByPassed(c.acceptBy);
        if (block.timestamp > deadline) revert ConsentExpired(deadline);
        if (allocation != 0 && msg.sender != c.vip) revert NotVip();
        bytes32 digest = _hashTypedDataV4(Consent.structHash(_consent(channelId, c, allocation, deadline)));
        if (!Consent.stands(c.counterparty, digest, signature)) revert ConsentRefused();

        c.status = Status.Live;
        emit Accepted(channelId, allocation);
        if (allocation != 0) {
            _append(channelId, c, allocation, false);
            _pull(c.asset, msg.sender, allocation);
        }
    }

    /// @inheritdoc IVipe
    function cancel(uint56 channelId) external nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Open);
        if (msg.sender != c.participant) revert NotParticipant();
        c.status = Status.Cancelled;
        uint112 whole = Ledger.escrow(_ledgers[channelId][c.version]);
        _escrowed[c.asset] -= whole;
        emit Cancelled(channelId);
        _creditAsset(msg.sender, c.asset, whole);
    }

    /// @inheritdoc IVipe
    function deposit(uint56 channelId, uint112 amount) external nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Live);
        if (msg.sender != c.participant) revert NotParticipant();
        _append(channelId, c, amount, true);
        _pull(c.asset, msg.sender, amount);
    }

    /// @inheritdoc IVipe
    function allocate(uint56 channelId, uint112 amount) external nonReentrant {
        ChannelRecord storage c = _inStatus(channelId, Status.Live);
        if (msg.sender != c.vip) revert NotVip();
        _append(channelId, c, amount, false);
        _pull(c.asset, msg.sender, amount);
    }

    // ------------------------------------------------------------------------------------------------ checks

    /// @dev Who calls must be unambiguous, and no side of a channel may be a contract whose balance means something else.
    function _checkAccounts(OpenRequest calldata request) private view {
        if (request.counterparty == address(0) || request.vip == address(0)) revert ZeroAddress();
        address[5] memory accounts = [msg.sender, request.counterparty, request.vip, address(this), request.asset];
        for (uint256 i = 0; i < 5; ++i) {
            for (uint256 j = i + 1; j < 5; ++j) {
                if (accounts[i] == accounts[j]) revert SameAccount(accounts[i]);
            }
        }
    }

    function _checkKeys(OpenRequest calldata request) private pure {
        if (!Goldilocks.isKey(request.participantKey) || !Goldilocks.isKey(request.counterpartyKey)) {
            revert BadChannelKey();
        }
        if (Goldilocks.equal(request.participantKey, request.counterpartyKey)) revert SameChannelKeys();
        if (!Goldilocks.isDigest(request.keysDigest)) revert BadKeysDigest();
        if (
            request.participantSession == address(0) || request.counterpartySession == address(0)
                || request.participantSession == request.counterpartySession
        ) revert BadSessionKeys();
    }

    // ------------------------------------------------------------------------------------------------ effects

    /// @dev The consent as the vault itself would write it: nothing of it comes from the caller but allocation and deadline.
    function _consent(uint56 channelId, ChannelRecord storage c, uint112 allocation, uint64 deadline)
        private
        view
        returns (Consent.Accept memory)
    {
        return Consent.Accept({
            channelId: channelId,
            participant: c.participant,
            counterparty: c.counterparty,
            vip: c.vip,
            asset: c.asset,
            keysDigest: c.keysDigest,
            channelKeysHash: c.channelKeysHash,
            participantSession: c.participantSession,
            counterpartySession: c.counterpartySession,
            disputeHash: c.disputeHash,
            salt: c.salt,
            rate: c.rate,
            deposit: Ledger.escrow(_ledgers[channelId][c.version]),
            allocation: allocation,
            acceptBy: c.acceptBy,
            deadline: deadline
        });
    }

    /// @dev Appends a version that has `amount` more on one side, within the caps.
    function _append(uint56 channelId, ChannelRecord storage c, uint112 amount, bool byParticipant) private {
        if (amount == 0) revert ZeroAmount();
        AssetCap memory cap = _cap(c.asset);
        Ledger.Entry memory entry = _ledgers[channelId][c.version];
        uint256 all = uint256(Ledger.escrow(entry)) + amount;
        if (all > cap.perChannel) revert ChannelCapExceeded(all, cap.perChannel);
        uint256 total = _escrowed[c.asset] + amount;
        if (total > cap.total) revert AssetCapExceeded(total, cap.total);
        _escrowed[c.asset] = total;

        if (byParticipant) {
            entry.p += int128(uint128(amount));
        } else {
            _placeForVip(c, entry.h, entry.h + int128(uint128(amount)));
            entry.h += int128(uint128(amount));
        }
        _appendVersion(channelId, c, entry);
    }

    function _emitOpened(uint56 channelId, OpenRequest calldata request) private {
        emit Opened(
            channelId,
            msg.sender,
            request.counterparty,
            request.vip,
            request.asset,
            request.participantKey,
            request.counterpartyKey,
            request.keysDigest,
            request.participantSession,
            request.counterpartySession,
            request.disputeHash,
            request.salt,
            request.rate,
            request.deposit,
            request.acceptBy
        );
    }
}
