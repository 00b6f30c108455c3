#!/usr/bin/env python3
"""Writes the dashboards: `python3 dashboards/build.py`, or with --check says whether the files are current.

One function a page; a panel is a title, its queries, a unit and a sentence. The layout follows from the order and the widths.
`tests/observability.rs` holds the queries to the metrics that the program exports, both ways.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
WHERE = 'network=~"$network",instance=~"$instance"'
SOURCE = {"type": "prometheus", "uid": "${source}"}
GREEN, YELLOW, RED = "green", "#EAB839", "red"


def m(name, labels=""):
    """The metric `watchtower_<name>` of the chosen towers."""
    more = f",{labels}" if labels else ""
    return f"watchtower_{name}{{{WHERE}{more}}}"


def process(name):
    return f"process_{name}{{{WHERE}}}"


def quantile(q, name, by=""):
    group = f"le,instance{',' + by if by else ''}"
    return f"histogram_quantile({q}, sum by ({group}) (rate({m(name + '_bucket')}[$__rate_interval])))"


def rate(name, labels=""):
    return f"rate({m(name, labels)}[$__rate_interval])"


def steps(*pairs):
    """Thresholds: colour from a value on; the first one from everything below."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in pairs]}


GOOD = steps((GREEN, None))
# What an axis shows at least, by unit.
SOFT_MAX = {"none": 1, "percentunit": 1}
YES = steps((RED, None), (GREEN, 1))
NONE = steps((GREEN, None), (RED, 1))


def link(kind, title, url="", **more):
    whole = {"type": kind, "title": title, "url": url, "tags": [], "asDropdown": False, "includeVars": False, "keepTime": False,
             "targetBlank": False, "icon": "dashboard", "tooltip": ""}
    return {**whole, **more}


def panel(kind, title, queries, unit, text, width=8, height=7, limits=GOOD, runbook=None, **more):
    targets = [
        {"datasource": SOURCE, "expr": expr, "legendFormat": legend, "refId": chr(65 + i), "range": True}
        for i, (expr, legend) in enumerate(queries)
    ]
    defaults = {"unit": unit, "thresholds": limits}
    if more.pop("low", 0) is not None:
        defaults["min"] = 0
    if kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value", "graphMode": "area", "textMode": "auto", "orientation": "auto", "justifyMode": "auto",
        }
    else:
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False,
            "stacking": {"mode": "normal" if more.pop("stacked", False) else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if limits is GOOD else "line"},
        }
        # Without it a panel of zeros has an axis of twentieths.
        if unit in SOFT_MAX and "min" in defaults:
            defaults["custom"]["axisSoftMax"] = SOFT_MAX[unit]
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if "decimals" in more:
        defaults["decimals"] = more.pop("decimals")
    if "words" in more:
        words = more.pop("words")
        defaults["mappings"] = [{"type": "value", "options": {
            str(value): {"text": word, "color": color, "index": value} for value, (word, color) in words.items()
        }}]
    assert not more, more
    links = [link("link", f"Runbook: {runbook}", f"${{tower}}/runbooks/{runbook}", targetBlank=True)] if runbook else []
    return {
        "type": kind, "title": title, "description": text, "datasource": SOURCE, "targets": targets, "links": links,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options, "gridPos": {"w": width, "h": height},
    }


def stat(title, queries, unit, text, **more):
    return panel("stat", title, queries, unit, text, **{"width": 4, "height": 4, **more})


def graph(title, queries, unit, text, **more):
    return panel("timeseries", title, queries, unit, text, **more)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


FLAG = {0: ("no", RED), 1: ("yes", GREEN)}
TOWER = "{{instance}}"
STARTS = 'step=~"seen|included"'
TROUBLE = (
    'step=~"proof_failed|not_submitted|refused|too_dear|unfunded|nonce_taken|given_up|reorganised|override_removed|late"'
)
ACCEPT = 'verdict="accept"'
SELF = 'route="metrics",status="ok"'


