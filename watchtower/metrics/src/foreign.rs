//! Metrics of libraries that write the `OpenMetrics` format, in the format of [`crate::Metrics::page`].
//!
//! The formats differ for counters, whose metadata lacks the suffix in `OpenMetrics`, and in lines that only one of them has.

/// Translates `OpenMetrics` text to text format 0.0.4, keeping only families whose name starts with `prefix`.
#[must_use]
pub fn translate(openmetrics: &str, prefix: &str) -> String {
    let mut counters: Vec<&str> = Vec::new();
    for line in openmetrics.lines() {
        if let Some(name) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter"))
        {
            counters.push(name);
        }
    }
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let Some(meta) = line.strip_prefix("# ") else {
            if line.starts_with(prefix) {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        let mut words = meta.splitn(3, ' ');
        let (Some(word @ ("HELP" | "TYPE")), Some(name), Some(rest)) =
            (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if !name.starts_with(prefix) {
            continue;
        }
        let suffix = if counters.contains(&name) { "_total" } else { "" };
        let kind = if rest == "unknown" { "untyped" } else { rest };
        text.push_str(&format!("# {word} {name}{suffix} {kind}\n"));
    }
    text
}
