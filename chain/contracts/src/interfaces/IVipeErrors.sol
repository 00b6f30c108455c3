// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "./IVipe.sol";

/// @title Why the vault refuses
/// @notice Every refusal of the vault is one of these; a call that is refused changes nothing.
interface IVipeErrors {
    // ------------------------------------------------------------------------------------------------ construction

    /// @notice A rule is out of range, or the verifier's code is not the one that was named.
    error BadRules();
    /// @notice An asset is listed twice, has no code, or its caps are zero or the wrong way round.
    error BadAssetCap(address asset);

    // ------------------------------------------------------------------------------------------------ life of a channel

    /// @notice The channel is not in the status that the call needs.
    error WrongStatus(uint56 channelId, IVipe.Status status);
    /// @notice Only the channel's participant may call this.
    error NotParticipant();
    /// @notice Only the channel's VIP may call this.
    error NotVip();
    /// @notice The account is neither party of the channel.
    error NotParty();
    /// @notice A deposit or an allocation of nothing.
    error ZeroAmount();
    /// @notice An account or a receiver is the zero address.
    error ZeroAddress();
    /// @notice Participant, counterparty, VIP, vault and asset must be five different addresses.
    error SameAccount(address account);
    /// @notice A session key is zero, or both are the same.
    error BadSessionKeys();
    /// @notice A channel key has an element that is not below the Goldilocks prime, or is the neutral element.
    error BadChannelKey();
    /// @notice One channel key for both parties.
    error SameChannelKeys();
    /// @notice An element of the keys digest is not below the Goldilocks prime.
    error BadKeysDigest();
    /// @notice A dispute hash of zero.
    error ZeroDisputeHash();
    /// @notice The dispute hash was used before, perhaps by a channel that has ended.
    error DisputeHashUsed(bytes32 disputeHash);
    /// @notice This deployment does not take the asset.
    error AssetNotListed(address asset);
    /// @notice The channel would hold `escrow` of its asset, more than its cap, in base units.
    error ChannelCapExceeded(uint256 escrow, uint112 cap);
    /// @notice All channels together would hold `total` of the asset, more than its cap, in base units.
    error AssetCapExceeded(uint256 total, uint112 cap);
    /// @notice `acceptBy` has passed.
    error AcceptByPassed(uint64 acceptBy);
    /// @notice The deadline of a consent or of an authorisation has passed.
    error ConsentExpired(uint64 deadline);
    /// @notice Neither the counterparty's key nor its contract stands behind the consent.
    error ConsentRefused();
    /// @notice Neither the account's key nor its contract stands behind this, as the channel's next consent or as its exit.
    error NoConsentOf(address account);
    /// @notice The consented state leaves a side less than it would take out.
    error WithdrawalNotCovered(int256 dueToParticipant, uint112 escrow);
    /// @notice A close pays the escrow, all of it and nothing else.
    error NotTheWholeEscrow(uint256 paid, uint112 escrow);
    /// @notice The close names another dispute than the one that is open, or one where none is.
    error WrongEpoch(uint64 named, uint64 current);
    /// @notice A sum of the ledger would leave (-2^112, 2^112).
    error LedgerOutOfRange();
    /// @notice The token moved another amount than it was asked to.
    error WrongAmountReceived(uint256 expected, uint256 received);

    // ------------------------------------------------------------------------------------------------ states

    /// @notice The channel's ledger has no such version.
    error UnknownVersion(uint56 version, uint56 newest);
    /// @notice The state gives the participant more than the version that it names holds.
    error BalanceAboveEscrow(uint112 balance, uint112 escrow);
    /// @notice The state's nonce is not above the one that stands.
    error StaleNonce(uint56 nonce, uint56 standing);
    /// @notice The state has the checkpoint's nonce and is not the checkpoint.
    error NotTheCheckpoint();
    /// @notice The checkpoint needs no proof, and none may come with it.
    error UnexpectedProof();
    /// @notice The session key of this party did not sign the state.
    error BadSessionSignature(bool ofParticipant);
    /// @notice The verifier did not return exactly the word 1 for this statement.
    error ProofRefused();

    // ------------------------------------------------------------------------------------------------ disputes

    /// @notice The key does not hash to the channel's dispute hash.
    error WrongDisputeKey();
    /// @notice The claim is above what the state pays the disputer, in base units.
    error ClaimAbovePay(uint112 claim, uint112 pay);
    /// @notice An override whose beneficiary is the zero address.
    error ZeroBeneficiary();
    /// @notice The call needs `required` wei and brought `sent`.
    error WrongValue(uint256 required, uint256 sent);
    /// @notice Only the disputer may raise the claim.
    error RaiseByDisputerOnly();
    /// @notice The claim was raised before.
    error AlreadyRaised();
    /// @notice A close is announced: it is final, and nothing is raised after it.
    error AlreadyClosing();
    /// @notice The authorisation names somebody else as the one who opens and pays.
    error NotThePayer(address payer);
    /// @notice The deadline has come: what stands is settled.
    error WindowClosed(uint64 deadline);
    /// @notice The deadline has not come.
    error WindowOpen(uint64 deadline);

    // ------------------------------------------------------------------------------------------------ pull payments

    /// @notice The caller has no credit.
    error NothingToClaim();
    /// @notice The receiver did not take the ether; the credit stays.
    error EtherTransferFailed();
}
