//! The node's own view of its channels: what the chain that it follows says, and how final it is.
//!
//! ```text
//!   Batch: removed, added --> waiting events (not final) --finalized reaches their block--> facts
//!                              `-- a dispute is heeded at once, final or not
//! ```
//!
//! Escrow versions, acceptances and endings count only once final. A dispute stops signing as soon as it is seen; when the chain
//! takes any part of it back, it is told anew from what is final and what still waits.
//!
//! **Invariant:** what this book says of a ledger cannot be reorganised away, as far as the chain's finality goes.
//! **Invariant:** a channel in whose ledger the chain contradicts itself is marked, and nothing is signed on it.

mod unsettled;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::Address;
use chain::events::{ChainEvent, ChannelOpened, Event, OverrideKind, Withdrawn};
use protocol::vipe::{Ledger, Payout, Rate};
use protocol::zksc::Channel;
use protocol::zksc::channel::{ChannelTerms, PartyTerms};
use protocol::{Amount, ChannelId, Nonce, Role};
use serde::{Deserialize, Serialize};

pub(crate) use unsettled::{is_accepted, is_cancelled};

/// Where a channel stands, as of a final block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Waits for the counterparty's consent.
    Open,
    /// In use.
    Live,
    /// A dispute is open.
    Disputed,
    /// Over: settled or closed.
    Over,
    /// Taken back before consent.
    Cancelled,
}

impl Standing {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Open, Self::Live, Self::Disputed, Self::Over, Self::Cancelled];
}

/// A dispute as it stands on the chain, final or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispute {
    /// Who disputes.
    pub(crate) disputer: Address,
    /// Which dispute of the channel.
    pub(crate) epoch: u64,
    /// The nonce that stands.
    pub(crate) nonce: Nonce,
    /// What the disputer would be paid.
    pub(crate) claim: Amount,
    /// The most that the disputer itself put forward.
    #[serde(default)]
    pub(crate) peak: Amount,
    /// Overrides are accepted before this, in seconds.
    pub(crate) deadline: u64,
    /// What both parties are paid by a close that is announced, instead of what stands.
    #[serde(default)]
    pub(crate) agreed: Option<Payout>,
}

/// One of the node's channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    /// What the participant fixed.
    pub(crate) opened: ChannelOpened,
    /// The channel, its keys checked.
    pub(crate) channel: Channel,
    /// Where it stands, final.
    pub(crate) standing: Standing,
    /// The final versions of its escrow.
    pub(crate) ledger: Ledger,
    /// The nonce of the checkpoint, final.
    pub(crate) checkpoint: Nonce,
    /// The newest withdrawal, final.
    pub(crate) withdrawn: Option<Withdrawn>,
    /// How many consents were executed, final.
    pub(crate) seq: u64,
    /// A dispute that is seen, final or not.
    pub(crate) dispute: Option<Dispute>,
    /// The dispute as far as it is final.
    #[serde(default)]
    pub(crate) dispute_final: Option<Dispute>,
    /// The chain's events do not add up: nothing is signed on it any more.
    #[serde(default)]
    pub(crate) broken: bool,
    /// The nonce that the channel ended with, once it is over by a dispute whose end was not agreed on.
    pub(crate) settled: Option<Nonce>,
    /// What the participant and the pool were paid at the end.
    pub(crate) paid: Option<(Amount, Amount)>,
}

impl Own {
    /// The dispute that is open, once it is final; as it stands, final or not.
    pub(crate) fn open_dispute(&self) -> Option<&Dispute> {
        let epoch = self.dispute_final.filter(|_| self.standing == Standing::Disputed)?.epoch;
        self.dispute.as_ref().filter(|dispute| dispute.epoch == epoch)
    }
}

/// Something that the machines must hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A channel of the node's account is open, final, and waits for consent.
    Opened(ChannelId),
    /// The consent is final: the channel lives.
    Live(ChannelId),
    /// The ledger has a new final version.
    Ledger(ChannelId),
    /// A withdrawal is final; its nonce is used.
    Withdrawn(ChannelId),
    /// A dispute is seen, or it changed.
    Disputed(ChannelId),
    /// The close that ends the dispute is announced, final.
    Announced(ChannelId),
    /// A reorganisation took the dispute back.
    Undisputed(ChannelId),
    /// The chain contradicts itself about this channel.
    Broken(ChannelId),
    /// The channel is over, final.
    Over(ChannelId),
    /// Somebody's channel is open, final: it may be paid.
    Known(Box<Channel>),
}

