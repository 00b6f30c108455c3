            // $GATE$: output = multiplicand * multiplicand * constant 0 + addend * constant 1.
            function gate$ROW$() {
                let power := $POWERS$
                for { let cell := $WIRES$ } lt(cell, $OPS_END$) { cell := add(cell, 256) } {
                    let p0
                    let p1
                    {
                        let a0 := mload(cell)
                        let a1 := mload(add(cell, 32))
                        let b0 := mload(add(cell, 64))
                        let b1 := mload(add(cell, 96))
                        p0 := mulRe(a0, a1, b0, b1)
                        p1 := mulIm(a0, a1, b0, b1)
                    }
                    {
                        let c0 := mload($CONSTANTS$)
                        let c1 := mload(add($CONSTANTS$, 32))
                        let re := mulRe(p0, p1, c0, c1)
                        p1 := mulIm(p0, p1, c0, c1)
                        p0 := re
                    }
                    {
                        let a0 := mload(add(cell, 128))
                        let a1 := mload(add(cell, 160))
                        let c0 := mload(add($CONSTANTS$, 64))
                        let c1 := mload(add($CONSTANTS$, 96))
                        p0 := add(p0, mulRe(a0, a1, c0, c1))
                        p1 := add(p1, mulIm(a0, a1, c0, c1))
                    }
                    acc(power, add(mload(add(cell, 192)), sub($TWO_P$, p0)), add(mload(add(cell, 224)), sub($TWO_P$, p1)))
                    power := add(power, 96)
                }
            }
