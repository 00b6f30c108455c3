#!/usr/bin/env bash
# Draws "Node and hub" from docs/session.sh: a hub and two participants, processes of their own, under a real Prometheus.
#
#   WATCHTOWER=target/release/watchtower dashboards/draw-nodes.sh docs/dashboards
#
# Needs what draw.py needs, and Prometheus. A node shows its figures to whoever has its token: one job a node.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${WATCHTOWER:-$root/target/release/watchtower}")
out=$(realpath "${1:-$root/docs/dashboards}")
folder=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
nodes=(hub alice bob)
prometheus=
trap 'kill "$prometheus" 2>/dev/null || true; rm -rf "$folder"' EXIT

{
    echo "global: {scrape_interval: 2s}"
    echo "scrape_configs:"
    for node in "${nodes[@]}"; do
        echo "  - job_name: node-$node"
        echo "    authorization: {credentials_file: $folder/session/$node/api.token}"
        echo "    file_sd_configs: [{files: [$folder/$node.json], refresh_interval: 2s}]"
    done
} > "$folder/prometheus.yml"
prometheus --config.file="$folder/prometheus.yml" --web.listen-address="127.0.0.1:$port" --storage.tsdb.path="$folder/tsdb" 2>"$folder/prometheus.log" &
prometheus=$!

started=$SECONDS
FOLDER=$folder/session WATCHTOWER=$program "$root/docs/session.sh" > "$folder/session.log" &
session=$!
while kill -0 "$session" 2>/dev/null; do
    for node in "${nodes[@]}"; do
        address=$(cat "$folder/session/$node/api.address" 2>/dev/null) || continue
        printf '[{"targets": ["%s"], "labels": {"network": "devnet", "instance": "%s"}}]\n' "$address" "$node" > "$folder/$node.json"
    done
    sleep 1
done
wait "$session" || { cat "$folder/session.log"; exit 1; }
python3 -B "$root/dashboards/draw.py" "http://127.0.0.1:$port" "$out" --only node --minutes "$(awk "BEGIN { print ($SECONDS - $started) / 60 }")"
