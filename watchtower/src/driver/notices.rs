//! The way from the intake to the node: slots of disputed channels that hold something newer.
//!
//! **Invariant:** nothing told is lost. A slot that finds the queue full raises a flag instead, and the node then looks at the
//! slots of all its disputes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::Slot;
use tokio::sync::mpsc;

/// Slots that may wait for the node.
const SLOTS_MAX: usize = 256;

/// The intake's end.
#[derive(Debug, Clone)]
pub(crate) struct Notices {
    sender: mpsc::Sender<Slot>,
    missed: Arc<AtomicBool>,
}

/// The node's end.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Slots, in the order told.
    pub(crate) slots: mpsc::Receiver<Slot>,
    missed: Arc<AtomicBool>,
}

/// Both ends.
pub(crate) fn notices() -> (Notices, Heard) {
    let (sender, slots) = mpsc::channel(SLOTS_MAX);
    let missed = Arc::new(AtomicBool::new(false));
    (Notices { sender, missed: Arc::clone(&missed) }, Heard { slots, missed })
}

impl Notices {
    /// The slot holds something newer. Never waits.
    pub(crate) fn tell(&self, slot: Slot) {
        if self.sender.try_send(slot).is_err() {
            self.missed.store(true, Ordering::SeqCst);
        }
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
        let (notices, mut heard) = notices();
        let slot = |channel: u64| Slot {
            channel_id: ChannelId::try_from(channel).unwrap(),
            role: Role::Participant,
        };
        for channel in 1..=SLOTS_MAX as u64 {
            notices.tell(slot(channel));
        }
        assert!(!heard.take_missed());
        notices.tell(slot(1_000));
        assert!(heard.take_missed());
        assert!(!heard.take_missed());
        assert_eq!(heard.slots.try_recv().unwrap(), slot(1));
    }
}
