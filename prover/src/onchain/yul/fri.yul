            // sum alpha^i * opening_i for both points. Each cell is replaced by the power of alpha that it was multiplied with:
            // the queries need the same powers.
            function reduceOpenings() {
                let a0 := mload($FRI_ALPHA$)
                let a1 := mload(add($FRI_ALPHA$, 32))
                let p0 := 1
                let p1 := 0
                let s0 := 0
                let s1 := 0
                let n0 := 0
                let n1 := 0
                for { let next := $CELLS_NEXT$ } lt(next, $CELLS_END$) { next := add(next, 64) } {
                    let o0 := mload(next)
                    let o1 := mload(add(next, 32))
                    n0 := addmod(n0, mulRe(o0, o1, p0, p1), $P$)
                    n1 := addmod(n1, mulIm(o0, o1, p0, p1), $P$)
                    let re := mulRe(p0, p1, a0, a1)
                    p1 := mulIm(p0, p1, a0, a1)
                    p0 := re
                }
                mstore($REDUCED_NEXT$, sub($P$, n0))
                mstore(add($REDUCED_NEXT$, 32), sub($P$, n1))
                mstore($ALPHA_SHIFT$, p0)
                mstore(add($ALPHA_SHIFT$, 32), p1)
                p0 := 1
                p1 := 0
                for { let cell := $CELLS$ } lt(cell, $CELLS_NEXT$) { cell := add(cell, 64) } {
                    let o0 := mload(cell)
                    let o1 := mload(add(cell, 32))
                    s0 := add(s0, add(mul(o0, p0), mul(7, mul(o1, p1))))
                    s1 := add(s1, add(mul(o0, p1), mul(o1, p0)))
                    mstore(cell, p0)
                    mstore(add(cell, 32), p1)
                    let re := mulRe(p0, p1, a0, a1)
                    p1 := mulIm(p0, p1, a0, a1)
                    p0 := re
                }
                mstore($REDUCED$, sub($P$, mod(s0, $P$)))
                mstore(add($REDUCED$, 32), sub($P$, mod(s1, $P$)))
            }
            // What all queries share: the final polynomial, canonical; the cap of constants and sigmas; roots of unity; -zeta, -g * zeta.
            function loadTables(proofAt) {
                spreadCells(add(proofAt, $FINAL_AT$), $FINAL$, $FINAL_END$)
                if iszero(lt(shr(192, calldataload(add(proofAt, $GRINDING_AT$))), $P$)) { fail() }
                {
                    let z0 := mload($ZETA$)
                    let z1 := mload(add($ZETA$, 32))
                    mstore($MINUS_ZETA$, sub($P$, z0))
                    mstore(add($MINUS_ZETA$, 32), sub($P$, z1))
                    mstore($MINUS_ZETA_NEXT$, sub($P$, mulmod(z0, $ROW_ROOT$, $P$)))
                    mstore(add($MINUS_ZETA_NEXT$, 32), sub($P$, mulmod(z1, $ROW_ROOT$, $P$)))
                }
$TABLES$
            }
            // From the digest of an oracle's leaf up to its cap. A digest is the first $DIGEST_BYTES$ bytes of `h`: what follows them is
            // overwritten or beyond the hashed bytes.
            function climb(h, at, index, cap) {
                let place
$CLIMB$
                if shr($DIGEST_SHIFT$, xor(h, mload(add(cap, shl(5, shr($PATH_LEN$, index)))))) { fail() }
            }
$OPENINGS$
$POINT$
            // The four leaves; and what the first folded value must be, as a fraction: numerator at WANTED, denominator at SCALE.
            function openLeaves(at, index) -> end {
                mstore($SUM0$, mload($REDUCED$))
                mstore($SUM1$, mload(add($REDUCED$, 32)))
                // Zero, which the compiler does not see: it would make a copy of a function for each call with literal arguments.
                let zero := shr(255, calldatasize())
$OPEN_LEAVES$
                end := at
                domainPoint(index)
                let x := mload($X$)
                let a0 := add(x, mload($MINUS_ZETA$))
                let a1 := mload(add($MINUS_ZETA$, 32))
                let b0 := add(x, mload($MINUS_ZETA_NEXT$))
                let b1 := mload(add($MINUS_ZETA_NEXT$, 32))
                mstore($SCALE$, mulRe(a0, a1, b0, b1))
                mstore(add($SCALE$, 32), mulIm(a0, a1, b0, b1))
                // (reduced at zeta) * alpha^shift * (x - g zeta) + (reduced at g zeta) * (x - zeta)
                let s0 := mod(mload($SUM0$), $P$)
                let s1 := mod(mload($SUM1$), $P$)
                {
                    let q0 := mload($ALPHA_SHIFT$)
                    let q1 := mload(add($ALPHA_SHIFT$, 32))
                    let re := mulRe(s0, s1, q0, q1)
                    s1 := mulIm(s0, s1, q0, q1)
                    s0 := re
                }
                let t0 := mload($NEXT_SUM$)
                let t1 := mload(add($NEXT_SUM$, 32))
                mstore($WANTED$, addmod(mulRe(s0, s1, b0, b1), mulRe(t0, t1, a0, a1), $P$))
                mstore(add($WANTED$, 32), addmod(mulIm(s0, s1, b0, b1), mulIm(t0, t1, a0, a1), $P$))
            }
            // sum alpha^i Z_i - (reduced opening at g zeta), from the leaf of the products that is in the buffer.
            function nextSum() {
                let n0 := mload($REDUCED_NEXT$)
                let n1 := mload(add($REDUCED_NEXT$, 32))
                let lane := $LEAF$
                let power := $CELLS$
                for { let i := 0 } lt(i, $CHALLENGES$) { i := add(i, 1) } {
                    let v := shr(192, mload(lane))
                    n0 := add(n0, mul(v, mload(power)))
                    n1 := add(n1, mul(v, mload(add(power, 32))))
                    lane := add(lane, 8)
                    power := add(power, 64)
                }
                mstore($NEXT_SUM$, mod(n0, $P$))
                mstore(add($NEXT_SUM$, 32), mod(n1, $P$))
            }
$FOLD_FUNCTIONS$
            // One component of some coefficients of the final polynomial, times the powers of x.
            function finalBlock(cell) -> sum {
                sum := $FINAL_BLOCK$
            }
            // What the queries came to is the value of the final polynomial.
            function checkFinal() {
                let x := mload($X$)
                let power := 1
                for { let at := $X_POWERS$ } lt(at, $X_POWERS_END$) { at := add(at, 32) } {
                    mstore(at, power)
                    power := mulmod(power, x, $P$)
                }
                let f0
                let f1
                for { let cell := $FINAL_END$ } gt(cell, $FINAL$) {} {
                    cell := sub(cell, $BLOCK_BYTES$)
                    f0 := mod(add(mul(f0, power), finalBlock(cell)), $P$)
                    f1 := mod(add(mul(f1, power), finalBlock(add(cell, 32))), $P$)
                }
                let d0 := mload($SCALE$)
                let d1 := mload(add($SCALE$, 32))
                if xor(mulRe(f0, f1, d0, d1), mload($WANTED$)) { fail() }
                if xor(mulIm(f0, f1, d0, d1), mload(add($WANTED$, 32))) { fail() }
            }
            function checkQuery(at, index) -> end {
                at := openLeaves(at, index)
$FOLD_STEPS$
                checkFinal()
                end := at
            }
