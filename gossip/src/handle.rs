//! What everybody else holds: a cheap clone that talks to the network's task.
//!
//! Nothing here waits for the network to be well. Where a queue is full the answer is [`RequestError::Busy`] or
//! [`PublishError::Busy`] at once, and what was to be published travels by reconciliation.

use std::sync::Arc;

use protocol::Domain;
use protocol::backup::Envelope;
use protocol::network::Slot;
use protocol::network::wire::{
    BackupRequest, BackupResponse, RawEnvelope, Refusal, SignedAlert, SyncRequest, SyncResponse,
    Topic, UnverifiedReceipt,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::counters::Counters;
use crate::error::{PublishError, RequestError};
use crate::figures::Page;
use crate::names::{Peer, Place};

/// Commands that may wait for the network's task.
pub(crate) const COMMANDS_MAX: usize = 512;

/// Alerts of our own that may wait for the network's task.
pub(crate) const ALERTS_MAX: usize = 64;

/// Which protocol a request is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Backup,
    Sync,
}

/// Where an answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Vec<u8>, RequestError>>;

#[derive(Debug)]
pub(crate) enum Command {
    Ask { peer: Peer, kind: Kind, bytes: Vec<u8>, answer: Answer },
    Publish { topic: Topic, bytes: Vec<u8> },
    Dial(Place),
    Ban(Peer),
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Status(oneshot::Sender<Status>),
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerInfo {
    /// Who.
    pub peer: Peer,
    /// Its standing with the gossip router; below zero it did something wrong.
    pub score: f64,
    /// Whether it reconciles, as towers do and nodes do not.
    pub tower: bool,
    /// What software it says it runs.
    pub agent: String,
}

/// How the network fares.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// This tower's name.
    pub peer: Peer,
    /// Where it listens.
    pub listening: Vec<Place>,
    /// Where others reach it, as far as that is confirmed.
    pub reachable_at: Vec<Place>,
    /// Connected peers.
    pub peers: usize,
    /// Connected towers.
    pub towers: usize,
    /// The fewest mesh peers of any topic that is followed.
    pub mesh_min: usize,
    /// Jobs that wait for the tower or run.
    pub load: usize,
}

/// What a submission led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// A receipt that names this envelope's slot, nonce and id. Its signature is not checked yet.
    Receipt(UnverifiedReceipt),
    /// The tower's reason.
    Refused(Refusal),
}

/// The network, for everybody but its own task.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) me: Peer,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) alerts: mpsc::Sender<(Topic, Vec<u8>)>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) towers: watch::Receiver<Vec<Peer>>,
    pub(crate) page: Page,
}

impl Handle {
    /// This tower's name.
    #[must_use]
    pub fn me(&self) -> Peer {
        self.me
    }

    /// The towers that are connected now, in order of their names. Never waits.
    #[must_use]
    pub fn towers(&self) -> Vec<Peer> {
        self.towers.borrow().clone()
    }

    /// What libp2p itself counts, as `OpenMetrics` text. Never waits for the network.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        self.page.text()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Hands an envelope to `peer`. `seen_at` is a block by which our chain had the channel live.
    ///
    /// # Errors
    /// See [`RequestError`]; the tower may hold the envelope all the same.
    pub async fn submit(
        &self,
        peer: Peer,
        envelope: &Envelope,
        seen_at: u64,
    ) -> Result<Submitted, RequestError> {
        let request = BackupRequest::Submit { seen_at, envelope: RawEnvelope::from(envelope) };
        match self.backup(peer, &request).await? {
            BackupResponse::Receipt(receipt) => {
                let (claims, header) = (receipt.claims(), envelope.header());
                let fits = claims.envelope_id == *envelope.id()
                    && claims.channel_id == header.channel_id
                    && claims.role == header.role
                    && claims.nonce == header.nonce;
                if fits {
                    Ok(Submitted::Receipt(receipt))
                } else {
                    Err(nonsense(peer, "a receipt for something else"))
                }
            }
            BackupResponse::Refused(refusal) => Ok(Submitted::Refused(refusal)),
            _ => Err(nonsense(peer, "neither a receipt nor a refusal")),
        }
    }

