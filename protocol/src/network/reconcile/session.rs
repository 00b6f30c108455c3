//! The asking side: one session with one tower, one request at a time.
//!
//! Only prefixes and wishes are remembered; parts are made when they are sent, from what is held then. The deepest parts
//! go first and wishes go before comparisons, so that what is remembered stays small.
//!
//! **Invariant:** what is asked about one prefix is deeper each time, so every session ends.

use std::collections::BTreeMap;

use super::index::{Index, LEAF_MAX};
use crate::{
    backup::UnverifiedEnvelope,
    ids::{Domain, Nonce},
    network::{
        slot::{ShardSet, SlotKey},
        wire::{
            Found, PARTS_MAX, Part, Prefix, ROWS_MAX, RawEnvelope, Refusal, Row, SyncRequest,
            SyncResponse, SyncSalt, WANT_MAX, WireError,
        },
    },
};

/// How many rows are asked for where a few are held: a few more than a leaf, which saves a round.
const FEW: u16 = 16;
/// How many rows are asked for where nothing is held.
const MANY: u16 = 1_024;
const _: () = assert!(ROWS_MAX == 1_024 && LEAF_MAX < 16, "the numbers above");

/// What one session may cost. At a bound it ends; what it fetched stays, and the next one goes on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Requests.
    pub requests: u32,
    /// Bytes received.
    pub bytes: u64,
    /// Prefixes remembered, 24 bytes each.
    pub prefixes: usize,
}

impl Default for SessionLimits {
    /// Enough for a million slots that differ: about 600 MB and 9,000 requests, in 1.5 MB of memory.
    fn default() -> Self {
        Self { requests: 20_000, bytes: 1 << 30, prefixes: 65_536 }
    }
}

/// What no honest tower answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncFault {
    /// The answer does not decode.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another kind of answer, an answer to more parts than were asked, or one about something else.
    #[error("an answer to what was not asked")]
    Unasked,
    /// More rows than were asked for.
    #[error("more rows than were asked for")]
    TooMany,
    /// An envelope of another vault or of a slot that was not asked for, or out of order.
    #[error("an envelope that was not asked for")]
    OtherEnvelope,
    /// An envelope older than its row: slots never fall.
    #[error("an envelope with nonce {got} where {said} was told")]
    Fell {
        /// What the row said.
        said: Nonce,
        /// What came.
        got: Nonce,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncEnd {
    /// Everything that the other tower had and we did not was asked for.
    Complete,
    /// At a bound.
    Exhausted,
    /// The other tower refused.
    Refused(Refusal),
}

/// What one session did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionReport {
    /// Requests sent.
    pub requests: u32,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Envelopes asked for.
    pub wanted: u64,
    /// Envelopes received.
    pub received: u64,
}

impl SessionReport {
    /// Envelopes that the other tower told of and did not give. Not a fault: channels close, and stores fail; a tower
    /// that does it often is asked less.
    #[must_use]
    pub const fn withheld(&self) -> u64 {
        self.wanted.saturating_sub(self.received)
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncNext {
    /// Send this, and report the answer.
    Send(SyncRequest),
    /// The session is over.
    Done(SyncEnd),
}

/// What an answer brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    /// Envelopes for admission, as any other.
    pub envelopes: Vec<RawEnvelope>,
    /// What to do next.
    pub next: SyncNext,
}

#[derive(Debug, Clone)]
enum InFlight {
    Roots(ShardSet),
    Compare(Vec<Part>),
    Want(BTreeMap<SlotKey, Row>),
}

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    domain: Domain,
    salt: SyncSalt,
    limits: SessionLimits,
    prefixes: Vec<Prefix>,
    wants: BTreeMap<SlotKey, Row>,
    in_flight: InFlight,
    exhausted: bool,
    report: SessionReport,
}

