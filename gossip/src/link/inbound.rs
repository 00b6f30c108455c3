//! What came from each peer and waits for room in the node's queue: a line for each peer, served in turns.
//!
//! At [`FRAMES_MAX`] frames or [`BYTES_MAX`] bytes of a peer its requests are refused unread: an honest one has a request on the
//! way at a time. So no peer takes another's place, however fast it sends.
//!
//! Names cost nothing, so there is a bound over all of them: when [`ALL_MAX`] is reached, a peer of whom something waits already
//! gets no more; one of whom nothing waits is still heard, one request at a time, up to twice as much.
//!
//! **Invariant:** what one peer sends keeps its order.

use std::collections::{HashMap, VecDeque};

use libp2p::PeerId;

use super::{LinkEvent, REQUEST_MAX, WAITING_MAX};

/// Frames of one peer that may wait: what an honest one may have waiting at its own end, and that it came or went.
const FRAMES_MAX: usize = WAITING_MAX + 8;
/// Bytes of one peer that may wait: a request, and the one that comes when its answer was lost.
const BYTES_MAX: usize = 2 * REQUEST_MAX;

/// What may wait of all peers, in bytes, each frame counted with [`FRAME_COST`].
const ALL_MAX: usize = 64 << 20;
/// What a frame takes beside its own bytes.
const FRAME_COST: usize = 96;

/// What waits; `A` answers a request.
pub(super) enum Waiting<A> {
    Event(LinkEvent),
    /// All frames of a request were handed over.
    Answer(A),
}

impl<A> Waiting<A> {
    const fn bytes(&self) -> usize {
        match self {
            Self::Event(LinkEvent::Frame(_, bytes)) => bytes.len(),
            _ => 0,
        }
    }
}

struct Line<A> {
    waiting: VecDeque<Waiting<A>>,
    bytes: usize,
}

/// What waits of all peers.
pub(super) struct Inbound<A> {
    lines: HashMap<PeerId, Line<A>>,
    /// Bytes of all that waits, each with [`FRAME_COST`].
    all: usize,
    /// The peers of whom something waits, whose turn is first in front.
    turns: VecDeque<PeerId>,
}

impl<A> Inbound<A> {
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), all: 0, turns: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Whether a request of so many frames and bytes is taken of this peer.
    pub(super) fn has_room(&self, peer: &PeerId, frames: usize, bytes: usize) -> bool {
        let (held, held_bytes) =
            self.lines.get(peer).map_or((0, 0), |line| (line.waiting.len(), line.bytes));
        let all_max = if held == 0 { 2 * ALL_MAX } else { ALL_MAX };
        let cost = frames.saturating_mul(FRAME_COST).saturating_add(bytes);
        held.saturating_add(frames) <= FRAMES_MAX
            && held_bytes.saturating_add(bytes) <= BYTES_MAX
            && self.all.saturating_add(cost) <= all_max
    }

    pub(super) fn push(&mut self, peer: PeerId, one: Waiting<A>) {
        let line = self.lines.entry(peer).or_insert_with(|| {
            self.turns.push_back(peer);
            Line { waiting: VecDeque::new(), bytes: 0 }
        });
        line.bytes = line.bytes.saturating_add(one.bytes());
        self.all = self.all.saturating_add(one.bytes()).saturating_add(FRAME_COST);
        line.waiting.push_back(one);
    }

    /// The next one, of the peer whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waiting<A>> {
        let peer = self.turns.pop_front()?;
        let line = self.lines.get_mut(&peer)?;
        let next = line.waiting.pop_front();
        let bytes = next.as_ref().map_or(0, Waiting::bytes);
        line.bytes = line.bytes.saturating_sub(bytes);
        self.all = self.all.saturating_sub(bytes.saturating_add(FRAME_COST));
        if line.waiting.is_empty() {
            self.lines.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Peer;

    fn frame(peer: PeerId, byte: u8) -> Waiting<u8> {
        Waiting::Event(LinkEvent::Frame(Peer(peer), vec![byte]))
    }

    fn next(inbound: &mut Inbound<u8>) -> Option<(PeerId, u8)> {
        match inbound.pop()? {
            Waiting::Event(LinkEvent::Frame(peer, bytes)) => Some((peer.0, bytes[0])),
            _ => None,
        }
    }

    #[test]
    fn many_names_together_have_a_bound_and_one_of_whom_nothing_waits_is_still_heard() {
        let mut inbound = Inbound::<u8>::new();
        let request = REQUEST_MAX - FRAME_COST;
        let mut crowd = Vec::new();
        while inbound.all < ALL_MAX - REQUEST_MAX {
            let peer = PeerId::random();
            assert!(inbound.has_room(&peer, 1, request));
            inbound.push(peer, Waiting::Event(LinkEvent::Frame(Peer(peer), vec![0; request])));
            crowd.push(peer);
        }
        inbound.push(crowd[0], frame(crowd[0], 0));
        assert!(!inbound.has_room(&crowd[1], 1, request), "it has something waiting");
        let honest = PeerId::random();
        assert!(inbound.has_room(&honest, 1, request));
        while inbound.pop().is_some() {}
        assert_eq!(inbound.all, 0);
        assert!(inbound.has_room(&crowd[1], 1, request));
        inbound.all = 2 * ALL_MAX;
        assert!(!inbound.has_room(&honest, 1, 0), "there is an end to that as well");
    }

    #[test]
    fn a_peer_that_sends_a_flood_leaves_the_others_their_turns_and_their_room() {
        let (flood, honest) = (PeerId::random(), PeerId::random());
        let mut inbound = Inbound::new();
        for at in 0..FRAMES_MAX {
            assert!(inbound.has_room(&flood, 1, 1), "{at}");
            inbound.push(flood, frame(flood, 0));
        }
        assert!(!inbound.has_room(&flood, 1, 1));
        assert!(inbound.has_room(&honest, 2, 2));
        assert!(!inbound.has_room(&honest, FRAMES_MAX + 1, 0), "nor a flood of empty ones");
        assert!(!inbound.has_room(&honest, 1, BYTES_MAX + 1));
        inbound.push(honest, frame(honest, 1));
        inbound.push(honest, frame(honest, 2));
        let first: Vec<_> = (0..4).map(|_| next(&mut inbound).unwrap()).collect();
        assert_eq!(first, [(flood, 0), (honest, 1), (flood, 0), (honest, 2)]);
        while next(&mut inbound).is_some() {}
        assert!(inbound.is_empty() && inbound.lines.is_empty());
        assert!(inbound.has_room(&flood, FRAMES_MAX, BYTES_MAX));
    }
}
