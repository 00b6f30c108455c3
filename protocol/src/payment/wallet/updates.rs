//! The wallet and the handshake: what is proposed when, and what a new final state means for a payment.

use alloy_primitives::keccak256;

use super::{Direction, Effect, PayError, Payment, Stage, Turn, Wallet};
use crate::{
    ids::Amount,
    payment::{
        history::{Entry, History},
        message::{Message, Reason},
        note::Commitment,
        receipt::SignedReceipt,
    },
    zksc::{
        Change, FinalState, PaymentId, Salt, State, Transition,
        handshake::{self, Millis, Pending, Proposal},
    },
};

impl Wallet {
    /// Proposes an update that makes `change`.
    pub(super) fn propose(&mut self, change: Change, turn: &mut Turn<'_>) -> Result<(), PayError> {
        self.check_fresh(turn.at)?;
        let nonce = self.handshake.record().base().nonce.next().unwrap_or(crate::ids::Nonce::MAX);
        let content = self.extended.append(&self.book.head.history, &Entry::of(&change, nonce));
        let salt = keccak256([b"vrc app root salt v1".as_slice(), turn.hedge].concat());
        let transition =
            Transition { change, version: self.ledger.last(), salt: Salt::new(salt.0), content };
        self.feed(handshake::Event::Update(transition), turn)
    }

    /// A message of the handshake. Nothing is signed while the view of the chain is stale.
    pub(super) fn on_handshake(
        &mut self,
        message: handshake::Message,
        turn: &mut Turn<'_>,
    ) -> Result<(), PayError> {
        let reminded = match &message {
            handshake::Message::Outstanding(proposal, _) => {
                self.check_fresh(turn.at)?;
                Some(**proposal)
            }
            handshake::Message::Partial(_) => {
                self.check_fresh(turn.at)?;
                None
            }
            _ => None,
        };
        self.follow(handshake::Event::Message(message), reminded, turn)
    }

    pub(super) fn on_restored(
        &mut self,
        state: Box<FinalState>,
        turn: &mut Turn<'_>,
    ) -> Result<(), PayError> {
        self.follow(handshake::Event::Restored(state), None, turn)
    }

    /// Gives the handshake an event that may make a state final, and follows what it did.
    fn follow(
        &mut self,
        event: handshake::Event,
        reminded: Option<Proposal>,
        turn: &mut Turn<'_>,
    ) -> Result<(), PayError> {
        let before = *self.handshake.record();
        let proposed = match before.pending() {
            Pending::Proposed(proposal) => Some(*proposal),
            _ => None,
        };
        self.feed(event, turn)?;
        let base = *self.handshake.record().base();
        if base != *before.base() {
            let applied = [reminded, proposed].into_iter().flatten().find(|one| one.state == base);
            match applied {
                Some(proposal) => self.applied(&proposal.transition, before.base(), turn),
                None => self.went_past(turn),
            }
        }
        Ok(())
    }

    /// The channel went past what is on record here: this wallet's memory is older than its signatures. What became of the
    /// payments that were under way is not known, so nothing is proposed for them any more.
    fn went_past(&mut self, turn: &mut Turn<'_>) {
        self.history_lost(turn);
        let is_credited = |one: &Payment| matches!(one.stage, Stage::Credited | Stage::Received);
        let open = self.open_payments().filter(|(_, one)| !is_credited(one));
        let open: Vec<PaymentId> = open.map(|(id, _)| *id).collect();
        for id in open {
            if let Some(one) = self.book.payments.get_mut(&id) {
                one.pay_back = false;
            }
            self.go(id, Stage::Unclear, turn);
            self.close(id, turn);
        }
    }

    fn history_lost(&mut self, turn: &mut Turn<'_>) {
        self.book.head.history = History::restarted(self.handshake.record().base().app_root);
        turn.dirty = true;
    }

    /// The update that `transition` explains is final.
    fn applied(&mut self, transition: &Transition, base: &State, turn: &mut Turn<'_>) {
        let record = *self.handshake.record();
        let entry = Entry::of(&transition.change, record.base().nonce);
        turn.dirty = true;
        let history = &self.book.head.history;
        let Some((history, proof)) = self.extended.find(history, base, &entry, transition) else {
            return self.history_lost(turn);
        };
        self.book.head.history = history;
        let (Change::Debit(_, id) | Change::Credit(_, id)) = transition.change else { return };
        let Some(latest) = record.latest() else { return };
        let (state, salt) = (latest.unverified(), transition.salt);
        let shown = Commitment { state, payment: id, salt, entry, proof };
        self.settle(id, matches!(transition.change, Change::Debit(..)), shown, turn);
    }

