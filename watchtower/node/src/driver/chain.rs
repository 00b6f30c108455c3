//! What the chain says: batches of events into the book, facts out of it into the machines.
//!
//! **Invariant:** the book's rows and the cursor move in one turn, before the follower goes on.

use protocol::payment::{hub, wallet};
use protocol::vnode::view::Head;
use protocol::zksc::State;
use protocol::{ChannelId, EscrowVersion, Role};
use store::{Change, CursorRow, NodeChange, NodeTable};

use super::{Delivery, Driver, seconds};
use crate::book::{Fact, Standing};
use crate::error::NodeError;
use crate::rows;
use crate::rows::RowError;

impl Driver {
    pub(super) async fn on_batch(&mut self, delivery: Delivery) -> Result<(), NodeError> {
        let Delivery { batch, finalized, idle, durable } = delivery;
        self.idle = idle.or(self.idle);
        self.base_fee = Some(batch.tip.head.base_fee);
        let final_number = batch.tip.finalized;
        let facts = self.book.apply(&batch.removed, &batch.added, final_number);
        let position = batch.cursor.position();
        let cursor = CursorRow {
            number: position.number,
            hash: position.hash,
            state: serde_json::to_string(&batch.cursor).map_err(RowError::Json)?,
        };
        let mut turn = vec![
            NodeChange::Tower(Box::new(Change::Cursor(cursor))),
            rows::put(NodeTable::Chain, rows::WAITING.to_vec(), self.book.waiting())?,
        ];
        for channel in self.book.take_touched() {
            if let Some(own) = self.book.get(channel) {
                turn.push(rows::put(NodeTable::Chain, rows::key(channel), own)?);
            }
        }
        for fact in &facts {
            if let Fact::Known(channel) = fact {
                turn.push(rows::put(NodeTable::Notes, rows::known_key(channel.id()), channel)?);
            }
        }
        turn.extend(self.seen_row(batch.timestamp)?);
        self.store(turn).await?;
        // A follower that is gone is stopping.
        let _ = durable.send(());
        self.chain_s = batch.timestamp;
        let caught_up = position.number.saturating_add(1) >= batch.tip.head.id.number;
        if let Some((finalized, _)) = finalized.filter(|_| caught_up) {
            let now = self.now();
            let head = Head { number: position.number, time_s: batch.tip.head.timestamp };
            self.view.see(head, finalized, now);
        }
        for fact in facts {
            self.on_fact(fact).await?;
        }
        if let Some((_, time_s)) = finalized.filter(|_| caught_up) {
            self.final_s = self.final_s.max(time_s);
            // The head of a node that is behind itself is none.
            if !self.caught_up && self.view.check_clock(seconds()).is_ok() {
                self.caught_up = true;
                self.after_absence().await?;
            }
        }
        self.tell_view().await
    }

    /// Until when may be signed.
    pub(super) async fn tell_view(&mut self) -> Result<(), NodeError> {
        // A view that contradicts itself is good no longer, whatever was said before; one that is merely old has run out.
        let until = self.view.good_until(self.now(), seconds()).unwrap_or(0);
        if self.view_told.replace(until) == Some(until) {
            return Ok(());
        }
        if self.hub.is_some() {
            self.give_hub(hub::Event::View(until)).await?;
        }
        let channels: Vec<ChannelId> = self.wallets.keys().copied().collect();
        for channel in channels {
            self.give_wallet(channel, wallet::Event::View(until)).await?;
        }
        Ok(())
    }

    /// Whether anything may be signed now, in words.
    pub(super) fn view_words(&self) -> Result<(), String> {
        self.view
            .good_until(self.now(), seconds())
            .map(|_until| ())
            .map_err(|error| error.to_string())
    }

