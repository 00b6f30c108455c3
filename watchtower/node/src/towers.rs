//! Backups to towers over their HTTP intake: the newest envelope of each channel, until the tower has it.
//!
//! One worker for each tower. A newer envelope takes the place of one that waits, so under load updates are coalesced, and a
//! tower that is down costs one envelope of memory for each channel.
//!
//! **Invariant:** a receipt is handed on only if its signature is good and it covers the envelope that was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, Bytes};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::backup::{Envelope, SignedReceipt, UnverifiedEnvelope};
use protocol::zksc::Channel;
use protocol::{ChannelId, Role};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Requests to one tower at a time.
const AT_ONCE: usize = 8;
/// Jobs that may wait for a worker; at the bound they are dropped and the state stays unprotected, which is shown.
pub(crate) const JOBS_MAX: usize = 4_096;
/// Answers that may wait for the node.
pub(crate) const ANSWERS_MAX: usize = 4_096;
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MOST: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes: an envelope in hexadecimal, with room.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What a worker is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// Hand this over.
    Publish(Arc<Envelope>, Box<Channel>),
    /// Fetch both slots of a channel.
    Fetch(ChannelId),
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
}

impl Towers {
    pub(crate) fn count(&self) -> usize {
        self.jobs.len()
    }

    /// To every tower; how many have too much to do already.
    pub(crate) fn all(&self, job: &Job) -> usize {
        self.jobs.iter().filter(|jobs| jobs.try_send(job.clone()).is_err()).count()
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
    at: usize,
    url: String,
    http: reqwest::Client,
    jobs: mpsc::Receiver<Job>,
    answers: mpsc::Sender<Answer>,
    waiting: BTreeMap<ChannelId, (Arc<Envelope>, Box<Channel>)>,
    fetching: Vec<ChannelId>,
}

/// Workers for the towers at these addresses.
pub(crate) fn start(
    urls: &[String],
) -> Result<(Towers, Vec<Worker>, mpsc::Receiver<Answer>), reqwest::Error> {
    let (answers, heard) = mpsc::channel(ANSWERS_MAX);
    let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
    let (mut all, mut workers) = (Vec::new(), Vec::new());
    for (at, url) in urls.iter().enumerate() {
        let (sender, jobs) = mpsc::channel(JOBS_MAX);
        all.push(sender);
        workers.push(Worker {
            at,
            url: url.trim_end_matches('/').to_owned(),
            http: http.clone(),
            jobs,
            answers: answers.clone(),
            waiting: BTreeMap::new(),
            fetching: Vec::new(),
        });
    }
    Ok((Towers { jobs: all }, workers, heard))
}

#[derive(Deserialize)]
struct Taken {
    receipt: SignedReceipt,
}

#[derive(Deserialize)]
struct Served {
    envelope: Bytes,
}

type Offered = (Arc<Envelope>, Box<Channel>, Result<SignedReceipt, String>);

impl Worker {
    /// Works until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut open = FuturesUnordered::new();
        let mut pause = PAUSE_FIRST;
        let mut rest = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            self.fetch().await;
            if rest.is_elapsed() {
                while open.len() < AT_ONCE
                    && let Some((_, (envelope, channel))) = self.waiting.pop_first()
                {
                    open.push(offer(self.http.clone(), self.url.clone(), envelope, channel));
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(offered) = open.next() => match self.on_offered(offered).await {
                    Ok(()) => pause = PAUSE_FIRST,
                    Err(error) => {
                        tracing::warn!(tower = self.url, error, pause_ms = pause.as_millis(), "the tower did not take a backup");
                        rest.as_mut().reset(tokio::time::Instant::now() + pause);
                        pause = pause.saturating_mul(2).min(PAUSE_MOST);
                    }
                },
                job = self.jobs.recv() => match job {
                    Some(Job::Publish(envelope, channel)) => self.put(envelope, channel),
                    Some(Job::Fetch(channel)) => self.fetching.push(channel),
                    None => return,
                },
                () = &mut rest, if !rest.is_elapsed() => {}
            }
        }
    }

    /// A newer envelope takes the place of an older one.
    fn put(&mut self, envelope: Arc<Envelope>, channel: Box<Channel>) {
        let id = envelope.header().channel_id;
        let newer =
            |held: &(Arc<Envelope>, Box<Channel>)| held.0.header().nonce > envelope.header().nonce;
        if !self.waiting.get(&id).is_some_and(newer) {
            self.waiting.insert(id, (envelope, channel));
        }
    }

    async fn on_offered(&mut self, (envelope, channel, outcome): Offered) -> Result<(), String> {
        match outcome {
            Ok(receipt) => {
                // A node that is gone wants no receipts.
                let _ = self.answers.send(Answer::Receipt(self.at, Box::new(receipt))).await;
                Ok(())
            }
            Err(error) => {
                self.put(envelope, channel);
                Err(error)
            }
        }
    }

    async fn fetch(&mut self) {
        for channel in std::mem::take(&mut self.fetching) {
            let mut envelopes = Vec::new();
            let mut answered = true;
            for role in Role::BOTH {
                match slot(&self.http, &self.url, channel, role).await {
                    Ok(found) => envelopes.extend(found),
                    Err(error) => {
                        tracing::warn!(tower = self.url, %channel, error, "the tower does not answer");
                        answered = false;
                    }
                }
            }
            if answered {
                let answer = Answer::Fetched { tower: self.at, channel, envelopes };
                let _ = self.answers.send(answer).await;
            }
        }
    }
}

async fn offer(
    http: reqwest::Client,
    url: String,
    envelope: Arc<Envelope>,
    channel: Box<Channel>,
) -> Offered {
    let outcome = post(&http, &url, &envelope, &channel).await;
    (envelope, channel, outcome)
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    envelope: &Envelope,
    channel: &Channel,
) -> Result<SignedReceipt, String> {
    let body = serde_json::json!({"envelope": Bytes::from(envelope.to_bytes())});
    let answer = http.post(format!("{url}/v1/backups")).json(&body).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let bytes = read(answer).await?;
    if !status.is_success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)));
    }
    let taken: Taken = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let terms = channel.terms();
    taken
        .receipt
        .covers(envelope, terms.chain_id, terms.vipe)
        .map_err(|error| error.to_string())?;
    Ok(taken.receipt)
}

async fn slot(
    http: &reqwest::Client,
    url: &str,
    channel: ChannelId,
    role: Role,
) -> Result<Option<UnverifiedEnvelope>, String> {
    let answer = http.get(format!("{url}/v1/backups/{channel}/{role}")).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let status = answer.status();
    let bytes = read(answer).await?;
    if !status.is_success() {
        return Err(format!("{status}"));
    }
    let served: Served = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    UnverifiedEnvelope::from_bytes(&served.envelope).map(Some).map_err(|error| error.to_string())
}

/// At most [`ANSWER_BYTES_MAX`].
async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if bytes.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err("the answer is too long".to_owned());
        }
        bytes.extend(&chunk);
    }
    Ok(bytes)
}

/// A tower's account, by its place in the list: learned from its receipts.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<usize, Address>);

impl Names {
    pub(crate) fn place_of(&self, tower: Address) -> Option<usize> {
        self.0.iter().find(|(_, known)| **known == tower).map(|(at, _)| *at)
    }

    pub(crate) fn name_of(&self, at: usize) -> Option<Address> {
        self.0.get(&at).copied()
    }

    pub(crate) fn learn(&mut self, at: usize, tower: Address) {
        self.0.insert(at, tower);
    }
}
