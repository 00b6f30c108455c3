//! Admission of backups, whichever way they came: HTTP, `/vrc/backup/1`, gossip, reconciliation.
//!
//! ```text
//!   bytes -> gate (protocol: size, decoding, domain, shard, live on chain, nonce, rates, not older)
//!         -> desk: signatures in batches on threads of their own -> the store's transaction -> index, notice to the node
//! ```
//!
//! The rules and their order are [`protocol::network::admission::Gate`]'s; here they meet the chain's view, the store and
//! the threads. At the bounds: [`GateLimits`] says what happens, and every verdict is counted by its name.
//!
//! **Invariant:** nothing is stored that is not signed by a key which the chain has for that channel and role.
//! **Invariant:** a receipt names an envelope that is on disk.
//! **Invariant:** what follows from a commit (the index, the notice to the node) does not depend on whoever offered the
//! envelope still waiting for the answer.

mod counts;
mod desk;
mod receipts;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use chain::account::Account;
use chain::follower::Health;
use gossip::Peer;
use protocol::Domain;
use protocol::backup::UnverifiedEnvelope;
use protocol::network::admission::{
    Gate, GateLimits, Ignored, Looked, Offer, Place, Source, Step, Verdict,
};
use protocol::network::wire::RawEnvelope;
use protocol::network::{ShardSet, Slot};
use store::{ChannelStatus, JumpLimit, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::notices::Notices;
use crate::network::Replica;

pub use counts::Counts;
pub(crate) use desk::Desk;
pub use receipts::ReceiptFailure;

use desk::{Answer, Job};

/// Who offers an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A client over HTTP, by its address. Everybody behind one proxy is one client.
    Client(IpAddr),
    /// Another tower or a node, by its name on the network.
    Peer(Peer),
}

/// Whether backups of a channel in this state are taken.
pub(crate) const fn is_live(status: ChannelStatus) -> bool {
    matches!(status, ChannelStatus::Live | ChannelStatus::Disputed)
}

/// A slot, as the store names it.
pub(crate) const fn stored_slot(slot: Slot) -> store::Slot {
    store::Slot { channel_id: slot.channel_id, role: slot.role }
}

/// Takes a lock. What another thread left half done in a panic is a count or a budget, never what is on disk.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What admission works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) account: Account,
    /// How fast a slot's nonce may rise.
    pub(crate) jump: JumpLimit,
    /// How long a receipt promises to hold.
    pub(crate) receipt_validity: Duration,
    /// How the follower fares: how far the chain is read, and final.
    pub(crate) follower: watch::Receiver<Health>,
    /// Tells the node of slots with something newer.
    pub(crate) notices: Notices,
    /// What is held, for reconciliation.
    pub(crate) replica: Arc<Replica>,
}

/// Admission: one for a tower.
#[derive(Debug)]
pub struct Admission {
    store: Store,
    account: Account,
    receipt_validity: Duration,
    follower: watch::Receiver<Health>,
    replica: Arc<Replica>,
    domain: Domain,
    gate: Arc<Mutex<Gate<Origin>>>,
    jobs: mpsc::Sender<Job>,
    counts: Arc<Counts>,
    began: Instant,
}

impl Admission {
    /// Admission, and the desk that must run for it.
    pub(crate) fn new(parts: Parts) -> (Arc<Self>, Desk) {
        let Parts { store, account, jump, receipt_validity, follower, notices, replica } = parts;
        let domain = store.facts().domain();
        let limits = GateLimits::default();
        let gate = Arc::new(Mutex::new(Gate::new(domain, replica.kept(), limits)));
        let counts = Arc::new(Counts::default());
        let began = Instant::now();
        // As many as the gate lets wait: a job that it let in always finds room.
        let (jobs, waiting) = mpsc::channel(usize::try_from(limits.pending).unwrap_or(usize::MAX));
        let desk = Desk {
            store: store.clone(),
            jump,
            notices,
            replica: Arc::clone(&replica),
            gate: Arc::clone(&gate),
            counts: Arc::clone(&counts),
            head: follower.clone(),
            waiting,
            began,
        };
        let admission = Self {
            store,
            account,
            receipt_validity,
            follower,
            replica,
            domain,
            gate,
            jobs,
            counts,
            began,
        };
        (Arc::new(admission), desk)
    }

