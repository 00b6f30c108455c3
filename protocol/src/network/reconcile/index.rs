//! What a tower holds, in 32 bytes a slot: enough to compare with other towers without reading the store.
//!
//! A shard has 256 buckets, one for each two leading digits, each a sorted list of rows. Digests of the root, its 16 parts
//! and the 256 buckets are remembered until a row under them changes; those deeper down are made when they are needed,
//! from one bucket's rows.
//!
//! **Invariant:** a bucket's rows are strictly ascending by key and lie under the bucket's prefix.

use std::collections::BTreeMap;

use alloy_primitives::{Keccak256, keccak256};

use crate::{
    ids::Nonce,
    network::{
        slot::{Shard, ShardSet, Slot, SlotKey},
        wire::{Children, Fingerprint, Prefix, Row, SyncSalt, Tag},
    },
};

/// The most rows of a part that is not divided.
pub const LEAF_MAX: usize = 8;
/// Buckets of a shard.
const BUCKETS: usize = 256;
/// Buckets under each part of depth 1.
const BUCKETS_OF_PART: usize = 16;
/// By how many rows a bucket grows: exact growth wastes 4 rows on average, doubling would waste half of everything.
const GROWTH: usize = 8;

/// What stands for some rows; nothing stands for none.
type Digest = Option<[u8; 32]>;

/// A row in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    key: u64,
    nonce: Nonce,
    tag: Tag,
}

impl Packed {
    fn row(self, slot: Slot) -> Row {
        Row { slot, nonce: self.nonce, tag: self.tag }
    }

    fn hash_into(self, hasher: &mut Keccak256) {
        hasher.update(self.key.to_be_bytes());
        hasher.update(self.nonce.get().to_be_bytes());
        hasher.update(self.tag.0);
    }
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    rows: Vec<Packed>,
    /// None: a row changed since it was made.
    digest: Option<Digest>,
}

#[derive(Debug, Clone)]
struct Tree {
    buckets: Vec<Bucket>,
    parts: [Option<Digest>; 16],
    root: Option<Digest>,
    rows: usize,
}

impl Tree {
    fn new() -> Self {
        Self { buckets: vec![Bucket::default(); BUCKETS], parts: [None; 16], root: None, rows: 0 }
    }

    /// The bucket of a key, whose digests and those above it are forgotten.
    fn change(&mut self, key: SlotKey) -> Option<&mut Bucket> {
        let [first, ..] = key.bits().to_be_bytes();
        self.root = None;
        *self.parts.get_mut(usize::from(first >> 4))? = None;
        let bucket = self.buckets.get_mut(usize::from(first))?;
        bucket.digest = None;
        Some(bucket)
    }

    /// The buckets that lie under a prefix, or the one that it lies in.
    fn buckets_of(&self, prefix: Prefix) -> &[Bucket] {
        let [first, ..] = prefix.first().to_be_bytes();
        let [last, ..] = prefix.last().to_be_bytes();
        self.buckets.get(usize::from(first)..=usize::from(last)).unwrap_or(&[])
    }

    /// The rows under a prefix, ascending.
    fn rows_of(&self, prefix: Prefix) -> impl Iterator<Item = &[Packed]> {
        self.buckets_of(prefix).iter().map(move |bucket| under(&bucket.rows, prefix))
    }

    fn count(&self, prefix: Prefix) -> usize {
        self.rows_of(prefix).map(<[Packed]>::len).fold(0, usize::saturating_add)
    }

    fn digest(&mut self, prefix: Prefix) -> Digest {
        match prefix.depth() {
            0 => *self.root.get_or_insert_with(|| {
                let parts: Vec<Digest> =
                    (0..16).map(|at| part(&mut self.parts, &mut self.buckets, at)).collect();
                combine(self.rows, self.buckets.iter().flat_map(|bucket| &bucket.rows), parts)
            }),
            1 => {
                let [first, ..] = prefix.first().to_be_bytes();
                part(&mut self.parts, &mut self.buckets, usize::from(first >> 4))
            }
            2 => {
                let [first, ..] = prefix.first().to_be_bytes();
                self.buckets.get_mut(usize::from(first)).and_then(bucket_digest)
            }
            depth => self.rows_of(prefix).next().and_then(|rows| digest_of(rows, depth)),
        }
    }
}

