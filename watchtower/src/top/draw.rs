//! The picture.

use alloy_primitives::U256;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};
use serde_json::Value;

use super::View;
use crate::driver::journal::ether;
use crate::status::duration;

/// Lines of the two rows of boxes.
const BOX: u16 = 9;

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, first, second, disputes, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(BOX),
        Constraint::Length(BOX),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    title(frame, head, view);
    let halves = |area| {
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area)
    };
    let [left, right]: [Rect; 2] = halves(first);
    chain(frame, left, &view.status["chain"]);
    money(frame, right, view);
    let [left, right]: [Rect; 2] = halves(second);
    peers(frame, left, &view.status["network"]);
    coverage(frame, right, &view.status);
    open(frame, disputes, view);
    frame.render_widget(Paragraph::new(" q quits"), foot);
}

fn good(yes: bool) -> Style {
    Style::new().fg(if yes { Color::Green } else { Color::Red }).add_modifier(Modifier::BOLD)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The beginning and the end of a long name, which are what people compare.
fn short(value: &Value) -> String {
    const HEAD: usize = 18;
    const TAIL: usize = 10;
    let text = text(value);
    match (text.get(..HEAD), text.get(text.len().saturating_sub(TAIL)..)) {
        (Some(head), Some(tail)) if text.len() > HEAD + TAIL + 2 => format!("{head}..{tail}"),
        _ => text,
    }
}

fn title(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let (words, fine) = match &view.error {
        Some(error) => (format!("no answer: {error}"), false),
        None if view.status["ready"] == true => ("ready".to_owned(), true),
        None => {
            let missing = view.status["missing"].as_array().into_iter().flatten().map(text);
            (format!("not ready: {}", missing.collect::<Vec<_>>().join("; ")), false)
        }
    };
    let up = duration(view.status["uptime_s"].as_u64().unwrap_or(0));
    let title = format!(" watchtower {}  {}  up {up} ", text(&view.status["version"]), view.url);
    let block = Block::bordered().title(title);
    frame.render_widget(Paragraph::new(Line::styled(words, good(fine))).block(block), area);
}

fn facts(frame: &mut Frame<'_>, area: Rect, title: &str, facts: &[(&str, String)]) {
    let rows =
        facts.iter().map(|(name, value)| Row::new([Cell::new(*name), Cell::new(value.clone())]));
    let widths = [Constraint::Length(18), Constraint::Min(10)];
    let table = Table::new(rows, widths).block(Block::bordered().title(format!(" {title} ")));
    frame.render_widget(table, area);
}

fn chain(frame: &mut Frame<'_>, area: Rect, chain: &Value) {
    let endpoints = chain["endpoints"].as_array().map_or(0, Vec::len);
    let standing = |endpoint: &Value| text(&endpoint["standing"]).to_lowercase();
    let nodes: Vec<_> = chain["endpoints"].as_array().into_iter().flatten().map(standing).collect();
    let alarms = chain["alarms"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    facts(
        frame,
        area,
        "chain",
        &[
            ("newest block", text(&chain["head"])),
            ("read to", text(&chain["read"]["number"])),
            ("final", text(&chain["finalized"])),
            ("behind", text(&chain["behind"])),
            ("nodes", format!("{endpoints}: {}", nodes.join(", "))),
            ("alarms", if alarms.is_empty() { "none".to_owned() } else { alarms.join("; ") }),
        ],
    );
}

fn wei(value: &Value) -> String {
    value.as_str().and_then(|text| text.parse().ok()).map_or_else(|| "-".to_owned(), ether)
}

fn amount(value: &Value) -> U256 {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn money(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let transactions = &view.status["transactions"];
    let sum = |of: &dyn Fn(&Value) -> U256| {
        view.disputes.iter().fold(U256::ZERO, |sum, dispute| sum.saturating_add(of(dispute)))
    };
    let earned = sum(&|dispute| {
        let record = &dispute["record"];
        amount(&record["reward"]).saturating_add(amount(&record["fee"]))
    });
    let spent = sum(&|dispute| amount(&dispute["account"]["gas_wei"]));
    facts(
        frame,
        area,
        "earnings and account",
        &[
            ("earned", ether(earned)),
            ("spent on gas", ether(spent)),
            ("balance", wei(&transactions["balance_wei"])),
            ("possible cost", wei(&transactions["possible_cost_wei"])),
            (
                "transactions",
                format!(
                    "{} open, {} unmined",
                    text(&transactions["open"]),
                    text(&transactions["unmined"])
                ),
            ),
            ("account", short(&view.status["account"])),
        ],
    );
}

fn peers(frame: &mut Frame<'_>, area: Rect, network: &Value) {
    if network.is_null() {
        let block = Block::bordered().title(" peers ");
        frame.render_widget(Paragraph::new("this tower meets no others").block(block), area);
        return;
    }
    facts(
        frame,
        area,
        "peers",
        &[
            (
                "towers",
                format!(
                    "{} connected, {} listed",
                    text(&network["towers"]),
                    text(&network["towers_known"])
                ),
            ),
            ("peers", text(&network["peers"])),
            ("mesh, fewest", text(&network["mesh_min"])),
            (
                "reconciled",
                format!(
                    "{} of {} sessions",
                    text(&network["sync"]["complete"]),
                    text(&network["sync"]["sessions"])
                ),
            ),
            ("taken that way", text(&network["sync"]["taken"])),
            ("name", short(&network["peer"])),
        ],
    );
}

fn coverage(frame: &mut Frame<'_>, area: Rect, status: &Value) {
    let backups = &status["backups"];
    facts(
        frame,
        area,
        "coverage",
        &[
            ("slots held", text(&backups["slots"])),
            ("shards kept", format!("{} of 64", text(&status["network"]["shards"]))),
            ("stored", text(&backups["stored"])),
            ("repeated", text(&backups["repeated"])),
            ("refused", text(&backups["refused"])),
            ("turned away", text(&status["requests_turned_away"])),
        ],
    );
}

/// The step in one word, from a string or from an object with one key.
fn step(dispute: &Value) -> String {
    match &dispute["record"]["step"] {
        Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
        other => text(other),
    }
}

/// Whether this tower has something to bring and no override of its own in a block.
fn is_unanswered(dispute: &Value) -> bool {
    let wanted = ["override", "unprofitable", "unfunded", "too_late"];
    let verdict = dispute["record"]["verdict"]["verdict"].as_str();
    match step(dispute).as_str() {
        "seen" | "proving" | "proved" | "submitting" => true,
        "decrypted" | "decided" => verdict.is_some_and(|verdict| wanted.contains(&verdict)),
        _ => false,
    }
}

fn open(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let now = view.status["chain"]["time"].as_u64().unwrap_or_else(crate::clock::now_s);
    let mut open: Vec<_> =
        view.disputes.iter().filter(|dispute| dispute["closed"] != true).collect();
    let deadline =
        |dispute: &Value| dispute["record"]["facts"]["standing"]["deadline"].as_u64().unwrap_or(0);
    open.sort_by_key(|dispute| deadline(dispute));
    let ended = view.disputes.len().saturating_sub(open.len());
    let rows = open.iter().map(|dispute| {
        let standing = &dispute["record"]["facts"]["standing"];
        let waits = now < deadline(dispute) && is_unanswered(dispute);
        let mark = if waits { "! " } else { "" };
        let id = &dispute["id"];
        Row::new([
            format!("{mark}{}/{}", text(&id["channel_id"]), text(&id["epoch"])),
            step(dispute),
            text(&standing["nonce"]),
            text(&dispute["record"]["verdict"]["nonce"]),
            duration(deadline(dispute).saturating_sub(now)),
            text(&dispute["record"]["verdict"]["verdict"]).replace('_', " "),
        ])
        .style(if waits { good(false) } else { Style::new() })
    });
    let widths = [12, 14, 10, 10, 16, 20].map(Constraint::Length);
    let head = Row::new(["dispute", "phase", "standing", "held", "time left", "verdict"])
        .style(Style::new().add_modifier(Modifier::BOLD));
    let title = format!(" disputes: {} open, {ended} closed ", open.len());
    if open.is_empty() {
        let block = Block::bordered().title(title);
        frame.render_widget(Paragraph::new("none is open").block(block), area);
        return;
    }
    frame.render_widget(
        Table::new(rows, widths).header(head).block(Block::bordered().title(title)),
        area,
    );
}
