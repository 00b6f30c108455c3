// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title VRC-3: the vault of isolated participant escrow
/// @notice Holds the escrow of many channels. Each channel's money is its own ledger and never pays another's claim.
/// A channel ends by consent of both parties, or by dispute: somebody puts a state forward, anybody may override it with a
/// newer one while the window is open, and what then stands is paid. Nobody owns, pauses or upgrades this contract.
interface IVipe {
    /// @notice The life of a channel. `Open` waits for the counterparty's consent.
    enum Status {
        None,
        Open,
        Live,
        Disputed,
        Settled,
        Cancelled
    }

    /// @notice What an override did to the claim that stood.
    enum OverrideKind {
        Lower,
        Equal,
        Raise
    }

    /// @notice The rules of a deployment; immutable.
    /// @param disputeWindow Seconds from the opening of a dispute, or from a raise, to its deadline.
    /// @param responseExtension Seconds that a lowering override leaves at least (up to `maxExtension` in all).
    /// @param maxExtension Seconds by which all lowerings together may move one deadline.
    /// @param feeFloor Smallest fee of an opening, in wei.
    /// @param feeGas The fee is at least this much gas at the opening block's base fee.
    /// @param towerBps Share of a struck-down bond that the beneficiary of the override gets, in 1/10,000.
    /// @param slashBps Share of the struck-down claim that is slashed at settlement, in 1/10,000.
    /// @param verifier The live-state verifier.
    /// @param verifierCodeHash What `verifier.codehash` must be at construction.
    struct Rules {
        uint64 disputeWindow;
        uint64 responseExtension;
        uint64 maxExtension;
        uint128 feeFloor;
        uint64 feeGas;
        uint16 towerBps;
        uint16 slashBps;
        address verifier;
        bytes32 verifierCodeHash;
    }

    /// @notice An asset that this deployment accepts, and how much of it.
    struct AssetCap {
        address asset;
        uint112 perChannel;
        uint112 total;
    }

    /// @notice What the participant fixes when it opens a channel.
    /// @param participantKey,counterpartyKey Channel keys: the five elements of w = y/x, each below the Goldilocks prime.
    /// @param keysDigest Poseidon(TAG_KEYS, pkP, pkH): four elements, each 8 bytes big endian. Not recomputed here:
    /// everyone recomputes it from the emitted keys and ignores a channel where it differs.
    /// @param disputeHash keccak256 of the channel's dispute key; never used before in this deployment.
    /// @param salt Random; the dispute key is derived with it.
    /// @param rate Bond in wei per base unit of claim, times 2^64.
    /// @param acceptBy Last second at which the counterparty may accept; afterwards only `cancel` is possible.
    struct OpenRequest {
        address counterparty;
        address vip;
        address asset;
        uint64[5] participantKey;
        uint64[5] counterpartyKey;
        bytes32 keysDigest;
        address participantSession;
        address counterpartySession;
        bytes32 disputeHash;
        bytes32 salt;
        uint96 rate;
        uint112 deposit;
        uint64 acceptBy;
    }

    /// @notice The part of a channel state that the chain reads: (n, v, b).
    struct StateClaim {
        uint56 nonce;
        uint56 version;
        uint112 balance;
    }

    /// @notice A secp256k1 signature in the compact form of EIP-2098.
    struct CompactSignature {
        bytes32 r;
        bytes32 vs;
    }

    /// @notice The second lock: both session keys' EIP-712 signatures over
    /// `State(uint56 channelId,uint56 nonce,uint56 version,uint112 balance)`.
    struct SessionSignatures {
        CompactSignature participant;
        CompactSignature counterparty;
    }

    /// @notice A withdrawal that both parties consent to.
    /// @param state A state that both consent to, newer than the checkpoint; it becomes the checkpoint.
    /// @param toParticipant,toVip What each side takes out, and the state leaves it; with zeros only the checkpoint moves.
    /// @param deadline Last second at which the consents may be used.
    struct Withdrawal {
        StateClaim state;
        uint112 toParticipant;
        uint112 toVip;
        uint64 deadline;
    }

    /// @notice An end that both parties consent to.
    /// @param epoch The dispute that it ends (`Channel.epoch`); zero outside a dispute.
    /// @param toParticipant,toVip What each side is paid; together the whole escrow.
    /// @param deadline Last second at which the consents may be used.
    struct Closing {
        uint64 epoch;
        uint112 toParticipant;
        uint112 toVip;
        uint64 deadline;
    }

