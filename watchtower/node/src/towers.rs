//! Backups to towers over their HTTP intake: the newest envelope of each channel, until the tower has it.
//!
//! One worker for each tower. A newer envelope takes the place of one that waits, so under load updates are coalesced, and a
//! tower that is down costs one envelope of memory for each channel. A tower that is not reached pauses its worker; an
//! envelope that it does not take pauses itself, or is dropped where the tower will never take it.
//!
//! **Invariant:** a receipt is handed on only if its signature is good and it covers the envelope that was sent.
//! **Invariant:** no envelope and no question holds up the others of its tower.
//! **Invariant:** what merely spreads an envelope ([`Spread`]) gives no receipt that counts.

mod line;
mod spread;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Address;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::ChannelId;
use protocol::backup::{Envelope, SignedReceipt, UnverifiedEnvelope};
use protocol::zksc::Channel;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use line::Line;
use spread::network;
pub use spread::{Herald, Spread, SpreadError};
use talk::{Failure, Offered, fetch, offer};

/// Offers to one tower at a time, and as many questions.
const AT_ONCE: usize = 8;
/// Jobs that may wait for a worker; at the bound they are dropped, the state stays unprotected, which is shown, and is handed
/// over again later.
pub(crate) const JOBS_MAX: usize = 4_096;
/// Questions that may wait in a worker; more are dropped and asked again.
const FETCHING_MAX: usize = 16_384;
/// Answers that may wait for the node.
pub(crate) const ANSWERS_MAX: usize = 4_096;
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MOST: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// With nothing to wait for a worker looks again after so long.
const IDLE: Duration = Duration::from_secs(3_600);

/// What a worker is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// Hand this over.
    Publish(Arc<Envelope>, Box<Channel>),
    /// Fetch both slots of a channel.
    Fetch(ChannelId),
    /// The channel is over: its envelopes are of no use.
    Over(ChannelId),
}

/// What a worker found.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A receipt of the tower at this place of the list.
    Receipt(usize, Box<SignedReceipt>),
    /// What the tower at this place of the list serves for a channel; nothing in it is checked.
    Fetched { tower: usize, channel: ChannelId, envelopes: Vec<UnverifiedEnvelope> },
}

/// The node's end of all workers.
#[derive(Debug)]
pub(crate) struct Towers {
    jobs: Vec<mpsc::Sender<Job>>,
    /// What spreads envelopes and receipts nothing.
    spread: Option<mpsc::Sender<Job>>,
}

impl Towers {
    pub(crate) fn count(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is anybody to hand envelopes to.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.spread.is_none()
    }

    /// To every tower, and to what spreads them; how many of the towers have too much to do already.
    pub(crate) fn all(&self, job: &Job) -> usize {
        if let Some(spread) = &self.spread {
            // Best effort: what is not spread is handed over all the same.
            let _ = spread.try_send(job.clone());
        }
        self.jobs.iter().filter(|jobs| jobs.try_send(job.clone()).is_err()).count()
    }

    /// A channel is over: no tower takes its backups any more. A worker with too much to do goes on offering them, seldom.
    pub(crate) fn over(&self, channel: ChannelId) {
        self.all(&Job::Over(channel));
    }

    /// To one tower.
    pub(crate) fn one(&self, tower: usize, job: Job) {
        if let Some(jobs) = self.jobs.get(tower) {
            // A worker with too much to do is asked again with the next check.
            let _ = jobs.try_send(job);
        }
    }
}

/// One tower's worker; does nothing until it is run.
#[derive(Debug)]
pub struct Worker {
    /// Its place in the list; none for one that shares this machine's disk, whose receipts protect nothing.
    at: Option<usize>,
    url: String,
    http: reqwest::Client,
    jobs: mpsc::Receiver<Job>,
    answers: mpsc::Sender<Answer>,
    line: Line,
    fetching: BTreeSet<ChannelId>,
    pause: Duration,
    rest_until: Instant,
}

/// What the node is told, and by whom its envelopes are carried.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) towers: Towers,
    pub(crate) workers: Vec<Worker>,
    pub(crate) herald: Option<Herald>,
    pub(crate) answers: mpsc::Receiver<Answer>,
}

/// Workers for the towers at these addresses, and what else spreads their envelopes.
pub(crate) fn start(
    urls: &[String],
    spread: &Spread,
    domain: protocol::Domain,
) -> Result<Started, SpreadError> {
    let (answers, heard) = mpsc::channel(ANSWERS_MAX);
    let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
    let (mut all, mut workers) = (Vec::new(), Vec::new());
    for (at, url) in urls.iter().enumerate() {
        let (sender, jobs) = mpsc::channel(JOBS_MAX);
        all.push(sender);
        workers.push(Worker::new((Some(at), url.as_str()), http.clone(), jobs, answers.clone()));
    }
    let (sender, jobs) = mpsc::channel(JOBS_MAX);
    let mut herald = None;
    let spread = match spread {
        Spread::Nowhere => None,
        Spread::Tower(url) => {
            // On this machine: no proxy of the world outside is asked for it.
            let near = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build()?;
            workers.push(Worker::new((None, url.as_str()), near, jobs, answers));
            Some(sender)
        }
        Spread::Gossip(bootstrap) => {
            herald = Some(network(bootstrap, domain, jobs)?);
            Some(sender)
        }
    };
    let towers = Towers { jobs: all, spread };
    Ok(Started { towers, workers, herald, answers: heard })
}

