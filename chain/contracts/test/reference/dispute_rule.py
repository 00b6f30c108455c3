"""The dispute rule as integer arithmetic, and the schedules that the contract must replay to the wei.

    u(W)     = (W * rate + 2^64 - 1) >> 64                              bond of a claim of W base units, in wei
    F        = max(feeFloor, feeGas * baseFee)                          fee, fixed at opening
    open     : claim c <= pay(state), value >= F + u(c), the excess is credited back
               W = C = c, raised = false, corrector = none, deadline = windowEnd = now + window
    override : now < deadline, nonce above the standing one, W2 = pay(state)
       W2 < W: value = 0; d = u(W) - u(W2); k = floor(d * towerBps / 10^4); beneficiary += k; other party += d - k
               corrector = beneficiary; deadline = max(deadline, min(now + extension, windowEnd + maxExtension))
       W2 = W: value = 0; the nonce moves, nothing else
       W2 > W: the disputer only, once, value = u(W2) - u(W); C = max(C, W2); R = W; deadline = windowEnd = now + window
    close    : both consent to a payment of the asset, once, now < deadline; deadline = min(deadline, now + extension);
               then no raise and no extension
    settle   : now >= deadline; s = min(W, floor((C - W) * slashBps / 10^4)) if C > W else 0
               asset: disputer W - s, other party E - W + s, or as a close says
               ether: u(W) to who brought it: the raise's part, above R, to the disputer, the rest to who paid the opening;
               F to the corrector or else to who paid the opening

    python3 dispute_rule.py --write FILE     writes the schedules (fixed seed: the same bytes each time)
    python3 dispute_rule.py --check FILE     fails when FILE is not what this rule makes
"""

import json
import random
import sys

BPS = 10_000
SEED = 0x56524335
SCHEDULES = 480
DISPUTER, OTHER, SYBIL, TOWER, SPONSOR = range(5)
LOWER, EQUAL, RAISE, CLOSED, STALE, NOT_DISPUTER, RAISED_BEFORE, WRONG_VALUE, ANNOUNCED, CLOSING = range(10)
OVERRIDE, CLOSE = range(2)


