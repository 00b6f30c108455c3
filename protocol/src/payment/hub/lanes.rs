//! The hub and the handshakes: what a participant may propose, and what a new final state means for a payment.

use super::{Effect, Ending, Hub, HubError, HubStage, Turn};
use crate::{
    ids::{ChannelId, Nonce},
    payment::{
        history::{Entry, EntryKind, History},
        message::Reason,
        note::Commitment,
    },
    zksc::{
        Change, PaymentId, State, Transition, TransitionError,
        handshake::{self, Pending, Proposal, Refusal},
    },
};

/// What a permitted proposal does to its payment.
#[derive(Debug, Clone, Copy)]
struct Step {
    payment: PaymentId,
    signed: HubStage,
}

impl Hub {
    /// A message of a lane's handshake.
    pub(super) fn on_handshake(
        &mut self,
        id: ChannelId,
        message: handshake::Message,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let lane = self.lane(id)?;
        let record = lane.handshake.record();
        match message {
            handshake::Message::Propose(proposal)
                if proposal.state.nonce > record.base().nonce
                    && !matches!(record.pending(), Pending::Outstanding(..)) =>
            {
                self.on_propose(id, &proposal, turn)
            }
            other => self.follow(id, handshake::Event::Message(other), turn),
        }
    }

    /// A proposal of something new: permitted by the payment's stage, then checked and signed by the handshake.
    fn on_propose(
        &mut self,
        id: ChannelId,
        proposal: &Proposal,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        self.check_fresh(turn.at)?;
        let (change, nonce) = (proposal.transition.change, proposal.state.nonce);
        let permitted = self.follows(id, proposal).and_then(|()| self.permit(id, proposal));
        let step = match permitted {
            Ok(step) => step,
            Err(reason) => return self.refuse(id, proposal, reason, turn),
        };
        let event = handshake::Event::Message(handshake::Message::Propose(Box::new(*proposal)));
        match self.feed(id, event, turn) {
            Err(HubError::Handshake(Refusal::Transition(
                TransitionError::BalanceOutOfRange | TransitionError::AboveMaxUpdate { .. },
            ))) => return self.refuse(id, proposal, Reason::Liquidity, turn),
            other => other?,
        }
        if let Some(Step { payment, signed }) = step {
            if let Some(one) = self.payments.get_mut(&payment) {
                match change {
                    Change::Debit(..) => one.debit = Some(nonce),
                    Change::Credit(..) | Change::Rebase => one.credit = Some(nonce),
                }
            }
            self.go(payment, signed, turn);
        }
        Ok(())
    }

    /// Whether the proposal commits to the channel's history and itself.
    fn follows(&mut self, id: ChannelId, proposal: &Proposal) -> Result<(), Reason> {
        let lane = self.lanes.get_mut(&id).ok_or(Reason::Ending)?;
        let base = *lane.handshake.record().base();
        let entry = Entry::of(&proposal.transition.change, proposal.state.nonce);
        let found = lane.extended.find(&lane.history, &base, &entry, &proposal.transition);
        found.map(|_history| ()).ok_or(Reason::History)
    }

    /// Whether the hub would sign this now, as far as the payment goes.
    fn permit(&self, id: ChannelId, proposal: &Proposal) -> Result<Option<Step>, Reason> {
        let change = &proposal.transition.change;
        let entry = Entry::of(change, proposal.state.nonce);
        let (Change::Debit(_, payment) | Change::Credit(_, payment)) = *change else {
            return Ok(None);
        };
        let one = self.payments.get(&payment).ok_or(Reason::Debit)?;
        let fields = one.terms.fields();
        let signed = match (entry.kind, one.stage) {
            (EntryKind::Debit, HubStage::Admitted)
                if fields.payer == id && entry.amount == one.terms.debit() =>
            {
                HubStage::DebitSigned
            }
            (EntryKind::Credit, HubStage::Debited)
                if fields.payee == id && entry.amount == fields.amount =>
            {
                if !self.is_backed(one) {
                    return Err(Reason::NotBacked);
                }
                HubStage::CreditSigned
            }
            // Its disk is older than its credit.
            (EntryKind::Credit, HubStage::Credited) if fields.payee == id => {
                return Err(Reason::Credited);
            }
            (EntryKind::Credit, HubStage::PayingBack)
                if fields.payer == id && entry.amount == one.terms.debit() =>
            {
                HubStage::PayBackSigned
            }
            _ => return Err(one.reason.unwrap_or(Reason::Debit)),
        };
        Ok(Some(Step { payment, signed }))
    }

