//! What the machines keep, as rows of the store, and back.
//!
//! **Invariant:** a batch of a machine becomes one turn, with the state that it signs on record beside it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{B256, Bytes};
use protocol::ChannelId;
use protocol::payment::{hub, wallet};
use protocol::zksc::handshake::{Pending, Record as Handshake, RecordError};
use protocol::zksc::{Channel, PaymentId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{NodeChange, NodeTable, SignedRow, Store, StoreError};

use crate::book::Own;

/// The row of the events that are not final.
pub(crate) const WAITING: &[u8] = b"waiting";
/// Rows read at once at a start; a node with more payments than this has a bug.
const ROWS_MAX: usize = 1_000_000;

/// Why a node's rows cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is no JSON of this version.
    #[error("a row of the node cannot be read: {0}; the store is of another version, or damaged")]
    Json(#[from] serde_json::Error),
    /// A signature in a row is refused.
    #[error("a record of channel {channel} is refused: {error}")]
    Record {
        /// The channel.
        channel: ChannelId,
        /// Why.
        error: RecordError,
    },
    /// A key is no key.
    #[error("a row of the node has a key that is none")]
    Key,
}

pub(crate) fn key(channel: ChannelId) -> Vec<u8> {
    channel.get().to_be_bytes().to_vec()
}

fn channel_of(key: &[u8]) -> Result<ChannelId, RowError> {
    let bytes = key.first_chunk::<8>().ok_or(RowError::Key)?;
    ChannelId::try_from(u64::from_be_bytes(*bytes)).map_err(|_no_id| RowError::Key)
}

pub(crate) fn payment_key(channel: ChannelId, payment: &PaymentId) -> Vec<u8> {
    [channel.get().to_be_bytes().as_slice(), &payment.0].concat()
}

/// Under which notes stand the payments of a channel that have ended.
pub(crate) fn ended_of(channel: ChannelId) -> Vec<u8> {
    [b"ended/".as_slice(), &channel.get().to_be_bytes()].concat()
}

/// Under which note stands which of them ended as the `place`-th, from 1.
pub(crate) fn ended_key(channel: ChannelId, place: u64) -> Vec<u8> {
    [ended_of(channel).as_slice(), &place.to_be_bytes()].concat()
}

/// The note of a payment that has ended: those of old are found by it, in their order.
pub(crate) fn ended(
    channel: ChannelId,
    payment: &wallet::Payment,
) -> Result<Option<NodeChange>, RowError> {
    let note = |place| put(NodeTable::Notes, ended_key(channel, place), &payment.terms.id());
    payment.closed.map(note).transpose()
}

/// Room for most rows: a body that is as long is not moved while it grows.
const BODY: usize = 2_048;

/// A row as JSON.
pub(crate) fn put(
    table: NodeTable,
    key: Vec<u8>,
    value: &impl Serialize,
) -> Result<NodeChange, RowError> {
    let mut body = Vec::with_capacity(BODY);
    serde_json::to_writer(&mut body, value)?;
    Ok(NodeChange::Put(table, key, body))
}

/// Reads one row.
pub(crate) fn get<T: DeserializeOwned>(
    store: &Store,
    table: NodeTable,
    key: &[u8],
) -> Result<Option<T>, RowError> {
    let body = store.node_row(table, key)?;
    Ok(body.map(|body| serde_json::from_slice(&body)).transpose()?)
}

/// Reads all rows whose keys begin with `prefix`.
pub(crate) fn all<T: DeserializeOwned>(
    store: &Store,
    table: NodeTable,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, T)>, RowError> {
    let rows = store.node_rows(table, prefix, ROWS_MAX)?;
    rows.into_iter().map(|(key, body)| Ok((key, serde_json::from_slice(&body)?))).collect()
}

/// The state that a record holds a signature of ours for, if any: what may never be signed otherwise.
fn signed(record: &Handshake) -> Vec<SignedRow> {
    let row = |nonce, digest: [u8; 32]| SignedRow {
        nonce,
        digest: B256::new(digest),
        payload: Bytes::new(),
    };
    let latest = record.latest().map(|state| row(state.state().nonce, state.digest().to_bytes()));
    let outstanding = match record.pending() {
        Pending::Outstanding(_, partial) => {
            Some(row(partial.state().nonce, partial.state().digest().to_bytes()))
        }
        _ => None,
    };
    // Below the outstanding one the last final state was recorded when it was signed.
    outstanding.or(latest).into_iter().collect()
}

/// A hub's batch as a turn. `record` gives a lane's handshake as it stands.
pub(crate) fn hub_turn<'a>(
    batch: &hub::Batch,
    record: impl Fn(ChannelId) -> Option<&'a Handshake>,
) -> Result<Vec<NodeChange>, RowError> {
    let mut changes = Vec::new();
    for (channel, lane) in &batch.lanes {
        let rows = record(*channel).map(signed).unwrap_or_default();
        changes.extend(rows.into_iter().map(|row| NodeChange::Signed(*channel, row)));
        changes.push(put(NodeTable::Lanes, key(*channel), lane)?);
    }
    for (id, payment) in &batch.payments {
        // A hub's payments belong to two channels: they stand under their id alone.
        changes.push(match payment {
            Some(payment) => put(NodeTable::Payments, id.0.to_vec(), payment)?,
            // Whoever pays nothing can ask for as many as it likes.
            None if batch.dropped.contains(id) => {
                NodeChange::Remove(NodeTable::Payments, id.0.to_vec())
            }
            None => NodeChange::Archive(NodeTable::Payments, id.0.to_vec()),
        });
    }
    Ok(changes)
}

