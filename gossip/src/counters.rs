//! What the network counts. Bounds that turn something away each have a counter here.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Reconciliation is the tower's: it counts here what the network cannot see.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $name:ident,)+) => {
        /// Counts since the start.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[doc = $help])+ pub $name: Counter,)+ }

        impl Counters {
            /// Every counter with its name and its meaning.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($help),+), self.$name.get()),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Gossiped messages that were accepted and forwarded.
    gossip_accepted,
    /// Gossiped messages that were dropped without blame.
    gossip_ignored,
    /// Gossiped messages that were rejected; their senders lost score.
    gossip_rejected,
    /// Gossiped messages dropped because their sender had too many waiting.
    gossip_turned_away,
    /// Gossiped messages whose verdict came too late to forward them.
    gossip_late,
    /// Messages of our own that went out.
    published,
    /// Messages of our own that were not sent: nobody listens, or the network was busy.
    unpublished,
    /// Requests that were answered.
    requests_answered,
    /// Requests turned away because their sender had too many waiting.
    requests_turned_away,
    /// Requests that did not decode or were wrong.
    requests_malformed,
    /// Requests whose sender was gone before the answer.
    requests_abandoned,
    /// Connections refused because of a bound.
    connections_refused,
    /// Peers that were banned.
    bans,
    /// Reconciliations that ended well.
    syncs_done,
    /// Reconciliations that failed.
    syncs_failed,
    /// Bytes of reconciliation, requests and answers.
    sync_bytes,
    /// Envelopes that reconciliation brought.
    sync_envelopes,
}
