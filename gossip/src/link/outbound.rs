//! What waits for each peer: one request at a time, so that frames keep their order.

use std::collections::{HashMap, VecDeque};

use libp2p::PeerId;

use super::{WAITING_MAX, batch};

/// The frames of one connected peer.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Vec<u8>>,
    /// A request is on its way.
    asked: bool,
}

/// The frames of all connected peers.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    lines: HashMap<PeerId, Line>,
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

    /// The next request to this peer, if none is on its way and something waits.
    pub(super) fn next(&mut self, peer: &PeerId) -> Option<Vec<u8>> {
        let line = self.lines.get_mut(peer).filter(|line| !line.asked)?;
        let (bytes, taken) = batch::pack(line.waiting.iter());
        line.waiting.drain(..taken);
        line.asked = taken > 0;
        line.asked.then_some(bytes)
    }

    /// The request on its way is answered, or failed: what was in it is then lost, and repeated from above.
    pub(super) fn answered(&mut self, peer: &PeerId) {
        if let Some(line) = self.lines.get_mut(peer) {
            line.asked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
