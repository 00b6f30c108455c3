//! The desk for alerts: which are heard, which are forwarded, and what there is to look at because of them.
//!
//! An alert costs one signature recovery and at most one question to the chain. A sender has a budget, charged before
//! the signature; a signer has one, charged after it, so that nobody spends another's. Towers that are not known share
//! one signer's budget: without it, accounts made for the occasion would be free of any.
//!
//! **Invariant:** nothing is shed between hearing and looking: when there is too much to look at one by one, everything
//! is looked at.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::{Buckets, Fault, Ignored, Rate, Verdict};
use crate::{
    ids::{ChannelId, Domain},
    network::wire::{Alert, SignedAlert, UnverifiedAlert},
};

/// The desk's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertLimits {
    /// Alerts that one sender passes on.
    pub sender: Rate,
    /// Senders with budgets of their own.
    pub senders_max: usize,
    /// Alerts that one known tower signs; all unknown ones together have as much.
    pub signer: Rate,
    /// Known towers with budgets of their own.
    pub signers_max: usize,
    /// Alerts remembered, so that none counts twice.
    pub heard_max: usize,
    /// Channels to look at one by one.
    pub looks_max: usize,
    /// How old an alert may be, in seconds.
    pub age_max: u64,
    /// How far ahead a signer's clock may be, in seconds.
    pub skew_max: u64,
}

impl Default for AlertLimits {
    /// A sender passes on 1,024 at once and 32 a second; a signer signs 64 at once and one in five seconds. A single one
    /// suffices to make everybody look, so a mass exit needs no more.
    fn default() -> Self {
        Self {
            sender: Rate { burst: 1_024, period_us: 31_250 },
            senders_max: 4_096,
            signer: Rate { burst: 64, period_us: 5_000_000 },
            signers_max: 1_024,
            heard_max: 16_384,
            looks_max: 1_024,
            age_max: 600,
            skew_max: 120,
        }
    }
}

/// What the tower knows when an alert comes.
#[derive(Debug, Clone, Copy)]
pub struct AlertView {
    /// Whether the signer is a known tower.
    pub signer_known: bool,
    /// Whether the channel is live, or in dispute, as far as this tower's chain goes.
    pub channel_live: bool,
    /// The newest block read.
    pub head: u64,
}

/// What to do with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum AlertStep {
    /// Check the signature ([`UnverifiedAlert::verify`], about a tenth of a millisecond), then [`AlertDesk::verified`].
    Verify(Box<UnverifiedAlert>),
    /// Nothing more.
    Done(Verdict),
}

/// What became of a verified alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Whether it is forwarded.
    pub verdict: Verdict,
    /// Whether there is something new to look at.
    pub look: bool,
}

/// Something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Ask the chain about this channel's dispute, as of this block or later.
    Channel(ChannelId, u64),
    /// Read the chain's events from the cursor on: there were too many alerts to follow one by one.
    Everything,
}

/// What there is to look at: one entry for a channel, whatever the number of alerts.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    channels: BTreeMap<ChannelId, u64>,
    everything: bool,
}

impl Looks {
    /// Something to look at. At `capacity` channels it becomes everything.
    fn add(&mut self, alert: &Alert, capacity: usize) -> bool {
        if self.everything {
            return false;
        }
        let block = self.channels.get(&alert.channel_id).copied();
        if block.is_some_and(|block| block >= alert.block_number) {
            return false;
        }
        self.channels.insert(alert.channel_id, alert.block_number);
        if self.channels.len() > capacity {
            self.channels.clear();
            self.everything = true;
        }
        true
    }

    /// The next thing to look at.
    pub fn take(&mut self) -> Option<Look> {
        if core::mem::take(&mut self.everything) {
            return Some(Look::Everything);
        }
        self.channels.pop_first().map(|(channel_id, block)| Look::Channel(channel_id, block))
    }

