//! Pages for people: `GET /` shows how the tower fares, `GET /runbooks/{name}` what to do about an alert.
//!
//! Plain HTML made by the tower: nothing is loaded from elsewhere, nothing runs in the browser, the page asks for itself again
//! every few seconds. The browser is told to allow nothing else.
//!
//! **Invariant:** text from outside (a node's answer, an error) reaches the page escaped.

mod html;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use protocol::U256;
use protocol::vnode::dispute::Verdict;
use serde_json::Value;
use store::DisputeRow;

use crate::driver::journal::ether;
use crate::http::{Refusal, Shared, health};
use crate::observe::is_unanswered;
use html::{Page, Tone};

pub use metrics::RUNBOOKS;

/// Disputes on the page; the list at /v1/disputes has more.
const DISPUTES_SHOWN: usize = 50;

/// Rows of the store that are looked at for them.
const DISPUTES_READ: usize = 1_000;

/// Nothing but the page's own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// How often a page asks for itself again.
const REFRESH: &str = "5";

fn respond(page: String, refresh: bool) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let mut response = (headers, page).into_response();
    if refresh {
        let value = header::HeaderValue::from_static(REFRESH);
        response.headers_mut().insert(HeaderName::from_static("refresh"), value);
    }
    response
}

/// `GET /`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let status = health::figures(&shared).await?;
    let disputes = shared.store.disputes(DISPUTES_READ)?;
    let now_s =
        shared.follower.borrow().tip.map_or_else(crate::clock::now_s, |tip| tip.head.timestamp);
    let mut page = Page::new("Watchtower");
    summary(&mut page, &status);
    open_disputes(&mut page, &disputes, now_s);
    chain(&mut page, &status["chain"]);
    network(&mut page, &status["network"]);
    money(&mut page, &status, &disputes);
    holdings(&mut page, &shared, &status);
    Ok(respond(page.finish(), true))
}

/// `GET /runbooks/{name}`: the text of a runbook.
pub(crate) async fn runbook(Path(name): Path<String>) -> Result<Response, Refusal> {
    let name = name.strip_suffix(".md").unwrap_or(&name);
    let known = RUNBOOKS.iter().find(|(known, _)| *known == name).ok_or(Refusal::NoSuchPage)?;
    let mut page = Page::new(known.0);
    page.text(known.1);
    Ok(respond(page.finish(), false))
}

fn summary(page: &mut Page, status: &Value) {
    let ready = status["ready"].as_bool().unwrap_or(false);
    let missing: Vec<_> =
        status["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if ready {
        page.banner(Tone::Good, "Ready: a dispute would be answered without delay.");
    } else {
        page.banner(Tone::Bad, &format!("Not ready: {}.", missing.join("; ")));
    }
    page.facts(
        "Tower",
        &[
            ("version", text(&status["version"])),
            ("account", text(&status["account"])),
            ("vault", text(&status["vipe"])),
            ("chain id", text(&status["chain_id"])),
            ("up for", duration(status["uptime_s"].as_u64().unwrap_or(0))),
        ],
    );
}

fn open_disputes(page: &mut Page, disputes: &[DisputeRow], now_s: u64) {
    let mut open: Vec<_> = disputes.iter().filter(|row| !row.closed).collect();
    open.sort_by_key(|row| row.record.facts.standing.deadline);
    let rows: Vec<_> = open
        .iter()
        .take(DISPUTES_SHOWN)
        .map(|row| {
            let standing = row.record.facts.standing;
            let left = standing.deadline.saturating_sub(now_s);
            let verdict = row.record.verdict.as_ref();
            let waits = left > 0 && is_unanswered(row.record.step, verdict);
            let tone = if waits { Tone::Bad } else { Tone::Plain };
            let cells = vec![
                row.id.to_string(),
                step_word(row),
                verdict.map_or_else(|| "none yet".to_owned(), verdict_words),
                standing.nonce.to_string(),
                row.record.held.map_or_else(|| "none".to_owned(), |held| held.nonce.to_string()),
                duration(left),
                ether(row.record.reward),
            ];
            (tone, cells)
        })
        .collect();
    page.table(
        "Open disputes",
        &[
            "dispute",
            "step",
            "verdict",
            "standing nonce",
            "held nonce",
            "time left",
            "earned so far",
        ],
        &rows,
        "No dispute is open.",
    );
}

/// The verdict as people read it: `not_exploitable` is "not exploitable".
fn verdict_words(verdict: &Verdict) -> String {
    let json = serde_json::to_value(verdict).unwrap_or_default();
    text(&json["verdict"]).replace('_', " ")
}

