//! Rules about the text of the repository that no compiler checks.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::{fs, path::Path};

/// Longest hand-written source file. A file is a room: one purpose, and a reader sees its end.
const MAX_LINES: usize = 400;

/// Markers that say a part is not finished.
const MARKERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let files = integration_tests::tracked_files().expect("git lists the repository");
    assert!(files.len() > 20, "git listed only {} files", files.len());
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)))
        .filter(|path| !is_generated(path))
        .map(|path| {
            let text =
                fs::read_to_string(integration_tests::root().join(path)).expect("source is UTF-8");
            (path.display().to_string(), text)
        })
        .collect()
}

/// Generated contracts, and what npm wrote, are held to other rules.
fn is_generated(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "generated" || part.as_os_str() == "node_modules")
}

fn report(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_a_room() {
    let long: Vec<String> = sources(&["rs", "sol", "mjs", "py", "sh"])
        .iter()
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(path, text)| format!("{path}: {} lines", text.lines().count()))
        .collect();
    report(&format!("files over {MAX_LINES} lines: redesign, do not add a corner"), &long);
}

#[test]
fn rust_and_solidity_sources_are_ascii() {
    let mut odd = Vec::new();
    for (path, text) in sources(&["rs", "sol"]) {
        for (number, line) in text.lines().enumerate() {
            if !line.is_ascii() {
                odd.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    report("source is ASCII", &odd);
}

#[test]
fn no_unfinished_part_is_marked_and_left() {
    let mut found = Vec::new();
    for (path, text) in sources(&["rs", "sol", "mjs", "py", "sh"]) {
        for (number, line) in text.lines().enumerate() {
            if MARKERS.iter().any(|marker| line.contains(marker)) {
                found.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    report("finish it, or file it; do not mark it", &found);
}

#[test]
fn no_test_is_switched_off() {
    let needles = [concat!("#[ign", "ore"), concat!(".sk", "ip(\""), concat!("vm.sk", "ip")];
    let mut found = Vec::new();
    for (path, text) in sources(&["rs", "sol", "mjs"]) {
        for (number, line) in text.lines().enumerate() {
            if needles.iter().any(|needle| line.contains(needle)) {
                found.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    report("a test that does not run is no test", &found);
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "w/"),
        concat!("../sh", "ared"),
        concat!("bash_", "jobs"),
    ];
    let mut found = Vec::new();
    for (path, text) in sources(&["rs", "sol", "mjs", "py", "sh", "md", "toml", "json", "yml"]) {
        if needles.iter().any(|needle| text.contains(needle)) {
            found.push(path);
        }
    }
    report("the project's files speak of the project alone", &found);
}