    fn settle(&mut self, id: PaymentId, debit: bool, shown: Commitment, turn: &mut Turn<'_>) {
        let Some(payment) = self.book.payments.get_mut(&id) else { return };
        match (payment.direction, debit) {
            (Direction::Outgoing, true) => {
                let revived = payment.stage == Stage::Refused;
                payment.debit = Some(shown);
                payment.reason = None;
                payment.closed = None;
                self.open.insert(id);
                self.go(id, Stage::Debited, turn);
                self.start_timer(id, turn);
                if revived {
                    self.refuse_later(id, turn);
                }
            }
            (Direction::Outgoing, false) => {
                payment.credit = Some(shown);
                payment.reason = Some(Reason::PaidBack);
                self.go(id, Stage::Refused, turn);
                self.close(id, turn);
                turn.then.push(Effect::Payment(Message::Done(id)));
            }
            (Direction::Incoming, false) => {
                payment.credit = Some(shown);
                payment.reason = None;
                payment.closed = None;
                self.open.insert(id);
                self.go(id, Stage::Credited, turn);
            }
            (Direction::Incoming, true) => {}
        }
        self.on_protected(turn);
    }

    /// Enough towers hold the state of a debit or a credit.
    pub(super) fn on_protected(&mut self, turn: &mut Turn<'_>) {
        let protected = self.protected;
        let covered =
            |shown: Option<&Commitment>| shown.is_some_and(|shown| shown.entry.nonce <= protected);
        let forward: Vec<(PaymentId, Stage)> = self
            .open_payments()
            .filter_map(|(id, one)| match one.stage {
                Stage::Debited if covered(one.debit.as_ref()) => Some((*id, Stage::Protected)),
                Stage::Credited if covered(one.credit.as_ref()) => Some((*id, Stage::Received)),
                _ => None,
            })
            .collect();
        for (id, stage) in forward {
            if stage == Stage::Received {
                let receipt = SignedReceipt::sign(id, self.signer.channel_key(), turn.hedge);
                if let Some(payment) = self.book.payments.get_mut(&id) {
                    payment.receipt = Some(receipt);
                }
                turn.then.push(Effect::Payment(Message::Receipt(receipt)));
                self.start_timer(id, turn);
            }
            self.go(id, stage, turn);
        }
    }

    /// Begins the next update, when nothing is under way: money that comes in first.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
        let record = self.handshake.record();
        let idle = *record.pending() == Pending::None && !record.is_stopped();
        if !idle || turn.inner.is_some() || !self.ahead.is_durable() {
            return;
        }
        if let Some(change) = self.next_change(turn.at) {
            // What is refused now is tried again with the next event: a stale view, a version not final yet.
            let _refused = self.propose(change, turn);
        }
    }

    fn next_change(&self, now: Millis) -> Option<Change> {
        let payments = self.open_payments();
        let back = |one: &&Payment| one.pay_back && one.credit.is_none();
        let due = |id: &PaymentId, one: &Payment| {
            let waits = self.unbacked.get(id).is_some_and(|again| now < *again);
            (one.direction, one.stage) == (Direction::Incoming, Stage::Protected) && !waits
        };
        if let Some((id, one)) = payments.clone().find(|(_, one)| back(one)) {
            return Some(Change::Credit(one.terms.debit(), *id));
        }
        if let Some((id, one)) = payments.clone().find(|(id, one)| due(id, one)) {
            return Some(Change::Credit(one.terms.fields().amount, *id));
        }
        let one = self.current().filter(|one| one.accepted && self.may_fly(one))?;
        Some(Change::Debit(one.terms.debit(), one.terms.id()))
    }

    /// Whether the debit keeps what is in flight within its bound.
    pub(super) fn may_fly(&self, one: &Payment) -> bool {
        let flying = self.open_payments().fold(Amount::ZERO, |sum, (_, one)| {
            sum.checked_add(one.in_flight()).unwrap_or(Amount::MAX)
        });
        let sum = flying.checked_add(one.terms.debit());
        sum.is_some_and(|sum| sum <= self.config.max_in_flight)
    }
}