    /// Says no to a proposal that the participant really made; nothing of it is signed, now or later.
    fn refuse(
        &mut self,
        id: ChannelId,
        proposal: &Proposal,
        reason: Reason,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let lane = self.lane(id)?;
        proposal.verify(&lane.channel).map_err(Refusal::Verify)?;
        let payment = match proposal.transition.change {
            Change::Debit(_, payment) | Change::Credit(_, payment) => payment,
            Change::Rebase => PaymentId([0; 32]),
        };
        // Of the payment itself neither of these says anything: what is not backed now is offered again.
        if !matches!(reason, Reason::History | Reason::NotBacked) {
            self.drop_refused(id, payment, reason, turn);
        }
        turn.then.push(self.refusal(id, payment, reason));
        Ok(())
    }

    /// A refused debit is not admitted any more; a refused credit is paid back.
    fn drop_refused(
        &mut self,
        id: ChannelId,
        payment: PaymentId,
        reason: Reason,
        turn: &mut Turn<'_>,
    ) {
        let Some(one) = self.payments.get_mut(&payment) else { return };
        let fields = one.terms.fields();
        if fields.payer == id && one.stage == HubStage::Admitted {
            self.forget(payment, turn);
        } else if fields.payee == id && one.stage == HubStage::Debited {
            one.reason = Some(reason);
            self.go(payment, HubStage::PayingBack, turn);
        }
    }

    /// Gives a lane's handshake an event that may make a state final, and follows what it did.
    pub(super) fn follow(
        &mut self,
        id: ChannelId,
        event: handshake::Event,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let before = *self.lane(id)?.handshake.record();
        self.feed(id, event, turn)?;
        let base = *self.lane(id)?.handshake.record().base();
        if base == *before.base() {
            return Ok(());
        }
        match before.pending() {
            Pending::Outstanding(proposal, _) if proposal.state == base => {
                self.applied(id, &proposal.transition, before.base(), turn)
            }
            _ => self.went_past(id, turn),
        }
    }

    /// The channel went past what is on record here: this hub's memory is older than its signatures. What became of the payments
    /// that were under way is not known, so nothing is signed for them any more.
    fn went_past(&mut self, id: ChannelId, turn: &mut Turn<'_>) -> Result<(), HubError> {
        self.history_lost(id)?;
        self.make_unclear(id, turn);
        Ok(())
    }

    fn make_unclear(&mut self, id: ChannelId, turn: &mut Turn<'_>) {
        let open: Vec<PaymentId> = self
            .payments_of(id)
            .filter(|one| !one.stage.is_over())
            .map(|one| one.terms.id())
            .collect();
        open.into_iter().for_each(|payment| self.go(payment, HubStage::Unclear, turn));
    }

    fn history_lost(&mut self, id: ChannelId) -> Result<(), HubError> {
        let lane = self.lane_mut(id)?;
        lane.history = History::restarted(lane.handshake.record().base().app_root);
        Ok(())
    }

    /// The update that `transition` explains is final on this lane.
    fn applied(
        &mut self,
        id: ChannelId,
        transition: &Transition,
        base: &State,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let lane = self.lane_mut(id)?;
        let record = *lane.handshake.record();
        let entry = Entry::of(&transition.change, record.base().nonce);
        let found = lane.extended.find(&lane.history, base, &entry, transition);
        let Some((history, proof)) = found else {
            return self.history_lost(id);
        };
        lane.history = history;
        let (Change::Debit(_, payment) | Change::Credit(_, payment)) = transition.change else {
            return Ok(());
        };
        let Some(latest) = record.latest() else { return Ok(()) };
        let (state, salt) = (latest.unverified(), transition.salt);
        let shown = Commitment { state, payment, salt, entry, proof };
        let Some(one) = self.payments.get_mut(&payment) else { return Ok(()) };
        let stage = match one.stage {
            HubStage::DebitSigned => HubStage::Debited,
            HubStage::CreditSigned => HubStage::Credited,
            HubStage::PayBackSigned => HubStage::PaidBack,
            _ => return Ok(()),
        };
        if stage != HubStage::Debited {
            one.shown = Some(shown);
        }
        self.go(payment, stage, turn);
        if stage == HubStage::PaidBack {
            turn.then.push(self.refusal(id, payment, Reason::PaidBack));
        }
        // Where it is protected already.
        self.offer(id, |one| one.terms.id() == payment, turn);
        Ok(())
    }

