//! The follower's decisions: what to ask the node next, what to deliver, how far to go back.
//!
//! Pure: [`Core::begin`] starts a look at the chain and names the first question, [`Core::answer`] takes each answer and
//! says what follows. The driver asks and does nothing else, so a test can be the chain, and reorganise between any two
//! questions.
//!
//! ```text
//! Head -> (our last block still there?) --no--> go down to a common block -> deliver what is taken back
//!              | yes
//!              +--> far behind: a range that begins at our block, with its logs   -> deliver
//!              +--> near the head: the next blocks, each one's logs by its hash  -> deliver
//!              +--> at the head: idle
//! ```
//!
//! Near the head logs are asked by block hash, because a node that does not have the block then refuses instead of
//! answering that there is nothing; a range is only used for blocks that are deeper than any reorganisation we follow.
//! History and live are the same walk with steps of different lengths, so there is no seam between them.
//!
//! **Invariant:** the batches delivered since a cursor, applied in order, are exactly the events of the chain that ends at
//! the newest cursor: each once, in order of block and log.
//! **Invariant:** the position moves only when the caller acknowledges the batch, so a crash repeats it.

use alloy_primitives::Address;

use super::{
    FollowError,
    question::{Answer, Ask, NearBlock, RangeRead},
    range::RangeSize,
};
use crate::{
    cursor::{BlockId, Cursor},
    events::{self, ChainEvent},
    provider::{Header, Log},
};

/// The bounds of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The deepest reorganisation that is followed, in blocks; a deeper one stops the follower.
    pub reorg_depth: u64,
    /// The most blocks asked for at once when catching up.
    pub range_blocks_max: u64,
}

impl Default for Limits {
    /// 128 blocks is twice what an epoch-based chain can reorganise before it is final; 10,000 blocks is what common
    /// nodes allow in one query.
    fn default() -> Self {
        Self { reorg_depth: 128, range_blocks_max: 10_000 }
    }
}

/// The most of the newest blocks that are asked for at once: more than come between two looks, and few enough to be
/// asked for again without regret when the chain changes its mind.
const NEAR_BLOCKS_MAX: u64 = 32;

/// The newest block and how far the chain is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The newest block.
    pub head: Header,
    /// Blocks up to this height cannot be reorganised away; none while the chain has not said so.
    pub finalized: Option<u64>,
}

/// Events for the caller. It stores what it concludes from them together with `cursor`, then acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// First height concerned: read for the first time, or taken back.
    pub from: u64,
    /// Last height concerned.
    pub to: u64,
    /// Events that are no longer on the chain, newest first. They come before `added`.
    pub removed: Vec<ChainEvent>,
    /// Events that are on the chain now, in order.
    pub added: Vec<ChainEvent>,
    /// Timestamp of the block at the new position, in seconds.
    pub timestamp: u64,
    /// The newest block of the node and how far the chain is final, when this was read.
    pub tip: Tip,
    /// What to store, and to give back at the next start.
    pub cursor: Cursor,
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the node this.
    Ask(Ask),
    /// Hand this to the caller.
    Deliver(Box<Batch>),
    /// Everything is read, or the node is behind what was read: wait for a new head.
    Idle(Tip),
    /// The chain moved while we looked: begin again.
    Again,
}

/// Where a look at the chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nothing is asked.
    Resting,
    /// The newest header is asked for.
    Head,
    /// The header at our position's height is asked for, to see whether it is still ours.
    Position(Tip),
    /// Looking for a block that we and the chain share; this height is asked for.
    Fork(Tip, BlockId),
    /// The logs of the newest block, which is the next, are asked for.
    NextLogs(Tip, Header),
    /// The next blocks are asked for.
    Near(Tip),
    /// A range is asked for.
    Range(Tip, u64, u64),
}

/// The follower, without its connection.
#[derive(Debug)]
pub(super) struct Core {
    vipe: Address,
    limits: Limits,
    cursor: Cursor,
    range: RangeSize,
    state: State,
    /// Delivered and not yet acknowledged.
    pending: Option<Box<Batch>>,
}

