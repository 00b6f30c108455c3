//! Reconciliation: this tower asks others, one at a time, for what it does not hold.
//!
//! ```text
//!   why: a tower was met (at a start, or again) | the timer | gossip was dropped --> session --> admission
//! ```
//!
//! What another tower gives passes the same admission as everything, but its rates: what was asked for is not slowed. At
//! the bounds ([`SessionLimits`], and a time that only what is new extends) a session ends, and the next one goes on.
//!
//! **Invariant:** one session at a time, so that its memory and its work are bounded whatever the number of towers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gossip::{Handle, Peer, RequestError};
use protocol::Domain;
use protocol::network::admission::{Source, Verdict};
use protocol::network::reconcile::{
    Session, SessionLimits, SessionReport, SyncEnd, SyncFault, SyncNext,
};
use protocol::network::wire::{RawEnvelope, Refusal, SyncResponse, SyncSalt};
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Replica;
use crate::admission::{Admission, Origin};
use crate::tasks::TaskFailure;

/// How often it is looked whether a session is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A tower that comes and goes is asked at most so often.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How long a session may take that brings nothing, and how much longer for each envelope that was new: a tower that
/// answers slowly for the sake of it does not keep this one from asking others.
const IDLE_MAX: Duration = Duration::from_secs(30);
const FOR_EACH_TAKEN: Duration = Duration::from_millis(100);

/// The shortest and the longest wait for a tower that says that it is busy.
const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Towers of which the last session is remembered; beyond it the memory starts anew, and some are asked early.
const REMEMBERED_MAX: usize = 1_024;

/// Counts of reconciliation since the start, and what the last session did.
#[derive(Debug, Default)]
pub struct SyncCounts {
    /// Sessions that were begun.
    pub sessions: AtomicU64,
    /// Sessions that ended with everything asked for.
    pub complete: AtomicU64,
    /// Sessions that ended at a bound.
    pub exhausted: AtomicU64,
    /// Sessions that the other tower refused or that broke off.
    pub failed: AtomicU64,
    /// Sessions in which the other tower answered what no honest tower answers; it was banned.
    pub faults: AtomicU64,
    /// Requests sent.
    pub requests: AtomicU64,
    /// Bytes sent and received.
    pub bytes: AtomicU64,
    /// Envelopes received.
    pub received: AtomicU64,
    /// Of those, how many were new here.
    pub taken: AtomicU64,
    /// Envelopes that others told of and did not give.
    pub withheld: AtomicU64,
    /// Requests of others that were answered.
    pub answered: AtomicU64,
}

impl SyncCounts {
    /// Every count with its name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("sessions", &self.sessions),
            ("complete", &self.complete),
            ("exhausted", &self.exhausted),
            ("failed", &self.failed),
            ("faults", &self.faults),
            ("requests", &self.requests),
            ("bytes", &self.bytes),
            ("received", &self.received),
            ("taken", &self.taken),
            ("withheld", &self.withheld),
            ("answered", &self.answered),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
        .into_iter()
    }

    fn add(count: &AtomicU64, by: u64) {
        count.fetch_add(by, Ordering::Relaxed);
    }

    fn report(&self, report: &SessionReport) {
        Self::add(&self.requests, report.requests.into());
        Self::add(&self.bytes, report.bytes_in.saturating_add(report.bytes_out));
        Self::add(&self.received, report.received);
        Self::add(&self.withheld, report.withheld());
    }
}

/// Why a session broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Fault(#[from] SyncFault),
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Syncer {
    pub(crate) handle: Handle,
    pub(crate) domain: Domain,
    pub(crate) admission: Arc<Admission>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) counts: Arc<SyncCounts>,
    /// How often a tower is asked when nothing else happens.
    pub(crate) interval: Duration,
}

/// What is known of when to ask whom.
#[derive(Debug)]
struct Plan {
    met: BTreeSet<Peer>,
    /// Towers that were met and not asked yet.
    due: BTreeSet<Peer>,
    asked: BTreeMap<Peer, Instant>,
    next: Instant,
    /// Gossip that was dropped, when it was looked at last.
    dropped: u64,
}

