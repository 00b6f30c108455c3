"""Random schedules of the dispute rule and what they must pay, as JSON on standard output.

The rule as the specification states it, in unbounded integers, written apart from the Rust twin and from the contract:

    u(W)   = (W * rate + 2^64 - 1) >> 64                 bond of a claim of W base units, in wei
    open   : claim c <= pay(state), value >= F + u(c)    W = C = c, the window starts
    lower  : d = u(W) - u(W'), beneficiary floor(d * towerBps / 10^4), other party the rest, beneficiary = corrector
    equal  : nothing moves but the nonce
    raise  : disputer only, once, value u(W') - u(W); C = max(C, W'); the window starts anew
    settle : s = min(W, floor((C - W) * slashBps / 10^4)) if C > W else 0
             asset: disputer W - s, other E - W + s; ether: u(W) back, F to the corrector, or back if there is none

Run: python3 dispute_rule.py > dispute_rule.json
"""

import json
import random

SEED, SCHEDULES = 20_260_704, 120


def bond(claim, rate):
    return (claim * rate + 2**64 - 1) >> 64


def number(rnd, bits):
    return rnd.randrange(1 << rnd.randrange(1, bits + 1))


def schedule(rnd):
    escrow = max(1, number(rnd, 112))
    rate = rnd.choice([0, 1 << 64, number(rnd, 96), number(rnd, 96)])
    fee, window, extension, most = number(rnd, 100), 1_000, 100, 250
    tower, slash = rnd.choice([5_000, rnd.randrange(10_001)]), rnd.choice([10_000, rnd.randrange(10_001)])
    pays = rnd.randrange(escrow + 1)
    claim = pays if rnd.random() < 0.7 else rnd.randrange(pays + 1)
    now, nonce = 1_000_000, rnd.randrange(1, 1 << 50)
    opening = dict(now=now, nonce=nonce, pays=str(pays), claim=str(claim))
    standing, peak, raised, corrector = claim, claim, False, None
    end = deadline = now + window
    moves = []
    for _ in range(rnd.randrange(8)):
        now += rnd.choice([0, 1, 40, 300, max(0, deadline - now - 1), max(0, deadline - now)])
        step_nonce = nonce + rnd.choice([0, 1, 1, 1, 7]) if rnd.random() < 0.95 else max(0, nonce - 1)
        to = rnd.choice([standing, rnd.randrange(escrow + 1), rnd.randrange(standing + 1), 0])
        by_disputer = rnd.random() < 0.4
        beneficiary = rnd.randrange(4)
        gap = bond(to, rate) - bond(standing, rate)
        value = rnd.choice([max(0, gap), max(0, gap), 0, 1])
        move = dict(
            now=now, nonce=step_nonce, pays=str(to), by_disputer=by_disputer, beneficiary=beneficiary, value=str(value)
        )
        fine = now < deadline and step_nonce > nonce and beneficiary != 0
        if to > standing:
            fine = fine and by_disputer and not raised and value == gap
        else:
            fine = fine and value == 0
        if fine:
            kind, mine, other = "equal", 0, 0
            if to < standing:
                kind, freed = "lower", -gap
                mine = freed * tower // 10_000
                other, corrector = freed - mine, beneficiary
                if deadline - now < extension:
                    deadline = max(deadline, min(now + extension, end + most))
            elif to > standing:
                kind, raised, peak = "raise", True, max(peak, to)
                end = deadline = now + window
            standing, nonce = to, step_nonce
            move["paid"] = dict(kind=kind, beneficiary=str(mine), other=str(other))
        else:
            move["paid"] = None
        move["deadline"], move["held"] = deadline, str(fee + bond(standing, rate))
        moves.append(move)
    slashed = min(standing, (peak - standing) * slash // 10_000) if peak > standing else 0
    return dict(
        escrow=str(escrow), rate=str(rate), fee=str(fee), window=window, extension=extension, most=most,
        tower=tower, slash=slash, opening=opening, moves=moves,
        settlement=dict(
            disputer=str(standing - slashed), other=str(escrow - standing + slashed), slash=str(slashed),
            bond=str(bond(standing, rate)), corrector=corrector,
        ),
    )


def main():
    rnd = random.Random(SEED)
    print(json.dumps([schedule(rnd) for _ in range(SCHEDULES)], separators=(",", ":")).replace('{"escrow"', '\n{"escrow"'))


if __name__ == "__main__":
    main()
