            // Adds a constraint times its three powers of alpha. The parts of `c` may have up to 180 bits.
            function acc(power, c0, c1) {
                let p := mload(power)
                mstore($ACC0$, add(mload($ACC0$), mul(c0, p)))
                mstore($ACC1$, add(mload($ACC1$), mul(c1, p)))
                p := mload(add(power, 32))
                mstore($ACC2$, add(mload($ACC2$), mul(c0, p)))
                mstore($ACC3$, add(mload($ACC3$), mul(c1, p)))
                p := mload(add(power, 64))
                mstore($ACC4$, add(mload($ACC4$), mul(c0, p)))
                mstore($ACC5$, add(mload($ACC5$), mul(c1, p)))
            }
            // Adds the constraints accumulated so far, times a filter, to the totals.
            function flush(f0, f1) {
                for { let at := $ACC$ } lt(at, $ACC_END$) { at := add(at, 64) } {
                    let a0 := mod(mload(at), $P$)
                    let a1 := mod(mload(add(at, 32)), $P$)
                    let to := add(at, 192)
                    mstore(to, add(mload(to), mulRe(a0, a1, f0, f1)))
                    mstore(add(to, 32), add(mload(add(to, 32)), mulIm(a0, a1, f0, f1)))
                    mstore(at, 0)
                    mstore(add(at, 32), 0)
                }
            }
