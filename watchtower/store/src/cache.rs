//! Channels that were read lately, decoded: a row costs a dozen microseconds to decode and check, and every backup needs one.
//!
//! Two generations: what is read goes into the young one; when that is full it becomes the old one, whose rest is
//! forgotten. So a channel that is used stays, and at most twice [`GENERATION`] are kept, about 3 MiB.
//!
//! **Invariant:** from the moment that a commit is answered, nothing is given out that was read before it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rows::ChannelRow;

/// Channels in one generation.
const GENERATION: usize = 2_048;

#[derive(Debug, Default)]
struct Generations {
    young: BTreeMap<u64, Arc<ChannelRow>>,
    old: BTreeMap<u64, Arc<ChannelRow>>,
    /// Commits so far that changed channels.
    changes: u64,
}

/// The cache. Shared by everybody who reads.
#[derive(Debug, Default)]
pub(crate) struct Channels(Mutex<Generations>);

/// When a snapshot was taken, counted in changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

impl Channels {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Every change leaves the maps whole, so a panic elsewhere cannot have left them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel, if it is here; otherwise the mark to be taken before the snapshot that it is read from.
    pub(crate) fn get(&self, channel: u64) -> Result<Arc<ChannelRow>, Mark> {
        let mut generations = self.lock();
        if let Some(row) = generations.young.get(&channel) {
            return Ok(Arc::clone(row));
        }
        let Some(row) = generations.old.remove(&channel) else {
            return Err(Mark(generations.changes));
        };
        generations.keep(channel, Arc::clone(&row));
        Ok(row)
    }

    /// Keeps what was read from a snapshot, unless channels were changed since it was taken.
    pub(crate) fn put(&self, mark: Mark, channel: u64, row: Arc<ChannelRow>) {
        let mut generations = self.lock();
        if generations.changes == mark.0 {
            generations.keep(channel, row);
        }
    }

    /// These channels were changed, and the change is on disk or failed.
    pub(crate) fn forget(&self, channels: &[u64]) {
        if channels.is_empty() {
            return;
        }
        let mut generations = self.lock();
        generations.changes = generations.changes.wrapping_add(1);
        for channel in channels {
            generations.young.remove(channel);
            generations.old.remove(channel);
        }
    }
}

impl Generations {
    fn keep(&mut self, channel: u64, row: Arc<ChannelRow>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(channel, row);
    }
}

#[cfg(test)]
mod tests {
    use protocol::testing::Pair;

    use super::*;
    use crate::ChannelStatus;

    fn row(opened_block: u64) -> Arc<ChannelRow> {
        let channel = Pair::new(1).channel;
        let status = ChannelStatus::Live;
        Arc::new(ChannelRow { channel, status, accept_by: 0, opened_block })
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let channels = Channels::default();
        let before = channels.get(1).unwrap_err();
        channels.forget(&[1]);
        channels.put(before, 1, row(1));
        let after = channels.get(1).unwrap_err();
        channels.put(after, 1, row(2));
        assert_eq!(channels.get(1).unwrap().opened_block, 2);
        channels.forget(&[2]);
        assert_eq!(channels.get(1).unwrap().opened_block, 2, "another channel's change");
        channels.forget(&[1]);
        assert!(channels.get(1).is_err());
    }

    #[test]
    fn a_channel_in_use_stays_and_the_number_is_bounded() {
        let channels = Channels::default();
        let one = row(1);
        for channel in 0..20_000 {
            if let Err(mark) = channels.get(channel) {
                channels.put(mark, channel, Arc::clone(&one));
            }
            assert!(channels.get(0).is_ok(), "used each time, at {channel}");
            let generations = channels.lock();
            assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        }
        assert!(channels.get(5).is_err(), "not used for long");
    }
}