def overview():
    return [
        row("Am I safe?"),
        stat("Ready", [(m("build_ready"), TOWER)], "none", "Would answer a dispute without delay. /readyz says what is missing.",
             limits=YES, words=FLAG, runbook="not-ready"),
        stat("Alive", [(m("build_alive"), TOWER)], "none", "The process can do its work: the store takes writes and the node's loop goes round.",
             limits=YES, words=FLAG, runbook="not-ready"),
        stat("Unanswered disputes", [(m("dispute_unanswered"), TOWER)], "none", "Disputes that this tower should answer and has no override in a block for.",
             limits=steps((GREEN, None), (YELLOW, 1)), runbook="dispute-unanswered"),
        stat("Window passed", [(m("dispute_unanswered_window_ratio"), TOWER)], "percentunit", "Of the unanswered dispute that waits longest.",
             limits=steps((GREEN, None), (YELLOW, 0.25), (RED, 0.5)), runbook="dispute-unanswered"),
        stat("Blocks behind", [(m("chain_behind_blocks"), TOWER)], "none", "Between what is read and the node's newest block.",
             limits=steps((GREEN, None), (YELLOW, 2), (RED, 4)), runbook="head-stale"),
        stat("Alarms of the chain", [(f"sum by (instance) ({m('chain_alarms')})", TOWER)], "none", "What the follower asks a person to look at.",
             limits=NONE, runbook="endpoints-disagree"),
        graph("Alerts that fire", [(f'sum by (alertname) (ALERTS{{alertstate="firing",{WHERE}}}) or label_replace(vector(0), "alertname", "none", "", "")', "{{alertname}}")], "none",
              "Of the rules in deploy/prometheus/alerts.yml; each has a runbook.", width=24, height=5, runbook="not-ready"),
        row("Am I earning?"),
        stat("Won", [(m("dispute_outcomes_total", 'outcome="won"'), TOWER)], "none", "Disputes that ended with this tower as the last corrector, since the start of the process.", height=8),
        stat("Lost", [(m("dispute_outcomes_total", 'outcome="lost"'), TOWER)], "none", "Disputes with something to win, whose window closed first.", limits=NONE, runbook="dispute-unanswered", height=8),
        graph("Earned and spent", [(m("dispute_earned_wei_total") + " / 1e18", "earned " + TOWER), (m("dispute_spent_wei_total") + " / 1e18", "spent " + TOWER)],
              "ETH", "By closed disputes, since the start of the process.", width=8, height=8),
        graph("Balance", [(m("account_balance_wei") + " / 1e18", "balance " + TOWER), (m("account_least_wei") + " / 1e18", "least " + TOWER)],
              "ETH", "The account that pays for gas, and what the configuration wants it to have.", width=8, height=8, runbook="treasury-low"),
        row("What is guarded"),
        graph("Channels and backups", [(m("store_rows", 'table="channels"'), "channels " + TOWER), (m("store_rows", 'table="backups"'), "backups " + TOWER)],
              "none", "Channels that the chain named, and slots that hold a backup."),
        graph("Backups offered", [(rate("intake_backups_total"), "{{result}} " + TOWER)], "ops", "By what became of them."),
        graph("Disputes open", [(f"sum by (stage) ({m('dispute_open')})", "{{stage}}")], "none", "By where they stand.", stacked=True),
        row("The process"),
        stat("Up for", [(f"time() - {m('build_start_time_seconds')}", TOWER)], "s", "Since the tower was up.", runbook="restart-loop"),
        stat("Version", [(f"count by (version) ({m('build_info')})", "{{version}}")], "none", "Of the programs that run: how many towers have each."),
        stat("Chain", [(m("build_chain_id"), TOWER)], "none", "The chain's id."),
        stat("Starts in an hour", [(f"changes({process('start_time_seconds')}[1h])", TOWER)], "none", "More than two in a quarter of an hour is a restart loop.", limits=steps((GREEN, None), (YELLOW, 1), (RED, 3)), runbook="restart-loop"),
        stat("Threads", [(process("threads"), TOWER)], "none", "Threads of the process."),
        stat("Tasks running", [(f"sum by (instance) ({m('task_running')})", TOWER)], "none", "Named tasks that run. The tower goes on without one of the network's, and is not ready then; any other that ends stops it."),
        graph("CPU", [(f"rate({process('cpu_seconds_total')}[$__rate_interval])", TOWER)], "none", "Cores in use. A proof takes all that it may have."),
        graph("Memory", [(process("resident_memory_bytes"), "resident " + TOWER), (process("virtual_memory_bytes"), "virtual " + TOWER)], "bytes", "The circuit takes the most of it."),
        graph("File descriptors", [(process("open_fds"), "open " + TOWER), (process("max_fds"), "allowed " + TOWER)], "none", "Connections and files."),
    ]


