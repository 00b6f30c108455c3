//! How the tower fares: alive, ready, and in figures.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chain::follower::Alarm;
use chain::provider::EndpointScore;
use serde_json::{Value, json};

use super::Shared;
use super::refusal::Refusal;

/// Blocks that the tower may be behind its node and still be ready.
const BEHIND_MAX: u64 = 3;

/// Failed questions in a row after which the node counts as gone.
const FAILURES_MAX: u32 = 5;

/// Why the tower is not ready; empty when it is.
fn missing(shared: &Shared) -> Vec<String> {
    let mut missing = Vec::new();
    if let Err(error) = shared.store.health() {
        missing.push(error.to_string());
    }
    let follower = shared.follower.borrow();
    if follower.tip.is_none() {
        missing.push("the chain has not been read yet".to_owned());
    }
    if follower.behind > BEHIND_MAX {
        missing.push(format!("{} blocks behind the node", follower.behind));
    }
    if follower.failures >= FAILURES_MAX {
        let reason = follower.last_error.as_ref().map(ToString::to_string).unwrap_or_default();
        missing.push(format!("the node does not answer: {reason}"));
    }
    let halted = |alarm: &&Alarm| matches!(alarm, Alarm::Halted(_) | Alarm::HeadOld { .. });
    missing.extend(follower.alarms.iter().filter(halted).map(ToString::to_string));
    let submitter = shared.submitter.borrow();
    if let Some(spend) = submitter.foreign {
        let where_ = if spend.mined { "in a block" } else { "in the node's pool" };
        missing.push(format!(
            "the account's key is used elsewhere: a transaction with nonce {} {where_} is none of ours",
            spend.nonce
        ));
    }
    if submitter.low_balance {
        missing.push("the account has less ether than account.balance_min_gwei".to_owned());
    } else if submitter.unfunded > 0 {
        missing.push(format!("{} transactions wait for ether", submitter.unfunded));
    }
    drop(submitter);
    let ended = shared.ended.borrow();
    missing.extend(ended.iter().map(|task| {
        format!("the task {task} has ended by itself and the tower goes on without it: restart the tower, and report it with the log")
    }));
    drop(ended);
    if let Some(link) = &shared.network {
        let towers = link.handle().towers().len();
        if towers < shared.peers_min {
            missing.push(format!(
                "{towers} other towers are connected, {} are wanted",
                shared.peers_min
            ));
        }
    }
    if !*shared.prover_ready.borrow() {
        missing.push("the prover is warming up".to_owned());
    }
    missing
}

impl Shared {
    /// Whether a dispute would be answered without delay.
    pub(crate) fn is_ready(&self) -> bool {
        missing(self).is_empty()
    }

    /// Whether the process can do its work at all.
    pub(crate) fn is_alive(&self) -> bool {
        ailing(self).is_none()
    }
}

/// Why the process cannot do its work, if it cannot: a restart, or a person, must help.
fn ailing(shared: &Shared) -> Option<String> {
    if let Err(error) = shared.store.health() {
        return Some(error.to_string());
    }
    let idle = shared.recorder.hangs()?;
    Some(format!("the node's loop has not gone round for {} s", idle.as_secs()))
}

/// `GET /healthz`: 200 while the process can do its work at all.
pub(crate) async fn alive(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    match ailing(&shared) {
        None => (StatusCode::OK, Json(json!({"alive": true}))),
        Some(reason) => {
            let body = json!({"alive": false, "reason": reason});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}

/// `GET /readyz`: 200 once the tower would answer a dispute without delay.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let missing = missing(&shared);
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": missing.is_empty(), "missing": missing})))
}

/// One node of the chain, without its key.
fn endpoint(score: &EndpointScore) -> Value {
    json!({
        "endpoint": score.endpoint,
        "standing": format!("{:?}", score.standing),
        "requests": score.requests,
        "failures": score.failures,
        "lies": score.lies,
        "disagreements": score.disagreements,
        "latency_ms": score.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        "head": score.head,
        "lag": score.lag,
        "last_trouble": score.last_trouble,
    })
}

/// `GET /v1/status`.
pub(crate) async fn status(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Refusal> {
    figures(&shared).await.map(Json)
}

/// What `/v1/status` shows.
pub(crate) async fn figures(shared: &Shared) -> Result<Value, Refusal> {
    let facts = shared.store.facts();
    let cursor =
        shared.store.cursor()?.map(|cursor| json!({"number": cursor.number, "hash": cursor.hash}));
    let chain = {
        let follower = shared.follower.borrow();
        let alarms: Vec<_> = follower.alarms.iter().map(ToString::to_string).collect();
        json!({
            "head": follower.tip.map(|tip| tip.head.id.number),
            "finalized": follower.tip.and_then(|tip| tip.finalized),
            "time": follower.tip.map(|tip| tip.head.timestamp),
            "read": cursor,
            "behind": follower.behind,
            "failures": follower.failures,
            "alarms": alarms,
            "quorum": follower.scoreboard.quorum,
            "endpoints": follower.scoreboard.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        })
    };
    let missing = missing(shared);
    let network = match &shared.network {
        Some(network) => network.report().await,
        None => Value::Null,
    };
    let (slots, index_bytes) = shared.replica.size();
    let submitter = shared.submitter.borrow().clone();
    let counters = &shared.counters;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "chain_id": facts.chain_id,
        "vipe": facts.vipe,
        "domain": facts.domain(),
        "account": facts.account,
        "uptime_s": shared.started.elapsed().as_secs(),
        "ready": missing.is_empty(),
        "missing": missing,
        "chain": chain,
        "pending": shared.foresight.status(),
        "transactions": {
            "open": submitter.open,
            "unmined": submitter.unmined,
            "waiting": submitter.backlog.count,
            "without_ether": submitter.unfunded,
            "foreign": submitter.foreign_total,
            "balance_wei": submitter.treasury.map(|treasury| treasury.balance.to_string()),
            "possible_cost_wei": submitter.treasury.map(|treasury| treasury.possible.to_string()),
        },
        "backups": {
            "stored": count(&counters.stored),
            "repeated": count(&counters.repeated),
            "refused": count(&counters.refused),
            "slots": slots,
            "index_bytes": index_bytes,
            "verdicts": shared.admission.counts().snapshot(),
            "signatures_waiting": shared.admission.pending(),
        },
        "store": {
            "compared": shared.store.scrubbed().map(|scrubbed| scrubbed.compared),
            "damaged": shared.store.scrubbed().map_or(0, |scrubbed| scrubbed.damaged),
        },
        "network": network,
        "requests_turned_away": count(&counters.turned_away),
    }))
}