    /// @notice A party's authorisation that somebody else opens a dispute in its name and pays for it.
    /// @param party The party; it becomes the disputer.
    /// @param cap The claim is the smaller of this and what the state pays the party.
    /// @param payer Who may open; zero for anybody. Bond and fee return to who really paid.
    /// @param deadline Last second at which the authorisation may be used.
    /// @param signature The party's signature over `Exit`, which names the state's nonce as well.
    struct ExitOrder {
        address party;
        uint112 cap;
        address payer;
        uint64 deadline;
        bytes signature;
    }

    /// @notice One channel as it stands.
    /// @param epoch How many disputes it has had.
    /// @param checkpoint The state that needs no proof; every other state needs a greater nonce.
    /// @param seq How many consents of both parties were executed; the next one must name this number.
    struct Channel {
        Status status;
        address participant;
        address counterparty;
        address vip;
        address asset;
        address participantSession;
        address counterpartySession;
        bytes32 keysDigest;
        bytes32 disputeHash;
        uint96 rate;
        uint64 acceptBy;
        uint56 version;
        uint64 epoch;
        StateClaim checkpoint;
        uint64 seq;
    }

    /// @notice A dispute as it stands. `claim` is W, `peak` is C of the specification.
    /// @param raisedFrom The claim that the disputer's raise found, if `raised`; the bond above it is the disputer's own.
    /// @param closing Whether a close by consent is announced; then `agreedToParticipant` is paid instead of what stands.
    struct Dispute {
        address disputer;
        address payer;
        address corrector;
        bool raised;
        bool byParticipant;
        uint56 nonce;
        uint64 openedAt;
        uint64 deadline;
        uint64 windowEnd;
        uint112 claim;
        uint112 peak;
        uint256 fee;
        uint112 raisedFrom;
        bool closing;
        uint112 agreedToParticipant;
    }

    // ------------------------------------------------------------------------------------------------ events

    /// @notice A channel is open: all that the participant fixed, which the counterparty's consent repeats. `LedgerAppended` follows.
    event Opened(
        uint56 indexed channelId,
        address indexed participant,
        address indexed counterparty,
        address vip,
        address asset,
        uint64[5] participantKey,
        uint64[5] counterpartyKey,
        bytes32 keysDigest,
        address participantSession,
        address counterpartySession,
        bytes32 disputeHash,
        bytes32 salt,
        uint96 rate,
        uint112 deposit,
        uint64 acceptBy
    );
    /// @notice The counterparty consented: the channel is live. With an allocation, in base units, `LedgerAppended` follows.
    event Accepted(uint56 indexed channelId, uint112 allocation);
    /// @notice The participant ended the channel before the counterparty's consent; its whole deposit is credited.
    event Cancelled(uint56 indexed channelId);
    /// @notice A new version of the ledger: p is what the participant put in less what it took out, h the same for the VIP.
    event LedgerAppended(uint56 indexed channelId, uint56 version, int128 p, int128 h);
    /// @notice Both parties took something out by consent; `LedgerAppended` follows. (nonce, version, balance) is the new checkpoint.
    event Withdrawn(
        uint56 indexed channelId,
        uint64 seq,
        uint56 nonce,
        uint56 version,
        uint112 balance,
        uint112 toParticipant,
        uint112 toVip
    );
    /// @notice Both parties ended the channel by consent, outside a dispute: it is settled.
    event Closed(uint56 indexed channelId, uint64 seq, uint112 toParticipant, uint112 toVip);
    /// @notice Both parties end dispute `epoch` by consent. Overrides stay valid and paid until `deadline`; then `settle` pays these
    /// amounts, and the ether as if there were no consent. No raise and no extension any more.
    event CloseAnnounced(
        uint56 indexed channelId, uint64 seq, uint64 epoch, uint112 toParticipant, uint112 toVip, uint64 deadline
    );
    /// @notice Follows `DisputeOpened` when somebody else than the disputer opened and paid.
    event Sponsored(uint56 indexed channelId, address indexed payer);
    /// @notice Everything a tower needs. `disputeKey` opens the channel's backups.
    event DisputeOpened(
        uint56 indexed channelId,
        address indexed disputer,
        uint64 epoch,
        uint56 nonce,
        uint56 version,
        uint112 balance,
        uint112 claim,
        uint64 deadline,
        uint256 fee,
        uint256 bond,
        bytes32 disputeKey
    );
    /// @param claim What the disputer is now paid (W').
    /// @param reward What was credited to the beneficiary now, in wei.
    event Overridden(
        uint56 indexed channelId,
        address indexed beneficiary,
        OverrideKind kind,
        uint56 nonce,
        uint56 version,
        uint112 balance,
        uint112 claim,
        uint64 deadline,
        uint256 reward
    );
    /// @param corrector Who got `fee`; zero if nobody corrected (then who paid the opening got it back).
    /// @param slash Contained in the other side's amount; zero when the parties had announced a close.
    event Settled(
        uint56 indexed channelId,
        uint112 toParticipant,
        uint112 toVip,
        uint112 slash,
        address indexed corrector,
        uint256 fee,
        uint256 bondReturned
    );
    /// @notice The account may collect so much more of the asset, in base units.
    event AssetCredited(address indexed account, address indexed asset, uint256 amount);
    /// @notice The account may collect so much more ether, in wei.
    event EtherCredited(address indexed account, uint256 amount);
    /// @notice The account's whole credit of the asset went to `to`, in base units.
    event AssetClaimed(address indexed account, address indexed asset, address to, uint256 amount);
    /// @notice The account's whole ether credit went to `to`, in wei.
    event EtherClaimed(address indexed account, address to, uint256 amount);