    /// What was decided so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes envelopes of these shards from now on, and of no others.
    pub(crate) fn keep(&self, shards: ShardSet) {
        lock(&self.gate).keep(shards);
    }

    /// Signatures that wait to be checked.
    #[must_use]
    pub fn pending(&self) -> u32 {
        lock(&self.gate).pending()
    }

    /// The newest block that was read, and the newest one that is final.
    #[must_use]
    pub fn heads(&self) -> (u64, u64) {
        heads(&self.follower)
    }

    /// Decides about an envelope. When the verdict is [`Verdict::Accept`] it is on disk. Dropping the future takes nothing
    /// back.
    ///
    /// # Errors
    /// The store's, when it can be neither read nor written; nothing was acknowledged.
    pub async fn offer(
        &self,
        from: Origin,
        source: Source,
        bytes: &[u8],
    ) -> Result<Verdict, StoreError> {
        // Looked up before the gate is locked: others shall not wait for the disk.
        let found = self.look_ahead(source, bytes);
        let mut identity = B256::ZERO;
        let mut trouble = None;
        let step = {
            let offer = Offer { from, source, bytes };
            lock(&self.gate).offer(&offer, self.now_ms(), |_slot| match found {
                Some(Ok((looked, of))) => {
                    identity = of;
                    looked
                }
                Some(Err(error)) => {
                    trouble = Some(error);
                    self.looked(Place::Failed)
                }
                None => self.looked(Place::Failed),
            })
        };
        if let Some(error) = trouble {
            return Err(error);
        }
        let pending = match step {
            Step::Done(verdict) => {
                self.counts.verdict(&verdict);
                return Ok(verdict);
            }
            Step::Verify(pending) => pending,
        };
        let (answer, answered) = oneshot::channel::<Answer>();
        if self.jobs.try_send(Job { from, pending, identity, answer }).is_err() {
            // The desk has stopped: so does the tower.
            lock(&self.gate).abandoned(&from);
            return Ok(Verdict::Ignore(Ignored::Failed));
        }
        answered.await.unwrap_or(Ok(Verdict::Ignore(Ignored::Failed)))
    }

    /// What the chain and the store know of the slot that the bytes name; none if the bytes alone show that it does not
    /// matter.
    fn look_ahead(
        &self,
        source: Source,
        bytes: &[u8],
    ) -> Option<Result<(Looked, B256), StoreError>> {
        if bytes.len() != RawEnvelope::LEN {
            return None;
        }
        let header = *UnverifiedEnvelope::from_bytes(bytes).ok()?.header();
        let slot = header.slot();
        let elsewhere = matches!(source, Source::Gossip(shard) if shard != slot.shard());
        if header.domain != self.domain || elsewhere || !self.replica.kept().contains(slot.shard())
        {
            return None;
        }
        Some(self.look(slot))
    }

    fn look(&self, slot: Slot) -> Result<(Looked, B256), StoreError> {
        let Some(row) = self.store.channel_shared(slot.channel_id)? else {
            return Ok((self.looked(Place::Unknown), B256::ZERO));
        };
        if !is_live(row.status) {
            return Ok((self.looked(Place::NotLive), B256::ZERO));
        }
        let identity = row.identity();
        let held = self.store.held(stored_slot(slot))?;
        // What was held for another channel of this id is not in the way of this one.
        let held = held.filter(|held| held.identity == identity);
        let place = Place::Live {
            channel: Box::new(row.channel),
            held: held.map(|held| (held.nonce, held.id)),
        };
        Ok((self.looked(place), identity))
    }

    fn looked(&self, place: Place) -> Looked {
        let (head, final_head) = self.heads();
        Looked { head, final_head, place }
    }

    fn now_ms(&self) -> u64 {
        since_ms(self.began)
    }
}

/// Milliseconds since `began`.
fn since_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn heads(follower: &watch::Receiver<Health>) -> (u64, u64) {
    let health = follower.borrow();
    let Some(tip) = health.tip else { return (0, 0) };
    // Read is what is acknowledged, not what the node has.
    (health.position, tip.finalized.unwrap_or(0).min(health.position))
}