class Dispute:
    """One dispute. Times are seconds since the opening, amounts base units or wei."""

    def __init__(self, rules, escrow, rate, base_fee, claim, value, payer=DISPUTER):
        self.rules, self.escrow, self.rate = rules, escrow, rate
        self.fee = max(rules["feeFloor"], rules["feeGas"] * base_fee)
        self.claim = self.peak = claim
        self.nonce = 1
        self.raised, self.corrector, self.agreed = False, None, None
        self.payer, self.raised_from = payer, 0
        self.deadline = self.window_end = rules["window"]
        self.credit = [0] * 5
        self.credit[payer] = value - self.fee - self.bond(claim)
        assert self.credit[payer] >= 0
        self.brought = value

    def bond(self, claim):
        return (claim * self.rate + 2**64 - 1) >> 64

    def override(self, now, sender, beneficiary, nonce, pays, value):
        """Returns the outcome; a refusal changes nothing."""
        if now >= self.deadline:
            return CLOSED
        if nonce <= self.nonce:
            return STALE
        if pays > self.claim:
            if sender != DISPUTER:
                return NOT_DISPUTER
            if self.raised:
                return RAISED_BEFORE
            if self.agreed is not None:
                return CLOSING
        if value != max(0, self.bond(pays) - self.bond(self.claim)):
            return WRONG_VALUE
        self.brought += value
        self.nonce = nonce
        if pays == self.claim:
            return EQUAL
        if pays > self.claim:
            self.raised_from = self.claim
            self.raised, self.claim, self.peak = True, pays, max(self.peak, pays)
            self.deadline = self.window_end = now + self.rules["window"]
            return RAISE
        struck = self.bond(self.claim) - self.bond(pays)
        share = struck * self.rules["towerBps"] // BPS
        self.credit[beneficiary] += share
        self.credit[OTHER] += struck - share
        self.claim, self.corrector = pays, beneficiary
        if self.agreed is None:
            latest = self.window_end + self.rules["maxExtension"]
            self.deadline = max(self.deadline, min(now + self.rules["extension"], latest))
        return LOWER

    def close(self, now, to_disputer):
        """Both parties agree on the asset; returns the outcome."""
        if now >= self.deadline:
            return CLOSED
        if self.agreed is not None:
            return CLOSING
        self.agreed = to_disputer
        self.deadline = min(self.deadline, now + self.rules["extension"])
        return ANNOUNCED

    def held(self):
        """What the contract holds while the dispute is open."""
        return self.fee + self.bond(self.claim) + sum(self.credit)

    def settle(self):
        """Returns (slash, the disputer's asset, the other party's asset); ether is in `credit` afterwards."""
        slash = min(self.claim, (self.peak - self.claim) * self.rules["slashBps"] // BPS) if self.peak > self.claim else 0
        bond = self.bond(self.claim)
        paid = bond if not self.raised else min(bond, self.bond(self.raised_from))
        self.credit[self.payer] += paid
        self.credit[DISPUTER] += bond - paid
        self.credit[self.payer if self.corrector is None else self.corrector] += self.fee
        mine = self.claim - slash
        if self.agreed is not None:
            slash, mine = 0, self.agreed
        assert sum(self.credit) == self.brought and 0 <= mine <= self.escrow
        return slash, mine, self.escrow - mine


def some(rnd, top):
    """A number in [0, top], of any size, with a taste for the ends."""
    if rnd.random() < 0.15:
        return rnd.choice([0, min(1, top), max(0, top - 1), top])
    return rnd.randrange(0, min(top, 1 << rnd.randrange(1, 113)) + 1)


def make_rules(rnd):
    window = rnd.choice([10, 600, 86_400])
    return {
        "window": window,
        "extension": rnd.choice([0, 1, window // 10, window, 3 * window]),
        "maxExtension": rnd.choice([0, window // 5, window, 5 * window]),
        "feeFloor": rnd.choice([0, 1, 20_000_000_000_000_000]),
        "feeGas": rnd.choice([0, 10_000_000]),
        "towerBps": rnd.choice([5_000, 5_000, 0, 3_333, 10_000]),
        "slashBps": rnd.choice([10_000, 10_000, 0, 5_000, 9_999]),
    }


def next_time(rnd, now, deadline):
    """Mostly inside the window, often at its very end, sometimes beyond."""
    if now >= deadline or rnd.random() < 0.05:
        return max(now, deadline) + rnd.randrange(3)
    if rnd.random() < 0.3:
        return max(now, deadline - 1 - rnd.randrange(2))
    return rnd.randrange(now, min(deadline, now + max(1, (deadline - now) // 2)))


def make_step(rnd, d, now):
    now = next_time(rnd, now, d.deadline)
    if rnd.random() < 0.12:
        pays = some(rnd, d.escrow)
        step = {"time": now, "sender": SYBIL, "beneficiary": SYBIL, "nonce": d.nonce, "pays": pays, "value": 0}
        step.update(kind=CLOSE, outcome=d.close(now, pays), claim=d.claim, deadline=d.deadline, held=d.held())
        return step
    kind = rnd.random()
    sender = rnd.choice([OTHER, SYBIL, TOWER, DISPUTER])
    if kind < 0.55:
        pays = some(rnd, d.claim)
    elif kind < 0.65:
        pays = d.claim
    else:
        pays = d.claim + some(rnd, d.escrow - d.claim)
        sender = DISPUTER if rnd.random() < 0.8 else sender
    value = max(0, d.bond(pays) - d.bond(d.claim))
    if rnd.random() < 0.07:
        value = max(0, value + rnd.choice([-1, 1]))
    nonce = d.nonce + rnd.choice([1, 1, 1, 1, 1, 1, 1, 7, 2**40, 0, -1])
    beneficiary = rnd.choice([DISPUTER, OTHER, SYBIL, TOWER, TOWER])
    step = {"time": now, "sender": sender, "beneficiary": beneficiary, "nonce": max(0, nonce), "pays": pays, "value": value}
    step["outcome"] = d.override(**{("now" if k == "time" else k): v for k, v in step.items()})
    step["claim"], step["deadline"], step["held"], step["kind"] = d.claim, d.deadline, d.held(), OVERRIDE
    return step


def make_schedule(rnd):
    escrow = 2 + some(rnd, (1 << rnd.randrange(1, 112)) - 1)
    deposit = rnd.randrange(1, escrow + 1)
    rate = rnd.choice([0, 1, (2 << 64) // 100, some(rnd, 2**96 - 1), rnd.randrange(2**64, 2**96)])
    rules, base_fee = make_rules(rnd), rnd.choice([0, 7, 10**9, 3 * 10**10])
    pays = some(rnd, escrow) if rnd.random() < 0.4 else escrow - some(rnd, escrow // 2)
    claim = pays if rnd.random() < 0.8 else some(rnd, pays)
    fee = max(rules["feeFloor"], rules["feeGas"] * base_fee)
    value = fee + ((claim * rate + 2**64 - 1) >> 64) + rnd.choice([0, 0, 1, 10**17])
    payer = SPONSOR if rnd.random() < 0.25 else DISPUTER
    d = Dispute(rules, escrow, rate, base_fee, claim, value, payer)
    out = dict(rules, byParticipant=rnd.randrange(2), deposit=deposit, allocation=escrow - deposit, rate=rate)
    out["sponsored"] = int(payer == SPONSOR)
    out.update(baseFee=base_fee, pays=pays, claim=claim, value=value, fee=d.fee, steps=[])
    now = 0
    for _ in range(rnd.randrange(0, 8)):
        out["steps"].append(make_step(rnd, d, now))
        now = out["steps"][-1]["time"]
    out["slash"], out["disputerAsset"], out["otherAsset"] = d.settle()
    out["credits"] = d.credit
    return out


def text(value):
    """Numbers as decimal strings: they do not fit into what most readers of JSON make of a number."""
    if isinstance(value, dict):
        return {key: text(item) for key, item in value.items()}
    return [text(item) for item in value] if isinstance(value, list) else str(value)


def render():
    rnd = random.Random(SEED)
    schedules = [make_schedule(rnd) for _ in range(SCHEDULES)]
    seen = [sum(step["outcome"] == o for s in schedules for step in s["steps"]) for o in range(10)]
    assert min(seen) >= 20, f"an outcome is hardly ever met: {seen}"
    lines = ",\n".join(json.dumps(text(s), separators=(",", ":")) for s in schedules)
    about = (
        "Made by dispute_rule.py --write. Actors: 0 disputer, 1 other party, 2 sybil, 3 tower, 4 sponsor. Kinds: 0 override, 1 close, where "
        "`pays` is the disputer's part. Outcomes: 0 lower, 1 equal, 2 raise, 8 close announced; refused: 3 window closed, 4 stale nonce, 5 raise "
        "by another, 6 raised before, 7 wrong value, 9 raise or close after a close. `credits` are ether by actor, after settlement."
    )
    return f'{{"about":{json.dumps(about)},"count":"{SCHEDULES}","schedules":[\n{lines}\n]}}\n', seen


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("--write", "--check"):
        print(__doc__, file=sys.stderr)
        return 2
    content, seen = render()
    if arguments[0] == "--write":
        with open(arguments[1], "w", encoding="ascii") as file:
            file.write(content)
        print(f"{SCHEDULES} schedules, steps by outcome: {seen}")
        return 0
    with open(arguments[1], encoding="ascii") as file:
        if file.read() != content:
            print(f"{arguments[1]} is not what the rule makes (run with --write)", file=sys.stderr)
            return 1
    print(f"vectors: {SCHEDULES} schedules are what the rule makes; steps by outcome: {seen}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
