            // Spreads elements of the extension from the call data to cells of two words; fails if a part is not below p. That is so
            // exactly if adding 2^32 - 1 carries out of its lane, which is seen in every second lane at once.
            function spreadCells(at, cell, end) {
                let even := mload($EVEN_LANES_AT$)
                let addend := mload($EVEN_ADDEND_AT$)
                let carries
                for { let last := sub(end, 64) } lt(cell, last) { cell := add(cell, 128) } {
                    let word := calldataload(at)
                    let a := and(shr(64, word), even)
                    let b := and(word, even)
                    carries := or(carries, or(add(a, addend), add(b, addend)))
                    mstore(cell, shr(128, a))
                    mstore(add(cell, 32), shr(128, b))
                    mstore(add(cell, 64), and(a, $LANE$))
                    mstore(add(cell, 96), and(b, $LANE$))
                    at := add(at, 32)
                }
                if lt(cell, end) {
                    let word := shr(128, calldataload(at))
                    let a := shr(64, word)
                    let b := and(word, $LANE$)
                    carries := or(carries, or(add(a, addend), add(b, addend)))
                    mstore(cell, a)
                    mstore(add(cell, 32), b)
                }
                if and(carries, $EVEN_CARRIES$) { fail() }
            }
            // The powers of the three alphas, interleaved.
            function alphaPowers() {
                let a := 1
                let b := 1
                let c := 1
                for { let at := $ALPHA_POWERS$ } lt(at, $ALPHA_POWERS_END$) { at := add(at, 96) } {
                    mstore(at, a)
                    mstore(add(at, 32), b)
                    mstore(add(at, 64), c)
                    a := mulmod(a, mload($ALPHAS$), $P$)
                    b := mulmod(b, mload(add($ALPHAS$, 32)), $P$)
                    c := mulmod(c, mload(add($ALPHAS$, 64)), $P$)
                }
            }
            // Adds what a part returned to the three sums.
            function addSums() {
                for { let i := 0 } lt(i, 192) { i := add(i, 32) } {
                    mstore(add($SUM$, i), addmod(mload(add($SUM$, i)), mload(add($PART_OUT$, i)), $P$))
                }
            }
            // For each challenge: L_0(zeta) * sum alpha^i (Z_i(zeta) - 1) + (all other terms) = Z_H(zeta) * quotient(zeta).
            // L_0 = Z_H / (n * (zeta - 1)), so both sides are multiplied by n * (zeta - 1). That is not zero: a zeta in the base
            // field is refused, which an honest prover meets with probability 2^-64.
            function checkQuotient() {
                let z0 := mload($ZETA$)
                let z1 := mload(add($ZETA$, 32))
                if iszero(z1) { fail() }
                mstore($SCRATCH$, mulmod($ROWS$, add(z0, sub($P$, 1)), $P$))
                mstore(add($SCRATCH$, 32), mulmod($ROWS$, z1, $P$))
                for { let i := 0 } lt(i, $DEGREE_BITS$) { i := add(i, 1) } {
                    let re := mulRe(z0, z1, z0, z1)
                    z1 := mulIm(z0, z1, z0, z1)
                    z0 := re
                }
                mstore(add($SCRATCH$, 64), z0)
                mstore(add($SCRATCH$, 96), z1)
                for { let challenge := 0 } lt(challenge, $CHALLENGES$) { challenge := add(challenge, 1) } {
                    quotientOf(challenge)
                }
            }
            function quotientOf(challenge) {
                // rest = the parts' sum - Z_H * quotient
                let r0
                let r1
                {
                    let first := add($QUOTIENTS$, mul(challenge, $QUOTIENT_BYTES$))
                    let zn0 := mload(add($SCRATCH$, 64))
                    let zn1 := mload(add($SCRATCH$, 96))
                    for { let at := add(first, $QUOTIENT_BYTES$) } gt(at, first) {} {
                        at := sub(at, 64)
                        let re := add(mulRe(r0, r1, zn0, zn1), mload(at))
                        r1 := add(mulIm(r0, r1, zn0, zn1), mload(add(at, 32)))
                        r0 := re
                    }
                }
                let h0 := add(mload(add($SCRATCH$, 64)), sub($P$, 1))
                let h1 := mload(add($SCRATCH$, 96))
                {
                    let sum := add($SUM$, shl(6, challenge))
                    let re := add(mload(sum), sub($P$, mulRe(r0, r1, h0, h1)))
                    r1 := add(mload(add(sum, 32)), sub($P$, mulIm(r0, r1, h0, h1)))
                    r0 := re
                }
                {
                    let d0 := mload($SCRATCH$)
                    let d1 := mload(add($SCRATCH$, 32))
                    let re := mulRe(r0, r1, d0, d1)
                    r1 := mulIm(r0, r1, d0, d1)
                    r0 := re
                }
                // first = sum alpha^i (Z_i(zeta) - 1)
                let f0
                let f1
                {
                    let power := add($ALPHA_POWERS$, shl(5, challenge))
                    for { let cell := $ZS$ } lt(cell, $ZS_END$) { cell := add(cell, 64) } {
                        f0 := add(f0, mul(mload(power), add(mload(cell), sub($P$, 1))))
                        f1 := add(f1, mul(mload(power), mload(add(cell, 32))))
                        power := add(power, 96)
                    }
                }
                if addmod(r0, mulRe(f0, f1, h0, h1), $P$) { fail() }
                if addmod(r1, mulIm(f0, f1, h0, h1), $P$) { fail() }
            }
