//! The desk between the network and the tower: what came in waits here in fair queues, and is worked on by tasks.
//!
//! ```text
//!   gossip, requests --> lane of the sender --(peers in turns)--> a task --> Done, back to the event loop
//!   alerts -----------> lane of the sender --(places of their own)--^
//! ```
//!
//! At the bounds: a full lane turns the newest away and says so to the caller; work that waited longer than anybody waits
//! for it is not begun.
//!
//! **Invariant:** of one peer at most `working_per_peer` jobs run, of all at most `working_max` and [`ALERTS_MAX`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use libp2p::request_response::ResponseChannel;
use protocol::network::wire::{
    BackupRequest, BackupResponse, Refusal, SyncRequest, SyncResponse, Topic,
};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::behaviour::VERDICT_WITHIN;
use crate::config::Limits;
use crate::fair::FairQueue;
use crate::intake::{Intake, Reply, Verdict};
use crate::names::Peer;

/// Alerts that are worked on at a time, beside everything else.
const ALERTS_MAX: usize = 16;

/// Alerts of one peer that may wait. An honest tower has a handful even in a mass exit's first second; what is turned
/// away comes again from others.
const ALERTS_PER_PEER: usize = 64;

/// What came in.
#[derive(Debug)]
pub(crate) enum Job {
    /// A message of a topic.
    Gossip {
        /// The topic.
        topic: Topic,
        /// Its id in the router.
        id: MessageId,
        /// The data.
        bytes: Vec<u8>,
    },
    /// A request of `/vrc/backup/1`.
    Backup {
        /// The request.
        bytes: Vec<u8>,
        /// Where the answer goes.
        channel: ResponseChannel<Vec<u8>>,
    },
    /// A request of `/vrc/sync/1`.
    Sync {
        /// The request.
        bytes: Vec<u8>,
        /// Where the answer goes.
        channel: ResponseChannel<Vec<u8>>,
    },
}

/// What the event loop does next.
#[derive(Debug)]
pub(crate) enum Done {
    /// Tells the router.
    Judged { id: MessageId, verdict: Verdict, late: bool },
    /// Sends an answer.
    Backup { channel: ResponseChannel<Vec<u8>>, reply: Reply<Vec<u8>> },
    /// Sends an answer.
    Sync { channel: ResponseChannel<Vec<u8>>, reply: Reply<Vec<u8>> },
    /// Nothing: the asker is gone, or the tower's task failed.
    Abandoned,
}

struct Waiting {
    job: Job,
    since: Instant,
}

/// The desk.
pub(crate) struct Desk<N> {
    intake: Arc<N>,
    work: FairQueue<PeerId, Waiting>,
    alerts: FairQueue<PeerId, Waiting>,
    running: JoinSet<Done>,
    /// Every running task: whose job, and whether it is an alert.
    tasks: HashMap<Id, (PeerId, bool)>,
    of_peer: HashMap<PeerId, usize>,
    alerts_running: usize,
    working_max: usize,
    working_per_peer: usize,
    patience: Duration,
}

impl<N: Intake> Desk<N> {
    pub(crate) fn new(intake: Arc<N>, limits: &Limits) -> Self {
        Self {
            intake,
            work: FairQueue::new(limits.waiting_per_peer),
            alerts: FairQueue::new(ALERTS_PER_PEER),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            of_peer: HashMap::new(),
            alerts_running: 0,
            working_max: limits.working_max,
            working_per_peer: limits.working_per_peer,
            patience: limits.request_timeout,
        }
    }

    /// Jobs that wait or run.
    pub(crate) fn load(&self) -> usize {
        self.work.len() + self.alerts.len() + self.running.len()
    }

    /// Takes a job, or gives it back when the peer's lane is full.
    pub(crate) fn take(&mut self, from: PeerId, job: Job) -> Result<(), Job> {
        let is_alert = matches!(job, Job::Gossip { topic: Topic::Alerts(_), .. });
        let waiting = Waiting { job, since: Instant::now() };
        let queue = if is_alert { &mut self.alerts } else { &mut self.work };
        queue.push(from, waiting).map_err(|waiting| waiting.job)?;
        self.start();
        Ok(())
    }