    // ------------------------------------------------------------------------------------------------ life of a channel

    /// @notice Opens a channel and takes the participant's deposit. Live only after `accept`.
    function open(OpenRequest calldata request) external returns (uint56 channelId);

    /// @notice Brings the counterparty's consent (EIP-712; ECDSA, then ERC-1271), which repeats all of the request:
    /// `Accept(uint56 channelId,address participant,address counterparty,address vip,address asset,bytes32 keysDigest,
    /// bytes32 channelKeysHash,address participantSession,address counterpartySession,bytes32 disputeHash,bytes32 salt,
    /// uint96 rate,uint112 deposit,uint112 allocation,uint64 acceptBy,uint64 deadline)` (no blanks after the commas), where
    /// `channelKeysHash` is keccak256 of both keys as ten 32-byte words, the participant's first.
    /// With an allocation the channel's VIP itself must call and have approved it; without one anybody may.
    /// @param deadline Last second at which this consent may be used.
    function accept(uint56 channelId, uint112 allocation, uint64 deadline, bytes calldata signature) external;

    /// @notice Returns the whole deposit before the counterparty's consent. Participant only.
    function cancel(uint56 channelId) external;
    /// @notice Adds to the participant's side. Participant only, live channels only.
    function deposit(uint56 channelId, uint112 amount) external;
    /// @notice Adds to the VIP's side. The channel's VIP only, live channels only.
    function allocate(uint56 channelId, uint112 amount) external;

    // ------------------------------------------------------------------------------------------------ consents of both

    /// @notice Takes money out of a live channel by consent of both parties (EIP-712; ECDSA, then ERC-1271):
    /// `Withdraw(uint56 channelId,address participant,address counterparty,uint64 seq,uint56 nonce,uint56 version,
    /// uint112 balance,uint112 toParticipant,uint112 toVip,uint64 deadline)` (no blanks after the commas). Anybody may bring it.
    /// Refused in a dispute. Credits at once, appends a version, moves the checkpoint.
    function withdraw(
        uint56 channelId,
        Withdrawal calldata withdrawal,
        bytes calldata participantSignature,
        bytes calldata counterpartySignature
    ) external;

    /// @notice Ends a channel by consent of both parties:
    /// `Close(uint56 channelId,address participant,address counterparty,uint64 seq,uint64 disputeEpoch,uint112 toParticipant,
    /// uint112 toVip,uint64 deadline)`. Anybody may bring it. A live channel is paid at once. In a dispute the consent names its
    /// epoch, is announced, and takes effect at the earlier of the deadline and `responseExtension` from now. Never asks the verifier.
    function close(
        uint56 channelId,
        Closing calldata closing,
        bytes calldata participantSignature,
        bytes calldata counterpartySignature
    ) external;

    // ------------------------------------------------------------------------------------------------ disputes

