//! What the network asks of the tower behind it.

use protocol::network::wire::{
    BackupRequest, BackupResponse, Refusal, SyncRequest, SyncResponse, Topic,
};

use crate::names::Peer;

/// What becomes of a gossiped message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored, if it is something to store, and goes on to other towers.
    Accept,
    /// It is dropped, and nobody is blamed: old, held already, not ours, not judged in time.
    Ignore,
    /// It is dropped, and whoever sent it loses score: wrong by what every honest tower can see.
    Reject,
}

/// An answer to a request, and what else follows from it.
#[derive(Debug)]
pub struct Reply<R> {
    /// What is sent back.
    pub response: R,
    /// The request was wrong by what every honest tower can see: its sender loses score.
    pub fault: bool,
    /// What other towers get to hear because of it.
    pub publish: Option<(Topic, Vec<u8>)>,
}

impl<R> Reply<R> {
    /// An answer from which nothing else follows.
    #[must_use]
    pub fn just(response: R) -> Self {
        Self { response, fault: false, publish: None }
    }
}

/// The tower behind the network. Its methods run on tasks of their own, at most
/// [`working_max`](crate::Limits::working_max) at a time and [`working_per_peer`](crate::Limits::working_per_peer) of
/// one peer, peers in turns; alerts have places of their own and overtake everything.
///
/// A method may be dropped when the network stops; what it committed stays.
pub trait Intake: Send + Sync + 'static {
    /// A message on a topic.
    fn gossiped(
        &self,
        from: Peer,
        topic: Topic,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Verdict> + Send;

    /// A request of `/vrc/backup/1`. A receipt must not be given before the commit.
    fn backup(
        &self,
        from: Peer,
        request: BackupRequest,
    ) -> impl Future<Output = Reply<BackupResponse>> + Send;

    /// A request of `/vrc/sync/1`.
    fn sync(
        &self,
        from: Peer,
        request: SyncRequest,
    ) -> impl Future<Output = Reply<SyncResponse>> + Send;
}

/// What stands behind the network of a node, which asks and speaks and takes nothing: no message goes on, every request is
/// refused, and nobody is blamed for either.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakesNothing;

impl Intake for TakesNothing {
    async fn gossiped(&self, _from: Peer, _topic: Topic, _bytes: Vec<u8>) -> Verdict {
        Verdict::Ignore
    }

    async fn backup(&self, _from: Peer, _request: BackupRequest) -> Reply<BackupResponse> {
        Reply::just(BackupResponse::Refused(Refusal::NotKept))
    }

    async fn sync(&self, _from: Peer, _request: SyncRequest) -> Reply<SyncResponse> {
        Reply::just(SyncResponse::Refused(Refusal::NotKept))
    }
}