def disputes():
    phases = ["detect", "open", "decide", "prove", "send", "include", "finalize"]
    return [
        row("Deadlines"),
        graph("Part of the window that has passed", [(m("dispute_unanswered_window_ratio"), TOWER)], "percentunit",
              "Of the unanswered dispute that waits longest. Alerts at a quarter, a half and three quarters.",
              limits=steps((GREEN, None), (YELLOW, 0.25), (RED, 0.5)), runbook="dispute-unanswered"),
        graph("Time left", [(m("dispute_unanswered_left_seconds"), TOWER)], "s", "To the nearest deadline of an unanswered dispute; zero while there is none.", runbook="dispute-unanswered"),
        graph("Unanswered", [(m("dispute_unanswered"), TOWER)], "none", "Disputes that this tower should answer and has no override in a block for.", runbook="dispute-unanswered"),
        row("The race"),
        graph("Answer, from the record to the override's block", [(quantile(q, "race_answer_seconds"), f"p{int(q * 100)} " + TOWER) for q in (0.5, 0.95)],
              "s", "What decides who wins.", runbook="prover-slow"),
        graph("Phases, median", [(f"histogram_quantile(0.5, sum by (le,phase) (rate({m('race_phase_seconds_bucket')}[$__rate_interval])))", "{{phase}}")],
              "s", "detect: block to record; open: to the opened backups; decide: to the verdict; prove; send; include: to its block; finalize."),
        graph("Phases, mean over all", [(f"sum by (phase) ({m('race_phase_seconds_sum')}) / sum by (phase) ({m('race_phase_seconds_count')})", "{{phase}}")],
              "s", "Since the start of the processes: " + ", ".join(phases) + "."),
        row("Lives"),
        graph("Steps", [(f"sum by (step) (increase({m('dispute_steps_total')}[$__rate_interval])) > 0 or sum by (step) ({m('dispute_steps_total', STARTS)}) * 0", "{{step}}")], "none",
              "Steps of disputes' lives, by the word that the journal has."),
        graph("Steps that mean trouble", [(f"sum by (step) ({m('dispute_steps_total', TROUBLE)})", "{{step}}")],
              "none", "Since the start of the processes.", runbook="outbox-stuck"),
        graph("Open disputes", [(f"sum by (stage) ({m('dispute_open')})", "{{stage}}")], "none", "By where they stand at this tower.", stacked=True),
        row("The monitor, which watches for everybody"),
        graph("Disputes that the monitor sees", [(m("monitor_disputes_open"), "open " + TOWER), (m("monitor_disputes_unanswered"), "unanswered " + TOWER)], "none",
              "Unanswered: stale by what towers hold, or nobody knows.", runbook="dispute-unanswered"),
        graph("Window passed, by the monitor", [(m("monitor_unanswered_window_ratio"), TOWER)], "percentunit", "Of the unanswered dispute that waits longest.",
              limits=steps((GREEN, None), (YELLOW, 0.25), (RED, 0.5)), runbook="dispute-unanswered"),
        graph("The monitor's alarms", [(m("monitor_alarms_total"), "{{level}} " + TOWER), (m("monitor_webhook_failures_total"), "webhook failed " + TOWER),
                                       (m("monitor_towers_answering"), "towers answering " + TOWER)], "none", "By how much of the window had passed.", runbook="dispute-unanswered"),
        row("Ends"),
        graph("Ends", [(f"sum by (outcome) ({m('dispute_outcomes_total')})", "{{outcome}}")], "none", "How disputes ended for these towers, since the start of the processes.", width=12),
        graph("Earned and spent", [(m("dispute_earned_wei_total") + " / 1e18", "earned " + TOWER), (m("dispute_spent_wei_total") + " / 1e18", "spent " + TOWER)], "ETH", "By closed disputes.", width=12),
    ]


