//! What a wallet shows, and what a person may do beside paying.

use super::{Direction, PayError, Payment, Stage, Turn, Wallet};
use crate::{
    ids::Amount,
    payment::{message::Reason, terms::FeePolicy},
    zksc::{
        PaymentId,
        handshake::{Millis, Refusal},
    },
};

impl Wallet {
    /// Whether anything is under way that the clock decides about: what is not answered is sent again, what stays unanswered
    /// is reported.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.handshake.waits() || !self.open.is_empty()
    }

    /// The hub's own terms, for the payments that are ordered from now on. That the fee is one that the person pays is for the
    /// caller to check.
    pub const fn set_hub(&mut self, fee: FeePolicy, max_update: Amount) {
        self.config.fee = fee;
        self.hub_max = max_update;
    }

    /// How far a payment has come, as a person sees it.
    #[must_use]
    pub fn stage(&self, payment: &PaymentId, now: Millis) -> Option<Stage> {
        let one = self.book.payments.get(payment)?;
        let waited = self.timers.get(payment).map_or(0, |timer| timer.waited(now));
        let late = waited >= self.config.owed_after || self.handshake.record().is_stopped();
        Some(if one.in_flight() > Amount::ZERO && late { Stage::Owed } else { one.stage })
    }

    /// What the participant has, moved to the newest version of the escrow.
    #[must_use]
    pub fn balance(&self) -> Amount {
        let base = self.handshake.record().base();
        let payout = self.ledger.payout(base.version, base.balance);
        payout.map_or(Amount::ZERO, |payout| payout.participant)
    }

    /// Whether it may propose an update by itself, or waits to hear what becomes of a debit: then nothing is agreed beside it.
    /// What the hub says it credited is not waited for: a payee that gives no receipt holds nobody's money back.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.open_payments().any(|(id, one)| match (one.direction, one.stage) {
            _ if one.pay_back && one.credit.is_none() => true,
            (Direction::Outgoing, Stage::Debited | Stage::Protected) => !self.credited.contains(id),
            (Direction::Incoming, Stage::Protected) => !self.unbacked.contains_key(id),
            (direction, stage) => (direction, stage) == (Direction::Outgoing, Stage::Proposed),
        })
    }

    /// An order that is not debited is taken back, with the parts after it; of one that is debited nothing more is waited for: a
    /// receipt or the hub's paying back still ends it.
    pub(super) fn on_let_go(&mut self, id: PaymentId, turn: &mut Turn<'_>) -> Result<(), PayError> {
        let waits = |one: &&Payment| {
            one.direction == Direction::Outgoing && one.closed.is_none() && !one.pay_back
        };
        let one = self.book.payments.get(&id).filter(waits).ok_or(PayError::NothingToLetGo)?;
        match one.stage {
            Stage::Proposed => {
                let (reference, parts) = (one.terms.fields().reference, one.terms.fields().parts);
                let all = self.waiting_parts(reference, parts);
                let stopped = self.handshake.record().is_stopped();
                let proposed = all.iter().find(|id| self.is_proposed(**id)).copied();
                if let Some(part) = proposed.filter(|_| !stopped)
                    && !self.abandon(part, turn)
                {
                    return Err(PayError::Handshake(Refusal::Busy));
                }
                all.into_iter().for_each(|id| self.refuse(id, Reason::Cancelled, turn));
            }
            _ => {
                self.go(id, Stage::Unclear, turn);
                self.close(id, turn);
            }
        }
        Ok(())
    }
}
