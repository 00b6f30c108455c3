            // $GATE$: each wire is its constant.
            function gate$ROW$() {
                let power := $POWERS$
                let cell := $CONSTANTS$
                for { let i := 0 } lt(i, $COUNT$) { i := add(i, 1) } {
                    acc(power, add(mload(cell), sub($P$, w0(i))), add(mload(add(cell, 32)), sub($P$, w1(i))))
                    power := add(power, 96)
                    cell := add(cell, 64)
                }
            }
