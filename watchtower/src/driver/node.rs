//! The node: everything that happens passes through here, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::U256;
use chain::calls::Vipe;
use chain::events::{ChainEvent, Event as Chain, Overridden};
use chain::pending::Rival;
use chain::provider::Rpc;
use chain::submitter::ObligationId;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use protocol::vnode::rescue::{Effect, Event};
use protocol::{Address, ChannelId};
use store::{Change, CursorRow, DisputeId, Slot, Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::book::{Book, Vault};
use super::disk::wait_for_disk;
use super::effects::{Done, cost_of};
use super::journal::{Line, ether};
use super::life::{Life, Out, Terms};
use super::notices::{Heard, Shown};
use super::obligation::{Owner, Purpose};
use super::prove::Prove;
use super::race::Race;
use super::submit::Told;
use super::tell::tell_others;
use super::watch::Delivery;
use crate::network::{Note, Replica};
use crate::observe::Recorder;
use crate::tasks::TaskFailure;

/// The most disputes of a store that are looked at on a restart: more than a day's worth of any chain's blocks holds.
const DISPUTES_MAX: usize = 100_000;

/// How often disputes are looked at when no block comes.
const TICK: Duration = Duration::from_secs(1);

/// How long a proof is expected to take until one was measured.
const PROOF_TIME: Duration = Duration::from_secs(5);

/// What the node works with.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) vipe: Vipe,
    pub(crate) rpc: Rpc,
    pub(crate) terms: Terms,
    /// Where collected ether goes.
    pub(crate) collect_to: Address,
    /// Gas expected of an override.
    pub(crate) override_gas: u64,
    /// The operator's limit, wei per gas.
    pub(crate) gas_price_max: u128,
    pub(crate) prove: Prove,
    /// Writes figures down.
    pub(crate) recorder: Recorder,
    /// Wakes the submitter.
    pub(crate) outbox: watch::Sender<u64>,
    /// Tells the submitter of new heads.
    pub(crate) heads: watch::Sender<u64>,
    /// New deadlines for the submitter.
    pub(crate) deadlines: mpsc::Sender<(ObligationId, u64)>,
    /// Tells the network of disputes, where there is one.
    pub(crate) notes: Option<mpsc::Sender<Note>>,
    /// Whom to wait for in a race, where there is a network.
    pub(crate) race: Option<Race>,
    /// What is held, in memory.
    pub(crate) replica: Arc<Replica>,
    /// Shows the intake which channels are disputed.
    pub(crate) shown: Shown,
}

/// What the node hears.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// From the chain watch.
    pub(crate) batches: mpsc::Receiver<Delivery>,
    /// From the submitter.
    pub(crate) told: mpsc::Receiver<Told>,
    /// From the intake: slots with something newer.
    pub(crate) heard: Heard,
    /// From the pool: overrides of others that wait to be mined.
    pub(crate) rivals: mpsc::Receiver<Rival>,
}

/// The actor.
pub(crate) struct Node {
    pub(crate) parts: Parts,
    pub(crate) lives: BTreeMap<DisputeId, Life>,
    pub(crate) jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    /// How long the last proof took.
    pub(crate) proof_time: Duration,
    /// Whether the outbox has something new in the commit to come.
    pub(crate) wake: bool,
    /// Channels that ended, each with the block that ended it, until that is final.
    pub(crate) endings: BTreeMap<ChannelId, u64>,
    /// Channels whose backups go with the commit to come.
    pub(crate) forgotten: Vec<ChannelId>,
    /// The chain's time, seconds.
    pub(crate) now: u64,
    pub(crate) finalized: Option<u64>,
}

