//! The way back from the seed alone; and, at each start, the check that this disk is not older than what towers hold.
//!
//! ```text
//!   no record here:  hub, towers --answers--> newest state that both signed --one turn--> machine
//!   a record here:   towers ------answers--> newer than the record? as above : the record's machine
//! ```
//!
//! A disk that was copied back (a snapshot, an old home folder) has records that are too old to sign on: that is what the check
//! is for. It is bounded in time, because towers that are down must not keep a sound node from working.
//!
//! **Invariant:** a restored channel has no record on this disk before the one that holds its newest state.
//! **Invariant:** no machine of a channel exists while it is restored or checked.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::backup::UnverifiedEnvelope;
use protocol::payment::{hub, wallet};
use protocol::vnode::link::Frame;
use protocol::vnode::restore::{self, Restore, RestoreConfig, Source};
use protocol::zksc::{FinalState, UnverifiedFinal};
use protocol::{ChannelId, Nonce, Role};
use serde_json::{Value, json};
use store::NodeTable;

use super::Driver;
use crate::book::Standing;
use crate::error::NodeError;
use crate::rows;
use crate::towers::Job;

/// Between two askings, in milliseconds.
const ASK_EVERY: u64 = 3_000;

/// A channel that is being restored, or whose record is compared with what towers hold.
#[derive(Debug)]
pub(crate) struct Restoring {
    machine: Restore,
    /// What the towers that have answered served, by their place in the list; none for nothing.
    served: BTreeMap<usize, Option<Nonce>>,
    asked_ms: u64,
    began_ms: u64,
    /// There is a record here: it is compared, and towers that are down are not waited for.
    check: bool,
}

impl Restoring {
    /// Whether a person must wait for it: the check of a sound disk is none of their business.
    pub(crate) const fn is_check(&self) -> bool {
        self.check
    }
}

/// A tower of the list in a restore, where its account is not known yet: no account of anybody.
fn stand_in(at: usize) -> Address {
    let at = u64::try_from(at).unwrap_or(u64::MAX).to_be_bytes();
    Address::from_word(alloy_primitives::keccak256([b"tower of the list".as_slice(), &at].concat()))
}

impl Driver {
    /// Begins a restore if the channel has no record here; a check if it has one and was not checked since the start. True while no
    /// machine may be made.
    pub(super) fn begin_restore(&mut self, channel: ChannelId) -> Result<bool, NodeError> {
        if self.restores.contains_key(&channel) {
            return Ok(true);
        }
        let (Some(own), false) = (self.book.get(channel), self.checked.contains(&channel)) else {
            return Ok(false);
        };
        if own.standing == Standing::Over {
            return Ok(false);
        }
        let has_record =
            self.parts.store.node_row(NodeTable::Lanes, &rows::key(channel))?.is_some();
        let check = has_record && self.can_check();
        if has_record && !check {
            self.checked.insert(channel);
            return Ok(false);
        }
        let Some(dispute_key) = self.dispute_keys.get(&channel).cloned() else { return Ok(false) };
        let policy = self.parts.policy.backup;
        let quorum = match check {
            true => policy.restore_quorum.min(self.parts.towers.count()),
            false if policy.target == 0 => 0,
            false => policy.restore_quorum,
        };
        let wait = if check { 0 } else { policy.restore_wait_ms };
        let config = RestoreConfig { quorum, counterparty_timeout: wait, ask_every: ASK_EVERY };
        if !check {
            tracing::warn!(%channel, quorum, towers = self.parts.towers.count(), "this disk has no record of a channel that lives: restoring it; nothing is signed on it until that is done");
        }
        let now = self.now();
        let (mut machine, _asks) = Restore::new(config, own.channel, dispute_key, now);
        for at in 0..self.parts.towers.count() {
            // The towers of a person's own list are found by the person, not by the counterparty.
            let found = restore::Event::Found { tower: stand_in(at), by_counterparty: false };
            let _asks = machine.handle(found, now);
        }
        let served = BTreeMap::new();
        let restoring = Restoring { machine, served, asked_ms: 0, began_ms: now, check };
        self.restores.insert(channel, restoring);
        Ok(true)
    }

    fn can_check(&self) -> bool {
        let policy = self.parts.policy.backup;
        policy.check_at_start && policy.target > 0 && self.parts.towers.count() > 0
    }

    pub(super) async fn tick_restores(&mut self) -> Result<(), NodeError> {
        let now = self.now();
        let channels: Vec<ChannelId> = self.restores.keys().copied().collect();
        for channel in channels {
            let Some(restoring) = self.restores.get_mut(&channel) else { continue };
            if restoring.asked_ms == 0 || now.saturating_sub(restoring.asked_ms) >= ASK_EVERY {
                restoring.asked_ms = now.max(1);
                for at in 0..self.parts.towers.count() {
                    if !restoring.served.contains_key(&at) {
                        self.parts.towers.one(at, Job::Fetch(channel));
                    }
                }
                self.tell(channel, &Frame::Latest(channel, None));
            }
            let Some(restoring) = self.restores.get_mut(&channel) else { continue };
            let waited = now.saturating_sub(restoring.began_ms);
            if restoring.check && waited >= self.parts.policy.backup.restore_wait_ms {
                tracing::warn!(%channel, answered = restoring.served.len(), "too few towers answer: whether this disk is older than what they hold is not known; going on with what it has, or with what was shown");
                let newest = restoring.machine.newest().copied();
                self.restored(channel, newest).await?;
                continue;
            }
            let effects = restoring.machine.handle(restore::Event::Tick, now);
            self.carry_restore(channel, effects).await?;
        }
        Ok(())
    }