/// A wallet's batch as a turn.
pub(crate) fn wallet_turn(
    channel: ChannelId,
    batch: &wallet::Batch,
    record: &Handshake,
) -> Result<Vec<NodeChange>, RowError> {
    let mut changes: Vec<NodeChange> =
        signed(record).into_iter().map(|row| NodeChange::Signed(channel, row)).collect();
    let wallet::Batch { handshake, head, payments, dropped } = batch;
    // Payments have rows of their own; what they have in common is the lane's.
    let lane = wallet::Batch {
        handshake: handshake.clone(),
        head: head.clone(),
        payments: BTreeMap::new(),
        dropped: BTreeSet::new(),
    };
    changes.push(put(NodeTable::Lanes, key(channel), &lane)?);
    for (id, payment) in payments {
        // That something was ever paid under a reference is remembered longer than the payment.
        if let Some(one) = payment
            && (one.direction, one.stage) == (wallet::Direction::Outgoing, wallet::Stage::Proposed)
        {
            let key = reference_key(&one.terms.fields().reference);
            changes.push(put(NodeTable::Notes, key, &channel)?);
        }
        if let Some(one) = payment {
            changes.extend(ended(channel, one)?);
        }
        let key = payment_key(channel, id);
        changes.push(match payment {
            Some(payment) => put(NodeTable::Payments, key, payment)?,
            None if dropped.contains(id) => NodeChange::Remove(NodeTable::Payments, key),
            None => NodeChange::Archive(NodeTable::Payments, key),
        });
    }
    Ok(changes)
}

/// A wallet's whole record, every signature checked again.
pub(crate) fn wallet_record(store: &Store, channel: &Channel) -> Result<wallet::Record, RowError> {
    let id = channel.id();
    let mut record = wallet::Record::new(channel);
    let Some(mut batch) = get::<wallet::Batch>(store, NodeTable::Lanes, &key(id))? else {
        return Ok(record);
    };
    for (_, payment) in all::<wallet::Payment>(store, NodeTable::Payments, &key(id))? {
        batch.payments.insert(payment.terms.id(), Some(payment));
    }
    let refused = |error| RowError::Record { channel: id, error };
    batch.apply(&mut record, channel).map_err(refused)?;
    Ok(record)
}

/// A hub's payments.
pub(crate) fn hub_payments(
    store: &Store,
) -> Result<BTreeMap<PaymentId, hub::HubPayment>, RowError> {
    let rows = all::<hub::HubPayment>(store, NodeTable::Payments, b"")?;
    Ok(rows.into_iter().map(|(_, payment)| (payment.terms.id(), payment)).collect())
}

/// A lane's record, every signature checked again.
pub(crate) fn hub_lane(store: &Store, channel: &Channel) -> Result<hub::LaneRecord, RowError> {
    let id = channel.id();
    match get::<hub::StoredLane>(store, NodeTable::Lanes, &key(id))? {
        Some(lane) => lane.verify(channel).map_err(|error| RowError::Record { channel: id, error }),
        None => Ok(hub::LaneRecord::new(channel)),
    }
}

/// What the chain said, as it was stored.
pub(crate) fn chain(
    store: &Store,
) -> Result<(VecDeque<chain::events::ChainEvent>, BTreeMap<ChannelId, Own>), RowError> {
    let waiting = get(store, NodeTable::Chain, WAITING)?.unwrap_or_default();
    let mut channels = BTreeMap::new();
    for (key, body) in store.node_rows(NodeTable::Chain, b"", ROWS_MAX)? {
        if key != WAITING {
            channels.insert(channel_of(&key)?, serde_json::from_slice(&body)?);
        }
    }
    Ok((waiting, channels))
}

/// A channel of anybody, as the chain opened it: whom a payment may go to.
pub(crate) fn known(store: &Store, id: ChannelId) -> Result<Option<Channel>, RowError> {
    get(store, NodeTable::Notes, &known_key(id))
}

/// Under which note stands on which channel something was paid under a reference.
pub(crate) fn reference_key(reference: &[u8; 32]) -> Vec<u8> {
    [b"paid/".as_slice(), reference].concat()
}

pub(crate) fn known_key(id: ChannelId) -> Vec<u8> {
    [b"known/".as_slice(), &id.get().to_be_bytes()].concat()
}

/// The first row of a hub's lane.
pub(crate) fn new_lane(channel: &Channel) -> Result<NodeChange, RowError> {
    put(NodeTable::Lanes, key(channel.id()), &hub::LaneRecord::new(channel).stored())
}

/// The first row of a wallet.
pub(crate) fn new_wallet(channel: &Channel) -> Result<NodeChange, RowError> {
    let wallet::Record { handshake, book } = wallet::Record::new(channel);
    let (payments, dropped) = (BTreeMap::new(), BTreeSet::new());
    let handshake = handshake.to_bytes();
    let batch = wallet::Batch { handshake, head: book.head, payments, dropped };
    put(NodeTable::Lanes, key(channel.id()), &batch)
}
