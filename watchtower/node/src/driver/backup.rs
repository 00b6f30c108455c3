//! Backups of final states, and what towers promised.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use protocol::ChannelId;
use protocol::backup::{SignedReceipt, UnverifiedEnvelope, seal};
use protocol::payment::{hub, wallet};
use protocol::vnode::coverage::{Effect, Event};
use protocol::zksc::FinalState;
use rand::RngCore as _;
use store::{NodeChange, ReceiptRow, Slot};
use tokio::time::Instant;

use super::{Driver, Inputs, Owner, fresh, seconds};
use crate::book::{Own, Standing};
use crate::error::NodeError;
use crate::towers::{Answer, Job};

/// How long a node that stops waits for its towers. What they have not receipted by then is said.
const FLUSH_MAX: Duration = Duration::from_secs(8);

impl Driver {
    /// A new final state is to be backed up.
    pub(super) fn cover(&mut self, channel: ChannelId, state: &FinalState) {
        // A machine that is made from its record shows its newest state, also of a channel that is over: towers hold nothing of
        // that, and nobody needs it.
        let over = |own: &Own| matches!(own.standing, Standing::Over | Standing::Cancelled);
        if self.book.get(channel).is_some_and(over) {
            return;
        }
        let (now, worth) = (self.now(), self.worth(channel));
        let effects =
            self.coverage.handle(Event::Finalized(channel, state.state().nonce, worth), now);
        self.carry_backups(effects);
        self.protect_next.insert(channel);
    }

    pub(super) async fn tick_backups(&mut self) -> Result<(), NodeError> {
        let event = Event::Tick { chance: rand::rngs::OsRng.next_u64(), seconds: seconds() };
        let now = self.now();
        let effects = self.coverage.handle(event, now);
        self.carry_backups(effects);
        self.protect_new().await?;
        self.tick_restores().await
    }

    /// With a target of no towers a final state counts as protected: the person said so, and is told so. At once: nothing that
    /// waits for it waits for a clock.
    pub(super) async fn protect_new(&mut self) -> Result<(), NodeError> {
        if self.parts.policy.backup.target > 0 {
            self.protect_next.clear();
            return Ok(());
        }
        for channel in std::mem::take(&mut self.protect_next) {
            let Some(held) = self.coverage.status(channel).and_then(|status| status.held) else {
                continue;
            };
            if self.protected_told.get(&channel) != Some(&held) {
                self.protected_told.insert(channel, held);
                self.protected(channel, held).await?;
            }
        }
        Ok(())
    }

    async fn protected(
        &mut self,
        channel: ChannelId,
        nonce: protocol::Nonce,
    ) -> Result<(), NodeError> {
        if self.hub.is_some() {
            self.give_hub(hub::Event::Protected(channel, nonce)).await?;
        } else {
            self.give_wallet(channel, wallet::Event::Protected(nonce)).await?;
        }
        Ok(())
    }