def chain():
    place = "node {{endpoint}} of " + TOWER
    return [
        row("The chain"),
        graph("Heights", [(m("chain_head_block"), "head " + TOWER), (m("chain_read_block"), "read " + TOWER), (m("chain_finalized_block"), "final " + TOWER)],
              "none", "The newest block, what is read and durable, what is final.", low=None, runbook="head-stale"),
        graph("Age of the newest block", [(m("chain_head_age_seconds"), "old " + TOWER), (m("chain_head_ahead_seconds"), "ahead of our clock " + TOWER)],
              "s", "By this machine's clock. Far ahead means that the clock is behind.", limits=steps((GREEN, None), (RED, 60)), runbook="clock-skew"),
        graph("Behind", [(m("chain_behind_blocks"), "blocks " + TOWER), (m("chain_failures_in_row"), "failures in a row " + TOWER)], "none",
              "Blocks that are not read yet, and questions that failed since the last success.", runbook="head-stale"),
        graph("Alarms", [(m("chain_alarms"), "{{alarm}} " + TOWER)], "none", "What the follower asks a person to look at.", limits=NONE, runbook="endpoints-disagree"),
        graph("Waiting transactions", [(rate("chain_pending_seen_total"), "looked at " + TOWER), (rate("chain_pending_hints_total"), "disputes " + TOWER),
                                       (rate("chain_pending_dropped_total"), "dropped " + TOWER), (rate("chain_pending_failures_total"), "failures " + TOWER)],
              "ops", "What the watch of the pool saw before it was in a block."),
        stat("Nodes that must agree", [(m("chain_quorum_endpoints"), TOWER)], "none", "The quorum.", width=8, height=7),
        row("Each node of the chain"),
        graph("Standing", [(f"sum by (standing) ({m('endpoint_standing')})", "{{standing}}")], "none", "How many nodes stand how.", stacked=True, runbook="endpoints-disagree"),
        graph("Blocks behind the best", [(m("endpoint_lag_blocks"), place)], "none", "More than three counts as lagging.", limits=steps((GREEN, None), (RED, 4)), runbook="endpoints-disagree"),
        graph("Height", [(m("endpoint_head_block"), place)], "none", "The last height that it named.", low=None, runbook="head-stale"),
        graph("Latency", [(m("endpoint_latency_seconds"), place)], "s", "How long an answer takes, smoothed."),
        graph("Questions", [(rate("endpoint_requests_total"), place), (rate("endpoint_failures_total"), "failed, " + place)], "ops", "Put to it, and without an answer.", runbook="head-stale"),
        graph("Lies and disagreements", [(m("endpoint_lies_total"), "lies, " + place), (m("endpoint_disagreements_total"), "disagreements, " + place)], "none",
              "Answers proven wrong, and blocks that others saw otherwise.", runbook="endpoints-disagree"),
        row("Transactions"),
        graph("Obligations", [(m("submit_obligations"), "{{state}} " + TOWER)], "none", "What is to be brought to the chain, by where it is.", runbook="outbox-stuck"),
        graph("The oldest that is due", [(m("submit_oldest_due_seconds"), TOWER)], "s", "Since this process first saw it due.", limits=steps((GREEN, None), (YELLOW, 300), (RED, 900)), runbook="outbox-stuck"),
        graph("Sent", [(f"sum by (purpose) ({m('submit_transactions_total')})", "{{purpose}}"), (f"sum({m('submit_fee_bumps_total')})", "higher bids")], "none", "Transactions since the start of the processes."),
        graph("The last bid", [(m("submit_last_bid_wei") + " / 1e9", TOWER)], "gwei", "The most per unit of gas."),
        graph("The account", [(m("account_balance_wei") + " / 1e18", "balance " + TOWER), (m("account_possible_wei") + " / 1e18", "possible cost " + TOWER),
                              (m("account_in_pool_wei") + " / 1e18", "on its way " + TOWER), (m("account_shortfall_wei") + " / 1e18", "missing " + TOWER),
                              (m("account_least_wei") + " / 1e18", "least " + TOWER)], "ETH", "Ether against what it may come to need.", runbook="treasury-low"),
        graph("Trouble with sending", [(m("submit_failures_in_row"), "failures in a row " + TOWER), (m("submit_foreign_total"), "foreign transactions " + TOWER)],
              "none", "A foreign transaction means that the account's key is used elsewhere.", limits=NONE, runbook="key-used-elsewhere"),
    ]


