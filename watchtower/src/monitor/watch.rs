//! The disputes that are open, and what must be said about them. Pure: reads no clock and asks nobody.

use std::collections::BTreeMap;

use ::chain::events::{ChainEvent, DisputeOpened, Event as Chain};
use ::chain::follower::Batch;
use alloy_primitives::U256;
use metrics::Level;
use protocol::backup::DisputeKey;
use protocol::vipe::{Ledger, Rules, Standing};
use protocol::vnode::dispute::{Conditions, Facts, Policy, Verdict, decide};
use protocol::zksc::{Channel, FinalState};
use protocol::{ChannelId, EscrowVersion};
use serde::Serialize;
use store::DisputeId;

use crate::driver::book::{Vault, channel_of};
use crate::driver::standing::standing;
use crate::observe::window;

/// Everything is affordable and quick to whoever only watches.
const ANYBODY: (u128, u64, U256, u64) = (0, 0, U256::MAX, 0);

/// A channel of the vault.
#[derive(Debug)]
struct Watched {
    channel: Channel,
    ledger: Ledger,
    dispute: Option<Open>,
}

/// A dispute that is open.
#[derive(Debug)]
struct Open {
    opened: DisputeOpened,
    events: Vec<ChainEvent>,
    held: Vec<FinalState>,
    told: Option<Level>,
}

/// What is known of whether somebody must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Judgement {
    /// A tower holds a newer state that pays the disputer less.
    Stale,
    /// Nobody asked holds anything: it may be stale.
    Unknown,
}

/// A dispute that nobody answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Alarm {
    /// The channel.
    pub(crate) channel: ChannelId,
    /// Which dispute of it.
    pub(crate) epoch: u64,
    /// How much of its window has passed.
    #[serde(serialize_with = "word")]
    pub(crate) level: Level,
    /// Whether it is known to be stale.
    pub(crate) judgement: Judgement,
    /// The nonce that stands.
    pub(crate) nonce: u64,
    /// The newest nonce that a tower served, if any.
    pub(crate) held: Option<u64>,
    /// Chain seconds that are left.
    pub(crate) left_s: u64,
}

fn word<S: serde::Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(metrics::Label::value(*level))
}

/// What a fetch needs.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) id: DisputeId,
    pub(crate) channel: Channel,
    pub(crate) key: DisputeKey,
}

/// Sums over all open disputes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) open: u64,
    pub(crate) unanswered: u64,
    /// The part of the window that has passed of the one that waits longest.
    pub(crate) part: f64,
}

/// All channels that are not over.
#[derive(Debug)]
pub(crate) struct Watch {
    vault: Vault,
    rules: Rules,
    channels: BTreeMap<ChannelId, Watched>,
    now_s: u64,
}

impl Watch {
    pub(crate) fn new(vault: Vault, rules: Rules) -> Self {
        Self { vault, rules, channels: BTreeMap::new(), now_s: 0 }
    }

