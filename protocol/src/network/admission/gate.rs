//! The gate for envelopes: a machine that says what to do next with each, and bounds what strangers can cost.

use core::cmp::Ordering;
use std::collections::BTreeMap;

use alloy_primitives::B256;

use super::{BucketStats, Buckets, Fault, Ignored, Rate, Verdict};
use crate::{
    backup::{AdmitError, Envelope, UnverifiedEnvelope},
    ids::{Domain, Nonce},
    network::{
        slot::{Shard, ShardSet, Slot, SlotKey},
        wire::RawEnvelope,
    },
    zksc::Channel,
};

/// The gate's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Envelopes of one sender.
    pub sender: Rate,
    /// Senders with buckets of their own.
    pub senders_max: usize,
    /// Changes of one slot: also bounds how often an owner's several ids at one nonce replace each other.
    pub slot: Rate,
    /// Slots with buckets of their own.
    pub slots_max: usize,
    /// Signatures of one sender that wait to be checked.
    pub pending_of_sender: u32,
    /// Signatures that wait to be checked.
    pub pending: u32,
}

impl Default for GateLimits {
    /// One sender: 2,000 at once, then 500 a second, what a hub with many channels needs. One slot: 8 at once, then two a
    /// second: four times as often as nodes coalesce. Pending: what one core checks in about half a second.
    fn default() -> Self {
        Self {
            sender: Rate { burst: 2_000, period_us: 2_000 },
            senders_max: 4_096,
            slot: Rate { burst: 8, period_us: 500_000 },
            slots_max: 65_536,
            pending_of_sender: 512,
            pending: 4_096,
        }
    }
}

/// How an envelope came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// On the topic of this shard.
    Gossip(Shard),
    /// Handed over by a node, which says a block that had the channel (0: it does not say).
    Submit {
        /// That block.
        seen_at: u64,
    },
    /// Asked for in a reconciliation, which has bounds of its own: no rate applies.
    Sync,
}

/// An envelope as it came.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a, P> {
    /// The peer that sent it.
    pub from: P,
    /// How.
    pub source: Source,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What this tower's chain and store know of a slot.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The newest block read.
    pub head: u64,
    /// The newest block that is final.
    pub final_head: u64,
    /// The slot's channel.
    pub place: Place,
}

/// A slot's channel.
#[derive(Debug, Clone)]
pub enum Place {
    /// No such channel so far.
    Unknown,
    /// It is settled, closed or not yet accepted.
    NotLive,
    /// It is live, or in dispute.
    Live {
        /// Its keys.
        channel: Box<Channel>,
        /// What the slot holds: nonce and id.
        held: Option<(Nonce, B256)>,
    },
    /// The store failed.
    Failed,
}

/// What to do with an offer.
#[derive(Debug)]
#[must_use]
pub enum Step<P> {
    /// Check the signature ([`Pending::verify`], on another thread), then report to [`Gate::verified`].
    Verify(Box<Pending<P>>),
    /// Nothing more.
    Done(Verdict),
}

/// An envelope that waits for its signature to be checked.
#[derive(Debug)]
#[must_use]
pub struct Pending<P> {
    from: P,
    unverified: UnverifiedEnvelope,
    channel: Box<Channel>,
}

impl<P> Pending<P> {
    /// Checks the signature: the one expensive step.
    pub fn verify(self) -> Verified<P> {
        Verified { from: self.from, result: self.unverified.admit(&self.channel) }
    }
}

/// An envelope whose signature was checked.
#[derive(Debug)]
#[must_use]
pub struct Verified<P> {
    from: P,
    result: Result<Envelope, AdmitError>,
}

/// What to do after the signature.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Offer it to the store; its answer goes to [`Gate::stored`].
    Store(Box<Envelope>),
    /// Nothing more.
    Done(Verdict),
}

/// What the store did, in the transaction that compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in its slot.
    New,
    /// It was there.
    Same,
    /// A greater nonce is there.
    Older {
        /// That nonce.
        held: Nonce,
    },
    /// Another envelope had this nonce.
    Conflict {
        /// The nonce of both.
        nonce: Nonce,
        /// Whether the new one is in the slot now.
        offered_won: bool,
    },
    /// Its nonce rises too fast.
    TooFast {
        /// The greatest nonce taken now.
        allowed: Nonce,
        /// Milliseconds until the limit is measured anew.
        retry_after_ms: u64,
    },
    /// The store failed.
    Failed,
}

