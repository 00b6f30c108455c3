//! The disputes that are open, as the node sees them.

use metrics::{Label as _, Life as Stage};
use protocol::vnode::dispute::Verdict;
use protocol::vnode::rescue::Step;

use super::{Recorder, count, step_of};
use crate::driver::journal::Line;
use crate::driver::life::Life;
use crate::driver::node::Node;

fn stage_of(step: Step) -> Stage {
    match step {
        Step::Seen => Stage::Seen,
        Step::Decrypted => Stage::Decrypted,
        Step::Decided => Stage::Waiting,
        Step::Proving => Stage::Proving,
        Step::Proved => Stage::Proved,
        Step::Submitting => Stage::Submitting,
        Step::Included { .. } => Stage::Included,
        Step::Beaten | Step::Lost | Step::Won | Step::Settled | Step::Collected | Step::Closed => {
            Stage::Over
        }
    }
}

/// Whether there is something to bring, and no override of ours in a block: also while it does not pay, cannot be paid, or
/// seems too late. Once the window is over nothing can be brought any more.
pub(crate) fn is_unanswered(step: Step, verdict: Option<&Verdict>) -> bool {
    let wanted = matches!(
        verdict,
        Some(
            Verdict::Override(_)
                | Verdict::Unprofitable(_)
                | Verdict::Unfunded(_)
                | Verdict::TooLate(_)
        )
    );
    match step {
        Step::Seen => true,
        Step::Decrypted | Step::Decided => wanted,
        Step::Proving | Step::Proved | Step::Submitting => true,
        _ => false,
    }
}

/// The part of the window that has passed at `now_s`, from zero to one, and the seconds that are left.
pub(crate) fn window(opened_at: u64, deadline: u64, now_s: u64) -> (f64, u64) {
    let whole = deadline.saturating_sub(opened_at).max(1);
    let passed = now_s.saturating_sub(opened_at).min(whole);
    let ratio = |part: u64| std::time::Duration::from_secs(part).as_secs_f64();
    (ratio(passed) / ratio(whole), deadline.saturating_sub(now_s))
}

impl Recorder {
    /// The disputes of the node at the chain's second `now_s`.
    fn disputes<'a>(&self, lives: impl Iterator<Item = &'a Life>, now_s: u64) {
        let mut stages = std::collections::BTreeMap::new();
        let (mut waiting, mut part, mut left) = (0, 0.0_f64, None::<u64>);
        for life in lives {
            *stages.entry(stage_of(life.step())).or_insert(0) += 1;
            let standing = life.row.record.facts.standing;
            let open = now_s < standing.deadline;
            if open && is_unanswered(life.step(), life.row.record.verdict.as_ref()) {
                let (passed, rest) = window(standing.opened_at, standing.deadline, now_s);
                waiting += 1;
                part = part.max(passed);
                left = Some(left.map_or(rest, |left| left.min(rest)));
            }
        }
        let dispute = &self.metrics.dispute;
        for stage in Stage::ALL {
            dispute.open.of(*stage).set(count(stages.get(stage).copied().unwrap_or(0)));
        }
        dispute.unanswered.set(count(waiting));
        dispute.unanswered_part.set(part);
        dispute.unanswered_left.set_count(left.unwrap_or(0));
    }
}

impl Node {
    /// A line is durable.
    pub(crate) fn record(&self, line: &Line) {
        let (dispute, row) = line.parts();
        let recorder = &self.parts.recorder;
        recorder.step(dispute, row);
        if step_of(&row.step) == metrics::Step::Seen
            && let Some(life) = self.lives.get(&dispute)
        {
            recorder.detected(life.row.record.facts.standing.opened_at);
        }
    }

    /// Writes down where all disputes stand.
    pub(crate) fn observe(&self) {
        self.parts.recorder.disputes(self.lives.values(), self.now);
    }
}
