//! The running root of a channel's updates: one entry for each, appended, never changed.
//!
//! ```text
//!   entry = Poseidon(tag, kind, amount (2), payment (5), nonce)
//!   peaks: perfect binary trees of decreasing size, one for each bit of the count
//!   root  = Poseidon(tag, count, origin (4), peaks folded from the smallest (4))  = `content` of the next transition
//! ```
//!
//! A node keeps the peaks, at most 56 digests. Whoever kept the entries can prove one of them against any later root.
//!
//! The origin is zero for a new channel. A node that lost its peaks goes on from the app root of the newest state: what
//! was before stays committed to, and provable by whoever kept it.
//!
//! **Invariant:** one sequence of entries has one root, and a root with its count has one sequence of entries.

use serde::{Deserialize, Serialize};

use super::wire;
use crate::{
    encoding::bytes32_elements,
    hash::{Digest, poseidon},
    ids::{Amount, LIMB_BITS, Nonce},
    tags,
    zksc::{Change, PaymentId, state::AppRoot},
};

/// The direction of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The participant paid.
    Debit,
    /// The participant was paid.
    Credit,
    /// The state moved to a newer version of the escrow.
    Rebase,
}

/// One update of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The direction.
    pub kind: EntryKind,
    /// What was moved, in base units; zero for a rebase.
    pub amount: Amount,
    /// The payment; zero for a rebase.
    pub payment: PaymentId,
    /// The nonce of the state that the update made.
    pub nonce: Nonce,
}

impl Entry {
    /// The entry of an update that makes the state with `nonce`.
    #[must_use]
    pub const fn of(change: &Change, nonce: Nonce) -> Self {
        let (kind, amount, payment) = match *change {
            Change::Debit(amount, payment) => (EntryKind::Debit, amount, payment),
            Change::Credit(amount, payment) => (EntryKind::Credit, amount, payment),
            Change::Rebase => (EntryKind::Rebase, Amount::ZERO, PaymentId([0; 32])),
        };
        Self { kind, amount, payment, nonce }
    }

    /// The entry's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let kind = match self.kind {
            EntryKind::Debit => 1,
            EntryKind::Credit => 2,
            EntryKind::Rebase => 3,
        };
        let kind = plonky2_field::types::Field::from_canonical_u64(kind);
        let [a0, a1] = self.amount.limbs();
        let [p0, p1, p2, p3, p4] = bytes32_elements(&self.payment.0);
        poseidon(tags::HISTORY_ENTRY, [kind, a0, a1, p0, p1, p2, p3, p4, self.nonce.element()])
    }
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let [l0, l1, l2, l3] = left.elements();
    let [r0, r1, r2, r3] = right.elements();
    poseidon(tags::HISTORY_NODE, [l0, l1, l2, l3, r0, r1, r2, r3])
}

fn root(count: u64, origin: &Digest, peaks: &[Digest]) -> Digest {
    let folded = peaks.iter().rev().copied().reduce(|smaller, larger| node(&larger, &smaller));
    let [f0, f1, f2, f3] = folded.unwrap_or_default().elements();
    let [o0, o1, o2, o3] = origin.elements();
    let count = plonky2_field::types::Field::from_canonical_u64(count);
    poseidon(tags::HISTORY_ROOT, [count, o0, o1, o2, o3, f0, f1, f2, f3])
}

/// What a node keeps of a channel's history: enough to append and to give the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// How many entries; below 2^56, because each has a nonce of its own.
    count: u64,
    /// What the history goes on from.
    #[serde(with = "wire::digest")]
    origin: Digest,
    /// The roots of the perfect trees, largest first.
    #[serde(with = "wire::digests")]
    peaks: Vec<Digest>,
}

impl History {
    /// The history that goes on from a state whose own history is lost.
    #[must_use]
    pub const fn restarted(app_root: AppRoot) -> Self {
        Self { count: 0, origin: Digest(app_root), peaks: Vec::new() }
    }

    /// How many entries it has.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// What the history goes on from; zero for a new channel.
    #[must_use]
    pub const fn origin(&self) -> &Digest {
        &self.origin
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        root(self.count, &self.origin, &self.peaks)
    }

