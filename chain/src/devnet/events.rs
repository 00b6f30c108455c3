//! What subscribers and polled filters hear about, in one numbered order.
//!
//! Events go to a broadcast channel (WebSocket subscriptions) and into a bounded ring (filters, which poll). Both have
//! the same bound: whoever falls behind it is cut off, and the chain never waits for anybody.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::broadcast;

use super::blocks::{Block, SignedTx};

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A block became the newest one.
    Block(Arc<Block>),
    /// A block left the canonical chain.
    Removed(Arc<Block>),
    /// A transaction entered the pool.
    Transaction(Arc<SignedTx>),
}

/// An event with its place in the order.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub(crate) sequence: u64,
    pub(crate) event: Event,
}

/// The log of recent events.
#[derive(Debug)]
pub(crate) struct Events {
    ring: VecDeque<Numbered>,
    next: u64,
    bound: usize,
    sender: broadcast::Sender<Numbered>,
}

impl Events {
    pub(crate) fn new(bound: usize) -> Self {
        Self { ring: VecDeque::new(), next: 0, bound, sender: broadcast::Sender::new(bound) }
    }

    pub(crate) fn publish(&mut self, event: Event) {
        let numbered = Numbered { sequence: self.next, event };
        self.next += 1;
        if self.ring.len() >= self.bound {
            self.ring.pop_front();
        }
        self.ring.push_back(numbered.clone());
        // An error means that nobody listens.
        let _listeners = self.sender.send(numbered);
    }

    /// Number of the next event.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Events from `sequence` on; none if some of them are already forgotten.
    pub(crate) fn since(&self, sequence: u64) -> Option<impl Iterator<Item = &Event>> {
        let first = self.ring.front().map_or(self.next, |numbered| numbered.sequence);
        if sequence < first {
            return None;
        }
        Some(
            self.ring
                .iter()
                .filter(move |numbered| numbered.sequence >= sequence)
                .map(|numbered| &numbered.event),
        )
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Numbered> {
        self.sender.subscribe()
    }
}