    /// Everything but [`Effect::Protected`], which the receipt's own handler carries out.
    pub(super) fn carry_backups(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Publish(channel) => self.publish(channel),
                Effect::Fetch(channel, tower) => {
                    if let Some(at) = self.names.place_of(tower) {
                        self.parts.towers.one(at, Job::Fetch(channel));
                    }
                }
                Effect::Protected(..) => {}
                Effect::Flushed => self.flushed = true,
                Effect::Silent(channel, tower) => {
                    tracing::warn!(%tower, %channel, "a tower does not answer when asked for what it promised: it counts no more");
                }
                Effect::Unprotected(channel, nonce) => {
                    tracing::warn!(%channel, %nonce, target = self.parts.policy.backup.target, towers = self.parts.towers.count(), "this state is not protected: too few towers hold it");
                }
                Effect::Broken(receipt, served) => {
                    self.parts.metrics.node.broken.inc();
                    tracing::error!(tower = %receipt.tower, channel = %receipt.channel_id, promised = %receipt.nonce, ?served, "a tower does not hold what it promised; its receipt is the evidence");
                }
            }
        }
    }

    /// Seals the newest final state and hands it to every tower.
    fn publish(&mut self, channel: ChannelId) {
        if self.parts.towers.is_empty() {
            return;
        }
        let (Some(own), Some(key)) = (self.book.get(channel), self.dispute_keys.get(&channel))
        else {
            return;
        };
        let Some(state) = self.record(channel).and_then(|record| record.latest().copied()) else {
            return;
        };
        let known = own.channel;
        let envelope = match seal(&state, &known, key, &self.parts.keys.signer, &fresh()) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::error!(%channel, %error, "a final state cannot be sealed");
                return;
            }
        };
        let now = self.now();
        let effects = self.coverage.handle(Event::Published(Box::new(envelope.clone())), now);
        self.carry_backups(effects);
        let full = self.parts.towers.all(&Job::Publish(Arc::new(envelope), Box::new(known)));
        if full > 0 {
            tracing::warn!(%channel, towers = full, "a backup was not handed over: too many wait");
        }
    }

    pub(super) async fn on_tower(&mut self, answer: Answer) -> Result<(), NodeError> {
        match answer {
            Answer::Receipt(at, receipt) => self.on_receipt(at, receipt).await,
            Answer::Fetched { tower, channel, envelopes } => {
                self.on_fetched(tower, channel, envelopes).await
            }
        }
    }

    async fn on_receipt(
        &mut self,
        at: usize,
        receipt: Box<SignedReceipt>,
    ) -> Result<(), NodeError> {
        let inner = *receipt.receipt();
        if !self.names.learn(at, inner.tower) {
            tracing::error!(tower = %inner.tower, known = ?self.names.name_of(at), "a tower signs with another account than before: its receipts do not count; start the node again if that is meant");
            return Ok(());
        }
        let kept = ReceiptRow {
            nonce: inner.nonce,
            envelope_id: inner.envelope_id,
            until: inner.until,
            signature: alloy_primitives::Bytes::copy_from_slice(receipt.signature()),
        };
        let slot = Slot { channel_id: inner.channel_id, role: inner.role };
        // The tower's word is evidence; nothing waits for it.
        let row = NodeChange::Receipt(slot, inner.tower, Box::new(kept));
        self.write((Owner::Nobody, 0, Vec::new()), vec![row]).await?;
        let now = self.now();
        let effects = self.coverage.handle(Event::Receipt(receipt, seconds()), now);
        let risen = effects.iter().find_map(|effect| match effect {
            Effect::Protected(channel, nonce) => Some((*channel, *nonce)),
            _ => None,
        });
        self.carry_backups(effects);
        match risen {
            Some((channel, nonce)) => self.protected(channel, nonce).await,
            None => Ok(()),
        }
    }

    /// Before the node goes offline: what is on its way to the disk arrives, everything is handed to the towers, and their
    /// receipts are waited for, up to a bound.
    pub(super) async fn flush(&mut self, inputs: &mut Inputs) -> Result<(), NodeError> {
        let wanted = self.parts.policy.backup.target > 0 && self.parts.towers.count() > 0;
        let deadline = Instant::now().checked_add(FLUSH_MAX).unwrap_or_else(Instant::now);
        // A turn may bring a newer state: what was flushed before it was not everything.
        let mut handed = false;
        loop {
            if self.turns.is_empty() && wanted && !handed {
                handed = true;
                self.hand_over();
            }
            if self.turns.is_empty() && (!wanted || self.flushed) {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(arrived) = self.turns.next() => {
                    self.on_durable(arrived).await?;
                    handed = false;
                }
                Some(answer) = inputs.towers.recv(), if wanted => self.on_tower(answer).await?,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("the node stops before enough towers hold its newest states: start it again soon");
                    return Ok(());
                }
            }
        }
    }

    /// Everything that is not published is published now.
    fn hand_over(&mut self) {
        let now = self.now();
        self.flushed = false;
        let effects = self.coverage.handle(Event::Flush, now);
        self.carry_backups(effects);
    }

    async fn on_fetched(
        &mut self,
        tower: usize,
        channel: ChannelId,
        envelopes: Vec<UnverifiedEnvelope>,
    ) -> Result<(), NodeError> {
        let now = self.now();
        if self.restores.contains_key(&channel) {
            return self.on_restored_by_tower(tower, channel, envelopes).await;
        }
        let (Some(own), Some(name)) = (self.book.get(channel), self.names.name_of(tower)) else {
            return Ok(());
        };
        let role = self.parts.role;
        let known = own.channel;
        let served = envelopes
            .into_iter()
            .filter(|envelope| envelope.header().role == role)
            .find_map(|envelope| envelope.admit(&known).ok());
        let event = Event::Fetched(channel, name, served.map(Box::new));
        let effects = self.coverage.handle(event, now);
        self.carry_backups(effects);
        Ok(())
    }
}