/// The digest of a part of depth 1.
fn part(parts: &mut [Option<Digest>; 16], buckets: &mut [Bucket], at: usize) -> Digest {
    let start = at.saturating_mul(BUCKETS_OF_PART);
    let buckets = buckets.get_mut(start..start.saturating_add(BUCKETS_OF_PART))?;
    *parts.get_mut(at)?.get_or_insert_with(|| {
        let count = buckets.iter().map(|bucket| bucket.rows.len()).fold(0, usize::saturating_add);
        let digests: Vec<Digest> = buckets.iter_mut().map(bucket_digest).collect();
        combine(count, buckets.iter().flat_map(|bucket| &bucket.rows), digests)
    })
}

fn bucket_digest(bucket: &mut Bucket) -> Digest {
    *bucket.digest.get_or_insert_with(|| digest_of(&bucket.rows, 2))
}

/// The digest of rows that share `depth` digits.
fn digest_of(rows: &[Packed], depth: u8) -> Digest {
    if rows.len() <= LEAF_MAX || depth >= Prefix::DEPTH_MAX {
        return leaf(rows);
    }
    let below = depth.saturating_add(1);
    let shift = 64_u32.saturating_sub(u32::from(below).saturating_mul(4));
    let mut rest = rows;
    let digests = (0..u64::from(Prefix::FANOUT)).map(|digit| {
        let end = rest.partition_point(|row| row.key.wrapping_shr(shift) & 0xF <= digit);
        let (child, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = others;
        digest_of(child, below)
    });
    inner(digests)
}

/// The digest of `count` rows whose parts' digests are known.
fn combine<'a>(
    count: usize,
    rows: impl Iterator<Item = &'a Packed>,
    digests: Vec<Digest>,
) -> Digest {
    if count <= LEAF_MAX {
        let rows: Vec<Packed> = rows.take(LEAF_MAX).copied().collect();
        leaf(&rows)
    } else {
        inner(digests.into_iter())
    }
}

/// Keccak-256 of a zero byte and every row: key, nonce, tag.
fn leaf(rows: &[Packed]) -> Digest {
    if rows.is_empty() {
        return None;
    }
    let mut hasher = Keccak256::new();
    hasher.update([0]);
    rows.iter().for_each(|row| row.hash_into(&mut hasher));
    Some(hasher.finalize().0)
}

/// Keccak-256 of a one byte and, for every part that is not empty, its digit and its digest.
fn inner(digests: impl Iterator<Item = Digest>) -> Digest {
    let mut hasher = Keccak256::new();
    hasher.update([1]);
    for (digit, digest) in (0_u8..).zip(digests) {
        if let Some(digest) = digest {
            hasher.update([digit]);
            hasher.update(digest);
        }
    }
    Some(hasher.finalize().0)
}

/// The rows of a sorted list that lie under a prefix.
fn under(rows: &[Packed], prefix: Prefix) -> &[Packed] {
    let start = rows.partition_point(|row| row.key < prefix.first());
    let end = rows.partition_point(|row| row.key <= prefix.last());
    rows.get(start..end).unwrap_or(&[])
}

/// A digest as it travels.
fn salted(digest: Digest, salt: SyncSalt) -> Option<Fingerprint> {
    digest.map(|digest| {
        let mut message = [0; 48];
        for (to, from) in message.iter_mut().zip(salt.0.into_iter().chain(digest)) {
            *to = from;
        }
        let [f0, f1, f2, f3, f4, f5, f6, f7, ..] = keccak256(message).0;
        Fingerprint([f0, f1, f2, f3, f4, f5, f6, f7])
    })
}

/// What a tower holds. One for each tower, kept in step with its store.
#[derive(Debug, Clone)]
pub struct Index {
    kept: ShardSet,
    trees: BTreeMap<Shard, Tree>,
    rows: usize,
}

impl Index {
    /// The index of a tower that keeps these shards and holds nothing yet.
    #[must_use]
    pub fn new(kept: ShardSet) -> Self {
        Self { kept, trees: kept.iter().map(|shard| (shard, Tree::new())).collect(), rows: 0 }
    }

    /// The shards that are kept.
    #[must_use]
    pub const fn kept(&self) -> ShardSet {
        self.kept
    }

    /// Keeps these shards from now on: others are forgotten, new ones are empty.
    pub fn keep(&mut self, shards: ShardSet) {
        self.kept = shards;
        self.trees.retain(|shard, _| shards.contains(*shard));
        for shard in shards.iter() {
            self.trees.entry(shard).or_insert_with(Tree::new);
        }
        self.rows = self.trees.values().map(|tree| tree.rows).fold(0, usize::saturating_add);
    }

