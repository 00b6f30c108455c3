//! Backup coverage: which state must be published when, what towers promised, and whether they keep it.
//!
//! ```text
//!   Finalized --at most lag_max after the first unpublished one--> Publish --> Published --> receipts --> Protected
//!   unprotected for long, a promise ran out, a tower is broken --> Publish again, with growing pauses
//!   now and then: Fetch from a tower that receipted --> it serves what it promised, or its receipt counts no more
//! ```
//!
//! **Invariant:** a nonce counts as protected only if `target` towers receipted it, or a newer one, with promises that
//! have not run out, for envelopes that this node published.
//!
//! **Invariant:** no final state waits longer than `lag_max` for its publication while the driver ticks.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{
    backup::{Envelope, Receipt, SignedReceipt},
    ids::{Amount, ChannelId, Nonce},
    zksc::handshake::Millis,
};

/// What a node decides beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageConfig {
    /// How long final states are coalesced, in milliseconds.
    pub lag_max: Millis,
    /// How many towers make a state protected.
    pub target: usize,
    /// How long a state may stay unprotected before the person is warned, in milliseconds.
    pub warn_after: Millis,
    /// Between two custody checks of one channel, in milliseconds.
    pub check_every: Millis,
}

/// Published envelopes whose receipts are still taken; older ones no longer matter.
const PUBLISHED_MAX: usize = 64;

/// Pause before a state that too few towers hold is published again, in milliseconds; it doubles each time.
const AGAIN_FIRST: Millis = 30_000;
/// The longest such pause, in milliseconds.
const AGAIN_MOST: Millis = 600_000;

/// Custody checks in a row that a tower may leave unanswered before its receipt counts no more.
const SILENT_MAX: u8 = 3;

/// Towers kept per channel. At the bound a further tower's receipt is not counted.
const TOWERS_MAX: usize = 64;

/// What can happen.
#[derive(Debug, Clone)]
pub enum Event {
    /// A channel has a new final state; what it is worth to this party, in base units.
    Finalized(ChannelId, Nonce, Amount),
    /// The envelope was handed to the network.
    Published(Box<Envelope>),
    /// A tower's receipt came; `now_seconds` since 1970 judges its promise.
    Receipt(Box<SignedReceipt>, u64),
    /// The answer to [`Effect::Fetch`]: what the tower serves for this slot; none for nothing.
    Fetched(ChannelId, Address, Option<Box<Envelope>>),
    /// The node goes offline: everything is published now.
    Flush,
    /// The channel is over: there is nothing left to protect.
    Over(ChannelId),
    /// Time went by; `chance` is a random number, and `seconds` are since 1970.
    Tick {
        /// Chooses a tower to check.
        chance: u64,
        /// For promises that run out.
        seconds: u64,
    },
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Seal the newest final state, hand it to the network and to towers directly, answer [`Event::Published`].
    Publish(ChannelId),
    /// Fetch this channel's slot from this tower, answer [`Event::Fetched`].
    Fetch(ChannelId, Address),
    /// The nonce is protected: tell the wallet or the hub.
    Protected(ChannelId, Nonce),
    /// Everything that is held is protected: the node may go offline.
    Flushed,
    /// The state has been unprotected for too long.
    Unprotected(ChannelId, Nonce),
    /// A tower does not hold what it promised; its receipt is the evidence.
    Broken(Box<Receipt>, Option<Nonce>),
    /// A tower answers no custody checks: it counts no more.
    Silent(ChannelId, Address),
}

#[derive(Debug, Clone, Default)]
struct Slot {
    held: Option<(Nonce, Amount)>,
    /// When the first state that is not published became final.
    waiting: Option<Millis>,
    asked: bool,
    published: BTreeMap<Nonce, (B256, Address, u64)>,
    receipts: BTreeMap<Address, Receipt>,
    protected: Option<Nonce>,
    values: BTreeMap<Nonce, Amount>,
    unprotected_since: Option<Millis>,
    warned: bool,
    checked: Millis,
    /// When and after what pause it is published again, should it be unprotected then.
    again: Option<(Millis, Millis)>,
    /// Custody checks that towers have left unanswered since they answered one.
    silent: BTreeMap<Address, u8>,
}

/// Value and custody of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The newest final nonce.
    pub held: Option<Nonce>,
    /// The newest protected nonce.
    pub protected: Option<Nonce>,
    /// What the newest final state is worth, in base units.
    pub value_held: Amount,
    /// What the newest protected state is worth, in base units.
    pub value_protected: Amount,
    /// How many towers hold the newest final state.
    pub towers: usize,
}

/// The coverage of all channels of a node.
#[derive(Debug)]
pub struct Coverage {
    config: CoverageConfig,
    chain_id: u64,
    vipe: Address,
    slots: BTreeMap<ChannelId, Slot>,
    flushing: bool,
}

