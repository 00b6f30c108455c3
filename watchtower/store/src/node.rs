//! What a node of channels keeps: opaque rows by kind and key, and the write-ahead of its signatures.
//!
//! One turn of the node is one call of [`Store::commit_node`], so what was decided about a payment and what was signed
//! for it are durable together. Turns of other channels share the commit's sync (`engine`).
//!
//! **Invariant:** a turn is stored whole or not at all; a signature that contradicts one on record refuses its whole turn.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use alloy_primitives::Address;
use protocol::{ChannelId, Nonce};
use redb::{Table, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use crate::backups::Slot;
use crate::error::StoreError;
use crate::rows::ReceiptRow;
use crate::signing::{self, SignedRow};
use crate::{Store, schema};

/// A key and its body.
pub type NodeRow = (Vec<u8>, Vec<u8>);

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeTable {
    /// A channel's end of the handshake and what goes with it.
    Lanes,
    /// A payment that is not archived.
    Payments,
    /// A payment that the machines forgot: for people and for later proof.
    Archive,
    /// What the chain said of the node's own channels.
    Chain,
    /// What a person ordered, and how far it has come.
    Orders,
    /// Whom a channel's other end is reached at, invoices and the like.
    Notes,
}

impl NodeTable {
    /// Every kind of row.
    pub const ALL: [Self; 6] =
        [Self::Lanes, Self::Payments, Self::Archive, Self::Chain, Self::Orders, Self::Notes];

    const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            Self::Lanes => "node-lanes-1",
            Self::Payments => "node-payments-1",
            Self::Archive => "node-archive-1",
            Self::Chain => "node-chain-1",
            Self::Orders => "node-orders-1",
            Self::Notes => "node-notes-1",
        })
    }
}

/// One of the writes of a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeChange {
    /// Puts a row.
    Put(NodeTable, Vec<u8>, Vec<u8>),
    /// Takes a row away; one that is not there is none.
    Remove(NodeTable, Vec<u8>),
    /// Moves a row to [`NodeTable::Archive`], under the same key.
    Archive(NodeTable, Vec<u8>),
    /// A state was signed: refused if another one with its nonce was.
    Signed(ChannelId, SignedRow),
    /// A write of the tower's part, in the same transaction: the cursor and an obligation.
    Tower(Box<crate::Change>),
    /// A tower's receipt for a backup: of each slot and tower the newest.
    Receipt(Slot, Address, Box<ReceiptRow>),
}

/// Makes the tables of an empty store.
pub(crate) fn establish(transaction: &WriteTransaction) -> Result<(), StoreError> {
    for table in NodeTable::ALL {
        transaction.open_table(table.definition())?;
    }
    Ok(())
}

type RowTable<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// The tables that turns write, each opened once for all turns of a commit.
#[derive(Default)]
pub(crate) struct Tables<'txn> {
    rows: BTreeMap<NodeTable, RowTable<'txn>>,
    signing: Option<signing::Tables<'txn>>,
}

impl<'txn> Tables<'txn> {
    /// Before anybody opens one of them by itself: no table is open twice.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    fn get(
        &mut self,
        transaction: &'txn WriteTransaction,
        table: NodeTable,
    ) -> Result<&mut RowTable<'txn>, StoreError> {
        match self.rows.entry(table) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(transaction.open_table(table.definition())?)),
        }
    }

    fn signing(
        &mut self,
        transaction: &'txn WriteTransaction,
    ) -> Result<&mut signing::Tables<'txn>, StoreError> {
        match &mut self.signing {
            Some(there) => Ok(there),
            place => Ok(place.insert(signing::Tables::open(transaction)?)),
        }
    }
}

fn apply<'txn>(
    transaction: &'txn WriteTransaction,
    tables: &mut Tables<'txn>,
    facts: &schema::Facts,
    change: &NodeChange,
) -> Result<(), StoreError> {
    match change {
        NodeChange::Put(table, key, body) => {
            tables.get(transaction, *table)?.insert(key.as_slice(), body.as_slice())?;
        }
        NodeChange::Remove(table, key) => {
            tables.get(transaction, *table)?.remove(key.as_slice())?;
        }
        NodeChange::Archive(table, key) => {
            let from = tables.get(transaction, *table)?;
            let body = from.remove(key.as_slice())?.map(|body| body.value().to_vec());
            if let Some(body) = body {
                let archive = tables.get(transaction, NodeTable::Archive)?;
                archive.insert(key.as_slice(), body.as_slice())?;
            }
        }
        NodeChange::Signed(..) => {}
        NodeChange::Tower(change) => {
            tables.close();
            crate::change::apply(transaction, facts, change)?;
        }
        NodeChange::Receipt(slot, tower, receipt) => {
            tables.close();
            crate::receipts::put(transaction, *slot, *tower, receipt)?;
        }
    }
    Ok(())
}

