//! Which node to ask: a scoreboard that demotes those that fail, lag or lie, and tries them again later.
//!
//! Pure: time is an argument, counted from when the pool was made.
//!
//! ```text
//!   Good --failure--> Failing: last in line, until its pause is over; the pause doubles
//!        --head more than LAG_MAX below the best--> Lagging: behind the others
//!        --caught lying--> Lying: not asked while there is another, until its penalty is over; the penalty doubles
//!        --another chain's id--> WrongChain: not asked at all, until it names the right chain again
//! ```
//!
//! **Invariant:** a node that is demoted is tried again: no verdict lasts for ever but that of the wrong chain, and that
//! one is looked at again at every look at the chain.

use std::time::Duration;

use crate::backoff;

/// Blocks behind the best head at which a node counts as lagging: two may be the network's own delay.
pub(super) const LAG_MAX: u64 = 3;
/// How long the first lie keeps a node out; doubles with each one.
const LIE_PENALTY: Duration = Duration::from_secs(10);
/// The longest penalty for lies.
const LIE_PENALTY_MAX: Duration = Duration::from_secs(600);
/// After so long without a lie the next one counts as the first: a node that indexes late now and then is no crook.
const LIE_MEMORY: Duration = Duration::from_secs(3_600);
/// A node this many times slower than the fastest is asked after the others.
const SLOW_FACTOR: u32 = 4;
/// How often a node is asked for its chain while nothing is wrong.
const CHAIN_CHECK_EVERY: Duration = Duration::from_secs(30);
/// Below this a node is never called slow.
const SLOW_MIN: Duration = Duration::from_millis(500);

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is held against it.
    Good,
    /// It answers, much later than another.
    Slow,
    /// Its head is behind.
    Lagging,
    /// It failed lately.
    Failing,
    /// It was caught in a lie lately.
    Lying,
    /// It follows another chain.
    WrongChain,
}

/// What is known of one node; for health pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointScore {
    /// Scheme, host and port.
    pub endpoint: String,
    /// How it stands.
    pub standing: Standing,
    /// Questions put to it.
    pub requests: u64,
    /// Questions without an answer.
    pub failures: u64,
    /// Answers that were proven wrong.
    pub lies: u64,
    /// Times that it saw another block at a height than the others did; near the head that is no lie.
    pub disagreements: u64,
    /// How long an answer takes, smoothed; none before the first.
    pub latency: Option<Duration>,
    /// The last height it named as its newest.
    pub head: Option<u64>,
    /// Blocks behind the best head.
    pub lag: u64,
    /// What was wrong the last time, in words.
    pub last_trouble: Option<String>,
}

/// All nodes, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scoreboard {
    /// How many nodes must agree on a block.
    pub quorum: usize,
    /// The nodes.
    pub endpoints: Vec<EndpointScore>,
}

#[derive(Debug, Clone, Default)]
struct Record {
    endpoint: String,
    requests: u64,
    failures: u64,
    failures_in_row: u32,
    lies: u64,
    /// Lies without a long truthful time between them.
    lies_in_row: u32,
    disagreements: u64,
    latency: Option<Duration>,
    head: Option<u64>,
    failing_until: Option<Duration>,
    lying_until: Option<Duration>,
    wrong_chain: bool,
    chain_checked: Option<Duration>,
    last_trouble: Option<String>,
}

/// The records of all nodes of a pool.
#[derive(Debug)]
pub(super) struct Records {
    all: Vec<Record>,
}

impl Records {
    pub(super) fn new(endpoints: impl IntoIterator<Item = String>) -> Self {
        let record = |endpoint| Record { endpoint, ..Record::default() };
        Self { all: endpoints.into_iter().map(record).collect() }
    }

    fn with(&mut self, index: usize, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.all.get_mut(index) {
            change(record);
        }
    }

    /// It answered within `latency`.
    pub(super) fn answered(&mut self, index: usize, latency: Duration) {
        self.with(index, |record| {
            record.requests = record.requests.saturating_add(1);
            record.failures_in_row = 0;
            record.failing_until = None;
            // One part in eight is new: a single slow answer does not demote.
            record.latency = Some(record.latency.map_or(latency, |old| (old * 7 + latency) / 8));
        });
    }

    /// It gave no answer; `spread` of 2^64 spreads the pause.
    pub(super) fn failed(&mut self, index: usize, why: String, now: Duration, spread: u64) {
        self.with(index, |record| {
            record.requests = record.requests.saturating_add(1);
            record.failures = record.failures.saturating_add(1);
            record.failures_in_row = record.failures_in_row.saturating_add(1);
            let pause = backoff::wait(record.failures_in_row, spread);
            record.failing_until = Some(now.saturating_add(pause));
            record.last_trouble = Some(why);
        });
    }

