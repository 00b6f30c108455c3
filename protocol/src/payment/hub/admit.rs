//! The hub and the participants' messages: which payments it takes, and what it answers.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{Effect, Ending, Hub, HubError, HubPayment, HubStage, Turn};
use crate::{
    ids::{Amount, ChannelId, Sequence},
    payment::{
        message::{Message, Reason},
        receipt::SignedReceipt,
        terms::Terms,
    },
    zksc::PaymentId,
};

/// Payments of one payer that are over and whose end it has not acknowledged, at most: beyond it the oldest are archived. It
/// acknowledges an end when it hears of it, so these are of payees that give no receipts, or of a payer that says nothing.
const OVER_MAX: usize = 256;

/// What one payer may have under way, where that differs from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayerLimits {
    /// The most that it may have under way, in base units.
    pub payer_max: Amount,
    /// The most payments that it may have under way.
    pub payments_max: usize,
}

impl Hub {
    /// Gives one payer limits of its own.
    pub fn set_limits(&mut self, channel: ChannelId, limits: PayerLimits) {
        self.limits.insert(channel, limits);
    }

    /// What a payer may have under way.
    fn limits_of(&self, channel: ChannelId) -> PayerLimits {
        let super::Config { payer_max, payments_max, .. } = self.config;
        self.limits.get(&channel).copied().unwrap_or(PayerLimits { payer_max, payments_max })
    }

    /// A participant's message; one that fits nothing changes nothing.
    pub(super) fn on_message(
        &mut self,
        from: ChannelId,
        message: Message,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        self.lane(from)?;
        match message {
            Message::Request(terms) => self.on_request(from, terms, turn)?,
            Message::Receipt(receipt) => self.on_receipt(from, receipt, turn)?,
            Message::Done(id) => {
                let ended = self.payments.get(&id).is_some_and(|one| {
                    let paid = one.stage == HubStage::Credited && one.receipt.is_some();
                    let over = matches!(
                        one.stage,
                        HubStage::PaidBack | HubStage::Void | HubStage::Unclear
                    );
                    one.terms.fields().payer == from && (paid || over)
                });
                if ended {
                    self.forget(id, turn);
                    turn.payments.remove(&id);
                    turn.ended.insert(id);
                }
            }
            // A hub's own messages.
            _ => {}
        }
        Ok(())
    }

    fn on_request(
        &mut self,
        from: ChannelId,
        terms: Terms,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let id = terms.id();
        if let Some(payment) = self.payments.get(&id) {
            if payment.terms.fields().payer == from {
                let answer = self.standing(payment);
                turn.then.extend(answer.map(|message| Effect::Payment(from, message)));
            }
            return Ok(());
        }
        if let Err(reason) = self.admit(from, &terms) {
            turn.then.push(self.refusal(from, id, reason));
            return Ok(());
        }
        let payment = HubPayment {
            terms,
            stage: HubStage::Admitted,
            reason: None,
            debit: None,
            credit: None,
            shown: None,
            receipt: None,
        };
        self.payments.insert(id, payment);
        for channel in [from, terms.fields().payee] {
            self.of.entry(channel).or_default().insert(id);
        }
        self.make_room(from, turn);
        self.lane_mut(from)?.last = Some(terms.fields().sequence);
        turn.lanes.insert(from);
        self.go(id, HubStage::Admitted, turn);
        turn.then.push(Effect::Payment(from, Message::Accepted(id)));
        Ok(())
    }

    /// What the payer is told of a payment that the hub knows.
    pub(super) fn standing(&self, payment: &HubPayment) -> Option<Message> {
        let id = payment.terms.id();
        match payment.stage {
            HubStage::Admitted => Some(Message::Accepted(id)),
            HubStage::PayingBack => Some(Message::PayBack(payment.terms)),
            HubStage::Credited => {
                Some(payment.receipt.map_or(Message::Credited(id), Message::Receipt))
            }
            HubStage::PaidBack => Some(self.refused(payment, Reason::PaidBack)),
            HubStage::Void => Some(self.refused(payment, Reason::Ending)),
            HubStage::DebitSigned
            | HubStage::Debited
            | HubStage::CreditSigned
            | HubStage::PayBackSigned
            | HubStage::Unclear => None,
        }
    }

    fn refused(&self, payment: &HubPayment, reason: Reason) -> Message {
        let next = self.next_sequence(payment.terms.fields().payer);
        Message::Refused { payment: payment.terms.id(), reason, next }
    }

    pub(super) fn refusal(&self, to: ChannelId, payment: PaymentId, reason: Reason) -> Effect {
        let next = self.next_sequence(to);
        Effect::Payment(to, Message::Refused { payment, reason, next })
    }

    fn next_sequence(&self, payer: ChannelId) -> Sequence {
        let last = self.lanes.get(&payer).and_then(|lane| lane.last);
        last.map_or(Sequence::MIN, |last| last.next().unwrap_or(Sequence::MAX))
    }

