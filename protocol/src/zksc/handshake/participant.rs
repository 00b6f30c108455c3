//! The participant's end: proposes, signs last.

use super::{
    Acknowledgement, Config, Effect, Event, ExitAdvice, Message, Millis, Pending, Proposal, Record,
    Refusal, shared::Shared,
};
use crate::{
    ids::Role,
    vipe::Ledger,
    zksc::{Channel, PartialState, Signer, Transition, UnverifiedFinal, UnverifiedPartial},
};

/// The participant's end of one channel.
#[derive(Debug)]
pub struct Participant {
    shared: Shared,
}

impl Participant {
    /// Goes on from `record`; a new channel begins with [`Record::new`]. `ledger` holds the versions that are final on
    /// the chain. Returns what must be sent and published once more.
    ///
    /// # Errors
    /// [`Refusal::Unexpected`] when the record or the signer is not of this channel's participant.
    pub fn resume(
        channel: Channel,
        signer: Signer,
        config: Config,
        ledger: Ledger,
        record: Record,
        now: Millis,
    ) -> Result<(Self, Vec<Effect>), Refusal> {
        let held = (channel, signer, record);
        let (shared, effects) = Shared::resume(Role::Participant, held, config, ledger, now)?;
        Ok((Self { shared }, effects))
    }

    /// The record as it stands; durable once its [`Effect::Persist`] was confirmed.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.shared.record
    }

    /// What a dispute would put forward now, as far as the ledger is final.
    #[must_use]
    pub fn advice(&self) -> ExitAdvice {
        self.shared.advice()
    }

    /// The same over a ledger with versions that are not final yet: the vault pays by those, too.
    #[must_use]
    pub fn advice_over(&self, ledger: &Ledger) -> ExitAdvice {
        self.shared.advice_over(ledger)
    }

    /// Whether an answer is waited for.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.shared.waits()
    }

    /// Takes one event. `hedge` is 32 fresh random bytes.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changed, nothing was signed.
    pub fn handle(
        &mut self,
        event: Event,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        match event {
            Event::Update(transition) => self.on_update(transition, now, hedge),
            Event::Message(message) => self.on_message(message, now, hedge),
            Event::Abandon => self.on_abandon(),
            other => self.shared.on_event(other, now),
        }
    }

    fn on_message(
        &mut self,
        message: Message,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        self.shared.check_durable()?;
        match message {
            Message::Partial(partial) => self.on_partial(*partial, now, hedge),
            Message::Outstanding(proposal, partial) => {
                self.on_outstanding(*proposal, *partial, now, hedge)
            }
            Message::Final(state) => self.on_final(*state),
            Message::Ack(ack) => self.on_ack(ack),
            Message::Propose(_) => Err(Refusal::Unexpected),
        }
    }

    fn on_update(
        &mut self,
        transition: Transition,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        shared.check_active()?;
        shared.check_durable()?;
        if shared.record.pending != Pending::None {
            return Err(Refusal::Busy);
        }
        let max = shared.config.max_update;
        let state = transition.apply(&shared.record.base, &shared.ledger, max)?;
        let proposal = Proposal::sign(state, transition, shared.signer.channel_key(), hedge);
        shared.record.pending = Pending::Proposed(proposal);
        shared.start_wait(now);
        Ok(vec![Effect::Send(Message::Propose(Box::new(proposal)))])
    }

    fn on_abandon(&mut self) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        shared.check_active()?;
        shared.check_durable()?;
        if !matches!(shared.record.pending, Pending::Proposed(_)) {
            return Err(Refusal::Unexpected);
        }
        shared.record.pending = Pending::None;
        Ok(shared.end_wait(shared.record.base.nonce).into_iter().collect())
    }

    /// The counterparty signed. Its answer may be a repetition of one that was finished before.
    fn on_partial(
        &mut self,
        partial: UnverifiedPartial,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        shared.check_active()?;
        if let Some(latest) = shared.record.latest.filter(|l| *l.state() == partial.state) {
            return Ok(vec![Effect::Send(Message::Final(Box::new(latest.unverified())))]);
        }
        match shared.record.pending {
            Pending::Proposed(proposal) if proposal.state == partial.state => {}
            _ => return Err(Refusal::Unexpected),
        }
        let partial = partial.verify_by(&shared.channel, &shared.theirs)?;
        self.finish(&partial, now, hedge)
    }

    fn finish(
        &mut self,
        partial: &PartialState,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        let state = partial.sign_final(&shared.channel, &shared.signer, hedge)?;
        shared.record.base = *state.state();
        shared.record.latest = Some(state);
        shared.record.pending = Pending::Unconfirmed;
        let recovered = shared.end_wait(state.state().nonce);
        shared.start_wait(now);
        let send = Effect::Send(Message::Final(Box::new(state.unverified())));
        let finalized = Effect::Finalized(Box::new(state));
        let effects = [finalized, send].into_iter().chain(recovered).collect();
        Ok(shared.persist(effects))
    }

    /// Another proposal is outstanding there. If it is one of this participant's own, made before it lost its memory, it
    /// is taken up again: the counterparty can sign no other state with that nonce.
    fn on_outstanding(
        &mut self,
        proposal: Proposal,
        partial: UnverifiedPartial,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        shared.check_active()?;
        if shared.record.latest.is_some_and(|latest| *latest.state() == partial.state) {
            return self.on_partial(partial, now, hedge);
        }
        if partial.state != proposal.state || shared.record.pending == Pending::Unconfirmed {
            return Err(Refusal::Unexpected);
        }
        proposal.verify(&shared.channel)?;
        let (base, max) = (&shared.record.base, shared.config.max_update);
        proposal.transition.check(base, &proposal.state, &shared.ledger, max)?;
        let partial = partial.verify(&shared.channel)?;
        self.finish(&partial, now, hedge)
    }

    /// The counterparty shows a newer state that this participant signed and forgot.
    fn on_final(&mut self, state: UnverifiedFinal) -> Result<Vec<Effect>, Refusal> {
        self.shared.check_newer(state.state.nonce)?;
        let state = state.verify(&self.shared.channel)?;
        self.shared.adopt(state, Vec::new())
    }

    fn on_ack(&mut self, ack: Acknowledgement) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        let confirmed = shared.record.pending == Pending::Unconfirmed
            && shared.record.latest.is_some_and(|latest| {
                latest.state().nonce == ack.nonce && *latest.digest() == ack.digest
            });
        if !confirmed {
            return Err(Refusal::Unexpected);
        }
        shared.record.pending = Pending::None;
        Ok(shared.end_wait(ack.nonce).into_iter().collect())
    }
}
