            // The permutation argument: per challenge and chunk of wires,
            // previous product * prod (wire + beta * k * zeta + gamma) = next product * prod (wire + beta * sigma + gamma).
            function products() {
                {
                    let z0 := mload($ZETA$)
                    let z1 := mload(add($ZETA$, 32))
                    for { let at := $IDS$ } lt(at, $IDS_END$) { at := add(at, 64) } {
                        mstore(at, z0)
                        mstore(add(at, 32), z1)
                        z0 := mulmod(z0, $COSET_SHIFT$, $P$)
                        z1 := mulmod(z1, $COSET_SHIFT$, $P$)
                    }
                }
                let power := $PRODUCT_POWERS$
                for { let challenge := 0 } lt(challenge, $CHALLENGES$) { challenge := add(challenge, 1) } {
                    mstore($BETA$, mload(add($BETAS$, shl(5, challenge))))
                    mstore($GAMMA$, mload(add($GAMMAS$, shl(5, challenge))))
                    let previous := add($ZS$, shl(6, challenge))
                    let next := add($PARTIALS$, mul(challenge, $PARTIALS_BYTES$))
                    let wire := $WIRES$
                    let id := $IDS$
                    let sigma := $SIGMAS$
                    for { let chunk := 0 } lt(chunk, $CHUNKS$) { chunk := add(chunk, 1) } {
                        if eq(chunk, $LAST_CHUNK$) { next := add($ZS_NEXT$, shl(6, challenge)) }
                        chunkTerm(power, previous, next, wire, id, sigma)
                        power := add(power, 96)
                        previous := next
                        next := add(next, 64)
                        wire := add(wire, $CHUNK_BYTES$)
                        id := add(id, $CHUNK_BYTES$)
                        sigma := add(sigma, $CHUNK_BYTES$)
                    }
                }
            }
            function chunkTerm(power, previous, next, wire, id, sigma) {
                let end := add(wire, $CHUNK_BYTES$)
                if gt(end, $ROUTED_END$) { end := $ROUTED_END$ }
                let a0, a1 := grandProduct(previous, wire, end, id)
                let b0, b1 := grandProduct(next, wire, end, sigma)
                acc(power, add(a0, sub($P$, b0)), add(a1, sub($P$, b1)))
            }
            function grandProduct(start, wire, end, name_) -> r0, r1 {
                r0 := mload(start)
                r1 := mload(add(start, 32))
                let beta := mload($BETA$)
                let gamma := mload($GAMMA$)
                for {} lt(wire, end) { wire := add(wire, 64) } {
                    let t0 := add(add(mload(wire), gamma), mul(beta, mload(name_)))
                    let t1 := add(mload(add(wire, 32)), mul(beta, mload(add(name_, 32))))
                    let re := mulRe(r0, r1, t0, t1)
                    r1 := mulIm(r0, r1, t0, t1)
                    r0 := re
                    name_ := add(name_, 64)
                }
            }