def network():
    events = "gossip_rejected|gossip_turned_away|gossip_late|unpublished|requests_turned_away|requests_malformed|requests_abandoned|connections_refused|bans"
    quiet = f'event!~"{events}"'
    loud = f'event=~"{events}"'
    return [
        row("Am I connected?"),
        stat("Network", [(m("network_running"), TOWER)], "none", "There is a network and it answers.", limits=YES, words=FLAG, runbook="peers-low"),
        stat("Towers connected", [(m("network_towers"), TOWER)], "none", "Other towers that this one talks to.", limits=steps((RED, None), (YELLOW, 1), (GREEN, 2)), runbook="peers-low"),
        stat("Peers", [(m("network_peers"), TOWER)], "none", "Towers and nodes."),
        stat("Mesh peers, fewest", [(m("network_mesh_peers_min"), TOWER)], "none", "Of any topic that is followed.", runbook="peers-low"),
        stat("Towers listed", [(m("network_towers_listed"), TOWER)], "none", "In the directory, this one included."),
        stat("Shards kept", [(m("network_shards_kept"), TOWER)], "none", "Of 64."),
        row("Is everything held often enough?"),
        graph("Copies", [(m("network_copies_min"), "fewest " + TOWER), (m("network_copies_target"), "target " + TOWER)], "none",
              "Of the shards that are kept here: the fewest listed towers that keep one, and how many should.", runbook="replication-low"),
        graph("Slots held", [(m("admission_slots"), TOWER)], "none", "Replicas of the same shards should agree.", runbook="replication-low"),
        graph("Memory of the index", [(m("admission_index_bytes"), TOWER)], "bytes", "33 bytes a slot, and the tree."),
        graph("Reconciliation", [(f"sum by (event) ({m('network_sync_total', quiet_sync())})", "{{event}}")], "none", "Sessions and what they brought, since the start of the processes."),
        graph("Reconciliation that went wrong", [(f"sum by (event) ({m('network_sync_total', loud_sync())})", "{{event}}")], "none",
              "failed: broke off; faults: what no honest tower answers; withheld: told of and not given.", runbook="replication-low"),
        graph("Bytes of reconciliation", [(rate("network_sync_bytes_total"), TOWER)], "Bps", "Both ways."),
        row("What is said"),
        graph("Traffic", [(f"sum by (event) ({rate('network_events_total', quiet)})", "{{event}}")], "ops", "Gossip and requests that went well."),
        graph("Turned away", [(f"sum by (event) ({m('network_events_total', loud)})", "{{event}}")], "none", "At a bound, or because somebody misbehaved; since the start of the processes."),
        graph("Alerts of disputes", [(f"sum by (event) ({m('network_alerts_total')})", "{{event}}")], "none", "unseen: disputes that a tower learned from others before it read them.", runbook="head-stale"),
        graph("Envelopes, by what was decided", [(f"sum by (verdict) ({m('admission_verdicts_total')}) > 0 or sum by (verdict) ({m('admission_verdicts_total', ACCEPT)})", "{{verdict}}")], "none", "However they came."),
        graph("Work for peers", [(m("network_load_jobs"), "jobs " + TOWER), (m("admission_signatures_waiting"), "signatures that wait " + TOWER)], "none", "Bounded; more is turned away.", runbook="queue-full"),
        graph("Connections", [(f"sum by (instance,role) (libp2p_swarm_connections_established_total{{{WHERE}}})", "{{role}} " + TOWER)], "none", "Established since the start, by who dialled; counted by libp2p."),
        graph("Gossip mesh", [(f"sum by (instance) (libp2p_router_mesh_peer_counts{{{WHERE}}})", TOWER)], "none", "Mesh peers over all topics; counted by libp2p."),
        graph("Scores of mesh peers, mean", [(f"sum by (instance) (libp2p_router_score_per_mesh_sum{{{WHERE}}}) / (sum by (instance) (libp2p_router_score_per_mesh_count{{{WHERE}}}) > 0)", TOWER)], "none",
              "By the router; below zero a peer is not listened to.", low=None),
        graph("Everything that libp2p counts", [(f"sum by (__name__) ({{__name__=~\"libp2p_.+\",{WHERE}}})", "{{__name__}}")], "none", "For looking closer."),
    ]


