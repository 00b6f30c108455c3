            // $GATE$: the first wires are the hash of the public inputs.
            function gate$ROW$() {
                let power := $POWERS$
                for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                    acc(power, add(w0(i), sub($P$, mload(add($PI_HASH$, shl(5, i))))), w1(i))
                    power := add(power, 96)
                }
            }
