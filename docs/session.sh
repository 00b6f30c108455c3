#!/usr/bin/env bash
# Ten minutes with a hub, two participants and a tower, on the embedded settlement layer: docs/session.md explains each step.
# Everything is real: processes, contracts, signatures, proofs, backups. Nothing has value.
#
#   docs/session.sh            uses target/release/watchtower, works in a new folder under /tmp, and cleans up
#   WATCHTOWER=..  FOLDER=..   another program, another folder (which is kept)
set -euo pipefail

watchtower=${WATCHTOWER:-$(cd "$(dirname "$0")/.." && pwd)/target/release/watchtower}
folder=${FOLDER:-$(mktemp -d)}
export WATCHTOWER_KEYSTORE_PASSWORD="nothing of value"
mkdir -p "$folder"; cd "$folder"
declare -A running=()

step() { printf '\n== %3ss  %s\n' "$SECONDS" "$1"; }
fail() { echo "FAILED: $1"; tail -n 20 "$folder"/*.log; exit 1; }
stop() { for one in "${!running[@]}"; do kill "${running[$one]}" 2>/dev/null || true; done; wait 2>/dev/null || true; }
finish() { stop; [ -n "${FOLDER:-}" ] || rm -rf "$folder"; }
trap finish EXIT

# start NAME COMMAND..: runs the program in the background, its log beside everything else.
start() { local name=$1; shift; "$watchtower" "$@" >>"$name.log" 2>&1 & running[$name]=$!; }
# until DESCRIPTION SECONDS COMMAND..
until_ok() {
    local what=$1 most=$2; shift 2
    for ((i = 0; i < most * 5; i++)); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
    fail "$what did not happen within $most s"
}
# of NAME COMMAND..: asks NAME's running node.
of() { local name=$1; shift; "$watchtower" "$@" --data-dir "$name"; }
# value FIELD: the value of a line `field  value`.
value() { sed -n "s/^$1  *//p" | head -n 1; }

step "a settlement layer with the contracts on it, and everybody endowed"
start chain devnet --port 0 --deploy deployment.json --window-s 20 --endow 1000000000
until_ok "the deployment" 120 grep -q '^endowed' chain.log
rpc=$(value rpc <chain.log)
mapfile -t keys < <(sed -n 's/^  0x[0-9a-fA-F]*  \(0x[0-9a-f]*\)$/\1/p' chain.log)

step "accounts: each key goes into an encrypted file of its own"
import() {
    mkdir -p "$1"; (umask 077; echo "$2" >"$1/key.hex")
    "$watchtower" keys import "$1/key.hex" --data-dir "$1"; rm "$1/key.hex"
}
import hub "${keys[-1]}"; import alice "${keys[1]}"; import bob "${keys[2]}"; import tower "${keys[3]}"

step "a tower, a hub, two participants"
common=(--rpc "$rpc" --deployment deployment.json --set chain.poll_interval=200ms --set submit.block_time=1s --set submit.send_lead=0s)
tower=http://127.0.0.1:${TOWER_PORT:-18645}
start tower run "${common[@]}" --data-dir tower --listen "${tower#http://}"
# One tower is all there is here; a person who means it names three.
# Bob consented to nothing before his disk is lost: no pause after the restore. With real money leave that line out.
printf '[backup]\ntarget = 1\nrestore_quorum = 1\nhold_after_restore_s = 0\n' >policy.toml
node=("${common[@]}" --tower "$tower" --policy policy.toml)
start_hub() { start hub hub run "${node[@]}" --data-dir hub --link /ip4/127.0.0.1/tcp/"${HUB_PORT:-18646}"; }
start_hub
start alice node run "${node[@]}" --data-dir alice
start bob node run "${node[@]}" --data-dir bob
until_ok "the hub" 60 of hub hub invitation
invitation=$(of hub hub invitation)
echo "$invitation"
until_ok "alice's node" 60 of alice status
until_ok "bob's node" 60 of bob status

step "both open a channel with the hub, by its invitation"
of alice open "$invitation" --deposit 500000000 --wait
of bob open "$invitation" --deposit 100000000 --wait

step "alice puts more in"
of alice fund 100000000 --wait
of alice channels

step "ten payments, by invoice; the hub is killed and started again in between"
for n in 1 2 3 4 5 6 7; do
    of alice pay "$(of bob receive --amount $((n * 1000000)))" --wait
    if [ "$n" = 3 ]; then kill -KILL "${running[hub]}"; wait "${running[hub]}" 2>/dev/null || true; start_hub; fi
done
for n in 1 2 3; do of bob pay "$(of alice receive --amount 2000000)" --wait; done
of alice history
[ "$(of alice history --all --json | grep -c '"received"')" = 10 ] || fail "alice's whole history"
# 28 million went to bob, 6 million came back.
[ "$(of alice channels | value balance)" = 578000000 ] || fail "alice's balance"
[ "$(of bob channels | value balance)" = 122000000 ] || fail "bob's balance"

step "everything that they hold is backed up"
of alice backup status --wait
of bob backup status --wait

step "bob's disk is lost; the seed and the account's key are all that he has"
kill -KILL "${running[bob]}"; wait "${running[bob]}" 2>/dev/null || true
rm bob/node.redb bob/api.address bob/api.token
start bob node run "${node[@]}" --data-dir bob
until_ok "bob's node" 60 of bob status
of bob restore "$invitation"
until_ok "bob's channel" 120 sh -c "'$watchtower' channels --data-dir bob | grep -q '^nonce'"
of bob restore --wait
[ "$(of bob channels | value balance)" = 122000000 ] || fail "bob's balance after the restore"
of alice pay "$(of bob receive --amount 1000000)" --wait

step "bob takes some money out, then closes with the hub's consent"
of bob withdraw 23000000 --wait
of bob close --wait
[ "$(of bob channels | value paid | cut -d' ' -f1)" = 100000000 ] || fail "what bob was paid"

step "alice leaves without asking: a dispute with a real proof, and the settlement after its window"
of alice exit --now --wait
[ "$(of alice channels | value paid | cut -d' ' -f1)" = 577000000 ] || fail "what alice was paid"

step "done: everybody has what the last signed states gave them"
