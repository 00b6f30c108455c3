//! Sending: first bids, higher bids, cancelling, handing in again.

use alloy_primitives::B256;

use super::{ATTEMPTS_MAX, Core, IN_FLIGHT_MAX};
use crate::submitter::{
    message::{Effect, Report, SendAnswer, View},
    plan::{self, Gas, Plan},
    record::{Attempt, ObligationId, Stage},
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

    /// It is wanted and possible: send it, outbid it, or hand it in again.
    pub(super) fn pursue(
        &mut self,
        id: ObligationId,
        gas: Option<u64>,
        view: &View,
    ) -> Vec<Effect> {
        let in_flight = self.records.values().filter(|record| !record.attempts.is_empty()).count();
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let memory = self.memory.get(&id).cloned().unwrap_or_default();
        match record.attempts.last() {
            None if in_flight >= IN_FLIGHT_MAX => Vec::new(),
            None => self.bid(id, Gas::Call { estimated: gas }, view),
            // Cancelled, and now possible again.
            Some(last) if last.cancel && record.fills.is_none() => {
                self.bid(id, Gas::Call { estimated: gas }, view)
            }
            Some(last) => {
                let urgency =
                    plan::urgency(record, self.pressing(last.nonce), &self.patience, view);
                let impatient =
                    plan::impatient(last, urgency, &self.patience, view) || memory.underpriced;
                if impatient && record.attempts.len() < ATTEMPTS_MAX {
                    let raised = self.bid(id, Gas::Call { estimated: gas }, view);
                    if raised.iter().any(|effect| matches!(effect, Effect::Sign { .. })) {
                        return raised;
                    }
                    return raised.into_iter().chain(self.resend(id, view)).collect();
                }
                self.resend(id, view)
            }
        }
    }

    /// Hands the newest attempt to the node again, if it may not have it.
    pub(super) fn resend(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let Some(last) = record.attempts.last() else { return Vec::new() };
        let memory = self.memory.entry(id).or_default();
        if memory.taken && view.now_ms.saturating_sub(memory.sent_ms) < self.patience.resend_ms {
            return Vec::new();
        }
        memory.sent_ms = view.now_ms;
        vec![Effect::Send { id, transaction: record.transaction(self.account, last) }]
    }

    /// Frees the nonce with an empty transfer, or keeps at it.
    pub(super) fn cancel(&mut self, id: ObligationId, view: &View) -> Vec<Effect> {
        let Some(record) = self.records.get(&id) else { return Vec::new() };
        let Some(last) = record.attempts.last() else { return Vec::new() };
        let urgency = plan::urgency(record, self.pressing(last.nonce), &self.patience, view);
        let again = last.cancel && !plan::impatient(last, urgency, &self.patience, view);
        if again || record.attempts.len() >= ATTEMPTS_MAX {
            return self.resend(id, view);
        }
        let bid = self.bid(id, Gas::Transfer, view);
        if bid.is_empty() { self.resend(id, view) } else { bid }
    }

    /// The nearest deadline among what waits for this nonce, itself included.
    fn pressing(&self, nonce: u64) -> Option<u64> {
        self.records
            .values()
            .filter(|record| record.nonce().is_some_and(|other| other >= nonce))
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
        let urgency = plan::urgency(
            record,
            self.pressing(nonce).or(record.obligation.deadline),
            &self.patience,
            view,
        );
        let planned = plan::bid(record, gas, urgency, view);
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
                };
                memory.signing = Some(attempt);
                vec![Effect::Sign { id, transaction: record.transaction(self.account, &attempt) }]
            }
            Plan::Not(report) => self.tell_once(id, report).into_iter().collect(),
        }
    }

    pub(super) fn on_signed(&mut self, id: ObligationId, hash: B256) -> Vec<Effect> {
        let Some(memory) = self.memory.get_mut(&id) else { return Vec::new() };
        let (Some(signing), Some(record)) = (memory.signing.take(), self.records.get_mut(&id))
        else {
            return Vec::new();
        };
        let attempt = Attempt { hash, ..signing };
        memory.taken = false;
        memory.underpriced = false;
        memory.sent_ms = attempt.signed_ms;
        record.attempts.push(attempt);
        if !matches!(record.stage, Stage::Mined { .. }) {
            record.stage = Stage::InFlight;
        }
        vec![
            Effect::Persist(Box::new(record.clone())),
            Effect::Report { id, report: Report::Sending(attempt) },
            Effect::Send { id, transaction: record.transaction(self.account, &attempt) },
        ]
    }

    pub(super) fn on_sent(&mut self, id: ObligationId, answer: SendAnswer) {
        let Some(memory) = self.memory.get_mut(&id) else { return };
        memory.taken = answer == SendAnswer::Taken;
        memory.underpriced = answer == SendAnswer::Underpriced;
    }
}
