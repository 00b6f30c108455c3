//! The counterparty's end: checks the proposal, signs first.

use super::{
    Acknowledgement, Config, Effect, Event, ExitAdvice, Message, Millis, Pending, Proposal, Record,
    Refusal, Report, shared::Shared,
};
use crate::{
    ids::Role,
    known_key::KnownKey,
    vipe::Ledger,
    zksc::{Channel, FinalState, PartialState, Signer, UnverifiedFinal},
};

/// The counterparty's end of one channel.
#[derive(Debug)]
pub struct Counterparty {
    shared: Shared,
}

impl Counterparty {
    /// Goes on from `record`; a new channel begins with [`Record::new`]. `ledger` holds the versions that are final on
    /// the chain. Returns what must be sent and published once more.
    ///
    /// # Errors
    /// [`Refusal::Unexpected`] when the record or the signer is not of this channel's counterparty.
    pub fn resume(
        channel: Channel,
        signer: Signer,
        config: Config,
        ledger: Ledger,
        record: Record,
        now: Millis,
    ) -> Result<(Self, Vec<Effect>), Refusal> {
        let held = (channel, signer, record);
        let (shared, effects) = Shared::resume(Role::Counterparty, held, config, ledger, now)?;
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

    /// The participant's channel key, made ready for many signatures.
    pub(crate) const fn theirs(&self) -> &KnownKey {
        &self.shared.theirs
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
            Event::Message(Message::Propose(proposal)) => self.on_propose(*proposal, now, hedge),
            Event::Message(Message::Final(state)) => self.on_final(&state),
            other => self.shared.on_event(other, now),
        }
    }

    fn on_propose(
        &mut self,
        proposal: Proposal,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        shared.check_active()?;
        shared.check_durable()?;
        if !shared.has_signed(&proposal) {
            proposal.verify_by(&shared.channel, &shared.theirs)?;
        }
        if shared.record.latest.is_some_and(|l| proposal.state.nonce <= l.state().nonce) {
            return Ok(shared.remind());
        }
        if let Pending::Outstanding(old, partial) = &shared.record.pending {
            let partial = Box::new(partial.unverified());
            let answer = if old.is_same_as(&proposal) {
                Message::Partial(partial)
            } else {
                Message::Outstanding(Box::new(*old), partial)
            };
            return Ok(vec![Effect::Send(answer)]);
        }
        let (base, max) = (&shared.record.base, shared.config.max_update);
        proposal.transition.check(base, &proposal.state, &shared.ledger, max)?;
        let partial = PartialState::sign(proposal.state, &shared.channel, &shared.signer, hedge)?;
        shared.record.pending = Pending::Outstanding(proposal, partial);
        shared.start_wait(now);
        let answer = Message::Partial(Box::new(partial.unverified()));
        Ok(shared.persist(vec![Effect::Send(answer)]))
    }

    fn on_final(&mut self, candidate: &UnverifiedFinal) -> Result<Vec<Effect>, Refusal> {
        let shared = &mut self.shared;
        shared.check_durable()?;
        if let Some(latest) = shared.record.latest.filter(|l| *l.state() == candidate.state) {
            shared.check_active()?;
            return Ok(vec![ack(&latest)]);
        }
        if shared.record.latest.is_some_and(|l| candidate.state.nonce < l.state().nonce) {
            // Its own participant waits for the answer to a state that it went past and forgot.
            shared.check_active()?;
            candidate.verify(&shared.channel)?;
            return Ok(shared.remind());
        }
        shared.check_newer(candidate.state.nonce)?;
        let state = match &shared.record.pending {
            Pending::Outstanding(_, partial) if *partial.state() == candidate.state => {
                partial.complete_by(&shared.channel, &shared.theirs, candidate)?
            }
            // This counterparty signed it and forgot; its own signatures are checked with the rest.
            _ => candidate.verify(&shared.channel)?,
        };
        let nonce = state.state().nonce;
        // Worth having even now: it is evidence against an older state. It is not answered.
        let answer = if shared.record.stopped {
            Effect::Report(Report::LateFinal(nonce))
        } else {
            ack(&state)
        };
        let recovered = shared.end_wait(nonce);
        shared.adopt(state, core::iter::once(answer).chain(recovered).collect())
    }
}

fn ack(state: &FinalState) -> Effect {
    let (nonce, digest) = (state.state().nonce, *state.digest());
    Effect::Send(Message::Ack(Acknowledgement { nonce, digest }))
}
