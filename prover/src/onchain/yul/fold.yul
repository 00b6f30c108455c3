            // Folding step $STEP$: the committed values agree with what came before, are in the tree, and fold to the next value.
            function foldStep$STEP$(at, index) -> end {
                let within := and(index, $WITHIN_MASK$)
                {
                    let word := calldataload(add(at, shl(4, within)))
                    let e0 := shr(192, word)
                    let e1 := and(shr(128, word), $LANE$)
                    let d0 := mload($SCALE$)
                    let d1 := mload(add($SCALE$, 32))
                    if xor(mulRe(e0, e1, d0, d1), mload($WANTED$)) { fail() }
                    if xor(mulIm(e0, e1, d0, d1), mload(add($WANTED$, 32))) { fail() }
                }
                {
                    calldatacopy($LEAF$, at, $STEP_BYTES$)
                    at := add(at, $STEP_BYTES$)
                    end := climbStep(keccak256($LEAF$, $STEP_BYTES$), at, shr($ARITY_BITS$, index), $STEP_PATH_LEN$, $STEP_CAP$)
                    if spread($LEAF$, add($LEAF$, $STEP_BYTES$)) { fail() }
                }
                {
                    let y := mulmod(mload($X_INVERSE$), mload(add($ROOTS$, shl(5, within))), $P$)
                    let b0 := mulmod(mload($BETA$), y, $P$)
                    let b1 := mulmod(mload(add($BETA$, 32)), y, $P$)
                    for { let count := $HALF_ARITY$ } count { count := shr(1, count) } {
                        halve(count, b0, b1, $TWIDDLES$)
                        let re := mulRe(b0, b1, b0, b1)
                        b1 := mulIm(b0, b1, b0, b1)
                        b0 := re
                    }
                }
                mstore($WANTED$, mod(mload($FOLD$), $P$))
                mstore(add($WANTED$, 32), mod(mload(add($FOLD$, 32)), $P$))
                mstore($SCALE$, $ARITY$)
                mstore(add($SCALE$, 32), 0)
                let x := mload($X$)
                let y := mload($X_INVERSE$)
                for { let i := 0 } lt(i, $ARITY_BITS$) { i := add(i, 1) } {
                    x := mulmod(x, x, $P$)
                    y := mulmod(y, y, $P$)
                }
                mstore($X$, x)
                mstore($X_INVERSE$, y)
            }
