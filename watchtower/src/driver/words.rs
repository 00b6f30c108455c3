//! What the machine concludes, in sentences for people.

use alloy_primitives::U256;
use protocol::vnode::dispute::Verdict;
use protocol::vnode::rescue::Outcome;
use store::DisputeId;

use super::journal::{Line, ether};

/// A verdict, for people.
pub(crate) fn explain(verdict: &Verdict) -> String {
    match verdict {
        Verdict::NothingHeld => "no usable backup is held: nothing to bring".to_owned(),
        Verdict::NotNewer { held, standing } => {
            format!("honest as far as we know: nonce {held} is held, {standing} stands")
        }
        Verdict::Beaten { held, standing } => {
            format!("another override stands: nonce {held} is held, {standing} stands")
        }
        Verdict::NotExploitable(evidence) => format!(
            "nonce {} is newer, but would pay the disputer {} base units instead of {}: nothing to strike down",
            evidence.nonce, evidence.new_claim, evidence.standing_claim
        ),
        Verdict::TooLate(evidence) => {
            format!("an override could not be mined before Unix second {}", evidence.deadline)
        }
        Verdict::Unprofitable(evidence) => format!(
            "an override would earn {} and {} of fee, and cost {}: waiting for cheaper gas",
            ether(evidence.guaranteed),
            ether(evidence.fee_hoped),
            ether(evidence.cost)
        ),
        Verdict::Unfunded(evidence) => {
            format!("the account cannot pay {} for gas: send it ether", ether(evidence.cost))
        }
        Verdict::Override(evidence) => format!(
            "stale: nonce {} strikes the claim down from {} to {} base units; earns {} at once and {} of fee, costs about {}",
            evidence.nonce,
            evidence.standing_claim,
            evidence.new_claim,
            ether(evidence.guaranteed),
            ether(evidence.fee_hoped),
            ether(evidence.cost)
        ),
    }
}

/// How it ended, for people.
pub(crate) fn report(id: DisputeId, outcome: &Outcome) -> Line {
    let (word, message, wei) = match outcome {
        Outcome::Won { reward, fee } => (
            "won",
            format!("settled: earned {} of the bond and {} of fee", ether(*reward), ether(*fee)),
            reward.saturating_add(*fee),
        ),
        Outcome::Beaten { reward } => {
            ("beaten", format!("settled: another was last; earned {}", ether(*reward)), *reward)
        }
        Outcome::Lost => (
            "lost",
            "settled: there was something to win, and it was too late".to_owned(),
            U256::ZERO,
        ),
        Outcome::Declined(_) => {
            ("declined", "settled: there was nothing to do".to_owned(), U256::ZERO)
        }
    };
    Line::step(id, word, message).wei(wei)
}
