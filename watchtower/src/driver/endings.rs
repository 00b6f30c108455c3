//! Channels that are paid out: once that is final, what is held for them is forgotten.
//!
//! **Invariant:** nothing is forgotten that a reorganisation of blocks that are not final could bring back to life.

use chain::events::{ChainEvent, Event as Chain};
use store::{Change, StoreError};

use super::life::Out;
use super::node::Node;

impl Node {
    /// After a start: what is still to be forgotten.
    pub(crate) fn resume_endings(&mut self) -> Result<(), StoreError> {
        self.endings = self.parts.store.endings()?.into_iter().collect();
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
