//! `/vrc/sync/1`: find and fetch what the other tower has and we do not, at a cost that follows the difference.
//!
//! ```text
//!   asks:  Roots (a fingerprint per shard)      answers: the shards that differ, as children or rows
//!   asks:  Compare (parts that still differ)    answers: the parts of those that differ; repeated, deeper each time
//!   asks:  Want (slots whose rows are better)   answers: the envelopes, which go through admission as any other
//! ```
//!
//! The answering tower keeps nothing between requests. Only the asking tower learns; the other asks when its turn comes.
//!
//! **Invariant:** an answer is at most [`SYNC_RESPONSE_MAX`] bytes, whatever was asked.

use super::codec::{Writer, open, read_count, read_count_or_none, read_slots, read_u16, read_u64};
use super::{RawEnvelope, Refusal, WireError};
use crate::{
    encoding::{DecodeError, Reader},
    ids::Domain,
    network::slot::{Shard, ShardSet, Slot},
};

mod parts;

pub use parts::{Children, Fingerprint, Found, Part, Prefix, Row, SyncSalt, Tag};

/// The most parts in one comparison.
pub const PARTS_MAX: usize = 220;
/// The most rows under one prefix in an answer.
pub const ROWS_MAX: usize = 1_024;
/// The same, as the number in [`Part::Ask`].
const LIMIT_MAX: u16 = 1_024;
/// The most slots in one [`SyncRequest::Want`]: as many envelopes fit an answer.
pub const WANT_MAX: usize = 112;
/// The longest request, in bytes.
pub const SYNC_REQUEST_MAX: usize = 32_768;
/// The longest answer, in bytes.
pub const SYNC_RESPONSE_MAX: usize = 65_536;

const _: () = assert!(2 + 21 + 16 + 2 + PARTS_MAX * Part::LEN_MAX <= SYNC_REQUEST_MAX);
const _: () = assert!(2 + 2 + WANT_MAX * RawEnvelope::LEN <= SYNC_RESPONSE_MAX);
const _: () = assert!(2 + 2 + 1 + Prefix::LEN + 2 + ROWS_MAX * Row::LEN <= SYNC_RESPONSE_MAX);

const ROOTS: u8 = 1;
const COMPARE: u8 = 2;
const WANT: u8 = 3;
const REFUSED: u8 = 4;

/// What the asking tower sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncRequest {
    /// How whole shards stand.
    Roots {
        /// The vault.
        domain: Domain,
        /// This session's chance.
        salt: SyncSalt,
        /// The shards that the asking tower keeps.
        shards: ShardSet,
        /// Their fingerprints, by shard; an empty shard has none.
        roots: Vec<(Shard, Fingerprint)>,
    },
    /// How parts of shards stand.
    Compare {
        /// The vault.
        domain: Domain,
        /// This session's chance.
        salt: SyncSalt,
        /// 1 to [`PARTS_MAX`] parts, ascending and without overlap.
        parts: Vec<Part>,
    },
    /// Give me these envelopes.
    Want {
        /// The vault.
        domain: Domain,
        /// 1 to [`WANT_MAX`] slots, strictly ascending by [`Slot::key`].
        slots: Vec<Slot>,
    },
}

impl SyncRequest {
    /// Reads an encoded request.
    ///
    /// # Errors
    /// [`WireError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = open(bytes, SYNC_REQUEST_MAX)?;
        let kind = reader.byte()?;
        let domain = reader.domain()?;
        let request = match kind {
            ROOTS => {
                let salt = SyncSalt(reader.take()?);
                let shards = ShardSet::from_bits(read_u64(&mut reader)?);
                Self::Roots { domain, salt, shards, roots: read_roots(&mut reader, shards)? }
            }
            COMPARE => Self::Compare {
                domain,
                salt: SyncSalt(reader.take()?),
                parts: read_parts(&mut reader)?,
            },
            WANT => Self::Want { domain, slots: read_slots(&mut reader, WANT_MAX)? },
            other => return Err(DecodeError::Kind(other).into()),
        };
        reader.finish()?;
        Ok(request)
    }

    /// The encoding. A list longer than its limit is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let out = Writer::new();
        match self {
            Self::Roots { domain, salt, shards, roots } => {
                let held: ShardSet = roots.iter().map(|(shard, _)| *shard).collect();
                let out = out.byte(ROOTS).domain(domain).bytes(&salt.0);
                let out = out.u64(shards.bits()).u64(held.bits());
                roots.iter().fold(out, |out, (_, root)| out.bytes(&root.0))
            }
            Self::Compare { domain, salt, parts } => out
                .byte(COMPARE)
                .domain(domain)
                .bytes(&salt.0)
                .list(parts, PARTS_MAX, |out, part| part.write(out)),
            Self::Want { domain, slots } => {
                out.byte(WANT).domain(domain).list(slots, WANT_MAX, |out, slot| out.slot(*slot))
            }
        }
        .finish()
    }

    /// The vault that it is about.
    #[must_use]
    pub const fn domain(&self) -> Domain {
        match self {
            Self::Roots { domain, .. }
            | Self::Compare { domain, .. }
            | Self::Want { domain, .. } => *domain,
        }
    }
}

