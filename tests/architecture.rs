//! Dependencies flow one way. This test is the rule; `ARCHITECTURE.md` is the explanation.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::process::Command;

/// The workspace crates, each with the workspace crates it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("chain", &["protocol"]),
    ("gossip", &["protocol"]),
    ("metrics", &[]),
    ("prover", &["protocol"]),
    ("store", &["protocol"]),
    ("node", &["chain", "gossip", "metrics", "protocol", "prover", "store"]),
    ("watchtower", &["chain", "gossip", "metrics", "node", "protocol", "prover", "store"]),
];

/// Crates that would let the pure core reach the outside world.
const BANNED_IN_PROTOCOL: &[&str] =
    &["alloy-provider", "axum", "libp2p", "redb", "reqwest", "revm", "tokio"];

/// Heavy dependencies, each with the only workspace crate that may name it.
const OWNERS: &[(&str, &str)] = &[
    ("revm", "chain"),
    ("libp2p", "gossip"),
    ("prometheus", "metrics"),
    ("prometheus-client", "gossip"),
    ("redb", "store"),
    ("clap", "watchtower"),
    ("ratatui", "watchtower"),
];

/// Every crate that `package` links to in a normal build at `depth`, itself left out.
fn linked_crates(package: &str, depth: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--depth", depth])
        .args(["--prefix", "none", "--format", "{p}", "--offline"])
        .current_dir(integration_tests::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("cargo prints UTF-8")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != package)
        .map(str::to_owned)
        .collect()
}

#[test]
fn workspace_dependencies_flow_one_way() {
    for (package, allowed) in ALLOWED {
        for linked in linked_crates(package, "99") {
            let ours = ALLOWED.iter().any(|(name, _)| *name == linked);
            assert!(
                !ours || allowed.contains(&linked.as_str()),
                "{package} must not depend on {linked}"
            );
        }
    }
}

#[test]
fn protocol_cannot_reach_the_outside_world() {
    let linked = linked_crates("protocol", "99");
    assert!(linked.iter().any(|name| name == "plonky2"), "the listing is empty or wrong");
    for banned in BANNED_IN_PROTOCOL {
        assert!(!linked.iter().any(|name| name == banned), "protocol links {banned}");
    }
}

#[test]
fn a_heavy_dependency_has_one_owner() {
    for (package, _) in ALLOWED {
        let direct = linked_crates(package, "1");
        for (heavy, owner) in OWNERS {
            assert!(
                package == owner || !direct.iter().any(|name| name == heavy),
                "{package} names {heavy}, which belongs to {owner}"
            );
        }
    }
}
