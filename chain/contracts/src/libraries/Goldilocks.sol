// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Canonical elements of the Goldilocks field
/// @notice Channel keys and digests are lists of field elements; one that is not below the prime has a second form, and
/// what has two forms must not be stored, signed or compared.
library Goldilocks {
    /// @notice p = 2^64 - 2^32 + 1.
    uint256 internal constant P = 0xFFFFFFFF00000001;

    /// @notice True when `key` (w = y/x, five elements) is canonical and not the neutral element, which is encoded as zero.
    /// @dev That the key is a point of the group is not decided here: whoever reads `Opened` decodes it and ignores a channel whose keys
    /// do not decode.
    function isKey(uint64[5] calldata key) internal pure returns (bool) {
        uint256 any = 0;
        for (uint256 i = 0; i < 5; ++i) {
            if (key[i] >= P) return false;
            any |= key[i];
        }
        return any != 0;
    }

    /// @notice True when both keys have the same elements.
    function equal(uint64[5] calldata a, uint64[5] calldata b) internal pure returns (bool) {
        for (uint256 i = 0; i < 5; ++i) {
            if (a[i] != b[i]) return false;
        }
        return true;
    }

    /// @notice Element `index` (0..3) of a digest, which is four elements of 8 bytes, big endian.
    function element(bytes32 digest, uint256 index) internal pure returns (uint256) {
        return uint64(uint256(digest) >> (192 - 64 * index));
    }

    /// @notice True when all four elements of `digest` are canonical.
    function isDigest(bytes32 digest) internal pure returns (bool) {
        for (uint256 i = 0; i < 4; ++i) {
            if (element(digest, i) >= P) return false;
        }
        return true;
    }
}