    /// What the chain says now.
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for event in &batch.removed {
            self.remove(event);
        }
        for event in &batch.added {
            self.add(event);
        }
        self.now_s = batch.timestamp;
    }

    fn add(&mut self, event: &ChainEvent) {
        if let Chain::ChannelOpened(opened) = &event.event {
            // A channel of which no state can be proven has nothing to be watched.
            if let Ok(channel) = channel_of(self.vault, opened) {
                let watched = Watched { channel, ledger: Ledger::new(), dispute: None };
                self.channels.insert(opened.channel, watched);
            }
            return;
        }
        let Some(id) = event.event.channel() else { return };
        let Some(watched) = self.channels.get_mut(&id) else { return };
        match &event.event {
            Chain::LedgerAppended(entry) => {
                // The vault's own entries are in order; one that is not is read again after a restart.
                let _ = watched.ledger.append(entry.version, entry.participant, entry.vip);
            }
            Chain::DisputeOpened(opened) => {
                let (events, held) = (vec![event.clone()], Vec::new());
                watched.dispute = Some(Open { opened: opened.clone(), events, held, told: None });
            }
            Chain::Overridden(_) | Chain::CloseAnnounced(_) | Chain::Settled(_) => {
                if let Some(open) = &mut watched.dispute {
                    open.events.push(event.clone());
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, event: &ChainEvent) {
        let Some(id) = event.event.channel() else { return };
        let Some(watched) = self.channels.get_mut(&id) else { return };
        match &event.event {
            Chain::ChannelOpened(_) => drop(self.channels.remove(&id)),
            Chain::LedgerAppended(entry) => {
                let before = entry.version.get().saturating_sub(1);
                watched
                    .ledger
                    .rewind(EscrowVersion::try_from(before).unwrap_or(EscrowVersion::ZERO));
            }
            Chain::DisputeOpened(_) => watched.dispute = None,
            _ => {
                if let Some(open) = &mut watched.dispute
                    && open.events.last() == Some(event)
                {
                    open.events.pop();
                }
            }
        }
    }

    fn open(&self) -> impl Iterator<Item = (&Watched, &Open, Standing)> {
        self.channels.values().filter_map(|watched| {
            let open = watched.dispute.as_ref().filter(|open| !open.is_settled())?;
            let standing = standing(&open.events, &watched.channel, &self.rules)?;
            Some((watched, open, standing))
        })
    }

    /// The disputes for which towers should be asked.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        self.open()
            .map(|(watched, open, _)| Wanted {
                id: DisputeId { channel_id: open.opened.channel, epoch: open.opened.epoch },
                channel: watched.channel,
                key: DisputeKey::from_bytes(open.opened.dispute_key.0),
            })
            .collect()
    }

    /// What towers hold of a disputed channel. What one of them served once stays known.
    pub(crate) fn learn(&mut self, id: DisputeId, states: Vec<FinalState>) {
        let dispute = self.channels.get_mut(&id.channel_id).and_then(|it| it.dispute.as_mut());
        if let Some(open) = dispute.filter(|open| open.opened.epoch == id.epoch) {
            open.held.extend(states);
            open.held.sort_by_key(|state| std::cmp::Reverse(state.state().nonce));
            open.held.dedup_by_key(|state| state.state().nonce);
            // Both parties' newest are all that can matter.
            open.held.truncate(2);
        }
    }

    fn judge(&self, watched: &Watched, open: &Open, standing: Standing) -> Option<Judgement> {
        let facts = Facts {
            standing,
            opening_nonce: open.opened.nonce,
            ledger: watched.ledger.clone(),
            rate: watched.channel.rate(),
            rules: self.rules,
        };
        let (gas_price, override_gas, balance, proving) = ANYBODY;
        let now = self.now_s.min(standing.deadline.saturating_sub(1));
        let conditions = Conditions { gas_price, override_gas, balance, proving, now };
        let policy = Policy { min_profit: U256::ZERO, count_fee: true, margin: 0 };
        match decide(&facts, &open.held, &conditions, &policy) {
            Verdict::Override(_)
            | Verdict::TooLate(_)
            | Verdict::Unprofitable(_)
            | Verdict::Unfunded(_) => Some(Judgement::Stale),
            Verdict::NothingHeld if open.events.len() == 1 => Some(Judgement::Unknown),
            _ => None,
        }
    }

    fn unanswered(&self) -> impl Iterator<Item = (DisputeId, Alarm, f64)> {
        self.open().filter_map(|(watched, open, standing)| {
            let judgement = self.judge(watched, open, standing)?;
            let (part, left_s) = window(standing.opened_at, standing.deadline, self.now_s);
            let id = DisputeId { channel_id: open.opened.channel, epoch: open.opened.epoch };
            let alarm = Alarm {
                channel: id.channel_id,
                epoch: id.epoch,
                level: Level::of(part)?,
                judgement,
                nonce: standing.nonce.get(),
                held: open.held.first().map(|state| state.state().nonce.get()),
                left_s,
            };
            Some((id, alarm, part))
        })
    }

    /// What must be said now: each dispute once a level.
    pub(crate) fn alarms(&mut self) -> Vec<Alarm> {
        let all: Vec<_> = self.unanswered().collect();
        let mut new = Vec::new();
        for (id, alarm, _) in all {
            let dispute = self.channels.get_mut(&id.channel_id).and_then(|it| it.dispute.as_mut());
            if let Some(open) = dispute.filter(|open| open.told < Some(alarm.level)) {
                open.told = Some(alarm.level);
                new.push(alarm);
            }
        }
        new
    }

    /// Sums for the metrics.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for (watched, open, standing) in self.open() {
            figures.open += 1;
            // Once the window is over nobody can answer any more; that was told.
            let over = self.now_s >= standing.deadline;
            if !over && self.judge(watched, open, standing).is_some() {
                let (part, _) = window(standing.opened_at, standing.deadline, self.now_s);
                figures.unanswered += 1;
                figures.part = figures.part.max(part);
            }
        }
        figures
    }
}

impl Open {
    fn is_settled(&self) -> bool {
        self.events.iter().any(|event| matches!(event.event, Chain::Settled(_)))
    }
}
