//! Reads the whole file, slowly, after a start that did not: a page that nobody asks for today is asked for in a dispute.
//!
//! What it finds is said to a person and ends nothing: the page may be one that is never asked for again, and a tower that
//! stops cannot answer disputes of all the others. It goes on with the rest of the file; the next start verifies all of it.
//!
//! **Invariant:** it never delays anybody: it takes no lock for longer than one page, and pauses after each step.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::ahead::Ahead;
use crate::backend::Trouble;
use crate::opening::Unread;
use crate::sums::PAGE;

/// A start has better things to do.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Between two steps: 16 MiB a second, two minutes for a million channels, a hundredth of a core.
const PAUSE: Duration = Duration::from_millis(64);
/// Pages of one step: a megabyte.
const STEP: usize = 256;

/// How far the comparison of all pages has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// Pages of the file.
    pub pages: usize,
    /// Of those, how many were looked at.
    pub compared: usize,
    /// Of those, how many do not read as they were written.
    pub damaged: usize,
}

#[derive(Debug)]
struct Shared {
    unread: Unread,
    trouble: Arc<Trouble>,
    compared: AtomicUsize,
    damaged: AtomicUsize,
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Shared {
    /// Waits; false when it is time to stop.
    fn pause(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stopped, pause, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }

    /// Compares every page of the file once.
    fn run(&self, first: Duration, between: Duration) {
        let mut next = 1;
        let mut pause = first;
        while next < self.unread.sums.len() {
            if !self.pause(pause) {
                return;
            }
            pause = between;
            let end = next.saturating_add(STEP).min(self.unread.sums.len());
            for page in next..end {
                if !self.compare(page) {
                    return;
                }
                self.compared.store(page.saturating_add(1), Ordering::Relaxed);
            }
            next = end;
        }
        let damaged = self.damaged.load(Ordering::Relaxed);
        tracing::info!(pages = next, damaged, "the whole store was compared with what was written");
    }

    /// False when the comparison makes no sense any more: the disk was in trouble, and the sums may be old.
    fn compare(&self, page: usize) -> bool {
        if !self.unread.sums.knows(page) {
            return true;
        }
        let mut bytes = [0; PAGE];
        let at = u64::try_from(page.saturating_mul(PAGE)).unwrap_or(u64::MAX);
        let read = self.unread.sums.read(self.unread.disk.as_ref(), at, &mut bytes);
        let Err(error) = read else { return true };
        // The file may have become shorter meanwhile.
        if self.trouble.is_doubted() || !self.unread.sums.knows(page) {
            return false;
        }
        self.damaged.fetch_add(1, Ordering::Relaxed);
        self.trouble.doubt_page();
        tracing::error!(
            page, %error,
            "a page of the store is damaged: the tower goes on; check the disk, and restart when no dispute is open: the next start verifies the whole file"
        );
        true
    }
}

/// The comparison, on a thread of its own; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Scrub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Scrub {
    /// Begins; none if there is no thread to be had. `ahead` lives as long as it does.
    pub(crate) fn begin(
        unread: Unread,
        trouble: Arc<Trouble>,
        ahead: Option<Ahead>,
    ) -> Option<Self> {
        let shared = Arc::new(Shared {
            unread,
            trouble,
            compared: AtomicUsize::new(0),
            damaged: AtomicUsize::new(0),
            stopped: Mutex::new(false),
            wake: Condvar::new(),
        });
        let inside = Arc::clone(&shared);
        let run = move || {
            inside.run(FIRST_PAUSE, PAUSE);
            drop(ahead);
        };
        let thread = std::thread::Builder::new().name("store-scrub".to_owned()).spawn(run).ok()?;
        Some(Self { shared, thread: Some(thread) })
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> Scrubbed {
        Scrubbed {
            pages: self.shared.unread.sums.len(),
            compared: self.shared.compared.load(Ordering::Relaxed),
            damaged: self.shared.damaged.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::sums::Sums;

    const PAGES: usize = 700;

    /// A file whose pages are all known, and a comparison of it that was not begun.
    fn shared() -> (Arc<InMemoryBackend>, Shared) {
        let disk = Arc::new(InMemoryBackend::new());
        disk.set_len((PAGES * PAGE) as u64).unwrap();
        let sums = Arc::new(Sums::default());
        sums.resize((PAGES * PAGE) as u64);
        sums.read(disk.as_ref(), 0, &mut vec![0; PAGES * PAGE]).unwrap();
        let shared = Shared {
            unread: Unread { disk: Arc::clone(&disk) as Arc<dyn StorageBackend>, sums },
            trouble: Arc::new(Trouble::new("simulated".into())),
            compared: AtomicUsize::new(0),
            damaged: AtomicUsize::new(0),
            stopped: Mutex::new(false),
            wake: Condvar::new(),
        };
        (disk, shared)
    }

    #[test]
    fn a_damaged_page_that_nobody_asks_for_is_found_and_the_store_stays_in_use() {
        let (disk, shared) = shared();
        for page in [1, 300, PAGES - 1] {
            disk.write((page * PAGE + 5) as u64, &[1]).unwrap();
        }
        shared.run(Duration::ZERO, Duration::ZERO);
        assert_eq!(shared.damaged.load(Ordering::Relaxed), 3);
        assert_eq!(shared.compared.load(Ordering::Relaxed), PAGES);
        assert!(shared.trouble.damage().is_none(), "nobody asked for them");
        assert!(!shared.trouble.may_keep_sums(), "the next start verifies the whole file");
    }

    #[test]
    fn a_whole_file_leaves_no_doubt_and_one_in_trouble_is_not_accused() {
        let (disk, whole) = shared();
        whole.trouble.opened();
        whole.run(Duration::ZERO, Duration::ZERO);
        assert_eq!(whole.damaged.load(Ordering::Relaxed), 0);
        assert!(whole.trouble.may_keep_sums());
        whole.trouble.doubt();
        disk.write(PAGE as u64, &[1]).unwrap();
        whole.run(Duration::ZERO, Duration::ZERO);
        assert_eq!(whole.damaged.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn dropping_it_ends_it_at_once() {
        let (_disk, shared) = shared();
        let Shared { unread, trouble, .. } = shared;
        let begun = std::time::Instant::now();
        let scrub = Scrub::begin(unread, trouble, None).unwrap();
        assert_eq!(scrub.progress(), Scrubbed { pages: PAGES, compared: 0, damaged: 0 });
        drop(scrub);
        assert!(begun.elapsed() < FIRST_PAUSE / 2);
    }
}
