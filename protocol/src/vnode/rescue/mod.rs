//! The life of one dispute at a tower, as a state machine with durable steps.
//!
//! ```text
//!   Seen -> Decrypted -> Decided (idle) <--------+
//!              |            |                    |
//!              v            v                    |
//!           Proving -> Proved -> Submitting -> Included -> Won -> Settled -> Collected
//!                                    |             |(reorganised: back to Proved)
//!                                    +-> Beaten    +-> (deadline missed) Lost
//! ```
//!
//! The driver feeds [`Event`]s and carries the [`Effect`]s out in order. It sends [`Event::Clock`] with every block. After
//! a crash it calls [`Rescue::resume`] with the last durable [`Record`] and carries those effects out; each of them may be
//! repeated without harm.
//!
//! **Invariant:** whatever changes is persisted before anything else is done about it.
//!
//! **Invariant:** nothing is submitted unless the last decision was to override, and submission stops once somebody else
//! brought a state as new.
//!
//! **Invariant:** a submission that is recorded is asked for again with every block until it is included or of no more
//! use: the record alone does not show that the driver got as far as submitting.
//!
//! **Invariant:** whoever is the last corrector when the window closes settles, whatever else was under way.

use alloy_primitives::{Address, U256};

use super::dispute::{Conditions, Evidence, Facts, Policy, Verdict, decide_about, newest};
use crate::{
    ids::Nonce,
    vipe::Standing,
    zksc::{FinalState, State},
};

pub use types::{Effect, Event, Outcome, Record, Step};

mod types;

/// How often a proof is tried at once; afterwards once a block.
const PROOF_ATTEMPTS: u32 = 3;

/// One dispute at this tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    record: Record,
    policy: Policy,
}

impl Rescue {
    /// A dispute was seen on the chain.
    #[must_use]
    pub fn begin(facts: Facts, beneficiary: Address, policy: Policy) -> (Self, Vec<Effect>) {
        let record = Record {
            facts,
            beneficiary,
            held: None,
            verdict: None,
            proven: None,
            failed_proofs: 0,
            step: Step::Seen,
            reward: U256::ZERO,
            fee: U256::ZERO,
            spent: U256::ZERO,
        };
        let persist = Effect::Persist(Box::new(record.clone()));
        (Self { record, policy }, vec![persist, Effect::OpenEnvelopes])
    }

    /// Goes on from the last durable record: the effects that its step waits for.
    #[must_use]
    pub fn resume(record: Record, policy: Policy) -> (Self, Vec<Effect>) {
        let effects = match (record.step, record.held) {
            (Step::Seen, _) | (Step::Decided, None) => vec![Effect::OpenEnvelopes],
            (Step::Decrypted | Step::Decided | Step::Proved | Step::Submitting, _) => {
                vec![Effect::ReadConditions]
            }
            (Step::Proving, Some(state)) => vec![Effect::Prove(state)],
            (Step::Proving, None) => vec![Effect::OpenEnvelopes],
            (Step::Won, _) => vec![Effect::Settle],
            (Step::Settled, _) => vec![Effect::Collect],
            (Step::Included { .. } | Step::Beaten | Step::Lost, _)
            | (Step::Collected | Step::Closed, _) => Vec::new(),
        };
        (Self { record, policy }, effects)
    }

