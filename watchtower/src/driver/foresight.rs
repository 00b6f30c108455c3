//! Proofs made ahead: a dispute that waits to be mined reveals its key, so the proof against it can be ready with its block.
//!
//! ```text
//!   pending watch --Hint--> key fits? something newer held? --> prove, when nothing else is proven --> Desk
//!   node (a mined dispute) --Wanted--> Desk: the same statement? --yes--> the proof, at once
//!                                                                 --no---> prover
//! ```
//!
//! A hint is an unsigned word of a stranger (`protocol` section 8): it serves to prepare and for nothing else. Nothing is
//! stored, nothing is sent, and what is shown is what the pool of transactions shows to everybody.
//!
//! **Invariant:** a proof is handed out only for the very statement that a mined dispute asks for: state, signatures,
//! channel and beneficiary.
//! **Invariant:** bounded: one proof at a time, [`READY_MAX`] kept, one for each channel in [`KEPT_BLOCKS`] blocks.
//! **Invariant:** a mined dispute goes first: nothing is begun ahead while one is proven, the prover's queue puts what is
//! ahead last, and nobody waits longer than [`UNDERWAY_WAIT`] for it. One that has begun is finished: that can cost a
//! mined dispute of another channel the rest of one proof.
//!
//! Not asked: whether the override would pay. What decides that (the claim that stands, the base fee, who else has answered) is
//! known with the block, and asked then; a proof ahead costs seconds of a processor, none at all costs the first seconds of a
//! race. Nor is a proof broken off when its hint vanishes from the pool: a transaction that one node lost can be mined all
//! the same, and one that is replaced (a dispute of the same channel, at another fee) asks for the same proof. Who makes us
//! prove in vain gives away the dispute key of a live channel, of whose backups we hold something newer, for one proof of it in
//! [`KEPT_BLOCKS`] blocks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::B256;
use chain::pending::{Hint, PendingCounters, PendingWatch};
use protocol::backup::DisputeKey;
use protocol::zksc::{Channel, FinalState};
use protocol::{Address, ChannelId};
use serde_json::{Value, json};
use store::{ChannelStatus, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::envelopes::open_slots;
use super::prove::{Prove, Wanted};
use crate::tasks::TaskFailure;

/// Proofs that are kept, of 41 kB each: a party that floods the pool with disputes of its own channels drives out no more
/// than these, and costs itself the secrecy of its backups.
pub(crate) const READY_MAX: usize = 2;
/// Blocks for which a hint is shown and its proof kept: ten minutes of an L1. A transaction that waits longer has been given
/// up or priced out.
pub(crate) const KEPT_BLOCKS: u64 = 50;
/// Hints that are shown.
const SHOWN_MAX: usize = 16;
/// Channels remembered as prepared for lately; the oldest makes way.
const LATELY_MAX: usize = 256;
/// How long a mined dispute waits for a proof of its own that is being made already; several times what one takes.
const UNDERWAY_WAIT: Duration = Duration::from_secs(10);

/// What a proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Statement {
    state: FinalState,
    channel: Channel,
    beneficiary: Address,
}

impl Statement {
    const fn of(wanted: &Wanted) -> Self {
        let Wanted { state, channel, beneficiary, .. } = *wanted;
        Self { state, channel, beneficiary }
    }
}

/// A dispute that waits to be mined, as everybody can see it in the pool.
#[derive(Debug, Clone, Copy)]
struct Glimpse {
    channel: ChannelId,
    transaction: B256,
    nonce: u64,
    block: u64,
}

#[derive(Debug, Default)]
struct Papers {
    ready: VecDeque<(Statement, Vec<u8>, u64)>,
    /// What is being proven ahead; the sender is dropped when that is over.
    underway: Option<(Statement, watch::Receiver<()>)>,
    shown: VecDeque<Glimpse>,
    /// Channels for which a proof was begun, and at which block.
    lately: BTreeMap<ChannelId, u64>,
    prepared: u64,
    used: u64,
}

/// Where proofs made ahead lie until they are asked for.
#[derive(Debug)]
pub(crate) struct Desk {
    papers: Mutex<Papers>,
    /// Proofs for mined disputes that are asked for and not made.
    mined: watch::Sender<usize>,
    /// What the pending watch saw; none if it does not run.
    counters: Option<Arc<PendingCounters>>,
}

