// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {VipeTest} from "../utils/VipeTest.sol";

/// @notice constructor and the views of its immutables: Construction.tree.
contract ConstructionTest is VipeTest {
    function _refusesRules(IVipe.Rules memory given) private {
        refusesCreation(_creation(given, _caps(address(token))), err(IVipeErrors.BadRules.selector));
    }

    function test_a_verifier_without_the_named_code_is_refused() public {
        IVipe.Rules memory given = _rules();
        given.verifierCodeHash = bytes32(uint256(given.verifierCodeHash) ^ 1);
        _refusesRules(given);
        given = _rules();
        given.verifier = address(token);
        _refusesRules(given);
        given.verifier = stranger;
        given.verifierCodeHash = stranger.codehash; // an account without code, named truly
        _refusesRules(given);
        given.verifier = address(0x1234);
        given.verifierCodeHash = bytes32(0); // no account at all
        _refusesRules(given);
    }

    function test_rules_out_of_range_are_refused() public {
        for (uint256 i = 0; i < 6; ++i) {
            IVipe.Rules memory given = _rules();
            if (i == 0) given.disputeWindow = 0;
            if (i == 1) given.disputeWindow = 365 days + 1;
            if (i == 2) given.responseExtension = 365 days + 1;
            if (i == 3) given.maxExtension = 365 days + 1;
            if (i == 4) given.towerBps = 10_001;
            if (i == 5) given.slashBps = 10_001;
            _refusesRules(given);
        }
    }

    function test_bad_caps_are_refused() public {
        for (uint256 i = 0; i < 4; ++i) {
            IVipe.AssetCap[] memory caps = _caps(address(token));
            if (i == 0) caps[0].asset = stranger;
            if (i == 1) caps[0].perChannel = 0;
            if (i == 2) caps[0].perChannel = caps[0].total + 1;
            if (i == 3) {
                IVipe.AssetCap memory twice = caps[0];
                caps = new IVipe.AssetCap[](2);
                (caps[0], caps[1]) = (twice, twice);
            }
            bytes memory why = abi.encodeWithSelector(IVipeErrors.BadAssetCap.selector, caps[0].asset);
            refusesCreation(_creation(_rules(), caps), why);
        }
    }

    function test_rules_caps_and_domain_are_shown() public view {
        eq(abi.encode(vipe.rules()), abi.encode(_rules()), "rules");
        (uint112 perChannel, uint112 total) = vipe.assetCap(address(token));
        eq(perChannel, CAP_CHANNEL, "per channel");
        eq(total, CAP_TOTAL, "total");
        (perChannel, total) = vipe.assetCap(address(0));
        eq(perChannel + total, 0, "not listed");
        bytes32 hash = keccak256(abi.encode("vrc5", block.chainid, address(vipe)));
        isTrue(vipe.domain() == bytes21(hash), "domain");
    }

    function test_the_domain_is_fixed_and_the_eip712_separator_follows_the_live_chain_id() public {
        bytes21 domain = vipe.domain();
        bytes32 separator = vipe.domainSeparator();
        vm.chainId(999);
        isTrue(vipe.domain() == domain, "fixed");
        isTrue(vipe.domainSeparator() != separator, "follows");
    }

    function test_the_vault_fits_into_a_contract() public view {
        isTrue(address(vipe).code.length < 24_576, "EIP-170");
    }
}
