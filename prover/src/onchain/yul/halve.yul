            // From the digest of a folding step's leaf up to its cap.
            function climbStep(h, at, index, depth, cap) -> end {
                end := add(at, mul(depth, $DIGEST_BYTES$))
                for {} lt(at, end) { at := add(at, $DIGEST_BYTES$) } {
                    let place := mul($DIGEST_BYTES$, and(index, 1))
                    mstore(place, h)
                    calldatacopy(sub($DIGEST_BYTES$, place), at, $DIGEST_BYTES$)
                    h := keccak256(0, $NODE_BYTES$)
                    index := shr(1, index)
                }
                if shr($DIGEST_SHIFT$, xor(h, mload(add(cap, shl(5, index))))) { fail() }
            }
            // One halving of `count` pairs: 2 f(beta) = (a + b) + (a - b) * beta / x, for values of at most 80 bits.
            function halve(count, b0, b1, twiddle) {
                let from := $FOLD$
                let to := $FOLD$
                for { let end := add($FOLD$, shl(6, count)) } lt(to, end) {} {
                    let k := mload(twiddle)
                    let u0 := mload(from)
                    let v0 := mload(add(from, 64))
                    let u1 := mload(add(from, 32))
                    let v1 := mload(add(from, 96))
                    let d0 := mulmod(sub(add(u0, $MULTIPLE$), v0), k, $P$)
                    let d1 := mulmod(sub(add(u1, $MULTIPLE$), v1), k, $P$)
                    mstore(to, add(add(u0, v0), mulRe(d0, d1, b0, b1)))
                    mstore(add(to, 32), add(add(u1, v1), mulIm(d0, d1, b0, b1)))
                    from := add(from, 128)
                    to := add(to, 64)
                    twiddle := add(twiddle, 32)
                }
            }
            // Spreads lanes to words at FOLD; not zero if one is not below p.
            function spread(at, end) -> carries {
                for { let to := $FOLD$ } lt(at, end) { at := add(at, 32) } {
                    let word := mload(at)
                    carries := or(
                        carries,
                        or(add(and(word, $EVEN_LANES$), $EVEN_ADDEND$), add(and(shr(64, word), $EVEN_LANES$), $EVEN_ADDEND$))
                    )
                    mstore(to, shr(192, word))
                    mstore(add(to, 32), and(shr(128, word), $LANE$))
                    mstore(add(to, 64), and(shr(64, word), $LANE$))
                    mstore(add(to, 96), and(word, $LANE$))
                    to := add(to, 128)
                }
                carries := and(carries, $EVEN_CARRIES$)
            }
