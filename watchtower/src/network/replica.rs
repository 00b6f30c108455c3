//! What this tower holds, in memory: the index that reconciliation compares, kept in step with the store.
//!
//! **Invariant:** a row is put after its commit, and removed after the commit that removed the envelope.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::Role;
use protocol::network::reconcile::Index;
use protocol::network::wire::{Prefix, Row, SyncSalt, Tag};
use protocol::network::{ShardSet, Slot};
use store::{Store, StoreError};

use crate::admission::lock;

/// The replica: one for a tower. 33 bytes a slot, and a megabyte for the tree (`docs/spec/network.md`, section 8).
#[derive(Debug)]
pub struct Replica {
    kept: AtomicU64,
    index: Mutex<Index>,
}

impl Replica {
    /// Reads what the store holds: nonces and ids, 60 bytes a slot.
    ///
    /// # Errors
    /// The store's.
    pub fn load(store: &Store, kept: ShardSet) -> Result<Self, StoreError> {
        let mut index = Index::new(kept);
        store.each_backup(|slot, nonce, id| {
            let slot = Slot { channel_id: slot.channel_id, role: slot.role };
            index.put(Row { slot, nonce, tag: Tag::of(&id) });
        })?;
        Ok(Self { kept: AtomicU64::new(kept.bits()), index: Mutex::new(index) })
    }

    /// Makes all digests, shard by shard, so that no answer waits for more than those of its own: about a second for a million
    /// slots. Whoever asks earlier has them made.
    pub fn warm(&self) {
        for shard in self.kept().iter() {
            let _made =
                self.with(|index| index.fingerprint(Prefix::root(shard), SyncSalt([0; 16])));
        }
    }

    /// The shards that are kept.
    #[must_use]
    pub fn kept(&self) -> ShardSet {
        ShardSet::from_bits(self.kept.load(Ordering::Relaxed))
    }

    /// Keeps these shards from now on. What the store holds of new ones is read again; what it holds of others stays there,
    /// and is neither compared nor taken any more.
    ///
    /// # Errors
    /// The store's; then nothing has changed.
    pub fn keep(&self, store: &Store, shards: ShardSet) -> Result<(), StoreError> {
        let before = self.kept();
        let mut held = Vec::new();
        store.each_backup(|slot, nonce, id| {
            let slot = Slot { channel_id: slot.channel_id, role: slot.role };
            if shards.contains(slot.shard()) && !before.contains(slot.shard()) {
                held.push(Row { slot, nonce, tag: Tag::of(&id) });
            }
        })?;
        self.with(|index| {
            index.keep(shards);
            for row in held {
                index.put(row);
            }
        });
        self.kept.store(shards.bits(), Ordering::Relaxed);
        Ok(())
    }

    /// Records what a slot holds.
    pub fn put(&self, row: Row) {
        lock(&self.index).put(row);
    }

    /// Forgets both slots of a channel.
    pub fn forget(&self, channel_id: protocol::ChannelId) {
        let mut index = lock(&self.index);
        for role in Role::BOTH {
            index.remove(Slot { channel_id, role });
        }
    }

    /// Works with the index. Short: whoever commits a backup waits meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&mut Index) -> T) -> T {
        work(&mut lock(&self.index))
    }

    /// Slots held, and the bytes that they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.with(|index| (index.len(), index.memory()))
    }
}
