//! The wallet and the hub's messages about payments; orders, and what is sent again.

use super::{Direction, Effect, OPEN_MAX, Order, PayError, Payment, Stage, Turn, Wallet};
use crate::{
    ids::{Amount, Role, Sequence},
    payment::{
        message::{Message, Reason},
        receipt::SignedReceipt,
        terms::{Terms, TermsError, TermsFields, split},
        timer::Timer,
    },
    zksc::{
        Change, PaymentId,
        handshake::{self, Millis, Pending},
    },
};

/// Between two askings of a hub that does not know the payee yet.
const ASK_PAYEE_EVERY: Millis = 1_000;

impl Wallet {
    /// Splits the order into parts and asks for the first.
    pub(super) fn on_pay(&mut self, order: &Order, turn: &mut Turn<'_>) -> Result<(), PayError> {
        let (own, payee) = (&self.channel, &*order.payee);
        let hub = |channel: &crate::zksc::Channel| channel.party(Role::Counterparty).account;
        let reached = own.domain() == payee.domain() && hub(own) == hub(payee);
        if !reached || own.terms().asset != payee.terms().asset {
            return Err(PayError::OtherHub);
        }
        let own_max = self.config.max_in_flight.min(self.config.handshake.max_update);
        let credit_max = self.config.credit_max.min(self.hub_max);
        let parts = split(order.amount, &self.config.fee, own_max.min(self.hub_max), credit_max)?;
        if self.open.len().saturating_add(parts.len()) > OPEN_MAX {
            return Err(PayError::TooMany);
        }
        let terms = self.terms(order, &parts)?;
        let waiting = self.open_payments().filter(|(_, one)| one.stage == Stage::Proposed);
        let debits = terms.iter().chain(waiting.map(|(_, one)| &one.terms)).map(Terms::debit);
        let total =
            debits.fold(Amount::ZERO, |sum, debit| sum.checked_add(debit).unwrap_or(Amount::MAX));
        if total > self.balance() {
            return Err(PayError::Balance { balance: self.balance() });
        }
        for terms in terms {
            let mut payment = Payment::new(terms, Direction::Outgoing, Stage::Proposed);
            payment.payee = Some(*order.payee);
            let next = terms.fields().sequence.next();
            self.book.head.sequence = next.unwrap_or(Sequence::MAX);
            self.enter(payment);
            self.go(terms.id(), Stage::Proposed, turn);
        }
        Ok(())
    }

    fn terms(&self, order: &Order, parts: &[Amount]) -> Result<Vec<Terms>, PayError> {
        let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
        let mut sequence = Some(self.book.head.sequence);
        let mut made = Vec::with_capacity(parts.len());
        for (part, amount) in (0..count).zip(parts) {
            let place = sequence.ok_or(PayError::TooMany)?;
            made.push(Terms::try_from(TermsFields {
                domain: self.channel.domain(),
                payer: self.channel.id(),
                payee: order.payee.id(),
                amount: *amount,
                fee: self.config.fee.fee(*amount).ok_or(TermsError::TooLarge)?,
                sequence: place,
                reference: order.reference,
                part,
                parts: count,
            })?);
            sequence = place.next();
        }
        Ok(made)
    }

