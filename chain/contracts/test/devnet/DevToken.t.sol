// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DevToken} from "../../src/devnet/DevToken.sol";
import {Check} from "../utils/Check.sol";

/// @notice DevToken.
contract DevTokenTest is Check {
    function test_only_its_deployer_mints() public {
        DevToken token = new DevToken("Development asset", "DEV", 6);
        token.mint(address(0xd00d), 5);
        eq(token.balanceOf(address(0xd00d)), 5, "minted");
        eq(token.decimals(), 6, "decimals");
        refuses(
            address(token),
            address(0xbad),
            0,
            abi.encodeCall(token.mint, (address(0xbad), 1)),
            err(DevToken.NotMinter.selector)
        );
    }
}
