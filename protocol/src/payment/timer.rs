//! How long something has waited, and when to send it again: after a pause that doubles each time.

use crate::zksc::handshake::Millis;

/// A wait between two sendings of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    since: Millis,
    next: Millis,
    pause: Millis,
}

impl Timer {
    /// Starts to wait; the first repetition is due after `pause`.
    pub(super) const fn start(now: Millis, pause: Millis) -> Self {
        Self { since: now, next: now.saturating_add(pause), pause }
    }

    /// How long it has waited in all.
    pub(super) const fn waited(&self, now: Millis) -> Millis {
        now.saturating_sub(self.since)
    }

    /// Whether a repetition is due; if so the next one is due after twice the pause, at most after `most`.
    pub(super) fn is_due(&mut self, now: Millis, most: Millis) -> bool {
        let due = now >= self.next;
        if due {
            self.pause = self.pause.saturating_mul(2).min(most);
            self.next = now.saturating_add(self.pause);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let mut timer = Timer::start(100, 10);
        let due: Vec<Millis> = (100..=300).filter(|now| timer.is_due(*now, 40)).collect();
        assert_eq!(due, [110, 130, 170, 210, 250, 290]);
        assert_eq!(timer.waited(300), 200);
    }
}
