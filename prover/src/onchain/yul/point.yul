            // $POINT_DOC$: one factor of the table per bit of the index that is set.
            function $POINT_NAME$(index) {
                let x := $POINT_SHIFT$
                for { let factor := $POINT_FACTORS$ } index { factor := add(factor, 32) } {
                    if and(index, 1) { x := mulmod(x, mload(factor), $P$) }
                    index := shr(1, index)
                }
                mstore($POINT_AT$, x)
            }
