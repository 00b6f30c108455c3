//! The nodes of one chain behind one [`Rpc`](super::Rpc): who is asked, who is asked next, and what is remembered of it.
//!
//! **Invariant:** every answer and every failure is on the scoreboard; a node of the wrong chain is never asked.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use alloy_primitives::U64;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    connection::Connection,
    score::{Records, Scoreboard},
};
use crate::{
    error::{CODE_METHOD_NOT_FOUND, RpcError, shortened},
    verify::VerifyError,
};

/// Several nodes, or one.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) members: Vec<Connection>,
    pub(super) quorum: usize,
    chain_id: OnceLock<u64>,
    records: Mutex<Records>,
    started: Instant,
}

impl Pool {
    pub(super) fn new(members: Vec<Connection>, quorum: usize) -> Self {
        let records = Records::new(members.iter().map(|member| member.shown().to_owned()));
        Self {
            members,
            quorum,
            chain_id: OnceLock::new(),
            records: Mutex::new(records),
            started: Instant::now(),
        }
    }

    /// The chain that all nodes must be on, once it is known.
    pub(super) fn chain_id(&self) -> Option<u64> {
        self.chain_id.get().copied()
    }

    /// Sets the chain; the first one stays.
    pub(super) fn expect_chain(&self, chain_id: u64) {
        self.chain_id.get_or_init(|| chain_id);
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        // A scoreboard that was left half written is still a scoreboard.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn order(&self) -> Vec<usize> {
        self.records().order(self.now())
    }

    pub(super) fn best_at(&self, height: u64) -> Option<usize> {
        self.records().best_at(height, self.now())
    }

    pub(super) fn reserve(&self) -> Vec<usize> {
        self.records().reserve(self.now())
    }

    pub(super) fn ready(&self) -> Vec<usize> {
        self.records().ready(self.now())
    }

    pub(super) fn scoreboard(&self) -> Scoreboard {
        let endpoints = self.records().snapshot(self.now());
        Scoreboard { quorum: self.quorum, endpoints }
    }

    pub(super) fn shown(&self, index: usize) -> &str {
        self.members.get(index).map_or("", Connection::shown)
    }

    pub(super) fn note_head(&self, index: usize, number: u64) {
        self.records().head(index, number);
    }

    /// An answer was proven wrong.
    pub(super) fn blame(&self, index: usize, error: VerifyError) -> RpcError {
        let endpoint = self.shown(index).to_owned();
        if error.is_lie() {
            tracing::warn!(%endpoint, reason = %error, "an endpoint's answer is not true; it is demoted");
            self.records().lied(index, error.to_string(), self.now());
        }
        RpcError::Unverified { endpoint, reason: error }
    }

    /// A node sees another block than the others.
    pub(super) fn disagreed(&self, index: usize, why: String) {
        tracing::warn!(endpoint = self.shown(index), reason = %why, "an endpoint disagrees with the others");
        self.records().disagreed(index, why);
    }

    /// A node has another block where nothing changes any more.
    pub(super) fn contradicted(&self, index: usize, why: String) {
        tracing::warn!(endpoint = self.shown(index), reason = %why, "an endpoint contradicts the others; it is demoted");
        self.records().lied(index, why, self.now());
    }

    /// Asks one node and keeps the score.
    pub(super) async fn ask_one<R: DeserializeOwned>(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
    ) -> Result<R, RpcError> {
        let member = self.member(index)?;
        let asked = Instant::now();
        let answer = member.ask(method, params).await.and_then(|raw| read(method, &raw));
        self.keep(index, asked, answer)
    }

    /// Asks one node many things of one kind.
    pub(super) async fn ask_many<R: DeserializeOwned>(
        &self,
        index: usize,
        method: &'static str,
        params: &[Box<RawValue>],
    ) -> Result<Vec<R>, RpcError> {
        let member = self.member(index)?;
        let asked = Instant::now();
        let answers = member.ask_many(method, params).await;
        let read_all = answers.and_then(|all| all.iter().map(|raw| read(method, raw)).collect());
        self.keep(index, asked, read_all)
    }

    pub(super) fn member(&self, index: usize) -> Result<&Connection, RpcError> {
        self.members.get(index).ok_or_else(|| RpcError::Address {
            reason: "there is no endpoint with this number".to_owned(),
        })
    }

    fn keep<R>(
        &self,
        index: usize,
        asked: Instant,
        answer: Result<R, RpcError>,
    ) -> Result<R, RpcError> {
        match &answer {
            Err(error) if is_failure(error) => {
                let seed = RandomState::new().hash_one(index);
                self.records().failed(index, error.to_string(), self.now(), seed);
            }
            // A refusal is an answer too.
            _ => self.records().answered(index, asked.elapsed()),
        }
        answer
    }

    /// Compares a node's chain with the expected one; before one is expected there is nothing to compare.
    pub(super) async fn check_chain(&self, index: usize) -> Result<(), RpcError> {
        let Some(expected) = self.chain_id() else { return Ok(()) };
        let params = serde_json::value::to_raw_value(&[(); 0])
            .map_err(|error| unreadable("eth_chainId", &error))?;
        let found: U64 = self.ask_one(index, "eth_chainId", &params).await?;
        let found = found.to();
        let endpoint = self.shown(index).to_owned();
        let error = RpcError::WrongChain { endpoint, expected, found };
        let wrong = found != expected;
        if self.records().chain(index, wrong.then(|| error.to_string()), self.now()) {
            tracing::warn!(
                endpoint = self.shown(index),
                expected,
                found,
                "an endpoint changed its chain"
            );
        }
        if wrong { Err(error) } else { Ok(()) }
    }

    /// As [`Self::check_chain`], now and then while nothing is wrong.
    pub(super) async fn check_chain_if_due(&self, index: usize) -> Result<(), RpcError> {
        if self.records().chain_is_due(index, self.now()) {
            self.check_chain(index).await
        } else {
            Ok(())
        }
    }

    pub(super) fn is_on_wrong_chain(&self, index: usize) -> bool {
        self.records().is_on_wrong_chain(index)
    }
}

/// Whether it says something about the node rather than about the question.
fn is_failure(error: &RpcError) -> bool {
    matches!(
        error,
        RpcError::Unreachable { .. }
            | RpcError::TimedOut { .. }
            | RpcError::RateLimited { .. }
            | RpcError::Malformed { .. }
    )
}

/// Whether another node may answer what this one did not.
pub(super) fn ask_another(error: &RpcError) -> bool {
    is_failure(error)
        || matches!(error, RpcError::Refused { code, .. } if *code == CODE_METHOD_NOT_FOUND)
}

fn read<R: DeserializeOwned>(method: &'static str, raw: &RawValue) -> Result<R, RpcError> {
    serde_json::from_str(raw.get()).map_err(|error| unreadable(method, &error))
}

pub(super) fn unreadable(method: &'static str, error: &serde_json::Error) -> RpcError {
    RpcError::Malformed { method: method.to_owned(), reason: shortened(&error.to_string()) }
}