impl Syncer {
    /// Asks until told to stop.
    ///
    /// # Errors
    /// None: a session that fails is counted, and the next one goes on.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), TaskFailure> {
        let replica = Arc::clone(&self.replica);
        // A panic there is a bug that the first use of the index meets as well.
        let _ = tokio::task::spawn_blocking(move || replica.warm()).await;
        let mut plan = Plan {
            met: BTreeSet::new(),
            due: BTreeSet::new(),
            asked: BTreeMap::new(),
            next: Instant::now() + self.pause(),
            dropped: 0,
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let Some(peer) = self.choose(&mut plan) else { continue };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.reconcile(peer) => {}
            }
            if plan.asked.len() >= REMEMBERED_MAX {
                plan.asked.clear();
            }
            plan.asked.insert(peer, Instant::now());
        }
    }

    /// A pause of about the interval, so that towers that were started together do not ask together.
    fn pause(&self) -> Duration {
        self.interval.mul_f64(rand::thread_rng().gen_range(0.75..1.25))
    }

    /// Whom to ask now, if anybody.
    fn choose(&self, plan: &mut Plan) -> Option<Peer> {
        let now = Instant::now();
        let towers: BTreeSet<Peer> = self.handle.towers().into_iter().collect();
        plan.due.extend(towers.difference(&plan.met));
        plan.due.retain(|peer| towers.contains(peer));
        plan.met = towers;
        let counters = self.handle.counters();
        let dropped = counters.gossip_turned_away.get().saturating_add(counters.gossip_late.get());
        let gap = dropped > plan.dropped;
        plan.dropped = dropped;
        let rested = |peer: &&Peer| {
            plan.asked.get(*peer).is_none_or(|at| now.duration_since(*at) >= AGAIN_AFTER)
        };
        let met = plan.due.iter().find(rested).copied();
        if let Some(peer) = met {
            plan.due.remove(&peer);
            return Some(peer);
        }
        if !gap && now < plan.next {
            return None;
        }
        plan.next = now + self.pause();
        let all: Vec<Peer> = plan.met.iter().copied().collect();
        all.choose(&mut rand::thread_rng()).copied()
    }

    async fn reconcile(&self, peer: Peer) {
        SyncCounts::add(&self.counts.sessions, 1);
        let counters = self.handle.counters();
        match self.session(peer).await {
            Ok((end, taken)) => {
                let count = match end {
                    SyncEnd::Complete => &self.counts.complete,
                    SyncEnd::Exhausted => &self.counts.exhausted,
                    SyncEnd::Refused(_) => &self.counts.failed,
                };
                SyncCounts::add(count, 1);
                counters.syncs_done.add(1);
                if taken > 0 {
                    tracing::info!(%peer, taken, "reconciled: another tower held what this one did not");
                } else {
                    tracing::debug!(%peer, ?end, "reconciled");
                }
            }
            Err(Broken::Request(error)) => {
                SyncCounts::add(&self.counts.failed, 1);
                counters.syncs_failed.add(1);
                tracing::debug!(%peer, %error, "a reconciliation broke off");
            }
            Err(Broken::Fault(fault)) => {
                SyncCounts::add(&self.counts.faults, 1);
                counters.syncs_failed.add(1);
                tracing::warn!(%peer, %fault, "a tower answered what no honest tower answers");
                // A network that is too busy to ban is too busy for that tower as well.
                let _ = self.handle.ban(peer);
            }
        }
    }

    /// One session. Gives its end, and how many envelopes were new.
    async fn session(&self, peer: Peer) -> Result<(SyncEnd, u64), Broken> {
        let salt = SyncSalt(rand::rngs::OsRng.r#gen());
        let (limits, shards) = (SessionLimits::default(), self.replica.kept());
        let (mut session, mut request) =
            self.replica.with(|index| Session::start(index, self.domain, shards, salt, limits));
        let (mut taken, mut deadline) = (0_u64, Instant::now() + IDLE_MAX);
        let end = loop {
            let answered = match self.handle.sync(peer, &request).await {
                // The other tower's budget for us: slower, not over.
                Ok(SyncResponse::Refused(Refusal::Busy { retry_after_ms }))
                    if Instant::now() < deadline =>
                {
                    let wait = Duration::from_millis(retry_after_ms).clamp(WAIT_MIN, WAIT_MAX);
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Ok(answered) => answered,
                Err(error) => break Err(error.into()),
            };
            // What was decoded has one encoding: this is what came.
            let bytes = answered.to_bytes();
            let progress = match self.replica.with(|index| session.answered(index, &bytes)) {
                Ok(progress) => progress,
                Err(fault) => break Err(fault.into()),
            };
            let new = self.admit(peer, &progress.envelopes).await;
            taken = taken.saturating_add(u64::from(new));
            deadline += FOR_EACH_TAKEN.saturating_mul(new);
            match progress.next {
                SyncNext::Send(_) if Instant::now() >= deadline => break Ok(SyncEnd::Exhausted),
                SyncNext::Send(next) => request = next,
                SyncNext::Done(end) => break Ok(end),
            }
        };
        self.counts.report(session.report());
        SyncCounts::add(&self.counts.taken, taken);
        self.handle.counters().sync_envelopes.add(taken);
        end.map(|end| (end, taken))
    }

    async fn admit(&self, peer: Peer, envelopes: &[RawEnvelope]) -> u32 {
        let mut offers: FuturesUnordered<_> = envelopes
            .iter()
            .map(|raw| self.admission.offer(Origin::Peer(peer), Source::Sync, raw.as_bytes()))
            .collect();
        let mut taken = 0_u32;
        while let Some(offered) = offers.next().await {
            match offered {
                Ok(Verdict::Accept) => taken = taken.saturating_add(1),
                Ok(verdict) => {
                    tracing::debug!(%peer, verdict = verdict.label(), "what a reconciliation brought is not taken");
                }
                Err(error) => {
                    tracing::error!(%error, "what a reconciliation brought is not stored");
                }
            }
        }
        taken
    }
}
