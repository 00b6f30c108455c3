//! What every page of the file must read as: one checksum for each, in memory, and beside the file after a clean stop.
//!
//! ```text
//!   write of a page --> its sum is set            read of a page --> unknown: its sum is set; known and different: refused
//!   clean stop --> <file>.sums, bound to the file's first page     start --> taken from there; no file, no match: none known
//! ```
//!
//! The engine has checksums of its own, each in the page above: it compares them when it verifies the whole file, and follows
//! a page unverified otherwise, into a panic if that page is damaged. With these sums a damaged page is an error before
//! anything follows it, at every read, and a start after a clean stop needs no reading of the whole file.
//!
//! A sum that is not known is learned from the first read. That is sound where the engine verifies what it reads (a start
//! without sums verifies the whole file), and only there: so sums are kept for all pages or for none.
//!
//! **Invariant:** sums are taken only from a file that is whole, and that was made for exactly this state of the store: the
//! first page, which the engine changes whenever it opens, commits or closes, must read as it did then.
//! **Invariant:** a page that was only partly written, or whose writing failed, has no known sum.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use rapidhash::v3::rapidhash_v3;
use redb::StorageBackend;

/// Bytes of a page: the engine's own unit.
pub(crate) const PAGE: usize = 4_096;
const PAGE_BYTES: u64 = PAGE as u64;

/// How a file of sums begins.
const HEADING: [u8; 8] = *b"vrcsums1";

/// Bytes of one number.
const WORD: usize = 8;

/// Beside the sums: the heading, the store's length, the first page's sum, and the sum of everything before it.
const FRAME_BYTES: u64 = 4 * WORD as u64;

/// How often a page that differs is read again: another thread may be writing it at that moment.
const AGAIN: usize = 3;

/// No sum is known.
const UNKNOWN: u64 = 0;

/// The sum of some bytes; never [`UNKNOWN`]. Stable over versions and machines (rapidhash 3), and 64 bits: meant for a disk that
/// errs, not for an attacker, who could as well write a whole file of his own.
fn sum(bytes: &[u8]) -> u64 {
    rapidhash_v3(bytes).max(1)
}

/// The whole pages in these bytes, each with its number, but the first page of the file: the engine guards that one by
/// itself, and writes it in part.
fn pages(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let skip = offset.next_multiple_of(PAGE_BYTES).saturating_sub(offset);
    let whole = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default();
    let first = usize::try_from(offset.div_ceil(PAGE_BYTES)).unwrap_or(usize::MAX);
    (first..).zip(whole.chunks_exact(PAGE)).filter(|(page, _)| *page > 0)
}

/// A page does not read as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("page {page} does not read as it was written")]
pub(crate) struct Differs {
    page: usize,
}

/// One sum for each page of the file; eight bytes for four thousand.
#[derive(Debug, Default)]
pub(crate) struct Sums(RwLock<Vec<AtomicU64>>);

impl Sums {
    /// These are known; none of them for a store that the engine verifies whole.
    pub(crate) fn new(known: Vec<u64>) -> Self {
        Self(RwLock::new(known.into_iter().map(AtomicU64::new).collect()))
    }

    fn lock(&self) -> RwLockReadGuard<'_, Vec<AtomicU64>> {
        // Sums are single words, so a panic elsewhere cannot have left one half written.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file has this length now.
    pub(crate) fn resize(&self, length: u64) {
        let count = usize::try_from(length.div_ceil(PAGE_BYTES)).unwrap_or(usize::MAX);
        let mut sums = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sums.resize_with(count, || AtomicU64::new(UNKNOWN));
    }

    /// How many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether a page's sum is known.
    pub(crate) fn knows(&self, page: usize) -> bool {
        self.lock().get(page).is_some_and(|known| known.load(Ordering::Acquire) != UNKNOWN)
    }

    /// Something is about to be written there, or could not be.
    pub(crate) fn forget(&self, offset: u64, length: usize) {
        let end = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let page = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let touched = page(offset / PAGE_BYTES)..page(end.div_ceil(PAGE_BYTES));
        let sums = self.lock();
        for known in touched.map_while(|page| sums.get(page)) {
            known.store(UNKNOWN, Ordering::Release);
        }
    }

