//! One envelope for each slot.

use alloy_primitives::B256;
use protocol::Role;
use store::{Backup, JumpLimit, Slot, Verdict};

use crate::disk::{Disk, NO_LIMIT, backup_with_id, channel, nonce, open, slot};

const A: B256 = B256::repeat_byte(0x0a);
const B: B256 = B256::repeat_byte(0x0b);

#[tokio::test]
async fn a_greater_nonce_replaces_and_a_smaller_one_does_not() {
    let store = open(&Disk::default()).unwrap();
    let offer = |at, id| store.offer_backup(slot(1), backup_with_id(at, id), NO_LIMIT);
    assert_eq!(offer(5, B).await.unwrap(), Verdict::Stored { replaced: None });
    assert_eq!(offer(5, B).await.unwrap(), Verdict::Same);
    assert_eq!(offer(4, A).await.unwrap(), Verdict::Older { held: nonce(5) });
    assert_eq!(offer(6, B).await.unwrap(), Verdict::Stored { replaced: Some(nonce(5)) });
    assert_eq!(store.backup(slot(1)).unwrap().unwrap(), backup_with_id(6, B));
}

#[tokio::test]
async fn at_an_equal_nonce_the_smaller_id_wins_in_any_order_and_both_are_evidence() {
    for (first, second) in [(A, B), (B, A)] {
        let store = open(&Disk::default()).unwrap();
        store.offer_backup(slot(1), backup_with_id(5, first), NO_LIMIT).await.unwrap();
        let verdict =
            store.offer_backup(slot(1), backup_with_id(5, second), NO_LIMIT).await.unwrap();
        assert_eq!(verdict, Verdict::Conflict { serves: A, offered_won: second == A });
        assert_eq!(store.backup(slot(1)).unwrap().unwrap().id, A);
        let evidence = store.evidence(slot(1)).unwrap().unwrap();
        assert_eq!(evidence.nonce, nonce(5));
        assert_eq!(evidence.smaller.to_vec(), backup_with_id(5, A).envelope);
        assert_eq!(evidence.greater.to_vec(), backup_with_id(5, B).envelope);
    }
}

#[tokio::test]
async fn neither_party_can_overwrite_the_other_s_slot() {
    let store = open(&Disk::default()).unwrap();
    let other = Slot { channel_id: channel(1), role: Role::Counterparty };
    store.offer_backup(slot(1), backup_with_id(5, A), NO_LIMIT).await.unwrap();
    store.offer_backup(other, backup_with_id(900, B), NO_LIMIT).await.unwrap();
    assert_eq!(store.backup(slot(1)).unwrap().unwrap().nonce, nonce(5));
    assert_eq!(store.backup(other).unwrap().unwrap().nonce, nonce(900));
}

#[tokio::test]
async fn a_nonce_rises_by_no_more_than_the_limit_in_an_hour() {
    let store = open(&Disk::default()).unwrap();
    let limit = JumpLimit { per_hour: 100 };
    let at = |number: u64, stored_at_ms| Backup { stored_at_ms, ..backup_with_id(number, A) };
    let offer = |offered| store.offer_backup(slot(1), offered, limit);
    offer(at(10, 0)).await.unwrap();
    assert_eq!(offer(at(60, 1_000)).await.unwrap(), Verdict::Stored { replaced: Some(nonce(10)) });
    assert_eq!(offer(at(110, 2_000)).await.unwrap(), Verdict::Stored { replaced: Some(nonce(60)) });
    assert_eq!(
        offer(at(111, 3_000)).await.unwrap(),
        Verdict::TooFast { allowed: 110, retry_at_ms: 3_600_000 }
    );
    assert_eq!(store.backup(slot(1)).unwrap().unwrap().nonce, nonce(110));
    assert_eq!(
        offer(at(210, 3_600_000)).await.unwrap(),
        Verdict::Stored { replaced: Some(nonce(110)) },
        "an hour later the window starts anew from what is held"
    );
    assert!(matches!(offer(at(211, 3_600_001)).await.unwrap(), Verdict::TooFast { .. }));
}

#[tokio::test]
async fn offers_that_race_end_with_the_greatest_nonce() {
    let store = open(&Disk::default()).unwrap();
    let mut set = tokio::task::JoinSet::new();
    for number in 1..=100_u64 {
        let store = store.clone();
        let at = (number * 37) % 101;
        set.spawn(async move {
            store.offer_backup(slot(1), backup_with_id(at, A), NO_LIMIT).await.unwrap()
        });
    }
    set.join_all().await;
    assert_eq!(store.backup(slot(1)).unwrap().unwrap().nonce, nonce(100));
}
