//! What both ends of the handshake have in common: the record, its write-ahead, the clock.

use super::{
    Config, Effect, Event, ExitAdvice, Message, Millis, Pending, Proposal, Record, Refusal, Report,
};
use crate::{
    ids::{Nonce, Role},
    known_key::KnownKey,
    vipe::Ledger,
    zksc::{Channel, FinalState, Signer, State},
};

/// The wait for the other party's answer.
#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Millis,
    next_retry: Millis,
    pause: Millis,
    stalled: bool,
    exit_reported: bool,
}

/// One end of a channel.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) channel: Channel,
    /// The other party's channel key: every update is checked against it.
    pub(super) theirs: KnownKey,
    pub(super) signer: Signer,
    pub(super) config: Config,
    pub(super) ledger: Ledger,
    pub(super) record: Record,
    number: u64,
    /// What waits until the record with `number` is durable.
    held: Option<Vec<Effect>>,
    wait: Option<Wait>,
}

impl Shared {
    /// Goes on from `record`: what it holds is published and sent once more. `own` is the role that resumes.
    ///
    /// # Errors
    /// [`Refusal::Unexpected`] when the record or the signer is not of this channel and role.
    pub(super) fn resume(
        own: Role,
        (channel, signer, record): (Channel, Signer, Record),
        config: Config,
        ledger: Ledger,
        now: Millis,
    ) -> Result<(Self, Vec<Effect>), Refusal> {
        if record.role != own || signer.role() != own || !signer.is_of(&channel) {
            return Err(Refusal::Unexpected);
        }
        let theirs = KnownKey::new(channel.party(own.other()).channel_key);
        let mut shared = Self {
            channel,
            theirs,
            signer,
            config,
            ledger,
            record,
            number: 0,
            held: None,
            wait: None,
        };
        if shared.outgoing().is_some() {
            shared.start_wait(now);
        }
        let latest = shared.record.latest.map(|state| Effect::Finalized(Box::new(state)));
        let outgoing = shared.outgoing().map(Effect::Send);
        Ok((shared, latest.into_iter().chain(outgoing).collect()))
    }

    /// The events that mean the same at both ends. Updates and messages do not: each end takes its own before.
    pub(super) fn on_event(&mut self, event: Event, now: Millis) -> Result<Vec<Effect>, Refusal> {
        match event {
            Event::Update(_) | Event::Message(_) | Event::Abandon => Err(Refusal::Unexpected),
            Event::Persisted(number) => Ok(self.on_persisted(number)),
            Event::Tick => Ok(self.on_tick(now)),
            Event::Ledger(ledger) => self.on_ledger(ledger),
            Event::Consented(state) => self.on_consented(state),
            Event::Restored(state) => self.adopt(*state, Vec::new()),
            Event::Stop => Ok(self.on_stop()),
        }
    }

    /// The recorded message that waits for an answer.
    fn outgoing(&self) -> Option<Message> {
        if self.record.stopped {
            return None;
        }
        match (&self.record.pending, &self.record.latest) {
            (Pending::Proposed(proposal), _) => Some(Message::Propose(Box::new(*proposal))),
            (Pending::Unconfirmed, Some(state)) => {
                Some(Message::Final(Box::new(state.unverified())))
            }
            // With the proposal: the participant may have forgotten it.
            (Pending::Outstanding(proposal, partial), _) => {
                Some(Message::Outstanding(Box::new(*proposal), Box::new(partial.unverified())))
            }
            (Pending::None | Pending::Unconfirmed, _) => None,
        }
    }

    /// Whether exactly this proposal was checked before and is outstanding.
    pub(super) fn has_signed(&self, proposal: &Proposal) -> bool {
        matches!(&self.record.pending, Pending::Outstanding(old, _) if old == proposal)
    }

    /// What a participant that forgot must see, in this order: the newest state that both signed, without which it cannot
    /// check what follows, and what is outstanding after it.
    pub(super) fn remind(&self) -> Vec<Effect> {
        let latest = self.record.latest.map(|l| Message::Final(Box::new(l.unverified())));
        latest.into_iter().chain(self.outgoing()).map(Effect::Send).collect()
    }

    /// Refuses while a record is on its way to the disk.
    pub(super) const fn check_durable(&self) -> Result<(), Refusal> {
        if self.held.is_some() { Err(Refusal::Busy) } else { Ok(()) }
    }

    /// Refuses once nothing may be signed any more.
    pub(super) const fn check_active(&self) -> Result<(), Refusal> {
        if self.record.stopped { Err(Refusal::Stopped) } else { Ok(()) }
    }

    /// Makes the record durable; `then` is done afterwards, and not before.
    pub(super) fn persist(&mut self, then: Vec<Effect>) -> Vec<Effect> {
        self.number = self.number.wrapping_add(1);
        self.held = Some(then);
        vec![Effect::Persist { number: self.number, record: Box::new(self.record) }]
    }

    pub(super) fn on_persisted(&mut self, number: u64) -> Vec<Effect> {
        if number == self.number { self.held.take().unwrap_or_default() } else { Vec::new() }
    }

