//! A disk without space.

use store::StoreError;

use crate::disk::{Disk, NO_LIMIT, backup, open, slot};

#[tokio::test]
async fn a_disk_that_cannot_grow_refuses_keeps_everything_and_resumes() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    let mut stored = 0;
    disk.platter().growth_refused = true;
    let refused = loop {
        let number = stored + 1;
        let mut large = backup(number, number);
        large.envelope = vec![0x5a; 100_000];
        match store.offer_backup(slot(number), large, NO_LIMIT).await {
            Ok(_verdict) => stored = number,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "a disk that cannot grow takes no gigabyte");
    };
    assert!(matches!(refused, StoreError::DiskFull), "{refused}");
    assert!(refused.is_retryable());
    for number in 1..=stored {
        assert!(store.backup(slot(number)).unwrap().is_some(), "readers go on: backup {number}");
    }
    assert_eq!(store.backup(slot(stored + 1)).unwrap(), None, "what was refused is not there");

    disk.platter().growth_refused = false;
    let late = backup(stored + 1, 5);
    store.offer_backup(slot(stored + 1), late.clone(), NO_LIMIT).await.unwrap();
    assert_eq!(store.backup(slot(stored + 1)).unwrap(), Some(late));
    for number in 1..=stored {
        assert!(store.backup(slot(number)).unwrap().is_some(), "backup {number} is kept");
    }
}

#[tokio::test]
async fn a_disk_that_takes_no_byte_acknowledges_nothing_and_resumes() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    store.offer_backup(slot(1), backup(1, 1), NO_LIMIT).await.unwrap();
    disk.platter().writes_refused = true;
    for number in 2..6 {
        let refused = store.offer_backup(slot(number), backup(number, 1), NO_LIMIT).await;
        assert!(matches!(refused, Err(StoreError::DiskFull)), "{refused:?}");
    }
    disk.platter().writes_refused = false;
    store.offer_backup(slot(2), backup(2, 1), NO_LIMIT).await.unwrap();
    assert_eq!(store.backup(slot(1)).unwrap(), Some(backup(1, 1)));
    assert_eq!(store.backup(slot(2)).unwrap(), Some(backup(2, 1)));
    assert_eq!(store.backup(slot(3)).unwrap(), None);
}