def quiet_sync():
    return 'event!~"failed|faults|withheld|exhausted"'


def loud_sync():
    return 'event=~"failed|faults|withheld|exhausted"'


def prover():
    return [
        row("Prover"),
        stat("Warm", [(m("prover_ready"), TOWER)], "none", "The circuit is loaded and complete.", limits=YES, words=FLAG, width=6, height=7, runbook="prover-slow"),
        graph("Proof", [(quantile(q, "prover_proof_seconds"), f"p{int(q * 100)} " + TOWER) for q in (0.5, 0.95)], "s", "How long proofs took, waiting for a place included.", width=9,
              limits=steps((GREEN, None), (YELLOW, 10), (RED, 30)), runbook="prover-slow"),
        graph("Proofs", [(f"sum by (instance,result) ({m('prover_proofs_total')})", "{{result}} " + TOWER)], "none", "Since the start of the process.", width=9, runbook="prover-slow"),
        row("Store"),
        stat("Takes writes", [(m("store_healthy"), TOWER)], "none", "Whether requests to the store can succeed.", limits=YES, words=FLAG, width=6, height=7, runbook="store-slow-or-full"),
        graph("Commit", [(quantile(q, "store_commit_seconds"), f"p{int(q * 100)} " + TOWER) for q in (0.5, 0.99)], "s", "With the sync to disk. Nobody is answered before it.", width=9,
              limits=steps((GREEN, None), (YELLOW, 0.1), (RED, 0.5)), runbook="store-slow-or-full"),
        graph("Commits", [(rate("store_commits_total"), "{{result}} " + TOWER)], "ops", "By how they ended.", width=9, runbook="store-slow-or-full"),
        graph("Writes that share a commit", [(quantile(0.5, "store_commit_writes"), "p50 " + TOWER), (quantile(0.99, "store_commit_writes"), "p99 " + TOWER)], "none", "At most 1,024."),
        graph("Rows", [(m("store_rows"), "{{table}} " + TOWER)], "none", "By table."),
        graph("Disk", [(m("store_file_bytes"), "file " + TOWER), (m("store_disk_free_bytes"), "free " + TOWER), (m("store_disk_size_bytes"), "size " + TOWER)], "bytes",
              "The store's file, and the file system that holds it.", runbook="store-slow-or-full"),
        row("HTTP"),
        graph("Requests", [(f"sum by (route,status) ({rate('http_requests_total')}) > 0 or sum by (route,status) ({rate('http_requests_total', SELF)})", "{{route}} {{status}}")], "reqps", "By page and class of answer."),
        graph("Time to answer, p95", [(f"histogram_quantile(0.95, sum by (le,route) ({rate('http_request_seconds_bucket')}))", "{{route}}")], "s", "By page."),
        graph("Backups offered", [(rate("intake_backups_total"), "{{result}} " + TOWER)], "ops", "By what became of them."),
        row("Bounds"),
        graph("Queues, filled", [(f"{m('queue_depth')} / {m('queue_capacity')}", "{{queue}} " + TOWER)], "percentunit", "What waits, against what can.",
              limits=steps((GREEN, None), (YELLOW, 0.5), (RED, 0.9)), runbook="queue-full"),
        graph("Turned away by a full queue", [(m("queue_full_total"), "{{queue}} " + TOWER)], "none", "Since the start of the process.", runbook="queue-full"),
        graph("Loops", [(m("task_idle_seconds", 'task=~"node|submitter"'), "{{task}} " + TOWER)], "s", "Since the task's loop went round the last time.", limits=steps((GREEN, None), (RED, 60)), runbook="not-ready"),
    ]