impl Coverage {
    /// The coverage of a node's channels in one vault.
    #[must_use]
    pub const fn new(config: CoverageConfig, chain_id: u64, vipe: Address) -> Self {
        Self { config, chain_id, vipe, slots: BTreeMap::new(), flushing: false }
    }

    /// How one channel stands.
    #[must_use]
    pub fn status(&self, channel: ChannelId) -> Option<Status> {
        let slot = self.slots.get(&channel)?;
        let held = slot.held.map(|(nonce, _)| nonce);
        let value = slot.protected.and_then(|nonce| slot.values.get(&nonce));
        let holds = |receipt: &&Receipt| Some(receipt.nonce) >= held;
        Some(Status {
            held,
            protected: slot.protected,
            value_held: slot.held.map_or(Amount::ZERO, |(_, value)| value),
            value_protected: value.copied().unwrap_or(Amount::ZERO),
            towers: held.map_or(0, |_| slot.receipts.values().filter(holds).count()),
        })
    }

    /// Takes one event.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        match event {
            Event::Finalized(channel, nonce, value) => {
                self.on_finalized(channel, nonce, value, now)
            }
            Event::Published(envelope) => self.on_published(&envelope, now),
            Event::Receipt(receipt, seconds) => self.on_receipt(receipt.receipt(), seconds, now),
            Event::Fetched(channel, tower, served) => {
                self.on_fetched(channel, tower, served.as_deref())
            }
            Event::Flush => {
                self.flushing = true;
                let mut effects = Vec::new();
                for (channel, slot) in &mut self.slots {
                    effects.extend(slot.publish(*channel));
                }
                effects.extend(self.flushed());
                effects
            }
            Event::Over(channel) => {
                self.slots.remove(&channel);
                self.flushed().into_iter().collect()
            }
            Event::Tick { chance, seconds } => self.on_tick(now, chance, seconds),
        }
    }

    fn on_finalized(
        &mut self,
        channel: ChannelId,
        nonce: Nonce,
        value: Amount,
        now: Millis,
    ) -> Vec<Effect> {
        let slot = self.slots.entry(channel).or_default();
        if slot.held.is_some_and(|(held, _)| held >= nonce) {
            return Vec::new();
        }
        slot.held = Some((nonce, value));
        slot.values.insert(nonce, value);
        while slot.values.len() > PUBLISHED_MAX {
            slot.values.pop_first();
        }
        slot.waiting = slot.waiting.or(Some(now));
        slot.unprotected_since = slot.unprotected_since.or(Some(now));
        if self.flushing { slot.publish(channel).into_iter().collect() } else { Vec::new() }
    }

    fn on_published(&mut self, envelope: &Envelope, now: Millis) -> Vec<Effect> {
        let header = envelope.header();
        let Some(slot) = self.slots.get_mut(&header.channel_id) else { return Vec::new() };
        slot.asked = false;
        let pause = match slot.again {
            Some((_, pause)) if slot.published.contains_key(&header.nonce) => {
                pause.saturating_mul(2).min(AGAIN_MOST)
            }
            _ => AGAIN_FIRST,
        };
        slot.again = Some((now.saturating_add(pause), pause));
        let promised = Receipt::new(envelope, self.chain_id, self.vipe, Address::ZERO, 0);
        slot.published.insert(header.nonce, (promised.envelope_id, self.vipe, self.chain_id));
        while slot.published.len() > PUBLISHED_MAX {
            slot.published.pop_first();
        }
        if slot.held.is_some_and(|(held, _)| header.nonce >= held) {
            slot.waiting = None;
        }
        Vec::new()
    }

    /// A receipt counts for the envelope that this node published, if its promise has not run out.
    fn on_receipt(&mut self, receipt: &Receipt, seconds: u64, now: Millis) -> Vec<Effect> {
        let target = self.config.target;
        let Some(slot) = self.slots.get_mut(&receipt.channel_id) else { return Vec::new() };
        let expected = (receipt.envelope_id, receipt.vipe, receipt.chain_id);
        let own = slot.published.get(&receipt.nonce) == Some(&expected);
        let known = slot.receipts.contains_key(&receipt.tower);
        let newer = slot.receipts.get(&receipt.tower).is_none_or(|old| old.nonce <= receipt.nonce);
        if !own
            || !newer
            || receipt.until <= seconds
            || (!known && slot.receipts.len() >= TOWERS_MAX)
        {
            return Vec::new();
        }
        slot.receipts.insert(receipt.tower, *receipt);
        let before = slot.protected;
        slot.protect(target, now);
        let risen = slot.protected.filter(|nonce| Some(*nonce) > before);
        let mut effects: Vec<Effect> =
            risen.map(|nonce| Effect::Protected(receipt.channel_id, nonce)).into_iter().collect();
        effects.extend(self.flushed());
        effects
    }

    fn flushed(&mut self) -> Option<Effect> {
        let whole = self.slots.values().all(|slot| {
            slot.held.is_none_or(|(held, _)| slot.protected.is_some_and(|nonce| nonce >= held))
        });
        let done = self.flushing && whole;
        if done {
            self.flushing = false;
        }
        done.then_some(Effect::Flushed)
    }

    /// A tower that serves less than it receipted is named, and counts no more.
    fn on_fetched(
        &mut self,
        channel: ChannelId,
        tower: Address,
        served: Option<&Envelope>,
    ) -> Vec<Effect> {
        let target = self.config.target;
        let Some(slot) = self.slots.get_mut(&channel) else { return Vec::new() };
        let Some(receipt) = slot.receipts.get(&tower).copied() else { return Vec::new() };
        slot.silent.remove(&tower);
        let found = served.filter(|envelope| {
            let header = envelope.header();
            (header.channel_id, header.role) == (receipt.channel_id, receipt.role)
        });
        let nonce = found.map(|envelope| envelope.header().nonce);
        if nonce.is_some_and(|nonce| nonce >= receipt.nonce) {
            return Vec::new();
        }
        slot.receipts.remove(&tower);
        slot.protected = None;
        slot.protect(target, slot.checked);
        vec![Effect::Broken(Box::new(receipt), nonce)]
    }

    fn on_tick(&mut self, now: Millis, chance: u64, seconds: u64) -> Vec<Effect> {
        let config = self.config;
        let mut effects = Vec::new();
        for (channel, slot) in &mut self.slots {
            if slot.waiting.is_some_and(|since| now.saturating_sub(since) >= config.lag_max)
                || (config.target > 0 && slot.is_due_again(now))
            {
                effects.extend(slot.publish(*channel));
            }
            let count = slot.receipts.len();
            slot.receipts.retain(|_, receipt| receipt.until > seconds);
            if slot.receipts.len() < count {
                slot.protected = None;
                slot.protect(config.target, now);
            }
            let long =
                |since: Millis| now.saturating_sub(since) >= config.warn_after && !slot.warned;
            if let (Some((held, _)), true) = (slot.held, slot.unprotected_since.is_some_and(long)) {
                slot.warned = true;
                effects.push(Effect::Unprotected(*channel, held));
            }
            if now.saturating_sub(slot.checked) >= config.check_every {
                slot.checked = now;
                let count = u64::try_from(slot.receipts.len()).unwrap_or(0);
                let at = chance.checked_rem(count).and_then(|at| usize::try_from(at).ok());
                let tower = at.and_then(|at| slot.receipts.keys().nth(at)).copied();
                effects
                    .extend(tower.map(|tower| slot.check(*channel, tower, (config.target, now))));
            }
        }
        effects
    }
}

