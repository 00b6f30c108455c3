//! The submitter's decisions: what to ask, what to sign, what to store, when to give up.
//!
//! Pure: events in, effects out. The driver carries the effects out in order and feeds the answers back; a test can be the
//! chain, the pool and the crash.
//!
//! ```text
//!            fits                     in a block                    final
//! Waiting -----------> InFlight ---------------------> Mined ----------------> Ended
//!    ^  |                | ^ |  ^                        | |
//!    |  | refused, final | | |  +--- reorganised away ---+ |
//!    |  | or expired     | | +-- unmined: bid more         |
//!    |  v                | +-- refused: cancel             |
//!    | Ended             |                                 |
//!    +---- nonce taken --+------- failed or cancelled -----+
//! ```
//!
//! **Invariant:** a transaction is sent only after an [`Effect::Persist`] of a record that holds its hash.
//! **Invariant:** nothing ends an obligation but a final block or a passed deadline; trouble with the node never does. When a
//! refusal is reason enough: `giving_up`.
//! **Invariant:** the gas of all attempts of an obligation, and of what it pays for, together stays within its `max_cost`,
//! also when a reorganisation brings earlier attempts back.
//! **Invariant:** one refused simulation cancels nothing, unless what it says cannot pass: a node may be behind.

mod giving_up;
mod queue;
mod send;
mod way;
mod witness;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};

use self::witness::Witness;
use super::{
    message::{Effect, Event, Patience, Report, Route, Simulation, View},
    plan,
    record::{Attempt, Obligation, ObligationId, Outcome, Rank, Record, Stage},
};
use crate::{
    provider::{Header, Receipt},
    refusal::RefusalKind,
};

/// What is only remembered while the program runs.
#[derive(Debug, Clone, Default)]
struct Memory {
    /// Waits for its hash.
    signing: Option<Attempt>,
    /// The node has the newest attempt.
    taken: bool,
    /// The node wants more for it.
    underpriced: bool,
    /// When the newest attempt was last handed on, and to whom.
    sent_ms: u64,
    sent_to: Option<Route>,
    /// It could not be sent when it was last looked at, which was then.
    stepped_back: bool,
    looked_ms: u64,
    /// The last report about money, so that it is not repeated every round.
    told: Option<Report>,
    /// How often the node was asked in vain what the call would do in the newest final block.
    final_unknown: u32,
}

/// All obligations of one account.
#[derive(Debug)]
pub(super) struct Core {
    account: Address,
    patience: Patience,
    records: BTreeMap<ObligationId, Record>,
    memory: BTreeMap<ObligationId, Memory>,
    view: Option<View>,
    /// The newest block and when it was first seen, in milliseconds since 1970.
    head_seen: Option<(B256, u64)>,
    witness: Witness,
}

/// The most attempts with one nonce. Twelve and a half percent each time, this is a factor of two thousand.
const ATTEMPTS_MAX: usize = 64;
/// The most transactions that are in no block yet: nodes keep 64 per account, 16 of them for certain.
const IN_FLIGHT_MAX: usize = 16;
/// Of these, how many are kept for what is urgent.
const IN_FLIGHT_URGENT: usize = 4;

impl Core {
    /// No obligations of `account` yet.
    pub(super) const fn new(account: Address, patience: Patience) -> Self {
        Self {
            account,
            patience,
            records: BTreeMap::new(),
            memory: BTreeMap::new(),
            view: None,
            head_seen: None,
            witness: Witness::new(),
        }
    }

    /// How many obligations have not ended.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Changes a deadline and returns the changed record.
    pub(super) fn set_deadline(
        &mut self,
        id: ObligationId,
        deadline: Option<u64>,
    ) -> Option<Record> {
        let record = self.records.get_mut(&id)?;
        record.obligation.deadline = deadline;
        Some(record.clone())
    }

    /// Takes over a record that the caller has stored. A known name is left alone.
    pub(super) fn add(&mut self, record: Record) {
        let id = record.obligation.id;
        if record.outcome().is_none() && !self.records.contains_key(&id) {
            self.records.insert(id, record);
            self.memory.insert(id, Memory::default());
        }
    }

    /// Gives the least urgent idle obligation back to the caller, if this one goes before it.
    pub(super) fn displace(&mut self, by: Rank) -> Option<ObligationId> {
        let least = self.least_urgent().filter(|least| by < *least)?.id();
        self.memory.remove(&least);
        self.records.remove(&least).map(|_| least)
    }

    /// Whether an obligation of this name is open.
    pub(super) fn knows(&self, id: ObligationId) -> bool {
        self.records.contains_key(&id)
    }

