//! One dispute at this tower: the row on disk, the machine that decides, and what the chain said so far.

use std::collections::VecDeque;
use std::time::Instant;

use chain::events::{ChainEvent, DisputeOpened, Event as Chain};
use protocol::Address;
use protocol::backup::DisputeKey;
use protocol::vipe::{Ledger, Rules, Standing};
use protocol::vnode::dispute::{Facts, Policy, Verdict};
use protocol::vnode::rescue::{Effect, Event, Rescue, Step};
use protocol::zksc::{Channel, FinalState, UnverifiedFinal};
use store::{Change, DisputeId, DisputeRow, Store, StoreError};
use tokio_util::sync::DropGuard;

use super::chase::Chase;
use super::envelopes::open_slots;
use super::journal::Line;
use super::race::Stands;
use super::standing::{opening_row, standing};
use super::words::{explain, report};

/// What follows from events: writes and lines for one commit, and what to do after it.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// For the commit.
    pub(crate) changes: Vec<Change>,
    /// For the commit, and for the log after it.
    pub(crate) lines: Vec<Line>,
    /// After the commit.
    pub(crate) todo: VecDeque<(DisputeId, Effect)>,
}

/// What the tower brings to every dispute.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Whom its proofs pay.
    pub(crate) beneficiary: Address,
    /// When it acts.
    pub(crate) policy: Policy,
    /// The vault's rules.
    pub(crate) rules: Rules,
}

/// One dispute.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) row: DisputeRow,
    pub(crate) channel: Channel,
    /// The newest state that the envelopes held.
    pub(crate) held: Option<FinalState>,
    /// Whether an answer to [`Effect::ReadConditions`] is under way.
    pub(crate) looking: bool,
    /// The proof under way; dropped when it is no longer wanted, so that it takes no place in the prover's queue.
    pub(crate) proving: Option<DropGuard>,
    /// Since when it stands as it does, for the order of towers.
    pub(crate) stands: Stands,
    chase: Chase,
    machine: Rescue,
}

/// Why a stored dispute cannot go on.
fn broken(detail: impl std::fmt::Display) -> StoreError {
    StoreError::Row { table: "disputes-1", detail: detail.to_string() }
}

impl Life {
    /// A dispute was opened. None if nobody of the channel did, which the vault does not allow.
    pub(crate) fn begin(
        event: &ChainEvent,
        opened: &DisputeOpened,
        (channel, ledger): (Channel, Ledger),
        terms: &Terms,
        out: &mut Out,
    ) -> Result<Option<Self>, StoreError> {
        let id = DisputeId { channel_id: opened.channel, epoch: opened.epoch };
        let events = std::slice::from_ref(event);
        let Some(standing) = standing(events, &channel, &terms.rules) else { return Ok(None) };
        let facts = Facts {
            standing,
            opening_nonce: opened.nonce,
            ledger,
            rate: channel.rate(),
            rules: terms.rules,
        };
        let (machine, effects) = Rescue::begin(facts, terms.beneficiary, terms.policy);
        let now = crate::clock::now_ms();
        let row = DisputeRow {
            id,
            opening: opening_row(event, opened),
            record: machine.record().clone(),
            held: None,
            events: vec![encode(event)?],
            account: store::AccountRow::default(),
            outcome: None,
            vanished: false,
            closed: false,
            seen_at_ms: now,
            changed_at_ms: now,
        };
        let stands = Stands::new(Some(event), Some(standing.opened_at));
        let mut life = Self {
            row,
            channel,
            held: None,
            looking: false,
            stands,
            proving: None,
            chase: Chase::default(),
            machine,
        };
        let who = standing.disputer;
        let message = format!(
            "dispute opened by the {who} with nonce {}, claiming {} base units; answers count before Unix second {}",
            opened.nonce, opened.claim, opened.deadline
        );
        out.lines.push(
            Line::step(id, "seen", message)
                .block(event.block.number)
                .transaction(event.transaction),
        );
        life.take(effects, out);
        Ok(Some(life))
    }

    /// Goes on with a stored dispute.
    pub(crate) fn resume(
        row: DisputeRow,
        channel: Channel,
        terms: &Terms,
        out: &mut Out,
    ) -> Result<Self, StoreError> {
        let held = match &row.held {
            None => None,
            Some(bytes) => Some(
                UnverifiedFinal::from_bytes(bytes)
                    .map_err(broken)?
                    .verify(&channel)
                    .map_err(broken)?,
            ),
        };
        let id = row.id;
        let step = row.record.step;
        let (machine, effects) = Rescue::resume(row.record.clone(), terms.policy);
        let opened_at = row.record.facts.standing.opened_at;
        let stands = Stands::resumed(&read_events(&row)?, opened_at);
        let mut life = Self {
            row,
            channel,
            held,
            looking: false,
            proving: None,
            stands,
            chase: Chase::default(),
            machine,
        };
        out.lines.push(Line::step(id, "resumed", format!("going on after a restart, at {step:?}")));
        life.take(effects, out);
        Ok(life)
    }

    /// The dispute's name.
    pub(crate) fn id(&self) -> DisputeId {
        self.row.id
    }

    /// The machine's step.
    pub(crate) fn step(&self) -> Step {
        self.machine.record().step
    }

    /// Whether nothing more comes of it, as far as the machine knows.
    pub(crate) fn is_over(&self) -> bool {
        self.machine.is_over()
    }

