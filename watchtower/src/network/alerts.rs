//! Alerts of other towers: heard, judged, and turned into something to look at.
//!
//! **Invariant:** an alert says where to look, nothing else. Nothing is opened, proven, sent or decided because of one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use chain::follower::Health;
use gossip::Peer;
use protocol::network::admission::{
    AlertDesk, AlertLimits, AlertStep, AlertView, Fault, Look, Verdict,
};
use store::Store;
use tokio::sync::{Notify, watch};

use super::towers::Towers;
use crate::admission::{is_live, lock};

/// Counts of alerts since the start.
#[derive(Debug, Default)]
pub struct AlertCounts {
    /// Alerts of our own that were handed to the network.
    pub told: AtomicU64,
    /// Alerts of others that were forwarded.
    pub forwarded: AtomicU64,
    /// Alerts of others that were dropped without blame.
    pub ignored: AtomicU64,
    /// Alerts of others that were wrong by what everybody can see.
    pub rejected: AtomicU64,
    /// Channels that were looked at because of an alert.
    pub looked: AtomicU64,
    /// Of those, disputes that another node of the chain showed while this tower had not read them.
    pub unseen: AtomicU64,
}

impl AlertCounts {
    /// Every count with its name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("told", &self.told),
            ("forwarded", &self.forwarded),
            ("ignored", &self.ignored),
            ("rejected", &self.rejected),
            ("looked", &self.looked),
            ("unseen", &self.unseen),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
        .into_iter()
    }
}

/// The desk for alerts, with this tower's view.
#[derive(Debug)]
pub(crate) struct Alerts {
    store: Store,
    follower: watch::Receiver<Health>,
    towers: Arc<Towers>,
    desk: Mutex<AlertDesk<Peer>>,
    counts: AlertCounts,
    wake: Notify,
    began: Instant,
}

impl Alerts {
    pub(crate) fn new(
        store: Store,
        follower: watch::Receiver<Health>,
        towers: Arc<Towers>,
    ) -> Self {
        let desk = AlertDesk::new(store.facts().domain(), AlertLimits::default());
        Self {
            store,
            follower,
            towers,
            desk: Mutex::new(desk),
            counts: AlertCounts::default(),
            wake: Notify::new(),
            began: Instant::now(),
        }
    }

    pub(crate) const fn counts(&self) -> &AlertCounts {
        &self.counts
    }

    /// Judges an alert. One recovery of a signature and one look into the store at most.
    pub(crate) fn hear(&self, from: Peer, bytes: &[u8]) -> Verdict {
        let verdict = self.judge(from, bytes);
        let count = match verdict {
            Verdict::Accept => &self.counts.forwarded,
            Verdict::Ignore(_) => &self.counts.ignored,
            Verdict::Reject(_) => &self.counts.rejected,
        };
        count.fetch_add(1, Ordering::Relaxed);
        verdict
    }

    fn judge(&self, from: Peer, bytes: &[u8]) -> Verdict {
        let (now_s, now_ms) = (crate::clock::now_s(), self.now_ms());
        let step = lock(&self.desk).offer(&from, bytes, now_s, now_ms);
        let unverified = match step {
            AlertStep::Done(verdict) => return verdict,
            AlertStep::Verify(unverified) => unverified,
        };
        let Ok(signed) = unverified.verify() else { return Verdict::Reject(Fault::Signature) };
        let alert = *signed.alert();
        // A store that cannot be read knows no channel; the alert is then heard if its block is news.
        let row = self.store.channel(alert.channel_id).ok().flatten();
        let view = AlertView {
            signer_known: self.towers.knows(&alert.tower),
            channel_live: row.is_some_and(|row| is_live(row.status)),
            head: self.follower.borrow().position,
        };
        let heard = lock(&self.desk).verified(&signed, view, now_s, now_ms);
        if heard.look {
            tracing::info!(
                channel = %alert.channel_id, epoch = alert.epoch, tower = %alert.tower, %from,
                block = alert.block_number, read = view.head, "another tower saw a dispute"
            );
            self.wake.notify_one();
        }
        heard.verdict
    }

    /// Waits until there is something to look at, then takes all of it. Cancel-safe.
    pub(crate) async fn looks(&self) -> Vec<Look> {
        loop {
            let looks: Vec<Look> = {
                let mut desk = lock(&self.desk);
                std::iter::from_fn(|| desk.looks().take()).collect()
            };
            if !looks.is_empty() {
                return looks;
            }
            self.wake.notified().await;
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
