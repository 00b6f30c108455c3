#!/usr/bin/env python3
"""Every test that CLAIMS.md and mutants.json name exists."""
import json
import re
import sys
from pathlib import Path

root = Path(__file__).parent.parent
tests = "\n".join(path.read_text() for path in (root / "test").rglob("*.sol"))
exists = set(re.findall(r"function ((?:test|testFuzz|invariant|check)_\w+)\(", tests))
named = set(re.findall(r"`((?:test|testFuzz|invariant|check)_\w+)`", (root / "CLAIMS.md").read_text()))
for mutant in json.loads((root / "analysis" / "mutants.json").read_text()):
    named |= set(mutant["killedBy"].split("|"))
missing = sorted(named - exists)
for name in missing:
    print(f"claims: no such test: {name}", file=sys.stderr)
if missing:
    sys.exit(1)
print(f"claims: the {len(named)} tests that are named exist")