    /// The block that settled it, if one did.
    pub(crate) fn settled_block(&self) -> Option<u64> {
        let events = self.events().ok()?;
        events
            .iter()
            .rev()
            .find(|event| matches!(event.event, Chain::Settled(_)))
            .map(|event| event.block.number)
    }

    /// Hands an event to the machine; what follows goes to `out`.
    pub(crate) fn handle(&mut self, event: Event, out: &mut Out) {
        let before = self.step();
        let verdict = self.machine.record().verdict.clone();
        let effects = self.machine.handle(event);
        self.note(before, verdict.as_ref(), out);
        self.take(effects, out);
    }

    /// The row, for a change outside the machine.
    pub(crate) fn changed(&mut self, out: &mut Out) {
        self.row.changed_at_ms = crate::clock::now_ms();
        out.changes.push(Change::Dispute(Box::new(self.row.clone())));
    }

    fn take(&mut self, effects: Vec<Effect>, out: &mut Out) {
        for effect in effects {
            match effect {
                Effect::Persist(record) => {
                    self.row.record = *record;
                    self.changed(out);
                }
                Effect::Report(outcome) => {
                    out.lines.push(report(self.id(), &outcome));
                    self.row.outcome = Some(outcome);
                    self.changed(out);
                }
                other => out.todo.push_back((self.id(), other)),
            }
        }
    }

    /// Says what the machine concluded, where no other line does.
    fn note(&self, before: Step, verdict: Option<&Verdict>, out: &mut Out) {
        let record = self.machine.record();
        if record.verdict.as_ref() != verdict
            && let Some(new) = &record.verdict
            && verdict.map(std::mem::discriminant) != Some(std::mem::discriminant(new))
        {
            out.lines.push(Line::step(self.id(), "decided", explain(new)));
        }
        if before == record.step {
            return;
        }
        let (word, message) = match record.step {
            Step::Beaten => ("overtaken", "another override brought a state as new"),
            Step::Lost => ("late", "the window closed before the override was in"),
            Step::Won => ("due", "the window closed with this tower as the last corrector"),
            _ => return,
        };
        out.lines.push(Line::step(self.id(), word, message));
    }

    /// The chain's events of this dispute.
    pub(crate) fn events(&self) -> Result<Vec<ChainEvent>, StoreError> {
        read_events(&self.row)
    }

    /// The dispute's events are others now: where it stands follows from them.
    pub(crate) fn stands_anew(&mut self, rules: &Rules, out: &mut Out) -> Result<(), StoreError> {
        if let Some(standing) = self.standing(rules)? {
            self.handle(Event::Changed(standing), out);
        }
        self.changed(out);
        Ok(())
    }

    /// One more event of this dispute is on the chain.
    pub(crate) fn push_event(&mut self, event: &ChainEvent) -> Result<(), StoreError> {
        self.row.events.push(encode(event)?);
        Ok(())
    }

    /// The newest event of this dispute is no longer on the chain.
    pub(crate) fn pop_event(&mut self, event: &ChainEvent) -> Result<bool, StoreError> {
        let known = self.row.events.last() == Some(&encode(event)?);
        if known {
            self.row.events.pop();
        }
        Ok(known)
    }

    /// Where the dispute stands after the events so far.
    pub(crate) fn standing(&self, rules: &Rules) -> Result<Option<Standing>, StoreError> {
        Ok(standing(&self.events()?, &self.channel, rules))
    }

    /// Whether backups that had to wait are to be looked at now: nothing is under way any more, or it has had its time.
    pub(crate) fn looks_again(&mut self) -> bool {
        let answering = matches!(
            self.step(),
            Step::Seen | Step::Decrypted | Step::Proving | Step::Proved | Step::Submitting
        );
        self.chase.goes_on(answering, Instant::now())
    }

    /// Fetches both slots and opens them with the revealed key.
    pub(crate) fn open_envelopes(
        &mut self,
        store: &Store,
        out: &mut Out,
    ) -> Result<(), StoreError> {
        let under_way = matches!(self.step(), Step::Proving | Step::Proved | Step::Submitting);
        let started = Instant::now();
        if under_way && !self.chase.may_displace(started) {
            return Ok(());
        }
        let key = DisputeKey::from_bytes(self.row.opening.dispute_key.0);
        let opened = open_slots(store, &self.channel, &key)?;
        let known = self.held.map(|held| held.state().nonce);
        let newest = opened.newest();
        if newest.is_some_and(|newest| known.is_none_or(|known| newest.state().nonce > known)) {
            if under_way {
                self.chase.displaced(started);
            }
            self.held = newest;
            self.row.held = newest.map(|state| state.to_bytes().into());
        }
        if self.step() == Step::Seen || self.held.map(|held| held.state().nonce) != known {
            let message =
                format!("backups opened with the revealed key; {}", opened.words.join("; "));
            out.lines.push(Line::step(self.id(), "opened", message).took(started.elapsed()));
        }
        self.handle(Event::Opened(opened.states), out);
        Ok(())
    }
}

fn read_events(row: &DisputeRow) -> Result<Vec<ChainEvent>, StoreError> {
    let read = |event: &serde_json::Value| serde_json::from_value(event.clone()).map_err(broken);
    row.events.iter().map(read).collect()
}

fn encode(event: &ChainEvent) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(event).map_err(broken)
}
