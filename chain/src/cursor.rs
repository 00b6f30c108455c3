//! How far the chain has been read.
//!
//! A [`Cursor`] is what the caller stores, in the same transaction as what it concluded from a batch. It names the last
//! block read and remembers the blocks before it, down to the reorganisation depth, with the events that they carried:
//! so after a restart in the middle of a reorganisation the follower still knows what to take back.
//!
//! **Invariant:** heights in a cursor increase, without gaps among the blocks above its oldest.

use std::collections::VecDeque;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::events::ChainEvent;

/// A block, by height and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockId {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
}

impl std::fmt::Display for BlockId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// A block that was read and may still be reorganised away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    pub(crate) id: BlockId,
    pub(crate) events: Vec<ChainEvent>,
}

/// How far the chain has been read; the caller stores it and gives it back at the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Stored", into = "Stored")]
pub struct Cursor {
    /// Never empty; the last one is the position.
    seen: VecDeque<Seen>,
}

/// The form that is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    seen: Vec<Seen>,
}

/// The version of the stored form.
const STORED_VERSION: u32 = 1;

/// Why a stored cursor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// It was written by another version of this program.
    #[error("the stored cursor has version {found}, this program reads {STORED_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It names no block, or its blocks are out of order.
    #[error("the stored cursor names no block or is out of order")]
    Disordered,
}

impl Cursor {
    /// A cursor that has read everything up to and including `block`, and nothing that could be taken back.
    pub fn at(block: BlockId) -> Self {
        Self { seen: VecDeque::from([Seen { id: block, events: Vec::new() }]) }
    }

    /// The last block read.
    pub fn position(&self) -> BlockId {
        // The constructors put one in and `rewound` keeps one, so the default is never used.
        self.seen.back().map_or(BlockId { number: 0, hash: B256::ZERO }, |seen| seen.id)
    }

    /// The oldest block to which a reorganisation can be followed.
    pub fn oldest(&self) -> BlockId {
        self.seen.front().map_or(BlockId { number: 0, hash: B256::ZERO }, |seen| seen.id)
    }

    /// The remembered block at `number`.
    pub(crate) fn block_at(&self, number: u64) -> Option<BlockId> {
        self.seen.iter().rev().find(|seen| seen.id.number == number).map(|seen| seen.id)
    }

    /// The remembered block next below `number`.
    pub(crate) fn block_below(&self, number: u64) -> Option<BlockId> {
        self.seen.iter().rev().find(|seen| seen.id.number < number).map(|seen| seen.id)
    }

    /// The cursor after reading `block`, the successor of the position.
    pub(crate) fn extended(&self, block: BlockId, events: Vec<ChainEvent>, depth: u64) -> Self {
        let mut seen = self.seen.clone();
        seen.push_back(Seen { id: block, events });
        while seen
            .front()
            .is_some_and(|oldest| oldest.id.number.saturating_add(depth) < block.number)
        {
            seen.pop_front();
        }
        Self { seen }
    }

    /// The cursor moved back to `fork`, which it remembers, and the events taken back, newest first.
    pub(crate) fn rewound(&self, fork: BlockId) -> (Self, Vec<ChainEvent>) {
        let keep = self.seen.iter().take_while(|seen| seen.id.number <= fork.number).count().max(1);
        let mut seen = self.seen.clone();
        let gone = seen.split_off(keep);
        let removed =
            gone.into_iter().rev().flat_map(|seen| seen.events.into_iter().rev()).collect();
        (Self { seen }, removed)
    }
}

impl TryFrom<Stored> for Cursor {
    type Error = CursorError;

    fn try_from(stored: Stored) -> Result<Self, CursorError> {
        if stored.version != STORED_VERSION {
            return Err(CursorError::Version { found: stored.version });
        }
        let rising = stored.seen.windows(2).all(|pair| match pair {
            [before, after] => before.id.number.checked_add(1) == Some(after.id.number),
            _ => true,
        });
        let events_fit =
            stored.seen.iter().all(|seen| seen.events.iter().all(|event| event.block == seen.id));
        if stored.seen.is_empty() || !rising || !events_fit {
            return Err(CursorError::Disordered);
        }
        Ok(Self { seen: stored.seen.into() })
    }
}

impl From<Cursor> for Stored {
    fn from(cursor: Cursor) -> Self {
        Self { version: STORED_VERSION, seen: cursor.seen.into() }
    }
}
