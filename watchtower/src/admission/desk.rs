//! The desk: signatures are checked in batches on threads of their own, then the store compares and commits.
//!
//! ```text
//!   jobs (bounded by the gate) --batches--> threads --> store (grouped commits) --> index, node, whoever waits
//! ```
//!
//! **Invariant:** at most [`STORING_MAX`] envelopes wait for a commit; beyond it no further batch is begun, and jobs wait
//! at the gate's bound.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use alloy_primitives::B256;
use chain::follower::Health;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use protocol::Nonce;
use protocol::backup::Envelope;
use protocol::network::Slot;
use protocol::network::admission::{Gate, Ignored, Next, Pending, Stored, Verdict, Verified};
use protocol::network::wire::Row;
use store::{Backup, JumpLimit, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{Counts, Origin, heads, lock, since_ms, stored_slot};
use crate::driver::notices::Notices;
use crate::network::Replica;
use crate::tasks::TaskFailure;

/// Signatures in one batch: about ten milliseconds of a core, so that no envelope waits long for the others of its batch.
const BATCH_MAX: usize = 64;

/// Envelopes that may wait for a commit at a time: a few of the store's grouped commits.
const STORING_MAX: usize = 4_096;

/// What whoever offered an envelope gets to hear.
pub(super) type Answer = Result<Verdict, StoreError>;

/// An envelope that passed the gate.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) from: Origin,
    pub(super) pending: Box<Pending<Origin>>,
    /// Of the channel that it is checked against.
    pub(super) identity: B256,
    pub(super) answer: oneshot::Sender<Answer>,
}

struct Checked {
    verified: Verified<Origin>,
    identity: B256,
    answer: oneshot::Sender<Answer>,
}

struct Offered {
    slot: Slot,
    row: Row,
    verdict: Result<store::Verdict, StoreError>,
    answer: oneshot::Sender<Answer>,
}

/// What was checked, or who offered what a bug kept from being checked.
type Batch = Result<Vec<Checked>, (Vec<Origin>, JoinError)>;

/// The desk.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) store: Store,
    pub(super) jump: JumpLimit,
    pub(super) notices: Notices,
    pub(super) replica: Arc<Replica>,
    pub(super) gate: Arc<Mutex<Gate<Origin>>>,
    pub(super) counts: Arc<Counts>,
    pub(super) head: watch::Receiver<Health>,
    pub(super) waiting: mpsc::Receiver<Job>,
    pub(super) began: Instant,
}

/// Threads that check signatures: half of the cores, so that the node and the prover keep theirs.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(2)
}

async fn check(jobs: Vec<Job>) -> Batch {
    let from = jobs.iter().map(|job| job.from).collect();
    tokio::task::spawn_blocking(move || verify(jobs)).await.map_err(|error| (from, error))
}

fn verify(jobs: Vec<Job>) -> Vec<Checked> {
    jobs.into_iter()
        .map(|Job { pending, identity, answer, .. }| Checked {
            verified: pending.verify(),
            identity,
            answer,
        })
        .collect()
}