    /// The next job that is done. Cancel-safe; none when nothing runs.
    pub(crate) async fn done(&mut self) -> Option<(PeerId, Done)> {
        let ended = self.running.join_next_with_id().await?;
        let (id, done) = match ended {
            Ok((id, done)) => (id, done),
            Err(error) => (error.id(), self.failed(&error)),
        };
        let (peer, is_alert) = self.tasks.remove(&id)?;
        if is_alert {
            self.alerts_running = self.alerts_running.saturating_sub(1);
        } else if let Some(count) = self.of_peer.get_mut(&peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_peer.remove(&peer);
            }
        }
        self.start();
        Some((peer, done))
    }

    /// Forgets what waits for a peer that is gone: nobody reads its answers. Gossip of it is judged all the same.
    pub(crate) fn abandon(&mut self, peer: &PeerId) -> u64 {
        let waiting = self.work.remove(peer);
        let all = waiting.len();
        let mut kept = 0;
        for waiting in waiting {
            if matches!(waiting.job, Job::Gossip { .. }) && self.work.push(*peer, waiting).is_ok() {
                kept += 1;
            }
        }
        u64::try_from(all.saturating_sub(kept)).unwrap_or(u64::MAX)
    }

    fn failed(&self, error: &JoinError) -> Done {
        if error.is_panic() {
            tracing::error!(%error, "the tower panicked over a message; this is a bug, please report it");
        }
        Done::Abandoned
    }

    fn start(&mut self) {
        while self.alerts_running < ALERTS_MAX
            && let Some((peer, waiting)) = self.alerts.pop(|_| true)
        {
            self.alerts_running += 1;
            self.run(peer, waiting, true);
        }
        while self.running.len().saturating_sub(self.alerts_running) < self.working_max {
            let (of_peer, most) = (&self.of_peer, self.working_per_peer);
            let may_run = |peer: &PeerId| of_peer.get(peer).is_none_or(|count| *count < most);
            let Some((peer, waiting)) = self.work.pop(may_run) else { return };
            *self.of_peer.entry(peer).or_default() += 1;
            self.run(peer, waiting, false);
        }
    }

    fn run(&mut self, peer: PeerId, waiting: Waiting, is_alert: bool) {
        let (intake, patience) = (Arc::clone(&self.intake), self.patience);
        let handle = self.running.spawn(work(intake, Peer(peer), waiting, patience));
        self.tasks.insert(handle.id(), (peer, is_alert));
    }
}

async fn work<N: Intake>(intake: Arc<N>, from: Peer, waiting: Waiting, patience: Duration) -> Done {
    let Waiting { job, since } = waiting;
    match job {
        Job::Gossip { topic, id, bytes } => {
            if since.elapsed() >= VERDICT_WITHIN {
                return Done::Judged { id, verdict: Verdict::Ignore, late: true };
            }
            let verdict = intake.gossiped(from, topic, bytes).await;
            Done::Judged { id, verdict, late: since.elapsed() >= VERDICT_WITHIN }
        }
        Job::Backup { channel, .. } | Job::Sync { channel, .. }
            if since.elapsed() >= patience || !channel.is_open() =>
        {
            Done::Abandoned
        }
        Job::Backup { bytes, channel } => {
            let reply = match BackupRequest::from_bytes(&bytes) {
                Ok(request) => intake.backup(from, request).await,
                Err(_malformed) => malformed(BackupResponse::Refused(Refusal::Malformed)),
            };
            Done::Backup { channel, reply: encoded(reply, |answer| answer.to_bytes()) }
        }
        Job::Sync { bytes, channel } => {
            let reply = match SyncRequest::from_bytes(&bytes) {
                Ok(request) => intake.sync(from, request).await,
                Err(_malformed) => malformed(SyncResponse::Refused(Refusal::Malformed)),
            };
            Done::Sync { channel, reply: encoded(reply, |answer| answer.to_bytes()) }
        }
    }
}

fn malformed<R>(response: R) -> Reply<R> {
    Reply { response, fault: true, publish: None }
}

fn encoded<R>(reply: Reply<R>, encode: impl FnOnce(&R) -> Vec<u8>) -> Reply<Vec<u8>> {
    let Reply { response, fault, publish } = reply;
    Reply { response: encode(&response), fault, publish }
}
