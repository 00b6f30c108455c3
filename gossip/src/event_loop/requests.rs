//! Requests: ours out and their answers back, others' in through the desk.
//!
//! At the bounds: our own requests beyond [`OPEN_MAX`], or to one peer beyond [`OPEN_PER_PEER`], are [`RequestError::Busy`];
//! others' beyond their lane are dropped, which they see as a closed stream.

use std::collections::HashMap;

use libp2p::PeerId;
use libp2p::request_response::{
    Event, InboundFailure, Message, OutboundFailure, OutboundRequestId,
};

use super::EventLoop;
use crate::codec::Frame;
use crate::conduct::Fault;
use crate::desk::Job;
use crate::error::RequestError;
use crate::handle::{Answer, Kind};
use crate::intake::{Intake, Reply};
use crate::names::Peer;
use crate::scoring::GRAYLIST_LINE;

/// Own requests that may be open at a time.
const OPEN_MAX: usize = 512;

/// Own requests that may be open to one peer: as many streams as it lets us have, by default.
const OPEN_PER_PEER: usize = 16;

/// Own requests without an answer.
#[derive(Debug, Default)]
pub(super) struct Open {
    answers: HashMap<(Kind, OutboundRequestId), (PeerId, Answer)>,
    of_peer: HashMap<PeerId, usize>,
}

impl Open {
    fn is_full(&self, peer: &PeerId) -> bool {
        self.answers.len() >= OPEN_MAX
            || self.of_peer.get(peer).is_some_and(|count| *count >= OPEN_PER_PEER)
    }

    fn insert(&mut self, key: (Kind, OutboundRequestId), peer: PeerId, answer: Answer) {
        self.answers.insert(key, (peer, answer));
        *self.of_peer.entry(peer).or_default() += 1;
    }

    fn remove(&mut self, key: (Kind, OutboundRequestId)) -> Option<Answer> {
        let (peer, answer) = self.answers.remove(&key)?;
        if let Some(count) = self.of_peer.get_mut(&peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_peer.remove(&peer);
            }
        }
        Some(answer)
    }
}

impl<N: Intake> EventLoop<N> {
    pub(super) fn ask(&mut self, peer: Peer, kind: Kind, bytes: Vec<u8>, answer: Answer) {
        if self.open.is_full(&peer.0) {
            // Whoever asked may be gone.
            let _ = answer.send(Err(RequestError::Busy));
            return;
        }
        let addresses = self.book.addresses(&peer.0);
        let behaviour = self.swarm.behaviour_mut();
        let requests = match kind {
            Kind::Backup => &mut behaviour.backup,
            Kind::Sync => &mut behaviour.sync,
        };
        let id = requests.send_request_with_addresses(&peer.0, Frame::Whole(bytes), addresses);
        self.open.insert((kind, id), peer.0, answer);
    }

    pub(super) fn on_backup(&mut self, event: Event<Frame, Vec<u8>>) {
        self.on_requests(Kind::Backup, event, |bytes, channel| Job::Backup { bytes, channel });
    }

    pub(super) fn on_sync(&mut self, event: Event<Frame, Vec<u8>>) {
        self.on_requests(Kind::Sync, event, |bytes, channel| Job::Sync { bytes, channel });
    }

    fn on_requests(
        &mut self,
        kind: Kind,
        event: Event<Frame, Vec<u8>>,
        job: impl FnOnce(Vec<u8>, libp2p::request_response::ResponseChannel<Vec<u8>>) -> Job,
    ) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                match request {
                    Frame::Whole(bytes) => self.take_request(peer, job(bytes, channel)),
                    Frame::TooLong => {
                        self.counters.requests_malformed.one();
                        self.blame(peer, Fault::Malformed);
                    }
                }
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                self.answered((kind, request_id), Ok(response));
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                self.answered((kind, request_id), Err(failure(Peer(peer), &error)));
            }
            Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a request failed");
                if !matches!(error, InboundFailure::ResponseOmission) {
                    self.counters.requests_abandoned.one();
                }
            }
            Event::ResponseSent { .. } => {}
        }
    }

    fn take_request(&mut self, peer: PeerId, job: Job) {
        let score = self.swarm.behaviour().gossip.peer_score(&peer);
        let shunned = score.unwrap_or_else(|| self.conduct.score(&peer)) < GRAYLIST_LINE;
        if shunned {
            self.counters.requests_turned_away.one();
            // Whoever goes on regardless comes nearer to a ban.
            self.blame(peer, Fault::Insistence);
        } else if self.desk.take(peer, job).is_err() {
            self.counters.requests_turned_away.one();
            self.blame(peer, Fault::Flood);
        }
    }

    fn answered(&mut self, key: (Kind, OutboundRequestId), outcome: Result<Vec<u8>, RequestError>) {
        if let Some(answer) = self.open.remove(key) {
            // Whoever asked may be gone.
            let _ = answer.send(outcome);
        }
    }

    /// Does what follows from a reply, and gives the bytes to send.
    pub(super) fn replied(&mut self, peer: PeerId, reply: Reply<Vec<u8>>) -> Vec<u8> {
        if reply.fault {
            self.counters.requests_malformed.one();
            self.blame(peer, Fault::Malformed);
        }
        if let Some((topic, bytes)) = reply.publish {
            self.publish(&topic, bytes);
        }
        reply.response
    }

    pub(super) fn count_answer(&self, sent: bool) {
        let counter =
            if sent { &self.counters.requests_answered } else { &self.counters.requests_abandoned };
        counter.one();
    }
}

fn failure(peer: Peer, error: &OutboundFailure) -> RequestError {
    match error {
        OutboundFailure::DialFailure => RequestError::Unreachable(peer),
        OutboundFailure::Timeout => RequestError::TimedOut(peer),
        other => RequestError::Failed { peer, reason: other.to_string() },
    }
}
