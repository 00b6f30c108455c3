//! Channels that are paid out: what is held for them is forgotten, and nothing else is.

use alloy_primitives::{B256, Bytes};
use protocol::{Address, Role};
use store::{Change, NodeChange, ReceiptRow, Slot, Store};

use crate::disk::{Disk, NO_LIMIT, backup, backup_with_id, channel, nonce, open, slot};

async fn receipt(store: &Store, slot: Slot) {
    let row = ReceiptRow {
        nonce: nonce(5),
        envelope_id: B256::repeat_byte(1),
        until: 9,
        signature: Bytes::from_static(&[1; 64]),
    };
    let change = NodeChange::Receipt(slot, Address::repeat_byte(7), Box::new(row));
    store.commit_node(vec![change]).await.unwrap();
}

#[tokio::test]
async fn what_ended_is_forgotten_with_its_evidence_and_receipts_and_nothing_else_is() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    let other_role = Slot { role: Role::Counterparty, ..slot(1) };
    for id in [2, 1] {
        let offered = backup_with_id(5, B256::repeat_byte(id));
        store.offer_backup(slot(1), offered, NO_LIMIT).await.unwrap();
    }
    store.offer_backup(other_role, backup(1, 5), NO_LIMIT).await.unwrap();
    store.offer_backup(slot(2), backup(2, 5), NO_LIMIT).await.unwrap();
    for slot in [slot(1), other_role, slot(2)] {
        receipt(&store, slot).await;
    }
    assert!(store.evidence(slot(1)).unwrap().is_some());
    store.commit(vec![Change::Ended(channel(1), 30), Change::Ended(channel(2), 31)]).await.unwrap();
    drop(store);

    let store = open(&disk).unwrap();
    assert_eq!(store.endings().unwrap(), [(channel(1), 30), (channel(2), 31)], "over a restart");
    store
        .commit(vec![Change::ForgetBackups(channel(1)), Change::NotEnded(channel(2))])
        .await
        .unwrap();
    for slot in [slot(1), other_role] {
        assert_eq!(store.backup(slot).unwrap(), None);
        assert_eq!(store.evidence(slot).unwrap(), None);
        assert_eq!(store.receipt(slot, Address::repeat_byte(7)).unwrap(), None);
    }
    assert_eq!(store.endings().unwrap(), []);
    assert_eq!(store.backup(slot(2)).unwrap(), Some(backup(2, 5)));
    assert!(store.receipt(slot(2), Address::repeat_byte(7)).unwrap().is_some());
}

#[tokio::test]
async fn every_slot_is_shown_with_its_nonce_and_id() {
    let store = open(&Disk::default()).unwrap();
    for id in [3, 1, 2] {
        store.offer_backup(slot(id), backup(id, 40 + id), NO_LIMIT).await.unwrap();
    }
    let mut shown = Vec::new();
    store.each_backup(|slot, nonce, id| shown.push((slot, nonce, id))).unwrap();
    let wanted = |id: u64| (slot(id), nonce(40 + id), backup(id, 40 + id).id);
    assert_eq!(shown, [wanted(1), wanted(2), wanted(3)]);
}
