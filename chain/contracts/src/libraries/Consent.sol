// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Consents of accounts (EIP-712)
/// @notice A consent names both accounts, so that a wallet contract which serves several of them gives each its own
/// signature. `seq` is one counter per channel, not per request: executing any consent of both voids every other one.
library Consent {
    /// @notice What the counterparty signs: all of the participant's request, and the allocation that goes with it.
    /// @param channelKeysHash keccak256 of both channel keys: ten 32-byte words, participant's five elements first.
    /// @param deposit The participant's whole deposit.
    /// @param deadline Last second at which this consent may be used.
    struct Accept {
        uint56 channelId;
        address participant;
        address counterparty;
        address vip;
        address asset;
        bytes32 keysDigest;
        bytes32 channelKeysHash;
        address participantSession;
        address counterpartySession;
        bytes32 disputeHash;
        bytes32 salt;
        uint96 rate;
        uint112 deposit;
        uint112 allocation;
        uint64 acceptBy;
        uint64 deadline;
    }

    /// @notice What both parties sign to take money out of a live channel.
    /// @param seq The channel's counter of executed consents.
    /// @param nonce,version,balance A state that both consent to by this; it uses up the nonce.
    struct Withdraw {
        uint56 channelId;
        address participant;
        address counterparty;
        uint64 seq;
        uint56 nonce;
        uint56 version;
        uint112 balance;
        uint112 toParticipant;
        uint112 toVip;
        uint64 deadline;
    }

    /// @notice What both parties sign to end a channel.
    /// @param disputeEpoch The dispute that it ends; zero outside one, so that no consent given earlier can abort a dispute.
    struct Close {
        uint56 channelId;
        address participant;
        address counterparty;
        uint64 seq;
        uint64 disputeEpoch;
        uint112 toParticipant;
        uint112 toVip;
        uint64 deadline;
    }

    /// @notice What a party signs so that somebody else opens a dispute for it.
    /// @param nonce The one state that may be put forward.
    /// @param cap The claim is the smaller of this and what the state pays.
    /// @param payer Who may open; zero for anybody.
    struct Exit {
        uint56 channelId;
        address party;
        uint56 nonce;
        uint112 cap;
        address payer;
        uint64 deadline;
    }

    bytes32 internal constant WITHDRAW_TYPEHASH = keccak256(
        "Withdraw(uint56 channelId,address participant,address counterparty,uint64 seq,uint56 nonce,uint56 version,uint112 balance,uint112 toParticipant,uint112 toVip,uint64 deadline)"
    );
    bytes32 internal constant CLOSE_TYPEHASH = keccak256(
        "Close(uint56 channelId,address participant,address counterparty,uint64 seq,uint64 disputeEpoch,uint112 toParticipant,uint112 toVip,uint64 deadline)"
    );
    bytes32 internal constant EXIT_TYPEHASH =
        keccak256("Exit(uint56 channelId,address party,uint56 nonce,uint112 cap,address payer,uint64 deadline)");
    bytes32 internal constant ACCEPT_TYPEHASH = keccak256(
        "Accept(uint56 channelId,address participant,address counterparty,address vip,address asset,bytes32 keysDigest,bytes32 channelKeysHash,address participantSession,address counterpartySession,bytes32 disputeHash,bytes32 salt,uint96 rate,uint112 deposit,uint112 allocation,uint64 acceptBy,uint64 deadline)"
    );

    /// @notice EIP-712 struct hash.
    function structHash(Accept memory consent) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCEPT_TYPEHASH, consent));
    }

    /// @notice EIP-712 struct hash.
    function structHash(Withdraw memory consent) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAW_TYPEHASH, consent));
    }

    /// @notice EIP-712 struct hash.
    function structHash(Close memory consent) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE_TYPEHASH, consent));
    }

    /// @notice EIP-712 struct hash.
    function structHash(Exit memory order) internal pure returns (bytes32) {
        return keccak256(abi.encode(EXIT_TYPEHASH, order));
    }

    /// @notice True when `account` stands behind `digest`: by ECDSA (65 bytes, low s), else by ERC-1271.
    /// @dev ECDSA comes first and for accounts with code too: an account that delegates by EIP-7702 has code and still signs with
    /// its key. A wallet contract that calls everything valid is its owner's risk.
    function stands(address account, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (err == ECDSA.RecoverError.NoError && signer == account) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }
}