    /// A message from the hub; one that fits nothing changes nothing.
    pub(super) fn on_message(&mut self, message: Message, turn: &mut Turn<'_>) {
        match message {
            Message::Accepted(id) => {
                let found = self.book.payments.get_mut(&id);
                if let Some(one) = found.filter(|one| one.stage == Stage::Proposed && !one.accepted)
                {
                    one.accepted = true;
                    one.reason = None;
                    turn.noted.insert(id);
                }
            }
            Message::Refused { payment, reason, next } => {
                self.on_refused(payment, reason, next, turn);
            }
            Message::PayBack(terms) => self.on_pay_back(terms, turn),
            Message::Offer(terms) => self.on_offer(terms, turn),
            Message::Receipt(receipt) => self.on_receipt(receipt, turn),
            Message::ReceiptKept(id) => {
                let found = self.book.payments.get_mut(&id);
                let incoming = |one: &&mut Payment| one.direction == Direction::Incoming;
                if let Some(one) = found.filter(incoming).filter(|one| one.stage == Stage::Received)
                {
                    one.receipt_kept = true;
                    self.end(id);
                    turn.noted.insert(id);
                }
            }
            Message::Credited(id) => {
                let flies = |one: &&Payment| one.in_flight() > Amount::ZERO;
                if self.book.payments.get(&id).filter(flies).is_some() {
                    self.credited.insert(id);
                }
            }
            Message::Request(_) | Message::Done(_) => {}
        }
    }

    fn on_refused(&mut self, id: PaymentId, reason: Reason, next: Sequence, turn: &mut Turn<'_>) {
        if reason == Reason::Past && next > self.book.head.sequence {
            self.book.head.sequence = next;
            turn.dirty = true;
        }
        if reason == Reason::History {
            if self.abandon(id, turn) {
                let app_root = self.handshake.record().base().app_root;
                self.book.head.history = crate::payment::History::restarted(app_root);
            }
            return;
        }
        let Some(one) = self.book.payments.get(&id) else {
            return turn.then.push(Effect::Payment(Message::Done(id)));
        };
        match (one.direction, one.stage) {
            // It passes, and is none of a debit's.
            (Direction::Outgoing, _) if reason == Reason::NotBacked => {}
            (Direction::Outgoing, Stage::Proposed) => {
                let (reference, parts) = (one.terms.fields().reference, one.terms.fields().parts);
                if reason == Reason::UnknownPayee && self.waits_for_payee(id, turn) {
                    return;
                }
                if self.is_proposed(id) && !self.abandon(id, turn) {
                    return;
                }
                self.refuse_parts(reference, parts, reason, turn);
            }
            (Direction::Outgoing, Stage::Refused | Stage::Received) => {
                turn.then.push(Effect::Payment(Message::Done(id)));
            }
            (Direction::Incoming, Stage::Protected) => {
                let is_free = !self.is_proposed(id) || self.abandon(id, turn);
                match reason {
                    _ if !is_free => {}
                    // It is offered again once it is backed; should nobody say so, it is tried again after a while.
                    Reason::NotBacked => {
                        let again = turn.at.saturating_add(self.config.handshake.retry_most);
                        self.unbacked.insert(id, again);
                    }
                    // The hub's word, which this wallet cannot check any more: no receipt is given for it.
                    Reason::Credited => {
                        self.go(id, Stage::Unclear, turn);
                        self.close(id, turn);
                    }
                    _ => self.refuse(id, reason, turn),
                }
            }
            _ => {}
        }
    }

    /// The hub does not know the payee, whose channel this node has from the chain, final: the hub's view may be behind this one's,
    /// or its end of that channel not be ready after a start. It is asked again for a while. Its refusal has used nothing up: the
    /// same terms, with the same sequence, may still be admitted, and are admitted once.
    fn waits_for_payee(&mut self, id: PaymentId, turn: &mut Turn<'_>) -> bool {
        let found = self.book.payments.get_mut(&id).filter(|one| !one.accepted);
        let Some(one) = found else { return false };
        if !one.waits_for_payee() {
            one.reason = Some(Reason::UnknownPayee);
            turn.changed.insert(id);
            // From the first such answer: the hub may have been away before.
            self.start_timer(id, turn);
        }
        let waited = self.timers.get(&id).map_or(0, |timer| timer.waited(turn.at));
        waited < self.config.payee_wait
    }

    /// A part that is refused takes the parts after it along.
    fn refuse_parts(
        &mut self,
        reference: [u8; 32],
        parts: u16,
        reason: Reason,
        turn: &mut Turn<'_>,
    ) {
        let all = self.waiting_parts(reference, parts);
        all.into_iter().for_each(|id| self.refuse(id, reason, turn));
    }

