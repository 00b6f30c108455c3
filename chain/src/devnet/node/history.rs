//! Going back: reorganisations, rollbacks, snapshots.
//!
//! A reorganisation undoes blocks one by one with the changes kept beside them, newest first, and tells subscribers at
//! every step. A snapshot is a copy of the state, whose records are shared until they are written.
//!
//! **Invariant:** a reorganisation never takes back a block that was final; only `evm_revert`, which is time travel and
//! not something a chain does, goes below.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::B256;
use tracing::debug;

use super::Node;
use crate::devnet::{
    assemble,
    blocks::{Block, SignedTx},
    clock::Clock,
    error::DevnetError,
    events::Event,
    pool::Pool,
    state::{Changes, World},
};

/// Everything `evm_revert` brings back.
#[derive(Debug)]
pub(super) struct Snapshot {
    head: B256,
    world: World,
    manual_undo: Changes,
    pool: Pool,
    clock: Clock,
    next_base_fee: Option<u64>,
}

impl Node {
    /// Replaces the newest `depth` blocks by as many new ones at the same times. `placed` says which transactions go
    /// into the replacement at which offset; all others of the removed blocks return to the pool.
    pub(crate) fn reorganise(
        &mut self,
        depth: u64,
        mut placed: BTreeMap<u64, Vec<SignedTx>>,
    ) -> Result<(), DevnetError> {
        if let Some(offset) = placed.keys().find(|offset| **offset >= depth) {
            return Err(DevnetError::Bound {
                what: "block offset",
                requested: *offset,
                bound: depth.saturating_sub(1),
            });
        }
        let removed = self.roll_back(depth)?;
        self.branch += 1;
        for (old, offset) in removed.iter().rev().zip(0..) {
            let context = self.context_after(self.blocks.head(), old.header.timestamp);
            let txs = placed.remove(&offset).unwrap_or_default();
            let assembled = assemble::from_list(
                self.latest(),
                &self.rules,
                &context,
                txs.into_iter().map(Arc::new),
            );
            self.seal(&context, assembled);
        }
        self.return_to_pool(&removed);
        Ok(())
    }

    /// Takes the newest `depth` blocks off and returns their transactions to the pool.
    pub(crate) fn rollback(&mut self, depth: u64) -> Result<(), DevnetError> {
        let removed = self.roll_back(depth)?;
        self.branch += 1;
        self.return_to_pool(&removed);
        self.events.publish(Event::Block(Arc::clone(self.blocks.head())));
        Ok(())
    }

    fn roll_back(&mut self, depth: u64) -> Result<Vec<Arc<Block>>, DevnetError> {
        let target = self.blocks.head().number().checked_sub(depth);
        match target {
            Some(target) if target >= self.finalized => Ok(self.unwind(target)),
            _ => Err(DevnetError::BelowFinalized { depth, finalized: self.finalized }),
        }
    }

    /// Removes the blocks above `target`, newest first, and tells subscribers.
    fn unwind(&mut self, target: u64) -> Vec<Arc<Block>> {
        let mut removed = Vec::new();
        self.world.apply(std::mem::take(&mut self.manual_undo));
        while self.blocks.head().number() > target {
            let Some((block, undo)) = self.blocks.pop() else { break };
            self.world.apply(undo);
            self.events.publish(Event::Removed(Arc::clone(&block)));
            removed.push(block);
        }
        self.next_base_fee = None;
        self.touch();
        removed
    }

    fn return_to_pool(&mut self, removed: &[Arc<Block>]) {
        for tx in removed.iter().rev().flat_map(|block| &block.transactions) {
            if let Err(refusal) = self.submit(tx.clone()) {
                debug!(hash = %tx.inner().tx_hash(), %refusal, "removed transaction not returned to the pool");
            }
        }
    }

    /// Remembers everything, and returns the number to come back by.
    pub(crate) fn snapshot(&mut self) -> u64 {
        let id = self.next_snapshot;
        self.next_snapshot += 1;
        let snapshot = Snapshot {
            head: self.blocks.head().hash(),
            world: self.world.clone(),
            manual_undo: self.manual_undo.clone(),
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            next_base_fee: self.next_base_fee,
        };
        self.snapshots.insert(id, snapshot);
        while self.snapshots.len() > self.config.limits.snapshots {
            self.snapshots.pop_first();
        }
        id
    }

    /// Goes back to a snapshot, which is then used up together with all younger ones.
    pub(crate) fn revert(&mut self, id: u64) -> Result<(), DevnetError> {
        let missing = || DevnetError::NoSnapshot { id };
        let head = self.snapshots.get(&id).ok_or_else(missing)?.head;
        // After a reorganisation the snapshot's block may be gone; then so is the snapshot.
        let target = self.blocks.number_of(head).ok_or_else(missing)?;
        if self.blocks.difference(target).is_none() {
            return Err(missing());
        }
        let mut younger = self.snapshots.split_off(&id);
        let snapshot = younger.remove(&id).ok_or_else(missing)?;
        self.unwind(target);
        self.branch += 1;
        self.world = snapshot.world;
        self.manual_undo = snapshot.manual_undo;
        self.pool = snapshot.pool;
        self.clock = snapshot.clock;
        self.next_base_fee = snapshot.next_base_fee;
        self.finalized = self.finalized.min(target.saturating_sub(self.config.finality_depth));
        self.touch();
        self.events.publish(Event::Block(Arc::clone(self.blocks.head())));
        Ok(())
    }
}
