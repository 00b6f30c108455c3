//! What waits for each peer: one request at a time, so that frames keep their order.
//!
//! A request costs as much for one frame as for many. Under load ([`SIBLINGS`]) the next one gathers frames for a moment
//! ([`GATHER`]); who is alone never waits.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use libp2p::PeerId;
use tokio::time::Instant;

use super::{WAITING_MAX, batch};

/// So many frames in one request show that more are on their way.
const SIBLINGS: usize = 4;
/// So many frames wait for no more.
const ENOUGH: usize = 64;
/// How long a request waits for more frames under load: less than a durable turn takes on most disks.
const GATHER: Duration = Duration::from_millis(2);

/// The frames of one connected peer.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Vec<u8>>,
    /// A request is on its way.
    asked: bool,
    /// How many frames were in the last one.
    before: usize,
    /// Until when the next one gathers frames.
    gathers: Option<Instant>,
}

/// The frames of all connected peers.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    lines: HashMap<PeerId, Line>,
    /// Who gathers, and until when, soonest first.
    gathering: VecDeque<(Instant, PeerId)>,
}

impl Outbound {
    pub(super) fn up(&mut self, peer: PeerId) {
        self.lines.entry(peer).or_default();
    }

    pub(super) fn down(&mut self, peer: &PeerId) {
        self.lines.remove(peer);
    }

    /// Adds a frame; false when it is dropped.
    pub(super) fn push(&mut self, peer: &PeerId, frame: Vec<u8>) -> bool {
        match self.lines.get_mut(peer) {
            Some(line) if line.waiting.len() < WAITING_MAX => {
                line.waiting.push_back(frame);
                true
            }
            _ => false,
        }
    }

    /// The next request to this peer, if none is on its way, something waits, and it gathers no more.
    pub(super) fn next(&mut self, peer: &PeerId) -> Option<Vec<u8>> {
        let line = self.lines.get_mut(peer).filter(|line| !line.asked)?;
        if line.gathers.is_some() && line.waiting.len() < ENOUGH {
            return None;
        }
        let (bytes, taken) = batch::pack(line.waiting.iter());
        line.waiting.drain(..taken);
        line.asked = taken > 0;
        if line.asked {
            (line.before, line.gathers) = (taken, None);
        }
        line.asked.then_some(bytes)
    }

    /// The request on its way is answered, or failed: what was in it is then lost, and repeated from above.
    pub(super) fn answered(&mut self, peer: &PeerId) {
        let Some(line) = self.lines.get_mut(peer) else { return };
        line.asked = false;
        if line.before >= SIBLINGS {
            let until = Instant::now() + GATHER;
            line.gathers = Some(until);
            self.gathering.push_back((until, *peer));
        }
    }

    /// A peer for which the gathering is over; waits until there is one. Nothing is lost when the caller stops waiting.
    pub(super) async fn gathered(&mut self) -> PeerId {
        loop {
            let Some((until, peer)) = self.gathering.front().copied() else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(until).await;
            self.gathering.pop_front();
            if let Some(line) = self.lines.get_mut(&peer)
                && line.gathers == Some(until)
            {
                line.gathers = None;
                return peer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn under_load_a_request_gathers_frames_for_a_moment_and_who_is_alone_waits_for_none() {
        let (mut lines, peer) = (Outbound::default(), PeerId::random());
        lines.up(peer);
        for frames in [1, SIBLINGS - 1, SIBLINGS] {
            (0..frames).for_each(|_| assert!(lines.push(&peer, vec![1])));
            assert!(lines.next(&peer).is_some(), "{frames}");
            lines.answered(&peer);
        }
        let began = Instant::now();
        assert!(lines.push(&peer, vec![2]));
        assert_eq!(lines.next(&peer), None, "it gathers");
        assert_eq!(lines.gathered().await, peer);
        assert!(began.elapsed() >= GATHER / 2, "not at once");
        assert_eq!(batch::unpack(&lines.next(&peer).unwrap()).unwrap(), [vec![2]]);
        lines.answered(&peer);
        assert!(lines.push(&peer, vec![3]) && lines.next(&peer).is_some(), "the load is over");
        lines.answered(&peer);
        (0..SIBLINGS).for_each(|_| assert!(lines.push(&peer, vec![4])));
        assert!(lines.next(&peer).is_some());
        lines.answered(&peer);
        (0..ENOUGH).for_each(|_| assert!(lines.push(&peer, vec![5])));
        assert!(lines.next(&peer).is_some(), "enough gathers no more");
        lines.down(&peer);
        let gone = tokio::time::timeout(GATHER * 4, lines.gathered()).await;
        assert!(gone.is_err(), "nobody gathers any more");
    }

    #[test]
    fn frames_keep_their_order_and_one_request_is_on_its_way() {
        let (mut lines, peer) = (Outbound::default(), PeerId::random());
        assert!(!lines.push(&peer, vec![1]), "nobody is connected");
        lines.up(peer);
        assert!(lines.push(&peer, vec![1]));
        let first = lines.next(&peer).unwrap();
        assert!(lines.push(&peer, vec![2]) && lines.push(&peer, vec![3]));
        assert_eq!(lines.next(&peer), None);
        lines.answered(&peer);
        assert_eq!(batch::unpack(&first).unwrap(), [vec![1]]);
        assert_eq!(batch::unpack(&lines.next(&peer).unwrap()).unwrap(), [vec![2], vec![3]]);
        lines.answered(&peer);
        for _ in 0..WAITING_MAX {
            assert!(lines.push(&peer, vec![4]));
        }
        assert!(!lines.push(&peer, vec![5]), "the line is full");
        lines.down(&peer);
        assert_eq!(lines.next(&peer), None);
    }
}
