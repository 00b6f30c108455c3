// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IVip} from "../interfaces/IVip.sol";
import {IVipe} from "../interfaces/IVipe.sol";
import {Consent} from "../libraries/Consent.sol";
import {VipBase} from "./VipBase.sol";
import {VipQueue} from "./VipQueue.sol";

/// @title VRC-4: the pool of one counterparty, in one asset
/// @notice See `IVip`. Idle assets go into the operator's channels by its signature or call, and come home by `collect`.
/// **A shareholder trusts the operator.**
/// @dev The parts: `VipBase` terms and valuation, with the reasoning behind it; `VipShares` joining and leaving at once; `VipQueue` leaving for
/// good; here what the operator does. **Invariant:** the pool holds of the asset at least `idle + setAside`. **Invariant:** the vault never
/// has an allowance left over.
contract Vip is VipQueue {
    using SafeERC20 for IERC20;

    bytes32 private constant ALLOCATE_TYPEHASH =
        keccak256("Allocate(uint56 channelId,address vip,uint112 amount,uint64 seq,uint64 deadline)");

    /// @inheritdoc IVip
    mapping(uint56 channelId => uint64) public allocationSeq;

    /// @param given The rules of this pool.
    /// @param name_,symbol_ Of its shares.
    constructor(Terms memory given, string memory name_, string memory symbol_)
        ERC20(name_, symbol_)
        ERC4626(IERC20(given.asset))
        VipBase(given)
    {}

    /// @inheritdoc IVip
    /// @dev The vault checks the consent, which only the channel's counterparty can give.
    function accept(uint56 channelId, uint112 allocation, uint64 deadline, bytes calldata signature)
        external
        nonReentrant
    {
        _commit(channelId, allocation);
        VAULT.accept(channelId, allocation, deadline, signature);
    }

    /// @inheritdoc IVip
    function allocate(uint56 channelId, uint112 amount) external nonReentrant onlyOperator {
        _commit(channelId, amount);
        VAULT.allocate(channelId, amount);
    }

    /// @inheritdoc IVip
    function allocateWithSignature(uint56 channelId, uint112 amount, uint64 deadline, bytes calldata signature)
        external
        nonReentrant
    {
        if (block.timestamp > deadline) revert AllocationExpired(deadline);
        bytes32 structHash = keccak256(
            abi.encode(ALLOCATE_TYPEHASH, channelId, address(this), amount, allocationSeq[channelId], deadline)
        );
        bytes32 digest = MessageHashUtils.toTypedDataHash(VAULT.domainSeparator(), structHash);
        if (!Consent.stands(operator, digest, signature)) revert AllocationRefused();
        _commit(channelId, amount);
        VAULT.allocate(channelId, amount);
    }

    /// @inheritdoc IVip
    function skipAllocation(uint56 channelId) external onlyOperator {
        emit AllocationSkipped(channelId, ++allocationSeq[channelId]);
    }

    /// @inheritdoc IVip
    /// @dev Counts what really arrives: a token that has begun to keep a fee causes a loss here, and stops nobody.
    function collect() external nonReentrant returns (uint256 assets) {
        _streamGains();
        uint256 owed = VAULT.assetCredit(address(this), asset());
        (uint128 placed,) = VAULT.position(address(this), asset());
        if (owed != 0) {
            IERC20 token = IERC20(asset());
            uint256 before = token.balanceOf(address(this));
            idle += owed;
            VAULT.claimAsset(address(token), address(this));
            assets = token.balanceOf(address(this)) - before;
            if (assets > owed) assets = owed;
            idle -= owed - assets;
            emit Collected(assets);
        }
        _payQueue(assets, placed + owed);
    }

    /// @dev Spends idle assets on one of this pool's own channels and lets the vault take them.
    function _commit(uint56 channelId, uint112 amount) private {
        IVipe.Channel memory c = VAULT.channel(channelId);
        if (c.vip != address(this) || c.asset != asset() || c.counterparty != operator) {
            revert ForeignChannel(channelId);
        }
        (int128 p, int128 h) = VAULT.ledger(channelId, c.version);
        uint256 limit = p > 0 ? uint256(int256(p)) * ALLOC_RATIO : 0;
        uint256 wanted = (h > 0 ? uint256(int256(h)) : 0) + amount;
        if (wanted > limit) revert RatioExceeded(wanted, limit);
        if (amount == 0) revert ZeroAmount();
        if (amount > idle) revert IdleTooSmall(idle, amount);
        idle -= amount;
        emit Allocated(channelId, amount, ++allocationSeq[channelId]);
        IERC20(asset()).forceApprove(address(VAULT), amount);
    }
}
