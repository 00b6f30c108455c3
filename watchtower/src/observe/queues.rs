//! Queues against their bounds.

use chain::submitter::ObligationId;
use metrics::Queue;
use store::Slot;
use tokio::sync::mpsc;

use super::{Recorder, count};
use crate::driver::submit::Told;
use crate::driver::watch::Delivery;

/// How much waits, and how much can.
pub(crate) type Depth = (usize, usize);

type Probe = Box<dyn Fn() -> Depth + Send + Sync>;

/// How to ask each queue.
#[derive(Default)]
pub(super) struct Probes(Vec<(Queue, Probe)>);

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(queue, _)| queue)).finish()
    }
}

impl Recorder {
    /// Asks this queue at every scrape.
    pub(crate) fn watch_queue(
        &self,
        queue: Queue,
        probe: impl Fn() -> Depth + Send + Sync + 'static,
    ) {
        let mut probes = self.queues.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        probes.0.push((queue, Box::new(probe)));
    }

    /// [`Recorder::watch_queue`] for a channel; keeps it neither open nor alive.
    pub(crate) fn watch_channel<T: Send + 'static>(&self, queue: Queue, sender: &mpsc::Sender<T>) {
        let (weak, bound) = (sender.downgrade(), sender.max_capacity());
        self.watch_queue(queue, move || {
            let free = weak.upgrade().map_or(bound, |sender| sender.capacity());
            (bound.saturating_sub(free), bound)
        });
    }

    /// The queues between the tasks.
    pub(crate) fn watch_queues(
        &self,
        batches: &mpsc::Sender<Delivery>,
        reports: &mpsc::Sender<Told>,
        deadlines: &mpsc::Sender<(ObligationId, u64)>,
        notices: &mpsc::Sender<Slot>,
    ) {
        self.watch_channel(Queue::Batches, batches);
        self.watch_channel(Queue::Reports, reports);
        self.watch_channel(Queue::Deadlines, deadlines);
        self.watch_channel(Queue::Notices, notices);
    }

    pub(super) fn scrape_queues(&self) {
        let probes = self.queues.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (queue, probe) in &probes.0 {
            let (depth, bound) = probe();
            self.metrics.queues.depth.of(*queue).set(count(depth));
            self.metrics.queues.capacity.of(*queue).set(count(bound));
        }
    }
}
