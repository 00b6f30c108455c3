//! Whose turn it is in a dispute that several towers see: holds an override back while it is another tower's turn.
//!
//! The order is [`protocol::vnode::turn`]'s, among the towers that are connected now and have
//! announced themselves. Nothing is sent meanwhile and
//! nothing is given up: the proof is there, and the machine asks again with every block.
//!
//! **Invariant:** what is in the outbox already is not held back.

use std::time::{Duration, Instant};

use alloy_primitives::B256;
use chain::events::{ChainEvent, Event as Chain};
use chain::pending::Rival;
use protocol::vnode::turn::{Order, Turn};
use store::DisputeId;

use super::journal::Line;
use super::life::{Life, Out};
use super::node::Node;
use crate::network::Link;

/// The race of this tower with others.
#[derive(Debug)]
pub(crate) struct Race {
    pub(crate) link: Link,
    pub(crate) order: Order,
}

impl Race {
    /// A race with slots of this length, in windows of `window_s` seconds.
    pub(crate) fn new(link: Link, slot: Duration, window_s: u64) -> Self {
        Self { link, order: Order::new(slot.as_secs(), window_s) }
    }
}

/// Since when a dispute stands as it does.
#[derive(Debug)]
pub(crate) struct Stands {
    /// The block that made it so.
    seed: B256,
    /// That block's time, in the chain's seconds; none until it is asked for the first time after a restart or a
    /// reorganisation: then its turns begin anew.
    since: Option<u64>,
    /// By this machine's clock, for a chain whose own stands still.
    seen: Instant,
    /// When somebody else's override was first seen waiting, in the chain's seconds.
    rival: Option<u64>,
    /// Until when an override is held back.
    until: Option<u64>,
    said: bool,
}

impl Stands {
    /// A dispute that stands as it does since this event; `since` is the event's time, where it is known.
    pub(crate) fn new(event: Option<&ChainEvent>, since: Option<u64>) -> Self {
        let seed = event.map_or(B256::ZERO, |event| event.block.hash);
        Self { seed, since, seen: Instant::now(), rival: None, until: None, said: false }
    }

    /// The chain's time, or this machine's if the chain's stands still.
    fn clock(&self, now: u64) -> u64 {
        let since = self.since.unwrap_or(now);
        now.max(since.saturating_add(self.seen.elapsed().as_secs()))
    }

    /// Whether an override is held back: until then nothing is to be asked of the chain for it.
    pub(crate) fn is_resting(&self, now: u64) -> bool {
        self.until.is_some_and(|until| self.clock(now) < until)
    }

    /// After a restart.
    pub(crate) fn resumed(events: &[ChainEvent], opened_at: u64) -> Self {
        match events.last() {
            Some(event) if matches!(event.event, Chain::DisputeOpened(_)) => {
                Self::new(Some(event), Some(opened_at))
            }
            last => Self::new(last, None),
        }
    }
}

impl Node {
    /// Until when an override of this dispute is held back, in the chain's seconds; none if it is to be sent.
    pub(crate) fn hold(&mut self, id: DisputeId, out: &mut Out) -> Option<u64> {
        let race = self.parts.race.as_ref()?;
        let now = self.now;
        let life = self.lives.get_mut(&id)?;
        let deadline = life.row.record.facts.standing.deadline;
        let stands = &mut life.stands;
        let since = *stands.since.get_or_insert(now);
        let (me, others) = (self.parts.terms.beneficiary, race.link.met());
        let others = others.iter().map(|other| other.as_slice());
        let wait_s = race.order.wait_s(stands.seed, me.as_slice(), others);
        let turn = Turn { since, wait_s, rival: stands.rival, deadline };
        let clock = stands.clock(now);
        stands.until = race.order.hold(&turn, clock);
        let until = stands.until?;
        if !std::mem::replace(&mut stands.said, true) {
            let message = format!(
                "armed, and holds back: other towers come first; sends in {} s unless the dispute stands otherwise by then",
                until.saturating_sub(clock)
            );
            out.lines.push(Line::step(id, "holds", message));
        }
        Some(until)
    }

    /// Somebody's override waits to be mined: with a state as new as ours, it gets some time.
    pub(crate) fn on_rival(&mut self, rival: &Rival, out: &mut Out) {
        if rival.from == self.parts.terms.beneficiary || self.parts.race.is_none() {
            return;
        }
        let now = self.now;
        let Some(life) = self.current(rival.channel) else { return };
        let as_new = life.held.is_some_and(|held| rival.nonce >= held.state().nonce);
        if !as_new || life.stands.rival.is_some() {
            return;
        }
        life.stands.rival = Some(now);
        let message = "somebody else's override with a state as new waits to be mined; it gets time to be mined first";
        out.lines.push(Line::step(life.id(), "rival", message).transaction(rival.transaction));
    }
}

impl Life {
    /// The dispute stands otherwise since this event.
    pub(crate) fn stands_since(&mut self, event: &ChainEvent, now: u64) {
        self.stands = Stands::new(Some(event), Some(now));
    }

    /// An event was taken back: the turns begin anew.
    pub(crate) fn stands_again(&mut self) {
        let last = self.events().ok().and_then(|events| events.last().cloned());
        self.stands = Stands::new(last.as_ref(), None);
    }
}