impl Core {
    /// Follows the vault at `vipe` from `cursor`.
    pub(super) fn new(vipe: Address, limits: Limits, cursor: Cursor) -> Self {
        let range = RangeSize::new(limits.range_blocks_max);
        Self { vipe, limits, cursor, range, state: State::Resting, pending: None }
    }

    /// The last acknowledged cursor.
    pub(super) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Starts a look at the chain; whatever was asked before is forgotten. A batch that was not acknowledged is
    /// delivered again.
    pub(super) fn begin(&mut self) -> Step {
        if let Some(batch) = &self.pending {
            return Step::Deliver(batch.clone());
        }
        self.state = State::Head;
        Step::Ask(Ask::Head)
    }

    /// The caller has stored what it concluded from the delivered batch. False if none was delivered.
    pub(super) fn acknowledge(&mut self) -> bool {
        let Some(batch) = self.pending.take() else { return false };
        self.cursor = batch.cursor;
        true
    }

    /// Takes the answer to the last question.
    ///
    /// # Errors
    /// When the follower cannot go on at all; see [`FollowError`].
    pub(super) fn answer(&mut self, answer: Answer) -> Result<Step, FollowError> {
        match (std::mem::replace(&mut self.state, State::Resting), answer) {
            (State::Head, Answer::Head(tip)) => Ok(self.on_head(tip)),
            (State::Position(tip), Answer::Header(found)) => self.on_position(tip, found),
            (State::Fork(tip, ours), Answer::Header(found)) => self.on_fork(tip, ours, found),
            (State::NextLogs(tip, header), Answer::Logs(logs)) => {
                let Some(logs) = logs else { return Ok(Step::Again) };
                self.on_near(tip, vec![NearBlock { header, logs }])
            }
            (State::Near(tip), Answer::Near(blocks)) => self.on_near(tip, blocks),
            (State::Range(tip, from, to), Answer::Range(Some(read))) => {
                self.range.succeeded(read.logs.len());
                self.on_range(tip, (from, to), &read)
            }
            (State::Range(..), Answer::Range(None)) => Ok(Step::Again),
            (State::Range(..), Answer::RangeRefused) => {
                self.range.refused();
                Ok(Step::Again)
            }
            _ => Err(FollowError::Inconsistent("an answer without its question")),
        }
    }

    fn ask(&mut self, state: State, ask: Ask) -> Step {
        self.state = state;
        Step::Ask(ask)
    }

    fn on_head(&mut self, tip: Tip) -> Step {
        let position = self.cursor.position();
        let head = tip.head.id;
        if head == position {
            return Step::Idle(tip);
        }
        if head.number < position.number {
            // Either the node is behind, or the chain became shorter: our own block at its height tells.
            return match self.cursor.block_at(head.number) {
                Some(ours) if ours != head => self.search_below(tip, ours.number),
                _ => Step::Idle(tip),
            };
        }
        if position.number.checked_add(1) == Some(head.number) && tip.head.parent == position.hash {
            return self.ask(State::NextLogs(tip, tip.head), Ask::LogsOfBlock(head));
        }
        self.ask(State::Position(tip), Ask::Header(position.number))
    }

    fn on_position(&mut self, tip: Tip, found: Option<Header>) -> Result<Step, FollowError> {
        let position = self.cursor.position();
        // The node said that its head is higher; without this block it is changing its mind right now.
        let Some(found) = found else { return Ok(Step::Again) };
        at_height(&found, position.number)?;
        if found.id != position {
            return Ok(self.search_below(tip, position.number));
        }
        let from = position.number.saturating_add(1);
        let deep = tip.head.id.number.saturating_sub(self.limits.reorg_depth);
        if from <= deep {
            let to = deep.min(from.saturating_add(self.range.blocks()).saturating_sub(1));
            let after = position.hash;
            return Ok(self.ask(State::Range(tip, from, to), Ask::Range { from, to, after }));
        }
        let to = tip.head.id.number.min(from.saturating_add(NEAR_BLOCKS_MAX - 1));
        let after = position.hash;
        Ok(self.ask(State::Near(tip), Ask::Near { from, to, after }))
    }