    /// Whether a new payment is taken.
    fn admit(&self, from: ChannelId, terms: &Terms) -> Result<(), Reason> {
        let fields = terms.fields();
        let payer = self.lanes.get(&from).ok_or(Reason::Ending)?;
        if fields.payer != from || fields.domain != payer.channel.domain() {
            return Err(Reason::UnknownPayee);
        }
        if payer.last.is_some_and(|last| fields.sequence <= last) {
            return Err(Reason::Past);
        }
        let payee = self.lanes.get(&fields.payee).ok_or(Reason::UnknownPayee)?;
        let (one, two) = (payer.channel.terms(), payee.channel.terms());
        if payee.channel.domain() != fields.domain || one.asset != two.asset {
            return Err(Reason::UnknownPayee);
        }
        let lives = |lane: &super::Lane| {
            lane.ending == Ending::None && !lane.handshake.record().is_stopped()
        };
        if !lives(payer) || !lives(payee) {
            return Err(Reason::Ending);
        }
        if self.config.fee.fee(fields.amount).is_none_or(|fee| fields.fee < fee) {
            return Err(Reason::Fee);
        }
        let most = self.config.handshake.max_update;
        if fields.amount < self.config.amount_min || terms.debit() > most {
            return Err(Reason::Amount);
        }
        self.check_payer(from, terms)?;
        self.check_liquidity(terms)
    }

    /// The oldest of a payer's payments that are over are forgotten where there are too many; the driver archives them.
    fn make_room(&mut self, payer: ChannelId, turn: &mut Turn<'_>) {
        // What is unclear waits for a person.
        let over = self.payments_of(payer).filter(|one| {
            let ours = one.terms.fields().payer == payer;
            ours && one.stage.is_over() && one.stage != HubStage::Unclear
        });
        let mut over: Vec<(Reverse<Sequence>, PaymentId)> =
            over.map(|one| (Reverse(one.terms.fields().sequence), one.terms.id())).collect();
        over.sort_unstable();
        over.into_iter().skip(OVER_MAX).for_each(|(_, id)| self.forget(id, turn));
    }

    /// The payer's limits, and that its balance covers all debits that it was promised.
    fn check_payer(&self, from: ChannelId, terms: &Terms) -> Result<(), Reason> {
        let limits = self.limits_of(from);
        let open = self
            .payments_of(from)
            .filter(|one| one.terms.fields().payer == from && !one.stage.is_over());
        if open.clone().count() >= limits.payments_max {
            return Err(Reason::Limit);
        }
        let with = |held: Option<Amount>| held.and_then(|sum| sum.checked_add(terms.debit()));
        let total = with(sum(open.clone().map(|one| one.terms.debit())));
        if total.is_none_or(|total| total > limits.payer_max) {
            return Err(Reason::Limit);
        }
        // What is taken and not yet in the balance: a payer reserves no more of others' room than it has.
        let coming =
            |one: &&HubPayment| matches!(one.stage, HubStage::Admitted | HubStage::DebitSigned);
        let coming = with(sum(open.filter(coming).map(|one| one.terms.debit())));
        let (balance, _) = self.room(from).ok_or(Reason::Amount)?;
        if coming.is_none_or(|coming| coming > balance) { Err(Reason::Amount) } else { Ok(()) }
    }

    /// The payee's escrow can hold this credit beside everything that may still be credited there.
    fn check_liquidity(&self, terms: &Terms) -> Result<(), Reason> {
        let payee = terms.fields().payee;
        let (balance, escrow) = self.room(payee).ok_or(Reason::Liquidity)?;
        let reserved = sum(self.payments_of(payee).map(|one| {
            let fields = one.terms.fields();
            if fields.payee == payee {
                one.reserved_for_payee()
            } else if fields.payer == payee {
                one.reserved_for_payer()
            } else {
                Amount::ZERO
            }
        }));
        let total = reserved
            .and_then(|reserved| reserved.checked_add(balance))
            .and_then(|total| total.checked_add(terms.fields().amount));
        if total.is_none_or(|total| total > escrow) { Err(Reason::Liquidity) } else { Ok(()) }
    }

    /// A lane's balance moved to the newest version, and that version's escrow.
    fn room(&self, id: ChannelId) -> Option<(Amount, Amount)> {
        let lane = self.lanes.get(&id)?;
        let base = lane.handshake.record().base();
        let payout = lane.ledger.payout(base.version, base.balance).ok()?;
        Some((payout.participant, lane.ledger.newest().escrow()))
    }

    /// The payee's signed word that a payment reached it.
    fn on_receipt(
        &mut self,
        from: ChannelId,
        receipt: SignedReceipt,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let id = receipt.payment;
        let kept = Effect::Payment(from, Message::ReceiptKept(id));
        self.lane(from)?;
        let Some(payment) = self.payments.get_mut(&id) else {
            // It was kept and handed on before, and the payment is forgotten.
            turn.then.push(kept);
            return Ok(());
        };
        // Of one that is unclear the payee's word says what became of it.
        let told = matches!(payment.stage, HubStage::Credited | HubStage::Unclear);
        let fits = payment.terms.fields().payee == from && told;
        let signed = |lane: &super::Lane| receipt.verify_by(lane.handshake.theirs()).is_ok();
        if !fits || (payment.receipt.is_none() && !self.lanes.get(&from).is_some_and(signed)) {
            return Ok(());
        }
        let payer = payment.terms.fields().payer;
        if payment.receipt.is_none() {
            payment.receipt = Some(receipt);
            payment.stage = HubStage::Credited;
            turn.payments.insert(id);
            self.start_timer(id, turn.at);
            turn.then.push(Effect::Payment(payer, Message::Receipt(receipt)));
        }
        turn.then.push(kept);
        Ok(())
    }
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Option<Amount> {
    amounts.into_iter().try_fold(Amount::ZERO, Amount::checked_add)
}
