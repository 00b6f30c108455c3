            // Four lanes of 64 bits, each reduced below p.
            function reduced(word) -> r {
                r := or(
                    or(shl(192, mod(shr(192, word), $P$)), shl(128, mod(and(shr(128, word), $LANE$), $P$))),
                    or(shl(64, mod(and(shr(64, word), $LANE$), $P$)), mod(and(word, $LANE$), $P$))
                )
            }
            // The transcript's permutation: an onion of Keccak over the 96 bytes of state. The two words that the next block
            // overwrites are left as the hash gave them; `settle` reduces them where they are read or only partly overwritten.
            function permute() {
                mstore($STATE0$, keccak256($STATE0$, 96))
                mstore($STATE1$, keccak256($STATE0$, 32))
                mstore($STATE2$, reduced(keccak256($STATE1$, 32)))
            }
            function settle() {
                mstore($STATE0$, reduced(mload($STATE0$)))
                mstore($STATE1$, reduced(mload($STATE1$)))
            }
            // Whole blocks of 8 lanes, from the call data or from memory.
            function absorbCalldata(at, end) {
                for {} lt(at, end) { at := add(at, 64) } {
                    calldatacopy($STATE0$, at, 64)
                    permute()
                }
            }
            function absorbMemory(at, end) {
                for {} lt(at, end) { at := add(at, 64) } {
                    mcopy($STATE0$, at, 64)
                    permute()
                }
            }
            // Keeps the digests of a cap for the Merkle checks, and spreads each to the four lanes of 7 bytes that the transcript absorbs.
            function loadCap(at, kept) {
                for { let lanes := $CAP_LANES$ } lt(lanes, $CAP_LANES_END$) { lanes := add(lanes, 32) } {
                    let digest := calldataload(at)
                    mstore(kept, digest)
                    mstore(
                        lanes,
                        or(
                            or(shl(192, shr(200, digest)), shl(128, and(shr(144, digest), $SEVEN_BYTES$))),
                            or(shl(64, and(shr(88, digest), $SEVEN_BYTES$)), and(shr(32, digest), $SEVEN_BYTES$))
                        )
                    )
                    at := add(at, $DIGEST_BYTES$)
                    kept := add(kept, 32)
                }
            }
