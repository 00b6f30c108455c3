//! What the words of the journal and the submitter's reports count as.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_primitives::U256;
use chain::submitter::{ObligationId, Report};
use metrics::{Outcome, ProofEnd, Purpose as Kind, Step};
use store::{DisputeId, JournalRow};

use super::Recorder;
use crate::driver::obligation::Purpose;
use crate::driver::submit::Told;

/// Obligations whose last nonce is remembered, to tell a higher bid from a first one.
const BIDS_MAX: usize = 4_096;

/// The last nonce of each obligation that has a transaction.
#[derive(Debug, Default)]
pub(super) struct Bids(BTreeMap<ObligationId, u64>);

/// The step with this word; what is not known is counted as other, and a test finds it.
pub(crate) fn step_of(word: &str) -> Step {
    Step::named(word).unwrap_or(Step::Other)
}

fn outcome_of(step: Step) -> Option<Outcome> {
    match step {
        Step::Won => Some(Outcome::Won),
        Step::Beaten => Some(Outcome::Beaten),
        Step::Lost => Some(Outcome::Lost),
        Step::Declined => Some(Outcome::Declined),
        _ => None,
    }
}

/// Wei as Prometheus can hold it: exact to 53 bits, which is enough to be seen.
pub(super) fn wei(amount: U256) -> f64 {
    amount.to_string().parse().unwrap_or(f64::MAX)
}

impl Recorder {
    /// A step is durable.
    pub(crate) fn step(&self, dispute: DisputeId, row: &JournalRow) {
        let step = step_of(&row.step);
        let metrics = &self.metrics;
        metrics.dispute.steps.of(step).inc();
        let took = row.took_us.map(Duration::from_micros);
        match step {
            Step::Proved => {
                metrics.prover.proofs.of(ProofEnd::Made).inc();
                metrics.prover.proof.observe(took.unwrap_or_default().as_secs_f64());
            }
            Step::ProofFailed => metrics.prover.proofs.of(ProofEnd::Failed).inc(),
            Step::Final => metrics.dispute.spent.add(row.wei.map_or(0.0, wei)),
            Step::Closed => metrics.dispute.earned.add(row.wei.map_or(0.0, wei)),
            _ => {}
        }
        if let Some(outcome) = outcome_of(step) {
            metrics.dispute.outcomes.of(outcome).inc();
        }
        let name = (dispute.channel_id.get(), dispute.epoch);
        self.memory().race.step(&metrics.race, name, step, row.at_ms);
    }

    /// A dispute was recorded whose block has this time.
    pub(crate) fn detected(&self, block_s: u64) {
        self.memory().race.detected(&self.metrics.race, block_s, crate::clock::now_ms());
    }

    /// The submitter says something.
    pub(crate) fn told(&self, told: &Told) {
        match &told.report {
            Report::Sending(attempt) => {
                let kind = if attempt.cancel { Kind::Cancel } else { kind_of(told.owner.purpose) };
                self.metrics.submit.sent.of(kind).inc();
                self.metrics.submit.bid.set(wei(U256::from(attempt.fees.max_fee)));
                let bids = &mut self.memory().bids.0;
                if bids.insert(told.id, attempt.nonce) == Some(attempt.nonce) {
                    self.metrics.submit.bumps.inc();
                }
                while bids.len() > BIDS_MAX {
                    bids.pop_first();
                }
            }
            Report::Ended(_) => {
                self.memory().bids.0.remove(&told.id);
            }
            _ => {}
        }
    }
}

fn kind_of(purpose: Purpose) -> Kind {
    match purpose {
        Purpose::Override { .. } => Kind::Override,
        Purpose::Settle => Kind::Settle,
        Purpose::Collect => Kind::Collect,
    }
}
