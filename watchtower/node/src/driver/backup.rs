//! Backups of final states, what towers promised, and the way back from the seed alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_primitives::Address;
use protocol::backup::{UnverifiedEnvelope, seal};
use protocol::payment::{hub, wallet};
use protocol::vnode::coverage::{Effect, Event};
use protocol::vnode::link::Frame;
use protocol::vnode::restore::{self, Restore, RestoreConfig, Source};
use protocol::zksc::{FinalState, UnverifiedFinal};
use protocol::{ChannelId, Role};
use rand::RngCore as _;
use store::{ReceiptRow, Slot};

use super::{Driver, fresh, seconds};
use crate::error::NodeError;
use crate::towers::{Answer, Job};

/// A channel that is being restored.
#[derive(Debug)]
pub(crate) struct Restoring {
    machine: Restore,
    /// Towers that were asked and have answered, by their place in the list.
    answered: BTreeSet<usize>,
    asked_ms: u64,
}

/// Between two askings.
const ASK_EVERY: u64 = 3_000;

/// A tower of the list in a restore, where its account is not known yet: no account of anybody.
fn stand_in(at: usize) -> Address {
    let at = u64::try_from(at).unwrap_or(u64::MAX).to_be_bytes();
    Address::from_word(alloy_primitives::keccak256([b"tower of the list".as_slice(), &at].concat()))
}

impl Driver {
    /// A new final state is to be backed up.
    pub(super) fn cover(&mut self, channel: ChannelId, state: &FinalState) {
        let (now, worth) = (self.now(), self.worth(channel));
        let effects =
            self.coverage.handle(Event::Finalized(channel, state.state().nonce, worth), now);
        self.carry_backups(effects);
    }

    pub(super) async fn tick_backups(&mut self) -> Result<(), NodeError> {
        let event = Event::Tick { chance: rand::rngs::OsRng.next_u64(), seconds: seconds() };
        let now = self.now();
        let effects = self.coverage.handle(event, now);
        self.carry_backups(effects);
        if self.parts.policy.backup.target == 0 {
            self.protect_without_towers().await?;
        }
        self.tick_restores().await
    }

    /// With a target of no towers a final state counts as protected: the person said so, and is told so.
    async fn protect_without_towers(&mut self) -> Result<(), NodeError> {
        let channels: Vec<ChannelId> = self.book.channels().keys().copied().collect();
        for channel in channels {
            let Some(held) = self.coverage.status(channel).and_then(|status| status.held) else {
                continue;
            };
            // A machine that was made anew has been told nothing.
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
    fn carry_backups(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Publish(channel) => self.publish(channel),
                Effect::Fetch(channel, tower) => {
                    if let Some(at) = self.names.place_of(tower) {
                        self.parts.towers.one(at, Job::Fetch(channel));
                    }
                }
                Effect::Protected(..) | Effect::Flushed => {}
                Effect::Unprotected(channel, nonce) => {
                    tracing::warn!(%channel, %nonce, target = self.parts.policy.backup.target, towers = self.parts.towers.count(), "this state is not protected: too few towers hold it");
                }
                Effect::Broken(receipt, served) => {
                    tracing::error!(tower = %receipt.tower, channel = %receipt.channel_id, promised = %receipt.nonce, ?served, "a tower does not hold what it promised; its receipt is the evidence");
                }
            }
        }
    }