/// The step in one word.
pub(crate) fn step_word(row: &DisputeRow) -> String {
    let text = format!("{:?}", row.record.step).to_lowercase();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn chain(page: &mut Page, chain: &Value) {
    let alarms: Vec<_> =
        chain["alarms"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for alarm in alarms {
        page.banner(Tone::Bad, alarm);
    }
    page.facts(
        "Chain",
        &[
            ("newest block", text(&chain["head"])),
            ("read to", text(&chain["read"]["number"])),
            ("final", text(&chain["finalized"])),
            ("behind", text(&chain["behind"])),
            ("nodes that must agree", text(&chain["quorum"])),
        ],
    );
    let rows: Vec<_> = chain["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|endpoint| {
            let tone = if endpoint["standing"] == "Good" { Tone::Plain } else { Tone::Bad };
            let cells =
                ["endpoint", "standing", "head", "lag", "latency_ms", "failures", "last_trouble"]
                    .map(|key| text(&endpoint[key]).replace("Good", "good"))
                    .to_vec();
            (tone, cells)
        })
        .collect();
    page.table(
        "Nodes of the chain",
        &["node", "standing", "height", "behind", "ms", "failures", "last trouble"],
        &rows,
        "No node was asked yet.",
    );
}

fn network(page: &mut Page, network: &Value) {
    if network.is_null() {
        page.facts("Network", &[("towers", "this tower meets no others".to_owned())]);
        return;
    }
    if network["running"] != true {
        page.banner(Tone::Bad, "The network between towers does not answer.");
        return;
    }
    let list = |value: &Value| {
        let places: Vec<_> = value.as_array().into_iter().flatten().map(text).collect();
        if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") }
    };
    let of = |some: &Value, all: &Value| format!("{} of {}", text(some), text(all));
    page.facts(
        "Network",
        &[
            ("name", text(&network["peer"])),
            ("listens at", list(&network["listening"])),
            ("others reach it at", list(&network["reachable_at"])),
            ("other towers connected", text(&network["towers"])),
            ("towers listed, with this one", text(&network["towers_known"])),
            ("peers, nodes included", text(&network["peers"])),
            ("mesh peers, fewest of a topic", text(&network["mesh_min"])),
            ("shards kept", of(&network["shards"], &64.into())),
            (
                "reconciliations that were complete",
                of(&network["sync"]["complete"], &network["sync"]["sessions"]),
            ),
        ],
    );
}

fn money(page: &mut Page, status: &Value, disputes: &[DisputeRow]) {
    let sum = |of: &dyn Fn(&DisputeRow) -> U256| {
        disputes.iter().fold(U256::ZERO, |sum, row| sum.saturating_add(of(row)))
    };
    let earned = sum(&|row| row.record.reward.saturating_add(row.record.fee));
    let spent = sum(&|row| row.account.gas_wei);
    let wei = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.parse().ok())
            .map_or_else(|| "unknown".to_owned(), ether)
    };
    let transactions = &status["transactions"];
    page.facts(
        "Money",
        &[
            ("earned", ether(earned)),
            ("spent on gas", ether(spent)),
            ("balance", wei(&transactions["balance_wei"])),
            ("open transactions may cost", wei(&transactions["possible_cost_wei"])),
            ("open transactions", text(&transactions["open"])),
            ("wait for room", text(&transactions["waiting"])),
        ],
    );
}

fn holdings(page: &mut Page, shared: &Shared, status: &Value) {
    let sizes = shared.store.sizes().unwrap_or_default();
    page.facts(
        "Guarded",
        &[
            ("channels", sizes.channels.to_string()),
            ("backups held", sizes.backups.to_string()),
            ("disputes in all", sizes.disputes.to_string()),
            ("backups taken since the start", text(&status["backups"]["stored"])),
            ("backups refused", text(&status["backups"]["refused"])),
        ],
    );
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Seconds, for people: the two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds % 86_400 / 3_600);
    let (minutes, rest) = (seconds % 3_600 / 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_700, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ];
        for (seconds, shown) in cases {
            assert_eq!(duration(seconds), shown);
        }
    }

    #[test]
    fn every_runbook_says_what_it_means_what_to_look_at_and_what_to_do() {
        for (name, page) in RUNBOOKS {
            for part in ["# ", "\n## What it means\n", "\n## Look\n", "\n## Do\n"] {
                assert!(page.contains(part), "{name} has no {part:?}");
            }
        }
    }
}
