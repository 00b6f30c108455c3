            function w0(i) -> v { v := mload(add($WIRES$, shl(6, i))) }
            function w1(i) -> v { v := mload(add($WIRES_IM$, shl(6, i))) }
            // The filter of the gate in `row`: product of (i - s) over the other rows of its selector's group, and of (unused - s)
            // where there are several selectors. It vanishes on the rows of every other gate.
            function filter(selector, row, low, high) -> f0, f1 {
                let s0 := sub($P$, mload(selector))
                let s1 := sub($P$, mload(add(selector, 32)))
                f0 := $UNUSED_RE$
                f1 := $UNUSED_IM$
                for { let i := low } lt(i, high) { i := add(i, 1) } {
                    if xor(i, row) {
                        let re := mulRe(f0, f1, add(i, s0), s1)
                        f1 := mulIm(f0, f1, add(i, s0), s1)
                        f0 := re
                    }
                }
            }
