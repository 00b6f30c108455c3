#!/usr/bin/env bash
# Static analysis (slither) and symbolic tests (halmos) of the vault, with pinned tools from PyPI in an environment of their own.
#
#   ./analyze.sh            both
#   ./analyze.sh slither    prints findings; analysis.md explains those that stand
#   ./analyze.sh halmos     fails on a counterexample or a time-out
set -euo pipefail
cd "$(dirname "$0")"
what="${1:-all}"
venv="${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/virtual-rollup/analysis}"

if [ ! -x "$venv/bin/slither" ] || [ ! -x "$venv/bin/halmos" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet slither-analyzer==0.11.6 halmos==0.3.3
fi
export PATH="$PWD/node_modules/.bin:$venv/bin:$PATH"
# Not forge's own directories: both tools clean them, and build information of two runs does not mix.
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
export FOUNDRY_OUT="$scratch/out" FOUNDRY_CACHE_PATH="$scratch/cache"

if [ "$what" = all ] || [ "$what" = slither ]; then
    FOUNDRY_REMAPPINGS="@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol=test/analysis/ReentrancyGuardTransient.sol" \
        slither . --config-file slither.config.json --foundry-out-directory "$FOUNDRY_OUT"
fi
if [ "$what" = all ] || [ "$what" = halmos ]; then
    rm -rf "$FOUNDRY_OUT" "$FOUNDRY_CACHE_PATH"
    export FOUNDRY_SRC=test/symbolic FOUNDRY_TEST=test/symbolic # what these import, and no more
    halmos --match-contract '^Symbolic' --forge-build-out "$FOUNDRY_OUT" --solver-timeout-assertion 60000
fi
