//! One task that owns the pure machines and carries out what they decide, in order: durable first, then sent.
//!
//! ```text
//!   link, chain, towers, sender, API, clock --> driver: machine.handle --> effects
//!        Persist --begin_node--> store ... durable --Persisted--> machine --> what it held back leaves
//! ```
//!
//! Turns of different channels are on their way to the disk at the same time and share its syncs; the machines let nothing
//! out before theirs is durable. At [`TURNS_MAX`] turns on their way nothing new is taken in until one is durable.
//!
//! **Invariant:** no message leaves before the turn that it rests on is durable (docs/spec/node.md, S3).
//! **Invariant:** a turn that could not be stored stops the node.

mod agree;
mod api;
mod backup;
mod chain;
mod checks;
mod consent;
mod costs;
mod deferred;
mod effects;
mod end;
mod errands;
mod figures;
mod frames;
mod funds;
mod history;
mod hold;
mod hubs;
mod leave;
mod open;
mod pay;
mod proofs;
mod restore;
mod show;
mod signing;
mod start;
mod strangers;
mod terms;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::chain::follower::Batch;
use alloy_primitives::Address;
use futures::StreamExt as _;
use gossip::Peer;
use gossip::link::{LinkEvent, LinkHandle};
use protocol::backup::DisputeKey;
use protocol::payment::hub::Hub;
use protocol::payment::wallet::Wallet;
use protocol::vnode::coverage::Coverage;
use protocol::vnode::link::Refusal;
use protocol::vnode::view::{ChainView, Finalized};
use protocol::{Amount, ChannelId, Role};
use rand::RngCore as _;
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::book::Book;
use crate::error::{ApiError, NodeError};
use crate::invite::Invitation;
use crate::keys::Keys;
#[cfg(test)]
use crate::kill::KillSwitch;
use crate::notary::Told;
use crate::policy::Policy;
use crate::sender::Errand;
use crate::towers::{Answer, Names, Towers};
use open::Opening;
use turns::{Arrived, OnItsWay, Owner, Turns};

pub use api::Command;
pub(crate) use checks::Job as CheckJob;
pub(crate) use consent::GOOD_FOR_MAX_S as HOLD_AFTER_RESTORE_S;
pub use history::After;
pub(crate) use history::PAGE_MAX;
pub(crate) use proofs::ProveJob;

/// What the prover answers.
pub(crate) mod prove_types {
    pub(crate) use super::proofs::{Priced, Proven, Purpose};
}

/// Turns on their way to the disk beyond which nothing new is taken in: one batch of the store's.
const TURNS_MAX: usize = 256;
/// How often the machines are told the time.
const TICK: Duration = Duration::from_millis(100);
/// Channel events handled before the other sources are looked at again.
const FRAMES_AT_ONCE: usize = 64;

/// A batch of the chain's events, what is final, and where to say that it is durable.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What was read.
    pub(crate) batch: Box<Batch>,
    /// The newest final block, and its time in seconds.
    pub(crate) finalized: Option<(Finalized, u64)>,
    /// Hub: what its pool has in its own hands.
    pub(crate) idle: Option<alloy_primitives::U256>,
    /// Answered after the commit.
    pub(crate) durable: oneshot::Sender<()>,
}

/// A person's request, and where the answer goes.
#[derive(Debug)]
pub struct Request {
    /// What is wanted.
    pub command: Command,
    /// The answer, as JSON.
    pub answer: oneshot::Sender<Result<serde_json::Value, ApiError>>,
}

/// Where everything comes in.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) link: mpsc::Receiver<LinkEvent>,
    pub(crate) batches: mpsc::Receiver<Delivery>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) towers: mpsc::Receiver<Answer>,
    pub(crate) sent: mpsc::Receiver<()>,
    pub(crate) proven: mpsc::Receiver<proofs::Proven>,
    pub(crate) told: mpsc::Receiver<Told>,
}

/// The addresses of the contracts and of the hub's own pool.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// The chain.
    pub chain_id: u64,
    /// The vault.
    pub vipe: Address,
    /// The asset that this node deals in.
    pub asset: Address,
    /// The hub's pool; a participant has none.
    pub vip: Option<Address>,
    /// The vault's smallest fee of a dispute's opening, in wei.
    pub fee_floor: u128,
    /// And so much gas at the opening block's base fee, if that is more.
    pub fee_gas: u64,
}

