//! What is looked at once a scrape: the health of the parts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use chain::follower::{Alarm, Health};
use chain::provider::{EndpointScore, Standing};
use chain::submitter::SubmitHealth;
use metrics::Standing as Stand;
use metrics::{
    Alarm as AlarmKind, Chain, Endpoint, Label as _, Offer, Queue, Table, Task, Waiting,
};
use store::Store;

use super::steps::wei;
use super::{Recorder, count};
use crate::driver::obligation::OutboxRow;
use crate::http::Shared;

/// Since when each obligation is due, as far as this process saw it: none for one that is not due yet.
#[derive(Debug, Default)]
pub(super) struct Dues(BTreeMap<String, Due>);

#[derive(Debug)]
struct Due {
    not_before: Option<u64>,
    since: Option<Instant>,
}

impl Recorder {
    /// Sets everything that is looked at rather than counted.
    pub(super) fn scrape(&self, shared: &Shared, ready: bool, alive: bool) {
        let follower = shared.follower.borrow().clone();
        let submitter = shared.submitter.borrow().clone();
        let chain_now = follower.tip.map_or(0, |tip| tip.head.timestamp);
        let build = &self.metrics.build;
        build.ready.set_flag(ready);
        build.alive.set_flag(alive);
        build.chain_id.set_count(shared.store.facts().chain_id);
        self.metrics.prover.ready.set_flag(*shared.prover_ready.borrow());
        set_chain(&self.metrics.chain, &follower);
        for (place, score) in follower.scoreboard.endpoints.iter().enumerate() {
            self.endpoint(Endpoint::at(place), score);
        }
        self.submit(&submitter);
        self.storage(shared);
        self.due(&shared.store, chain_now);
        self.intake(shared);
        self.admission(shared);
        self.scrape_queues();
        self.ended(shared.ended.borrow().iter().copied());
        for task in [Task::Node, Task::Submitter] {
            if let Some(idle) = self.idle(task) {
                self.metrics.tasks.idle.of(task).set(idle.as_secs_f64());
            }
        }
    }

    fn endpoint(&self, at: Endpoint, score: &EndpointScore) {
        let endpoints = &self.metrics.endpoints;
        let standing = standing_of(score.standing);
        for known in Stand::ALL {
            endpoints.standing.of(at, *known).set_flag(*known == standing);
        }
        endpoints.head.of(at).set_count(score.head.unwrap_or(0));
        endpoints.lag.of(at).set_count(score.lag);
        endpoints.latency.of(at).set(score.latency.unwrap_or_default().as_secs_f64());
        endpoints.requests.of(at).follow(score.requests);
        endpoints.failures.of(at).follow(score.failures);
        endpoints.lies.of(at).follow(score.lies);
        endpoints.disagreements.of(at).follow(score.disagreements);
    }

    fn submit(&self, submitter: &SubmitHealth) {
        let submit = &self.metrics.submit;
        for (state, number) in [
            (Waiting::Open, submitter.open),
            (Waiting::Unmined, submitter.unmined),
            (Waiting::Backlog, submitter.backlog.count),
            (Waiting::Unfunded, submitter.unfunded),
        ] {
            submit.obligations.of(state).set(count(number));
        }
        submit.foreign.follow(submitter.foreign_total);
        submit.failures.set_count(u64::from(submitter.failures));
        if let Some(treasury) = submitter.treasury {
            let account = &self.metrics.account;
            account.balance.set(wei(treasury.balance));
            account.in_pool.set(wei(treasury.in_pool));
            account.possible.set(wei(treasury.possible));
            account.shortfall.set(wei(treasury.shortfall()));
        }
    }