impl Desk {
    /// Works until told to stop. What was not answered by then was not acknowledged. A panic over a signature, which is a
    /// bug, costs the envelopes of its batch and nothing else.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), TaskFailure> {
        let threads = threads();
        let mut checking: FuturesUnordered<BoxFuture<'static, Batch>> = FuturesUnordered::new();
        let mut storing: FuturesUnordered<BoxFuture<'static, Offered>> = FuturesUnordered::new();
        loop {
            let mut jobs = Vec::new();
            let room = checking.len() < threads && storing.len() < STORING_MAX;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(offered) = storing.next() => self.settle(offered),
                Some(batch) = checking.next() => self.store(batch, &storing),
                count = self.waiting.recv_many(&mut jobs, BATCH_MAX), if room => {
                    if count == 0 {
                        // Nobody can offer anything any more.
                        stop.cancelled().await;
                        return Ok(());
                    }
                    checking.push(Box::pin(check(jobs)));
                }
            }
        }
    }

    fn now_ms(&self) -> u64 {
        since_ms(self.began)
    }

    /// Offers what is signed to the store.
    fn store(&self, batch: Batch, storing: &FuturesUnordered<BoxFuture<'static, Offered>>) {
        let checked = match batch {
            Ok(checked) => checked,
            Err((from, error)) => {
                tracing::error!(%error, "the check of signatures panicked; this is a bug, please report it with the log");
                let mut gate = lock(&self.gate);
                from.iter().for_each(|from| gate.abandoned(from));
                return;
            }
        };
        for Checked { verified, identity, answer } in checked {
            let next = lock(&self.gate).verified(verified);
            match next {
                Next::Done(verdict) => self.say(answer, Ok(verdict)),
                Next::Store(envelope) => storing.push(self.offer(&envelope, identity, answer)),
            }
        }
    }

    fn offer(
        &self,
        envelope: &Envelope,
        identity: B256,
        answer: oneshot::Sender<Answer>,
    ) -> BoxFuture<'static, Offered> {
        let header = envelope.header();
        let (slot, row) = (header.slot(), Row::of(header, envelope.id()));
        let backup = Backup {
            nonce: header.nonce,
            id: *envelope.id(),
            identity,
            stored_at_ms: crate::clock::now_ms(),
            envelope: envelope.to_bytes(),
        };
        let (store, jump) = (self.store.clone(), self.jump);
        Box::pin(async move {
            let verdict = store.offer_backup(stored_slot(slot), backup, jump).await;
            Offered { slot, row, verdict, answer }
        })
    }

    /// What follows from the store's verdict, whoever still waits for it.
    fn settle(&self, offered: Offered) {
        let Offered { slot, row, verdict, answer } = offered;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                self.say(answer, Err(error));
                return;
            }
        };
        let Some(stored) = self.stored(slot, row.nonce, &verdict) else {
            let (head, _final_head) = heads(&self.head);
            self.say(answer, Ok(Verdict::Ignore(Ignored::Unknown { head })));
            return;
        };
        let verdict = lock(&self.gate).stored(slot, stored, self.now_ms());
        if verdict == Verdict::Accept {
            self.replica.put(row);
            // After the commit: see the invariant there.
            self.notices.tell(stored_slot(slot));
            tracing::debug!(%slot, nonce = %row.nonce, "backup held");
        }
        self.say(answer, Ok(verdict));
    }

    /// The store's verdict, as the gate takes it; none if the channel is another one by now.
    fn stored(&self, slot: Slot, nonce: Nonce, verdict: &store::Verdict) -> Option<Stored> {
        Some(match *verdict {
            store::Verdict::Stored { .. } => Stored::New,
            store::Verdict::Same => Stored::Same,
            store::Verdict::Older { held } => Stored::Older { held },
            store::Verdict::Conflict { offered_won, .. } => {
                self.counts.evidence();
                tracing::warn!(%slot, %nonce, "a party signed two envelopes at one nonce; evidence kept");
                Stored::Conflict { nonce, offered_won }
            }
            store::Verdict::OtherChannel => return None,
            store::Verdict::TooFast { allowed, retry_at_ms } => Stored::TooFast {
                allowed: Nonce::try_from(allowed).unwrap_or(Nonce::MAX),
                retry_after_ms: retry_at_ms.saturating_sub(crate::clock::now_ms()),
            },
            _ => Stored::Failed,
        })
    }

    fn say(&self, answer: oneshot::Sender<Answer>, said: Answer) {
        match &said {
            Ok(verdict) => self.counts.verdict(verdict),
            Err(_error) => self.counts.verdict(&Verdict::Ignore(Ignored::Failed)),
        }
        // Whoever offered it may be gone.
        let _ = answer.send(said);
    }
}