impl Session {
    /// Begins a session about these shards of what `index` keeps. The salt must be drawn anew, of chance that nobody
    /// knows. Sessions about different shards, with different towers, may run side by side.
    #[must_use]
    pub fn start(
        index: &mut Index,
        domain: Domain,
        shards: ShardSet,
        salt: SyncSalt,
        limits: SessionLimits,
    ) -> (Self, SyncRequest) {
        let shards = shards.and(index.kept());
        let roots = shards
            .iter()
            .filter_map(|shard| {
                index.fingerprint(Prefix::root(shard), salt).map(|root| (shard, root))
            })
            .collect();
        let request = SyncRequest::Roots { domain, salt, shards, roots };
        let mut session = Self {
            domain,
            salt,
            limits,
            prefixes: Vec::new(),
            wants: BTreeMap::new(),
            in_flight: InFlight::Roots(shards),
            exhausted: false,
            report: SessionReport::default(),
        };
        session.count(&request);
        (session, request)
    }

    /// What it did so far.
    #[must_use]
    pub const fn report(&self) -> &SessionReport {
        &self.report
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    /// [`SyncFault`]: the other tower is to blame, and the session is over.
    pub fn answered(&mut self, index: &mut Index, bytes: &[u8]) -> Result<Progress, SyncFault> {
        let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.report.bytes_in = self.report.bytes_in.saturating_add(received);
        let response = SyncResponse::from_bytes(bytes)?;
        let in_flight = core::mem::replace(&mut self.in_flight, InFlight::Roots(ShardSet::NONE));
        let mut envelopes = Vec::new();
        match (in_flight, response) {
            (_, SyncResponse::Refused(refusal)) => {
                return Ok(Progress { envelopes, next: SyncNext::Done(SyncEnd::Refused(refusal)) });
            }
            (InFlight::Roots(asked), SyncResponse::Roots { found, .. }) => {
                for found in found {
                    let prefix = found.prefix();
                    if prefix.depth() != 0 || !asked.contains(prefix.shard()) {
                        return Err(SyncFault::Unasked);
                    }
                    self.learn(index, found, LEAF_MAX)?;
                }
            }
            (InFlight::Compare(parts), SyncResponse::Compared { answered, found }) => {
                self.compared(index, &parts, usize::from(answered), found)?;
            }
            (InFlight::Want(wanted), SyncResponse::Envelopes(given)) => {
                check_given(self.domain, &wanted, &given)?;
                let count = u64::try_from(given.len()).unwrap_or(u64::MAX);
                self.report.received = self.report.received.saturating_add(count);
                envelopes = given;
            }
            _ => return Err(SyncFault::Unasked),
        }
        Ok(Progress { envelopes, next: self.next(index) })
    }

    fn compared(
        &mut self,
        index: &mut Index,
        parts: &[Part],
        answered: usize,
        found: Vec<Found>,
    ) -> Result<(), SyncFault> {
        let (asked, again) = parts.split_at_checked(answered).ok_or(SyncFault::Unasked)?;
        for found in found {
            let prefix = found.prefix();
            // Parts are ascending and do not overlap: only the last that does not begin after it can be meant.
            let at = asked.partition_point(|part| part.prefix().start() <= prefix.start());
            let part = at.checked_sub(1).and_then(|at| asked.get(at)).ok_or(SyncFault::Unasked)?;
            let limit = match part {
                Part::Ask(asked, limit) if *asked == prefix => usize::from(*limit).max(LEAF_MAX),
                Part::Node(parent, _) if prefix.parent() == Some(*parent) => LEAF_MAX,
                _ => return Err(SyncFault::Unasked),
            };
            self.learn(index, found, limit)?;
        }
        again.iter().for_each(|part| self.remember(part.prefix()));
        Ok(())
    }

    /// Compares what the other tower told of a prefix with what is held.
    fn learn(&mut self, index: &mut Index, found: Found, limit: usize) -> Result<(), SyncFault> {
        match found {
            Found::Rows(_, rows) if rows.len() > limit => Err(SyncFault::TooMany),
            Found::Rows(_, rows) => {
                for row in rows {
                    if better(index, &row) {
                        self.wants.insert(row.slot.key(), row);
                    }
                }
                Ok(())
            }
            Found::Node(prefix, children) => {
                for (digit, theirs) in children.iter() {
                    let Some(child) = prefix.child(digit) else {
                        return Err(SyncFault::Unasked);
                    };
                    if theirs.is_some() && theirs != index.fingerprint(child, self.salt) {
                        self.remember(child);
                    }
                }
                Ok(())
            }
        }
    }

    fn remember(&mut self, prefix: Prefix) {
        if self.prefixes.len() < self.limits.prefixes {
            self.prefixes.push(prefix);
        } else {
            self.exhausted = true;
        }
    }

    fn next(&mut self, index: &mut Index) -> SyncNext {
        let spent = self.report.requests >= self.limits.requests
            || self.report.bytes_in >= self.limits.bytes;
        if spent {
            return SyncNext::Done(SyncEnd::Exhausted);
        }
        let full = self.wants.len() >= WANT_MAX;
        if (full || self.prefixes.is_empty())
            && let Some(request) = self.want(index)
        {
            return SyncNext::Send(request);
        }
        match self.compare(index).or_else(|| self.want(index)) {
            Some(request) => SyncNext::Send(request),
            None if self.exhausted => SyncNext::Done(SyncEnd::Exhausted),
            None => SyncNext::Done(SyncEnd::Complete),
        }
    }

    fn want(&mut self, index: &Index) -> Option<SyncRequest> {
        let mut wanted = BTreeMap::new();
        while wanted.len() < WANT_MAX
            && let Some((key, row)) = self.wants.pop_first()
        {
            // It may have come by gossip meanwhile.
            if better(index, &row) {
                wanted.insert(key, row);
            }
        }
        if wanted.is_empty() {
            return None;
        }
        let slots = wanted.values().map(|row| row.slot).collect();
        let count = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
        self.report.wanted = self.report.wanted.saturating_add(count);
        self.in_flight = InFlight::Want(wanted);
        let request = SyncRequest::Want { domain: self.domain, slots };
        self.count(&request);
        Some(request)
    }

    fn compare(&mut self, index: &mut Index) -> Option<SyncRequest> {
        let start = self.prefixes.len().saturating_sub(PARTS_MAX);
        let mut prefixes = self.prefixes.split_off(start);
        if prefixes.is_empty() {
            return None;
        }
        prefixes.sort_unstable();
        let parts: Vec<Part> =
            prefixes.into_iter().map(|prefix| part(index, prefix, self.salt)).collect();
        self.in_flight = InFlight::Compare(parts.clone());
        let request = SyncRequest::Compare { domain: self.domain, salt: self.salt, parts };
        self.count(&request);
        Some(request)
    }

    fn count(&mut self, request: &SyncRequest) {
        let bytes = u64::try_from(request.to_bytes().len()).unwrap_or(u64::MAX);
        self.report.requests = self.report.requests.saturating_add(1);
        self.report.bytes_out = self.report.bytes_out.saturating_add(bytes);
    }
}

/// Whether a row is to be had: of a kept shard, and better than what is held.
fn better(index: &Index, row: &Row) -> bool {
    index.kept().contains(row.slot.shard())
        && index.get(row.slot).is_none_or(|held| row.beats(&held))
}

/// How to go on with a prefix that differs: with few rows, ask for the other's; with many, show the parts.
fn part(index: &mut Index, prefix: Prefix, salt: SyncSalt) -> Part {
    match index.count(prefix) {
        0 => Part::Ask(prefix, MANY),
        1..=LEAF_MAX => Part::Ask(prefix, FEW),
        _ => match index.children(prefix, salt) {
            Some(children) => Part::Node(prefix, children),
            None => Part::Ask(prefix, FEW),
        },
    }
}

/// Checks that envelopes are of slots that were asked for, in order, and not older than what was told.
fn check_given(
    domain: Domain,
    wanted: &BTreeMap<SlotKey, Row>,
    given: &[RawEnvelope],
) -> Result<(), SyncFault> {
    let mut last = None;
    for envelope in given {
        let unverified =
            UnverifiedEnvelope::from_bytes(envelope.as_bytes()).map_err(WireError::from)?;
        let header = unverified.header();
        let key = header.slot().key();
        let row = wanted.get(&key).ok_or(SyncFault::OtherEnvelope)?;
        if header.domain != domain || last.is_some_and(|last| last >= key) {
            return Err(SyncFault::OtherEnvelope);
        }
        if header.nonce < row.nonce {
            return Err(SyncFault::Fell { said: row.nonce, got: header.nonce });
        }
        last = Some(key);
    }
    Ok(())
}
