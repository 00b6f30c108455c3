#!/usr/bin/env sh
# Everything that holds for the contracts, in order of cost. Installs the pinned tools first when they are missing.
set -eu
cd "$(dirname "$0")"

# npm writes node_modules/.package-lock.json at the end of an installation
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
forge=node_modules/.bin/forge

"$forge" fmt --check src test
node build.mjs --check
python3 analysis/claims.py
python3 test/reference/dispute_rule.py --check test/vectors/dispute_schedules.json
FORGE_SNAPSHOT_CHECK=true "$forge" test "$@"
