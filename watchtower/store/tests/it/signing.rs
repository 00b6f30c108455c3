//! Never two signatures at one nonce.

use alloy_primitives::{B256, Bytes};
use store::{Recorded, STATES_KEPT, SignedRow, StoreError};

use crate::disk::{Disk, channel, nonce, open};

fn state(at: u64, fill: u8) -> SignedRow {
    SignedRow {
        nonce: nonce(at),
        digest: B256::repeat_byte(fill),
        payload: Bytes::from(vec![fill; 40]),
    }
}

#[tokio::test]
async fn a_second_different_state_at_a_nonce_is_refused_also_after_a_power_cut() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    assert_eq!(store.record_signature(channel(1), state(5, 1)).await.unwrap(), Recorded::New);
    let store = open(&disk.after_power_cut(1)).unwrap();
    assert_eq!(
        store.record_signature(channel(1), state(5, 1)).await.unwrap(),
        Recorded::Same(state(5, 1)),
        "the same state gets the same bytes again"
    );
    match store.record_signature(channel(1), state(5, 2)).await {
        Err(StoreError::AlreadySigned { nonce: 5, held, offered, .. }) => {
            assert_eq!((held, offered), (B256::repeat_byte(1), B256::repeat_byte(2)));
        }
        signed => panic!("{signed:?}"),
    }
    let amended = store.amend_signature(channel(1), state(5, 2)).await;
    assert!(matches!(amended, Err(StoreError::AlreadySigned { .. })), "{amended:?}");
}

#[tokio::test]
async fn of_racing_states_at_one_nonce_exactly_one_is_signed() {
    let store = open(&Disk::default()).unwrap();
    let mut set = tokio::task::JoinSet::new();
    for fill in 1..=50 {
        let store = store.clone();
        set.spawn(async move { store.record_signature(channel(1), state(5, fill)).await });
    }
    let signed = set.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(signed, 1);
}

#[tokio::test]
async fn nothing_is_signed_below_what_is_still_on_record() {
    let store = open(&Disk::default()).unwrap();
    for at in 1..=40 {
        store.record_signature(channel(1), state(at, 1)).await.unwrap();
    }
    let kept = store.signed_states(channel(1)).unwrap();
    assert_eq!(kept.len() as u64, STATES_KEPT + 1);
    assert_eq!(kept.first().unwrap().nonce, nonce(40 - STATES_KEPT));
    let refused = store.record_signature(channel(1), state(3, 1)).await;
    assert!(
        matches!(refused, Err(StoreError::BelowFloor { floor: 24, nonce: 3, .. })),
        "{refused:?}"
    );
    assert!(store.record_signature(channel(2), state(3, 1)).await.is_ok(), "channels are apart");
}

#[tokio::test]
async fn a_channel_that_stopped_signs_nothing_more() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    store.record_signature(channel(1), state(5, 1)).await.unwrap();
    store.stop_signing(channel(1), "decided to exit".to_owned()).await.unwrap();
    store.stop_signing(channel(1), "saw a dispute".to_owned()).await.unwrap();
    let store = open(&disk.after_power_cut(3)).unwrap();
    match store.record_signature(channel(1), state(6, 1)).await {
        Err(StoreError::SigningStopped { reason, .. }) => assert_eq!(reason, "decided to exit"),
        signed => panic!("{signed:?}"),
    }
}

#[tokio::test]
async fn the_other_party_s_signatures_are_added_to_what_is_recorded_and_to_nothing_else() {
    let store = open(&Disk::default()).unwrap();
    store.record_signature(channel(1), state(5, 1)).await.unwrap();
    let finished = SignedRow { payload: Bytes::from_static(b"both signatures"), ..state(5, 1) };
    store.amend_signature(channel(1), finished.clone()).await.unwrap();
    assert_eq!(store.signed_states(channel(1)).unwrap(), [finished]);
    let nothing = store.amend_signature(channel(1), state(6, 1)).await;
    assert!(matches!(nothing, Err(StoreError::Row { .. })), "{nothing:?}");
}
