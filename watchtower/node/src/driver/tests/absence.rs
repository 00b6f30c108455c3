//! A disk that was set back past a consent and past no state: nobody can tell, but it has not seen the chain for a while.

use super::single::{CHANNEL, Single, Two};
use super::world::{SIDE, delivery, policy};

async fn see(single: &mut Single, time_s: u64) {
    let mut seen = delivery(Vec::new());
    seen.batch.timestamp = time_s;
    single.driver.on_batch(seen).await.unwrap();
}

/// Alice, whose disk saw the chain at 1,000.
async fn was_there(two: &Two) -> Single {
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    see(&mut alice, 999).await;
    assert!(!alice.driver.is_held(CHANNEL), "a new disk has forgotten nothing");
    see(&mut alice, 1_000).await;
    alice
}

#[tokio::test]
async fn a_disk_that_has_not_seen_the_chain_for_a_while_pauses_unless_it_was_stopped_in_order() {
    for (in_order, now, held) in
        [(false, 1_300, false), (false, 1_301, true), (true, 90_000, false)]
    {
        let two = Two::new();
        let alice = Box::pin(was_there(&two)).await;
        if in_order {
            alice.driver.stopped_in_order().await.unwrap();
        }
        drop(alice);
        // A start that hears nothing of the chain changes nothing.
        drop(two.alice(policy(), 0).await);
        let mut alice = two.alice(policy(), 0).await;
        see(&mut alice, now).await;
        assert_eq!(alice.driver.is_held(CHANNEL), held, "{in_order} {now}");
        // That it stopped in order counts once.
        see(&mut alice, now).await;
        drop(alice);
        let mut alice = two.alice(policy(), 0).await;
        see(&mut alice, now + 301).await;
        assert!(alice.driver.is_held(CHANNEL));
        drop(alice);
        assert!(two.alice(policy(), 0).await.driver.is_held(CHANNEL), "it is durable");
    }
}

#[tokio::test]
async fn a_pause_after_an_absence_ends_when_no_consent_can_be_executed_any_more() {
    let two = Two::new();
    drop(Box::pin(was_there(&two)).await);
    let mut alice = two.alice(policy(), 0).await;
    see(&mut alice, 9_000).await;
    let until = 9_000 + policy().backup.hold_after_restore_s;
    for (now, held) in [(until, true), (until + 1, false)] {
        alice.driver.final_s = now;
        alice.driver.on_tick().await.unwrap();
        assert_eq!(alice.driver.is_held(CHANNEL), held);
    }
}
