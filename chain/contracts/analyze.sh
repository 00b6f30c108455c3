#!/usr/bin/env bash
# Static analysis (slither) and symbolic tests (halmos), with pinned tools from PyPI in an environment of their own: VENV=dir, by
# default in the cache directory.
#
#   ./analyze.sh            all
#   ./analyze.sh slither    fails on a finding that analysis/slither.json does not explain, and on an explanation without a finding
#   ./analyze.sh halmos     fails on a counterexample or a time-out, and when a false statement is not refuted
#   ./analyze.sh lemmas     what halmos does not decide at full width, and the pool's share arithmetic, for all integers
set -euo pipefail
cd "$(dirname "$0")"
what="${1:-all}"
venv="${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/virtual-rollup/analysis}"
pins=(slither-analyzer==0.11.6 crytic-compile==0.4.2 halmos==0.3.3 cvc5==1.4.2 z3-solver==4.12.6.0)

if [ ! -e "$venv/installed" ] || [ "$(cat "$venv/installed")" != "${pins[*]}" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${pins[@]}"
    echo "${pins[*]}" >"$venv/installed"
fi
export PATH="$PWD/node_modules/.bin:$venv/bin:$PATH"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
wants() { [ "$what" = all ] || [ "$what" = "$1" ]; }

if wants slither; then
    node analysis/ast.mjs "$scratch/slither"
    # its exit code counts findings; the comparison decides
    (cd "$scratch/slither" && slither . --foundry-ignore-compile --filter-paths @openzeppelin --json all.json) \
        >"$scratch/slither.log" 2>&1 || true
    [ -e "$scratch/slither/all.json" ] || { cat "$scratch/slither.log" >&2; exit 1; }
    python3 analysis/slither.py "$scratch/slither/all.json"
fi
if wants lemmas; then
    python3 test/symbolic/dispute_math.py
    python3 test/symbolic/share_math.py
fi
if wants halmos; then
    # Not forge's own directories: build information of two runs does not mix.
    export FOUNDRY_OUT="$scratch/out" FOUNDRY_CACHE_PATH="$scratch/cache" FOUNDRY_LINT_LINT_ON_BUILD=false
    export FOUNDRY_SRC=test/symbolic FOUNDRY_TEST=test/symbolic # what these import, and no more
    halmos_on() {
        halmos --match-contract "$1" --forge-build-out "$FOUNDRY_OUT" --solver-timeout-assertion "$2" --no-status \
            --solver-command "$venv/bin/python3 $PWD/analysis/smt.py" --json-output "$scratch/$1.json" || true
        python3 analysis/halmos.py "$scratch/$1.json" "$3"
    }
    halmos_on SymbolicFormulas 120000 proven
    halmos_on SymbolicStates 120000 proven
    halmos_on SymbolicControl 120000 refuted
fi