    /// The parts of an order that are not debited.
    pub(super) fn waiting_parts(&self, reference: [u8; 32], parts: u16) -> Vec<PaymentId> {
        let same = |one: &Payment| {
            let fields = one.terms.fields();
            one.direction == Direction::Outgoing
                && one.stage == Stage::Proposed
                && (fields.reference, fields.parts) == (reference, parts)
        };
        self.open_payments().filter(|(_, one)| same(one)).map(|(id, _)| *id).collect()
    }

    /// An attempt that counted as refused was debited after all: the later ones of the same order are not made. None of them is
    /// proposed now, because the debit took the place of what was.
    pub(super) fn refuse_later(&mut self, revived: PaymentId, turn: &mut Turn<'_>) {
        let Some(first) = self.book.payments.get(&revived).map(|one| *one.terms.fields()) else {
            return;
        };
        let later = |one: &Payment| {
            let fields = one.terms.fields();
            one.direction == Direction::Outgoing
                && one.stage == Stage::Proposed
                && fields.reference == first.reference
                && fields.sequence > first.sequence
        };
        let all: Vec<PaymentId> =
            self.open_payments().filter(|(_, one)| later(one)).map(|(id, _)| *id).collect();
        all.into_iter().for_each(|id| self.refuse(id, Reason::Cancelled, turn));
    }

    pub(super) fn refuse(&mut self, id: PaymentId, reason: Reason, turn: &mut Turn<'_>) {
        if let Some(payment) = self.book.payments.get_mut(&id) {
            payment.reason = Some(reason);
            // A debit of it may have been proposed before the start.
            payment.accepted |= self.resumed.contains(&id);
            self.go(id, Stage::Refused, turn);
            self.close(id, turn);
        }
    }

    pub(super) fn is_proposed(&self, id: PaymentId) -> bool {
        match self.handshake.record().pending() {
            Pending::Proposed(proposal) => match proposal.transition.change {
                Change::Debit(_, found) | Change::Credit(_, found) => found == id,
                Change::Rebase => id == PaymentId([0; 32]),
            },
            _ => false,
        }
    }

    /// Takes the proposal of this payment back. False when there is none, or the handshake is busy.
    pub(super) fn abandon(&mut self, id: PaymentId, turn: &mut Turn<'_>) -> bool {
        self.is_proposed(id) && self.feed(handshake::Event::Abandon, turn).is_ok()
    }

    fn on_pay_back(&mut self, terms: Terms, turn: &mut Turn<'_>) {
        let fields = terms.fields();
        if fields.payer != self.channel.id() || fields.domain != self.channel.domain() {
            return;
        }
        let id = terms.id();
        if !self.book.payments.contains_key(&id) && self.open.len() < OPEN_MAX {
            // This wallet lost its memory of it.
            self.enter(Payment::new(terms, Direction::Outgoing, Stage::Debited));
        }
        let Some(one) = self.book.payments.get_mut(&id) else { return };
        if one.credit.is_none() && one.stage != Stage::Received && !one.pay_back {
            one.pay_back = true;
            one.closed = None;
            self.open.insert(id);
            turn.changed.insert(id);
        }
    }

    fn on_offer(&mut self, terms: Terms, turn: &mut Turn<'_>) {
        let (fields, id) = (terms.fields(), terms.id());
        if fields.payee != self.channel.id() || fields.domain != self.channel.domain() {
            return;
        }
        match self.book.payments.get(&id) {
            Some(one) => {
                self.unbacked.remove(&id);
                let receipt = one.receipt.map(|receipt| Effect::Payment(Message::Receipt(receipt)));
                turn.then.extend(receipt);
            }
            None if self.open.len() < OPEN_MAX => {
                self.enter(Payment::new(terms, Direction::Incoming, Stage::Protected));
                self.go(id, Stage::Protected, turn);
            }
            // At the bound the hub offers again later.
            None => {}
        }
    }

