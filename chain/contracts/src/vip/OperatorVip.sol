// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IVip} from "../interfaces/IVip.sol";
import {IVipe} from "../interfaces/IVipe.sol";

/// @title VRC-4, smallest form: a pool with one depositor, its operator
/// @notice Holds one operator's idle capital of one asset for the channels of one vault. **The ERC-4626 pool, where anyone
/// deposits, replaces it**; this one exists so that a counterparty can work before that. All its capital is the operator's,
/// who trusts nobody. Draining it touches no channel's escrow: the vault never reads it.
/// @dev **Invariant:** `idle` is at most the pool's balance of the asset; it counts what came in by `deposit` and `collect`, so
/// that a transfer to this address changes no figure (and is lost).
contract OperatorVip is IVip, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    error NotOperator();
    error ZeroAmount();
    error ZeroAddress();
    error IdleTooSmall(uint256 idle, uint256 wanted);
    /// @notice The channel is of another vault's asset, another operator or another pool.
    error ForeignChannel(uint56 channelId);
    /// @notice Would put more than `allocRatio` times the participant's net deposits into its channel.
    error RatioExceeded(uint256 wanted, uint256 limit);
    error WrongAmountReceived(uint256 expected, uint256 received);

    event Deposited(uint256 amount);
    event Withdrawn(address indexed to, uint256 amount);
    event Allocated(uint56 indexed channelId, uint112 amount);
    event Collected(uint256 amount);

    /// @notice The vault whose channels this pool backs.
    IVipe public immutable vipe;
    /// @inheritdoc IVip
    address public immutable asset;
    /// @inheritdoc IVip
    address public immutable operator;
    /// @notice At most this many times a participant's net deposits go into its channel, so that a channel of one base unit
    /// cannot lock the pool.
    uint16 public immutable allocRatio;
    /// @notice Capital that is in no channel, in base units.
    uint256 public idle;

    modifier onlyOperator() {
        if (msg.sender != operator) revert NotOperator();
        _;
    }

    constructor(IVipe vault, address token, address owner, uint16 ratio) {
        if (address(vault) == address(0) || token == address(0) || owner == address(0)) revert ZeroAddress();
        if (ratio == 0) revert ZeroAmount();
        vipe = vault;
        asset = token;
        operator = owner;
        allocRatio = ratio;
    }

    /// @notice Takes `amount` of the asset from the operator, which has approved it.
    function deposit(uint256 amount) external nonReentrant onlyOperator {
        if (amount == 0) revert ZeroAmount();
        idle += amount;
        emit Deposited(amount);
        uint256 before = IERC20(asset).balanceOf(address(this));
        IERC20(asset).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(asset).balanceOf(address(this)) - before;
        if (received != amount) revert WrongAmountReceived(amount, received);
    }

    /// @notice Pays out idle capital.
    function withdraw(uint256 amount, address to) external nonReentrant onlyOperator {
        if (to == address(0) || to == address(this)) revert ZeroAddress();
        _spend(amount);
        emit Withdrawn(to, amount);
        IERC20(asset).safeTransfer(to, amount);
    }

    /// @notice Accepts a channel with the operator's consent `signature` and puts `allocation` into it.
    function accept(uint56 channelId, uint112 allocation, uint64 deadline, bytes calldata signature)
        external
        nonReentrant
        onlyOperator
    {
        _commit(channelId, allocation);
        vipe.accept(channelId, allocation, deadline, signature);
    }

    /// @notice Puts more of the idle capital into a live channel.
    function allocate(uint56 channelId, uint112 amount) external nonReentrant onlyOperator {
        _commit(channelId, amount);
        vipe.allocate(channelId, amount);
    }

    /// @notice Brings home what the vault owes this pool. Anybody.
    function collect() external nonReentrant returns (uint256 amount) {
        uint256 before = IERC20(asset).balanceOf(address(this));
        vipe.claimAsset(asset, address(this));
        amount = IERC20(asset).balanceOf(address(this)) - before;
        idle += amount;
        emit Collected(amount);
    }

    /// @dev Spends idle capital on one of this pool's own channels and lets the vault take it.
    function _commit(uint56 channelId, uint112 amount) private {
        IVipe.Channel memory c = vipe.channel(channelId);
        if (c.vip != address(this) || c.asset != asset || c.counterparty != operator) revert ForeignChannel(channelId);
        (int128 p, int128 h) = vipe.ledger(channelId, c.version);
        uint256 limit = p > 0 ? uint256(int256(p)) * allocRatio : 0;
        uint256 wanted = (h > 0 ? uint256(int256(h)) : 0) + amount;
        if (wanted > limit) revert RatioExceeded(wanted, limit);
        _spend(amount);
        emit Allocated(channelId, amount);
        IERC20(asset).forceApprove(address(vipe), amount);
    }

    function _spend(uint256 amount) private {
        if (amount == 0) revert ZeroAmount();
        if (amount > idle) revert IdleTooSmall(idle, amount);
        idle -= amount;
    }
}
