//! The submitter's side: one slot's newest envelope, until enough towers have receipted it.
//!
//! ```text
//!   Publish, Towers, Answer, Tick --handle(event, now)--> Submit, WakeAt, Status, Alarm
//! ```
//!
//! A node asks the closest towers of the slot's shard, `aim` of them at once; one that fails is retried with back-off and
//! the next in line is asked besides. Only the newest envelope is ever sent: what was published while a request was under
//! way is sent when the answer comes, and what came between the two never travels.
//!
//! **Invariant:** a tower counts for a nonce only while its verified receipt for exactly that envelope is valid.
//!
//! **Invariant:** at most one request is under way with a tower, and at most [`Config::parallel`] in all.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};

use super::{
    slot::Slot,
    wire::{RawEnvelope, Refusal},
};
use crate::{
    backup::{Envelope, SignedReceipt},
    ids::Nonce,
};

mod status;
mod tower;

pub use status::Status;
use tower::Tower;

/// How a node replicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many towers must hold a state before it counts as protected.
    pub target: usize,
    /// How many towers are asked to hold it: the replication factor, and the target or more.
    pub aim: usize,
    /// Requests under way at once.
    pub parallel: usize,
    /// The wait after a first failure, in milliseconds; it doubles with each one that follows.
    pub retry_ms: u64,
    /// The longest wait, in milliseconds.
    pub retry_max_ms: u64,
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// A receipt that ends within so many seconds is asked for anew.
    pub renew_s: u64,
}

impl Default for Config {
    /// Target 3 of 7; a first retry after half a second, the last ones every minute.
    fn default() -> Self {
        Self {
            target: 3,
            aim: 7,
            parallel: 8,
            retry_ms: 500,
            retry_max_ms: 60_000,
            timeout_ms: 10_000,
            renew_s: 3_600,
        }
    }
}

/// Now, on two clocks and with some chance: all that is not in the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that does not go back.
    pub ms: u64,
    /// Seconds since 1970, which receipts are measured in.
    pub unix_s: u64,
    /// Chance, drawn anew for every call: spreads retries.
    pub chance: u64,
}

/// What a tower answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A receipt whose signature was checked.
    Receipt(SignedReceipt),
    /// A refusal.
    Refused(Refusal),
    /// No connection, no answer, or an answer that does not decode.
    Unreachable,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is a newer envelope.
    Publish(Box<Envelope>),
    /// The towers of the slot's shard, the closest first, as the directory has them now.
    Towers(Vec<Address>),
    /// A tower answered a [`Effect::Submit`].
    Answer {
        /// The tower.
        tower: Address,
        /// The envelope that had been submitted.
        id: B256,
        /// What it answered.
        outcome: Box<Outcome>,
    },
    /// Time passed: a [`Effect::WakeAt`] is due, or more.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Submit this to the tower, and report what it answers.
    Submit {
        /// The tower.
        tower: Address,
        /// The envelope's id, for the report.
        id: B256,
        /// The envelope.
        envelope: RawEnvelope,
    },
    /// Tick at this time of [`Now::ms`]. It replaces the one before.
    WakeAt(u64),
    /// The count changed.
    Status(Status),
    /// Something that a person should know.
    Alarm(Alarm),
}

/// What should not happen to an honest node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Alarm {
    /// A tower holds a newer envelope of this very slot: this node has lost states, or its key is used elsewhere.
    #[error("tower {tower} holds nonce {held}, newer than ours: stop signing and restore")]
    AheadOfUs {
        /// The tower.
        tower: Address,
        /// The nonce that it holds.
        held: Nonce,
    },
    /// A tower holds another envelope with this nonce: two states were signed.
    #[error("tower {tower} holds another envelope with nonce {nonce}")]
    Conflict {
        /// The tower.
        tower: Address,
        /// The nonce of both.
        nonce: Nonce,
    },
    /// A receipt that is not for what was submitted, not by the tower that was asked, or over.
    #[error("tower {tower} answered with a receipt that does not count")]
    WrongReceipt {
        /// The tower.
        tower: Address,
    },
}

#[derive(Debug, Clone)]
struct Latest {
    nonce: Nonce,
    id: B256,
    envelope: RawEnvelope,
}

/// One slot's replication.
#[derive(Debug, Clone)]
pub struct Replicator {
    slot: Slot,
    config: Config,
    latest: Option<Latest>,
    order: Vec<Address>,
    towers: BTreeMap<Address, Tower>,
    said: Option<Status>,
}

impl Replicator {
    /// Nothing is published yet.
    #[must_use]
    pub const fn new(slot: Slot, config: Config) -> Self {
        Self { slot, config, latest: None, order: Vec::new(), towers: BTreeMap::new(), said: None }
    }

