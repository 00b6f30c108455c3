#!/usr/bin/env python3
"""Compares what slither found with what slither.json explains: a finding without a reason fails, and so does a reason without a finding.

    slither.py OUTPUT.json

An entry of slither.json speaks of one detector in one file (or, with a slash at the end, one directory). `in` lists the functions or
variables, once for each finding there; a number instead says how many findings there are.
"""
import collections
import json
import sys
from pathlib import Path


def findings(output):
    if not output["success"]:
        sys.exit(f"slither failed: {output['error']}")
    for found in output["results"].get("detectors", []):
        first = found["elements"][0]
        yield found["check"], first["source_mapping"]["filename_relative"], first["name"]


def covers(entry, file):
    return file.startswith(entry["file"]) if entry["file"].endswith("/") else file == entry["file"]


def main():
    reasons = json.loads((Path(__file__).parent / "slither.json").read_text())
    found = [collections.Counter() for _ in reasons]
    faults, total = [], 0
    for check, file, name in findings(json.loads(Path(sys.argv[1]).read_text())):
        total += 1
        which = next((i for i, entry in enumerate(reasons) if entry["check"] == check and covers(entry, file)), None)
        if which is None:
            faults.append(f"new: {check} in {file}, {name}")
        else:
            found[which][name] += 1
    for entry, names in zip(reasons, found):
        expected = entry["in"]
        if isinstance(expected, int):
            if sum(names.values()) != expected:
                faults.append(f"{entry['check']} in {entry['file']}: {sum(names.values())} findings, {expected} explained")
            continue
        explained = collections.Counter(expected)
        faults += [f"new: {entry['check']} in {entry['file']}, {name}" for name in names - explained]
        faults += [f"explained but gone: {entry['check']} in {entry['file']}, {name}" for name in explained - names]
    for fault in faults:
        print(f"slither: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"slither: {total} findings, each explained in analysis/slither.json")


main()
