//! Nodes of the settlement layer: connections with time-outs, and the questions that we ask.
//!
//! An [`Rpc`] stands for one node or for several of one chain ([`Rpc::connect_all`]); who uses it need not know. Of
//! several the best one is asked, by a scoreboard (`score`), and another one when it gives no answer. The follower goes
//! further: it compares what they say (`agree`) and checks it against the chain ([`crate::verify`]).
//!
//! Answers are read into our own small structs (`shapes`) and every failure is an [`RpcError`] that says whether to try
//! again. Nothing is retried here at the same node: the follower and the submitter know how urgent their question is.

mod agree;
mod call;
mod checked;
mod connection;
pub(crate) mod endpoint;
mod pool;
mod questions;
mod score;
mod shapes;
pub mod startup;

use std::sync::Arc;

use alloy::pubsub::Subscription;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

pub(crate) use self::checked::Checked;
pub use self::{
    call::CallError,
    endpoint::Endpoint,
    score::{EndpointScore, Scoreboard, Standing},
    shapes::{At, CallRequest, FeeHistory, Header, Log, Receipt},
};
use self::{
    connection::Connection,
    pool::{Pool, ask_another, unreadable},
};
use crate::{error::RpcError, verify::VerifyError};

/// Nodes of one chain, or one of them; clones share connections and scoreboard.
#[derive(Clone)]
pub struct Rpc {
    pool: Arc<Pool>,
    /// Only this node is asked.
    pinned: Option<usize>,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rpc").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Rpc {
    /// Connects to a node. For `http` nothing is sent yet; for `ws` the socket is opened.
    ///
    /// # Errors
    /// When the address is unusable, or the socket cannot be opened in time.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, RpcError> {
        let member = Connection::new(endpoint)?;
        if member.subscribes() {
            member.client().await?;
        }
        Ok(Self::of(vec![member], 1))
    }

    /// Prepares connections to several nodes of one chain, of which `quorum` must agree on a block before the follower
    /// reads it. Nothing is sent yet: a node that is away now is used when it comes back.
    ///
    /// # Errors
    /// When an address is unusable, there is none, or fewer than `quorum`.
    pub fn connect_all(endpoints: &[Endpoint], quorum: usize) -> Result<Self, RpcError> {
        if quorum == 0 || quorum > endpoints.len() {
            let reason = format!("{quorum} of {} nodes cannot agree on anything", endpoints.len());
            return Err(RpcError::Address { reason });
        }
        let members = endpoints.iter().map(Connection::new).collect::<Result<_, _>>()?;
        Ok(Self::of(members, quorum))
    }

    fn of(members: Vec<Connection>, quorum: usize) -> Self {
        Self { pool: Arc::new(Pool::new(members, quorum)), pinned: None }
    }

    /// Nodes over transports of the caller's own, by name.
    #[cfg(test)]
    pub(crate) fn over(
        clients: Vec<(&str, alloy::rpc::client::RpcClient)>,
        quorum: usize,
        request_timeout: std::time::Duration,
    ) -> Self {
        let member = |(name, client)| Connection::over(name, client, request_timeout);
        Self::of(clients.into_iter().map(member).collect(), quorum)
    }

    /// Scheme, host and port of the node, or of the best one.
    pub fn endpoint(&self) -> &str {
        let best = self.pinned.or_else(|| self.pool.order().first().copied());
        self.pool.shown(best.unwrap_or(0))
    }

    /// From now on a node that names another chain is not used. The first chain that is set stays.
    pub fn expect_chain(&self, chain_id: u64) {
        self.pool.expect_chain(chain_id);
    }

    /// How each node fares.
    pub fn scoreboard(&self) -> Scoreboard {
        self.pool.scoreboard()
    }

    /// Each node by itself, in the order of the configuration: to send something to all of them.
    pub fn each(&self) -> impl Iterator<Item = Self> + '_ {
        let members = match self.pinned {
            Some(index) => index..index.saturating_add(1),
            None => 0..self.pool.members.len(),
        };
        members.map(|index| self.only(index))
    }

    /// The one with this number alone.
    fn only(&self, index: usize) -> Self {
        Self { pool: Arc::clone(&self.pool), pinned: Some(index) }
    }

    /// The best node alone, so that a chain of questions goes to one place and a lie has one author.
    pub(crate) fn best(&self) -> Self {
        let best = self.pinned.or_else(|| self.pool.order().first().copied());
        self.only(best.unwrap_or(0))
    }

    /// As [`Self::best`], of those that may have this height.
    pub(crate) fn best_at(&self, height: u64) -> Self {
        self.only(self.pinned.or_else(|| self.pool.best_at(height)).unwrap_or(0))
    }

    /// Whether another node than the last one asked may answer at once.
    pub(crate) fn has_another(&self) -> bool {
        self.pinned.is_none() && self.pool.members.len() > 1 && !self.pool.ready().is_empty()
    }

    /// How many nodes must agree on a block.
    pub(crate) fn quorum(&self) -> usize {
        if self.pinned.is_some() { 1 } else { self.pool.quorum }
    }

    /// What this one node said is wrong: it is demoted if that is its fault.
    pub(crate) fn blame(&self, error: VerifyError) -> RpcError {
        self.pool.blame(self.index(), error)
    }

    /// The number of the node; of several, of the best.
    fn index(&self) -> usize {
        self.pinned.or_else(|| self.pool.order().first().copied()).unwrap_or(0)
    }

    fn candidates(&self) -> Result<Vec<usize>, RpcError> {
        let candidates = match self.pinned {
            Some(index) => vec![index],
            None => self.pool.order(),
        };
        let expected = self.pool.chain_id().unwrap_or_default();
        if candidates.iter().all(|index| self.pool.is_on_wrong_chain(*index)) {
            let reason = format!("no node is on chain {expected} any more");
            return Err(RpcError::Unreachable { endpoint: self.endpoint().to_owned(), reason });
        }
        Ok(candidates)
    }

    pub(crate) async fn ask<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<R, RpcError> {
        let params = raw(method, &params)?;
        let mut last = None;
        for index in self.candidates()? {
            // Boxed: the transport's future is large, and callers hold several.
            match Box::pin(self.pool.ask_one(index, method, &params)).await {
                Err(error) if ask_another(&error) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| RpcError::Unreachable {
            endpoint: String::new(),
            reason: "there is no node to ask".to_owned(),
        }))
    }

    /// New heads as they come, from the best node that has subscriptions; none if there is no such node.
    pub(crate) async fn heads(&self) -> Result<Option<Subscription<serde_json::Value>>, RpcError> {
        self.subscribe(json!(["newHeads"])).await
    }

    /// Whether new heads come by subscription here: asked for, and dropped again.
    ///
    /// # Errors
    /// When a node that should have subscriptions gives none.
    pub async fn offers_heads(&self) -> Result<bool, RpcError> {
        Ok(self.heads().await?.is_some())
    }

    /// A subscription at the best node that has subscriptions.
    pub(crate) async fn subscribe(
        &self,
        params: serde_json::Value,
    ) -> Result<Option<Subscription<serde_json::Value>>, RpcError> {
        let mut last = None;
        for index in self.candidates()? {
            match self.pool.member(index)?.subscribe(params.clone()).await {
                Ok(None) => {}
                Ok(subscription) => return Ok(subscription),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(None), Err)
    }
}

fn raw(method: &'static str, params: &impl Serialize) -> Result<Box<RawValue>, RpcError> {
    serde_json::value::to_raw_value(params).map_err(|error| unreadable(method, &error))
}

#[cfg(test)]
mod tests;
