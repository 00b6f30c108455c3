            // $GATE$: wire 0 is the sum of the limbs times powers of 2, and each limb is 0 or 1.
            function gate$ROW$() {
                let s0
                let s1
                let power := add($POWERS$, $LIMBS_POWER_BYTES$)
                for { let i := $LIMBS$ } i { i := sub(i, 1) } {
                    let a := w0(i)
                    let b := w1(i)
                    s0 := addmod(add(s0, s0), a, $P$)
                    s1 := addmod(add(s1, s1), b, $P$)
                    let c := add(a, sub($P$, 1))
                    acc(power, add(mul(a, c), mul(7, mul(b, b))), mul(b, add(a, c)))
                    power := sub(power, 96)
                }
                acc(power, add(s0, sub($P$, w0(0))), add(s1, sub($P$, w1(0))))
            }
