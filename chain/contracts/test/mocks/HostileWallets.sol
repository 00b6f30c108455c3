// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice TEST ONLY. A wallet contract (ERC-1271) that burns all gas it is given when it is asked, or calls the vault first and
/// then consents to everything.
contract HostileWallet {
    address private immutable VAULT;
    bool public burns;
    bytes public data;

    constructor(address vault) {
        VAULT = vault;
    }

    function arm(bool burn, bytes calldata call_) external {
        (burns, data) = (burn, call_);
    }

    /// @notice Sends a call to the vault as this account.
    function relay(address target, bytes calldata call_) external payable returns (bool ok, bytes memory returned) {
        return target.call{value: msg.value}(call_);
    }

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        if (burns) {
            assembly {
                invalid()
            }
        }
        if (data.length != 0) {
            (bool entered,) = VAULT.call(data);
            if (entered) return bytes4(0); // the vault let it in: the consent then fails, and the test with it
        }
        return bytes4(0x1626ba7e);
    }
}

/// @notice TEST ONLY. Tries several overrides in one transaction, in order; what the vault refuses is passed over.
contract OverrideEach {
    function all(address vault, bytes[] calldata calls) external returns (uint256 done) {
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool ok,) = vault.call(calls[i]);
            if (ok) ++done;
        }
    }
}