    /// Whether an attempt of this obligation has this hash.
    pub(super) fn has_attempt(&self, id: ObligationId, hash: &B256) -> bool {
        self.records.get(&id).is_some_and(|record| record.attempt(hash).is_some())
    }

    /// The obligations that have not ended.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// The obligation with this name, if it has not ended.
    pub(super) fn obligation(&self, id: ObligationId) -> Option<&Obligation> {
        self.records.get(&id).map(|record| &record.obligation)
    }

    /// Takes one event and returns what must be done about it.
    pub(super) fn handle(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Round(view) => self.on_round(*view),
            Event::Found { id, receipts } => self.on_found(id, &receipts),
            Event::Simulated { id, simulation } => self.on_simulated(id, simulation),
            Event::SimulatedFinal { id, simulation } => self.on_simulated_final(id, simulation),
            Event::Signed { id, hash } => self.on_signed(id, hash),
            Event::Sent { id, answer } => {
                self.on_sent(id, answer);
                Vec::new()
            }
        }
    }

    fn on_round(&mut self, view: View) -> Vec<Effect> {
        self.view = Some(view);
        if self.head_seen.is_none_or(|(head, _)| head != view.head.id.hash) {
            self.head_seen = Some((view.head.id.hash, view.now_ms));
        }
        let mut effects = self.look_for_strangers(&view);
        effects.extend(self.fill_gaps(&view));
        for memory in self.memory.values_mut() {
            memory.signing = None;
        }
        for record in self.records.values_mut() {
            record.since.get_or_insert(view.head.timestamp);
        }
        for id in self.order(&view) {
            let Some(record) = self.records.get(&id) else { continue };
            let hashes = plan::to_look_for(record, view.nonce);
            if hashes.is_empty() {
                effects.extend(self.consider(id, &view));
            } else {
                effects.push(Effect::FindReceipts { id, hashes });
            }
        }
        effects
    }

    /// Adds an empty transfer for each nonce that nothing of ours uses while something waits behind it.
    fn fill_gaps(&mut self, view: &View) -> Vec<Effect> {
        let used = self.nonces();
        let Some(last) = used.last().copied() else { return Vec::new() };
        let gaps: Vec<u64> =
            (view.nonce..last).filter(|nonce| !used.contains(nonce)).take(IN_FLIGHT_MAX).collect();
        let mut effects = Vec::new();
        for nonce in gaps {
            let record = Record::filler(self.account, nonce, plan::filler_budget(&view.market));
            if !self.records.contains_key(&record.obligation.id) {
                effects.push(Effect::Persist(Box::new(record.clone())));
                self.add(record);
            }
        }
        effects
    }

    /// The nonces in use, ascending.
    fn nonces(&self) -> Vec<u64> {
        let mut nonces: Vec<u64> = self.records.values().filter_map(Record::nonce).collect();
        nonces.extend(
            self.memory.values().filter_map(|memory| memory.signing.map(|attempt| attempt.nonce)),
        );
        nonces.sort_unstable();
        nonces
    }

    fn on_found(&mut self, id: ObligationId, receipts: &[Receipt]) -> Vec<Effect> {
        let (Some(view), Some(record)) = (self.view, self.records.get_mut(&id)) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        self.memory.entry(id).or_default().looked_ms = view.now_ms;
        let found = plan::telling(record, receipts);
        if plan::account_for(record, found, receipts, view.final_nonce) {
            effects.push(Effect::Persist(Box::new(record.clone())));
        }
        let Some((receipt, done)) = found else {
            effects.extend(self.on_not_found(id, &view));
            return effects;
        };
        if !matches!(&record.stage, Stage::Mined { receipt: known } if *known == receipt) {
            record.stage = Stage::Mined { receipt };
            record.nonce_lost = None;
            effects.push(Effect::Persist(Box::new(record.clone())));
            effects.push(Effect::Report { id, report: Report::Included(receipt) });
            if record.nonce().is_some_and(|nonce| nonce >= view.nonce) {
                // An earlier attempt came back while another one waits: that one is not needed any more.
                effects.extend(self.cancel(id, &view));
                return effects;
            }
        }
        let is_final = view.finalized.is_some_and(|block| block.id.number >= receipt.block.number);
        if done {
            if is_final {
                effects.extend(self.end(id, Outcome::Finalized { receipt }));
            }
        } else if is_final || record.obligation.repeat_safe {
            // It took its nonce and did nothing. If the contract refuses a repetition, another try needs no waiting.
            record.write_off(&receipt, view.head.id.number);
            effects.push(Effect::Persist(Box::new(record.clone())));
            effects.extend(self.consider(id, &view));
        }
        effects
    }

    fn on_not_found(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(record) = self.records.get_mut(&id) else { return Vec::new() };
        let mut effects = Vec::new();
        if matches!(record.stage, Stage::Mined { .. }) {
            record.stage =
                if record.attempts.is_empty() { Stage::Waiting } else { Stage::InFlight };
            effects.push(Effect::Persist(Box::new(record.clone())));
            effects.push(Effect::Report { id, report: Report::Reorganised });
            // The pool may have dropped it: hand it in again.
            self.memory.entry(id).or_default().taken = false;
        }
        effects.extend(self.consider(id, view));
        effects
    }

    /// Decides about an obligation of which nothing is in a block.
    fn consider(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(record) = self.records.get_mut(&id) else { return effects };
        if record.nonce().is_some_and(|nonce| nonce < view.nonce) {
            let Some(taken) = plan::nonce_lost(record, view) else { return effects };
            record.retire(view.head.id.number);
            effects.push(Effect::Persist(Box::new(record.clone())));
            effects.push(Effect::Report { id, report: Report::NonceTaken(taken) });
            effects.extend(self.nonce_was_taken(taken));
        }
        let Some(record) = self.records.get_mut(&id) else { return effects };
        if record.nonce().is_some_and(|nonce| nonce >= view.nonce) {
            // A reorganisation gave it back.
            record.nonce_lost = None;
        }
        let Some(record) = self.records.get(&id) else { return effects };
        let now = view.head.timestamp;
        if record.fills.is_some_and(|nonce| nonce < view.nonce) && record.attempts.is_empty() {
            effects.extend(self.end(id, Outcome::Superseded));
        } else if self.is_hopeless(record, view) {
            effects.extend(self.on_late(id, view));
        } else if record.obligation.not_before.is_none_or(|start| now >= start) {
            let value = record.obligation.call.value;
            let estimate = record.attempts.iter().all(|attempt| attempt.cancel);
            if view.balance < value {
                // Nodes refuse to simulate what cannot be paid.
                let report = Report::Unfunded { needed: value, balance: view.balance };
                effects.extend(self.tell_once(id, report));
                self.step_back(id, true, view);
            } else {
                effects.push(Effect::Simulate { id, estimate });
            }
        }
        effects
    }

    /// Notes whether an obligation that has nothing in flight could be sent.
    fn step_back(&mut self, id: ObligationId, back: bool, view: &View) {
        let memory = self.memory.entry(id).or_default();
        memory.stepped_back = back;
        memory.looked_ms = view.now_ms;
    }

    /// No block before the deadline can hold it any more: free the nonce, and end once the deadline is over for good.
    fn on_late(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        if !record.attempts.is_empty() {
            return self.cancel(id, view);
        }
        let deadline = record.obligation.deadline.unwrap_or(u64::MAX);
        let over = |block: Header| {
            let decided = record.is_decided(block.id.number) && !plan::may_be_done(record, view);
            block.timestamp >= deadline && decided
        };
        if view.finalized.is_some_and(over) {
            return self.end(id, Outcome::Expired);
        }
        Vec::new()
    }

    fn on_simulated(&mut self, id: ObligationId, simulation: Simulation) -> Vec<Effect> {
        let (Some(view), Some(record)) = (self.view, self.records.get_mut(&id)) else {
            return Vec::new();
        };
        match simulation {
            Simulation::Fits { gas } => {
                let mut effects = Vec::new();
                if record.refused.take().is_some() {
                    effects.push(Effect::Persist(Box::new(record.clone())));
                    effects.push(Effect::Report { id, report: Report::PossibleAgain });
                }
                effects.extend(self.pursue(id, gas, &view));
                let sent = self.nonce_of(id).is_some();
                self.step_back(
                    id,
                    !sent && self.memory.get(&id).is_some_and(|m| m.told.is_some()),
                    &view,
                );
                effects
            }
            Simulation::Refused(refusal) if refusal.kind != RefusalKind::Early => {
                self.step_back(id, true, &view);
                self.on_refused(id, refusal, &view)
            }
            Simulation::Unknown | Simulation::Refused(_) => {
                self.step_back(id, true, &view);
                Vec::new()
            }
        }
    }

    fn end(&mut self, id: ObligationId, outcome: Outcome) -> Vec<Effect> {
        self.memory.remove(&id);
        let Some(mut record) = self.records.remove(&id) else { return Vec::new() };
        record.stage = Stage::Ended(outcome.clone());
        vec![
            Effect::Persist(Box::new(record)),
            Effect::Report { id, report: Report::Ended(outcome) },
        ]
    }
}

#[cfg(test)]
mod tests;
