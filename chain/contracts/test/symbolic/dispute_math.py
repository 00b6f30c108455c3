#!/usr/bin/env python3
"""The dispute's arithmetic, proven for all integers, every rate and every share: what halmos decides for the default rate and share only
(Formulas.sym.sol). Run by `../../analyze.sh lemmas`.

u(W) = ceil(W * R / D) is the b with (b - 1) * D < W * R <= b * D; floor(n / d) is the q with q * d <= n < (q + 1) * d. D stands for
2^64 and B for 10^4: any positive number does.
"""
import sys
from z3 import And, Ints, Not, Solver, unsat

W, X, R, D, B, t, u, w, s1, s2, k1, k2, k, x, y = Ints("W X R D B t u w s1 s2 k1 k2 k x y")
sane = And(*[n >= 0 for n in (W, X, R, t, u, w, s1, s2, k1, k2, k, x, y)], D >= 1, B >= 1, t <= B)


def ceil(quotient, n, d):
    return And((quotient - 1) * d < n, n <= quotient * d)


def floor(quotient, n, d):
    return And(quotient * d <= n, n < (quotient + 1) * d)


# x and y stand for the products W * R and X * R, which a first lemma orders: W >= X means W = X + k with k >= 0.
LEMMAS = {
    "a greater claim has no smaller product with the rate": (
        [W == X + k], W * R >= X * R),
    "a greater product needs no smaller bond": (
        [x >= y, ceil(u, x, D), ceil(w, y, D)], u >= w),
    "what is struck down is the size of the correction, to a wei either way": (
        [x >= y, ceil(u, x, D), ceil(w, y, D)], And((u - w + 1) * D > x - y, (u - w) * D < (x - y) + D)),
    "two steps are paid what one step is, or a wei less": (
        [floor(k1, x, B), floor(k2, y, B), floor(k, x + y, B)], And(k1 + k2 <= k, k <= k1 + k2 + 1)),
    "a share of two parts is the sum of the products": (
        [], (s1 + s2) * t == s1 * t + s2 * t),
    "no share is more than the whole": (
        [floor(k, s1 * t, B)], k <= s1),
    "the other party has at least its share": (
        [floor(k, s1 * t, B)], (s1 - k) * B >= s1 * (B - t)),
}

failed = 0
for name, (given, then) in LEMMAS.items():
    solver = Solver()
    solver.set("timeout", 60_000)
    solver.add(sane, *given, Not(then))
    verdict = solver.check()
    failed += verdict != unsat
    print(f"{'proven' if verdict == unsat else 'NOT PROVEN (' + str(verdict) + ')'}: {name}", flush=True)
sys.exit(1 if failed else 0)