    /// Asks `peer` for what it holds in a slot. The envelope is not verified.
    ///
    /// # Errors
    /// See [`RequestError`]; a refusal is [`RequestError::Failed`].
    pub async fn fetch(
        &self,
        peer: Peer,
        domain: Domain,
        slot: Slot,
    ) -> Result<Option<RawEnvelope>, RequestError> {
        match self.backup(peer, &BackupRequest::Fetch { domain, slot }).await? {
            BackupResponse::Envelope(envelope) => Ok(Some(envelope)),
            BackupResponse::Nothing => Ok(None),
            BackupResponse::Refused(refusal) => {
                Err(RequestError::Failed { peer, reason: refusal.to_string() })
            }
            _ => Err(nonsense(peer, "neither an envelope nor nothing")),
        }
    }

    /// Sends a request of `/vrc/backup/1`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn backup(
        &self,
        peer: Peer,
        request: &BackupRequest,
    ) -> Result<BackupResponse, RequestError> {
        let bytes = self.ask(peer, Kind::Backup, request.to_bytes()).await?;
        BackupResponse::from_bytes(&bytes).map_err(|error| nonsense(peer, &error))
    }

    /// Sends a request of `/vrc/sync/1`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn sync(
        &self,
        peer: Peer,
        request: &SyncRequest,
    ) -> Result<SyncResponse, RequestError> {
        let request = request.to_bytes();
        let sent = request.len();
        let bytes = self.ask(peer, Kind::Sync, request).await?;
        let count = sent.saturating_add(bytes.len());
        self.counters.sync_bytes.add(u64::try_from(count).unwrap_or(u64::MAX));
        SyncResponse::from_bytes(&bytes).map_err(|error| nonsense(peer, &error))
    }

    /// Publishes to a topic, once. Nothing is kept: whoever misses it reconciles.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), PublishError> {
        self.commands.try_send(Command::Publish { topic, bytes }).map_err(|error| {
            self.counters.unpublished.one();
            failed(&error)
        })
    }

    /// Tells every tower of a dispute. It overtakes everything else, and goes to the next towers that appear if there are
    /// none now.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn alert(&self, alert: &SignedAlert) -> Result<(), PublishError> {
        let topic = Topic::Alerts(alert.alert().domain);
        self.alerts.try_send((topic, alert.to_bytes())).map_err(|error| {
            self.counters.unpublished.one();
            failed(&error)
        })
    }

    /// Connects to a place, if there is room; whether it worked shows in [`Handle::peers`].
    ///
    /// # Errors
    /// [`PublishError`] when the network is too busy or gone.
    pub fn dial(&self, place: Place) -> Result<(), PublishError> {
        self.commands.try_send(Command::Dial(place)).map_err(|error| failed(&error))
    }

    /// Disconnects a peer and refuses it for [`ban`](crate::Limits::ban).
    ///
    /// # Errors
    /// [`PublishError`] when the network is too busy or gone.
    pub fn ban(&self, peer: Peer) -> Result<(), PublishError> {
        self.commands.try_send(Command::Ban(peer)).map_err(|error| failed(&error))
    }

    /// The connected peers.
    ///
    /// # Errors
    /// [`RequestError::Stopped`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, RequestError> {
        self.query(Command::Peers).await
    }

    /// How the network fares.
    ///
    /// # Errors
    /// [`RequestError::Stopped`].
    pub async fn status(&self) -> Result<Status, RequestError> {
        self.query(Command::Status).await
    }

    async fn query<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        let stopped = |_gone| RequestError::Stopped;
        self.commands.send(command(answer)).await.map_err(stopped)?;
        answered.await.map_err(|_gone| RequestError::Stopped)
    }

    async fn ask(&self, peer: Peer, kind: Kind, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Ask { peer, kind, bytes, answer };
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => RequestError::Busy,
            TrySendError::Closed(_) => RequestError::Stopped,
        })?;
        answered.await.map_err(|_gone| RequestError::Stopped)?
    }
}

fn failed<T>(error: &TrySendError<T>) -> PublishError {
    match error {
        TrySendError::Full(_) => PublishError::Busy,
        TrySendError::Closed(_) => PublishError::Stopped,
    }
}

fn nonsense(peer: Peer, reason: &(impl ToString + ?Sized)) -> RequestError {
    RequestError::Nonsense { peer, reason: reason.to_string() }
}
