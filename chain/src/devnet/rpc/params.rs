//! Reading the parameters of a request.

use alloy::eips::{BlockId, BlockNumberOrTag};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RpcError;
use crate::devnet::{executor::BlockContext, node::Node, state::View};

/// The positional parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<Value>);

impl Params {
    /// From the `params` member: a list, or nothing.
    pub(crate) fn new(params: Option<Value>) -> Result<Self, RpcError> {
        match params {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(Value::Array(values)) => Ok(Self(values)),
            Some(_) => Err(RpcError::params("non-array args")),
        }
    }

    /// Parameter `index`, which must be there.
    pub(crate) fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcError> {
        self.optional(index)?
            .ok_or_else(|| RpcError::params(format!("missing value for required argument {index}")))
    }

    /// Parameter `index`, if it is there and not null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
    ) -> Result<Option<T>, RpcError> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| RpcError::params(format!("invalid argument {index}: {error}"))),
        }
    }

    /// Parameter `index` as a block; the newest one if it is missing.
    pub(crate) fn block(&self, index: usize) -> Result<BlockId, RpcError> {
        Ok(self.optional(index)?.unwrap_or_default())
    }

    /// A number that may come as a hex string, a decimal string or a JSON number: control methods are loose about it.
    pub(crate) fn loose_number(&self, index: usize) -> Result<Option<u64>, RpcError> {
        loose_number(self.0.get(index))
            .map_err(|()| RpcError::params(format!("invalid argument {index}: not a number")))
    }

    pub(crate) fn raw(&self, index: usize) -> Option<&Value> {
        self.0.get(index)
    }
}

/// Reads a number in any of the forms that tools send.
pub(crate) fn loose_number(value: Option<&Value>) -> Result<Option<u64>, ()> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_u64().map(Some).ok_or(()),
        Some(Value::String(text)) => {
            let parsed = match text.strip_prefix("0x") {
                Some("") => Ok(0),
                Some(hex) => u64::from_str_radix(hex, 16),
                None => text.parse(),
            };
            parsed.map(Some).map_err(|_not_a_number| ())
        }
        Some(_) => Err(()),
    }
}

/// A block that a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A block of the chain.
    Number(u64),
    /// The one that would be made now.
    Pending,
}

/// Finds the block; none if there is no such block.
pub(crate) fn resolve(node: &Node, id: BlockId) -> Option<At> {
    match id {
        BlockId::Hash(hash) => node.blocks.number_of(hash.block_hash).map(At::Number),
        BlockId::Number(tag) => resolve_tag(node, tag),
    }
}

/// Finds the block a tag or number means; none if there is no such block.
pub(crate) fn resolve_tag(node: &Node, tag: BlockNumberOrTag) -> Option<At> {
    let head = node.blocks.head().number();
    let number = match tag {
        BlockNumberOrTag::Pending => return Some(At::Pending),
        BlockNumberOrTag::Latest => head,
        BlockNumberOrTag::Safe => node.safe(),
        BlockNumberOrTag::Finalized => node.finalized(),
        BlockNumberOrTag::Earliest => node.blocks.earliest(),
        BlockNumberOrTag::Number(number) => number,
    };
    (node.blocks.earliest()..=head).contains(&number).then_some(At::Number(number))
}

/// The state at a block, and what a call in it sees.
pub(crate) fn state_at(node: &Node, id: BlockId) -> Result<(View<'_>, BlockContext), RpcError> {
    match resolve(node, id).ok_or_else(RpcError::header_not_found)? {
        At::Pending => {
            let pending = node.pending();
            Ok((node.with_changes(pending.changes.clone()), pending.context.clone()))
        }
        At::Number(number) => {
            let block = node.blocks.get(number).ok_or_else(RpcError::header_not_found)?;
            let view = node.at(number).ok_or_else(|| RpcError::missing_state(number))?;
            let context = BlockContext {
                number,
                timestamp: block.header.timestamp,
                base_fee: block.base_fee(),
                gas_limit: block.header.gas_limit,
                prev_randao: block.header.mix_hash,
            };
            Ok((view, context))
        }
    }
}