/// What the other tower answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncResponse {
    /// To [`SyncRequest::Roots`]: the shards that both keep and that differ, ascending; no empty ones.
    Roots {
        /// The shards that the answering tower keeps.
        kept: ShardSet,
        /// What differs.
        found: Vec<Found>,
    },
    /// To [`SyncRequest::Compare`]: what differs, ascending and without overlap.
    Compared {
        /// How many parts of the request were answered, from the first on: at least one. Ask again for the rest.
        answered: u16,
        /// What differs.
        found: Vec<Found>,
    },
    /// To [`SyncRequest::Want`]: what is in those slots, in the same order; an empty slot is left out.
    Envelopes(Vec<RawEnvelope>),
    /// Why not.
    Refused(Refusal),
}

impl SyncResponse {
    /// Reads an encoded answer.
    ///
    /// # Errors
    /// [`WireError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = open(bytes, SYNC_RESPONSE_MAX)?;
        let response = match reader.byte()? {
            ROOTS => Self::Roots {
                kept: ShardSet::from_bits(read_u64(&mut reader)?),
                found: read_found(&mut reader)?,
            },
            COMPARE => match read_u16(&mut reader)? {
                0 => return Err(WireError::Contradiction),
                answered => Self::Compared { answered, found: read_found(&mut reader)? },
            },
            WANT => {
                let count = read_count_or_none(&mut reader, WANT_MAX)?;
                let mut envelopes = Vec::with_capacity(count);
                for _ in 0..count {
                    envelopes.push(RawEnvelope::from_bytes(reader.slice(RawEnvelope::LEN)?)?);
                }
                Self::Envelopes(envelopes)
            }
            REFUSED => Self::Refused(Refusal::read(&mut reader)?),
            other => return Err(DecodeError::Kind(other).into()),
        };
        reader.finish()?;
        Ok(response)
    }

    /// The encoding. A list longer than its limit is cut; who answers keeps to [`SYNC_RESPONSE_MAX`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let out = Writer::new();
        let found_max = usize::from(u16::MAX);
        match self {
            Self::Roots { kept, found } => {
                out.byte(ROOTS)
                    .u64(kept.bits())
                    .list(found, found_max, |out, found| found.write(out))
            }
            Self::Compared { answered, found } => {
                out.byte(COMPARE)
                    .u16(*answered)
                    .list(found, found_max, |out, found| found.write(out))
            }
            Self::Envelopes(envelopes) => {
                out.byte(WANT)
                    .list(envelopes, WANT_MAX, |out, envelope| out.bytes(envelope.as_bytes()))
            }
            Self::Refused(refusal) => refusal.write(out.byte(REFUSED)),
        }
        .finish()
    }
}

fn read_roots(
    reader: &mut Reader<'_>,
    shards: ShardSet,
) -> Result<Vec<(Shard, Fingerprint)>, WireError> {
    let held = ShardSet::from_bits(read_u64(reader)?);
    if !held.is_within(shards) || shards.is_empty() {
        return Err(WireError::Contradiction);
    }
    held.iter().map(|shard| Ok((shard, Fingerprint(reader.take()?)))).collect()
}

fn read_parts(reader: &mut Reader<'_>) -> Result<Vec<Part>, WireError> {
    let count = read_count(reader, PARTS_MAX)?;
    let mut parts = Vec::with_capacity(count);
    let mut last: Option<Prefix> = None;
    for _ in 0..count {
        let part = Part::read(reader)?;
        disjoint(&mut last, part.prefix())?;
        parts.push(part);
    }
    Ok(parts)
}

/// Keeps prefixes ascending and free of overlap, so that nothing is asked or told twice in one message.
fn disjoint(last: &mut Option<Prefix>, next: Prefix) -> Result<(), WireError> {
    if last.is_some_and(|last| !next.is_after(last)) {
        return Err(WireError::Order);
    }
    *last = Some(next);
    Ok(())
}

/// The least bytes that tell of a prefix.
const FOUND_LEN_MIN: usize = 1 + Prefix::LEN + 2;

fn read_found(reader: &mut Reader<'_>) -> Result<Vec<Found>, WireError> {
    let count = read_count_or_none(reader, SYNC_RESPONSE_MAX / FOUND_LEN_MIN)?;
    let mut all = Vec::new();
    let mut last: Option<Prefix> = None;
    for _ in 0..count {
        let found = Found::read(reader)?;
        disjoint(&mut last, found.prefix())?;
        all.push(found);
    }
    Ok(all)
}
