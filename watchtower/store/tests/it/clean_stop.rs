//! Starts after a clean stop, which do not read the whole file, and what they make of a damaged one.

use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use store::{FileStorage, Storage, Store, StoreError};

use crate::disk::{NO_LIMIT, backup, facts, slot};

const SLOTS: u64 = 400;

/// A file on disk, and how many bytes of it were asked for.
#[derive(Debug)]
struct Counting {
    file: FileStorage,
    read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingBackend {
    file: FileBackend,
    read: Arc<AtomicU64>,
}

impl Storage for Counting {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let file = std::fs::File::options().read(true).write(true).open(self.file.path()).unwrap();
        let file = FileBackend::new(file).unwrap();
        Ok(Box::new(CountingBackend { file, read: Arc::clone(&self.read) }))
    }

    fn path(&self) -> PathBuf {
        self.file.path()
    }

    fn keeps_sums_beside(&self) -> Option<PathBuf> {
        self.file.keeps_sums_beside()
    }
}

impl StorageBackend for CountingBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(from, to)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// Opens it, and says how many bytes of it were read for that.
fn opened(path: &Path) -> (Store, u64) {
    let read = Arc::new(AtomicU64::new(0));
    let file = FileStorage::new(path.to_owned());
    let storage = Counting { file, read: Arc::clone(&read) };
    let store = Store::open_on(Box::new(storage), facts()).unwrap();
    let bytes = read.load(Ordering::Relaxed);
    (store, bytes)
}

fn sums_of(path: &Path) -> PathBuf {
    format!("{}.sums", path.display()).into()
}

/// A store with backups in it, in this directory; stopped cleanly.
async fn filled(directory: &Path) -> PathBuf {
    let path = directory.join("tower.redb");
    let store = Store::open(&path, facts()).unwrap();
    for number in 1..=SLOTS {
        store.offer_backup(slot(number), backup(number, number), NO_LIMIT).await.unwrap();
    }
    path
}

fn assert_whole(store: &Store) {
    for number in 1..=SLOTS {
        assert_eq!(store.backup(slot(number)).unwrap(), Some(backup(number, number)), "{number}");
    }
}

#[tokio::test]
async fn a_start_after_a_clean_stop_reads_a_fraction_of_the_file_and_one_after_a_crash_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path()).await;
    let length = std::fs::metadata(&path).unwrap().len();
    for _again in 0..3 {
        let (store, bytes) = opened(&path);
        assert!(bytes < length / 4, "{bytes} of {length} bytes");
        assert_whole(&store);
        assert_eq!(store.scrubbed().unwrap().damaged, 0);
    }
    // As a crash leaves it: the store is open, and the sums are those of the stop before.
    let (store, _bytes) = opened(&path);
    store.offer_backup(slot(1), backup(1, 1_000), NO_LIMIT).await.unwrap();
    let crashed = directory.path().join("crashed.redb");
    std::fs::copy(&path, &crashed).unwrap();
    std::fs::copy(sums_of(&path), sums_of(&crashed)).unwrap();
    drop(store);
    let (store, bytes) = opened(&crashed);
    assert!(bytes > length / 3, "{bytes} of {length} bytes");
    assert!(store.scrubbed().is_none(), "nothing is left to compare");
    assert_eq!(store.backup(slot(1)).unwrap(), Some(backup(1, 1_000)));
    drop(store);
    let (_store, bytes) = opened(&crashed);
    assert!(bytes < length / 4, "and after that one stopped cleanly, a fraction again");
}

#[tokio::test]
async fn a_page_that_was_damaged_since_a_clean_stop_is_an_error_where_it_is_met_and_never_followed()
{
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path()).await;
    let (whole, sums) = (std::fs::read(&path).unwrap(), std::fs::read(sums_of(&path)).unwrap());
    let (mut at_start, mut later, mut never) = (0, 0, 0);
    for place in (0..whole.len()).step_by(4_096) {
        let mut damaged = whole.clone();
        for byte in &mut damaged[place + 40..place + 104] {
            *byte ^= 0x55;
        }
        std::fs::write(&path, &damaged).unwrap();
        std::fs::write(sums_of(&path), &sums).unwrap();
        let store = match Store::open(&path, facts()) {
            Ok(store) => store,
            Err(StoreError::Corrupt { .. }) => {
                at_start += 1;
                continue;
            }
            Err(error) => panic!("at {place}: {error}"),
        };
        let mut met = None;
        for number in 1..=SLOTS {
            match store.backup(slot(number)) {
                Ok(found) => assert_eq!(found, Some(backup(number, number)), "at {place}"),
                Err(error) => met = Some(error),
            }
        }
        let Some(met) = met else {
            never += 1;
            continue;
        };
        later += 1;
        assert!(matches!(met, StoreError::Corrupt { .. }), "at {place}: {met}");
        assert!(matches!(store.health(), Err(StoreError::Corrupt { .. })), "it says so");
        let offered = store.offer_backup(slot(1), backup(1, 2_000), NO_LIMIT).await;
        assert!(matches!(offered, Err(StoreError::Corrupt { .. })), "nothing is acknowledged");
        drop(store);
        // The next start verifies everything, and says the same before anything else.
        let again = Store::open(&path, facts());
        assert!(matches!(again, Err(StoreError::Corrupt { .. })), "at {place}: {again:?}");
    }
    assert!(later > 20 && never > 0, "{at_start} at the start, {later} later, {never} never");
}

#[tokio::test]
async fn without_its_sums_or_with_those_of_another_day_a_store_is_verified_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path()).await;
    let length = std::fs::metadata(&path).unwrap().len();
    let old = std::fs::read(sums_of(&path)).unwrap();
    let (store, _bytes) = opened(&path);
    store.offer_backup(slot(2), backup(2, 1_000), NO_LIMIT).await.unwrap();
    drop(store);
    std::fs::write(sums_of(&path), &old).unwrap();
    let (store, bytes) = opened(&path);
    assert!(bytes > length / 3, "sums of another state are not believed");
    assert_eq!(store.backup(slot(2)).unwrap(), Some(backup(2, 1_000)));
    drop(store);
    std::fs::remove_file(sums_of(&path)).unwrap();
    let (_store, bytes) = opened(&path);
    assert!(bytes > length / 3);
}