    /// @notice Opens a dispute, by a party. From the checkpoint: `state` equals it and `proof` is empty; otherwise the state is
    /// newer, `proof` is a live-state proof whose beneficiary is the caller, and both session signatures are needed.
    /// @dev `msg.value` at least `openingFee() + bond(channelId, claim)`; the excess is credited back.
    function dispute(
        uint56 channelId,
        StateClaim calldata state,
        uint112 claim,
        bytes32 disputeKey,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) external payable;

    /// @notice Opens a dispute in the name of `order.party`, by anybody that it authorised (EIP-712; ECDSA, then ERC-1271):
    /// `Exit(uint56 channelId,address party,uint56 nonce,uint112 cap,address payer,uint64 deadline)`. Otherwise as `dispute`, with
    /// the smaller of `order.cap` and what the state pays as the claim; a proof names the party as its beneficiary.
    /// The caller brings bond and fee and is who gets them back.
    function disputeFor(
        uint56 channelId,
        StateClaim calldata state,
        ExitOrder calldata order,
        bytes32 disputeKey,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) external payable;

    /// @notice Puts a newer state in the place of the one that stands, while `block.timestamp < deadline`.
    /// @param beneficiary Bound inside the proof; gets the tower's share at once and, as the last corrector, the fee.
    function overrideState(
        uint56 channelId,
        StateClaim calldata state,
        address beneficiary,
        SessionSignatures calldata signatures,
        bytes calldata proof
    ) external payable;

    /// @notice Pays what stands. Anybody, once `block.timestamp >= deadline`.
    function settle(uint56 channelId) external;
    /// @notice Settles those of `channelIds` that are due, and skips the others. Returns how many were settled.
    function settleMany(uint56[] calldata channelIds) external returns (uint256 settled);

    // ------------------------------------------------------------------------------------------------ pull payments, views

    /// @notice Sends the caller's credit of `asset` to `to`.
    function claimAsset(address asset, address to) external returns (uint256 amount);
    /// @notice Sends the caller's ether credit to `to`.
    function claimEther(address payable to) external returns (uint256 amount);

    /// @notice The rules of this deployment.
    function rules() external view returns (Rules memory);
    /// @notice First 21 bytes of keccak256(abi.encode("vrc5", chain id, vault)), as at construction; binds states and proofs.
    function domain() external view returns (bytes21);
    /// @notice EIP-712's separator for this vault, of the live chain id: what every consent is bound to.
    function domainSeparator() external view returns (bytes32);
    /// @notice How many channels were ever opened; ids count from 1.
    function channelCount() external view returns (uint56);
    /// @notice A channel as it stands; its status is `None` if it was never opened.
    function channel(uint56 channelId) external view returns (Channel memory);
    /// @notice The channel's dispute as it stands, or as it stood at its settlement; all zero if there never was one.
    function disputeOf(uint56 channelId) external view returns (Dispute memory);
    /// @notice A version of the channel's ledger, in base units; version 0 is (0, 0).
    function ledger(uint56 channelId, uint56 version) external view returns (int128 p, int128 h);
    /// @notice p + h of a version, in base units.
    function escrow(uint56 channelId, uint56 version) external view returns (uint112);
    /// @notice What a state would pay each side now.
    function payout(uint56 channelId, uint56 version, uint112 balance)
        external
        view
        returns (uint112 toParticipant, uint112 toVip);
    /// @notice u(W): the bond of a claim, in wei.
    function bond(uint56 channelId, uint112 claim) external view returns (uint256);
    /// @notice F: the fee of an opening in this block, in wei.
    function openingFee() external view returns (uint256);
    /// @notice The most of an asset in one channel and in all together, in base units; zero if it is not listed.
    function assetCap(address asset) external view returns (uint112 perChannel, uint112 total);
    /// @notice What the account may collect of the asset, in base units.
    function assetCredit(address account, address asset) external view returns (uint256);
    /// @notice What a VIP has at work in channels of `asset`. With `assetCredit` it values a pool without a look at any channel.
    /// @return placed Sum of max(0, h) over its channels that have not ended, in base units.
    /// @return gained Running sum, modulo 2^128, of what its channels paid it beyond the fall of `placed` that came with it.
    function position(address vip, address asset) external view returns (uint128 placed, uint128 gained);
    /// @notice What the account may collect of ether, in wei.
    function etherCredit(address account) external view returns (uint256);
}
