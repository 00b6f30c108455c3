//! Logs: `eth_getLogs`, and the filters that clients poll.
//!
//! A polled filter is a position in the node's event log, so that it sees exactly what a subscription sees, removed
//! logs of a reorganisation included. A filter that lags behind the event log, or is not polled for five minutes, is
//! gone: the client gets `filter not found` and makes a new one, as with geth.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::rpc::types::{Filter, FilterBlockOption, Log};
use alloy_primitives::{B256, U64};
use serde_json::Value;

use super::{
    Answer, Shared,
    error::RpcError,
    params::{At, Params, resolve_tag},
    to_value,
};
use crate::devnet::{blocks::Block, events::Event, node::Node};

#[derive(Clone, Debug)]
enum Kind {
    Logs(Box<Filter>),
    Blocks,
    Transactions,
}

#[derive(Debug)]
struct Polled {
    kind: Kind,
    /// The first event it has not seen.
    position: u64,
    used: Instant,
}

/// The filters of all clients.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    polled: HashMap<u64, Polled>,
    last: u64,
}

/// Answers a request about logs or filters, or says that it is none.
pub(super) fn answer(shared: &Shared, method: &str, params: &Params) -> Option<Answer> {
    Some(match method {
        "eth_getLogs" => params.get(0).and_then(|filter| get_logs(shared, &filter)),
        "eth_newFilter" => {
            params.get(0).and_then(|filter| install(shared, Kind::Logs(Box::new(filter))))
        }
        "eth_newBlockFilter" => install(shared, Kind::Blocks),
        "eth_newPendingTransactionFilter" => install(shared, Kind::Transactions),
        "eth_getFilterChanges" => params.get::<U64>(0).and_then(|id| changes(shared, id.to())),
        "eth_getFilterLogs" => params.get::<U64>(0).and_then(|id| all_logs(shared, id.to())),
        "eth_uninstallFilter" => params.get::<U64>(0).and_then(|id| uninstall(shared, id.to())),
        _ => return None,
    })
}

fn get_logs(shared: &Shared, filter: &Filter) -> Answer {
    let node = shared.read()?;
    to_value(logs(&node, filter)?)
}

/// The logs in the chain that match.
fn logs(node: &Node, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number =
                node.blocks.number_of(hash).ok_or_else(|| RpcError::server("unknown block"))?;
            (number, number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let head = node.blocks.head().number();
            let bound = |tag: Option<alloy::eips::BlockNumberOrTag>| match tag {
                None => head,
                Some(alloy::eips::BlockNumberOrTag::Number(number)) => number,
                Some(tag) => match resolve_tag(node, tag) {
                    Some(At::Number(number)) => number,
                    Some(At::Pending) | None => head,
                },
            };
            (bound(from_block), bound(to_block))
        }
    };
    if from > to {
        return Err(RpcError::params("invalid block range params"));
    }
    let mut found = Vec::new();
    for block in node.blocks.range(from, to) {
        found.extend(matching(block, filter, false));
        if found.len() > node.config.limits.logs {
            return Err(RpcError::limit(format!(
                "query returned more than {} results",
                node.config.limits.logs
            )));
        }
    }
    Ok(found)
}

/// The logs of one block that match, whatever the filter says about blocks.
pub(super) fn matching(block: &Block, filter: &Filter, removed: bool) -> Vec<Log> {
    if !filter.matches_bloom(block.header.logs_bloom) {
        return Vec::new();
    }
    let mut logs = block.rpc_logs(removed);
    logs.retain(|log| filter.matches_address(log.address()) && filter.matches_topics(log.topics()));
    logs
}

fn install(shared: &Shared, kind: Kind) -> Answer {
    let (position, limits) = {
        let node = shared.read()?;
        (node.events.next_sequence(), node.config.limits)
    };
    let mut filters = shared.filters()?;
    let idle = Duration::from_secs(limits.filter_idle_seconds);
    filters.polled.retain(|_, polled| polled.used.elapsed() < idle);
    if filters.polled.len() >= limits.filters {
        return Err(RpcError::limit(format!("too many filters: the bound is {}", limits.filters)));
    }
    filters.last += 1;
    let id = filters.last;
    filters.polled.insert(id, Polled { kind, position, used: Instant::now() });
    to_value(U64::from(id))
}

fn not_found() -> RpcError {
    RpcError::server("filter not found")
}

fn changes(shared: &Shared, id: u64) -> Answer {
    let node = shared.read()?;
    let mut filters = shared.filters()?;
    let polled = filters.polled.get_mut(&id).ok_or_else(not_found)?;
    let Some(events) = node.events.since(polled.position) else {
        filters.polled.remove(&id);
        return Err(not_found());
    };
    polled.position = node.events.next_sequence();
    polled.used = Instant::now();
    match &polled.kind {
        Kind::Logs(filter) => {
            to_value(events.flat_map(|event| event_logs(event, filter)).collect::<Vec<_>>())
        }
        Kind::Blocks => to_value(
            events
                .filter_map(|event| match event {
                    Event::Block(block) => Some(block.hash()),
                    Event::Removed(_) | Event::Transaction(_) => None,
                })
                .collect::<Vec<B256>>(),
        ),
        Kind::Transactions => to_value(
            events
                .filter_map(|event| match event {
                    Event::Transaction(tx) => Some(*tx.inner().tx_hash()),
                    Event::Block(_) | Event::Removed(_) => None,
                })
                .collect::<Vec<B256>>(),
        ),
    }
}

/// The matching logs that an event adds, or takes back, within the filter's range of block numbers.
pub(super) fn event_logs(event: &Event, filter: &Filter) -> Vec<Log> {
    let (block, removed) = match event {
        Event::Block(block) => (block, false),
        Event::Removed(block) => (block, true),
        Event::Transaction(_) => return Vec::new(),
    };
    let (from, to) = filter.extract_block_range();
    if from.is_some_and(|from| block.number() < from) || to.is_some_and(|to| block.number() > to) {
        return Vec::new();
    }
    matching(block, filter, removed)
}

fn all_logs(shared: &Shared, id: u64) -> Answer {
    let filter = {
        let mut filters = shared.filters()?;
        let polled = filters.polled.get_mut(&id).ok_or_else(not_found)?;
        polled.used = Instant::now();
        match &polled.kind {
            Kind::Logs(filter) => filter.clone(),
            Kind::Blocks | Kind::Transactions => return Err(not_found()),
        }
    };
    get_logs(shared, &filter)
}

fn uninstall(shared: &Shared, id: u64) -> Answer {
    Ok(Value::Bool(shared.filters()?.polled.remove(&id).is_some()))
}
