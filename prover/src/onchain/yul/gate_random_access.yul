            // $GATE$: per copy, the bits are bits and make up the index, and the element is the list's at that index; then constants.
            function gate$ROW$() {
                let power := $POWERS$
                for { let copy := 0 } lt(copy, $COPIES$) { copy := add(copy, 1) } {
                    let first := add($WIRES$, mul(copy, $COPY_BYTES$))
                    let bits := add($BITS_AT$, mul(copy, $BITS_BYTES$))
                    let r0
                    let r1
                    for { let i := $BITS$ } i {} {
                        i := sub(i, 1)
                        let a := mload(add(bits, shl(6, i)))
                        let b := mload(add(add(bits, 32), shl(6, i)))
                        r0 := add(add(r0, r0), a)
                        r1 := add(add(r1, r1), b)
                        let c := add(a, sub($P$, 1))
                        acc(add(power, mul(96, i)), add(mul(a, c), mul(7, mul(b, b))), mul(b, add(a, c)))
                    }
                    power := add(power, $BITS_POWER_BYTES$)
                    acc(power, add(r0, sub($P$, mload(first))), add(r1, sub($P$, mload(add(first, 32)))))
                    power := add(power, 96)
                    select$ROW$(add(first, 128), bits)
                    let cell := add(first, 64)
                    acc(power, add(mload($LIST$), sub($P$, mload(cell))), add(mload(add($LIST$, 32)), sub($P$, mload(add(cell, 32)))))
                    power := add(power, 96)
                }
                let constant := $CONSTANTS$
                for { let cell := $EXTRA_AT$ } lt(cell, $EXTRA_END$) { cell := add(cell, 64) } {
                    acc(power, add(mload(constant), sub($P$, mload(cell))), add(mload(add(constant, 32)), sub($P$, mload(add(cell, 32)))))
                    power := add(power, 96)
                    constant := add(constant, 64)
                }
            }
            // Halves the list at `from` once per bit: x + bit * (y - x).
            function select$ROW$(from, bit) {
                for { let count := $HALF_LIST$ } count { count := shr(1, count) } {
                    let b0 := mload(bit)
                    let b1 := mload(add(bit, 32))
                    let to := $LIST$
                    for { let end := add($LIST$, shl(6, count)) } lt(to, end) { to := add(to, 64) } {
                        let x0 := mload(from)
                        let x1 := mload(add(from, 32))
                        let d0 := add(mload(add(from, 64)), sub($P$, x0))
                        let d1 := add(mload(add(from, 96)), sub($P$, x1))
                        mstore(to, addmod(x0, mulRe(b0, b1, d0, d1), $P$))
                        mstore(add(to, 32), addmod(x1, mulIm(b0, b1, d0, d1), $P$))
                        from := add(from, 128)
                    }
                    from := $LIST$
                    bit := add(bit, 64)
                }
            }
