use reqwest::StatusCode;

use super::talk::{failure, nothing};
use super::*;

fn refusal(code: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({"error": {"code": code, "message": "words"}})).unwrap()
}

#[test]
fn only_a_tower_that_says_so_holds_nothing() {
    assert!(nothing(StatusCode::NOT_FOUND, &refusal("nothing")));
    assert!(!nothing(StatusCode::NOT_FOUND, &refusal("no_such_page")));
    assert!(!nothing(StatusCode::NOT_FOUND, b"<html>not found</html>"));
    assert!(!nothing(StatusCode::OK, &refusal("nothing")));
}

#[test]
fn what_a_tower_will_never_take_is_told_from_what_it_does_not_take_now() {
    let of = |status, code| failure(status, &refusal(code));
    for code in ["older", "conflict"] {
        assert!(matches!(of(StatusCode::CONFLICT, code), Failure::Never(_)), "{code}");
    }
    for code in ["too_often", "too_fast"] {
        assert!(matches!(of(StatusCode::TOO_MANY_REQUESTS, code), Failure::Later(_)), "{code}");
    }
    assert!(matches!(of(StatusCode::NOT_FOUND, "unknown_channel"), Failure::Later(_)));
    // A tower that is seconds behind the chain says so of a channel that is new.
    assert!(matches!(of(StatusCode::CONFLICT, "not_live"), Failure::Later(_)));
    assert!(matches!(of(StatusCode::SERVICE_UNAVAILABLE, "busy"), Failure::Unreachable(_)));
    let other = failure(StatusCode::NOT_FOUND, b"<html>");
    assert!(matches!(other, Failure::Unreachable(_)), "a web server is no tower");
}

#[test]
fn a_tower_that_signs_with_another_account_is_not_counted_as_another_tower() {
    let mut names = Names::default();
    let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
    assert!(names.learn(0, one) && names.learn(0, one));
    assert!(!names.learn(0, two));
    assert_eq!(names.name_of(0), Some(one));
}