impl Stored {
    const fn verdict(self) -> Verdict {
        match self {
            // The winner of a conflict must reach everybody, or replicas would differ.
            Self::New | Self::Conflict { offered_won: true, .. } => Verdict::Accept,
            Self::Same => Verdict::Ignore(Ignored::Same),
            Self::Older { held } => Verdict::Ignore(Ignored::Older { held }),
            Self::Conflict { nonce, .. } => Verdict::Ignore(Ignored::ConflictLost { nonce }),
            Self::TooFast { allowed, retry_after_ms } => {
                Verdict::Ignore(Ignored::TooFast { allowed, retry_after_ms })
            }
            Self::Failed => Verdict::Ignore(Ignored::Failed),
        }
    }
}

/// The machine. `P` names peers.
#[derive(Debug, Clone)]
pub struct Gate<P> {
    domain: Domain,
    kept: ShardSet,
    limits: GateLimits,
    senders: Buckets<P>,
    slots: Buckets<SlotKey>,
    pending: BTreeMap<P, u32>,
    pending_total: u32,
}

impl<P: Ord + Clone> Gate<P> {
    /// The gate of a tower of this vault that keeps these shards.
    #[must_use]
    pub const fn new(domain: Domain, kept: ShardSet, limits: GateLimits) -> Self {
        Self {
            domain,
            kept,
            limits,
            senders: Buckets::new(limits.sender, limits.senders_max),
            slots: Buckets::new(limits.slot, limits.slots_max),
            pending: BTreeMap::new(),
            pending_total: 0,
        }
    }

    /// Changes which shards are kept.
    pub const fn keep(&mut self, shards: ShardSet) {
        self.kept = shards;
    }

    /// Decides about an offer at `now_ms`. `look` asks the chain's and the store's view, only when all cheaper checks
    /// passed.
    pub fn offer(
        &mut self,
        offer: &Offer<'_, P>,
        now_ms: u64,
        look: impl FnOnce(Slot) -> Looked,
    ) -> Step<P> {
        match self.check(offer, now_ms, look) {
            Ok(pending) => Step::Verify(Box::new(pending)),
            Err(verdict) => Step::Done(verdict),
        }
    }

    fn check(
        &mut self,
        offer: &Offer<'_, P>,
        now_ms: u64,
        look: impl FnOnce(Slot) -> Looked,
    ) -> Result<Pending<P>, Verdict> {
        let (unverified, slot) = self.check_bytes(offer)?;
        let looked = look(slot);
        let (channel, held) = match looked.place {
            Place::Live { channel, held } => (channel, held),
            Place::Failed => return Err(Verdict::Ignore(Ignored::Failed)),
            Place::NotLive => return Err(self.charged(offer, now_ms, Ignored::NotLive)),
            Place::Unknown => {
                if let Source::Submit { seen_at } = offer.source
                    && (1..=looked.final_head).contains(&seen_at)
                {
                    return Err(Verdict::Reject(Fault::FalseClaim));
                }
                let unknown = Ignored::Unknown { head: looked.head };
                return Err(self.charged(offer, now_ms, unknown));
            }
        };
        if unverified.header().nonce == Nonce::ZERO {
            return Err(Verdict::Reject(Fault::NonceZero));
        }
        self.check_rate(offer, slot, now_ms)?;
        // Merely old, or held already, is cheaper to see than a bad signature; the store compares again.
        if let Some((held, id)) = held {
            match unverified.header().nonce.cmp(&held) {
                Ordering::Less => return Err(Verdict::Ignore(Ignored::Older { held })),
                Ordering::Equal if unverified.id() == id => {
                    return Err(Verdict::Ignore(Ignored::Same));
                }
                Ordering::Equal | Ordering::Greater => {}
            }
        }
        self.enter(&offer.from)?;
        Ok(Pending { from: offer.from.clone(), unverified, channel })
    }