    /// Seals the newest final state and hands it to every tower.
    fn publish(&mut self, channel: ChannelId) {
        if self.parts.towers.count() == 0 {
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
            Answer::Receipt(at, receipt) => {
                let inner = *receipt.receipt();
                self.names.learn(at, inner.tower);
                let now = self.now();
                let kept = ReceiptRow {
                    nonce: inner.nonce,
                    envelope_id: inner.envelope_id,
                    until: inner.until,
                    signature: alloy_primitives::Bytes::copy_from_slice(receipt.signature()),
                };
                let slot = Slot { channel_id: inner.channel_id, role: inner.role };
                self.parts.store.put_receipt(slot, inner.tower, kept).await?;
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
            Answer::Fetched { tower, channel, envelopes } => {
                self.on_fetched(tower, channel, envelopes).await
            }
        }
    }

    async fn on_fetched(
        &mut self,
        tower: usize,
        channel: ChannelId,
        envelopes: Vec<UnverifiedEnvelope>,
    ) -> Result<(), NodeError> {
        let now = self.now();
        if let Some(restoring) = self.restores.get_mut(&channel) {
            restoring.answered.insert(tower);
            let answer = restore::Answer { envelopes, ..restore::Answer::default() };
            let source = Source::Tower(stand_in(tower));
            let event = restore::Event::Answer(source, Box::new(answer));
            let effects = restoring.machine.handle(event, now);
            return self.carry_restore(channel, effects).await;
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

    /// Begins a restore if the channel lives, has no record here, and was not opened from this disk. True while it is being
    /// restored.
    pub(super) fn begin_restore(&mut self, channel: ChannelId) -> Result<bool, NodeError> {
        if self.restores.contains_key(&channel) {
            return Ok(true);
        }
        let key = crate::rows::key(channel);
        let is_known = self.parts.store.node_row(store::NodeTable::Lanes, &key)?.is_some()
            || self.was_opened_here(channel);
        let (Some(own), false) = (self.book.get(channel), is_known) else { return Ok(false) };
        let Some(dispute_key) = self.dispute_keys.get(&channel).cloned() else { return Ok(false) };
        let policy = self.parts.policy.backup;
        let config = RestoreConfig {
            quorum: if policy.target == 0 { 0 } else { policy.restore_quorum },
            counterparty_timeout: policy.restore_wait_ms,
            ask_every: ASK_EVERY,
        };
        tracing::warn!(%channel, quorum = config.quorum, towers = self.parts.towers.count(), "this disk has no record of a channel that lives: restoring it; nothing is signed on it until that is done");
        let now = self.now();
        let (machine, _asks) = Restore::new(config, own.channel, dispute_key, now);
        let mut restoring = Restoring { machine, answered: BTreeSet::new(), asked_ms: 0 };
        for at in 0..self.parts.towers.count() {
            let tower = stand_in(at);
            // The towers of a person's own list are found by the person, not by the counterparty.
            let _asks = restoring
                .machine
                .handle(restore::Event::Found { tower, by_counterparty: false }, now);
        }
        self.restores.insert(channel, restoring);
        Ok(true)
    }

    async fn tick_restores(&mut self) -> Result<(), NodeError> {
        let now = self.now();
        let channels: Vec<ChannelId> = self.restores.keys().copied().collect();
        for channel in channels {
            let Some(restoring) = self.restores.get_mut(&channel) else { continue };
            if restoring.asked_ms == 0 || now.saturating_sub(restoring.asked_ms) >= ASK_EVERY {
                restoring.asked_ms = now.max(1);
                for at in 0..self.parts.towers.count() {
                    if !restoring.answered.contains(&at) {
                        self.parts.towers.one(at, Job::Fetch(channel));
                    }
                }
                self.tell(channel, &Frame::Latest(channel, None));
            }
            let Some(restoring) = self.restores.get_mut(&channel) else { continue };
            let effects = restoring.machine.handle(restore::Event::Tick, now);
            self.carry_restore(channel, effects).await?;
        }
        Ok(())
    }

    /// The counterparty shows what it holds; none when it holds nothing.
    pub(super) async fn on_restored_by_hub(
        &mut self,
        channel: ChannelId,
        state: Option<Box<UnverifiedFinal>>,
    ) -> Result<(), NodeError> {
        let now = self.now();
        let Some(restoring) = self.restores.get_mut(&channel) else { return Ok(()) };
        let answer = restore::Answer { state, ..restore::Answer::default() };
        let event = restore::Event::Answer(Source::Counterparty, Box::new(answer));
        let effects = restoring.machine.handle(event, now);
        self.carry_restore(channel, effects).await
    }

    async fn carry_restore(
        &mut self,
        channel: ChannelId,
        effects: Vec<restore::Effect>,
    ) -> Result<(), NodeError> {
        for effect in effects {
            let restore::Effect::Done(outcome) = effect else { continue };
            for one in &outcome.evidence {
                tracing::error!(tower = %one.receipt.tower, promised = %one.receipt.nonce, served = ?one.served, "a tower served less than it promised");
            }
            let nonce = outcome.state.map(|state| state.state().nonce);
            tracing::info!(%channel, ?nonce, counterparty = outcome.counterparty_answered, "restored");
            self.restores.remove(&channel);
            self.restored(channel, outcome.state).await?;
        }
        Ok(())
    }

    async fn keep_empty(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let row = match self.parts.role {
            Role::Counterparty => crate::rows::new_lane(&own.channel)?,
            Role::Participant => crate::rows::new_wallet(&own.channel)?,
        };
        self.store(vec![row]).await
    }

    /// Makes the machine of a restored channel, and gives it the newest state before anything else.
    ///
    /// The first record that the disk gets holds that state: a crash on the way leaves none, and the next start asks again.
    /// An empty one is written only where there is no state at all.
    async fn restored(
        &mut self,
        channel: ChannelId,
        state: Option<FinalState>,
    ) -> Result<(), NodeError> {
        let Some(state) = state.map(Box::new) else {
            self.keep_empty(channel).await?;
            self.make_machine(channel).await?;
            self.heed_end(channel).await?;
            return self.lived(channel).await;
        };
        self.make_machine(channel).await?;
        let refusal = if self.parts.role == Role::Counterparty {
            let given = self.give_hub(hub::Event::Restored(channel, state)).await?;
            given.refusal().map(|error| error.to_string())
        } else {
            let given = self.give_wallet(channel, wallet::Event::Restored(state)).await?;
            given.refusal().map(|error| error.to_string())
        };
        if let Some(reason) = refusal {
            // A machine without the state could sign what was signed before: none goes on.
            return Err(NodeError::Restore { channel, reason });
        }
        self.heed_end(channel).await?;
        self.lived(channel).await
    }
}
