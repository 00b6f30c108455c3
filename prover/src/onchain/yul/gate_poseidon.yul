            // $GATE$: swapped inputs, then the permutation, each S-box input but those of the first round a wire of its own.
            function gate$ROW$() {
                let power := $POWERS$
                {
                    let s0 := w0(24)
                    let s1 := w1(24)
                    let t := add(s0, sub($P$, 1))
                    acc(power, add(mul(s0, t), mul(7, mul(s1, s1))), mul(s1, add(s0, t)))
                    for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                        power := add(power, 96)
                        swapped(power, i, s0, s1)
                    }
                }
                for { let i := 8 } lt(i, 12) { i := add(i, 1) } {
                    mstore(add($STATE$, shl(5, i)), w0(i))
                    mstore(add($STATE_IM$, shl(5, i)), w1(i))
                }
                firstConstants()
                let constants := $ROUND_CONSTANTS$
                let wire := $SBOX_WIRES$
                for { let round := 0 } lt(round, $ROUNDS$) { round := add(round, 1) } {
                    let end := $STATE_END$
                    if and(gt(round, $LAST_FIRST_HALF$), lt(round, $SECOND_HALF$)) { end := add($STATE$, 32) }
                    for { let at := $STATE$ } lt(at, end) { at := add(at, 32) } {
                        if round {
                            power := add(power, 96)
                            equals(power, at, wire)
                            mstore(at, mload(wire))
                            mstore(add(at, 384), mload(add(wire, 32)))
                            wire := add(wire, 64)
                        }
                        power7Extension(at)
                    }
                    mixRe(constants)
                    mixIm($NO_CONSTANTS$)
                    constants := add(constants, 128)
                }
                wire := $OUTPUT_WIRES$
                for { let at := $STATE$ } lt(at, $STATE_END$) { at := add(at, 32) } {
                    power := add(power, 96)
                    equals(power, at, wire)
                    wire := add(wire, 64)
                }
            }
            // The state's element at `at` is the wire.
            function equals(power, at, wire) {
                acc(power, add(mload(at), sub($P$, mload(wire))), add(mload(add(at, 384)), sub($P$, mload(add(wire, 32)))))
            }
            // delta_i = swap * (right_i - left_i); the state takes left + delta and right - delta.
            function swapped(power, i, s0, s1) {
                let d0 := w0(add(25, i))
                let d1 := w1(add(25, i))
                let at := add($STATE$, shl(5, i))
                {
                    let t0 := add(w0(add(i, 4)), sub($P$, w0(i)))
                    let t1 := add(w1(add(i, 4)), sub($P$, w1(i)))
                    acc(power, add(mulRe(s0, s1, t0, t1), sub($P$, d0)), add(mulIm(s0, s1, t0, t1), sub($P$, d1)))
                }
                mstore(at, addmod(w0(i), d0, $P$))
                mstore(add(at, 384), addmod(w1(i), d1, $P$))
                mstore(add(at, 128), addmod(w0(add(i, 4)), sub($P$, d0), $P$))
                mstore(add(at, 512), addmod(w1(add(i, 4)), sub($P$, d1), $P$))
            }
