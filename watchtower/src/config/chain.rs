//! The settlement layer: where its nodes are, and how far they are believed.

use std::{path::PathBuf, time::Duration};

use alloy_primitives::{Address, B256};
use chain::verify::Verify;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Nodes of one tower; each is asked for its head at every look.
const NODES_MAX: usize = 16;

/// Contracts of a deployment file, each with the hash of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    /// The vault.
    pub vipe: (Address, B256),
    /// The verifier that it was made with.
    pub verifier: (Address, B256),
}

/// The settlement layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// The file that a deployment wrote: gives `chain_id`, `vipe` and `start_block` where they are not given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<PathBuf>,
    /// What that file says of the contracts: compared with the chain at every start.
    #[serde(skip)]
    pub deployed: Option<Deployed>,
    /// The node: http, https, ws or wss.
    pub rpc: String,
    /// More nodes of the same chain.
    pub other_rpcs: Vec<String>,
    /// How many nodes must give the same block before it is read.
    pub quorum: usize,
    /// How much of what nodes say is checked.
    pub verify: VerifyMode,
    /// Whether transactions that wait to be mined are watched.
    pub watch_pending: bool,
    /// The chain's id; a node of another chain is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// The vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vipe: Option<Address>,
    /// The block that created the vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_block: Option<u64>,
    /// Blocks on top that count as final, on a chain without a `finalized` tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finality_depth: Option<u64>,
    /// How often to look for new blocks when nothing wakes the tower.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// The most time for one answer of the node.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// The oldest newest block of a node that keeps up; none where blocks come on demand.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub head_age_max: Option<Duration>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            deployment: None,
            deployed: None,
            rpc: "http://127.0.0.1:8545".to_owned(),
            other_rpcs: Vec::new(),
            quorum: 1,
            verify: VerifyMode::Full,
            watch_pending: true,
            chain_id: None,
            vipe: None,
            start_block: None,
            finality_depth: None,
            poll_interval: Duration::from_secs(2),
            request_timeout: Duration::from_secs(20),
            head_age_max: None,
        }
    }
}

/// How much of what nodes say is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyMode {
    /// Headers and receipts.
    Full,
    /// Headers, and with them that there are no logs.
    Bloom,
    /// Nothing: only that several nodes say the same of blocks.
    Off,
}

impl From<VerifyMode> for Verify {
    fn from(mode: VerifyMode) -> Self {
        match mode {
            VerifyMode::Full => Self::Full,
            VerifyMode::Bloom => Self::Bloom,
            VerifyMode::Off => Self::Off,
        }
    }
}

impl ChainConfig {
    /// All nodes, the first one first, with the keys that they come from.
    pub fn urls(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let others = self.other_rpcs.iter().map(|url| ("chain.other_rpcs", url.as_str()));
        std::iter::once(("chain.rpc", self.rpc.as_str())).chain(others)
    }

    /// Checks what no single key can say by itself.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &'static str, reason: &str| {
            Err(ConfigError::Invalid { key, reason: reason.to_owned() })
        };
        for (key, url) in self.urls() {
            let scheme = url.split("://").next().unwrap_or_default();
            if !["http", "https", "ws", "wss"].contains(&scheme) {
                return invalid(key, "must begin with http://, https://, ws:// or wss://");
            }
        }
        let nodes = self.other_rpcs.len().saturating_add(1);
        if nodes > NODES_MAX {
            return invalid("chain.other_rpcs", "must be at most 15");
        }
        if self.quorum == 0 || self.quorum > nodes {
            return invalid("chain.quorum", "must be between 1 and the number of nodes");
        }
        if self.verify == VerifyMode::Off && self.quorum < 2 {
            return invalid(
                "chain.verify",
                "may be off only where a quorum of at least 2 must agree",
            );
        }
        if self.chain_id.is_none() {
            return invalid(
                "chain.chain_id",
                "is missing: give it, or chain.deployment (--deployment FILE)",
            );
        }
        match self.vipe {
            None => {
                return invalid(
                    "chain.vipe",
                    "is missing: give it, or chain.deployment (--deployment FILE)",
                );
            }
            Some(vipe) if vipe.is_zero() => return invalid("chain.vipe", "is the zero address"),
            Some(_) => {}
        }
        if self.finality_depth == Some(0) {
            return invalid(
                "chain.finality_depth",
                "must be at least 1: a newest block is never final",
            );
        }
        let polls = Duration::from_millis(10)..=Duration::from_secs(60);
        if !polls.contains(&self.poll_interval) {
            return invalid("chain.poll_interval", "must be between 10ms and 60s");
        }
        if self.request_timeout.is_zero() {
            return invalid("chain.request_timeout", "must be more than zero");
        }
        Ok(())
    }
}