def node():
    return [
        row("Is it well?"),
        stat("Hub", [(m("node_is_hub"), TOWER)], "none", "A hub, or a participant's node.", words={0: ("node", GREEN), 1: ("hub", GREEN)}),
        stat("Signs", [(m("node_signs"), TOWER)], "none", "It sees the chain well enough to sign.", limits=YES, words=FLAG, runbook="node-cannot-sign"),
        stat("Covered", [(m("node_covered"), TOWER)], "none", "Every channel's newest state is held by enough towers.", limits=YES, words=FLAG, runbook="node-not-covered"),
        stat("Last round", [(f"time() - {m('node_round_time_seconds')}", TOWER)], "s", "Since the node's loop went round the last time.", limits=steps((GREEN, None), (RED, 60)), runbook="node-not-running"),
        stat("Unanswered disputes", [(m("node_disputes_unanswered"), TOWER)], "none", "Stale ones of its own channels, with no override in a block.", limits=NONE, runbook="node-dispute-unanswered"),
        stat("Stopped", [(m("node_channels_stopped"), TOWER)], "none", "Channels that sign nothing more.", limits=steps((GREEN, None), (YELLOW, 1)), runbook="channel-stopped"),
        row("Money, in base units of the asset"),
        graph("Worth", [(m("node_worth_base_units"), TOWER)], "short", "What all channels are worth to it."),
        graph("Held and protected", [(m("node_held_base_units"), "held " + TOWER), (m("node_protected_base_units"), "protected " + TOWER)], "short", "What is not protected is lost with the disk.", runbook="node-not-covered"),
        graph("Escrow, and what a hub's pool still has", [(m("node_escrow_base_units"), "escrow " + TOWER), (m("node_pool_idle_base_units"), "pool " + TOWER)], "short", "Of live channels; the pool's is what can still be put into channels.", runbook="hub-liquidity-low"),
        row("Payments"),
        graph("Under way", [(m("node_payments_open"), TOWER)], "none", "Payments that have not ended.", runbook="payment-stuck"),
        graph("The oldest under way", [(m("node_payments_oldest_seconds"), TOWER)], "s", "Since this process first saw it. A hub pays back after an hour.", limits=steps((GREEN, None), (RED, 4500)), runbook="payment-stuck"),
        graph("In flight", [(m("node_in_flight_base_units"), TOWER)], "short", "In base units: debited, and neither credited nor paid back."),
        graph("To clear up", [(m("node_payments_unsettled"), TOWER)], "none", "Payments that a person must look at: owed, or their fate is unknown.", limits=NONE, runbook="payment-stuck"),
        graph("Dry channels", [(m("node_channels_dry"), TOWER)], "none", "Live channels in which it can pay less than a tenth of the escrow.", runbook="hub-liquidity-low"),
        graph("Turns on their way", [(m("node_turns_on_their_way"), TOWER)], "none", "Changes on their way to the disk, of 256.", limits=steps((GREEN, None), (YELLOW, 200))),
        row("Channels and backups"),
        graph("Channels", [(f"sum by (standing) ({m('node_channels')})", "{{standing}}")], "none", "As of a final block.", stacked=True),
        graph("Connected, opening, leaving", [(m("node_channels_connected"), "connected " + TOWER), (m("node_channels_opening"), "opening " + TOWER), (m("node_channels_exiting"), "leaving " + TOWER)], "none", "What the channels are about."),
        graph("Restoring", [(m("node_channels_restoring"), TOWER)], "none", "Channels whose newest state is looked for: after a loss, or compared at a start.", runbook="restore-undecided"),
        graph("Towers", [(m("node_towers"), "known " + TOWER), (m("node_towers_target"), "wanted " + TOWER)], "none", "Known, and how many should hold each state.", runbook="node-not-covered"),
        graph("Broken promises", [(m("node_receipts_broken_total"), TOWER)], "none", "Receipts of towers that did not hold what they promised.", limits=NONE, runbook="tower-broke-promise"),
        graph("Time to answer a dispute", [(m("node_disputes_unanswered_left_seconds"), TOWER)], "s", "That is left for the most urgent unanswered dispute; zero while there is none.", runbook="node-dispute-unanswered"),
        row("The chain"),
        graph("Orders", [(m("node_orders"), "{{state}} " + TOWER), (m("node_orders_unfunded"), "wait for ether " + TOWER)], "none", "What it wants of the chain.", runbook="order-failed"),
        graph("Ether", [(m("node_account_balance_wei") + " / 1e18", "balance " + TOWER), (m("node_exit_cost_wei") + " / 1e18", "an exit " + TOWER)], "ETH", "What the account has, and what leaving the dearest channel costs and locks now.", runbook="node-funds-low"),
        graph("Looks at the chain that failed", [(m("node_send_failures_in_row"), TOWER)], "none", "In a row, by the sender.", limits=steps((GREEN, None), (RED, 5)), runbook="order-failed"),
    ]