    /// What a tower serves for a channel that is being restored.
    pub(super) async fn on_restored_by_tower(
        &mut self,
        tower: usize,
        channel: ChannelId,
        envelopes: Vec<UnverifiedEnvelope>,
    ) -> Result<(), NodeError> {
        let now = self.now();
        let Some(known) = self.book.get(channel).map(|own| own.channel) else { return Ok(()) };
        let Some(restoring) = self.restores.get_mut(&channel) else { return Ok(()) };
        let admitted = envelopes.iter().filter_map(|one| one.clone().admit(&known).ok());
        let newest = admitted.map(|envelope| envelope.header().nonce).max();
        restoring.served.insert(tower, newest);
        let answer = restore::Answer { envelopes, ..restore::Answer::default() };
        let source = Source::Tower(stand_in(tower));
        let event = restore::Event::Answer(source, Box::new(answer));
        let effects = restoring.machine.handle(event, now);
        self.carry_restore(channel, effects).await
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
            let state = outcome.state;
            let nonce = state.map(|state| state.state().nonce);
            let Some(restoring) = self.restores.get(&channel) else { continue };
            let behind: Vec<usize> = restoring
                .served
                .iter()
                .filter(|(_, served)| nonce.is_some() && **served < nonce)
                .map(|(at, _)| *at)
                .collect();
            if !restoring.check {
                for at in &behind {
                    tracing::warn!(%channel, tower = at, newest = ?nonce, served = ?restoring.served.get(at), "a tower served less than the newest state");
                }
                tracing::info!(%channel, ?nonce, counterparty = outcome.counterparty_answered, "restored");
                let report = json!({
                    "channel": channel, "nonce": nonce, "towers_behind": behind,
                    "counterparty_answered": outcome.counterparty_answered,
                });
                self.restored_reports.insert(channel, report);
            }
            self.restored(channel, state).await?;
        }
        Ok(())
    }

    /// Makes the machine of a restored channel, and gives it the newest state: the machine's first turn holds both, so a crash
    /// before it leaves nothing behind, and the next start restores again.
    async fn restored(
        &mut self,
        channel: ChannelId,
        state: Option<FinalState>,
    ) -> Result<(), NodeError> {
        let was_check = self.restores.remove(&channel).is_some_and(|one| one.check);
        self.checked.insert(channel);
        if !was_check {
            self.hold(channel).await?;
        }
        if state.is_none() && !was_check {
            self.keep_empty(channel).await?;
        }
        self.make_machine(channel).await?;
        let held = self.record(channel).map(|record| record.base().nonce);
        if let Some(state) = state.filter(|state| Some(state.state().nonce) > held) {
            if was_check {
                tracing::error!(%channel, held = ?held, newest = %state.state().nonce, "this disk is older than what both signed: it was copied back, or lost writes; going on from the newest state that towers hold; payments that were under way are unclear");
                self.hold(channel).await?;
            }
            self.adopt(channel, state).await?;
        }
        self.heed_end(channel).await?;
        self.reconcile(channel).await
    }

    /// The other end showed a state that does not follow from what is on record here: the disk was set back, and no tower said so.
    /// A crash before the pause is durable forgets the pause; nothing is signed in between.
    pub(super) async fn heed_jump(
        &mut self,
        channel: ChannelId,
        before: Option<Nonce>,
    ) -> Result<(), NodeError> {
        let after = self.record(channel).map(|record| record.base().nonce);
        if before.and_then(Nonce::next).is_none_or(|next| after <= Some(next)) {
            return Ok(());
        }
        tracing::error!(%channel, held = ?before, newest = ?after, "this disk is older than what both signed: the other end showed it; payments that were under way are unclear");
        self.hold(channel).await
    }

    async fn adopt(&mut self, channel: ChannelId, state: FinalState) -> Result<(), NodeError> {
        let state = Box::new(state);
        let refusal = if self.parts.role == Role::Counterparty {
            let given = self.give_hub(hub::Event::Restored(channel, state)).await?;
            given.refusal().map(|error| error.to_string())
        } else {
            let given = self.give_wallet(channel, wallet::Event::Restored(state)).await?;
            given.refusal().map(|error| error.to_string())
        };
        match refusal {
            // A machine without the state could sign what was signed before: none goes on.
            Some(reason) => Err(NodeError::Restore { channel, reason }),
            None => Ok(()),
        }
    }

    /// A channel that was opened here begins to live, and this process had seen the chain's head before: nothing was ever signed on
    /// it, wherever this disk comes from. From now on it has a record.
    pub(super) async fn begin_empty(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let has_record =
            self.parts.store.node_row(NodeTable::Lanes, &rows::key(channel))?.is_some();
        if self.caught_up && !has_record && self.was_opened_here(channel) {
            self.keep_empty(channel).await?;
            self.checked.insert(channel);
        }
        Ok(())
    }

    /// Nobody holds a state: the channel begins. With a row of it the next start does not ask again.
    async fn keep_empty(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let row = match self.parts.role {
            Role::Counterparty => rows::new_lane(&own.channel)?,
            Role::Participant => rows::new_wallet(&own.channel)?,
        };
        self.store(vec![row]).await
    }

    pub(super) fn show_restores(&self) -> Value {
        let channels: Vec<ChannelId> = self
            .restores
            .iter()
            .filter(|(_, one)| !one.is_check())
            .map(|(channel, _)| *channel)
            .collect();
        json!({
            "done": channels.is_empty(), "restoring": channels,
            "checking": self.restores.values().filter(|one| one.is_check()).count(),
            "towers": self.parts.towers.count(),
            "quorum": self.parts.policy.backup.restore_quorum,
            "restored": self.restored_reports.values().collect::<Vec<_>>(),
        })
    }
}
