//! What a person (or a machine) sees of the demo: chapters, steps with their facts, progress, a closing table.
//!
//! Three forms of one story. On a terminal: colours and progress bars. Elsewhere: the same lines, plain. With `--json`: one JSON
//! object a line, for machines.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

/// How the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Colours and progress bars, for a person at a terminal.
    Pretty,
    /// The same lines without colour or movement, for a file or a pipe.
    Plain,
    /// One JSON object a line.
    Json,
    /// Nothing: the story is played for its figures.
    Silent,
}

impl Form {
    /// The form for this process's standard output.
    #[must_use]
    pub(super) fn detect(json: bool) -> Self {
        if json {
            Self::Json
        } else if io::stdout().is_terminal() {
            Self::Pretty
        } else {
            Self::Plain
        }
    }
}

/// One named fact of a step, for people (`text`) and for machines (`value`).
#[derive(Debug, Clone)]
pub(super) struct Fact {
    name: &'static str,
    text: String,
    value: Value,
}

impl Fact {
    /// A fact that reads the same for both.
    pub(super) fn new(name: &'static str, value: impl Into<Value> + ToString) -> Self {
        Self { name, text: value.to_string(), value: value.into() }
    }

    /// A count, shown with thousands separated.
    #[must_use]
    pub(super) fn count(name: &'static str, count: u64) -> Self {
        Self { name, text: grouped(u128::from(count)), value: count.into() }
    }

    /// A duration, in seconds for machines.
    #[must_use]
    pub(super) fn took(name: &'static str, took: Duration) -> Self {
        Self { name, text: seconds(took), value: took.as_secs_f64().into() }
    }

    /// An amount of base units: a decimal string for machines, so that no digit is lost.
    #[must_use]
    pub(super) fn amount(name: &'static str, text: String, base_units: &impl ToString) -> Self {
        Self { name, text, value: base_units.to_string().into() }
    }
}

/// Tells the story as it happens.
#[derive(Debug)]
pub(super) struct Timeline {
    form: Form,
    began: Instant,
}

/// Columns that the actor's name takes.
const ACTOR_WIDTH: usize = 13;

impl Timeline {
    /// Starts the clock.
    #[must_use]
    pub(super) fn new(form: Form) -> Self {
        Self { form, began: Instant::now() }
    }

