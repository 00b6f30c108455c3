//! Power cuts and failing syncs at every place.

use store::{Change, CursorRow, DisputeId, JournalRow, Store, StoreError};

use crate::disk::{Disk, NO_LIMIT, backup, channel, open, slot};

/// Stores backup after backup until the disk fails; returns the acknowledged ones.
async fn fill(store: &Store, up_to: u64) -> (Vec<u64>, Option<StoreError>) {
    let mut acknowledged = Vec::new();
    for number in 1..=up_to {
        match store.offer_backup(slot(number), backup(number, number), NO_LIMIT).await {
            Ok(_verdict) => acknowledged.push(number),
            Err(error) => return (acknowledged, Some(error)),
        }
    }
    (acknowledged, None)
}

fn assert_all_present(store: &Store, acknowledged: &[u64], context: &str) {
    for number in acknowledged {
        let found = store.backup(slot(*number)).unwrap();
        assert_eq!(
            found,
            Some(backup(*number, *number)),
            "{context}: backup {number} was acknowledged"
        );
    }
}

#[tokio::test]
async fn a_failing_sync_at_any_place_loses_nothing_that_was_acknowledged() {
    let healthy = Disk::default();
    let store = open(&healthy).unwrap();
    let before = healthy.platter().syncs;
    let (all, none) = fill(&store, 8).await;
    assert_eq!((all.len(), none.is_none()), (8, true));
    drop(store);
    let total = healthy.platter().syncs;
    assert!(total > before, "the workload syncs");

    let mut failures = 0;
    for failing in 1..=total {
        let disk = Disk::default();
        disk.platter().failing_sync = Some(failing);
        let acknowledged = match open(&disk) {
            Ok(store) => {
                let (acknowledged, error) = fill(&store, 8).await;
                if let Some(error) = error {
                    failures += 1;
                    assert!(
                        matches!(error, StoreError::DiskFailed { .. }),
                        "sync {failing}: {error}"
                    );
                    let again = store.offer_backup(slot(99), backup(99, 99), NO_LIMIT).await;
                    assert!(
                        matches!(again, Err(StoreError::DiskFailed { .. })),
                        "sync {failing}: a store whose sync failed answers nothing more: {again:?}"
                    );
                    assert!(store.health().is_err());
                }
                acknowledged
            }
            Err(error) => {
                assert!(matches!(error, StoreError::DiskFailed { .. }), "sync {failing}: {error}");
                Vec::new()
            }
        };
        for seed in 0..4 {
            let survivor = disk.after_power_cut(seed);
            let store = match open(&survivor) {
                Ok(store) => store,
                // Cut while the file was being made: real files are made under another name.
                Err(StoreError::Corrupt { .. }) if failing <= before => continue,
                Err(error) => panic!("sync {failing}, seed {seed}: {error}"),
            };
            assert_all_present(&store, &acknowledged, &format!("sync {failing}, seed {seed}"));
        }
    }
    assert!(failures >= 8, "only {failures} syncs failed during the workload");
}

#[tokio::test]
async fn a_power_cut_after_any_acknowledgement_keeps_it() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    for number in 1..=20 {
        store.offer_backup(slot(number), backup(number, number), NO_LIMIT).await.unwrap();
        let survivor = disk.after_power_cut(number);
        let again = open(&survivor).unwrap();
        assert_all_present(&again, &(1..=number).collect::<Vec<_>>(), "power cut");
    }
}

#[tokio::test]
async fn changes_of_one_commit_are_all_there_or_none() {
    let id = DisputeId { channel_id: channel(1), epoch: 3 };
    for number in 1..=6_u64 {
        let cut = Disk::default();
        let other = open(&cut).unwrap();
        // One of the next syncs fails, so that commits end at different places.
        let syncs = cut.platter().syncs;
        cut.platter().failing_sync = Some(syncs + number);
        let hash = [u8::try_from(number).unwrap(); 32].into();
        for block in 1..=4 {
            let changes = vec![
                Change::Cursor(CursorRow { number: block, hash, state: String::new() }),
                Change::Journal(id, Box::new(JournalRow { at_ms: block, ..JournalRow::default() })),
            ];
            let _ = other.commit(changes).await;
        }
        let survivor = open(&cut.after_power_cut(number)).unwrap();
        let cursor = survivor.cursor().unwrap().map_or(0, |cursor| cursor.number);
        assert_eq!(survivor.journal(id).unwrap().len() as u64, cursor, "seed {number}");
    }
}

#[tokio::test]
async fn a_store_dropped_in_the_middle_of_its_work_finishes_what_was_queued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    let store = Store::open(&path, crate::disk::facts()).unwrap();
    let waiting: Vec<_> = (1..=50)
        .map(|number| {
            let store = store.clone();
            async move { store.offer_backup(slot(number), backup(number, number), NO_LIMIT).await }
        })
        .collect();
    for result in futures_join(waiting).await {
        result.unwrap();
    }
    drop(store);
    let again = Store::open(&path, crate::disk::facts()).unwrap();
    assert_all_present(&again, &(1..=50).collect::<Vec<_>>(), "reopened");
}

/// Runs all futures at the same time, so that their changes share commits.
async fn futures_join<F>(futures: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let mut set = tokio::task::JoinSet::new();
    for future in futures {
        set.spawn(future);
    }
    set.join_all().await
}
