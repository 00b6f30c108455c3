//! Turns the steps of disputes into the durations of their phases.
//!
//! **Invariant:** at most [`DISPUTES_MAX`] disputes are remembered; the one that was begun first makes room. A dispute that is
//! forgotten, or was begun before a restart, gives no durations rather than wrong ones.

use std::collections::BTreeMap;

use crate::components::Race;
use crate::label::{Phase, Step};

/// Disputes whose clock runs at once.
pub const DISPUTES_MAX: usize = 4_096;

/// A dispute: its channel and its epoch.
type Name = (u64, u64);

#[derive(Debug, Clone, Copy)]
struct Clock {
    seen_ms: u64,
    last_ms: u64,
    next: usize,
}

/// The clocks of the disputes that are being answered.
#[derive(Debug, Default)]
pub struct RaceClock {
    clocks: BTreeMap<Name, Clock>,
    order: std::collections::VecDeque<Name>,
}

/// The steps that end the phases after detection, in order.
const ENDS: [(Step, Phase); 6] = [
    (Step::Opened, Phase::Open),
    (Step::Decided, Phase::Decide),
    (Step::Proved, Phase::Prove),
    (Step::Sent, Phase::Send),
    (Step::Included, Phase::Include),
    (Step::Final, Phase::Finalize),
];

#[expect(clippy::cast_precision_loss, reason = "durations in milliseconds are far below 2^53")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

impl RaceClock {
    /// A step of a dispute, `at_ms` on this machine's clock. Steps out of order, such as a second bid, change nothing.
    pub fn step(&mut self, race: &Race, dispute: Name, step: Step, at_ms: u64) {
        if step == Step::Seen {
            self.begin(dispute, at_ms);
            return;
        }
        if matches!(step, Step::Closed | Step::Vanished) {
            self.clocks.remove(&dispute);
            self.order.retain(|known| *known != dispute);
            return;
        }
        let Some(clock) = self.clocks.get_mut(&dispute) else { return };
        let Some(&(expected, phase)) = ENDS.get(clock.next) else { return };
        if step != expected {
            return;
        }
        race.phases.of(phase).observe(seconds(at_ms.saturating_sub(clock.last_ms)));
        if step == Step::Included {
            race.answer.observe(seconds(at_ms.saturating_sub(clock.seen_ms)));
        }
        clock.last_ms = at_ms;
        clock.next = clock.next.saturating_add(1);
    }

    /// The block that holds a dispute has this time; the dispute is recorded `at_ms`.
    pub fn detected(&self, race: &Race, block_s: u64, at_ms: u64) {
        let block_ms = block_s.saturating_mul(1_000);
        race.phases.of(Phase::Detect).observe(seconds(at_ms.saturating_sub(block_ms)));
    }

    fn begin(&mut self, dispute: Name, at_ms: u64) {
        if self.clocks.insert(dispute, Clock { seen_ms: at_ms, last_ms: at_ms, next: 0 }).is_none()
        {
            self.order.push_back(dispute);
        }
        while self.clocks.len() > DISPUTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.clocks.remove(&oldest);
        }
    }
}