    fn on_receipt(&mut self, receipt: SignedReceipt, turn: &mut Turn<'_>) {
        let id = receipt.payment;
        let done = Effect::Payment(Message::Done(id));
        let Some(one) = self.book.payments.get_mut(&id) else { return turn.then.push(done) };
        if one.closed.is_some() && one.reason != Some(Reason::PaidBack) && one.receipt.is_some() {
            return turn.then.push(done);
        }
        let signed = one.payee.as_ref().is_some_and(|payee| receipt.verify(payee).is_ok());
        if one.direction == Direction::Outgoing && signed {
            one.receipt = Some(receipt);
            one.reason = None;
            self.go(id, Stage::Received, turn);
            self.close(id, turn);
            turn.then.push(done);
        }
    }

    /// Asks for the first payment that is not debited yet, if it was not asked for since the start.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>) {
        let Some(one) = self.current().filter(|one| self.may_fly(one)) else { return };
        let terms = one.terms;
        if !self.handshake.record().is_stopped() && !self.timers.contains_key(&terms.id()) {
            self.start_timer(terms.id(), turn);
            turn.then.push(Effect::Payment(Message::Request(terms)));
        }
    }

    /// Sends again what was not answered.
    pub(super) fn on_tick(&mut self, turn: &mut Turn<'_>) {
        let current = self.current().map(|one| one.terms.id());
        let waiting: Vec<(PaymentId, Message)> = self
            .open_payments()
            .filter_map(|(id, one)| match (one.direction, one.stage) {
                (Direction::Outgoing, Stage::Proposed) if current != Some(*id) => None,
                (Direction::Outgoing, _) => Some((*id, Message::Request(one.terms))),
                (Direction::Incoming, _) => Some((*id, Message::Receipt(one.receipt?))),
            })
            .collect();
        for (id, message) in waiting {
            if !self.timers.contains_key(&id) {
                self.start_timer(id, turn);
            }
            let waits = self.book.payments.get(&id).is_some_and(Payment::waits_for_payee);
            let most = if waits { ASK_PAYEE_EVERY } else { self.config.handshake.retry_most };
            if self.timers.get_mut(&id).is_some_and(|timer| timer.is_due(turn.at, most)) {
                turn.then.push(Effect::Payment(message));
            }
        }
    }

    pub(super) fn start_timer(&mut self, id: PaymentId, turn: &Turn<'_>) {
        self.timers.insert(id, Timer::start(turn.at, self.config.handshake.retry_first));
    }

    /// The payment has come to `stage`. What the next start would find out again is merely noted.
    pub(super) fn go(&mut self, id: PaymentId, stage: Stage, turn: &mut Turn<'_>) {
        if let Some(payment) = self.book.payments.get_mut(&id) {
            payment.stage = stage;
            turn.then.push(Effect::Changed(id, stage));
            let outgoing = payment.direction == Direction::Outgoing;
            match stage {
                Stage::Protected if outgoing => turn.noted.insert(id),
                Stage::Received if !outgoing => turn.noted.insert(id),
                _ => turn.changed.insert(id),
            };
        }
    }

    /// Nothing more will happen to the payment.
    pub(super) fn close(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        self.end(id);
        turn.changed.insert(id);
    }

    /// [`Wallet::close`], written or not.
    fn end(&mut self, id: PaymentId) {
        self.timers.remove(&id);
        self.open.remove(&id);
        self.unbacked.remove(&id);
        self.credited.remove(&id);
        self.resumed.remove(&id);
        if let Some(payment) = self.book.payments.get_mut(&id) {
            self.book.head.closed = self.book.head.closed.saturating_add(1);
            payment.closed = Some(self.book.head.closed);
        }
    }
}
