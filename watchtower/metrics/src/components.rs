//! The metrics, one struct a component.

use crate::builder::{Builder, MetricsError, Unit};
use crate::family::{By, By2, Counter, Gauge, Histogram, Total};
use crate::label::{
    Alarm, AlertEvent, Endpoint, Judgement, Level, Life, NetworkEvent, Offer, Outcome, Phase,
    ProofEnd, Purpose, Queue, Release, Route, Standing, Status, Step, StoreEnd, SyncEvent, Table,
    Task, Waiting,
};

/// Upper bounds for what takes milliseconds: a commit, a request.
const MILLISECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Upper bounds for a proof: 0.3 s on many cores, 2 s on two, worse when the machine is busy.
const PROOFS: &[f64] =
    &[0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0];

/// Upper bounds for a phase of an answer: from a decryption to finality, a quarter of an hour and more.
const PHASES: &[f64] =
    &[0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0];

/// Upper bounds for the changes of one commit; at most 1,024 jobs share one.
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

macro_rules! buckets {
    () => {
        &[]
    };
    ($buckets:expr) => {
        $buckets
    };
}

macro_rules! component {
    ($(#[doc = $about:literal])+ $name:ident = $component:literal {
        $( $(#[doc = $help:literal])+ $field:ident: $kind:ty = $metric:literal, $unit:ident $(, $buckets:expr)? ; )+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub struct $name { $( $(#[doc = $help])+ pub $field: $kind, )+ }

        impl $name {
            pub(crate) fn register(builder: &mut Builder) -> Result<Self, MetricsError> {
                Ok(Self { $(
                    $field: builder.add(
                        (concat!("watchtower_", $component, "_", $metric), concat!($($help),+)),
                        Unit::$unit,
                        buckets!($($buckets)?),
                    )?,
                )+ })
            }
        }
    };
}

component! {
    /// What runs.
    Build = "build" {
        /// One, with the version of the program that runs.
        info: By<Release, Gauge> = "info", Flag;
        /// The chain's id.
        chain_id: Gauge = "chain_id", Count;
        /// Whether the tower would answer a dispute without delay: what /readyz says.
        ready: Gauge = "ready", Flag;
        /// Whether the process can do its work at all: what /healthz says.
        alive: Gauge = "alive", Flag;
        /// Seconds since 1970 when the tower was up.
        started: Gauge = "start_time_seconds", Time;
    }
}

component! {
    /// The chain as the follower sees it.
    Chain = "chain" {
        /// Height of the node's newest block.
        head: Gauge = "head_block", Blocks;
        /// Height up to which everything is read and durable.
        read: Gauge = "read_block", Blocks;
        /// Height up to which the chain is final.
        finalized: Gauge = "finalized_block", Blocks;
        /// Blocks between what is read and the newest block.
        behind: Gauge = "behind_blocks", Blocks;
        /// How old the newest block is by this machine's clock.
        head_age: Gauge = "head_age_seconds", Seconds;
        /// How far the newest block is ahead of this machine's clock; more than a few seconds means that the clock is behind.
        head_ahead: Gauge = "head_ahead_seconds", Seconds;
        /// Failed questions since the last success.
        failures: Gauge = "failures_in_row", Count;
        /// What a person should look at, by kind.
        alarms: By<Alarm, Gauge> = "alarms", Count;
        /// How many nodes must agree on a block.
        quorum: Gauge = "quorum_endpoints", Count;
        /// Waiting transactions that were looked at.
        pending_seen: Counter = "pending_seen_total", Count;
        /// Disputes that were seen before they were in a block.
        pending_hints: Counter = "pending_hints_total", Count;
        /// Such disputes that were dropped because the queue was full.
        pending_dropped: Counter = "pending_dropped_total", Count;
        /// Times that the node did not show its pool.
        pending_failures: Counter = "pending_failures_total", Count;
    }
}

component! {
    /// Each node of the chain, by its place in the configuration.
    Endpoints = "endpoint" {
        /// One for how the node stands now, zero for all else.
        standing: By2<Endpoint, Standing, Gauge> = "standing", Flag;
        /// The last height that it named as its newest.
        head: By<Endpoint, Gauge> = "head_block", Blocks;
        /// Blocks behind the best node.
        lag: By<Endpoint, Gauge> = "lag_blocks", Blocks;
        /// How long an answer takes, smoothed.
        latency: By<Endpoint, Gauge> = "latency_seconds", Seconds;
        /// Questions put to it.
        requests: By<Endpoint, Counter> = "requests_total", Count;
        /// Questions without an answer.
        failures: By<Endpoint, Counter> = "failures_total", Count;
        /// Answers that were proven wrong.
        lies: By<Endpoint, Counter> = "lies_total", Count;
        /// Times that it saw another block at a height than the others did.
        disagreements: By<Endpoint, Counter> = "disagreements_total", Count;
    }
}

component! {
    /// Disputes.
    Dispute = "dispute" {
        /// Steps of disputes' lives, by the word that the journal has.
        steps: By<Step, Counter> = "steps_total", Count;
        /// Disputes that are not closed, by where they stand at this tower.
        open: By<Life, Gauge> = "open", Count;
        /// Disputes that should be answered by this tower and have no override in a block.
        unanswered: Gauge = "unanswered", Count;
        /// Of the one that waits longest: the part of its window that has passed. Zero while there is none.
        unanswered_part: Gauge = "unanswered_window_ratio", Ratio;
        /// Of the most urgent one: chain seconds to its deadline. Zero while there is none.
        unanswered_left: Gauge = "unanswered_left_seconds", Seconds;
        /// How disputes ended for this tower.
        outcomes: By<Outcome, Counter> = "outcomes_total", Count;
        /// What closed disputes earned.
        earned: Total = "earned_wei_total", Wei;
        /// What their transactions cost.
        spent: Total = "spent_wei_total", Wei;
    }
}

component! {
    /// How long an answer takes, from the block that holds the dispute to the block that holds the override, and beyond.
    Race = "race" {
        /// How long each phase took. detect: the dispute's block to the record of it; open: to the opened backups; decide: to the
        /// verdict; prove: to the proof; send: to the first transaction; include: to its block; finalize: to its finality.
        phases: By<Phase, Histogram> = "phase_seconds", Seconds, PHASES;
        /// From the record of a dispute to the block that holds this tower's override.
        answer: Histogram = "answer_seconds", Seconds, PHASES;
    }
}

component! {
    /// Proofs.
    Prover = "prover" {
        /// Whether the circuit is loaded and complete.
        ready: Gauge = "ready", Flag;
        /// How long proofs took, waiting for a place included.
        proof: Histogram = "proof_seconds", Seconds, PROOFS;
        /// Proofs, by how they ended.
        proofs: By<ProofEnd, Counter> = "proofs_total", Count;
    }
}

component! {
    /// Transactions.
    Submit = "submit" {
        /// Obligations, by where they are.
        obligations: By<Waiting, Gauge> = "obligations", Count;
        /// How long the oldest obligation that is due waits, since this process first saw it due.
        oldest: Gauge = "oldest_due_seconds", Seconds;
        /// Transactions that went out, by purpose.
        sent: By<Purpose, Counter> = "transactions_total", Count;
        /// Transactions that replaced one with a lower bid.
        bumps: Counter = "fee_bumps_total", Count;
        /// The last bid for a unit of gas.
        bid: Gauge = "last_bid_wei", Wei;
        /// Transactions of the account that were none of ours: its key is used elsewhere.
        foreign: Counter = "foreign_total", Count;
        /// Rounds in a row that could not look at the chain.
        failures: Gauge = "failures_in_row", Count;
    }
}

component! {
    /// The account's ether against what it may come to need.
    Account = "account" {
        /// What there is.
        balance: Gauge = "balance_wei", Wei;
        /// The most that transactions on their way can cost.
        in_pool: Gauge = "in_pool_wei", Wei;
        /// The most that all open obligations can still cost.
        possible: Gauge = "possible_wei", Wei;
        /// What is missing if everything costs the most that it may.
        shortfall: Gauge = "shortfall_wei", Wei;
        /// What the configuration wants there to be at least.
        least: Gauge = "least_wei", Wei;
    }
}

component! {
    /// The store.
    Storage = "store" {
        /// Whether it takes writes.
        healthy: Gauge = "healthy", Flag;
        /// How long commits took, with the sync.
        commit: Histogram = "commit_seconds", Seconds, MILLISECONDS;
        /// How many writes shared a commit.
        batch: Histogram = "commit_writes", Count, BATCHES;
        /// Commits, by how they ended.
        commits: By<StoreEnd, Counter> = "commits_total", Count;
        /// Rows, by table.
        rows: By<Table, Gauge> = "rows", Count;
        /// The size of the file.
        file: Gauge = "file_bytes", Bytes;
        /// What the file system has left for this user.
        disk_free: Gauge = "disk_free_bytes", Bytes;
        /// The size of the file system.
        disk_size: Gauge = "disk_size_bytes", Bytes;
    }
}

component! {
    /// Backups that clients bring.
    Intake = "intake" {
        /// Backups that were offered, by what became of them.
        backups: By<Offer, Counter> = "backups_total", Count;
    }
}

component! {
    /// What decides about every envelope, however it came.
    Admission = "admission" {
        /// Envelopes, by what was decided; evidence: two at one nonce.
        verdicts: By<Judgement, Counter> = "verdicts_total", Count;
        /// Envelopes whose signature waits to be checked.
        waiting: Gauge = "signatures_waiting", Count;
        /// Slots that are held.
        slots: Gauge = "slots", Count;
        /// Memory that the index of them takes.
        index: Gauge = "index_bytes", Bytes;
    }
}

component! {
    /// The network between towers.
    Network = "network" {
        /// Whether there is a network and it answers.
        running: Gauge = "running", Flag;
        /// Connected peers.
        peers: Gauge = "peers", Count;
        /// Connected towers.
        towers: Gauge = "towers", Count;
        /// Towers that are listed, this one included.
        listed: Gauge = "towers_listed", Count;
        /// The fewest mesh peers of any topic that is followed.
        mesh_min: Gauge = "mesh_peers_min", Count;
        /// Jobs of peers that wait or run.
        load: Gauge = "load_jobs", Count;
        /// Shards that are kept, of 64.
        shards: Gauge = "shards_kept", Count;
        /// Of the shards that are kept here: the fewest listed towers, this one included, that keep one.
        copies_min: Gauge = "copies_min", Count;
        /// How many towers should keep a shard.
        copies_target: Gauge = "copies_target", Count;
        /// What happened, by kind.
        events: By<NetworkEvent, Counter> = "events_total", Count;
        /// Alerts of disputes, by what became of them. unseen: disputes that this tower had not read yet.
        alerts: By<AlertEvent, Counter> = "alerts_total", Count;
        /// Reconciliation with other towers, by kind.
        sync: By<SyncEvent, Counter> = "sync_total", Count;
        /// Bytes of reconciliation, both ways.
        sync_bytes: Counter = "sync_bytes_total", Bytes;
    }
}

component! {
    /// The HTTP server.
    Http = "http" {
        /// Requests, by page and by class of answer.
        requests: By2<Route, Status, Counter> = "requests_total", Count;
        /// How long answers took, by page.
        latency: By<Route, Histogram> = "request_seconds", Seconds, MILLISECONDS;
    }
}

component! {
    /// The independent monitor.
    Monitor = "monitor" {
        /// Disputes that are open.
        open: Gauge = "disputes_open", Count;
        /// Disputes that somebody should answer, as far as the monitor knows; not those whose window is over.
        unanswered: Gauge = "disputes_unanswered", Count;
        /// Of the one that waits longest: the part of its window that has passed. Zero while there is none.
        part: Gauge = "unanswered_window_ratio", Ratio;
        /// Alarms, by how much of the window had passed.
        alarms: By<Level, Counter> = "alarms_total", Count;
        /// Towers that answered when they were asked last.
        towers: Gauge = "towers_answering", Count;
        /// Alarms that the webhook did not take.
        webhook_failures: Counter = "webhook_failures_total", Count;
    }
}

component! {
    /// Queues against their bounds.
    Queues = "queue" {
        /// What waits.
        depth: By<Queue, Gauge> = "depth", Count;
        /// How much can wait.
        capacity: By<Queue, Gauge> = "capacity", Count;
        /// What found a full queue and was turned away; zero for queues whose senders wait.
        full: By<Queue, Counter> = "full_total", Count;
    }
}

component! {
    /// The tasks.
    Tasks = "task" {
        /// Whether the task runs; one of the network's may end by itself and the tower goes on without it, any other stops the tower.
        running: By<Task, Gauge> = "running", Flag;
        /// Seconds since the task's loop went round the last time, for those that say so.
        idle: By<Task, Gauge> = "idle_seconds", Seconds;
    }
}
