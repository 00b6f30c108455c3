//! What must hold before a node's answers are worth anything: the right chain, a node that keeps up, a clock that is
//! right, the contract that we think it is, and an account that can pay.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256, keccak256};

use super::{Header, Rpc};
use crate::error::{Retry, RpcError};

/// What a node is checked against.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// The configured chain.
    pub chain_id: u64,
    /// How old the newest block may be; none where blocks come only on demand.
    pub head_age_max: Option<Duration>,
    /// How far the newest block may be ahead of our clock; none where the chain's clock is moved on purpose.
    pub clock_skew_max: Option<Duration>,
    /// Contracts with the hash of their code, as the deployment file or an artifact has it.
    pub contracts: Vec<(&'static str, Address, B256)>,
    /// The account that will pay for transactions and the least it must have, in wei.
    pub account: Option<(Address, U256)>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Findings {
    /// The newest block.
    pub head: Header,
    /// The account's balance in wei; none if no account was given.
    pub balance: Option<U256>,
}

/// Why we do not start on this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// The node gave no answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node follows another chain.
    #[error("the node is on chain {found}, the configuration says {expected}")]
    WrongChain {
        /// The configured chain.
        expected: u64,
        /// The node's chain.
        found: u64,
    },
    /// The newest block is old: the node is still synchronising, or cut off, or our clock is ahead.
    #[error("the node's newest block {number} is {age_s} s old, more than {} s", allowed.as_secs())]
    Behind {
        /// Its height.
        number: u64,
        /// Its age in seconds by our clock.
        age_s: u64,
        /// What is allowed.
        allowed: Duration,
    },
    /// The newest block is from our future: our clock is behind.
    #[error("the newest block is {ahead_s} s ahead of this machine's clock, more than {} s", allowed.as_secs())]
    ClockBehind {
        /// By how many seconds.
        ahead_s: u64,
        /// What is allowed.
        allowed: Duration,
    },
    /// There is no contract at the address.
    #[error("there is no contract at {address} on this chain, where {name} should be")]
    NoContract {
        /// Which contract.
        name: &'static str,
        /// Where.
        address: Address,
    },
    /// There is another contract at the address.
    #[error("the contract at {address} is not {name}: its code hashes to {found}, not {expected}")]
    WrongContract {
        /// Which contract.
        name: &'static str,
        /// Where.
        address: Address,
        /// The hash expected.
        expected: B256,
        /// The hash found.
        found: B256,
    },
    /// The account cannot pay for what it has to do.
    #[error("account {account} has {balance} wei and needs at least {needed} wei")]
    Unfunded {
        /// The account.
        account: Address,
        /// What it has.
        balance: U256,
        /// What it needs.
        needed: U256,
    },
}

impl StartupError {
    /// Whether the same start may succeed later, with nothing changed in the configuration.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Rpc(error) => error.retry(),
            Self::Behind { .. } | Self::ClockBehind { .. } | Self::Unfunded { .. } => {
                Retry::Later(None)
            }
            Self::WrongChain { .. } | Self::NoContract { .. } | Self::WrongContract { .. } => {
                Retry::Never
            }
        }
    }

    /// What a person can do about it, in one sentence.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Rpc(error) => error.advice(),
            Self::WrongChain { .. } => {
                "point the configuration to a node of the configured chain, or correct the chain id"
            }
            Self::Behind { .. } => {
                "wait until the node has caught up, and check this machine's clock"
            }
            Self::ClockBehind { .. } => "set this machine's clock, for example with NTP",
            Self::NoContract { .. } => "check the deployment file: it may be of another chain",
            Self::WrongContract { .. } => {
                "use the deployment file that belongs to this chain and this version"
            }
            Self::Unfunded { .. } => "send ether to the account; it pays for gas, bonds and fees",
        }
    }
}

/// Asks the nodes everything in `expected`. `now` is our clock in seconds since 1970.
///
/// # Errors
/// The first expectation that does not hold.
pub async fn check(rpc: &Rpc, expected: &Expectations, now: u64) -> Result<Findings, StartupError> {
    let head = check_nodes(rpc, expected, now).await?;
    for &(name, address, code_hash) in &expected.contracts {
        let code = rpc.code(address).await?;
        if code.is_empty() {
            return Err(StartupError::NoContract { name, address });
        }
        let found = keccak256(&code);
        if found != code_hash {
            return Err(StartupError::WrongContract { name, address, expected: code_hash, found });
        }
    }
    let balance = match expected.account {
        None => None,
        Some((account, needed)) => {
            let balance = rpc.balance(account).await?;
            if balance < needed {
                return Err(StartupError::Unfunded { account, balance, needed });
            }
            Some(balance)
        }
    };
    Ok(Findings { head, balance })
}

/// Every node that answers must be on the right chain; as many as must agree must answer and keep up.
async fn check_nodes(rpc: &Rpc, expected: &Expectations, now: u64) -> Result<Header, StartupError> {
    let mut best: Option<Header> = None;
    let mut good = 0_usize;
    let mut trouble = None;
    for node in rpc.each() {
        match check_node(&node, expected, now).await {
            Ok(head) => {
                good = good.saturating_add(1);
                if best.is_none_or(|best| best.id.number < head.id.number) {
                    best = Some(head);
                }
            }
            Err(error @ StartupError::WrongChain { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(endpoint = node.endpoint(), %error, "an endpoint is not usable now");
                trouble.get_or_insert(error);
            }
        }
    }
    match (best, trouble) {
        (Some(head), _) if good >= rpc.quorum() => {
            rpc.expect_chain(expected.chain_id);
            Ok(head)
        }
        (_, Some(error)) => Err(error),
        (_, None) => Err(StartupError::Rpc(RpcError::NoQuorum {
            what: "anything".to_owned(),
            agreeing: good,
            needed: rpc.quorum(),
        })),
    }
}

async fn check_node(node: &Rpc, expected: &Expectations, now: u64) -> Result<Header, StartupError> {
    let found = node.chain_id().await?;
    if found != expected.chain_id {
        return Err(StartupError::WrongChain { expected: expected.chain_id, found });
    }
    let head = node.head().await?;
    check_clock(&head, expected, now)?;
    Ok(head)
}

fn check_clock(head: &Header, expected: &Expectations, now: u64) -> Result<(), StartupError> {
    let age_s = now.saturating_sub(head.timestamp);
    let ahead_s = head.timestamp.saturating_sub(now);
    if let Some(allowed) = expected.head_age_max
        && age_s > allowed.as_secs()
    {
        return Err(StartupError::Behind { number: head.id.number, age_s, allowed });
    }
    if let Some(allowed) = expected.clock_skew_max
        && ahead_s > allowed.as_secs()
    {
        return Err(StartupError::ClockBehind { ahead_s, allowed });
    }
    Ok(())
}