    /// How many slots are held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether nothing is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes that the rows and buckets take.
    #[must_use]
    pub fn memory(&self) -> usize {
        let row = size_of::<Packed>();
        self.trees
            .values()
            .map(|tree| {
                let rows = tree.buckets.iter().map(|bucket| bucket.rows.capacity());
                let rows = rows.fold(0, usize::saturating_add).saturating_mul(row);
                rows.saturating_add(BUCKETS.saturating_mul(size_of::<Bucket>()))
                    .saturating_add(size_of::<Tree>())
            })
            .fold(0, usize::saturating_add)
    }

    /// Records what a slot holds, after the commit. Returns whether it was news: a row that does not beat the recorded
    /// one changes nothing, and neither does one of a shard that is not kept.
    pub fn put(&mut self, row: Row) -> bool {
        let key = row.slot.key();
        let Some(tree) = self.trees.get_mut(&key.shard()) else {
            return false;
        };
        let packed = Packed { key: key.bits(), nonce: row.nonce, tag: row.tag };
        // A change that turns out to be none makes a few digests anew: rare, and cheaper than looking twice.
        let Some(bucket) = tree.change(key) else {
            return false;
        };
        match bucket.rows.binary_search_by_key(&packed.key, |held| held.key) {
            Ok(at) => match bucket.rows.get_mut(at) {
                Some(held) if row.beats(&held.row(row.slot)) => {
                    *held = packed;
                    true
                }
                _ => false,
            },
            Err(at) => {
                if bucket.rows.len() == bucket.rows.capacity() {
                    bucket.rows.reserve_exact(GROWTH);
                }
                bucket.rows.insert(at, packed);
                tree.rows = tree.rows.saturating_add(1);
                self.rows = self.rows.saturating_add(1);
                true
            }
        }
    }

    /// Forgets a slot: its channel is closed for good. Returns whether it was held.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let key = slot.key();
        let Some(tree) = self.trees.get_mut(&key.shard()) else {
            return false;
        };
        let Some(bucket) = tree.change(key) else {
            return false;
        };
        let found = bucket.rows.binary_search_by_key(&key.bits(), |held| held.key);
        if let Ok(at) = found {
            bucket.rows.remove(at);
            tree.rows = tree.rows.saturating_sub(1);
            self.rows = self.rows.saturating_sub(1);
        }
        found.is_ok()
    }

    /// What a slot holds.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Row> {
        let key = slot.key();
        let [first, ..] = key.bits().to_be_bytes();
        let rows = &self.trees.get(&key.shard())?.buckets.get(usize::from(first))?.rows;
        let at = rows.binary_search_by_key(&key.bits(), |held| held.key).ok()?;
        rows.get(at).map(|held| held.row(slot))
    }

    /// How many slots under a prefix are held.
    #[must_use]
    pub fn count(&self, prefix: Prefix) -> usize {
        self.trees.get(&prefix.shard()).map_or(0, |tree| tree.count(prefix))
    }

    /// The rows under a prefix, ascending, at most `limit` of them.
    #[must_use]
    pub fn rows(&self, prefix: Prefix, limit: usize) -> Vec<Row> {
        let Some(tree) = self.trees.get(&prefix.shard()) else {
            return Vec::new();
        };
        let rows = tree.rows_of(prefix).flatten().take(limit);
        rows.filter_map(|held| SlotKey::of_bits(held.key).slot().ok().map(|slot| held.row(slot)))
            .collect()
    }

    /// What stands for everything under a prefix in a session.
    #[must_use]
    pub fn fingerprint(&mut self, prefix: Prefix, salt: SyncSalt) -> Option<Fingerprint> {
        self.trees.get_mut(&prefix.shard()).and_then(|tree| salted(tree.digest(prefix), salt))
    }

    /// What stands for the sixteen parts of a prefix. None below the deepest prefix.
    #[must_use]
    pub fn children(&mut self, prefix: Prefix, salt: SyncSalt) -> Option<Children> {
        let mut children = [None; 16];
        for (digit, child) in (0..Prefix::FANOUT).zip(&mut children) {
            *child = self.fingerprint(prefix.child(digit)?, salt);
        }
        Some(Children::new(children))
    }
}