    /// An answer of it was proven wrong. What it said of its head is forgotten.
    pub(super) fn lied(&mut self, index: usize, why: String, now: Duration) {
        self.with(index, |record| {
            if record.lying_until.is_some_and(|until| now > until.saturating_add(LIE_MEMORY)) {
                record.lies_in_row = 0;
            }
            let doublings = record.lies_in_row.min(16);
            record.lies_in_row = record.lies_in_row.saturating_add(1);
            let penalty = LIE_PENALTY.saturating_mul(1 << doublings).min(LIE_PENALTY_MAX);
            record.lies = record.lies.saturating_add(1);
            record.lying_until = Some(now.saturating_add(penalty));
            record.head = None;
            record.last_trouble = Some(why);
        });
    }

    /// It saw another block than the others.
    pub(super) fn disagreed(&mut self, index: usize, why: String) {
        self.with(index, |record| {
            record.disagreements = record.disagreements.saturating_add(1);
            record.last_trouble = Some(why);
        });
    }

    /// Its newest block.
    pub(super) fn head(&mut self, index: usize, number: u64) {
        self.with(index, |record| record.head = Some(number));
    }

    /// Whether it is on the right chain. True if that changed.
    pub(super) fn chain(&mut self, index: usize, wrong: Option<String>, now: Duration) -> bool {
        let mut changed = false;
        self.with(index, |record| {
            record.chain_checked = Some(now);
            changed = record.wrong_chain != wrong.is_some();
            record.wrong_chain = wrong.is_some();
            if wrong.is_some() {
                record.head = None;
                record.last_trouble = wrong;
            }
        });
        changed
    }

    /// Whether its chain's id should be asked for again.
    pub(super) fn chain_is_due(&self, index: usize, now: Duration) -> bool {
        self.all.get(index).is_some_and(|record| {
            record.wrong_chain
                || record.chain_checked.is_none_or(|at| now.saturating_sub(at) >= CHAIN_CHECK_EVERY)
        })
    }

    pub(super) fn is_on_wrong_chain(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|record| record.wrong_chain)
    }

    fn best_head(&self, now: Duration) -> u64 {
        let honest = self.all.iter().filter(|record| !record.is_lying(now));
        honest.filter_map(|record| record.head).max().unwrap_or(0)
    }

    fn standing(&self, record: &Record, now: Duration) -> Standing {
        let fastest = self.all.iter().filter_map(|record| record.latency).min();
        let slow = record.latency.zip(fastest).is_some_and(|(latency, fastest)| {
            latency > SLOW_MIN && latency > fastest.saturating_mul(SLOW_FACTOR)
        });
        let lag = self.best_head(now).saturating_sub(record.head.unwrap_or(u64::MAX));
        match record {
            Record { wrong_chain: true, .. } => Standing::WrongChain,
            record if record.is_lying(now) => Standing::Lying,
            Record { failing_until: Some(until), .. } if *until > now => Standing::Failing,
            _ if lag > LAG_MAX => Standing::Lagging,
            _ if slow => Standing::Slow,
            _ => Standing::Good,
        }
    }

    /// Whom to ask, best first. Nodes of the wrong chain are left out; liars as well while there is anybody else.
    pub(super) fn order(&self, now: Duration) -> Vec<usize> {
        let mut order: Vec<_> = self
            .all
            .iter()
            .enumerate()
            .map(|(index, record)| (self.standing(record, now), index))
            .filter(|(standing, _)| *standing != Standing::WrongChain)
            .collect();
        if order.iter().any(|(standing, _)| *standing < Standing::Lying) {
            order.retain(|(standing, _)| *standing < Standing::Lying);
        }
        order.sort_unstable();
        order.into_iter().map(|(_, index)| index).collect()
    }

    /// The best of those that may have this height: a good node can be a block or two behind the others.
    pub(super) fn best_at(&self, height: u64, now: Duration) -> Option<usize> {
        let order = self.order(now);
        let has = |index: &&usize| {
            self.all
                .get(**index)
                .is_some_and(|record| record.head.is_none_or(|head| head >= height))
        };
        order.iter().find(has).or_else(|| order.first()).copied()
    }

    /// All that are on the right chain, best first; liars last. For a quorum that cannot be had without them: what they
    /// say of headers is checked and compared like that of the others.
    pub(super) fn reserve(&self, now: Duration) -> Vec<usize> {
        let all = self.all.iter().enumerate();
        let mut reserve: Vec<_> =
            all.map(|(index, record)| (self.standing(record, now), index)).collect();
        reserve.retain(|(standing, _)| *standing != Standing::WrongChain);
        reserve.sort_unstable();
        reserve.into_iter().map(|(_, index)| index).collect()
    }

    /// Those of [`Self::order`] that did not fail just now.
    pub(super) fn ready(&self, now: Duration) -> Vec<usize> {
        let mut order = self.order(now);
        order.retain(|index| {
            self.all
                .get(*index)
                .is_some_and(|record| self.standing(record, now) < Standing::Failing)
        });
        order
    }

    /// For health pages.
    pub(super) fn snapshot(&self, now: Duration) -> Vec<EndpointScore> {
        let best = self.best_head(now);
        let score = |record: &Record| EndpointScore {
            endpoint: record.endpoint.clone(),
            standing: self.standing(record, now),
            requests: record.requests,
            failures: record.failures,
            lies: record.lies,
            disagreements: record.disagreements,
            latency: record.latency,
            head: record.head,
            lag: record.head.map_or(0, |head| best.saturating_sub(head)),
            last_trouble: record.last_trouble.clone(),
        };
        self.all.iter().map(score).collect()
    }
}