    async fn on_fact(&mut self, fact: Fact) -> Result<(), NodeError> {
        match fact {
            Fact::Known(_) => Ok(()),
            Fact::Opened(channel) => {
                tracing::info!(%channel, "a channel of ours is open; it waits for the counterparty");
                match self.parts.role {
                    Role::Counterparty => self.consider(channel).await,
                    Role::Participant => self.opened(channel).await,
                }
            }
            Fact::Live(channel) => {
                tracing::info!(%channel, "live");
                self.begin_empty(channel).await?;
                self.start_channel(channel).await?;
                self.lived(channel).await
            }
            Fact::Ledger(channel) => self.on_ledger(channel).await,
            Fact::Withdrawn(channel) => self.on_executed(channel).await,
            Fact::Disputed(channel) => {
                tracing::warn!(%channel, "a dispute of this channel is on the chain: nothing more is signed on it");
                self.heed_end(channel).await?;
                self.on_disputed(channel).await
            }
            Fact::Announced(channel) => {
                tracing::info!(%channel, "the close that ends the dispute is announced, final; overrides stay possible until it takes effect");
                self.on_executed(channel).await
            }
            Fact::Undisputed(channel) => self.on_undisputed(channel).await,
            Fact::Broken(channel) => self.heed_end(channel).await,
            Fact::Over(channel) => {
                tracing::info!(%channel, "over");
                self.heed_end(channel).await?;
                self.on_over(channel).await
            }
        }
    }

    async fn on_ledger(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let ledger = own.ledger.clone();
        tracing::info!(%channel, version = %ledger.last(), escrow = %ledger.newest().escrow(), "the escrow has a new version");
        if self.hub.is_some() {
            self.give_hub(hub::Event::Ledger(channel, ledger)).await?;
        } else {
            self.give_wallet(channel, wallet::Event::Ledger(ledger)).await?;
        }
        Ok(())
    }

    /// How a channel stands, for the machines that must stop signing on it.
    pub(super) async fn heed_end(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let newest = self.record(channel).map(|record| record.base().nonce);
        let ending = match (own.standing, own.dispute) {
            (Standing::Over, _) => own.settled.or(newest).map(hub::Ending::Settled),
            (_, Some(dispute)) => Some(hub::Ending::Disputed(dispute.nonce)),
            _ => None,
        };
        if ending.is_none() && own.broken {
            if self.hub.is_some() {
                self.give_hub(hub::Event::Stop(channel)).await?;
            } else {
                self.give_wallet(channel, wallet::Event::Stop).await?;
            }
        }
        let Some(ending) = ending else { return Ok(()) };
        if self.hub.is_some() {
            self.give_hub(hub::Event::Ending(channel, ending)).await?;
        } else {
            self.give_wallet(channel, wallet::Event::Stop).await?;
        }
        Ok(())
    }

    /// What the chain said before this start, or while there was no machine, and may not have been acted on: a crash between the
    /// turn that stored it and what follows from it must not lose it. Everything here may be done again.
    pub(super) async fn reconcile(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let disputed = own.dispute.is_some();
        match own.standing {
            // Its opening learns the channel's number: by it an opening that was taken back is told from one under way.
            Standing::Open => self.opened(channel).await,
            Standing::Cancelled => {
                self.opened(channel).await?;
                self.on_over(channel).await
            }
            Standing::Over => self.on_over(channel).await,
            _ if disputed => self.on_disputed(channel).await,
            Standing::Live => {
                if self.is_leaving_a_dispute(channel) {
                    self.on_undisputed(channel).await?;
                }
                self.lived(channel).await
            }
            Standing::Disputed => Ok(()),
        }
    }

    /// A dispute that is gone: signing stays stopped, but the hub's payments go by what stands now.
    async fn on_undisputed(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        if self.hub.is_some() {
            self.give_hub(hub::Event::Ending(channel, hub::Ending::None)).await?;
        }
        self.on_dispute_gone(channel).await
    }

    /// The state that a withdrawal made the checkpoint: both nodes compute the same one.
    pub(super) fn consented_state(
        &self,
        channel: ChannelId,
        nonce: protocol::Nonce,
        version: EscrowVersion,
        balance: protocol::Amount,
    ) -> Option<State> {
        let base = *self.record(channel)?.base();
        Some(State { nonce, version, balance, ..base })
    }
}
