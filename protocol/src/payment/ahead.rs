//! The write-ahead of a machine that drives handshakes: nothing leaves before the record that explains it is durable.
//!
//! **Invariant:** effects leave in the order in which they were deferred.

use std::collections::VecDeque;

/// What waits until its record is durable.
#[derive(Debug)]
struct Held<K, E> {
    number: u64,
    inner: Vec<K>,
    then: Vec<E>,
}

/// The records on their way to the disk, oldest first. `K` names a handshake's own record that travels in one of them.
///
/// Its length is bounded by its machine: a handshake refuses while its record is on its way.
#[derive(Debug)]
pub(super) struct Ahead<K, E> {
    number: u64,
    held: VecDeque<Held<K, E>>,
}

impl<K, E> Ahead<K, E> {
    pub(super) const fn new() -> Self {
        Self { number: 0, held: VecDeque::new() }
    }

    /// A record is written; `then` and the handshakes' answers wait for it. Its number.
    pub(super) fn write(&mut self, inner: Vec<K>, then: Vec<E>) -> u64 {
        self.number = self.number.saturating_add(1);
        self.held.push_back(Held { number: self.number, inner, then });
        self.number
    }

    /// Nothing changed: `then` waits for what is on its way before it, or is returned to leave at once.
    pub(super) fn follow(&mut self, then: Vec<E>) -> Vec<E> {
        match self.held.back_mut() {
            Some(last) => {
                last.then.extend(then);
                Vec::new()
            }
            None => then,
        }
    }

    /// The record with this number is durable, and with it every one before. What they held back.
    pub(super) fn release(&mut self, number: u64) -> (Vec<K>, Vec<E>) {
        let (mut inner, mut then) = (Vec::new(), Vec::new());
        while self.held.front().is_some_and(|held| held.number <= number) {
            let Some(held) = self.held.pop_front() else { break };
            inner.extend(held.inner);
            then.extend(held.then);
        }
        (inner, then)
    }

    /// Whether nothing is on its way.
    pub(super) fn is_durable(&self) -> bool {
        self.held.is_empty()
    }
}