    /// How many things there are to look at.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len().saturating_add(usize::from(self.everything))
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Who said it about what: the same again says nothing new.
type Once = (Address, ChannelId, u64);

/// The machine. `P` names peers.
#[derive(Debug, Clone)]
pub struct AlertDesk<P> {
    domain: Domain,
    limits: AlertLimits,
    senders: Buckets<P>,
    signers: Buckets<Address>,
    strangers: Buckets<()>,
    heard: BTreeMap<Once, u64>,
    looks: Looks,
}

impl<P: Ord + Clone> AlertDesk<P> {
    /// The desk of a tower of this vault.
    #[must_use]
    pub fn new(domain: Domain, limits: AlertLimits) -> Self {
        Self {
            domain,
            limits,
            senders: Buckets::new(limits.sender, limits.senders_max),
            signers: Buckets::new(limits.signer, limits.signers_max),
            strangers: Buckets::new(limits.signer, 1),
            heard: BTreeMap::new(),
            looks: Looks::default(),
        }
    }

    /// Decides about an alert at `now_s` (seconds since 1970) and `now_ms` (of a clock that does not go back).
    pub fn offer(&mut self, from: &P, bytes: &[u8], now_s: u64, now_ms: u64) -> AlertStep {
        match self.check(from, bytes, now_s, now_ms) {
            Ok(alert) => AlertStep::Verify(Box::new(alert)),
            Err(verdict) => AlertStep::Done(verdict),
        }
    }

    fn check(
        &mut self,
        from: &P,
        bytes: &[u8],
        now_s: u64,
        now_ms: u64,
    ) -> Result<UnverifiedAlert, Verdict> {
        if bytes.len() != UnverifiedAlert::LEN {
            return Err(Verdict::Reject(Fault::Size));
        }
        let unverified = UnverifiedAlert::from_bytes(bytes)
            .map_err(|_malformed| Verdict::Reject(Fault::Malformed))?;
        let alert = unverified.claims();
        if alert.domain != self.domain {
            return Err(Verdict::Reject(Fault::OtherDomain));
        }
        let oldest = now_s.saturating_sub(self.limits.age_max);
        let newest = now_s.saturating_add(self.limits.skew_max);
        if !(oldest..=newest).contains(&alert.issued_at) {
            return Err(Verdict::Ignore(Ignored::Untimely));
        }
        if self.heard.contains_key(&once(alert)) {
            return Err(Verdict::Ignore(Ignored::Same));
        }
        self.senders
            .take(from.clone(), 1, now_ms)
            .map_err(|wait| Verdict::Ignore(Ignored::SenderBusy { retry_after_ms: wait }))?;
        Ok(unverified)
    }

    /// The signature verified. An alert whose signature does not is [`Fault::Signature`] of its sender.
    pub fn verified(
        &mut self,
        signed: &SignedAlert,
        view: AlertView,
        now_s: u64,
        now_ms: u64,
    ) -> Heard {
        let alert = signed.alert();
        let quiet = |reason| Heard { verdict: Verdict::Ignore(reason), look: false };
        if self.heard.contains_key(&once(alert)) {
            return quiet(Ignored::Same);
        }
        let budget = if view.signer_known {
            self.signers.take(alert.tower, 1, now_ms)
        } else {
            self.strangers.take((), 1, now_ms)
        };
        if let Err(retry_after_ms) = budget {
            return quiet(Ignored::SenderBusy { retry_after_ms });
        }
        self.remember(once(alert), now_s);
        // A channel that is neither live here nor later than what was read is nothing to look at.
        if !view.channel_live && alert.block_number <= view.head {
            return quiet(Ignored::NotLive);
        }
        let look = self.looks.add(alert, self.limits.looks_max);
        let forward = view.signer_known || view.channel_live;
        let unknown = Verdict::Ignore(Ignored::Unknown { head: view.head });
        Heard { verdict: if forward { Verdict::Accept } else { unknown }, look }
    }

    /// Remembers an alert until it is too old to be offered again. At the capacity the oldest is forgotten: its signer
    /// could be heard twice, from its own budget.
    fn remember(&mut self, once: Once, now_s: u64) {
        if self.heard.len() >= self.limits.heard_max {
            let gone = self.limits.age_max.saturating_add(self.limits.skew_max);
            self.heard.retain(|_, at| at.saturating_add(gone) >= now_s);
        }
        if self.heard.len() >= self.limits.heard_max
            && let Some(oldest) = self.heard.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key)
        {
            self.heard.remove(&oldest);
        }
        self.heard.insert(once, now_s);
    }

    /// What there is to look at.
    pub const fn looks(&mut self) -> &mut Looks {
        &mut self.looks
    }
}

const fn once(alert: &Alert) -> Once {
    (alert.tower, alert.channel_id, alert.epoch)
}