    /// Looks for a common block among those that we remember below `number`.
    fn search_below(&mut self, tip: Tip, number: u64) -> Step {
        match self.cursor.block_below(number) {
            Some(ours) => self.ask(State::Fork(tip, ours), Ask::Header(ours.number)),
            // Nothing left to compare: the next answer decides, and `on_fork` reports it.
            None => {
                let oldest = self.cursor.oldest();
                self.ask(State::Fork(tip, oldest), Ask::Header(oldest.number))
            }
        }
    }

    fn on_fork(
        &mut self,
        tip: Tip,
        ours: BlockId,
        found: Option<Header>,
    ) -> Result<Step, FollowError> {
        let Some(found) = found else { return Ok(Step::Again) };
        at_height(&found, ours.number)?;
        if found.id == ours {
            return Ok(self.rewind(tip, &found));
        }
        if ours == self.cursor.oldest() {
            return Err(FollowError::ReorgTooDeep { oldest: ours });
        }
        Ok(self.search_below(tip, ours.number))
    }

    fn rewind(&mut self, tip: Tip, fork: &Header) -> Step {
        let position = self.cursor.position();
        if fork.id == position {
            // The block came back while we searched.
            return Step::Again;
        }
        let (cursor, removed) = self.cursor.rewound(fork.id);
        self.deliver(Batch {
            from: fork.id.number.saturating_add(1),
            to: position.number,
            removed,
            added: Vec::new(),
            timestamp: fork.timestamp,
            tip,
            cursor,
        })
    }

    /// Blocks after our own, as far as they follow one another. One that does not was replaced while we looked.
    fn on_near(&mut self, tip: Tip, blocks: Vec<NearBlock>) -> Result<Step, FollowError> {
        let mut cursor = self.cursor.clone();
        let (from, mut timestamp) = (cursor.position().number.saturating_add(1), 0);
        let mut all = Vec::new();
        for NearBlock { header, logs } in blocks {
            let last = cursor.position();
            let follows = last.number.checked_add(1) == Some(header.id.number);
            if !follows || header.parent != last.hash {
                break;
            }
            if logs.iter().any(|log| log.block != header.id) {
                return Err(FollowError::Inconsistent("a log of another block than its own"));
            }
            let added = self.decode(&logs)?;
            cursor = cursor.extended(header.id, added.clone(), self.limits.reorg_depth);
            all.extend(added);
            timestamp = header.timestamp;
        }
        let to = cursor.position().number;
        if to < from {
            return Ok(Step::Again);
        }
        let (removed, added) = (Vec::new(), all);
        Ok(self.deliver(Batch { from, to, removed, added, timestamp, tip, cursor }))
    }

    fn on_range(
        &mut self,
        tip: Tip,
        (from, to): (u64, u64),
        read: &RangeRead,
    ) -> Result<Step, FollowError> {
        at_height(&read.anchor, to)?;
        if read.logs.iter().any(|log| !(from..=to).contains(&log.block.number)) {
            return Err(FollowError::Inconsistent("a log outside the range asked for"));
        }
        let added = self.decode(&read.logs)?;
        let (removed, timestamp) = (Vec::new(), read.anchor.timestamp);
        let cursor = Cursor::at(read.anchor.id);
        Ok(self.deliver(Batch { from, to, removed, added, timestamp, tip, cursor }))
    }

    /// Decodes, and checks that the node sent each log once and in order: it is easier to refuse than to guess.
    fn decode(&self, logs: &[Log]) -> Result<Vec<ChainEvent>, FollowError> {
        let place = |log: &Log| (log.block.number, log.index);
        if !logs.is_sorted_by(|before, after| place(before) < place(after)) {
            return Err(FollowError::Inconsistent("logs that are repeated or out of order"));
        }
        Ok(logs.iter().map(|log| events::decode(self.vipe, log)).collect::<Result<_, _>>()?)
    }

    fn deliver(&mut self, batch: Batch) -> Step {
        let batch = Box::new(batch);
        self.pending = Some(batch.clone());
        Step::Deliver(batch)
    }
}

fn at_height(header: &Header, number: u64) -> Result<(), FollowError> {
    if header.id.number == number {
        Ok(())
    } else {
        Err(FollowError::Inconsistent("a header of another height than the one asked for"))
    }
}

#[cfg(test)]
mod tests;