impl Slot {
    /// Whether too few towers hold what was published some time ago; then it waits for its publication once more.
    fn is_due_again(&mut self, now: Millis) -> bool {
        let unprotected = self.held.is_some_and(|(held, _)| self.protected < Some(held));
        let due = unprotected
            && self.waiting.is_none()
            && !self.asked
            && self.again.is_some_and(|(at, _)| now >= at);
        if due {
            self.waiting = Some(now);
        }
        due
    }

    /// Asks a tower for what it promised, unless it has left too many such questions unanswered.
    fn check(
        &mut self,
        channel: ChannelId,
        tower: Address,
        (target, now): (usize, Millis),
    ) -> Effect {
        let unanswered = self.silent.entry(tower).or_default();
        if *unanswered < SILENT_MAX {
            *unanswered = unanswered.saturating_add(1);
            return Effect::Fetch(channel, tower);
        }
        self.silent.remove(&tower);
        self.receipts.remove(&tower);
        self.protected = None;
        self.protect(target, now);
        Effect::Silent(channel, tower)
    }

    /// Publishes the newest state, unless that was asked for and not answered.
    fn publish(&mut self, channel: ChannelId) -> Option<Effect> {
        let due = self.waiting.is_some() && !self.asked;
        self.asked |= due;
        due.then_some(Effect::Publish(channel))
    }

    /// The greatest nonce that `target` towers receipted, or a newer one.
    fn protect(&mut self, target: usize, now: Millis) {
        let mut nonces: Vec<Nonce> = self.receipts.values().map(|receipt| receipt.nonce).collect();
        nonces.sort_unstable_by(|one, two| two.cmp(one));
        let reached = target.checked_sub(1).and_then(|at| nonces.get(at)).copied();
        self.protected = self.protected.max(reached);
        if self.held.is_some_and(|(held, _)| self.protected >= Some(held)) {
            self.unprotected_since = None;
            self.warned = false;
        } else if self.held.is_some() {
            self.unprotected_since = self.unprotected_since.or(Some(now));
        }
    }
}
