#!/usr/bin/env python3
"""What the pages say exists, and what exists is said.

Every test that CLAIMS.md and mutants.json name exists. Every external function of what is deployed heads a `.tree`. Every refusal and
every event that our interfaces declare is in a `.tree` as {Name}, and some test names it. Whatever our interfaces declare has NatSpec.
"""
import json
import re
import sys
from pathlib import Path

root = Path(__file__).parent.parent
faults = []


def texts(pattern):
    return "\n".join(path.read_text() for path in sorted((root / "test").rglob(pattern)))


tests, trees = texts("*.sol"), texts("*.tree")
exists = set(re.findall(r"function ((?:test|testFuzz|invariant|check)_\w+)\(", tests))
named = set(re.findall(r"`((?:test|testFuzz|invariant|check)_\w+)`", (root / "CLAIMS.md").read_text()))
for mutant in json.loads((root / "analysis" / "mutants.json").read_text()):
    named |= set(mutant["killedBy"].split("|"))
faults += [f"no such test: {name}" for name in sorted(named - exists)]

# A line that is neither a branch nor a sentence is a heading: "settle", or "deposit, mint".
headings = {word for line in trees.splitlines() if re.fullmatch(r"\w+(, \w+)*", line) for word in line.split(", ")}
functions = 0
for contract in ["Vipe", "Vip", "DevToken"]:
    abi = json.loads((root / ".." / "artifacts" / f"{contract}.json").read_text())["abi"]
    for name in sorted({entry["name"] for entry in abi if entry["type"] == "function"}):
        functions += 1
        if name not in headings:
            faults.append(f"no .tree has {contract}.{name}")

interfaces = "\n".join(path.read_text() for path in sorted((root / "src" / "interfaces").glob("*.sol")))
declared = sorted(set(re.findall(r"^    (?:error|event) (\w+)\(", interfaces, re.MULTILINE)))
for name in declared:
    if f"{{{name}}}" not in trees:
        faults.append(f"no .tree has {{{name}}}")
    if not re.search(rf"\b{name}\b", tests):
        faults.append(f"no test has {name}")

# What is declared one line below no comment has none.
for path in sorted((root / "src" / "interfaces").glob("*.sol")):
    above = ""
    for line in path.read_text().splitlines():
        if re.match(r"    (function|event|error|struct|enum) ", line) and not above.startswith("    ///"):
            faults.append(f"no NatSpec in {path.name}: {line.strip()}")
        above = line

for fault in faults:
    print(f"claims: {fault}", file=sys.stderr)
if faults:
    sys.exit(1)
print(f"claims: {len(named)} named tests, {functions} functions, {len(declared)} refusals and events")