    fn storage(&self, shared: &Shared) {
        let storage = &self.metrics.storage;
        let whole = shared.store.scrubbed().is_none_or(|scrubbed| scrubbed.damaged == 0);
        storage.healthy.set_flag(whole && shared.store.health().is_ok());
        if let Ok(sizes) = shared.store.sizes() {
            for (table, rows) in [
                (Table::Channels, sizes.channels),
                (Table::Backups, sizes.backups),
                (Table::Disputes, sizes.disputes),
                (Table::Outbox, sizes.outbox),
            ] {
                storage.rows.of(table).set_count(rows);
            }
        }
        storage.file.set_count(std::fs::metadata(&shared.store_path).map_or(0, |file| file.len()));
        if let Some((free, size)) = disk_of(&shared.store_path) {
            storage.disk_free.set_count(free);
            storage.disk_size.set_count(size);
        }
        let (waiting, bound) = shared.store.waiting();
        self.metrics.queues.depth.of(Queue::Store).set(count(waiting));
        self.metrics.queues.capacity.of(Queue::Store).set(count(bound));
    }

    /// How long the oldest obligation that is due waits. A row is read once, when its name is new.
    fn due(&self, store: &Store, chain_now: u64) {
        let Ok(names) = store.outbox_names() else { return };
        let mut memory = self.memory();
        let dues = &mut memory.dues.0;
        dues.retain(|name, _| names.binary_search(name).is_ok());
        for name in names {
            dues.entry(name).or_insert_with_key(|name| {
                let row = OutboxRow::named(store, name).ok().flatten();
                Due {
                    not_before: row.and_then(|row| row.record.obligation.not_before),
                    since: None,
                }
            });
        }
        let mut oldest = None::<Instant>;
        for due in dues.values_mut() {
            if due.not_before.is_none_or(|start| start <= chain_now) {
                let since = *due.since.get_or_insert_with(Instant::now);
                oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
            }
        }
        let waits = oldest.map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.metrics.submit.oldest.set(waits);
    }

    fn intake(&self, shared: &Shared) {
        let (intake, counters) = (&self.metrics.intake, &shared.counters);
        let read = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
        intake.backups.of(Offer::Stored).follow(read(&counters.stored));
        intake.backups.of(Offer::Repeated).follow(read(&counters.repeated));
        intake.backups.of(Offer::Refused).follow(read(&counters.refused));
        self.metrics.queues.full.of(Queue::Http).follow(read(&counters.turned_away));
    }
}

/// How the follower fares.
pub(crate) fn set_chain(chain: &Chain, follower: &Health) {
    if let Some(tip) = follower.tip {
        let now_s = crate::clock::now_s();
        chain.head.set_count(tip.head.id.number);
        chain.finalized.set_count(tip.finalized.unwrap_or(0));
        chain.head_age.set_count(now_s.saturating_sub(tip.head.timestamp));
        chain.head_ahead.set_count(tip.head.timestamp.saturating_sub(now_s));
    }
    chain.read.set_count(follower.position);
    chain.behind.set_count(follower.behind);
    chain.failures.set_count(u64::from(follower.failures));
    chain.quorum.set(count(follower.scoreboard.quorum));
    for kind in AlarmKind::ALL {
        let of = follower.alarms.iter().filter(|alarm| kind_of(alarm) == Some(*kind));
        chain.alarms.of(*kind).set(count(of.count()));
    }
}

/// Bytes that the file system with this file has left for this user, and its size.
pub(crate) fn disk_of(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

fn kind_of(alarm: &Alarm) -> Option<AlarmKind> {
    Some(match alarm {
        Alarm::HeadOld { .. } => AlarmKind::HeadOld,
        Alarm::ClockBehind { .. } => AlarmKind::ClockBehind,
        Alarm::Endpoint { .. } => AlarmKind::Endpoint,
        Alarm::Halted(_) => AlarmKind::Halted,
        _ => return None,
    })
}

fn standing_of(standing: Standing) -> Stand {
    match standing {
        Standing::Good => Stand::Good,
        Standing::Slow => Stand::Slow,
        Standing::Lagging => Stand::Lagging,
        Standing::Failing => Stand::Failing,
        Standing::Lying => Stand::Lying,
        Standing::WrongChain => Stand::WrongChain,
    }
}
