//! The way back from a seed alone: ask many, believe signatures, name who lied, sign nothing until it is done.
//!
//! ```text
//!   channel on chain --Ask--> counterparty, towers --Answer--> envelopes opened with the restored key
//!     done once the counterparty answered or its time is over, AND `quorum` towers answered that it did not name
//! ```
//!
//! An answer can hide a newer state, never forge one: the greatest nonce that both parties signed wins, whoever served it.
//!
//! **Invariant:** until [`Outcome`] there is no state to sign on.
//!
//! **Invariant:** a tower is named only with its own signed receipt in hand.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;

use crate::{
    backup::{DisputeKey, Receipt, SignedReceipt, UnverifiedEnvelope, open},
    ids::{Nonce, Role},
    zksc::{Channel, FinalState, UnverifiedFinal, handshake::Millis},
};

/// Envelopes looked at in one answer: a slot for each role, and some room. More are not read.
const ENVELOPES_MAX: usize = 4;
/// Receipts looked at in one answer. More are not read.
const RECEIPTS_MAX: usize = 64;

/// What a node decides beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreConfig {
    /// q: how many towers must answer that the counterparty did not name.
    pub quorum: usize,
    /// How long the counterparty is waited for, in milliseconds.
    pub counterparty_timeout: Millis,
    /// Between two askings of one that did not answer, in milliseconds.
    pub ask_every: Millis,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The other party.
    Counterparty,
    /// A tower.
    Tower(Address),
}

/// What somebody answered; nothing in it is checked.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The envelopes of both slots that it holds.
    pub envelopes: Vec<UnverifiedEnvelope>,
    /// A final state in clear, as the counterparty may show it.
    pub state: Option<Box<UnverifiedFinal>>,
    /// Receipts of any tower for this channel that it kept.
    pub receipts: Vec<SignedReceipt>,
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum Event {
    /// A tower was found, by the chain or the network; `by_counterparty` when the counterparty named it.
    Found {
        /// The tower's account.
        tower: Address,
        /// Its answer does not count towards the quorum.
        by_counterparty: bool,
    },
    /// An answer came, over a connection that shows who it is of.
    Answer(Source, Box<Answer>),
    /// Time went by.
    Tick,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask for both slots, the newest state and receipts; answer [`Event::Answer`].
    Ask(Source),
    /// The restore is done.
    Done(Box<Outcome>),
}

/// A tower that served less than it had receipted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What it promised.
    pub receipt: Receipt,
    /// The nonce that it served for that slot; none for nothing.
    pub served: Option<Nonce>,
}

/// What a restore found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The newest state that both signed; none when nobody holds one.
    pub state: Option<FinalState>,
    /// Towers that served less than they promised.
    pub evidence: Vec<Evidence>,
    /// Whether the counterparty answered.
    pub counterparty_answered: bool,
}

/// The restore of one channel.
#[derive(Debug)]
pub struct Restore {
    config: RestoreConfig,
    channel: Channel,
    key: DisputeKey,
    began: Millis,
    asked: BTreeMap<Source, Millis>,
    independent: BTreeSet<Address>,
    served: BTreeMap<Source, BTreeMap<Role, Nonce>>,
    receipts: BTreeMap<(Address, Role), Receipt>,
    newest: Option<FinalState>,
    done: bool,
}

impl Restore {
    /// Begins. `key` is the dispute key restored from the seed and the chain; the channel is as the chain has it.
    #[must_use]
    pub fn new(
        config: RestoreConfig,
        channel: Channel,
        key: DisputeKey,
        now: Millis,
    ) -> (Self, Vec<Effect>) {
        let mut restore = Self {
            config,
            channel,
            key,
            began: now,
            asked: BTreeMap::new(),
            independent: BTreeSet::new(),
            served: BTreeMap::new(),
            receipts: BTreeMap::new(),
            newest: None,
            done: false,
        };
        let effects = restore.ask(Source::Counterparty, now).into_iter().collect();
        (restore, effects)
    }

    /// The newest state that both signed of those that were shown so far.
    #[must_use]
    pub const fn newest(&self) -> Option<&FinalState> {
        self.newest.as_ref()
    }

