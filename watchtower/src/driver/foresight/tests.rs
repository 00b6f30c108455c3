//! What the desk hands out, to whom, and for how long.

use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::testing::Pair;

use super::*;

fn wanted(seed: u64, nonce: u64) -> Wanted {
    let pair = Pair::new(seed);
    let state = pair.final_state(nonce, 100);
    Wanted { state, channel: pair.channel, beneficiary: Address::repeat_byte(1), deadline: 9 }
}

/// A prover that counts, and says its number as the proof.
fn prover() -> (Prove, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let prove: Prove = Arc::new(move |_wanted| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(vec![u8::try_from(number).unwrap()]) })
    });
    (prove, made)
}

#[tokio::test]
async fn a_proof_made_ahead_serves_the_same_statement_once_and_no_other() {
    let (prove, made) = prover();
    let desk = Desk::new(None);
    let front = desk.before(Arc::clone(&prove));
    desk.prepare(wanted(1, 5), &prove, 1).await;
    assert_eq!(made.load(Ordering::SeqCst), 1);
    let mut others = [wanted(1, 6), wanted(2, 5), wanted(1, 5)];
    others[2].beneficiary = Address::repeat_byte(2);
    for other in others {
        assert_ne!(front(other).await.unwrap(), [0]);
    }
    assert_eq!(made.load(Ordering::SeqCst), 4);
    assert_eq!(front(wanted(1, 5)).await.unwrap(), [0], "the one that was made ahead");
    assert_eq!(front(wanted(1, 5)).await.unwrap(), [4], "it is given away once");
    let status = desk.status();
    assert_eq!((&status["proofs_used"], &status["proofs_ready"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn who_asks_for_what_is_being_made_waits_for_it_and_proves_itself_if_that_fails() {
    for fails in [false, true] {
        let (prove, made) = prover();
        let desk = Desk::new(None);
        let front = desk.before(prove);
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let finished = Mutex::new(Some(finished));
        let slow: Prove = Arc::new(move |_wanted| {
            let finished = finished.lock().unwrap().take().unwrap();
            Box::pin(async move {
                finished.await.unwrap();
                if fails { Err("no".to_owned()) } else { Ok(vec![77]) }
            })
        });
        let ahead = desk.prepare(wanted(1, 5), &slow, 1);
        let asked = async {
            // By then it is under way.
            tokio::task::yield_now().await;
            let asked = front(wanted(1, 5));
            let finish = async {
                tokio::task::yield_now().await;
                assert_eq!(*desk.mined.borrow(), 1);
                finish.send(()).unwrap();
            };
            tokio::join!(asked, finish).0
        };
        let ((), proof) = tokio::join!(ahead, asked);
        assert_eq!(proof.unwrap(), if fails { [0] } else { [77] });
        assert_eq!(made.load(Ordering::SeqCst), usize::from(fails));
        assert_eq!(*desk.mined.borrow(), 0);
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_number_and_in_blocks() {
    let (prove, _made) = prover();
    let desk = Desk::new(None);
    for nonce in 1..=5 {
        desk.prepare(wanted(1, nonce), &prove, nonce).await;
    }
    assert_eq!(desk.status()["proofs_ready"], READY_MAX);
    let channel = |number: u64| ChannelId::try_from(number).unwrap();
    assert!(desk.begin(channel(1), 4) && !desk.begin(channel(1), 4), "one for each channel");
    for number in 1..=20 {
        let hint = Hint {
            transaction: B256::ZERO,
            from: Address::ZERO,
            channel: channel(number),
            dispute_key: B256::ZERO,
            nonce: protocol::Nonce::try_from(number).unwrap(),
            claim: protocol::testing::amount(1),
        };
        desk.show(&hint, 5);
    }
    let shown = desk.status()["disputes"].clone();
    assert_eq!(shown.as_array().unwrap().len(), SHOWN_MAX);
    assert_eq!(shown[0]["nonce"], 20 - SHOWN_MAX + 1, "the oldest made way");
    desk.forget(4 + KEPT_BLOCKS - 1);
    assert_eq!(desk.status()["proofs_ready"], READY_MAX);
    assert!(!desk.begin(channel(1), 4 + KEPT_BLOCKS - 1));
    desk.forget(5 + KEPT_BLOCKS);
    let status = desk.status();
    assert_eq!((&status["proofs_ready"], &status["disputes"]), (&json!(0), &json!([])));
    assert!(desk.begin(channel(1), 5 + KEPT_BLOCKS));
    // Many channels at the same block: the memory of them does not grow.
    (2..2_000).for_each(|number| assert!(desk.begin(channel(number), 60)));
    assert_eq!(desk.papers().lately.len(), LATELY_MAX);
}
