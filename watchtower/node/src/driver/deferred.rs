//! Messages that came while their lane's record was on its way to the disk: looked at again when that is durable.
//!
//! At [`OF_ONE`] messages of a channel, and at [`IN_ALL`], more are dropped; their senders repeat them.

use std::collections::{BTreeMap, VecDeque};

use gossip::Peer;
use protocol::ChannelId;
use protocol::vnode::link::Frame;

/// An honest end has at most a message and its repetition on the way.
const OF_ONE: usize = 8;
const IN_ALL: usize = 4_096;

/// What waits, by channel.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    waiting: BTreeMap<ChannelId, VecDeque<(Peer, Frame)>>,
    count: usize,
}

impl Deferred {
    pub(super) fn push(&mut self, channel: ChannelId, peer: Peer, frame: Frame) {
        if self.count >= IN_ALL {
            return;
        }
        let line = self.waiting.entry(channel).or_default();
        if line.len() < OF_ONE {
            line.push_back((peer, frame));
            self.count = self.count.saturating_add(1);
        }
    }

    pub(super) fn take(&mut self, channel: ChannelId) -> VecDeque<(Peer, Frame)> {
        let line = self.waiting.remove(&channel).unwrap_or_default();
        self.count = self.count.saturating_sub(line.len());
        line
    }
}

#[cfg(test)]
mod tests {
    use gossip::Identity;

    use super::*;

    #[test]
    fn a_channel_keeps_its_own_messages_in_order_and_takes_no_more_than_its_share() {
        let peer = Identity::from_secret(&[1; 32]).unwrap().peer();
        let id = |value| ChannelId::try_from(value).unwrap();
        let mut deferred = Deferred::default();
        for _ in 0..20 {
            deferred.push(id(1), peer, Frame::Who(id(1)));
        }
        deferred.push(id(2), peer, Frame::Who(id(2)));
        assert_eq!(deferred.take(id(1)).len(), OF_ONE);
        assert!(deferred.take(id(1)).is_empty());
        assert_eq!(deferred.take(id(2)), [(peer, Frame::Who(id(2)))]);
        assert_eq!(deferred.count, 0);
    }
}
