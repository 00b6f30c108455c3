#!/usr/bin/env python3
"""Judges a run of halmos: every check is proven (passed, no path left out), or every check is refuted by a counterexample.

    halmos.py RESULT.json proven|refuted
"""
import json
import sys
from pathlib import Path

PASS, COUNTEREXAMPLE = 0, 1


def main():
    path, wanted = sys.argv[1:]
    results = json.loads(Path(path).read_text())["test_results"]
    checks = [check for contract in results.values() for check in contract]
    faults = []
    for check in checks:
        name, code = check["name"].split("(")[0], check["exitcode"]
        whole = check["num_bounded_loops"] == 0 and check["num_paths"][1] > 0
        if wanted == "proven" and not (code == PASS and whole):
            faults.append(f"{name} is not proven (exit code {code}, paths {check['num_paths']})")
        if wanted == "refuted" and code != COUNTEREXAMPLE:
            faults.append(f"{name} is false and was not refuted (exit code {code})")
    for fault in faults:
        print(f"halmos: {fault}", file=sys.stderr)
    if faults or not checks:
        sys.exit(1)
    print(f"halmos: {len(checks)} checks {wanted}")


main()
