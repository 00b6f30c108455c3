//! Dashboards, alerts and runbooks against what the program exports, both ways; and the alert rules' own tests.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Metrics that Prometheus itself makes of a scrape.
const OF_PROMETHEUS: &[&str] = &["up"];

fn read(path: &str) -> String {
    fs::read_to_string(integration_tests::root().join(path)).expect("the file is there")
}

/// Every metric that the program exports, with its histogram's series.
fn exported() -> BTreeMap<&'static str, metrics::Type> {
    let tower = metrics::Metrics::new().expect("the metrics register");
    let monitor = metrics::MonitorMetrics::new().expect("the metrics register");
    let node = metrics::NodeMetrics::new().expect("the metrics register");
    let monitor = monitor.catalog().iter().chain(node.catalog());
    let entries: Vec<_> = tower.catalog().iter().chain(monitor).copied().collect();
    entries.into_iter().map(|entry| (entry.name, entry.kind)).collect()
}

/// The names in a query that look like metrics of ours.
fn names_in(query: &str) -> BTreeSet<String> {
    query
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| {
            word.starts_with("watchtower_")
                || word.starts_with("process_")
                || OF_PROMETHEUS.contains(word)
        })
        .map(str::to_owned)
        .collect()
}

/// The metric that a series belongs to.
fn metric_of(name: &str, exported: &BTreeMap<&'static str, metrics::Type>) -> Option<String> {
    if exported.contains_key(name) || OF_PROMETHEUS.contains(&name) {
        return Some(name.to_owned());
    }
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end))?;
    (exported.get(stem) == Some(&metrics::Type::Histogram)).then(|| stem.to_owned())
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = integration_tests::root().join("dashboards");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("there are dashboards") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).expect("readable");
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            found.push((name.unwrap_or_default(), serde_json::from_str(&text).expect("JSON")));
        }
    }
    found
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().into_iter().flatten().filter(|panel| panel["type"] != "row")
}

fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().into_iter().flatten().filter_map(|target| target["expr"].as_str())
}

/// The expressions of the alert rules, joined with their continuation lines.
fn alert_rules() -> Vec<(String, String, String)> {
    let text = read("deploy/prometheus/alerts.yml");
    let mut rules = Vec::new();
    for part in text.split("      - alert: ").skip(1) {
        let name = part.lines().next().unwrap_or_default().trim().to_owned();
        let expr = part.split("expr:").nth(1).unwrap_or_default();
        let expr = expr.split("labels:").next().unwrap_or_default().to_owned();
        let runbook = part.split("runbook: ").nth(1).and_then(|rest| rest.split([' ', '}']).next());
        rules.push((name, expr, runbook.unwrap_or_default().to_owned()));
    }
    rules
}

#[test]
fn every_panel_and_alert_names_metrics_that_are_exported() {
    let exported = exported();
    let mut wrong = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for query in queries(panel) {
                let missing =
                    names_in(query).into_iter().filter(|it| metric_of(it, &exported).is_none());
                wrong.extend(missing.map(|it| format!("{name} / {}: {it}", panel["title"])));
            }
        }
    }
    for (alert, expr, _) in alert_rules() {
        let missing = names_in(&expr).into_iter().filter(|it| metric_of(it, &exported).is_none());
        wrong.extend(missing.map(|it| format!("alert {alert}: {it}")));
    }
    assert!(wrong.is_empty(), "not exported:\n{}", wrong.join("\n"));
}

#[test]
fn every_exported_metric_is_shown_or_alarmed() {
    let exported = exported();
    let mut shown = BTreeSet::new();
    for (_, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for query in queries(panel) {
                shown.extend(names_in(query).iter().filter_map(|name| metric_of(name, &exported)));
            }
        }
    }
    for (_, expr, _) in alert_rules() {
        shown.extend(names_in(&expr).iter().filter_map(|name| metric_of(name, &exported)));
    }
    let hidden: Vec<_> = exported.keys().filter(|name| !shown.contains(**name)).collect();
    assert!(hidden.is_empty(), "exported and nowhere shown: {hidden:#?}");
}

#[test]
fn every_panel_has_a_unit_a_sentence_and_links_that_lead_somewhere() {
    let runbooks: BTreeSet<_> =
        watchtower::status::RUNBOOKS.iter().map(|(name, _)| *name).collect();
    for (name, dashboard) in dashboards() {
        let variables: Vec<_> = dashboard["templating"]["list"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["name"].as_str())
            .collect();
        assert!(
            ["source", "network", "instance"].iter().all(|it| variables.contains(it)),
            "{name}: {variables:?}"
        );
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(
                defaults["unit"].is_string() && defaults["thresholds"].is_object(),
                "{name} / {title}"
            );
            assert!(
                panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
                "{name} / {title}"
            );
            for link in panel["links"].as_array().into_iter().flatten() {
                let page =
                    link["url"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
                assert!(runbooks.contains(page), "{name} / {title} links to {page}");
            }
        }
    }
}

#[test]
fn every_alert_has_a_runbook_a_test_and_every_runbook_is_served() {
    let runbooks: BTreeSet<_> =
        watchtower::status::RUNBOOKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files: BTreeSet<_> = fs::read_dir(integration_tests::root().join("docs/runbooks"))
        .expect("there are runbooks")
        .filter_map(|entry| {
            entry.ok()?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned())
        })
        .collect();
    assert_eq!(runbooks, files);
    let tests = read("deploy/prometheus/alerts_test.yml");
    let handbook = read("docs/handbook.md");
    let rules = alert_rules();
    assert!(rules.len() >= 15, "the rules were not read: {rules:?}");
    for (alert, _, runbook) in rules {
        assert!(runbooks.contains(&runbook), "{alert}: {runbook} is no runbook");
        assert!(
            tests.contains(&format!("alertname: {alert}\n")),
            "{alert} has no test in which it fires"
        );
        let page = read(&format!("docs/runbooks/{runbook}.md"));
        let named = page.lines().find_map(|line| line.strip_prefix("Alerts: ")).unwrap_or_default();
        assert!(named.split(", ").any(|name| name == alert), "{runbook} does not name {alert}");
        assert!(handbook.contains(&alert), "the handbook does not explain {alert}");
    }
}

/// A tool that is not a part of the program. Where it is missing the test says so, and fails where tools are required.
#[expect(clippy::print_stderr, reason = "a skipped check must be heard")]
fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file());
    if found.is_none() {
        let words = format!("SKIPPED: {name} is missing ({package})");
        assert!(std::env::var_os("REQUIRE_TOOLS").is_none(), "{words}");
        eprintln!("{words}");
    }
    found
}

fn assert_runs(name: &str, package: &str, arguments: &[&str]) {
    let Some(tool) = tool(name, package) else { return };
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(integration_tests::root())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {told}");
}

#[test]
fn alert_rules_are_valid_and_fire_when_they_must_and_only_then() {
    let package = "Debian package prometheus";
    assert_runs("promtool", package, &["check", "rules", "deploy/prometheus/alerts.yml"]);
    assert_runs("promtool", package, &["test", "rules", "deploy/prometheus/alerts_test.yml"]);
    assert_runs(
        "promtool",
        package,
        &["check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"],
    );
}

#[test]
fn dashboards_are_what_their_source_makes() {
    assert_runs("python3", "Python 3", &["dashboards/build.py", "--check"]);
}