/// What a driver works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) role: Role,
    pub(crate) site: Site,
    pub(crate) keys: Keys,
    pub(crate) policy: Policy,
    pub(crate) store: Store,
    pub(crate) link: LinkHandle,
    pub(crate) towers: Towers,
    pub(crate) outbox: watch::Sender<u64>,
    pub(crate) prove: mpsc::Sender<ProveJob>,
    pub(crate) sign: mpsc::Sender<::chain::account::Typed>,
    pub(crate) check: mpsc::Sender<checks::Job>,
    pub(crate) gas_price_max: u128,
    pub(crate) metrics: Arc<metrics::NodeMetrics>,
    #[cfg(test)]
    pub(crate) kill: Option<KillSwitch>,
}

/// The driver of one node.
pub(crate) struct Driver {
    parts: Parts,
    began: Instant,
    book: Book,
    hub: Option<Hub>,
    wallets: BTreeMap<ChannelId, Wallet>,
    /// Hub: who speaks for a channel's participant. Participant: its hub.
    peers: BTreeMap<ChannelId, Peer>,
    /// The keys of the channels' backups.
    dispute_keys: BTreeMap<ChannelId, DisputeKey>,
    coverage: Coverage,
    names: Names,
    view: ChainView,
    /// Until when the machines were told that they may sign.
    view_told: Option<u64>,
    /// Without towers: the nonces that counted as protected.
    protected_told: BTreeMap<ChannelId, protocol::Nonce>,
    /// Without towers: channels with a final state that does not count as protected yet.
    protect_next: BTreeSet<ChannelId>,
    /// The chain's clock, in seconds.
    chain_s: u64,
    /// The time of the newest final block whose events are all in the book, in seconds.
    final_s: u64,
    /// The book was at the chain's head once since the start.
    caught_up: bool,
    turns: Turns,
    deferred: deferred::Deferred,
    openings: BTreeMap<alloy_primitives::B256, Opening>,
    /// Hub: openings that were asked for, by the digest of both keys, and the offers that wait for the disk.
    asked: BTreeMap<alloy_primitives::B256, hubs::Asked>,
    offers: VecDeque<(Peer, Box<protocol::vnode::link::Offer>)>,
    asked_swept_ms: u64,
    /// Hub: what its pool has in its own hands, as far as it was seen.
    idle: Option<alloy_primitives::U256>,
    /// The newest block's base fee, in wei.
    base_fee: Option<u128>,
    strangers: strangers::Strangers,
    /// Participant: its hubs' terms, as they said since the start.
    welcomes: BTreeMap<ChannelId, protocol::vnode::link::Welcome>,
    errands: BTreeMap<String, Errand>,
    consents: BTreeMap<ChannelId, consent::Pending>,
    /// Channels that pause after a restore.
    holds: BTreeMap<ChannelId, hold::Hold>,
    /// The last refusal of each channel's other end, for people.
    refusals: BTreeMap<ChannelId, Refusal>,
    /// What exits must hear with the next tick.
    late: Vec<(ChannelId, protocol::vnode::exit::Event)>,
    exits: BTreeMap<ChannelId, leave::Leaving>,
    signing: signing::Signing,
    accepting_ms: u64,
    checks: checks::Checks,
    /// Payments ordered whose notes may still be on their way to the disk, by reference.
    ordered: BTreeMap<[u8; 32], ChannelId>,
    restores: BTreeMap<ChannelId, restore::Restoring>,
    /// What the restores since the start have found.
    restored_reports: BTreeMap<ChannelId, serde_json::Value>,
    /// Channels whose record was compared with what towers hold, or needs no comparing.
    checked: BTreeSet<ChannelId>,
    /// Everything that is held was receipted, while the node stops.
    flushed: bool,
    hubs: BTreeMap<Peer, Invitation>,
    fee: protocol::payment::FeePolicy,
    hello_ms: u64,
    figures: figures::Looks,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("role", &self.parts.role).finish_non_exhaustive()
    }
}

/// 32 fresh random bytes: of a generator that the operating system seeds again and again, without asking it each time.
fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::thread_rng().fill_bytes(&mut bytes);
    bytes
}