/// Workers for these towers alone.
#[cfg(test)]
pub(crate) fn listed(urls: &[String]) -> Started {
    start(urls, &Spread::Nowhere, protocol::Domain::derive(1, Address::ZERO)).unwrap()
}

#[cfg(test)]
impl Worker {
    /// How many envelopes wait to be looked at.
    pub(crate) fn published(&mut self) -> usize {
        std::iter::from_fn(|| self.jobs.try_recv().ok())
            .filter(|job| matches!(job, Job::Publish(..)))
            .count()
    }
}

impl Worker {
    fn new(
        (at, url): (Option<usize>, &str),
        http: reqwest::Client,
        jobs: mpsc::Receiver<Job>,
        answers: mpsc::Sender<Answer>,
    ) -> Self {
        Self {
            at,
            url: url.trim_end_matches('/').to_owned(),
            http,
            jobs,
            answers,
            line: Line::default(),
            fetching: BTreeSet::new(),
            pause: PAUSE_FIRST,
            rest_until: Instant::now(),
        }
    }

    /// Works until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut offers, mut fetches) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            let now = Instant::now();
            while now >= self.rest_until
                && offers.len() < AT_ONCE
                && let Some((envelope, channel)) = self.line.next(now)
            {
                offers.push(offer(self.http.clone(), self.url.clone(), envelope, channel));
            }
            while fetches.len() < AT_ONCE
                && let Some(channel) = self.fetching.pop_first()
            {
                fetches.push(fetch(self.http.clone(), self.url.clone(), channel));
            }
            let wake = self.wake(now, offers.len() < AT_ONCE);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(offered) = offers.next() => self.on_offered(offered).await,
                Some((channel, found)) = fetches.next() => self.on_fetched(channel, found).await,
                job = self.jobs.recv() => match job {
                    Some(Job::Publish(envelope, channel)) => self.line.put(envelope, channel),
                    Some(Job::Fetch(channel)) => self.ask(channel),
                    Some(Job::Over(channel)) => self.line.over(channel),
                    None => return,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// When there is something to do though nothing happens.
    fn wake(&self, now: Instant, has_room: bool) -> Instant {
        let idle = now.checked_add(IDLE).unwrap_or(now);
        match self.line.due() {
            _ if self.rest_until > now => self.rest_until,
            // Without room an offer must come back first.
            Some(due) if has_room => due,
            _ => idle,
        }
    }

    fn ask(&mut self, channel: ChannelId) {
        if self.fetching.len() < FETCHING_MAX {
            self.fetching.insert(channel);
        }
    }

    async fn on_offered(&mut self, (envelope, channel, outcome): Offered) {
        let id = envelope.header().channel_id;
        match outcome {
            Ok(receipt) => {
                self.pause = PAUSE_FIRST;
                self.line.done(id);
                if let Some(at) = self.at {
                    // A node that is gone wants no receipts.
                    let _ = self.answers.send(Answer::Receipt(at, Box::new(receipt))).await;
                }
            }
            Err(Failure::Never(error)) => {
                tracing::warn!(tower = self.url, channel = %id, error, "the tower will not take this backup");
                self.line.done(id);
            }
            Err(Failure::Later(error)) => {
                tracing::debug!(tower = self.url, channel = %id, error, "the tower does not take this backup now");
                self.line.pause(envelope, channel, Instant::now());
            }
            Err(Failure::Unreachable(error)) => {
                self.line.put(envelope, channel);
                let now = Instant::now();
                // Those that were on their way together say it once.
                if now >= self.rest_until {
                    tracing::warn!(
                        tower = self.url,
                        error,
                        pause_ms = self.pause.as_millis(),
                        "the tower does not take backups"
                    );
                    self.rest_until = now.checked_add(self.pause).unwrap_or(now);
                    self.pause = self.pause.saturating_mul(2).min(PAUSE_MOST);
                }
            }
        }
    }

    async fn on_fetched(
        &mut self,
        channel: ChannelId,
        found: Result<Vec<UnverifiedEnvelope>, String>,
    ) {
        let Some(tower) = self.at else { return };
        match found {
            Ok(envelopes) => {
                let answer = Answer::Fetched { tower, channel, envelopes };
                let _ = self.answers.send(answer).await;
            }
            Err(error) => {
                tracing::warn!(tower = self.url, %channel, error, "the tower does not answer");
            }
        }
    }
}

/// A tower's account, by its place in the list: learned from its receipts, and then expected.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<usize, Address>);

impl Names {
    pub(crate) fn place_of(&self, tower: Address) -> Option<usize> {
        self.0.iter().find(|(_, known)| **known == tower).map(|(at, _)| *at)
    }

    pub(crate) fn name_of(&self, at: usize) -> Option<Address> {
        self.0.get(&at).copied()
    }

    /// Whether the tower at this place signs with the account that it signed with before: another one would count as another
    /// tower, and one of them could then make any number.
    pub(crate) fn learn(&mut self, at: usize, tower: Address) -> bool {
        *self.0.entry(at).or_insert(tower) == tower
    }
}

#[cfg(test)]
mod tests;
