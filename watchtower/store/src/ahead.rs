//! Reads a file ahead of its opening, in order, so that a disk delivers it at its full speed.
//!
//! Opening visits every page to verify it, in the order of the trees, which is no order on the disk. Beside it one thread asks
//! the operating system for the file from front to back; nothing is copied, and what is in memory already costs nothing.
//!
//! **Invariant:** it only asks: whatever it meets, the opening goes on as without it.

use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{Advice, fadvise};

/// What is asked for at a time: Linux takes no more than its read-ahead window in one request.
const STEP_BYTES: u64 = 128 << 10;

/// Asks until it is dropped, or the file has ended.
#[derive(Debug)]
pub(crate) struct Ahead {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Begins; none if there is no such file, or no thread to be had.
    pub(crate) fn begin(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let ask = move || ask(&file, length, &stopped);
        let thread = std::thread::Builder::new().name("store-ahead".to_owned()).spawn(ask).ok()?;
        Some(Self { stop, thread: Some(thread) })
    }
}

fn ask(file: &File, length: u64, stop: &AtomicBool) {
    let mut at = 0;
    while at < length && !stop.load(Ordering::Relaxed) {
        if fadvise(file, at, NonZeroU64::new(STEP_BYTES), Advice::WillNeed).is_err() {
            return;
        }
        at = at.saturating_add(STEP_BYTES);
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_ends_with_the_file_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(Ahead::begin(&path).is_none());
        let bytes = vec![7; 1 << 20];
        std::fs::write(&path, &bytes).unwrap();
        let mut ahead = Ahead::begin(&path).unwrap();
        ahead.thread.take().unwrap().join().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