    /// Opens a chapter.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn chapter(&self, title: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.form {
            Form::Silent => Ok(()),
            Form::Json => {
                writeln!(out, "{}", json!({"kind": "chapter", "at": self.at(), "title": title}))
            }
            Form::Pretty => writeln!(out, "\n\x1b[1m{title}\x1b[0m"),
            Form::Plain => writeln!(out, "\n{title}"),
        }
    }

    /// Tells one step: who did what, and what it cost or changed.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn step(&self, actor: &str, what: &str, facts: &[Fact]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.form == Form::Json {
            let facts: Map<String, Value> =
                facts.iter().map(|fact| (fact.name.to_owned(), fact.value.clone())).collect();
            let line = json!({"kind": "step", "at": self.at(), "actor": actor, "what": what, "facts": facts});
            return writeln!(out, "{line}");
        }
        let told: Vec<String> =
            facts.iter().map(|fact| format!("{} {}", fact.name, fact.text)).collect();
        let told = told.join(", ");
        let clock = format!("{:>7.1}s", self.began.elapsed().as_secs_f64());
        match (self.form, told.is_empty()) {
            (Form::Silent, _) => Ok(()),
            (Form::Pretty, true) => {
                writeln!(out, "\x1b[2m{clock}\x1b[0m  \x1b[36m{actor:<ACTOR_WIDTH$}\x1b[0m {what}")
            }
            (Form::Pretty, false) => {
                writeln!(
                    out,
                    "\x1b[2m{clock}\x1b[0m  \x1b[36m{actor:<ACTOR_WIDTH$}\x1b[0m {what}\n{:>25}\x1b[2m{told}\x1b[0m",
                    ""
                )
            }
            (_, true) => writeln!(out, "{clock}  {actor:<ACTOR_WIDTH$} {what}"),
            (_, false) => writeln!(out, "{clock}  {actor:<ACTOR_WIDTH$} {what}\n{:>25}{told}", ""),
        }
    }

    /// Shows progress through `total` steps, or a spinner when `total` is zero. Silent where nothing can move.
    #[must_use]
    pub(super) fn progress(&self, label: &str, total: u64) -> ProgressBar {
        if self.form != Form::Pretty {
            return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        }
        let template = if total == 0 {
            "          {spinner} {msg} {elapsed}"
        } else {
            "          {msg} {bar:32} {pos}/{len} {elapsed}"
        };
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_message(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Ends the story: a table for people, `summary` for machines.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn close(
        &self,
        table: &Table,
        verdict: &str,
        ok: bool,
        summary: &Value,
    ) -> io::Result<()> {
        if self.form == Form::Silent {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.form == Form::Json {
            let line = json!({"kind": "result", "at": self.at(), "ok": ok, "verdict": verdict, "summary": summary, "table": table.to_json()});
            return writeln!(out, "{line}");
        }
        writeln!(out, "\n{}", table.render())?;
        match (self.form, ok) {
            (Form::Pretty, true) => writeln!(out, "\x1b[32m{verdict}\x1b[0m"),
            (Form::Pretty, false) => writeln!(out, "\x1b[31m{verdict}\x1b[0m"),
            _ => writeln!(out, "{verdict}"),
        }
    }

    fn at(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// A table with a heading row; first column left, the others right.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column headings.
    pub(super) fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table as text, columns aligned.
    #[must_use]
    pub(super) fn render(&self) -> String {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let columns = all().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|c| all().map(|row| cell(row, c).chars().count()).max().unwrap_or(0))
            .collect();
        let line = |row: &[String]| {
            let cells: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(c, width)| {
                    if c == 0 {
                        format!("{:<width$}", cell(row, c))
                    } else {
                        format!("{:>width$}", cell(row, c))
                    }
                })
                .collect();
            cells.join("   ").trim_end().to_owned()
        };
        let rule = "-".repeat(widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1));
        let mut lines = vec![line(&self.head), rule];
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines.join("\n")
    }

    fn to_json(&self) -> Value {
        json!({"head": self.head, "rows": self.rows})
    }
}

/// `1234567` as `1,234,567`.
#[must_use]
pub(super) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Base units as a decimal number with `decimals` places behind the point, of which `shown` are printed (rounded down).
#[must_use]
pub(super) fn decimal(base_units: u128, decimals: u32, shown: usize) -> String {
    let unit = 10u128.saturating_pow(decimals);
    let fraction = format!("{:0>width$}", base_units % unit, width = decimals as usize);
    let fraction: String = fraction.chars().take(shown).collect();
    if fraction.is_empty() {
        grouped(base_units / unit)
    } else {
        format!("{}.{fraction}", grouped(base_units / unit))
    }
}

/// A duration for people: milliseconds below a second.
#[must_use]
pub(super) fn seconds(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{:.1} ms", took.as_secs_f64() * 1_000.0)
    } else {
        format!("{:.2} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn base_units_are_shown_as_decimals_rounded_down() {
        assert_eq!(decimal(1_999_999, 6, 2), "1.99");
        assert_eq!(decimal(5, 6, 6), "0.000005");
        assert_eq!(decimal(1_234_000_000, 6, 0), "1,234");
    }

    #[test]
    fn a_table_lines_its_columns_up() {
        let mut table = Table::new(["who", "before", "after"]);
        table.row(["victim", "1", "1,000"]);
        assert_eq!(
            table.render(),
            "who      before   after\n-----------------------\nvictim        1   1,000"
        );
    }
}