    /// Takes one event.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        if self.done {
            return Vec::new();
        }
        match event {
            Event::Found { tower, by_counterparty } => {
                // Who found it first decides nothing: once named by the counterparty, a tower stays so.
                let source = Source::Tower(tower);
                if by_counterparty {
                    self.independent.remove(&tower);
                } else if !self.asked.contains_key(&source) {
                    self.independent.insert(tower);
                }
                if self.asked.contains_key(&source) {
                    return Vec::new();
                }
                self.ask(source, now).into_iter().collect()
            }
            Event::Answer(source, answer) => {
                self.on_answer(source, &answer);
                self.conclude(now)
            }
            Event::Tick => {
                let late: Vec<Source> = self
                    .asked
                    .iter()
                    .filter(|(source, at)| {
                        !self.served.contains_key(source)
                            && now.saturating_sub(**at) >= self.config.ask_every
                    })
                    .map(|(source, _)| *source)
                    .collect();
                let mut effects = self.conclude(now);
                if !self.done {
                    effects.extend(late.into_iter().filter_map(|source| self.ask(source, now)));
                }
                effects
            }
        }
    }

    fn ask(&mut self, source: Source, now: Millis) -> Option<Effect> {
        self.asked.insert(source, now);
        Some(Effect::Ask(source))
    }

    /// Takes of an answer what its signatures prove, and nothing else.
    fn on_answer(&mut self, source: Source, answer: &Answer) {
        if !self.asked.contains_key(&source) {
            return;
        }
        let mut slots = self.served.remove(&source).unwrap_or_default();
        for envelope in answer.envelopes.iter().take(ENVELOPES_MAX) {
            let Ok(envelope) = envelope.clone().admit(&self.channel) else { continue };
            let header = *envelope.header();
            let nonce = slots.entry(header.role).or_insert(header.nonce);
            *nonce = (*nonce).max(header.nonce);
            if let Ok(state) = open(&envelope, &self.channel, &self.key) {
                self.keep(state);
            }
        }
        if let Some(Ok(state)) = answer.state.as_ref().map(|state| state.verify(&self.channel)) {
            self.keep(state);
        }
        let terms = *self.channel.terms();
        for receipt in answer.receipts.iter().take(RECEIPTS_MAX).map(SignedReceipt::receipt) {
            let here = (receipt.chain_id, receipt.vipe, receipt.channel_id);
            if here == (terms.chain_id, terms.vipe, terms.channel_id) {
                let kept = self.receipts.entry((receipt.tower, receipt.role)).or_insert(*receipt);
                if receipt.nonce > kept.nonce {
                    *kept = *receipt;
                }
            }
        }
        self.served.insert(source, slots);
    }

    fn keep(&mut self, state: FinalState) {
        let newer = |old: &FinalState| state.state().nonce > old.state().nonce;
        if self.newest.as_ref().is_none_or(newer) {
            self.newest = Some(state);
        }
    }

    fn conclude(&mut self, now: Millis) -> Vec<Effect> {
        let counterparty_answered = self.served.contains_key(&Source::Counterparty);
        let waited = now.saturating_sub(self.began) >= self.config.counterparty_timeout;
        let answered = |tower: &&Address| self.served.contains_key(&Source::Tower(**tower));
        let towers = self.independent.iter().filter(answered).count();
        if towers < self.config.quorum || !(counterparty_answered || waited) {
            return Vec::new();
        }
        self.done = true;
        let evidence = self.evidence();
        let outcome = Outcome { state: self.newest, evidence, counterparty_answered };
        vec![Effect::Done(Box::new(outcome))]
    }

    /// The towers that answered with less than they had receipted.
    fn evidence(&self) -> Vec<Evidence> {
        let judge = |((tower, role), receipt): (&(Address, Role), &Receipt)| {
            let slots = self.served.get(&Source::Tower(*tower))?;
            let served = slots.get(role).copied();
            (served < Some(receipt.nonce)).then_some(Evidence { receipt: *receipt, served })
        };
        self.receipts.iter().filter_map(judge).collect()
    }
}
