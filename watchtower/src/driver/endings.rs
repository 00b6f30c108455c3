//! What is over for good: disputes are closed once their end is final, and what is held for channels that were paid out is
//! forgotten.
//!
//! **Invariant:** nothing is forgotten that a reorganisation of blocks that are not final could bring back to life.

use chain::events::{ChainEvent, Event as Chain};
use store::{Change, StoreError};

use super::journal::{Line, ether};
use super::life::Out;
use super::node::Node;
use super::obligation::OutboxRow;

impl Node {
    /// After a start: what is still to be forgotten.
    pub(crate) fn resume_endings(&mut self) -> Result<(), StoreError> {
        self.endings = self.parts.store.endings()?.into_iter().collect();
        Ok(())
    }

    /// A dispute is done when its end is final and nothing of it is on its way.
    pub(crate) fn close_what_is_final(&mut self, out: &mut Out) -> Result<(), StoreError> {
        let Some(finalized) = self.finalized else { return Ok(()) };
        let over: Vec<_> = self
            .lives
            .iter()
            .filter(|(_, life)| life.is_over())
            .filter(|(_, life)| life.settled_block().is_some_and(|block| block <= finalized))
            .map(|(id, _)| *id)
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        let open: Vec<_> = OutboxRow::all(&self.parts.store)?
            .iter()
            .filter_map(|row| row.owner.map(|owner| owner.dispute))
            .collect();
        for id in over {
            if open.contains(&id) {
                continue;
            }
            let Some(mut life) = self.lives.remove(&id) else { continue };
            self.parts.shown.end(id.channel_id);
            let earned = life.row.record.reward.saturating_add(life.row.record.fee);
            let account = &life.row.account;
            let message = format!(
                "closed, final on chain: earned {}, spent {} on gas in {} transactions",
                ether(earned),
                ether(account.gas_wei),
                account.transactions
            );
            out.lines.push(Line::step(id, "closed", message).gas(account.gas_used).wei(earned));
            life.row.closed = true;
            life.changed(out);
        }
        Ok(())
    }

    /// A channel ended on the chain.
    pub(crate) fn note_ending(&mut self, event: &ChainEvent, out: &mut Out) {
        let channel = match &event.event {
            Chain::Settled(settled) => settled.channel,
            Chain::Closed { channel, .. } => *channel,
            _ => return,
        };
        let block = event.block.number;
        self.endings.insert(channel, block);
        out.changes.push(Change::Ended(channel, block));
    }

    /// A channel's end was taken back.
    pub(crate) fn take_ending_back(&mut self, event: &ChainEvent, out: &mut Out) {
        let channel = match &event.event {
            Chain::Settled(settled) => settled.channel,
            Chain::Closed { channel, .. } => *channel,
            _ => return,
        };
        self.endings.remove(&channel);
        out.changes.push(Change::NotEnded(channel));
    }

    /// Forgets the backups of channels whose end is final. The index follows once that is durable.
    pub(crate) fn forget_what_ended(&mut self, out: &mut Out) {
        let Some(finalized) = self.finalized else { return };
        let due = self.endings.iter().filter(|(_, block)| **block <= finalized);
        let due: Vec<_> = due.map(|(channel, _)| *channel).collect();
        for channel in due {
            self.endings.remove(&channel);
            self.forgotten.push(channel);
            out.changes.push(Change::ForgetBackups(channel));
        }
    }

    /// The commit is durable: the index forgets as well.
    pub(crate) fn forget_in_index(&mut self) {
        for channel in std::mem::take(&mut self.forgotten) {
            self.parts.replica.forget(channel);
            tracing::debug!(%channel, "the channel is over for good; its backups are forgotten");
        }
    }
}
