#!/usr/bin/env bash
# Static analysis (slither) and symbolic tests (halmos) of the vault, with pinned tools from PyPI in an environment of their own.
#
#   ./analyze.sh            both
#   ./analyze.sh slither    fails on a finding that analysis.md does not explain
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

if [ "$what" = all ] || [ "$what" = slither ]; then
    FOUNDRY_REMAPPINGS="@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol=test/analysis/ReentrancyGuardTransient.sol" \
        slither . --config-file slither.config.json --foundry-out-directory "$FOUNDRY_OUT"
fi
if [ "$what" = all ] || [ "$what" = halmos ]; then
    forge build --ast test/symbolic
    halmos --match-contract '^Symbolic' --solver-timeout-assertion 60000
fi