/// Records what a turn signs. First everything that may be refused: what is refused must have written nothing.
fn sign<'txn>(
    transaction: &'txn WriteTransaction,
    tables: &mut Tables<'txn>,
    changes: &[NodeChange],
) -> Result<(), StoreError> {
    let mut new: BTreeMap<(ChannelId, Nonce), &SignedRow> = BTreeMap::new();
    for change in changes {
        let NodeChange::Signed(channel, row) = change else { continue };
        if tables.signing(transaction)?.check(*channel, row)?.is_some() {
            continue;
        }
        let held = new.insert((*channel, row.nonce), row).map_or(row.digest, |held| held.digest);
        if held != row.digest {
            let (channel_id, nonce, offered) = (channel.get(), row.nonce.get(), row.digest);
            return Err(StoreError::AlreadySigned { channel_id, nonce, held, offered });
        }
    }
    for ((channel, _nonce), row) in new {
        tables.signing(transaction)?.write(channel, row)?;
    }
    Ok(())
}

fn turn<'txn>(
    transaction: &'txn WriteTransaction,
    tables: &mut Tables<'txn>,
    facts: &schema::Facts,
    changes: &[NodeChange],
) -> Result<(), StoreError> {
    sign(transaction, tables, changes)?;
    let mut changes = changes.iter();
    changes
        .try_for_each(|change| apply(transaction, tables, facts, change))
        .map_err(StoreError::for_all)
}

/// A turn on its way to the disk.
#[derive(Debug)]
pub struct Turn(oneshot::Receiver<Result<(), StoreError>>);

/// Done once the turn is durable, or refused. As [`Store::commit_node`].
impl Future for Turn {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|told| told.unwrap_or(Err(StoreError::Stopped)))
    }
}

impl Store {
    /// Stores a turn, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::AlreadySigned`] and [`StoreError::BelowFloor`] when a signature in it contradicts one on record, or
    /// the disk; then nothing of it is stored.
    pub async fn commit_node(&self, changes: Vec<NodeChange>) -> Result<(), StoreError> {
        self.begin_node(changes).await?.await
    }

    /// Hands a turn to the writer. Turns become durable in the order in which they were begun.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub async fn begin_node(&self, changes: Vec<NodeChange>) -> Result<Turn, StoreError> {
        let channel = |change: &NodeChange| match change {
            NodeChange::Tower(change) => change.channel(),
            _ => None,
        };
        let changed: Vec<u64> = changes.iter().filter_map(channel).collect();
        let (channels, facts) = (Arc::clone(&self.channels), self.facts);
        let after = move || channels.forget(&changed);
        let turn = self
            .writer
            .enqueue(move |transaction, tables| turn(transaction, tables, &facts, &changes), after);
        turn.await.map(Turn)
    }

    /// All rows of a kind whose keys begin with `prefix`, in order of their keys; at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn node_rows(
        &self,
        table: NodeTable,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<NodeRow>, StoreError> {
        self.rows_from(table, prefix, Bound::Included(prefix), limit)
    }

    /// The same, of those behind the key `after`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn node_rows_after(
        &self,
        table: NodeTable,
        prefix: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<NodeRow>, StoreError> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        self.rows_from(table, prefix, from, limit)
    }

    fn rows_from(
        &self,
        table: NodeTable,
        prefix: &[u8],
        from: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<NodeRow>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(table.definition())?;
            let mut found = Vec::new();
            for entry in table.range::<&[u8]>((from, Bound::Unbounded))?.take(limit) {
                let (key, body) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push((key.value().to_vec(), body.value().to_vec()));
            }
            Ok(found)
        })
    }

    /// One row.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn node_row(&self, table: NodeTable, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.read(|transaction| {
            let table = transaction.open_table(table.definition())?;
            Ok(table.get(key)?.map(|body| body.value().to_vec()))
        })
    }
}

const _: () = assert!(schema::LAYOUT >= 4, "the node's tables came with layout 4");
