            // Products in the quadratic extension, u^2 = 7: real part and coefficient of u. The operands' bit lengths may add up to
            // 252, so sums of reduced values need no reduction of their own.
            function mulRe(a0, a1, b0, b1) -> c {
                c := mod(add(mul(a0, b0), mul(7, mul(a1, b1))), $P$)
            }
            function mulIm(a0, a1, b0, b1) -> c {
                c := mod(add(mul(a0, b1), mul(a1, b0)), $P$)
            }
