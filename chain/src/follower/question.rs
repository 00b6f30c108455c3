//! What the follower asks a node, and what it is answered.

use alloy_primitives::B256;

use super::Tip;
use crate::{
    cursor::BlockId,
    provider::{Header, Log},
};

/// A question for the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The newest header, and how far the chain is final.
    Head,
    /// The header at this height.
    Header(u64),
    /// The vault's logs in the block with this hash.
    LogsOfBlock(BlockId),
    /// The newest blocks, each the parent of the next, with the vault's logs in each.
    Near {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
        /// The hash of the block before the first.
        after: B256,
    },
    /// The blocks of a range, each the parent of the next, with the vault's logs in them.
    Range {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
        /// The hash of the block before the first.
        after: B256,
    },
}

/// The node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// To [`Ask::Head`].
    Head(Tip),
    /// To [`Ask::Header`]; none if the node has no such block.
    Header(Option<Header>),
    /// To [`Ask::LogsOfBlock`]; none if the node does not know the block.
    Logs(Option<Vec<Log>>),
    /// To [`Ask::Near`]: as many as the node has one after another, beginning with the first; none if it does not have that.
    Near(Vec<NearBlock>),
    /// To [`Ask::Range`]; none if the node's chain does not go through it.
    Range(Option<RangeRead>),
    /// To [`Ask::Range`]: the node refused, as it does when the range is too wide.
    RangeRefused,
}

/// A range as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RangeRead {
    /// The last header.
    pub(super) anchor: Header,
    /// The vault's logs.
    pub(super) logs: Vec<Log>,
}

/// One of the newest blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NearBlock {
    /// Its header.
    pub(super) header: Header,
    /// The vault's logs in it.
    pub(super) logs: Vec<Log>,
}