    /// Nothing is signed any more, and nothing signed that has not left the machine yet leaves it.
    pub(super) fn on_stop(&mut self) -> Vec<Effect> {
        if self.record.stopped {
            return Vec::new();
        }
        self.record.stopped = true;
        self.wait = None;
        let mut held = self.held.take().unwrap_or_default();
        held.retain(|effect| matches!(effect, Effect::Finalized(_)));
        self.persist(held)
    }

    pub(super) fn on_ledger(&mut self, ledger: Ledger) -> Result<Vec<Effect>, Refusal> {
        if ledger.last() < self.record.base.version {
            return Err(Refusal::LedgerTooShort);
        }
        self.ledger = ledger;
        Ok(Vec::new())
    }

    /// A consent used up a nonce. Its own signatures are made elsewhere, and only while nothing is outstanding here. What is
    /// merely proposed was not signed as a state: the consent goes past it, and it is forgotten.
    pub(super) fn on_consented(&mut self, state: State) -> Result<Vec<Effect>, Refusal> {
        self.check_durable()?;
        let overtaken = match &self.record.pending {
            Pending::None => false,
            Pending::Proposed(proposal) if proposal.state.nonce <= state.nonce => true,
            _ => return Err(Refusal::Busy),
        };
        self.check_newer(state.nonce)?;
        if overtaken {
            self.record.pending = Pending::None;
            self.wait = None;
        }
        self.record.base = state;
        Ok(self.persist(Vec::new()))
    }

    pub(super) fn check_newer(&self, nonce: Nonce) -> Result<(), Refusal> {
        let last = self.record.base.nonce;
        if nonce > last { Ok(()) } else { Err(Refusal::OldNonce { last, got: nonce }) }
    }

    /// Takes a newer final state, from wherever it came: both parties signed it, so everything before it is past.
    pub(super) fn adopt(
        &mut self,
        state: FinalState,
        then: Vec<Effect>,
    ) -> Result<Vec<Effect>, Refusal> {
        self.check_durable()?;
        let inner = state.state();
        if inner.domain != self.channel.domain() || inner.channel_id != self.channel.id() {
            return Err(Refusal::Unexpected);
        }
        self.check_newer(inner.nonce)?;
        let overtaken = match &self.record.pending {
            Pending::None | Pending::Unconfirmed => true,
            Pending::Proposed(proposal) | Pending::Outstanding(proposal, _) => {
                proposal.state.nonce <= inner.nonce
            }
        };
        if overtaken {
            self.record.pending = Pending::None;
            self.wait = None;
        }
        self.record.base = *inner;
        self.record.latest = Some(state);
        let finalized = Effect::Finalized(Box::new(state));
        Ok(self.persist(core::iter::once(finalized).chain(then).collect()))
    }

    pub(super) const fn start_wait(&mut self, now: Millis) {
        let pause = self.config.retry_first;
        let next_retry = now.saturating_add(pause);
        self.wait =
            Some(Wait { since: now, next_retry, pause, stalled: false, exit_reported: false });
    }

    /// Whether an answer is waited for: else time changes nothing.
    pub(super) const fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// The answer came. Says so if it had been given up.
    pub(super) fn end_wait(&mut self, nonce: Nonce) -> Option<Effect> {
        let wait = self.wait.take()?;
        wait.stalled.then_some(Effect::Report(Report::Recovered(nonce)))
    }

    pub(super) fn on_tick(&mut self, now: Millis) -> Vec<Effect> {
        let (Some(mut wait), None) = (self.wait, &self.held) else { return Vec::new() };
        let mut effects = Vec::new();
        let waited = now.saturating_sub(wait.since);
        if waited >= self.config.handshake_timeout && !wait.stalled {
            wait.stalled = true;
            effects.push(Effect::Report(Report::Stalled(self.record.base.nonce)));
        }
        if waited >= self.config.exit_timeout && !wait.exit_reported {
            wait.exit_reported = true;
            effects.push(Effect::Report(Report::MayDispute(Box::new(self.advice()))));
        }
        if now >= wait.next_retry {
            wait.pause = wait.pause.saturating_mul(2).min(self.config.retry_most);
            wait.next_retry = now.saturating_add(wait.pause);
            effects.extend(self.outgoing().map(Effect::Send));
        }
        self.wait = Some(wait);
        effects
    }

    /// What a dispute would put forward now, as far as the ledger is final.
    pub(super) fn advice(&self) -> ExitAdvice {
        self.advice_over(&self.ledger)
    }

    /// The same over a ledger with versions that are not final yet: the vault pays by those, too.
    pub(super) fn advice_over(&self, ledger: &Ledger) -> ExitAdvice {
        let role = self.record.role;
        let pays = |state: &State| {
            ledger.payout(state.version, state.balance).map(|payout| payout.of(role)).ok()
        };
        let claim = pays(&self.record.base).unwrap_or_default();
        let outstanding = match (&self.record.pending, role) {
            (Pending::Outstanding(_, partial), Role::Counterparty) => pays(partial.state()),
            _ => None,
        };
        ExitAdvice { state: self.record.latest, claim: outstanding.map_or(claim, |o| o.min(claim)) }
    }
}