PAGES = {
    "overview": ("Overview", "Am I safe, am I earning.", overview),
    "disputes": ("Disputes and race", "Deadlines, phases and ends.", disputes),
    "network": ("Network and replication", "Peers, copies, gossip, reconciliation, admission.", network),
    "chain": ("Chain and transactions", "The nodes of the chain, obligations, the account.", chain),
    "node": ("Node and hub", "Channels, money, coverage.", node),
    "prover-store": ("Prover and store", "Proofs, commits, pages, bounds.", prover),
}


def place(panels):
    """Fills rows of 24 from left to right."""
    x = y = tallest = 0
    for number, one in enumerate(panels, start=1):
        grid = one["gridPos"]
        if x + grid["w"] > 24 or one["type"] == "row":
            x, y, tallest = 0, y + tallest, 0
        one["id"] = number
        one["gridPos"] = {"x": x, "y": y, **grid}
        x, tallest = x + grid["w"], max(tallest, grid["h"])
    return panels


def variable(name, label, query):
    return {
        "type": "query", "name": name, "label": label, "datasource": SOURCE, "query": {"query": query, "refId": name},
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "current": {"text": "All", "value": "$__all"}, "options": [], "regex": "", "hide": 0,
    }


def dashboard(uid, title, text, panels):
    return {
        "uid": f"watchtower-{uid}", "title": f"Watchtower / {title}", "description": text, "tags": ["watchtower"], "schemaVersion": 39, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser", "annotations": {"list": []},
        "links": [link("dashboards", "Watchtower", tags=["watchtower"], includeVars=True, keepTime=True)],
        "templating": {"list": [
            {"type": "datasource", "name": "source", "label": "Source", "query": "prometheus", "current": {"text": "Prometheus", "value": "prometheus"},
             "refresh": 1, "options": [], "regex": "", "hide": 0, "multi": False, "includeAll": False},
            variable("network", "Network", "label_values(process_start_time_seconds, network)"),
            variable("instance", "Tower", 'label_values(process_start_time_seconds{network=~"$network"}, instance)'),
            {"type": "textbox", "name": "tower", "label": "Runbooks of", "query": "http://127.0.0.1:8645", "hide": 0,
             "current": {"text": "http://127.0.0.1:8645", "value": "http://127.0.0.1:8645"},
             "options": [{"text": "http://127.0.0.1:8645", "value": "http://127.0.0.1:8645", "selected": True}]},
        ]},
        "panels": place(panels),
    }


def main():
    stale = []
    for uid, (title, text, page) in PAGES.items():
        wanted = json.dumps(dashboard(uid, title, text, page()), indent=1) + "\n"
        path = HERE / f"{uid}.json"
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != wanted:
                stale.append(path.name)
        else:
            path.write_text(wanted)
    if stale:
        sys.exit(f"not current: {', '.join(stale)}; run python3 dashboards/build.py")


if __name__ == "__main__":
    main()