    /// Takes an event, says what to do. An envelope of another slot, or an older one, changes nothing.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Publish(envelope) => self.publish(&envelope),
            Event::Towers(order) => self.reorder(order),
            Event::Answer { tower, id, outcome } => {
                effects.extend(self.answered(tower, id, &outcome, now).map(Effect::Alarm));
            }
            Event::Tick => {}
        }
        self.expire(now);
        self.submit(now, &mut effects);
        let status = self.status(now);
        if self.said != status {
            self.said = status;
            effects.extend(status.map(Effect::Status));
        }
        effects.extend(self.wake(now).map(Effect::WakeAt));
        effects
    }

    /// How the newest nonce stands; none before anything was published.
    #[must_use]
    pub fn status(&self, now: Now) -> Option<Status> {
        let latest = self.latest.as_ref()?;
        let held = self.order.iter().filter(|tower| self.holds(tower, latest.id, now)).count();
        Some(Status { nonce: latest.nonce, held, of: self.order.len(), target: self.config.target })
    }

    fn holds(&self, tower: &Address, id: B256, now: Now) -> bool {
        self.towers.get(tower).is_some_and(|tower| tower.holds(id, now.unix_s))
    }

    fn publish(&mut self, envelope: &Envelope) {
        let header = envelope.header();
        let newer = self.latest.as_ref().is_none_or(|latest| header.nonce > latest.nonce);
        if header.slot() != self.slot || !newer {
            return;
        }
        self.latest = Some(Latest {
            nonce: header.nonce,
            id: *envelope.id(),
            envelope: RawEnvelope::from(envelope),
        });
        // What a tower refused for good was the envelope before.
        self.towers.values_mut().for_each(Tower::forgive);
    }

    fn reorder(&mut self, order: Vec<Address>) {
        self.towers.retain(|tower, _| order.contains(tower));
        for tower in &order {
            self.towers.entry(*tower).or_default();
        }
        self.order = order;
    }

    fn answered(
        &mut self,
        address: Address,
        id: B256,
        outcome: &Outcome,
        now: Now,
    ) -> Option<Alarm> {
        let config = self.config;
        let newest = self.latest.as_ref().is_some_and(|latest| latest.id == id);
        let tower = self.towers.get_mut(&address)?;
        if !tower.answered(id) {
            return None;
        }
        match outcome {
            Outcome::Receipt(signed) => {
                let receipt = signed.receipt();
                let slot = Slot { channel_id: receipt.channel_id, role: receipt.role };
                let counts = receipt.tower == address
                    && receipt.envelope_id == id
                    && slot == self.slot
                    && receipt.until > now.unix_s;
                if counts {
                    tower.receipted(id, receipt.until);
                    return None;
                }
                tower.failed(&config, now);
                Some(Alarm::WrongReceipt { tower: address })
            }
            Outcome::Unreachable => {
                tower.failed(&config, now);
                None
            }
            Outcome::Refused(refusal) => {
                match refusal.retry_after_ms() {
                    Some(wait_ms) => tower.wait(&config, wait_ms, now),
                    None if newest => tower.give_up(),
                    // Refused was what nobody needs any more.
                    None => {}
                }
                self.alarm(address, id, refusal)
            }
        }
    }

    fn alarm(&self, tower: Address, id: B256, refusal: &Refusal) -> Option<Alarm> {
        let latest = self.latest.as_ref()?;
        match *refusal {
            Refusal::Older { held } if held > latest.nonce => {
                Some(Alarm::AheadOfUs { tower, held })
            }
            Refusal::Conflict { nonce } if latest.id == id => {
                Some(Alarm::Conflict { tower, nonce })
            }
            _ => None,
        }
    }

    /// Gives up on answers that are overdue.
    fn expire(&mut self, now: Now) {
        let config = self.config;
        self.towers.values_mut().for_each(|tower| tower.expire(&config, now));
    }

    /// Submits to the first towers in line until `aim` of them hold it, are asked or can be asked later without having
    /// failed. A tower that failed does not count: the next in line is asked besides.
    fn submit(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(latest) = &self.latest else {
            return;
        };
        let busy = self.towers.values().filter(|tower| tower.is_asked()).count();
        let mut free = self.config.parallel.saturating_sub(busy);
        let mut good = 0_usize;
        for address in &self.order {
            let Some(tower) = self.towers.get_mut(address) else {
                continue;
            };
            if good >= self.config.aim {
                break;
            }
            let due = tower.is_due(latest.id, &self.config, now);
            if due && free > 0 {
                tower.ask(latest.id, &self.config, now);
                free = free.saturating_sub(1);
                effects.push(Effect::Submit {
                    tower: *address,
                    id: latest.id,
                    envelope: latest.envelope.clone(),
                });
            }
            good = good.saturating_add(usize::from(tower.is_good()));
        }
    }

    /// When something is due next.
    fn wake(&self, now: Now) -> Option<u64> {
        let latest = self.latest.as_ref()?;
        let next = |tower: &Tower| tower.next_at(latest.id, &self.config, now);
        self.towers.values().filter_map(next).min().map(|at| at.max(now.ms.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests;
