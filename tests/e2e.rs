//! The story end to end: the real binary, real processes, real proofs; on the embedded settlement layer and on a real anvil.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]
#![allow(clippy::panic, reason = "a test that fails panics")]

#[path = "support/anvil.rs"]
mod anvil;
mod support;

use std::process::Command;

use serde_json::Value;

use anvil::Anvil;
use support::watchtower;

/// Co-signed updates in these tests; the README's demo has a thousand.
const UPDATES: &str = "100";

/// What one run of the demo told.
struct Told {
    lines: Vec<Value>,
    ok: bool,
}

impl Told {
    fn result(&self) -> &Value {
        self.lines
            .iter()
            .find(|line| line["kind"] == "result")
            .expect("the demo closes with a result")
    }

    fn steps<'a>(&'a self, actor: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter(move |line| line["actor"] == actor)
            .filter_map(|line| line["what"].as_str())
    }

    /// A change of ether, in wei.
    fn ether(&self, who: &str) -> i128 {
        self.result()["summary"]["ether_change_wei"][who]
            .as_str()
            .and_then(|wei| wei.parse().ok())
            .expect("a number of wei")
    }

    fn tokens(&self, what: &str, who: &str) -> u128 {
        self.result()["summary"][what][who]
            .as_str()
            .and_then(|units| units.parse().ok())
            .expect("a number of base units")
    }
}

fn demo(arguments: &[&str]) -> Told {
    let output = Command::new(watchtower())
        .args(["demo", "--json", "--updates", UPDATES])
        .args(arguments)
        .output()
        .expect("the demo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect();
    let told = Told { lines, ok: output.status.success() };
    assert!(
        told.ok,
        "demo {arguments:?} failed\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

/// The victim has its claim and the slash, the tower its share and the fee.
fn assert_rescued(told: &Told) {
    assert!(told.tokens("got", "participant") >= told.tokens("true_claim", "participant"));
    assert!(told.ether("tower") > 0, "the tower earned {} wei", told.ether("tower"));
    assert!(told.ether("counterparty") < 0, "the attacker lost nothing");
}

#[test]
fn e2e_a_stale_dispute_is_overridden_and_the_tower_is_paid() {
    let told = demo(&[]);
    assert_rescued(&told);
    assert!(told.steps("tower").count() >= 5, "the tower's steps are told");
}

#[test]
fn e2e_an_honest_exit_returns_everything() {
    let told = demo(&["--scenario", "honest-exit"]);
    assert_eq!(told.tokens("got", "participant"), told.tokens("true_claim", "participant"));
    assert_eq!(told.tokens("got", "pool"), told.tokens("true_claim", "pool"));
}

#[test]
fn e2e_a_tower_is_paid_after_the_attacker_overrides_itself() {
    assert_rescued(&demo(&["--scenario", "self-override"]));
}

#[test]
fn e2e_a_tower_is_paid_after_a_dip_and_a_raise() {
    assert_rescued(&demo(&["--scenario", "dip-and-raise"]));
}

#[test]
fn e2e_a_copied_proof_earns_the_thief_nothing() {
    let told = demo(&["--scenario", "copied-proof"]);
    assert_rescued(&told);
    assert!(told.ether("thief") < 0, "the thief did not even pay for gas");
}

#[test]
fn e2e_a_late_override_is_refused() {
    let told = demo(&["--scenario", "late-override"]);
    assert!(told.tokens("got", "participant") < told.tokens("true_claim", "participant"));
}

#[test]
fn e2e_a_tower_that_is_killed_at_a_random_moment_still_saves_the_victim() {
    for _ in 0..3 {
        let told = demo(&["--kill-tower"]);
        assert_rescued(&told);
        assert!(
            told.steps("demo").any(|step| step.contains("SIGKILL")),
            "the tower was never killed"
        );
    }
}

#[test]
fn e2e_five_towers_lose_three_and_a_disk_and_still_one_of_them_saves_the_victim_and_no_other_spends()
 {
    let told = demo(&["--towers", "5"]);
    assert!(told.tokens("got", "participant") >= told.tokens("true_claim", "participant"));
    assert!(told.ether("counterparty") < 0, "the attacker lost nothing");
    let counted = |step: &str| step.starts_with("5 of 5 towers hold nonce");
    assert!(told.steps("participant").any(counted), "all five gave receipts");
    let towers = told.result()["summary"]["towers"].as_array().expect("what each tower did");
    assert_eq!(towers.iter().filter(|tower| tower["state"] == "killed").count(), 3);
    let change = |tower: &Value| -> i128 {
        tower["ether_change_wei"].as_str().and_then(|wei| wei.parse().ok()).expect("a number")
    };
    assert_eq!(towers.iter().filter(|tower| change(tower) > 0).count(), 1, "{towers:#?}");
    assert_eq!(towers.iter().filter(|tower| change(tower) == 0).count(), 4, "{towers:#?}");
    assert!(told.steps("tower 4").any(|step| step.contains("reconciled")), "from an empty disk");
}

#[test]
fn e2e_a_tower_that_dies_in_its_turn_is_replaced_by_the_next() {
    let told = demo(&["--towers", "3", "--kill-tower"]);
    assert!(told.tokens("got", "participant") >= told.tokens("true_claim", "participant"));
    let towers = told.result()["summary"]["towers"].as_array().expect("what each tower did");
    let alive: Vec<_> = towers.iter().filter(|tower| tower["state"] == "alive").collect();
    assert_eq!(alive.len(), 1, "{towers:#?}");
    assert!(!alive[0]["ether_change_wei"].as_str().expect("a number").starts_with('-'));
}

#[test]
fn e2e_the_story_is_the_same_on_a_real_anvil() {
    let anvil = Anvil::start(&["--slots-in-an-epoch", "1", "--block-time", "1"]);
    let told = demo(&["--chain", &anvil.url]);
    assert_rescued(&told);
}
