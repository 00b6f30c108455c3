//! Requests between towers, and between nodes and towers.

use std::time::Duration;

use gossip::{RequestError, Submitted};
use protocol::network::wire::Refusal;

use crate::world::{Setup, Tower, domain, envelope, memory, pair, slot};

async fn two() -> (Tower, Tower) {
    let a = Tower::start(Setup::new(0, &memory()), &[]).await;
    let b = Tower::start(Setup::new(1, &memory()), std::slice::from_ref(&a.place)).await;
    b.meets(1).await;
    (a, b)
}

#[tokio::test]
async fn a_submission_is_answered_with_a_receipt_that_the_tower_signed() {
    let (a, b) = two().await;
    let sent = envelope(1, 5);
    let Submitted::Receipt(receipt) = b.handle.submit(a.handle.me(), &sent, 0).await.unwrap()
    else {
        panic!("refused")
    };
    let signed = receipt.verify().unwrap();
    assert!(signed.receipt().envelope_id == *sent.id());
    let raw = b.handle.fetch(a.handle.me(), domain(), slot(1)).await.unwrap().unwrap();
    assert_eq!(raw.as_bytes().as_slice(), sent.to_bytes());
    assert_eq!(b.handle.fetch(a.handle.me(), domain(), slot(3)).await, Ok(None));
}

#[tokio::test]
async fn what_is_old_unknown_or_badly_signed_is_refused_with_the_reason() {
    let (a, b) = two().await;
    let submit = async |envelope| b.handle.submit(a.handle.me(), &envelope, 0).await.unwrap();
    submit(envelope(1, 5)).await;
    let held = envelope(1, 5).header().nonce;
    assert_eq!(submit(envelope(1, 4)).await, Submitted::Refused(Refusal::Older { held }));
    let unknown = Submitted::Refused(Refusal::UnknownChannel { head: 7 });
    assert_eq!(submit(envelope(99, 1)).await, unknown);
    let stranger =
        protocol::testing::Pair::in_vault(77, crate::world::CHAIN_ID, crate::world::vipe(), 2);
    let forged = stranger.seal(protocol::Role::Participant, &stranger.final_state(1, 10));
    assert_eq!(submit(forged).await, Submitted::Refused(Refusal::BadSignature));
    assert_eq!(pair(2).channel.id(), slot(2).channel_id);
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_an_error_and_not_a_wait() {
    let (a, b) = two().await;
    let gone = a.handle.me();
    a.stop().await;
    let outcome = b.handle.submit(gone, &envelope(1, 5), 0).await;
    assert!(
        matches!(outcome, Err(RequestError::Unreachable(_) | RequestError::Failed { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_tower_that_does_not_answer_in_time_is_an_error() {
    let mut slow = Setup::new(0, &memory());
    slow.slow = Duration::from_secs(60);
    let a = Tower::start(slow, &[]).await;
    let mut quick = Setup::new(1, &memory());
    quick.change = |config| config.limits.request_timeout = Duration::from_millis(300);
    let b = Tower::start(quick, std::slice::from_ref(&a.place)).await;
    b.meets(1).await;
    let outcome = b.handle.submit(a.handle.me(), &envelope(1, 5), 0).await;
    assert!(matches!(outcome, Err(RequestError::TimedOut(_))), "{outcome:?}");
}

#[tokio::test]
async fn more_requests_than_may_be_open_are_turned_away_at_once() {
    let mut slow = Setup::new(0, &memory());
    slow.slow = Duration::from_secs(60);
    let a = Tower::start(slow, &[]).await;
    let b = Tower::start(Setup::new(1, &memory()), std::slice::from_ref(&a.place)).await;
    b.meets(1).await;
    let envelope = envelope(1, 5);
    let mut waiting = futures::stream::FuturesUnordered::new();
    for _ in 0..40 {
        waiting.push(b.handle.submit(a.handle.me(), &envelope, 0));
    }
    let first = futures::StreamExt::next(&mut waiting).await.unwrap();
    assert_eq!(first, Err(RequestError::Busy));
}

#[tokio::test]
async fn requests_fail_once_the_network_has_stopped() {
    let (a, b) = two().await;
    let handle = b.handle.clone();
    b.stop().await;
    assert_eq!(handle.submit(a.handle.me(), &envelope(1, 5), 0).await, Err(RequestError::Stopped));
    assert_eq!(handle.status().await, Err(RequestError::Stopped));
}
