//! The envelopes that wait for one tower: the newest of each channel, in the order in which their channels came.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use protocol::ChannelId;
use protocol::backup::Envelope;
use protocol::zksc::Channel;
use tokio::time::Instant;

/// Pause of an envelope that the tower does not take now; it doubles each time.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause: what is refused as long is offered again by the coverage's own repetition.
const PAUSE_MOST: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Waiting {
    envelope: Arc<Envelope>,
    channel: Box<Channel>,
}

/// What waits. Its length is bounded by the number of channels.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<ChannelId, Waiting>,
    order: VecDeque<ChannelId>,
    paused: BTreeSet<(Instant, ChannelId)>,
    pauses: BTreeMap<ChannelId, Duration>,
    /// Channels that ended since the start.
    over: BTreeSet<ChannelId>,
}

impl Line {
    /// A newer envelope takes the place of an older one, and its place in the line.
    pub(super) fn put(&mut self, envelope: Arc<Envelope>, channel: Box<Channel>) {
        let id = envelope.header().channel_id;
        let nonce = envelope.header().nonce;
        if self.over.contains(&id) {
            return;
        }
        match self.waiting.get_mut(&id) {
            Some(held) if held.envelope.header().nonce > nonce => {}
            Some(held) => *held = Waiting { envelope, channel },
            None => {
                self.waiting.insert(id, Waiting { envelope, channel });
                self.order.push_back(id);
            }
        }
    }

    /// The tower does not take it now: it waits by itself and lets the others go on.
    pub(super) fn pause(&mut self, envelope: Arc<Envelope>, channel: Box<Channel>, now: Instant) {
        let id = envelope.header().channel_id;
        if self.over.contains(&id) {
            return;
        }
        let pause = self.pauses.entry(id).or_insert(PAUSE_FIRST);
        let until = now.checked_add(*pause).unwrap_or(now);
        *pause = pause.saturating_mul(2).min(PAUSE_MOST);
        // A newer one that came meanwhile has its place in the line.
        if let Entry::Vacant(place) = self.waiting.entry(id) {
            place.insert(Waiting { envelope, channel });
            self.paused.insert((until, id));
        }
    }

    /// The tower took it, or never will.
    pub(super) fn done(&mut self, id: ChannelId) {
        self.pauses.remove(&id);
    }

    /// The channel is over: nothing of it is offered any more.
    pub(super) fn over(&mut self, id: ChannelId) {
        self.over.insert(id);
        self.waiting.remove(&id);
        self.order.retain(|one| *one != id);
        self.paused.retain(|(_, one)| *one != id);
        self.pauses.remove(&id);
    }

    /// The next one to offer.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Arc<Envelope>, Box<Channel>)> {
        while let Some((until, id)) = self.paused.first().copied() {
            if until > now {
                break;
            }
            self.paused.remove(&(until, id));
            self.order.push_back(id);
        }
        let id = self.order.pop_front()?;
        self.waiting.remove(&id).map(|one| (one.envelope, one.channel))
    }

    /// When the first of those that wait by themselves is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.paused.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use protocol::Role;
    use protocol::testing::Pair;

    use super::*;

    fn envelope(at: u64) -> (Arc<Envelope>, Box<Channel>) {
        let pair = Pair::new(1);
        let envelope = pair.seal(Role::Participant, &pair.final_state(at, 5));
        (Arc::new(envelope), Box::new(pair.channel))
    }

    fn nonce(found: Option<(Arc<Envelope>, Box<Channel>)>) -> Option<u64> {
        found.map(|(envelope, _)| envelope.header().nonce.get())
    }

    #[test]
    fn what_a_tower_does_not_take_now_waits_by_itself_and_a_newer_one_takes_its_place() {
        let (mut line, now) = (Line::default(), Instant::now());
        let (first, channel) = envelope(1);
        line.put(first, channel);
        let (first, channel) = line.next(now).unwrap();
        line.pause(first, channel, now);
        assert_eq!(nonce(line.next(now)), None, "the others are not held up by it");
        assert_eq!(line.due(), Some(now + PAUSE_FIRST));
        let (second, channel) = envelope(2);
        line.put(second, channel);
        let later = now + PAUSE_FIRST;
        let (second, channel) = line.next(later).unwrap();
        assert_eq!(second.header().nonce.get(), 2);
        line.pause(second, channel, later);
        assert_eq!(line.due(), Some(later + 2 * PAUSE_FIRST), "its pauses grow");
        let (_, channel) = envelope(2);
        line.done(channel.id());
        assert_eq!(nonce(line.next(later + 2 * PAUSE_FIRST)), Some(2));
        assert_eq!(line.due(), None);
    }

    #[test]
    fn nothing_of_a_channel_that_is_over_is_offered_any_more() {
        let (mut line, now) = (Line::default(), Instant::now());
        let (first, channel) = envelope(1);
        let id = channel.id();
        line.put(first.clone(), channel.clone());
        line.over(id);
        assert_eq!(nonce(line.next(now)), None);
        // One that was on its way comes back.
        line.pause(first.clone(), channel.clone(), now);
        line.put(first, channel);
        assert_eq!((nonce(line.next(now)), line.due()), (None, None));
    }
}
