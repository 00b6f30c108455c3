//! What a frame shows.

use serde_json::json;

use super::*;

fn view() -> View {
    View {
        url: "http://tower:1".to_owned(),
        status: json!({
            "version": "0.1.0", "ready": false, "missing": ["3 blocks behind"], "uptime_s": 3_700, "account": "0xabc",
            "chain": {"head": 12, "read": {"number": 9}, "finalized": 4, "behind": 3, "time": 1_000,
                "endpoints": [{"standing": "Good"}, {"standing": "Lying"}], "alarms": []},
            "transactions": {"balance_wei": "20000000000000000", "open": 1, "unmined": 1},
            "network": null, "backups": {"slots": 5},
        }),
        disputes: vec![
            json!({"id": {"channel_id": 7, "epoch": 1}, "closed": false, "record": {"step": "proving",
                "verdict": {"verdict": "override", "nonce": 9}, "facts": {"standing": {"nonce": 3, "deadline": 1_090}}, "reward": "0x0"},
                "account": {"gas_wei": "0x0"}}),
            json!({"id": {"channel_id": 8, "epoch": 1}, "closed": true, "record": {"reward": "0x38d7ea4c68000"}}),
        ],
        error: None,
    }
}

#[test]
fn a_frame_shows_readiness_chain_money_and_the_disputes_with_phase_and_time_left() {
    let text = frame(&view());
    for shown in [
        "not ready: 3 blocks behind",
        "up 1 h 1 min",
        "2: good, lying",
        "0.02 ETH",
        "0.001 ETH",
        "! 7/1",
        "override",
        "proving",
        "1 min 30 s",
        "1 open, 1 closed",
        "this tower meets no others",
    ] {
        assert!(text.contains(shown), "{shown} is not in\n{text}");
    }
    let dispute = text.lines().find(|line| line.contains("7/1")).unwrap();
    assert!(dispute.split_whitespace().any(|word| word == "9"), "what is held: {dispute}");
    assert!(!text.contains("8/1"), "a closed dispute is shown as open:\n{text}");
}

#[test]
fn a_tower_that_does_not_answer_is_a_frame_that_says_so() {
    let view =
        View { error: Some("refused".to_owned()), url: "http://x".to_owned(), ..View::default() };
    assert!(frame(&view).contains("no answer: refused"));
}