    /// The debit is final, protected, and no dispute of the payer's channel stands below it. What the chain settled needs no
    /// backup.
    pub(super) fn is_backed(&self, one: &super::HubPayment) -> bool {
        let (Some(debit), Some(payer)) = (one.debit, self.lanes.get(&one.terms.fields().payer))
        else {
            return false;
        };
        match payer.ending {
            Ending::None => !payer.handshake.record().is_stopped() && payer.protected >= debit,
            Ending::Disputed(_) => false,
            Ending::Settled(nonce) => nonce >= debit,
        }
    }

    /// How a channel stands on the chain.
    pub(super) fn on_ending(
        &mut self,
        id: ChannelId,
        ending: Ending,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        if ending != Ending::None {
            self.feed(id, handshake::Event::Stop, turn)?;
        }
        self.lane_mut(id)?.ending = ending;
        if let Ending::Settled(nonce) = ending {
            let record = self.lane(id)?.handshake.record();
            let signed = match record.pending() {
                Pending::Outstanding(proposal, _) => proposal.state.nonce.max(record.base().nonce),
                _ => record.base().nonce,
            };
            if nonce > signed {
                // The chain knows a state that this hub signed and has forgotten.
                self.make_unclear(id, turn);
            }
            let touched: Vec<PaymentId> = self.of.get(&id).into_iter().flatten().copied().collect();
            touched.into_iter().for_each(|payment| self.settled(id, nonce, payment, turn));
        }
        self.offer(id, |_any| true, turn);
        Ok(())
    }

    /// What the end of a channel with `nonce` decides about a payment.
    fn settled(&mut self, id: ChannelId, nonce: Nonce, payment: PaymentId, turn: &mut Turn<'_>) {
        let Some(one) = self.payments.get_mut(&payment) else { return };
        let (payer, payee) = (one.terms.fields().payer, one.terms.fields().payee);
        let has = |at: Option<Nonce>| at.is_some_and(|at| at <= nonce);
        let stage = match one.stage {
            HubStage::Admitted if id == payer => return self.forget(payment, turn),
            HubStage::Admitted if id == payee => return self.forget(payment, turn),
            HubStage::DebitSigned if id == payer && has(one.debit) => HubStage::Debited,
            HubStage::DebitSigned | HubStage::Debited if id == payer && !has(one.debit) => {
                HubStage::Void
            }
            HubStage::CreditSigned if id == payee && has(one.credit) => HubStage::Credited,
            HubStage::CreditSigned | HubStage::Debited if id == payee => {
                one.reason = Some(Reason::Ending);
                HubStage::PayingBack
            }
            HubStage::PayBackSigned if id == payer && has(one.credit) => HubStage::PaidBack,
            _ => return,
        };
        self.go(payment, stage, turn);
    }

    /// Whether anything can still be signed on this lane.
    pub(super) fn can_answer(&self, id: ChannelId) -> bool {
        self.lanes.get(&id).is_some_and(|lane| {
            lane.ending == Ending::None && !lane.handshake.record().is_stopped()
        })
    }
}

/// A handshake's effect as one of the hub's; its records travel with the hub's own.
pub(super) fn outward(id: ChannelId, effect: handshake::Effect) -> Option<Effect> {
    match effect {
        handshake::Effect::Persist { .. } => None,
        handshake::Effect::Send(message) => Some(Effect::Handshake(id, message)),
        handshake::Effect::Finalized(state) => Some(Effect::Finalized(id, state)),
        handshake::Effect::Report(report) => Some(Effect::Report(id, report)),
    }
}