impl Record {
    fn is_lying(&self, now: Duration) -> bool {
        self.lying_until.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn three() -> Records {
        Records::new(["a", "b", "c"].map(str::to_owned))
    }

    fn standing(records: &Records, index: usize, now: Duration) -> Standing {
        records.snapshot(now)[index].standing
    }

    #[test]
    fn a_node_that_fails_goes_to_the_end_and_comes_back_after_its_pause() {
        let mut records = three();
        assert_eq!(records.order(NOW), [0, 1, 2]);
        records.failed(0, "away".to_owned(), NOW, 0);
        assert_eq!((records.order(NOW), records.ready(NOW)), (vec![1, 2, 0], vec![1, 2]));
        assert_eq!(records.order(NOW + Duration::from_secs(1)), [0, 1, 2]);
        for _ in 0..20 {
            records.failed(0, "away".to_owned(), NOW, 0);
        }
        assert_eq!(records.order(NOW + Duration::from_secs(1)), [1, 2, 0], "the pause grows");
        records.answered(0, Duration::from_millis(1));
        assert_eq!(records.order(NOW), [0, 1, 2]);
    }

    #[test]
    fn a_liar_is_left_out_while_there_is_another_and_longer_each_time() {
        let mut records = three();
        records.lied(0, "the receipts do not fit".to_owned(), NOW);
        assert_eq!(records.order(NOW), [1, 2]);
        assert_eq!(records.order(NOW + LIE_PENALTY), [0, 1, 2], "it is tried again");
        records.lied(0, "again".to_owned(), NOW);
        assert_eq!(standing(&records, 0, NOW + LIE_PENALTY), Standing::Lying);
        records.lied(1, "too".to_owned(), NOW);
        records.lied(2, "too".to_owned(), NOW);
        assert_eq!(records.order(NOW), [0, 1, 2], "with nobody else it is asked, and checked");
        for _ in 0..40 {
            records.lied(0, "again".to_owned(), NOW);
        }
        assert_eq!(standing(&records, 0, NOW + LIE_PENALTY_MAX), Standing::Good);
        assert_eq!(records.reserve(NOW), [0, 1, 2], "a quorum may need them");
        let later = NOW + LIE_PENALTY_MAX + LIE_MEMORY + Duration::from_secs(1);
        records.lied(0, "after a long time".to_owned(), later);
        assert_eq!(standing(&records, 0, later + LIE_PENALTY), Standing::Good, "as the first time");
    }

    #[test]
    fn a_laggard_is_asked_after_those_that_keep_up_and_a_liars_head_does_not_count() {
        let mut records = three();
        records.head(0, 96);
        records.head(1, 100);
        assert_eq!(records.order(NOW), [1, 2, 0]);
        records.head(0, 97);
        assert_eq!(records.order(NOW), [0, 1, 2]);
        assert_eq!([97, 98, 101].map(|height| records.best_at(height, NOW)), [0, 1, 2].map(Some));
        records.head(2, 1_000_000);
        assert_eq!(records.order(NOW), [2, 0, 1]);
        records.lied(2, "no such block".to_owned(), NOW);
        assert_eq!(records.order(NOW), [0, 1]);
    }

    #[test]
    fn a_slow_node_is_asked_later_and_one_of_the_wrong_chain_never() {
        let mut records = three();
        for _ in 0..60 {
            records.answered(0, Duration::from_secs(3));
        }
        records.answered(1, Duration::from_millis(20));
        assert_eq!(records.order(NOW), [1, 2, 0]);
        assert!(records.chain(1, Some("chain 5".to_owned()), NOW), "it changed");
        assert!(!records.chain(1, Some("chain 5".to_owned()), NOW), "it did not change again");
        assert_eq!(records.order(NOW), [2, 0]);
        records.lied(0, "x".to_owned(), NOW);
        records.lied(2, "x".to_owned(), NOW);
        assert_eq!(records.order(NOW), [0, 2], "not even when the others lie");
        assert!(records.chain(1, None, NOW));
        assert_eq!(records.order(NOW), [1]);
    }
}