/// Counts a mined dispute's proof while it is made, also when the asker gives up.
struct Turn<'a>(&'a Desk);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.mined.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Desk {
    /// An empty desk. `counters` are those of the pending watch, if it runs.
    pub(crate) fn new(counters: Option<Arc<PendingCounters>>) -> Arc<Self> {
        let (mined, _) = watch::channel(0);
        Arc::new(Self { papers: Mutex::default(), mined, counters })
    }

    fn papers(&self) -> MutexGuard<'_, Papers> {
        // Nothing is left half done under this lock.
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `prove`, with a look at the desk before.
    pub(crate) fn before(self: &Arc<Self>, prove: Prove) -> Prove {
        let desk = Arc::clone(self);
        Arc::new(move |wanted| {
            let (desk, prove) = (Arc::clone(&desk), Arc::clone(&prove));
            Box::pin(async move {
                desk.mined.send_modify(|count| *count = count.saturating_add(1));
                let _turn = Turn(&desk);
                match desk.take(&Statement::of(&wanted)).await {
                    Some(proof) => Ok(proof),
                    None => prove(wanted).await,
                }
            })
        })
    }

    /// The proof of this statement, if it was made ahead or is being made.
    async fn take(&self, statement: &Statement) -> Option<Vec<u8>> {
        let underway = {
            let papers = self.papers();
            papers.underway.as_ref().filter(|(of, _)| of == statement).map(|(_, over)| over.clone())
        };
        if let Some(mut over) = underway {
            // It ends by the sender's end, or not in time.
            let _ = tokio::time::timeout(UNDERWAY_WAIT, over.changed()).await;
        }
        let mut papers = self.papers();
        let place = papers.ready.iter().position(|(of, _, _)| of == statement)?;
        let (_, proof, _) = papers.ready.remove(place)?;
        papers.used = papers.used.saturating_add(1);
        tracing::info!(channel = %statement.channel.id(), "the proof was made ahead");
        Some(proof)
    }

    /// Shows a hint to people.
    fn show(&self, hint: &Hint, block: u64) {
        let (channel, transaction) = (hint.channel, hint.transaction);
        let mut papers = self.papers();
        papers.shown.push_back(Glimpse { channel, transaction, nonce: hint.nonce.get(), block });
        while papers.shown.len() > SHOWN_MAX {
            papers.shown.pop_front();
        }
    }

    /// Whether a proof for this channel may be begun at this block; notes that it is.
    fn begin(&self, channel: ChannelId, block: u64) -> bool {
        let mut papers = self.papers();
        if papers.lately.contains_key(&channel) {
            return false;
        }
        papers.lately.insert(channel, block);
        while papers.lately.len() > LATELY_MAX {
            let oldest = papers.lately.iter().min_by_key(|(_, block)| **block);
            let Some(oldest) = oldest.map(|(channel, _)| *channel) else { break };
            papers.lately.remove(&oldest);
        }
        true
    }

    /// Proves ahead, and keeps the proof.
    async fn prepare(&self, wanted: Wanted, prove: &Prove, block: u64) {
        let statement = Statement::of(&wanted);
        let (over, waits) = watch::channel(());
        self.papers().underway = Some((statement, waits));
        let proof = prove(wanted).await;
        let mut papers = self.papers();
        papers.underway = None;
        match proof {
            Ok(proof) => {
                papers.prepared = papers.prepared.saturating_add(1);
                papers.ready.push_back((statement, proof, block));
                while papers.ready.len() > READY_MAX {
                    papers.ready.pop_front();
                }
            }
            Err(reason) => tracing::debug!(%reason, "no proof ahead"),
        }
        drop(papers);
        drop(over);
    }

    /// Forgets what was seen too long before this block.
    fn forget(&self, block: u64) {
        let fresh = |seen: u64| block.saturating_sub(seen) < KEPT_BLOCKS;
        let mut papers = self.papers();
        papers.ready.retain(|(_, _, seen)| fresh(*seen));
        papers.shown.retain(|glimpse| fresh(glimpse.block));
        papers.lately.retain(|_, seen| fresh(*seen));
    }

