            // $GATE$: each value is the sum of its base-4 digits, each digit is 0, 1, 2 or 3; then constants.
            function gate$ROW$() {
                let power := $POWERS$
                let digits := $DIGITS_AT$
                let value := $WIRES$
$VALUES$
                for { let cell := $DIGITS_AT$ } lt(cell, $DIGITS_END$) { cell := add(cell, 64) } {
                    // x (x - 3) (x (x - 3) + 2)
                    let a := mload(cell)
                    let b := mload(add(cell, 32))
                    let c := add(a, sub($P$, 3))
                    let d := mulRe(a, b, c, b)
                    b := mulIm(a, b, c, b)
                    c := add(d, 2)
                    acc(power, add(mul(d, c), mul(7, mul(b, b))), mul(b, add(c, d)))
                    power := add(power, 96)
                }
$CONSTANT_WIRES$
            }
            // The sum of the digits in [from, end) times powers of 4, less the value.
            function digitSum$ROW$(power, value, from, end) {
                let s0
                let s1
                for {} gt(end, from) {} {
                    end := sub(end, 64)
                    s0 := addmod(mul(4, s0), mload(end), $P$)
                    s1 := addmod(mul(4, s1), mload(add(end, 32)), $P$)
                }
                acc(power, add(s0, sub($P$, mload(value))), add(s1, sub($P$, mload(add(value, 32)))))
            }
