//! The way from the intake to the node: slots of disputed channels that hold something newer. And the way back: which
//! channels those are.
//!
//! **Invariant:** a channel is shown as disputed before the node reads its slots for the dispute: what is committed earlier is
//! read then, and what is committed later is told.
//! **Invariant:** nothing told is lost. A slot that finds the queue full raises a flag instead, and the node then looks at the
//! slots of all its disputes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use protocol::ChannelId;
use store::Slot;
use tokio::sync::mpsc;

use crate::admission::lock;

/// Slots that may wait for the node.
const SLOTS_MAX: usize = 256;

/// The intake's end.
#[derive(Debug, Clone)]
pub(crate) struct Notices {
    sender: mpsc::Sender<Slot>,
    missed: Arc<AtomicBool>,
    disputed: Disputed,
}

/// Channels that are disputed now, each counted by its disputes that are not over.
type Disputed = Arc<Mutex<BTreeSet<ChannelId>>>;

/// The node's end.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Slots, in the order told.
    pub(crate) slots: mpsc::Receiver<Slot>,
    missed: Arc<AtomicBool>,
}

/// The node's way to show which channels are disputed.
#[derive(Debug)]
pub(crate) struct Shown(Disputed);

/// Both ends, and the way back.
pub(crate) fn notices() -> (Notices, Heard, Shown) {
    let (sender, slots) = mpsc::channel(SLOTS_MAX);
    let missed = Arc::new(AtomicBool::new(false));
    let disputed = Disputed::default();
    let shown = Shown(Arc::clone(&disputed));
    (Notices { sender, missed: Arc::clone(&missed), disputed }, Heard { slots, missed }, shown)
}

impl Notices {
    /// The channel to the node.
    pub(crate) fn channel(&self) -> &mpsc::Sender<Slot> {
        &self.sender
    }

    /// The slot holds something newer: the node is told if its channel is disputed. Never waits.
    pub(crate) fn tell(&self, slot: Slot) {
        if lock(&self.disputed).contains(&slot.channel_id) && self.sender.try_send(slot).is_err() {
            self.missed.store(true, Ordering::SeqCst);
        }
    }
}

impl Shown {
    /// The channel is disputed from now on.
    pub(crate) fn begin(&self, channel: ChannelId) {
        lock(&self.0).insert(channel);
    }

    /// The channel's dispute is over, or was taken back.
    pub(crate) fn end(&self, channel: ChannelId) {
        lock(&self.0).remove(&channel);
    }
}

impl Heard {
    /// Whether some slot did not fit into the queue since this was asked last.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ChannelId, Role};

    use super::*;

    #[test]
    fn what_does_not_fit_is_said_once() {
        let (notices, mut heard, shown) = notices();
        let slot = |channel: u64| Slot {
            channel_id: ChannelId::try_from(channel).unwrap(),
            role: Role::Participant,
        };
        notices.tell(slot(1));
        assert!(
            heard.slots.try_recv().is_err(),
            "nobody is told of a channel that is not disputed"
        );
        for channel in 1..=SLOTS_MAX as u64 {
            shown.begin(slot(channel).channel_id);
            notices.tell(slot(channel));
        }
        assert!(!heard.take_missed());
        shown.begin(slot(1_000).channel_id);
        notices.tell(slot(1_000));
        assert!(heard.take_missed());
        assert!(!heard.take_missed());
        assert_eq!(heard.slots.try_recv().unwrap(), slot(1));
        shown.end(slot(1).channel_id);
        notices.tell(slot(1));
        assert!(!heard.take_missed());
        assert_eq!(heard.slots.len(), SLOTS_MAX - 1);
    }
}