    /// This was written there.
    pub(crate) fn learn(&self, offset: u64, bytes: &[u8]) {
        let sums = self.lock();
        for (page, bytes) in pages(offset, bytes) {
            if let Some(known) = sums.get(page) {
                known.store(sum(bytes), Ordering::Release);
            }
        }
    }

    /// Compares what was read with what is known, and learns what is not.
    fn compare(&self, offset: u64, bytes: &[u8]) -> Result<(), Differs> {
        let sums = self.lock();
        for (page, bytes) in pages(offset, bytes) {
            let Some(known) = sums.get(page) else { continue };
            let read = sum(bytes);
            let before = known.compare_exchange(UNKNOWN, read, Ordering::AcqRel, Ordering::Acquire);
            if before.is_err_and(|known| known != read) {
                return Err(Differs { page });
            }
        }
        Ok(())
    }

    /// Reads from the disk, and refuses what is not what was written.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::InvalidData`] with [`Differs`] for a page that differs however often it is read.
    pub(crate) fn read(
        &self,
        disk: &dyn StorageBackend,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        let mut outcome = Ok(());
        for _ in 0..=AGAIN {
            disk.read(offset, out)?;
            outcome = self.compare(offset, out);
            if outcome.is_ok() {
                return Ok(());
            }
            std::thread::yield_now();
        }
        outcome.map_err(|differs| io::Error::new(io::ErrorKind::InvalidData, differs))
    }
}

/// The file of sums of one store.
#[derive(Debug, Clone)]
pub(crate) struct SumsFile(PathBuf);

impl SumsFile {
    /// Beside the store at this path.
    pub(crate) fn beside(store: &Path) -> Self {
        let mut path = store.as_os_str().to_owned();
        path.push(".sums");
        Self(path.into())
    }

    /// The sums of the store as it is now, if they are here. A file that does not fit is no error: the store is verified whole.
    pub(crate) fn read(&self, store: &dyn StorageBackend) -> Option<Vec<u64>> {
        let length = store.len().ok()?;
        let count = length.div_ceil(PAGE_BYTES);
        let whole = count.checked_mul(WORD as u64)?.checked_add(FRAME_BYTES)?;
        let file = File::open(&self.0).ok()?;
        if file.metadata().ok()?.len() != whole {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(whole).ok()?);
        // Grown meanwhile, it is not what was looked at.
        file.take(whole).read_to_end(&mut bytes).ok()?;
        let (before, last) = bytes.split_last_chunk::<WORD>()?;
        let (heading, rest) = before.split_first_chunk::<WORD>()?;
        let (of_length, rest) = rest.split_first_chunk::<WORD>()?;
        let (of_first, sums) = rest.split_first_chunk::<WORD>()?;
        let fits = *heading == HEADING
            && u64::from_be_bytes(*last) == sum(before)
            && u64::from_be_bytes(*of_length) == length
            && u64::from_be_bytes(*of_first) == first_page(store).ok()?;
        let (sums, _none) = sums.as_chunks::<WORD>();
        fits.then(|| sums.iter().map(|sum| u64::from_be_bytes(*sum)).collect())
    }

    /// Writes the sums of a store that is about to be closed, durably and whole.
    ///
    /// # Errors
    /// The disk's; then there is no file, or the one before, which does not fit.
    pub(crate) fn write(&self, store: &dyn StorageBackend, sums: &Sums) -> io::Result<()> {
        let sums = sums.lock();
        let mut bytes = Vec::with_capacity(sums.len().saturating_add(4).saturating_mul(WORD));
        bytes.extend(HEADING);
        bytes.extend(store.len()?.to_be_bytes());
        bytes.extend(first_page(store)?.to_be_bytes());
        bytes.extend(sums.iter().flat_map(|sum| sum.load(Ordering::Acquire).to_be_bytes()));
        let last = sum(&bytes);
        bytes.extend(last.to_be_bytes());
        let unfinished = self.0.with_extension("unfinished-sums");
        let mut file = File::create(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &self.0)
    }
}

