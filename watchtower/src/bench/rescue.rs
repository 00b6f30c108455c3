//! A whole rescue, played with every part real: how long the tower takes from the event, and what its transactions cost.
//!
//! The figures are the tower's own, from the journal of the dispute, so they begin when it reads the event: how long a block takes to
//! come, and how often the tower looks, are settings. The tower is a process of its own with a store on this disk.

use std::io::Write as _;
use std::time::Duration;

use eyre::{ContextCompat as _, WrapErr as _};
use serde_json::Value;

use super::Tell;

/// The page that a test of the prover holds to what it measures.
const GAS_PAGE: &str = include_str!("../../../docs/gas.md");

/// What one rescue took and cost.
#[derive(Debug)]
struct Rescue {
    to_decided: Duration,
    to_proved: Duration,
    /// From the event to the override's transaction, less the proof.
    to_sent: Duration,
    /// Transaction, call data bytes, gas.
    transactions: Vec<(String, Option<u64>, u64)>,
}

/// Plays the story `times` times.
pub(super) fn run(times: u32, tell: &mut Tell<'_>) -> eyre::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rescues = (0..times)
        .map(|_| read(&runtime.block_on(crate::demo::played())?))
        .collect::<eyre::Result<Vec<Rescue>>>()?;
    let Some(first) = rescues.first() else { return Ok(()) };
    let all = |time: fn(&Rescue) -> Duration| rescues.iter().map(time).collect::<Vec<_>>();
    tell("rescue: event to decided", &mut all(|rescue| rescue.to_decided))?;
    tell("rescue: event to proof ready", &mut all(|rescue| rescue.to_proved))?;
    tell("rescue: event to transaction sent, less the proof", &mut all(|rescue| rescue.to_sent))?;
    let mut out = std::io::stdout();
    for (what, bytes, gas) in &first.transactions {
        let bytes = bytes.map_or(String::new(), |bytes| format!("  ({bytes} bytes of call data)"));
        writeln!(out, "{:<48}{gas:>14}{bytes}", format!("gas: {what}"))?;
    }
    Ok(())
}

/// The figures in the tower's record of a dispute.
fn read(record: &Value) -> eyre::Result<Rescue> {
    let journal = record.get("journal").and_then(Value::as_array).wrap_err("no journal")?;
    let text = |row: &Value, field: &str| {
        row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let number = |row: &Value, field: &str| row.get(field).and_then(Value::as_u64);
    let first = |step: &str| {
        let row = journal.iter().find(|row| text(row, "step") == step);
        row.wrap_err_with(|| format!("the journal has no step {step}"))
    };
    let at = |step: &str| -> eyre::Result<Duration> {
        Ok(Duration::from_millis(number(first(step)?, "at_ms").wrap_err("no time")?))
    };
    let seen = at("seen")?;
    let since = |step: &str| -> eyre::Result<Duration> { Ok(at(step)?.saturating_sub(seen)) };
    let proving = number(first("proved")?, "took_us").wrap_err("no time of the proof")?;
    let calls: Vec<&Value> = journal.iter().filter(|row| text(row, "step") == "queued").collect();
    let transactions = journal
        .iter()
        .filter(|row| text(row, "step") == "final")
        .filter_map(|row| {
            let purpose = text(row, "message").split(" is ").next()?.to_owned();
            let call = calls.iter().find(|call| text(call, "message").starts_with(&purpose));
            let bytes = call.and_then(|call| number(call, "bytes"));
            let name = purpose.split(" with ").next().unwrap_or_default().to_owned();
            Some((name, bytes, number(row, "gas")?))
        })
        .collect();
    Ok(Rescue {
        to_decided: since("decided")?,
        to_proved: since("proved")?,
        to_sent: since("sent")?.saturating_sub(Duration::from_micros(proving)),
        transactions,
    })
}

/// Where the gas of a verification goes. It is the same on every machine, so it is not measured here but by the test that holds
/// the page.
pub(super) fn gas_by_component() -> eyre::Result<()> {
    let table = GAS_PAGE.split("<!-- verifier: begin -->").nth(1).wrap_err("no table of gas")?;
    let table = table.split("<!-- verifier: end -->").next().unwrap_or_default();
    let mut out = std::io::stdout();
    writeln!(out, "\ngas of the verification, by component (docs/gas.md)")?;
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains(',')) {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().replace("**", ""));
        let (what, gas) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        writeln!(out, "{what:<72}{gas:>12}").wrap_err("cannot write")?;
    }
    Ok(())
}