/// The book.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    chain_id: u64,
    vipe: Address,
    account: Address,
    role: Role,
    /// Events that are not final, oldest first.
    waiting: VecDeque<ChainEvent>,
    channels: BTreeMap<ChannelId, Own>,
    /// The channels whose rows are out of date.
    touched: BTreeSet<ChannelId>,
}

impl Book {
    /// The book of `account` in a vault, as it was stored. Channels in which it has another role than `role` are none of its
    /// own: anybody can open one that names it.
    pub(crate) const fn new(
        (chain_id, vipe): (u64, Address),
        (account, role): (Address, Role),
        waiting: VecDeque<ChainEvent>,
        channels: BTreeMap<ChannelId, Own>,
    ) -> Self {
        Self { chain_id, vipe, account, role, waiting, channels, touched: BTreeSet::new() }
    }

    /// The events that are not final.
    pub(crate) const fn waiting(&self) -> &VecDeque<ChainEvent> {
        &self.waiting
    }

    /// The channels that changed since this was asked.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<ChannelId> {
        std::mem::take(&mut self.touched)
    }

    /// The node's channels.
    pub(crate) const fn channels(&self) -> &BTreeMap<ChannelId, Own> {
        &self.channels
    }

    /// One of the node's channels.
    pub(crate) fn get(&self, id: ChannelId) -> Option<&Own> {
        self.channels.get(&id)
    }

    /// Forgets a channel that nobody accepted.
    pub(crate) fn forget(&mut self, id: ChannelId) {
        self.channels.remove(&id);
    }

    /// Takes a batch of the chain's events.
    pub(crate) fn apply(
        &mut self,
        removed: &[ChainEvent],
        added: &[ChainEvent],
        finalized: Option<u64>,
    ) -> Vec<Fact> {
        let mut facts = Vec::new();
        self.touched.extend(removed.iter().chain(added).filter_map(|one| one.event.channel()));
        for event in removed {
            if let Some(at) = self.waiting.iter().rposition(|one| same(one, event)) {
                self.waiting.remove(at);
            }
        }
        let taken_back: BTreeSet<ChannelId> =
            removed.iter().filter_map(|one| one.event.channel()).collect();
        facts.extend(taken_back.into_iter().filter_map(|id| self.retell(id)));
        for event in added {
            facts.extend(self.see(&event.event));
            self.waiting.push_back(event.clone());
        }
        let Some(finalized) = finalized else { return facts };
        while self.waiting.front().is_some_and(|event| event.block.number <= finalized) {
            let Some(event) = self.waiting.pop_front() else { break };
            self.touched.extend(event.event.channel());
            facts.extend(self.settle(&event.event));
        }
        facts
    }

    /// What counts before it is final.
    fn see(&mut self, event: &Event) -> Option<Fact> {
        let id = event.channel()?;
        let own = self.channels.get_mut(&id)?;
        heed(&mut own.dispute, event).then_some(Fact::Disputed(id))
    }

    /// The dispute of a channel some of whose events were taken back: what is final of it, and what still waits.
    fn retell(&mut self, id: ChannelId) -> Option<Fact> {
        let own = self.channels.get_mut(&id)?;
        let before = own.dispute;
        let mut dispute = own.dispute_final;
        for event in self.waiting.iter().filter(|one| one.event.channel() == Some(id)) {
            heed(&mut dispute, &event.event);
        }
        own.dispute = dispute;
        match (before, dispute) {
            (Some(_), None) => Some(Fact::Undisputed(id)),
            (before, Some(_)) if before != dispute => Some(Fact::Disputed(id)),
            _ => None,
        }
    }

    /// What is final.
    fn settle(&mut self, event: &Event) -> Vec<Fact> {
        if let Event::ChannelOpened(opened) = event {
            return self.open(opened);
        }
        let Some(id) = event.channel() else { return Vec::new() };
        let Some(own) = self.channels.get_mut(&id) else { return Vec::new() };
        let fact = match event {
            Event::Accepted { .. } => {
                own.standing = Standing::Live;
                Fact::Live(id)
            }
            Event::Cancelled { .. } => {
                own.standing = Standing::Cancelled;
                Fact::Over(id)
            }
            Event::LedgerAppended(appended) => {
                if let Err(error) =
                    own.ledger.append(appended.version, appended.participant, appended.vip)
                {
                    tracing::error!(channel = %id, %error, "the chain's ledger does not follow: nothing is signed on this channel any more");
                    own.broken = true;
                    return vec![Fact::Broken(id)];
                }
                Fact::Ledger(id)
            }
            Event::Withdrawn(withdrawn) => {
                own.checkpoint = withdrawn.nonce;
                own.withdrawn = Some(*withdrawn);
                own.seq = withdrawn.seq.saturating_add(1);
                Fact::Withdrawn(id)
            }
            Event::DisputeOpened(_) => {
                own.standing = Standing::Disputed;
                heed(&mut own.dispute_final, event);
                return Vec::new();
            }
            Event::Overridden(_) => {
                heed(&mut own.dispute_final, event);
                return Vec::new();
            }
            Event::CloseAnnounced(announced) => {
                heed(&mut own.dispute_final, event);
                own.seq = announced.seq.saturating_add(1);
                Fact::Announced(id)
            }
            Event::Settled(settled) => {
                own.standing = Standing::Over;
                // What was agreed on is what the newest state pays, whichever stood.
                own.settled = own
                    .dispute_final
                    .filter(|dispute| dispute.agreed.is_none())
                    .map(|dispute| dispute.nonce);
                own.paid = Some((settled.to_participant, settled.to_vip));
                Fact::Over(id)
            }
            Event::Closed { to_participant, to_vip, .. } => {
                own.standing = Standing::Over;
                own.paid = Some((*to_participant, *to_vip));
                Fact::Over(id)
            }
            _ => return Vec::new(),
        };
        vec![fact]
    }

    fn open(&mut self, opened: &ChannelOpened) -> Vec<Fact> {
        let channel = match self.channel_of(opened) {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(channel = %opened.channel, %error, "channel ignored: no state of it could be proven");
                return Vec::new();
            }
        };
        let mut facts = vec![Fact::Known(Box::new(channel))];
        if channel.role_of(self.account) == Some(self.role) {
            let own = Own {
                opened: opened.clone(),
                channel,
                standing: Standing::Open,
                ledger: Ledger::new(),
                checkpoint: Nonce::ZERO,
                withdrawn: None,
                seq: 0,
                dispute: None,
                dispute_final: None,
                broken: false,
                settled: None,
                paid: None,
            };
            self.channels.insert(opened.channel, own);
            facts.push(Fact::Opened(opened.channel));
        }
        facts
    }

    fn channel_of(&self, opened: &ChannelOpened) -> Result<Channel, String> {
        let party = |account, key, session| PartyTerms { account, key, session };
        let rate = u128::try_from(opened.rate).map_err(|error| error.to_string())?;
        let terms = ChannelTerms {
            chain_id: self.chain_id,
            vipe: self.vipe,
            channel_id: opened.channel,
            participant: party(
                opened.participant,
                opened.participant_key,
                opened.participant_session,
            ),
            counterparty: party(
                opened.counterparty,
                opened.counterparty_key,
                opened.counterparty_session,
            ),
            keys_digest: opened.keys_digest,
            asset: opened.asset,
            rate: Rate::try_from(rate).map_err(|error| error.to_string())?,
            dispute_hash: opened.dispute_hash,
            salt: opened.salt,
        };
        Channel::try_from(terms).map_err(|error| error.to_string())
    }
}

/// Brings a dispute up to an event; true if the event is about it.
fn heed(dispute: &mut Option<Dispute>, event: &Event) -> bool {
    match (event, dispute) {
        (Event::DisputeOpened(opened), dispute) => {
            *dispute = Some(Dispute {
                disputer: opened.disputer,
                epoch: opened.epoch,
                nonce: opened.nonce,
                claim: opened.claim,
                peak: opened.claim,
                deadline: opened.deadline,
                agreed: None,
            });
            true
        }
        (Event::Overridden(by), Some(dispute)) => {
            (dispute.nonce, dispute.claim, dispute.deadline) = (by.nonce, by.claim, by.deadline);
            if by.kind == OverrideKind::Raise {
                dispute.peak = dispute.peak.max(by.claim);
            }
            true
        }
        (Event::CloseAnnounced(by), Some(dispute)) if by.epoch == dispute.epoch => {
            dispute.deadline = by.deadline;
            dispute.agreed = Some(Payout { participant: by.to_participant, vip: by.to_vip });
            true
        }
        _ => false,
    }
}

fn same(one: &ChainEvent, other: &ChainEvent) -> bool {
    (one.block, one.index) == (other.block, other.index)
}

#[cfg(test)]
mod tests;
