//! The hub's waits: offers, reminders, reservations that expire, debits that are held too long.

use super::{Effect, Hub, HubError, HubPayment, HubStage, Turn};
use crate::{
    ids::ChannelId,
    payment::{
        message::{Message, Reason},
        timer::Timer,
    },
    zksc::{
        PaymentId,
        handshake::{self, Millis},
    },
};

impl Hub {
    pub(super) fn start_timer(&mut self, id: PaymentId, now: Millis) {
        self.timers.insert(id, Timer::start(now, self.config.handshake.retry_first));
    }

    /// Offers the payments of a channel that `wanted` picks, as far as their debits are backed. What was offered before is
    /// left to its reminder: with many payments under way, offering all of them each time would cost more than they do.
    pub(super) fn offer(
        &self,
        channel: ChannelId,
        wanted: impl Fn(&HubPayment) -> bool,
        turn: &mut Turn<'_>,
    ) {
        for one in self.payments_of(channel).filter(|one| wanted(one)) {
            let payee = one.terms.fields().payee;
            let due = one.stage == HubStage::Debited && self.is_backed(one);
            if due && self.can_answer(payee) {
                turn.then.push(Effect::Payment(payee, Message::Offer(one.terms)));
            }
        }
    }

    pub(super) fn on_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), HubError> {
        let lanes: Vec<ChannelId> = self.lanes.keys().copied().collect();
        for id in lanes {
            self.feed(id, handshake::Event::Tick, turn)?;
        }
        let payments: Vec<PaymentId> = self.payments.keys().copied().collect();
        for id in payments {
            if !self.timers.contains_key(&id) {
                self.start_timer(id, turn.at);
            }
            self.expire(id, turn);
            self.remind(id, turn);
        }
        Ok(())
    }

    /// A reservation that no debit came for, and a debit that no payee came for.
    fn expire(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let waited = self.timers.get(&id).map_or(0, |timer| timer.waited(turn.at));
        let (reserve_for, hold_for) = (self.config.reserve_for, self.config.hold_for);
        let Some(one) = self.payments.get_mut(&id) else { return };
        let (payer, payee) = (one.terms.fields().payer, one.terms.fields().payee);
        match one.stage {
            HubStage::Admitted if waited >= reserve_for => self.forget(id, turn),
            // A payee's channel that is still being restored may have the credit already.
            HubStage::Debited if waited >= hold_for && self.lanes.contains_key(&payee) => {
                let ended =
                    self.lanes.get(&payer).is_none_or(|lane| lane.handshake.record().is_stopped());
                // A payer whose channel ended cannot be paid back there: the payee is waited for.
                if !ended {
                    one.reason = Some(Reason::Unreachable);
                    self.go(id, HubStage::PayingBack, turn);
                }
            }
            _ => {}
        }
    }

    fn remind(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let most = self.config.handshake.retry_most;
        if !self.timers.get_mut(&id).is_some_and(|timer| timer.is_due(turn.at, most)) {
            return;
        }
        let Some(one) = self.payments.get(&id) else { return };
        let fields = one.terms.fields();
        match one.stage {
            HubStage::Debited if self.is_backed(one) && self.can_answer(fields.payee) => {
                turn.then.push(Effect::Payment(fields.payee, Message::Offer(one.terms)));
            }
            // The payee's receipt is asked for by offering once more what it has.
            HubStage::Credited if one.receipt.is_none() => {
                turn.then.push(Effect::Payment(fields.payee, Message::Offer(one.terms)));
            }
            HubStage::Admitted => {}
            _ => turn
                .then
                .extend(self.standing(one).map(|message| Effect::Payment(fields.payer, message))),
        }
    }

    /// A payment is kept no longer. What moved nothing need not be archived either: anybody can ask for any number of those.
    pub(super) fn forget(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        if let Some(gone) = self.payments.remove(&id) {
            if gone.debit.is_none() {
                turn.dropped.insert(id);
            }
            let fields = gone.terms.fields();
            for channel in [fields.payer, fields.payee] {
                if let Some(all) = self.of.get_mut(&channel) {
                    all.remove(&id);
                }
            }
        }
        self.timers.remove(&id);
        turn.payments.insert(id);
    }
}