impl Node {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            lives: BTreeMap::new(),
            jobs: FuturesUnordered::new(),
            proof_time: PROOF_TIME,
            wake: false,
            endings: BTreeMap::new(),
            forgotten: Vec::new(),
            now: 0,
            finalized: None,
        }
    }

    /// Works until told to stop. Whatever was decided is on disk by then.
    ///
    /// # Errors
    /// When the store fails for good.
    pub(crate) async fn run(
        mut self,
        stop: CancellationToken,
        mut inputs: Inputs,
    ) -> Result<(), TaskFailure> {
        let resumed = self.resume()?;
        self.carry(resumed).await?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut out = Out::default();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(done) = self.jobs.next() => self.on_done(done, &mut out),
                Some(told) = inputs.told.recv() => self.on_told(told, &mut out)?,
                Some(delivery) = inputs.batches.recv() => self.on_batch(delivery, &mut out).await?,
                Some(slot) = inputs.heard.slots.recv() => self.on_slot(slot, &mut out),
                Some(rival) = inputs.rivals.recv() => self.on_rival(&rival, &mut out),
                _ = tick.tick() => {
                    if inputs.heard.take_missed() {
                        out.todo.extend(self.lives.keys().map(|id| (*id, Effect::OpenEnvelopes)));
                    }
                    self.clock(&mut out);
                    self.observe();
                }
            }
            self.carry(out).await?;
        }
    }

    /// Every dispute that is not closed goes on from its last durable step.
    fn resume(&mut self) -> Result<Out, StoreError> {
        self.resume_endings()?;
        let mut out = Out::default();
        for row in self.parts.store.disputes(DISPUTES_MAX)? {
            if row.closed {
                continue;
            }
            let Some(channel) = self.parts.store.channel(row.id.channel_id)? else {
                tracing::error!(dispute = %row.id, "a dispute without its channel; left alone");
                continue;
            };
            self.now = self.now.max(row.record.facts.standing.opened_at);
            let life = Life::resume(row, channel.channel, &self.parts.terms, &mut out)?;
            let id = life.id();
            self.parts.shown.begin(id.channel_id);
            self.lives.insert(id, life);
            // A newer backup may have waited for what was under way, or come just before the end.
            out.todo.push_back((id, Effect::OpenEnvelopes));
        }
        Ok(out)
    }

    /// Commits, then does what is due, and so on until nothing is.
    async fn carry(&mut self, mut out: Out) -> Result<(), StoreError> {
        loop {
            self.commit(&mut out).await?;
            let Some((id, effect)) = out.todo.pop_front() else { return Ok(()) };
            self.act(id, &effect, &mut out)?;
        }
    }

    /// The channel's newest dispute.
    pub(crate) fn current(&mut self, channel: ChannelId) -> Option<&mut Life> {
        let of = |epoch| DisputeId { channel_id: channel, epoch };
        self.lives.range_mut(of(0)..=of(u64::MAX)).next_back().map(|(_, life)| life)
    }

    fn on_slot(&mut self, slot: Slot, out: &mut Out) {
        if let Some(life) = self.current(slot.channel_id) {
            let id = life.id();
            out.todo.push_back((id, Effect::OpenEnvelopes));
        }
    }

    fn clock(&mut self, out: &mut Out) {
        for life in self.lives.values_mut().filter(|life| !life.stands.is_resting(self.now)) {
            life.handle(Event::Clock(self.now), out);
            if life.looks_again() {
                out.todo.push_back((life.id(), Effect::OpenEnvelopes));
            }
        }
    }

    async fn on_batch(&mut self, delivery: Delivery, out: &mut Out) -> Result<(), StoreError> {
        let Delivery { batch, durable } = delivery;
        let store = self.parts.store.clone();
        wait_for_disk(&store).await?;
        let mut book = Book::new(&store, self.parts.vault);
        self.now = batch.timestamp;
        for event in &batch.removed {
            book.remove(&event.event)?;
            self.on_removed(event, out)?;
            self.take_ending_back(event, out);
        }
        for event in &batch.added {
            book.add(event.block.number, &event.event)?;
            self.on_added(event, &mut book, out).await?;
            self.note_ending(event, out);
        }
        out.changes.extend(book.into_changes());
        let position = batch.cursor.position();
        let state = serde_json::to_string(&batch.cursor)
            .map_err(|error| StoreError::Row { table: "cursor-1", detail: error.to_string() })?;
        let (number, hash) = (position.number, position.hash);
        out.changes.push(Change::Cursor(CursorRow { number, hash, state }));
        self.finalized = batch.tip.finalized;
        self.close_what_is_final(out)?;
        self.forget_what_ended(out);
        self.commit(out).await?;
        self.forget_in_index();
        tell_others(self.parts.notes.as_ref(), &batch.added, batch.tip.head.timestamp);
        // The watch may be gone; then the batch comes again after the restart and changes nothing.
        let _ = durable.send(());
        self.parts.heads.send_replace(number);
        self.clock(out);
        Ok(())
    }

    async fn on_added(
        &mut self,
        event: &ChainEvent,
        book: &mut Book<'_>,
        out: &mut Out,
    ) -> Result<(), StoreError> {
        match &event.event {
            Chain::DisputeOpened(opened) => {
                let Some(row) = book.channel(opened.channel)? else {
                    tracing::warn!(channel = %opened.channel, "a dispute of a channel that is ignored");
                    return Ok(());
                };
                let (channel, ledger) = (row.channel, book.ledger(opened.channel)?);
                let life = Life::begin(event, opened, (channel, ledger), &self.parts.terms, out)?;
                if let Some(life) = life {
                    self.parts.shown.begin(opened.channel);
                    self.lives.insert(life.id(), life);
                }
            }
            Chain::Overridden(moved) => self.on_overridden(event, moved, out).await?,
            Chain::CloseAnnounced(announced) => {
                let rules = self.parts.terms.rules;
                let Some(life) = self.current(announced.channel) else { return Ok(()) };
                life.push_event(event)?;
                life.stands_anew(&rules, out)?;
            }
            Chain::Settled(settled) => {
                let cost = self.cost(settled.channel, Purpose::Settle, event).await?;
                let Some(life) = self.current(settled.channel) else { return Ok(()) };
                life.push_event(event)?;
                let message = format!(
                    "settled: {} base units to the participant, {} to the pool, {} of them slashed",
                    settled.to_participant, settled.to_vip, settled.slash
                );
                out.lines.push(
                    Line::step(life.id(), "settled", message)
                        .block(event.block.number)
                        .transaction(event.transaction),
                );
                let (corrector, fee) = (settled.corrector, settled.fee);
                life.handle(Event::Settled { corrector, fee, cost }, out);
                life.changed(out);
            }
            _ => {}
        }
        Ok(())
    }

    async fn on_overridden(
        &mut self,
        event: &ChainEvent,
        moved: &Overridden,
        out: &mut Out,
    ) -> Result<(), StoreError> {
        let ours = moved.beneficiary == self.parts.terms.beneficiary;
        if let Some(race) = &self.parts.race {
            race.link.paid(moved.beneficiary);
        }
        let cost = match ours {
            true => {
                let purpose = Purpose::Override { nonce: moved.nonce.get() };
                self.cost(moved.channel, purpose, event).await?
            }
            false => U256::ZERO,
        };
        let (rules, now) = (self.parts.terms.rules, self.now);
        let Some(life) = self.current(moved.channel) else { return Ok(()) };
        life.push_event(event)?;
        life.stands_since(event, now);
        let who = if ours { "our override" } else { "an override by somebody else" };
        let message = format!(
            "{who} stands: nonce {}, the disputer is now paid {} base units; {} to {}",
            moved.nonce,
            moved.claim,
            ether(moved.reward),
            moved.beneficiary
        );
        out.lines.push(
            Line::step(life.id(), "overridden", message)
                .block(event.block.number)
                .transaction(event.transaction)
                .wei(moved.reward),
        );
        if ours {
            let (number, hash) = (event.block.number, event.block.hash);
            life.handle(Event::Included { number, hash, reward: moved.reward, cost }, out);
        }
        life.stands_anew(&rules, out)?;
        Ok(())
    }

    /// What the transaction of this event cost us, if it was one of ours for the channel's newest dispute.
    async fn cost(
        &mut self,
        channel: ChannelId,
        purpose: Purpose,
        event: &ChainEvent,
    ) -> Result<U256, StoreError> {
        let Some(dispute) = self.current(channel).map(|life| life.id()) else {
            return Ok(U256::ZERO);
        };
        let owner = Owner { dispute, purpose };
        cost_of(&self.parts.store, &self.parts.rpc, &owner, event.transaction).await
    }

    fn on_removed(&mut self, event: &ChainEvent, out: &mut Out) -> Result<(), StoreError> {
        let rules = self.parts.terms.rules;
        let beneficiary = self.parts.terms.beneficiary;
        let Some(channel) = event.event.channel() else { return Ok(()) };
        let Some(life) = self.current(channel) else { return Ok(()) };
        if !life.pop_event(event)? {
            return Ok(());
        }
        life.stands_again();
        let id = life.id();
        let message = "taken back by a reorganisation";
        match &event.event {
            Chain::DisputeOpened(_) => {
                out.lines.push(Line::trouble(id, "vanished", message).block(event.block.number));
                life.row.vanished = true;
                life.row.closed = true;
                life.changed(out);
                self.lives.remove(&id);
                self.parts.shown.end(channel);
                self.stop_override(id)?;
            }
            Chain::Overridden(moved) => {
                out.lines
                    .push(Line::trouble(id, "override_removed", message).block(event.block.number));
                if moved.beneficiary == beneficiary {
                    life.handle(Event::Removed { reward: moved.reward }, out);
                }
                life.stands_anew(&rules, out)?;
            }
            Chain::CloseAnnounced(_) => {
                life.stands_anew(&rules, out)?;
            }
            Chain::Settled(_) => {
                out.lines.push(
                    Line::trouble(id, "settlement_removed", message).block(event.block.number),
                );
                life.row.outcome = None;
                life.handle(Event::Unsettled, out);
                life.changed(out);
            }
            _ => {}
        }
        Ok(())
    }
}