    /// What a person may see: nothing that the pool does not show to everybody.
    pub(crate) fn status(&self) -> Value {
        let papers = self.papers();
        let glimpse = |of: &Glimpse| {
            json!({
                "channel": of.channel, "transaction": of.transaction, "nonce": of.nonce, "seen_at_block": of.block,
            })
        };
        let count = |of: fn(&PendingCounters) -> u64| self.counters.as_deref().map(of);
        json!({
            "watched": self.counters.is_some(),
            "seen": count(|counters| counters.seen.load(Ordering::Relaxed)),
            "hints": count(|counters| counters.hints.load(Ordering::Relaxed)),
            "dropped": count(|counters| counters.dropped.load(Ordering::Relaxed)),
            "failures": count(|counters| counters.failures.load(Ordering::Relaxed)),
            "disputes": papers.shown.iter().map(glimpse).collect::<Vec<_>>(),
            "proofs_ready": papers.ready.len(),
            "proofs_prepared": papers.prepared,
            "proofs_used": papers.used,
        })
    }
}

/// Who prepares.
pub(crate) struct Foresight {
    pub(crate) desk: Arc<Desk>,
    pub(crate) store: Store,
    /// Whom proofs pay.
    pub(crate) beneficiary: Address,
    /// The prover itself, not the desk in front of it.
    pub(crate) prove: Prove,
    /// The newest block that was read.
    pub(crate) heads: watch::Receiver<u64>,
}

impl Foresight {
    /// Watches the pool and prepares until told to stop.
    ///
    /// # Errors
    /// None; a node that shows no pool is no trouble.
    pub(crate) async fn run(
        self,
        stop: CancellationToken,
        (watch, hints): (PendingWatch, mpsc::Receiver<Hint>),
    ) -> Result<(), TaskFailure> {
        let watching = async { tokio::join!(watch.run(), self.work(hints)) };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ended = watching => stop.cancelled().await,
        }
        Ok(())
    }

    async fn work(&self, mut hints: mpsc::Receiver<Hint>) {
        let mut heads = self.heads.clone();
        loop {
            tokio::select! {
                hint = hints.recv() => match hint {
                    Some(hint) => self.consider(&hint).await,
                    None => return,
                },
                moved = heads.changed() => {
                    if moved.is_err() {
                        return;
                    }
                    self.desk.forget(*heads.borrow_and_update());
                }
            }
        }
    }

    async fn consider(&self, hint: &Hint) {
        let Some(channel) = self.real(hint) else { return };
        let block = *self.heads.borrow();
        tracing::info!(
            channel = %hint.channel, nonce = %hint.nonce, transaction = %hint.transaction, "a dispute waits to be mined"
        );
        self.desk.show(hint, block);
        let key = DisputeKey::from_bytes(hint.dispute_key.0);
        let newest = match open_slots(&self.store, &channel, &key) {
            Ok(opened) => opened.newest().filter(|held| held.state().nonce > hint.nonce),
            Err(error) => {
                tracing::debug!(%error, "nothing is prepared");
                return;
            }
        };
        let Some(state) = newest else { return };
        if !self.desk.begin(hint.channel, block) {
            return;
        }
        let mut mined = self.desk.mined.subscribe();
        // The sender lives as long as the desk.
        let _ = mined.wait_for(|count| *count == 0).await;
        // Once it is mined the node asks for itself.
        if self.real(hint).is_some() {
            let wanted =
                Wanted { state, channel, beneficiary: self.beneficiary, deadline: u64::MAX };
            self.desk.prepare(wanted, &self.prove, block).await;
        }
    }

    /// The channel, if the hint is of one that is guarded here and not disputed. Anybody can send a transaction that looks
    /// like a dispute; only a party has the channel's dispute key.
    fn real(&self, hint: &Hint) -> Option<Channel> {
        let row = self.store.channel(hint.channel).ok().flatten()?;
        let fits = row.status == ChannelStatus::Live
            && DisputeKey::from_bytes(hint.dispute_key.0).matches(&row.channel);
        fits.then_some(row.channel)
    }
}

#[cfg(test)]
mod tests;