/// The sum of the file's first page.
fn first_page(store: &dyn StorageBackend) -> io::Result<u64> {
    let mut page = [0; PAGE];
    store.read(0, &mut page)?;
    Ok(sum(&page))
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    /// A store of four pages, of which the second is all ones.
    fn store() -> InMemoryBackend {
        let store = InMemoryBackend::new();
        store.set_len(4 * PAGE_BYTES).unwrap();
        store.write(PAGE_BYTES, &[1; PAGE]).unwrap();
        store
    }

    fn known(store: &InMemoryBackend) -> Sums {
        let sums = Sums::default();
        sums.resize(4 * PAGE_BYTES);
        let mut all = [0; 4 * PAGE];
        sums.read(store, 0, &mut all).unwrap();
        sums
    }

    fn read(sums: &Sums, store: &InMemoryBackend, offset: u64, length: usize) -> io::Result<()> {
        sums.read(store, offset, &mut vec![0; length])
    }

    #[test]
    fn a_page_that_was_changed_behind_our_back_is_refused_and_no_other() {
        let (store, mut seen) = (store(), 0);
        let sums = known(&store);
        for page in 1..4_u64 {
            store.write(page * PAGE_BYTES + 77, &[9]).unwrap();
            for other in 0..4_u64 {
                let outcome = read(&sums, &store, other * PAGE_BYTES, PAGE);
                assert_eq!(outcome.is_err(), other == page, "{page} {other}");
                seen += usize::from(outcome.is_err());
            }
            assert!(read(&sums, &store, 0, 4 * PAGE).is_err(), "nor together with others");
            store.write(page * PAGE_BYTES + 77, &[u8::from(page == 1)]).unwrap();
        }
        assert_eq!(seen, 3);
        read(&sums, &store, 0, 4 * PAGE).unwrap();
    }

    #[test]
    fn what_is_written_is_expected_and_what_is_written_in_part_is_learned_anew() {
        let store = store();
        let sums = known(&store);
        sums.forget(2 * PAGE_BYTES, PAGE);
        store.write(2 * PAGE_BYTES, &[5; PAGE]).unwrap();
        sums.learn(2 * PAGE_BYTES, &[5; PAGE]);
        read(&sums, &store, PAGE_BYTES, 2 * PAGE).unwrap();
        // Over the border of two pages.
        sums.forget(3 * PAGE_BYTES - 10, 20);
        assert!(!sums.knows(2) && !sums.knows(3) && sums.knows(1));
        store.write(3 * PAGE_BYTES - 10, &[6; 20]).unwrap();
        sums.learn(3 * PAGE_BYTES - 10, &[6; 20]);
        assert!(!sums.knows(2) && !sums.knows(3), "twenty bytes are no page");
        read(&sums, &store, PAGE_BYTES, 3 * PAGE).unwrap();
        assert!(sums.knows(2) && sums.knows(3));
        assert!(read(&sums, &store, 100, 50).is_ok(), "a part of a page is not compared");
    }

    #[test]
    fn a_file_of_sums_serves_the_very_store_that_it_was_written_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = SumsFile::beside(&directory.path().join("tower.redb"));
        let store = store();
        assert_eq!(file.read(&store), None, "there is none");
        let sums = known(&store);
        file.write(&store, &sums).unwrap();
        let read_back = file.read(&store).unwrap();
        assert_eq!(read_back.len(), 4);
        let again = Sums::new(read_back);
        assert!(!again.knows(0) && (1..4).all(|page| again.knows(page)));
        store.write(10, &[1]).unwrap();
        assert_eq!(file.read(&store), None, "the first page changed: the store was used since");
        store.write(10, &[0]).unwrap();
        assert!(file.read(&store).is_some());
        store.set_len(5 * PAGE_BYTES).unwrap();
        assert_eq!(file.read(&store), None, "it has another length");
        store.set_len(4 * PAGE_BYTES).unwrap();
        let whole = std::fs::read(&file.0).unwrap();
        for at in [0, 8, 16, 24, 40, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&file.0, damaged).unwrap();
            assert_eq!(file.read(&store), None, "{at}");
        }
        std::fs::write(&file.0, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(file.read(&store), None, "it is cut off");
        std::fs::write(&file.0, &whole).unwrap();
        assert!(file.read(&store).is_some());
    }
}