    /// The record as it stands.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Whether nothing more will come of this dispute.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.record.step, Step::Collected | Step::Closed)
    }

    /// Takes one event and returns what must be done, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let before = self.record.clone();
        let mut effects = match event {
            Event::Opened(states) => self.on_opened(&states),
            Event::Look(conditions) => self.on_look(conditions),
            Event::Clock(now) => self.on_clock(now),
            Event::Proved(nonce) => self.on_proved(nonce),
            Event::ProofFailed => self.on_proof_failed(),
            Event::Changed(standing) => self.on_changed(standing),
            Event::Included { number, hash, reward, cost } => {
                self.spend(cost);
                self.record.reward = self.record.reward.saturating_add(reward);
                self.record.step = Step::Included { number, hash };
                Vec::new()
            }
            Event::Removed { reward } => self.on_removed(reward),
            Event::Failed { cost } => self.on_failed(cost),
            Event::Settled { corrector, fee, cost } => self.on_settled(corrector, fee, cost),
            Event::Unsettled => self.on_unsettled(),
            Event::Collected { cost } => {
                self.spend(cost);
                if self.record.step == Step::Settled {
                    self.record.step = Step::Collected;
                }
                Vec::new()
            }
        };
        if self.record != before {
            effects.insert(0, Effect::Persist(Box::new(self.record.clone())));
        }
        effects
    }

    fn spend(&mut self, cost: U256) {
        self.record.spent = self.record.spent.saturating_add(cost);
    }

    /// Whether the dispute is in its window for all this tower knows.
    const fn is_open(&self) -> bool {
        !matches!(
            self.record.step,
            Step::Lost | Step::Won | Step::Settled | Step::Collected | Step::Closed
        )
    }

    /// Whether a state newer than the one that stands is held.
    fn holds_newer(&self) -> bool {
        self.record.held.is_some_and(|held| held.nonce > self.record.facts.standing.nonce)
    }

    fn on_opened(&mut self, states: &[FinalState]) -> Vec<Effect> {
        if !self.is_open() {
            return Vec::new();
        }
        let found = newest(states, &self.record.facts.ledger).map(|state| *state.state());
        let newer = found.filter(|found| self.record.held.is_none_or(|h| found.nonce > h.nonce));
        if let Some(found) = newer {
            self.record.held = Some(found);
        } else if self.record.step != Step::Seen {
            return Vec::new();
        }
        match self.record.step {
            Step::Included { .. } if !self.holds_newer() => Vec::new(),
            step => {
                self.record.step = Step::Decrypted;
                let stop = matches!(step, Step::Proving | Step::Submitting).then_some(Effect::Stop);
                stop.into_iter().chain([Effect::ReadConditions]).collect()
            }
        }
    }

    fn on_look(&mut self, mut conditions: Conditions) -> Vec<Effect> {
        let included = matches!(self.record.step, Step::Included { .. });
        if !self.is_open() || self.record.step == Step::Seen || (included && !self.holds_newer()) {
            return Vec::new();
        }
        let Some(held) = self.record.held else {
            self.record.verdict = Some(Verdict::NothingHeld);
            self.record.step = Step::Decided;
            return Vec::new();
        };
        let proven = self.record.proven == Some(held.nonce);
        if proven {
            conditions.proving = 0;
        }
        let verdict = decide_about(&self.record.facts, &held, &conditions, &self.policy);
        let step = self.record.step;
        // What is on its way is not called back because gas rose or time ran short: it may still be mined. After a crash it
        // may not be on its way at all, so it is asked for again; the ceiling keeps it from costing more than it earns.
        // Too late, nothing new is begun.
        if proven && step == Step::Submitting {
            match &verdict {
                Verdict::TooLate(_) => return Vec::new(),
                Verdict::Unprofitable(evidence) | Verdict::Unfunded(evidence) => {
                    return vec![self.submission(held, evidence)];
                }
                _ => {}
            }
        }
        self.record.verdict = Some(verdict.clone());
        match verdict {
            Verdict::Override(evidence) if proven => {
                self.record.step = Step::Submitting;
                vec![self.submission(held, &evidence)]
            }
            Verdict::Override(_) if step == Step::Proving => Vec::new(),
            Verdict::Override(_) => {
                self.record.step = Step::Proving;
                vec![Effect::Prove(held)]
            }
            other => {
                let beaten = matches!(other, Verdict::Beaten { .. });
                self.record.step = if beaten { Step::Beaten } else { Step::Decided };
                let busy = matches!(step, Step::Proving | Step::Submitting);
                busy.then_some(Effect::Stop).into_iter().collect()
            }
        }
    }

    fn submission(&self, state: State, evidence: &Evidence) -> Effect {
        let (deadline, ceiling) = (evidence.deadline, evidence.income(&self.policy));
        Effect::Submit { state, deadline, ceiling }
    }

    fn on_proved(&mut self, nonce: Nonce) -> Vec<Effect> {
        if self.record.held.is_none_or(|held| held.nonce != nonce) {
            return Vec::new();
        }
        self.record.proven = Some(nonce);
        self.record.failed_proofs = 0;
        if self.record.step != Step::Proving {
            return Vec::new();
        }
        self.record.step = Step::Proved;
        vec![Effect::ReadConditions]
    }

    fn on_proof_failed(&mut self) -> Vec<Effect> {
        let step = self.record.step;
        if !matches!(step, Step::Proving | Step::Submitting) {
            return Vec::new();
        }
        // A proof that was recorded and is not there when it is to be submitted is made again, with the next block.
        self.record.proven = None;
        self.record.failed_proofs = self.record.failed_proofs.saturating_add(1);
        self.record.step = Step::Decrypted;
        let at_once = step == Step::Proving && self.record.failed_proofs < PROOF_ATTEMPTS;
        at_once.then_some(Effect::ReadConditions).into_iter().collect()
    }

    fn on_changed(&mut self, standing: Standing) -> Vec<Effect> {
        if self.record.facts.standing == standing {
            return Vec::new();
        }
        self.record.facts.standing = standing;
        match self.record.step {
            Step::Seen | Step::Settled | Step::Collected | Step::Closed => Vec::new(),
            Step::Included { .. } if !self.holds_newer() => Vec::new(),
            // The proof names a state, not a dispute: what is proven stays proven. What was concluded from an old deadline
            // is open again.
            step if self.holds_newer() => {
                if matches!(step, Step::Won | Step::Lost) {
                    self.record.step = Step::Decrypted;
                }
                vec![Effect::ReadConditions]
            }
            Step::Proving | Step::Submitting => {
                self.record.step = Step::Beaten;
                vec![Effect::Stop]
            }
            _ => {
                self.record.step = Step::Beaten;
                Vec::new()
            }
        }
    }

    fn on_removed(&mut self, reward: U256) -> Vec<Effect> {
        self.record.reward = self.record.reward.saturating_sub(reward);
        let Step::Included { .. } = self.record.step else { return Vec::new() };
        self.record.step = Step::Proved;
        vec![Effect::ReadConditions]
    }

    fn on_failed(&mut self, cost: U256) -> Vec<Effect> {
        self.spend(cost);
        match self.record.step {
            Step::Submitting => {
                self.record.step = Step::Proved;
                vec![Effect::ReadConditions]
            }
            _ => Vec::new(),
        }
    }

    fn on_clock(&mut self, now: u64) -> Vec<Effect> {
        if self.is_open() && now >= self.record.facts.standing.deadline {
            return self.on_deadline();
        }
        match self.record.step {
            Step::Seen => vec![Effect::OpenEnvelopes],
            Step::Decided if self.record.held.is_none() => vec![Effect::OpenEnvelopes],
            Step::Decided if self.record.verdict.as_ref().is_some_and(Verdict::may_change) => {
                vec![Effect::ReadConditions]
            }
            Step::Decrypted | Step::Proved | Step::Submitting => vec![Effect::ReadConditions],
            Step::Won => vec![Effect::Settle],
            Step::Settled => vec![Effect::Collect],
            _ => Vec::new(),
        }
    }

    /// The window closed. Only the last corrector has a reason to pay for the settlement.
    fn on_deadline(&mut self) -> Vec<Effect> {
        let corrected = self.record.facts.standing.corrector == Some(self.record.beneficiary);
        let busy = matches!(self.record.step, Step::Proving | Step::Proved | Step::Submitting);
        if corrected {
            self.record.step = Step::Won;
        } else if busy {
            self.record.step = Step::Lost;
        }
        let stop = busy.then_some(Effect::Stop);
        stop.into_iter().chain(corrected.then_some(Effect::Settle)).collect()
    }

    fn on_settled(&mut self, corrector: Option<Address>, fee: U256, cost: U256) -> Vec<Effect> {
        self.spend(cost);
        if matches!(self.record.step, Step::Settled | Step::Collected | Step::Closed) {
            return Vec::new();
        }
        let step = self.record.step;
        let won = corrector == Some(self.record.beneficiary);
        self.record.fee = if won { fee } else { U256::ZERO };
        let Record { reward, fee, .. } = self.record;
        let outcome = match (&self.record.verdict, step) {
            _ if won => Outcome::Won { reward, fee },
            (_, Step::Beaten) => Outcome::Beaten { reward },
            _ if !reward.is_zero() => Outcome::Beaten { reward },
            (Some(Verdict::TooLate(_)), Step::Decided) => Outcome::Lost,
            (Some(verdict), Step::Decided) => Outcome::Declined(verdict.clone()),
            _ => Outcome::Lost,
        };
        let earned = !reward.is_zero() || !fee.is_zero();
        self.record.step = if earned { Step::Settled } else { Step::Closed };
        let stop = matches!(step, Step::Proving | Step::Submitting).then_some(Effect::Stop);
        let collect = earned.then_some(Effect::Collect);
        stop.into_iter().chain([Effect::Report(outcome)]).chain(collect).collect()
    }

    fn on_unsettled(&mut self) -> Vec<Effect> {
        if !matches!(self.record.step, Step::Settled | Step::Collected | Step::Closed) {
            return Vec::new();
        }
        let won = !self.record.fee.is_zero();
        self.record.fee = U256::ZERO;
        self.record.step = if won { Step::Won } else { Step::Beaten };
        won.then_some(Effect::Settle).into_iter().collect()
    }
}
