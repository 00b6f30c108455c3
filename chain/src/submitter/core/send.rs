//! Sending: first bids, higher bids, cancelling, handing in again.

use alloy_primitives::B256;

use super::{ATTEMPTS_MAX, Core, IN_FLIGHT_MAX, IN_FLIGHT_URGENT};
use crate::{
    fees::Fees,
    submitter::{
        message::{Effect, Report, Route, SendAnswer, View},
        plan::{self, Gas, Limits, Plan},
        record::{Attempt, ObligationId, Record, Stage},
    },
};

impl Core {
    /// Reports about money come once: the figures change every block.
    pub(super) fn tell_once(&mut self, id: ObligationId, report: Report) -> Option<Effect> {
        let memory = self.memory.entry(id).or_default();
        let known = memory.told.as_ref().map(std::mem::discriminant);
        if known == Some(std::mem::discriminant(&report)) {
            return None;
        }
        memory.told = Some(report.clone());
        Some(Effect::Report { id, report })
    }

    /// It is wanted and possible: send it, outbid it, or hand it in again, and clear its way.
    pub(super) fn pursue(
        &mut self,
        id: ObligationId,
        gas: Option<u64>,
        view: &View,
    ) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let too_late = self.is_too_late_to_send(record, view);
        let mut effects = match record.attempts.last() {
            None if too_late || !self.has_place(record, view) => Vec::new(),
            None => self.bid(id, Gas::Call { estimated: gas }, view),
            Some(_) if too_late => self.resend(id, view),
            // Called back, and now possible again; or it made way and can pay for itself after all.
            Some(last) if last.cancel && record.fills.is_none() => {
                let waits = last.paid_by.is_some() && !self.is_impatient(id, view);
                let again = if waits {
                    Vec::new()
                } else {
                    self.bid(id, Gas::Call { estimated: gas }, view)
                };
                if again.is_empty() { self.resend(id, view) } else { again }
            }
            Some(_) if self.is_impatient(id, view) && record.attempts.len() < ATTEMPTS_MAX => {
                let mut raised = self.bid(id, Gas::Call { estimated: gas }, view);
                if !raised.iter().any(|effect| matches!(effect, Effect::Sign { .. })) {
                    raised.extend(self.resend(id, view));
                }
                raised
            }
            Some(_) => self.resend(id, view),
        };
        if !too_late {
            effects.extend(self.clear_way(id, gas, view));
        }
        effects
    }

    /// Whether another transaction may go out: what is not urgent leaves some places free.
    fn has_place(&self, record: &Record, view: &View) -> bool {
        let deadline = record.obligation.deadline;
        let urgent = plan::urgency(record, deadline, &self.patience, view) > 0;
        let places = if urgent { IN_FLIGHT_MAX } else { IN_FLIGHT_MAX - IN_FLIGHT_URGENT };
        let signing = self.memory.values().filter(|memory| memory.signing.is_some()).count();
        self.unmined(view).saturating_add(signing) < places
    }

    /// Whether the newest attempt has waited long enough, given what depends on it.
    fn is_impatient(&self, id: ObligationId, view: &View) -> bool {
        let Some(record) = self.records.get(&id) else { return false };
        let Some(last) = record.attempts.last() else { return false };
        let urgency = plan::urgency(record, self.pressing(last.nonce), &self.patience, view);
        let underpriced = self.memory.get(&id).is_some_and(|memory| memory.underpriced);
        underpriced || plan::impatient(last, urgency, &self.patience, view)
    }

    /// To whom this obligation's transactions go now.
    fn route(&self, record: &Record, nonce: u64, view: &View) -> Route {
        let deadline = self.pressing(nonce).or(record.obligation.deadline);
        plan::route(record, deadline, &self.patience, view)
    }

    /// Hands the newest attempt to the node again, if it may not have it.
    pub(super) fn resend(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let Some(last) = record.attempts.last() else { return Vec::new() };
        let route = self.route(record, last.nonce, view);
        let transaction = record.transaction(self.account, last);
        let memory = self.memory.entry(id).or_default();
        let fresh = view.now_ms.saturating_sub(memory.sent_ms) < self.patience.resend_ms;
        if memory.taken && fresh && memory.sent_to == Some(route) {
            return Vec::new();
        }
        memory.sent_ms = view.now_ms;
        memory.sent_to = Some(route);
        vec![Effect::Send { id, transaction, route }]
    }

    /// Frees the nonce with an empty transfer, or keeps at it.
    pub(super) fn cancel(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let Some(last) = record.attempts.last() else { return Vec::new() };
        let again = last.cancel && !self.is_impatient(id, view);
        if again || record.attempts.len() >= ATTEMPTS_MAX {
            return self.resend(id, view);
        }
        let bid = self.bid(id, Gas::Transfer, view);
        if bid.is_empty() { self.resend(id, view) } else { bid }
    }

    /// The nearest deadline among what waits for this nonce, itself included.
    fn pressing(&self, nonce: u64) -> Option<u64> {
        self.pressing_from(|other| other >= nonce)
    }

    /// The nearest deadline among what waits behind this nonce.
    fn pressing_behind(&self, nonce: u64) -> Option<u64> {
        self.pressing_from(|other| other > nonce)
    }

    fn pressing_from(&self, waits: impl Fn(u64) -> bool) -> Option<u64> {
        self.records
            .values()
            .filter(|record| record.nonce().is_some_and(&waits))
            .filter_map(|record| record.obligation.deadline)
            .min()
    }

    /// Bids for a place: with a new nonce, or more for the one in use.
    fn bid(&mut self, id: ObligationId, gas: Gas, view: &View) -> Vec<Effect> {
        let used = self.nonces();
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let nonce = record
            .fills
            .or_else(|| record.nonce())
            .unwrap_or_else(|| plan::free_nonce(&used, view.nonce));
        let deadline = match gas {
            Gas::Call { .. } => self.pressing(nonce).or(record.obligation.deadline),
            // What is called back is in no hurry itself.
            Gas::Transfer => self.pressing_behind(nonce),
        };
        let urgency = plan::urgency(record, deadline, &self.patience, view);
        let size = plan::size(record, gas);
        let previous = before(record, nonce);
        let way = self.way(id, Some(nonce), view);
        let allowed = match gas {
            Gas::Call { .. } => plan::call_cap(record, size.0, nonce, &way),
            Gas::Transfer => plan::own_cancel_cap(record, nonce, previous, &way),
        };
        let limits = Limits { allowed, funds: self.funds(id, view) };
        let planned = plan::bid(size, urgency, previous, limits, view);
        let memory = self.memory.entry(id).or_default();
        match planned {
            Plan::Bid { gas_limit, fees } => {
                memory.told = None;
                let cancel = gas == Gas::Transfer;
                let attempt = Attempt {
                    hash: B256::ZERO,
                    nonce,
                    gas_limit,
                    fees,
                    cancel,
                    signed_ms: view.now_ms,
                    paid_by: None,
                };
                memory.signing = Some(attempt);
                vec![Effect::Sign { id, transaction: record.transaction(self.account, &attempt) }]
            }
            Plan::Not(report) => self.tell_once(id, report).into_iter().collect(),
        }
    }

    pub(super) fn on_signed(&mut self, id: ObligationId, hash: B256) -> Vec<Effect> {
        let Some(memory) = self.memory.get_mut(&id) else { return Vec::new() };
        let (Some(signing), Some(view)) = (memory.signing.take(), self.view) else {
            return Vec::new();
        };
        let attempt = Attempt { hash, ..signing };
        let mut effects = Vec::new();
        if let Some(payer) = attempt.paid_by.and_then(|payer| self.records.get_mut(&payer)) {
            payer.pays_for.push(attempt);
            effects.push(Effect::Persist(Box::new(payer.clone())));
        }
        let Some(record) = self.records.get_mut(&id) else { return Vec::new() };
        record.attempts.push(attempt);
        if !matches!(record.stage, Stage::Mined { .. }) {
            record.stage = Stage::InFlight;
        }
        effects.push(Effect::Persist(Box::new(record.clone())));
        effects.push(Effect::Report { id, report: Report::Sending(attempt) });
        if let Some(memory) = self.memory.get_mut(&id) {
            memory.taken = false;
            memory.underpriced = false;
        }
        effects.extend(self.resend(id, &view));
        effects
    }

    pub(super) fn on_sent(&mut self, id: ObligationId, answer: SendAnswer) {
        let Some(memory) = self.memory.get_mut(&id) else { return };
        memory.taken = answer == SendAnswer::Taken;
        memory.underpriced = answer == SendAnswer::Underpriced;
    }
}

/// The highest bid that a record made with this nonce, now or before.
fn before(record: &Record, nonce: u64) -> Option<Fees> {
    let same = record.attempts.iter().chain(&record.past).filter(|attempt| attempt.nonce == nonce);
    same.map(|attempt| attempt.fees).max_by_key(|fees| fees.max_fee)
}
