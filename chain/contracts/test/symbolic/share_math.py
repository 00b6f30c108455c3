#!/usr/bin/env python3
"""The pool's share arithmetic, proven for all integers (pip install z3-solver; then: python3 share_math.py).

Each floor(n / d) is the q with q * d <= n < (q + 1) * d, each ceil(n / d) the q with (q - 1) * d < n <= q * d. Names: T assets,
S shares, V virtual shares (one virtual base unit stands beside them). The formulas are those of VipShares.sol and VipQueue.sol;
that these are what the contracts compute is what the fuzz tests show. A model checker of the bytecode (halmos) does not
finish on 256-bit divisions, even for inputs of 8 bits.
"""
import sys
from z3 import And, Ints, Not, Or, Solver, unsat

a, s, T, S, V, G, m, q, c, w, x, I, W, f, i, r, u, t, A = Ints("a s T S V G m q c w x I W f i r u t A")
not_negative = And(*[n >= 0 for n in (a, s, T, S, G, m, q, c, w, x, I, W, f, i, r, u, t, A)], V >= 1)


def floor(quotient, n, d):
    return And(quotient * d <= n, n < (quotient + 1) * d)


def ceil(quotient, n, d):
    return And((quotient - 1) * d < n, n <= quotient * d)


LEMMAS = {
    "deposit, then redeem, never gains": (
        [floor(m, a * (S + V), T + 1), floor(q, m * (T + a + 1), S + m + V)], q <= a),
    "who joins by the higher price does not gain by it either": (
        [G >= T, floor(m, a * (S + V), G + 1), floor(q, m * (T + a + 1), S + m + V)], q <= a),
    "mint costs what redeem pays, or more": (
        [ceil(c, s * (T + 1), S + V), floor(w, s * (T + 1), S + V)], And(w <= c, c <= w + 1)),
    "a redemption pays no more than there is": (
        [s <= S, floor(q, s * (T + 1), S + V)], q <= T),
    "a redemption lowers no price": (
        [s <= S, q <= T, q * (S + V) <= s * (T + 1)], (T - q + 1) * (S + V) >= (T + 1) * (S - s + V)),
    "a deposit lowers no price": (
        [m * (T + 1) <= a * (S + V)], (T + a + 1) * (S + V) >= (T + 1) * (S + m + V)),
    "nobody uses the right of more shares than are free": (
        [S >= 1, i >= 1, r * S <= i * f, ceil(u, r * S, i)], u <= f),
    "the queue is never paid more than it is worth": (
        [W >= 1, I >= 1, x <= I, W <= I, floor(q, x * W, I)], q <= W),
    "what waits after a payment can still return, up to one base unit": (
        [W >= 1, I >= 1, x <= I, W <= I, floor(q, x * W, I)], W - q <= I - x + 1),
    "when all has returned the queue is paid in full": (
        [W >= 1, I >= 1, x == I, W <= I, floor(q, x * W, I)], q == W),
    "a stream holds back no more than it was given": (
        [A >= 1, t <= A, ceil(u, a * (A - t), A)], u <= a),
}

failed = 0
for name, (given, then) in LEMMAS.items():
    solver = Solver()
    solver.set("timeout", 60_000)
    solver.add(not_negative, *given, Not(then))
    verdict = solver.check()
    failed += verdict != unsat
    print(f"{'proven' if verdict == unsat else 'NOT PROVEN (' + str(verdict) + ')'}: {name}", flush=True)
sys.exit(1 if failed else 0)
