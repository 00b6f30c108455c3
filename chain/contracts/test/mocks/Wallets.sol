// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice TEST ONLY. A wallet contract (ERC-1271) that stands behind one digest.
contract OneDigestWallet {
    bytes32 public digest;

    function approve(bytes32 approved) external {
        digest = approved;
    }

    function isValidSignature(bytes32 asked, bytes calldata) external view returns (bytes4) {
        return asked == digest ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// @notice TEST ONLY. Calls the vault, and refuses ether.
contract EtherRefuser {
    function relay(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool ok, bytes memory returned) = target.call{value: value}(data);
        if (!ok) {
            assembly {
                revert(add(returned, 0x20), mload(returned))
            }
        }
        return returned;
    }
}

/// @notice TEST ONLY. When it receives ether it calls the vault once more, and keeps what came of it.
contract EtherReenterer {
    address private _target;
    bytes private _data;
    bool public reentered;
    bytes public returned;

    constructor(address target) {
        _target = target;
    }

    function arm(bytes calldata data) external {
        _data = data;
    }

    function relay(uint256 value, bytes calldata data) external payable returns (bool ok) {
        (ok,) = _target.call{value: value}(data);
    }

    receive() external payable {
        if (_data.length == 0) return;
        (reentered, returned) = _target.call(_data);
    }
}