    /// Size, decoding, domain, shard: what the bytes alone show.
    fn check_bytes(&self, offer: &Offer<'_, P>) -> Result<(UnverifiedEnvelope, Slot), Verdict> {
        if offer.bytes.len() != RawEnvelope::LEN {
            return Err(Verdict::Reject(Fault::Size));
        }
        let unverified = UnverifiedEnvelope::from_bytes(offer.bytes)
            .map_err(|_malformed| Verdict::Reject(Fault::Malformed))?;
        let header = unverified.header();
        if header.domain != self.domain {
            return Err(Verdict::Reject(Fault::OtherDomain));
        }
        let slot = header.slot();
        if let Source::Gossip(shard) = offer.source
            && shard != slot.shard()
        {
            return Err(Verdict::Reject(Fault::OtherShard));
        }
        if !self.kept.contains(slot.shard()) {
            return Err(Verdict::Ignore(Ignored::NotKept));
        }
        Ok((unverified, slot))
    }

    /// Looking up what is not there costs the sender as much as what is.
    fn charged(&mut self, offer: &Offer<'_, P>, now_ms: u64, reason: Ignored) -> Verdict {
        match self.charge_sender(offer, now_ms) {
            Ok(()) => Verdict::Ignore(reason),
            Err(busy) => busy,
        }
    }

    fn charge_sender(&mut self, offer: &Offer<'_, P>, now_ms: u64) -> Result<(), Verdict> {
        if offer.source == Source::Sync {
            return Ok(());
        }
        self.senders
            .take(offer.from.clone(), 1, now_ms)
            .map_err(|wait| Verdict::Ignore(Ignored::SenderBusy { retry_after_ms: wait }))
    }

    fn check_rate(&mut self, offer: &Offer<'_, P>, slot: Slot, now_ms: u64) -> Result<(), Verdict> {
        if offer.source == Source::Sync {
            return Ok(());
        }
        self.charge_sender(offer, now_ms)?;
        self.slots
            .peek(&slot.key(), now_ms)
            .map_err(|wait| Verdict::Ignore(Ignored::SlotBusy { retry_after_ms: wait }))
    }

    fn enter(&mut self, from: &P) -> Result<(), Verdict> {
        let of_sender = self.pending.get(from).copied().unwrap_or(0);
        if self.pending_total >= self.limits.pending || of_sender >= self.limits.pending_of_sender {
            return Err(Verdict::Ignore(Ignored::Overloaded));
        }
        self.pending.insert(from.clone(), of_sender.saturating_add(1));
        self.pending_total = self.pending_total.saturating_add(1);
        Ok(())
    }

    fn leave(&mut self, from: &P) {
        if let Some(count) = self.pending.get_mut(from) {
            *count = count.saturating_sub(1);
            self.pending_total = self.pending_total.saturating_sub(1);
            if *count == 0 {
                self.pending.remove(from);
            }
        }
    }

    /// The signature was checked.
    pub fn verified(&mut self, verified: Verified<P>) -> Next {
        self.leave(&verified.from);
        match verified.result {
            Ok(envelope) => Next::Store(Box::new(envelope)),
            Err(AdmitError::NonceZero) => Next::Done(Verdict::Reject(Fault::NonceZero)),
            Err(_not_the_owner) => Next::Done(Verdict::Reject(Fault::Signature)),
        }
    }

    /// The store answered. Only what changed the slot is charged to it, after the signature: nobody but its owner can use
    /// a slot's budget up, neither by forging nor by repeating.
    pub fn stored(&mut self, slot: Slot, stored: Stored, now_ms: u64) -> Verdict {
        let verdict = stored.verdict();
        if verdict == Verdict::Accept {
            // An empty bucket changes nothing about what is stored already; the next offer finds it empty.
            let _charged = self.slots.take(slot.key(), 1, now_ms);
        }
        verdict
    }

    /// A signature check of this sender was given up.
    pub fn abandoned(&mut self, from: &P) {
        self.leave(from);
    }

    /// How many signatures wait.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        self.pending_total
    }

    /// What happened at the bounds: senders, then slots.
    #[must_use]
    pub fn stats(&self) -> (BucketStats, BucketStats) {
        (self.senders.stats(), self.slots.stats())
    }
}
