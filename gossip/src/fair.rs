//! A bounded queue with a lane for each peer, served in turns: a flood in one lane delays nobody in another.
//!
//! **Invariant:** a lane never holds more than its bound; what does not fit is given back to the caller, who answers for it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The queue.
#[derive(Debug)]
pub(crate) struct FairQueue<K, J> {
    lanes: HashMap<K, VecDeque<J>>,
    /// Every lane that is not empty, once; the front one is served next.
    turns: VecDeque<K>,
    lane_max: usize,
    len: usize,
}

impl<K: Copy + Eq + Hash, J> FairQueue<K, J> {
    pub(crate) fn new(lane_max: usize) -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), lane_max, len: 0 }
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a job to its lane, or gives it back when the lane is full.
    pub(crate) fn push(&mut self, key: K, job: J) -> Result<(), J> {
        let lane = self.lanes.entry(key).or_default();
        if lane.len() >= self.lane_max {
            return Err(job);
        }
        if lane.is_empty() {
            self.turns.push_back(key);
        }
        lane.push_back(job);
        self.len += 1;
        Ok(())
    }

    /// Takes the next job of the next lane that `may_run` lets through.
    pub(crate) fn pop(&mut self, may_run: impl Fn(&K) -> bool) -> Option<(K, J)> {
        let at = self.turns.iter().position(may_run)?;
        let key = self.turns.remove(at)?;
        let lane = self.lanes.get_mut(&key)?;
        let job = lane.pop_front()?;
        self.len -= 1;
        if lane.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        Some((key, job))
    }

    /// Empties a lane.
    pub(crate) fn remove(&mut self, key: &K) -> VecDeque<J> {
        let lane = self.lanes.remove(key).unwrap_or_default();
        if !lane.is_empty() {
            self.turns.retain(|other| other != key);
            self.len -= lane.len();
        }
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_served_in_turns_whatever_their_length() {
        let mut queue = FairQueue::new(10);
        for job in 0..10 {
            queue.push('a', job).unwrap();
        }
        queue.push('b', 100).unwrap();
        queue.push('b', 101).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(|_| true)).take(5).collect();
        assert_eq!(order, [('a', 0), ('b', 100), ('a', 1), ('b', 101), ('a', 2)]);
        assert_eq!(queue.len(), 7);
    }

    #[test]
    fn a_full_lane_gives_the_job_back_and_leaves_others_alone() {
        let mut queue = FairQueue::new(2);
        assert_eq!(queue.push('a', 1), Ok(()));
        assert_eq!(queue.push('a', 2), Ok(()));
        assert_eq!(queue.push('a', 3), Err(3));
        assert_eq!(queue.push('b', 4), Ok(()));
    }

    #[test]
    fn a_lane_that_may_not_run_keeps_its_turn() {
        let mut queue = FairQueue::new(2);
        queue.push('a', 1).unwrap();
        queue.push('b', 2).unwrap();
        assert_eq!(queue.pop(|key| *key != 'a'), Some(('b', 2)));
        assert_eq!(queue.pop(|key| *key != 'a'), None);
        assert_eq!(queue.pop(|_| true), Some(('a', 1)));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_removed_lane_leaves_nothing_behind() {
        let mut queue = FairQueue::new(2);
        queue.push('a', 1).unwrap();
        queue.push('b', 2).unwrap();
        assert_eq!(queue.remove(&'a'), [1]);
        assert_eq!(queue.remove(&'a').len(), 0);
        assert_eq!(queue.pop(|_| true), Some(('b', 2)));
        assert_eq!(queue.pop(|_| true), None);
        assert!(queue.lanes.is_empty() && queue.turns.is_empty());
    }
}