    /// The history with one more entry, and the proof of that entry. A history never has more entries than there are
    /// nonces; beyond that it would stay as it is.
    #[must_use]
    pub fn append(&self, entry: &Entry) -> (Self, HistoryProof) {
        let mut next = self.clone();
        let (mut carried, mut siblings) = (entry.digest(), Vec::new());
        let mut bits = next.count;
        while bits & 1 == 1 {
            let Some(left) = next.peaks.pop() else { break };
            carried = node(&left, &carried);
            siblings.push(left);
            bits >>= 1;
        }
        let (index, origin, peaks) = (next.count, next.origin, next.peaks.clone());
        next.peaks.push(carried);
        next.count = next.count.saturating_add(1);
        let proof = HistoryProof { index, count: next.count, origin, siblings, peaks };
        (next, proof)
    }
}

/// The proof that one entry is in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryProof {
    /// Which entry, from 0.
    pub index: u64,
    /// How many entries the history has.
    pub count: u64,
    /// What the history goes on from.
    #[serde(with = "wire::digest")]
    pub origin: Digest,
    /// From the entry up to its peak.
    #[serde(with = "wire::digests")]
    pub siblings: Vec<Digest>,
    /// The other peaks, largest first.
    #[serde(with = "wire::digests")]
    pub peaks: Vec<Digest>,
}

/// The sizes of the perfect trees of `count` entries, as powers of two, largest first.
fn sizes(count: u64) -> impl Iterator<Item = u32> {
    (0..LIMB_BITS).rev().filter(move |bit| count.checked_shr(*bit).unwrap_or(0) & 1 == 1)
}

impl HistoryProof {
    /// The proof of entry `index` among `entries`, which are all entries since `origin`. None when there is no such one.
    ///
    /// Costs as many hashes as there are entries: who proves often keeps the nodes.
    #[must_use]
    pub fn new(origin: Digest, entries: &[Entry], index: u64) -> Option<Self> {
        let count = u64::try_from(entries.len()).ok().filter(|count| *count <= Nonce::MAX.get())?;
        let mut rest = entries;
        let (mut siblings, mut peaks, mut start) = (None, Vec::new(), 0_u64);
        for size in sizes(count) {
            let (tree, after) =
                rest.split_at_checked(usize::try_from(1_u64.checked_shl(size)?).ok()?)?;
            let end = start.checked_add(1_u64.checked_shl(size)?)?;
            let mut row: Vec<Digest> = tree.iter().map(Entry::digest).collect();
            let mut path = Vec::new();
            let mut place = (start..end).contains(&index).then(|| index.saturating_sub(start));
            while row.len() > 1 {
                if let Some(at) = place {
                    path.push(*row.get(usize::try_from(at ^ 1).ok()?)?);
                    place = Some(at >> 1);
                }
                row =
                    row.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)).collect();
            }
            if place.is_some() {
                siblings = Some(path);
            } else {
                peaks.extend(row);
            }
            (rest, start) = (after, end);
        }
        Some(Self { index, count, origin, siblings: siblings?, peaks })
    }

    /// The root that this proof gives for `entry`; none for a proof of another shape.
    #[must_use]
    pub fn root(&self, entry: &Entry) -> Option<Digest> {
        if self.count > Nonce::MAX.get() {
            return None;
        }
        let (mut start, mut peaks, mut others) = (0_u64, Vec::new(), self.peaks.iter());
        let mut proven = false;
        for size in sizes(self.count) {
            let end = start.checked_add(1_u64.checked_shl(size)?)?;
            if (start..end).contains(&self.index) {
                peaks.push(self.climb(entry, size, self.index.saturating_sub(start))?);
                proven = true;
            } else {
                peaks.push(*others.next()?);
            }
            start = end;
        }
        (proven && others.next().is_none()).then(|| root(self.count, &self.origin, &peaks))
    }

    /// The peak over `entry`, at `place` of a tree of 2^`size` entries.
    fn climb(&self, entry: &Entry, size: u32, place: u64) -> Option<Digest> {
        if u32::try_from(self.siblings.len()).ok()? != size {
            return None;
        }
        let mut place = place;
        Some(self.siblings.iter().fold(entry.digest(), |digest, sibling| {
            let right = place & 1 == 1;
            place >>= 1;
            if right { node(sibling, &digest) } else { node(&digest, sibling) }
        }))
    }
}
