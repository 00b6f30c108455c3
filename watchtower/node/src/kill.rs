//! Kills a node at one of its durable writes: how tests crash it.
//!
//! Driver and sender of a node share a switch, so that the writes of both are counted, in the order in which they are made.
//!
//! **Invariant:** after the write at which a node dies nothing of it becomes durable any more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The switch.
#[derive(Debug, Clone, Default)]
pub(crate) struct KillSwitch {
    /// Which write, from 1; 0 only counts.
    at: u64,
    /// After it is durable, or before it is handed over.
    after: bool,
    dead: Arc<AtomicBool>,
    seen: Arc<AtomicU64>,
    finals: Arc<AtomicU64>,
    /// When each of the final states became final.
    pub(crate) finals_at: Arc<Mutex<Vec<Instant>>>,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// It is made.
    Spared,
    /// The node dies, and it is not made.
    Before,
    /// It is made, and the node dies.
    After,
}

impl KillSwitch {
    /// Kills at the `at`-th write, before it is handed over or after it is durable.
    pub(crate) fn new(at: u64, after: bool) -> Self {
        Self { at, after, ..Self::default() }
    }

    /// Whether it is to kill at all.
    pub(crate) const fn is_armed(&self) -> bool {
        self.at > 0
    }

    /// A write is about to be made.
    pub(crate) fn strike(&self) -> Strike {
        if self.dead.load(Ordering::SeqCst) {
            return Strike::Before;
        }
        let seen = self.seen.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        if seen != self.at {
            return Strike::Spared;
        }
        self.dead.store(true, Ordering::SeqCst);
        if self.after { Strike::After } else { Strike::Before }
    }

    /// How many writes there were.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    /// A state became final.
    pub(crate) fn note_final(&self) {
        if let Ok(mut all) = self.finals_at.lock() {
            all.push(Instant::now());
        }
        self.finals.fetch_add(1, Ordering::SeqCst);
    }

    /// How many states became final.
    pub(crate) fn finals(&self) -> u64 {
        self.finals.load(Ordering::SeqCst)
    }
}