fn seconds() -> u64 {
    // A clock before 1970 lets promises look good for ever; the machine is then wrong about everything else too.
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Driver {
    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        // Never zero: a view that is good until zero is not good at all.
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Runs until told to stop; what is on its way to the disk is waited for.
    ///
    /// # Errors
    /// [`NodeError`]: the node must be started again.
    pub(crate) async fn run(
        mut self,
        stop: CancellationToken,
        mut inputs: Inputs,
    ) -> Result<(), NodeError> {
        self.begin().await?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let room = self.turns.len() < TURNS_MAX;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(arrived) = self.turns.next() => self.on_durable(arrived).await?,
                _ = tick.tick() => self.on_tick().await?,
                Some(delivery) = inputs.batches.recv() => self.on_batch(delivery).await?,
                Some(request) = inputs.requests.recv() => self.on_request(request).await?,
                Some(answer) = inputs.towers.recv(), if room => self.on_tower(answer).await?,
                Some(()) = inputs.sent.recv() => self.look_at_errands().await?,
                Some(proven) = inputs.proven.recv() => self.on_proven(proven).await?,
                Some(told) = inputs.told.recv() => self.on_told(told).await?,
                Some(event) = inputs.link.recv(), if room => {
                    // A machine that slept finds out before it reads what came meanwhile.
                    self.tell_view().await?;
                    self.on_link(event).await?;
                    // More of the same while they are there, without asking the others each time.
                    for _ in 0..FRAMES_AT_ONCE {
                        let Ok(event) = inputs.link.try_recv() else { break };
                        self.on_link(event).await?;
                    }
                }
            }
        }
        self.flush(&mut inputs).await?;
        self.stopped_in_order().await
    }

    /// A turn is durable: what it held back leaves, and what came meanwhile is looked at again.
    async fn on_durable(&mut self, arrived: Arrived) -> Result<(), NodeError> {
        let Arrived { owner, number, lanes, outcome } = arrived;
        outcome?;
        match owner {
            Owner::Hub => {
                self.give_hub(protocol::payment::hub::Event::Persisted(number)).await?;
            }
            Owner::Wallet(channel) => {
                let event = protocol::payment::wallet::Event::Persisted(number);
                self.give_wallet(channel, event).await?;
            }
            Owner::Offer => self.on_offer_durable(),
            Owner::Nobody => {}
        }
        self.protect_new().await?;
        for channel in lanes {
            for (peer, frame) in self.deferred.take(channel) {
                self.on_frame(peer, frame).await?;
            }
        }
        Ok(())
    }

    async fn on_tick(&mut self) -> Result<(), NodeError> {
        self.tell_view().await?;
        if self.hub.is_some() {
            self.give_hub(protocol::payment::hub::Event::Tick).await?;
        }
        // Most channels wait for nothing: they need no clock.
        let waiting = self.wallets.iter().filter(|(_, wallet)| wallet.waits());
        let waiting: Vec<ChannelId> = waiting.map(|(channel, _)| *channel).collect();
        for channel in waiting {
            self.give_wallet(channel, protocol::payment::wallet::Event::Tick).await?;
        }
        self.tick_hellos();
        self.tick_backups().await?;
        self.tick_openings().await?;
        self.tick_asked().await?;
        self.tick_consents().await?;
        self.tick_signing().await?;
        self.tick_exits().await?;
        self.tick_collections().await?;
        self.tick_figures();
        Ok(())
    }

    /// The handshake's record of a channel.
    fn record(&self, channel: ChannelId) -> Option<&protocol::zksc::handshake::Record> {
        match &self.hub {
            Some(hub) => hub.handshake(channel).map(|one| one.record()),
            None => self.wallets.get(&channel).map(|wallet| wallet.handshake().record()),
        }
    }

    /// What a channel's newest state pays this party.
    fn worth(&self, channel: ChannelId) -> Amount {
        let (Some(own), Some(record)) = (self.book.get(channel), self.record(channel)) else {
            return Amount::ZERO;
        };
        let base = record.base();
        let payout = own.ledger.payout(base.version, base.balance);
        payout.map_or(Amount::ZERO, |payout| payout.of(self.parts.role))
    }
}
