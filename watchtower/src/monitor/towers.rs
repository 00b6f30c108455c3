//! Asks towers over HTTP what they hold of a disputed channel.

use std::time::Duration;

use alloy_primitives::Bytes;
use protocol::Role;
use protocol::backup::{Envelope, UnverifiedEnvelope, open};
use protocol::zksc::FinalState;
use serde::Deserialize;

use super::watch::Wanted;

/// A tower that takes longer is passed over this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The largest answer that is read: an envelope in hexadecimal, and room.
const ANSWER_BYTES_MAX: usize = 4 * Envelope::LEN + 4_096;

#[derive(Deserialize)]
struct Served {
    envelope: Bytes,
}

/// The towers that are asked.
#[derive(Debug)]
pub(crate) struct TowerClients {
    urls: Vec<String>,
    client: reqwest::Client,
    answering: u64,
}

impl TowerClients {
    pub(crate) fn new(urls: &[String], client: reqwest::Client) -> Self {
        let urls = urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Self { urls, client, answering: 0 }
    }

    /// How many answered the last time they were asked.
    pub(crate) fn answering(&self) -> u64 {
        self.answering
    }

    /// The states that the towers' envelopes of this channel open to.
    pub(crate) async fn states(&mut self, wanted: &Wanted) -> Vec<FinalState> {
        let asked = self.urls.iter().map(|url| self.ask(url, wanted));
        let answers = futures::future::join_all(asked).await;
        self.answering = answers.iter().filter(|answer| answer.is_some()).fold(0, |sum, _| sum + 1);
        answers.into_iter().flatten().flatten().collect()
    }

    /// None if the tower does not answer.
    async fn ask(&self, url: &str, wanted: &Wanted) -> Option<Vec<FinalState>> {
        let mut states = Vec::new();
        for role in Role::BOTH {
            let page = format!("{url}/v1/backups/{}/{role}", wanted.id.channel_id);
            let request = self.client.get(page).timeout(ANSWER_WITHIN).send();
            let answer = request.await.ok()?;
            if !answer.status().is_success() {
                continue;
            }
            if let Some(state) = read(answer, wanted).await {
                states.push(state);
            }
        }
        Some(states)
    }
}

/// Reads a bounded answer, and verifies it like any envelope.
async fn read(mut answer: reqwest::Response, wanted: &Wanted) -> Option<FinalState> {
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&part);
        if bytes.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    let served: Served = serde_json::from_slice(&bytes).ok()?;
    let envelope = UnverifiedEnvelope::from_bytes(&served.envelope).ok()?;
    let envelope = envelope.admit(&wanted.channel).ok()?;
    open(&envelope, &wanted.channel, &wanted.key).ok()
}
