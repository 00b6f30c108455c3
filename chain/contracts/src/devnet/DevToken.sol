// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A development asset
/// @notice A plain ERC-20 for development networks, test networks and demonstrations. Its deployer mints at will, so it is
/// worth nothing and MUST NOT be listed by a deployment that holds value.
contract DevToken is ERC20 {
    error NotMinter();

    /// @notice Who may mint: the deployer.
    address public immutable minter;
    uint8 private immutable _places;

    constructor(string memory name_, string memory symbol_, uint8 places) ERC20(name_, symbol_) {
        minter = msg.sender;
        _places = places;
    }

    /// @notice Makes `amount` base units for `to`.
    function mint(address to, uint256 amount) external {
        if (msg.sender != minter) revert NotMinter();
        _mint(to, amount);
    }

    /// @inheritdoc ERC20
    function decimals() public view override returns (uint8) {
        return _places;
    }
}
